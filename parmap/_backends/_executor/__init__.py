"""The engine where there is no POSIX: the standard library's `ProcessPoolExecutor`, with spawned workers.

It keeps the loop's answer and always ends. What is lost against `_processes`:

- Each worker imports the user's script, as multiprocessing does it, so what starts the work must be under
  ``if __name__ == "__main__":``. Without it the call breaks (``auto`` goes on as the loop), and no item runs twice.
- Everything goes through pipes: large arrays are copied, and the definition goes to each worker once more.
- Workers live for one call. What they print arrives when their chunk does.
- One worker's death breaks the whole pool. Which item it ran is not known, so all that were on their way are run
  again, one by one, in one worker, and the one that kills it then is named.
- A worker cannot be told to stop, nor be ended inside an item: chunks on their way are run to their end when another
  item has failed, and ``timeout`` is refused.
"""

import concurrent.futures
from concurrent.futures import BrokenExecutor, Future
from queue import Empty, SimpleQueue
from typing import Any

from parmap import _settings
from parmap._backends._executor._child import Brief, Carried, Finished, Reply, Undefined, Unreadable, carry, run
from parmap._backends._executor._pool import Pool, missing_script
from parmap._errors import WorkerCrashError, show_arguments
from parmap._observe import check_processes
from parmap._records import Broken, Chunk, Failure, Lost, Outcome, Task
from parmap._transport._definitions import dump_by_value
from parmap._transport._outcomes import Answer, read_answer, undefined, unreadable, unsendable
from parmap._transport._pickling import dump, load, split_buffers
from parmap._transport._reports import relay
from parmap._transport._tasks import dump_task
from parmap._tuning import UNGUARDED

# A pickle with this in it refers to the caller's `__main__`, which may be a shell or a notebook.
_MAIN = b"__main__"


class Executor:
    """Worker processes of a `ProcessPoolExecutor`, for one call.

    Futures that have ended are put into a queue by the executor's own thread; everything else is done in the thread
    that uses the engine.

    Args:
        task: What to run.
        workers: How many processes there may be.
        cores: How many cores they may use together.
    """

    def __init__(self, task: Task, workers: int, cores: int) -> None:
        self.spare = 0
        self.depth = 1
        self.ready = False
        self._task = task
        self._workers = workers
        self._cores = cores
        self._brief: Brief | None = None
        self._flying: dict[Future[Any], Chunk] = {}
        self._outcomes: list[Outcome] = []  # found while something else was done
        self._suspects: set[int] = set()  # items of which one may have killed its worker; they run alone
        self._ended: SimpleQueue[Future[Any] | None] = SimpleQueue()
        self._pool: Pool | None = None

    @property
    def flying(self) -> int:
        return len(self._flying) + len(self._outcomes)

    def open(self) -> None:
        if self._brief is not None:  # even if its pool has broken
            return
        check_processes()
        task = self._task
        if task.timeout is not None:
            raise OSError("on this platform none can be ended inside an item, as timeout asks for")
        if (script := missing_script()) is not None:
            raise OSError(f"each would have to import the script, but there is no file {script!r}")
        setting = _settings.current(max(1, self._cores // self._workers))
        self._brief = Brief(carry(dump_task(task)), task.packed, task.keep_going, task.seed, setting)
        self._find_pool()

    def room(self) -> bool:
        if self._suspects:
            return not self._flying
        return len(self._flying) < max(1, self._workers - self.spare) * self.depth

    def submit(self, chunk: Chunk) -> None:
        try:
            items = _carry_items(chunk.items)
        except Exception:
            self._outcomes += unsendable(chunk, self._task.packed, _carry_items)
            return
        future: Future[Any]
        try:
            future = self._find_pool().executor.submit(run, chunk.start, items)
        except (OSError, RuntimeError) as error:  # it has broken, or no other can be started
            future = Future()
            future.set_exception(error)
        self._flying[future] = chunk
        future.add_done_callback(self._ended.put)

    def wait(self, timeout: float | None) -> list[Outcome]:
        if not self._outcomes:
            self._receive(timeout)
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def wake(self) -> None:
        self._ended.put(None)

    def cancel(self, index: int) -> None:
        """Nothing can be called back."""

    def close(self, grace: float) -> None:
        if self._pool is not None:
            concurrent.futures.wait(self._flying, grace)
            self._pool.close()
            self._pool = None
        self._flying.clear()
        self._outcomes.clear()

    def _find_pool(self) -> Pool:
        """The pool: of one worker while there are suspects, who are to die alone."""
        size = 1 if self._suspects else self._workers
        if self._pool is not None and self._pool.size != size:
            self._pool.close()
            self._pool = None
        if self._pool is None:
            assert self._brief is not None, "it is open"
            self._pool = Pool(size, self._brief)
            self._pool.up.add_done_callback(self._ended.put)
        return self._pool

    # --- what arrives ---

    def _receive(self, timeout: float | None) -> None:
        ended = self._take(timeout)
        if any(map(_is_of_broken, ended)):
            assert self._pool is not None
            pool, self._pool = self._pool, None
            exitcode = pool.bury()
            ended += self._take(0.0)  # all that it had has ended now
            lost = [self._flying.pop(each) for each in ended if _is_of_broken(each) and each in self._flying]
            self._mourn(pool, lost, exitcode)
        for future in ended:
            chunk = self._flying.pop(future, None)
            if chunk is not None:
                self._suspects.discard(chunk.start)
                self._outcomes += self._read(chunk, future)
            elif future.exception() is None:
                self.ready = True

    def _take(self, timeout: float | None) -> list[Future[Any]]:
        """The futures that have ended; waits for the first."""
        found: list[Future[Any] | None] = []
        try:
            found.append(self._ended.get(timeout=timeout))
            while True:
                found.append(self._ended.get_nowait())
        except Empty:
            return [each for each in found if each is not None]

    def _read(self, chunk: Chunk, future: Future[Any]) -> list[Outcome]:
        error = future.exception()
        if error is not None:
            return [Lost(chunk, None, alone=False), Broken(error, elsewhere=True)]
        reply: Reply = future.result()
        for report in reply.said:
            relay(report)
        match reply.result:
            case Finished(values, failures, seconds, cpu):
                payload = values.payload()
                answer = Answer(failures, seconds, cpu, payload.size)
                return [read_answer(chunk, answer, lambda: load(payload), reply.worker)]
            case Unreadable(reason):
                return [unreadable(chunk, self._task.packed, reason, reply.worker)]
            case Undefined(reason, packed):
                return [Lost(chunk, None, alone=False), undefined(reason, packed)]

    # --- deaths ---

    def _mourn(self, pool: Pool, lost: list[Chunk], exitcode: int | None) -> None:
        """Finds out which of the chunks of a broken pool is to blame, or what to do to find out."""
        if exitcode == UNGUARDED:
            self._give_up(lost, RuntimeError(_NO_GUARD))
        elif not pool.was_up and (pool.size == 1 or not lost):
            self._give_up(lost, WorkerCrashError(None, "", exitcode))
        elif pool.was_up and len(lost) == 1 and len(lost[0].items) == 1:
            (chunk,) = lost
            arguments = show_arguments(chunk.items[0], self._task.packed)
            error = WorkerCrashError(chunk.start, arguments, exitcode)
            self._suspects.discard(chunk.start)
            self._outcomes.append(Lost(chunk, Failure(chunk.start, error, "a worker process"), alone=False))
        else:
            for chunk in lost:
                self._suspects.update(range(chunk.start, chunk.start + len(chunk.items)))
                self._outcomes.append(Lost(chunk, None, alone=True))

    def _give_up(self, lost: list[Chunk], error: BaseException) -> None:
        self._outcomes += [Lost(chunk, None, alone=False) for chunk in lost]
        self._outcomes.append(Broken(error, elsewhere=True))


_NO_GUARD = """\
its worker processes cannot be started: each of them imports this script, and the script calls parmap while it is \
imported. On this platform, put what starts the work under `if __name__ == "__main__":`"""


def _is_of_broken(future: Future[Any]) -> bool:
    return isinstance(future.exception(), BrokenExecutor)


def _carry_items(items: Any) -> Carried:
    """Pickles items; what of them is defined in `__main__` by value."""
    payload = dump(items)
    if _MAIN in payload.body:
        payload = dump_by_value(items, *split_buffers(), back=False)
    return carry(payload)
