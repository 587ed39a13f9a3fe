"""The engine that is the loop: items run in the thread that waits for them."""

from collections.abc import Iterator
from operator import length_hint
from threading import Lock
from time import perf_counter
from typing import Any, NamedTuple

from parmap._random import Start, prepare, streams
from parmap._records import Chunk, Done, Failure, Outcome, Sample, Task
from parmap._worker import initialize, seeded, star

WORKER = "the calling thread"


class _Running(NamedTuple):
    chunk: Chunk
    items: Iterator[Any]


class Serial:
    """Runs a chunk when it is waited for.

    Another thread may take the items that have not been started away with ``give_back`` while a chunk runs. Both
    draw from one list iterator: drawing from it is one step under the GIL, so each item is drawn by exactly one of
    them. How many were taken away is told under a lock, which the running side takes once a chunk.

    Attributes:
        sample: The last item that was run, with its result.

    Args:
        task: What to run.
        disposable: Whether an error makes the results before it worthless. Then a comprehension runs the items,
            which is as fast as the loop that it stands for but keeps nothing when it is left by an error.
    """

    ready = True
    spare = 0
    depth = 1

    def __init__(self, task: Task, disposable: bool) -> None:
        self._task = task
        self._call = star(task.func, task.packed)
        self._initialized = False
        self._disposable = disposable and not task.keep_going
        self._running: _Running | None = None
        self._lock = Lock()
        self._given = 0  # items of the running chunk that were taken away
        self.sample: Sample | None = None

    @property
    def flying(self) -> int:
        return 0 if self._running is None else 1

    @property
    def unstarted(self) -> int:
        """Items of the running chunk that have not been started. Safe from any thread."""
        running = self._running
        return 0 if running is None else length_hint(running.items)

    @property
    def started(self) -> int:
        """Items of the running chunk that have been started. Safe from any thread."""
        running = self._running
        return 0 if running is None else len(running.chunk.items) - length_hint(running.items)

    def open(self) -> None:
        """Nothing to take."""

    def room(self) -> bool:
        return self._running is None

    def submit(self, chunk: Chunk) -> None:
        """Takes a chunk. Before the first one it does what is no part of an item: its time is not the items'."""
        if not self._initialized:
            self._initialized = True
            prepare(self._task.seed)
            initialize(self._task, WORKER)
        self._given = 0
        self._running = _Running(chunk, iter(chunk.items))

    def wait(self, timeout: float | None) -> list[Outcome]:
        if self._running is None:
            return []
        with streams(self._task.seed) as start:
            return [self._run(*self._running, start)]

    def _run(self, chunk: Chunk, items: Iterator[Any], start: Start | None) -> Done:
        begin = perf_counter()
        values: list[Any] = []
        failures: list[Failure] = []
        call = seeded(self._call, start, chunk.start, values)
        while True:
            try:
                if self._disposable and start is None:
                    values = [call(item) for item in items]
                else:
                    append = values.append
                    for item in items:
                        append(call(item))
                break
            except BaseException as error:
                with self._lock:
                    position = max(0, len(chunk.items) - length_hint(items) - self._given - 1)
                failures.append(Failure(chunk.start + position, error, WORKER))
                values += [None] * (position + 1 - len(values))
                if not (self._task.keep_going and isinstance(error, Exception)):
                    break
        with self._lock:
            self._running = None
            ran = chunk.part(0, len(chunk.items) - self._given) if self._given else chunk
        last = len(values) - 1
        self.sample = Sample(chunk.start + last, (*chunk.items[last : last + 1], *values[-1:])) if values else None
        return Done(ran, values, failures, perf_counter() - begin, 0)

    def give_back(self) -> Chunk | None:
        """Takes the items that have not been started away from the chunk that is being run."""
        with self._lock:
            if self._running is None:
                return None
            chunk, items = self._running
            rest = len(list(items))
            self._given += rest
            return chunk.part(len(chunk.items) - rest) if rest else None

    def wake(self) -> None:
        """Nothing to wake: the waiting thread runs the items."""

    def cancel(self, index: int) -> None:
        """Nothing to cancel: no chunk waits here."""

    def close(self, grace: float) -> None:
        self._running = self.sample = None
