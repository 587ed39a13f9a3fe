"""The engine of threads: for waiting work, and for computing work that leaves the GIL free."""

import math
from queue import Empty, SimpleQueue
from threading import Thread
from time import perf_counter

from parmap import _interrupts
from parmap._records import Broken, Chunk, Lost, Outcome, Task
from parmap._tuning import CHUNK_LIMIT
from parmap._worker import initialize, run_chunk


class Threads:
    """Threads that draw chunks from one queue and put outcomes into another.

    The threads are daemons of this call alone. They are started as there is work for them and end when it is closed;
    one that is inside an item cannot be stopped: it ends with the item, and what it then says is heard by nobody.
    Each chunk runs in a copy of the caller's context.

    Args:
        task: What to run.
        workers: How many threads there may be.

    Raises:
        RuntimeError: No thread can be started.
    """

    ready = True

    def __init__(self, task: Task, workers: int) -> None:
        self._task = task
        self._workers = workers
        self.spare = 0
        self.depth = 1
        self._flying = 0
        self._threads: list[Thread] = []
        self._stop_at: float = math.inf  # index of the first item that must not start
        self._inbox: SimpleQueue[Chunk | None] = SimpleQueue()
        self._outbox: SimpleQueue[Outcome | None] = SimpleQueue()
        self._start_thread()

    @property
    def flying(self) -> int:
        return self._flying

    def room(self) -> bool:
        return self._flying < max(1, self._workers - self.spare)

    def submit(self, chunk: Chunk) -> None:
        self._flying += 1
        self._inbox.put(chunk)
        if len(self._threads) < min(self._flying, self._workers):
            self._start_thread()

    def _start_thread(self) -> None:
        thread = Thread(target=self._work, name=f"parmap-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        try:
            with _interrupts.blocked():
                thread.start()
        except RuntimeError:  # the system has no more threads to give: those that there are do the work
            self._threads.remove(thread)
            if not self._threads:
                raise
            self._workers = len(self._threads)

    def wait(self, timeout: float | None) -> list[Outcome]:
        outcomes: list[Outcome] = []
        try:
            found = self._outbox.get(timeout=timeout)
            while True:
                if found is not None:
                    outcomes.append(found)
                found = self._outbox.get_nowait()
        except Empty:
            self._flying -= sum(not isinstance(each, Broken) for each in outcomes)
            return outcomes

    def wake(self) -> None:
        self._outbox.put(None)

    def cancel(self, index: int) -> None:
        self._stop_at = min(index, self._stop_at)

    def close(self, grace: float) -> None:
        self.cancel(0)
        for _ in self._threads:
            self._inbox.put(None)
        deadline = perf_counter() + grace
        for thread in self._threads:
            if thread.is_alive():  # an interrupt may have come while it was being started
                thread.join(max(0.0, deadline - perf_counter()))
        self._threads.clear()

    def _work(self) -> None:
        name = f"a thread of {self._workers}"
        started = [0]
        fresh = True
        while (chunk := self._inbox.get()) is not None:
            if fresh:
                try:
                    self._task.context.copy().run(initialize, self._task, name)
                except BaseException as error:
                    self._outbox.put(Lost(chunk, None, alone=False))
                    self._outbox.put(Broken(error, elsewhere=False))
                    return
                fresh = False
            self._outbox.put(self._run(chunk, name, started))
            del chunk  # while it waits, a thread keeps nothing of the user's

    def _run(self, chunk: Chunk, name: str, started: list[int]) -> Outcome:
        limit = perf_counter() + CHUNK_LIMIT

        def go_on(done: int) -> bool:
            return chunk.start + done < self._stop_at and (not done or perf_counter() < limit)

        return self._task.context.copy().run(run_chunk, self._task, chunk, name, started, go_on)
