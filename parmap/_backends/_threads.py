"""The engine of threads: for waiting work, and for computing work that leaves the GIL free."""

import math
import os
import threading
from functools import partial
from queue import Empty, SimpleQueue
from time import perf_counter

from parmap._backends._base import check_home
from parmap._errors import ItemTimeoutError, show_arguments
from parmap._kept import Kept, give_back, lend
from parmap._records import Broken, Chunk, Failure, Lost, Outcome, Task
from parmap._worker import initialize, run_chunk


class _Place:
    """What a thread is to a call."""

    def __init__(self) -> None:
        self.idle = False  # it waits for a chunk, or has ended because there will be none


class _Run:
    """A chunk in the hands of a thread. Exactly one side speaks for it: the thread that ends it, or who gives it up."""

    def __init__(self, chunk: Chunk, place: _Place, name: str) -> None:
        self.chunk = chunk
        self.place = place
        self.name = name
        self.begin = perf_counter()
        self._spoken = threading.Lock()

    def speak(self) -> bool:
        """Whether the asking side is the first to ask, and so the one that speaks."""
        return self._spoken.acquire(blocking=False)


class Threads:
    """Threads that draw chunks from one queue and put outcomes into another.

    The threads are daemons, lent for this call as there is work for them, and given back when it is closed. One that is
    inside an item cannot be stopped: it ends with the item, and what it then says is heard by nobody. So an item that is
    overdue is given up together with its thread; with a time limit a chunk must be one item. Each chunk runs in a copy
    of the caller's context.

    Args:
        task: What to run.
        workers: How many threads there may be.
    """

    ready = True

    def __init__(self, task: Task, workers: int) -> None:
        self._task = task
        self._workers = workers
        self._home = os.getpid()
        self.spare = 0
        self.depth = 1
        self._flying = 0
        self._threads: dict[_Place, Kept] = {}  # by the place that each has in this call
        self._runs: dict[int, _Run] = {}  # by the start of the chunk; with a time limit only
        self._stop_at: float = math.inf  # index of the first item that must not start
        self._inbox: SimpleQueue[Chunk | None] = SimpleQueue()
        self._outbox: SimpleQueue[Outcome | None] = SimpleQueue()
        self._ended: SimpleQueue[_Place] = SimpleQueue()  # places whose thread has nothing more to do for this call

    @property
    def flying(self) -> int:
        return self._flying

    def open(self) -> None:
        if not self._threads:
            self._start_thread()

    def room(self) -> bool:
        return self._flying < max(1, self._workers - self.spare) * self.depth

    def submit(self, chunk: Chunk) -> None:
        self._flying += 1
        self._inbox.put(chunk)
        if len(self._threads) < min(self._flying, self._workers):
            self._start_thread()

    def _start_thread(self) -> None:
        place = _Place()
        try:
            self._threads[place] = lend(partial(self._work, place))
        except RuntimeError:  # the system has no more threads to give: those that there are do the work
            if not self._threads:
                raise
            self._workers = len(self._threads)

    def wait(self, timeout: float | None) -> list[Outcome]:
        check_home(self._home)
        outcomes: list[Outcome] = []
        if self._task.timeout is not None:
            timeout = min(self._patience(self._task.timeout), math.inf if timeout is None else timeout)
        try:
            found = self._outbox.get(timeout=timeout)
            while True:
                if found is not None:
                    outcomes.append(found)
                found = self._outbox.get_nowait()
        except Empty:
            pass
        if self._task.timeout is not None:
            outcomes += self._give_up(self._task.timeout)
        self._flying -= sum(not isinstance(each, Broken) for each in outcomes)
        return outcomes

    def _patience(self, limit: float) -> float:
        """Seconds until the first item may be overdue."""
        now = perf_counter()
        return max(0.0, min((run.begin + limit - now for run in list(self._runs.values())), default=limit))

    def _give_up(self, limit: float) -> list[Outcome]:
        """Ends the waiting for the items that are overdue; other threads take the place of theirs."""
        outcomes: list[Outcome] = []
        now = perf_counter()
        for run in list(self._runs.values()):
            if now - run.begin < limit or not run.speak():
                continue
            chunk = run.chunk
            self._runs.pop(chunk.start)
            self._threads.pop(run.place)
            error = ItemTimeoutError(chunk.start, show_arguments(chunk.items[0], self._task.packed), limit)
            outcomes.append(Lost(chunk, Failure(chunk.start, error, run.name), alone=False))
            try:
                self._start_thread()
            except RuntimeError as found:
                outcomes.append(Broken(found, elsewhere=False))
        return outcomes

    def wake(self) -> None:
        self._outbox.put(None)

    def cancel(self, index: int) -> None:
        self._stop_at = min(index, self._stop_at)

    def close(self, grace: float) -> None:
        self.cancel(0)
        for _ in range(len(self._threads) + 1):  # one more for a thread that an interrupt has kept from being noted
            self._inbox.put(None)
        if not self._flying:
            # There is no chunk left, so these end without a line of the user's code, and need not be waited for: with 64
            # of them that took 4 ms.
            for place in [place for place in self._threads if place.idle]:
                give_back(self._threads.pop(place))
        deadline = perf_counter() + grace
        while self._threads:
            try:
                ended = self._ended.get(timeout=max(0.0, deadline - perf_counter()))
            except Empty:
                break  # those that are left end with their items, and leave
            thread = self._threads.pop(ended, None)
            if thread is not None:
                give_back(thread)
        self._threads.clear()

    def _work(self, place: _Place) -> None:
        try:
            self._serve(place)
        except BaseException as error:
            self._outbox.put(Broken(error, elsewhere=False))
        finally:
            self._ended.put(place)

    def _serve(self, place: _Place) -> None:
        name = f"a thread of {self._workers}"
        started = [0]
        fresh = True
        while (chunk := self._next(place)) is not None:
            if fresh:
                try:
                    self._task.context.copy().run(initialize, self._task, name)
                except BaseException as error:
                    self._outbox.put(Lost(chunk, None, alone=False))
                    self._outbox.put(Broken(error, elsewhere=False))
                    return
                fresh = False
            if self._task.timeout is None:
                self._outbox.put(self._run(chunk, name, started))
            elif not self._run_timed(chunk, place, name, started):
                return
            del chunk  # while it waits, a thread keeps nothing of the user's

    def _next(self, place: _Place) -> Chunk | None:
        place.idle = True
        chunk = self._inbox.get()
        place.idle = chunk is None
        return chunk

    def _run_timed(self, chunk: Chunk, place: _Place, name: str, started: list[int]) -> bool:
        """Runs a chunk unless it is given up; false: it was, and so was this thread."""
        run = self._runs[chunk.start] = _Run(chunk, place, name)
        outcome = self._run(chunk, name, started)
        if not run.speak():
            return False
        self._runs.pop(chunk.start)
        self._outbox.put(outcome)
        return True

    def _run(self, chunk: Chunk, name: str, started: list[int]) -> Outcome:
        def go_on(done: int) -> bool:
            return chunk.start + done < self._stop_at

        return self._task.context.copy().run(run_chunk, self._task, chunk, name, started, go_on)
