"""The loop: fill, wait, settle, hand out.

A `Call` is what is to be done and what has been done of it, whoever does it. `drive` is the one loop that gives its
items to an engine and takes the outcomes back.
"""

import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

from parmap._backends._base import Backend
from parmap._backends._serial import Serial
from parmap._chunks import Sizer
from parmap._cores import cpu_count
from parmap._errors import FallbackWarning, note_item, show_arguments
from parmap._learned import learned
from parmap._merge import AsCompleted, InOrder
from parmap._observe import is_exiting, is_posix, why_no_processes
from parmap._records import ALL, Broken, Chunk, Done, Lost, Options, Plan, Task
from parmap._source import Source
from parmap._strategy import plan_given
from parmap._tuning import CLOSE_GRACE, ERROR_GRACE, LAZY_FIRST_CHUNK, MAX_BLOCK, SIGNAL_WAIT


class Call:
    """The items of one call: which are still to be run, which are being run, which results are to be handed out.

    Any thread may use it: each method holds the lock, and none waits for a worker. Only the caller's thread draws
    from the user's iterators, unless that runs no code of the user (``pull``).

    Attributes:
        failed: Whether an item has failed in a way that ends the call.
        failed_at: Index of the earliest item that did.
    """

    def __init__(self, task: Task, source: Source, options: Options, lazy: bool) -> None:
        self.task = task
        self.source = source
        self.options = options
        self.lazy = lazy
        self.failed = False
        self.done = 0  # items that have come back
        self.failed_at = 0  # index of the earliest item that failed, if one did
        self._running: set[int] = set()  # where the chunks that are being run start
        self._merge = InOrder() if options.ordered or not lazy else AsCompleted()
        self._again: deque[Chunk] = deque()  # items that came back without a result
        self._handed = 0  # results that the consumer has taken
        self._lock = threading.Lock()

    @property
    def left(self) -> int | None:
        """Items that nobody has started; ``None``: not known."""
        left = self.source.left
        return None if left is None else left + sum(len(chunk.items) for chunk in self._again)

    @property
    def disposable(self) -> bool:
        """Whether an error makes the results before it worthless."""
        return not self.lazy and not self.options.retries

    @property
    def over(self) -> bool:
        """Whether no item is left to be started."""
        return (self.source.exhausted or self.failed) and not self._again

    def next_chunk(self, sizer: Sizer, pull: bool = True) -> Chunk | None:
        """The items to run next; ``None`` if there are none, or none may be drawn now."""
        with self._lock:
            size = sizer.size(self.left)
            if self._again:
                chunk = self._again.popleft()
                if len(chunk.items) > size:
                    self._again.appendleft(chunk.part(size))
                self._running.add(chunk.start)
                return chunk.part(0, size)
            if self.failed or self.source.exhausted or not (pull or self.source.inert):
                return None
            if self.lazy:
                size = min(size, sizer.window(self.options.buffersize) - self.source.drawn + self._handed)
            drawn = self.source.take(size) if size > 0 else None
            if drawn is not None:
                self._running.add(drawn.start)
            return drawn

    def take_back(self, give_back: Callable[[], Chunk | None]) -> None:
        """Takes the items back that an engine has not started.

        In one step: who runs the others cannot settle them, and find that the call is over, before these are here.
        """
        with self._lock:
            chunk = give_back()
            if chunk is not None:
                self._again.append(chunk)

    def settle(self, outcome: Done | Lost) -> None:
        """Notes what became of a chunk."""
        with self._lock:
            self._running.discard(outcome.chunk.start)
            if isinstance(outcome, Done):
                self._settle_done(outcome)
            else:
                self._settle_lost(outcome)

    def hand_out(self) -> Iterator[list[Any]]:
        """Yields the results whose turn has come."""
        while True:
            with self._lock:
                results = self._merge.take()
            if not results:
                return
            count = len(results)
            yield results
            self._handed += count

    @property
    def failure(self) -> BaseException | None:
        """The error that ends the call, once the results before it have been handed out.

        An eager call has no results before its end, so any failure will do, and the earliest item's is the loop's.
        """
        with self._lock:
            if self.failed:
                return self._merge.failure if self.lazy else self._merge.first_failure()
            return self.source.error if self.over and not self._running else None

    @property
    def may_fail_earlier(self) -> bool:
        """Whether an item before the one that failed is still to be run, or is being run."""
        with self._lock:
            return bool(self._again) or any(start < self.failed_at for start in self._running)

    def _settle_done(self, outcome: Done) -> None:
        chunk, values = outcome.chunk, outcome.values
        self.done += len(values)
        begin = 0
        for failure in outcome.failures:
            position = failure.at - chunk.start
            if isinstance(failure.error, Exception) and self._retry(chunk, position):
                self._merge.add(chunk.start + begin, values[begin:position])
                begin = position + 1
                continue
            note_item(failure, self._show(chunk, position))
            if self.task.keep_going and isinstance(failure.error, Exception):
                values[position] = failure.error
            else:
                self._merge.add(chunk.start + begin, values[begin:position])
                begin = position + 1
                self._fail(failure.at, failure.error)
        self._merge.add(chunk.start + begin, values[begin:] if begin else values)
        if len(values) < len(chunk.items):
            self._rerun(chunk.part(len(values)))

    def _show(self, chunk: Chunk, position: int) -> str:
        item = chunk.items[position : position + 1]  # a loop lets its list be changed under it
        return show_arguments(item[0], self.task.packed) if item else "no longer in its list"

    def _settle_lost(self, outcome: Lost) -> None:
        chunk, failure = outcome.chunk, outcome.failure
        if outcome.alone:
            for position in range(len(chunk.items)):
                self._rerun(chunk.part(position, position + 1))
            return
        if failure is None:
            self._rerun(chunk)
            return
        position = failure.at - chunk.start
        self._rerun(chunk.part(0, position))
        self._rerun(chunk.part(position + 1))
        self._settle_done(Done(chunk.part(position, position + 1), [None], [failure], 0.0, 0))

    def _retry(self, chunk: Chunk, position: int) -> bool:
        if chunk.tries >= self.options.retries or self.failed:
            return False
        self._again.append(chunk.part(position, position + 1)._replace(tries=chunk.tries + 1))
        return True

    def _rerun(self, chunk: Chunk) -> None:
        # After a failure, only the items before it are still of use: they may fail too, or be waited for.
        if chunk.items and not (self.failed and chunk.start > self.failed_at):
            self._again.append(chunk)

    def _fail(self, index: int, error: BaseException) -> None:
        self.failed_at = min(index, self.failed_at) if self.failed else index
        self.failed = True
        self._again = deque(chunk for chunk in self._again if chunk.start < self.failed_at)
        self._merge.fail(index, error)


class Driver:
    """Gives a call's items to one engine. Owned by one thread at a time."""

    def __init__(self, call: Call, backend: Backend, sizer: Sizer) -> None:
        self.call = call
        self.backend = backend
        self.broken: Broken | None = None
        self.sizer = sizer

    def fill(self, pull: bool = True) -> None:
        """Gives the engine the items it has room for; see `Call.next_chunk` for ``pull``."""
        self.backend.depth = self.sizer.depth
        while self.backend.room() and (chunk := self.call.next_chunk(self.sizer, pull)) is not None:
            self.backend.submit(chunk)

    def settle(self, timeout: float = SIGNAL_WAIT) -> None:
        """Waits at most ``timeout`` seconds for outcomes and notes those that have come."""
        for outcome in self.backend.wait(timeout):
            if isinstance(outcome, Broken):
                self.broken = self.broken or outcome
                continue
            if isinstance(outcome, Done):
                self.sizer.observe(len(outcome.values), outcome.seconds, outcome.size)
            self.call.settle(outcome)

    def end_failed(self) -> None:
        """After a failure of an eager call: starts no later item, and gives the items before the failed one time.

        They may fail too, and the loop would have raised the error of the earliest.
        """
        self.backend.cancel(self.call.failed_at + 1)
        deadline = perf_counter() + ERROR_GRACE
        while self.call.may_fail_earlier and (left := deadline - perf_counter()) > 0:
            self.fill()
            self.settle(left)

    def end_broken(self) -> None:
        """After the engine broke: takes back the items that it has not started, or raises if that is of no use."""
        assert self.broken is not None
        if not self.broken.elsewhere or self.call.options.backend != "auto":
            raise self.broken.error
        self.backend.cancel(0)
        while self.backend.flying:
            self.settle()


def drive(driver: Driver) -> Iterator[list[Any]]:
    """Runs a call to its end on one engine and yields its results, in runs, as their turn comes.

    The engine is closed when the iterator is: at the end, by an error, or by its consumer.
    """
    call, backend = driver.call, driver.backend
    grace = 0.0  # for an interrupt
    try:
        while driver.broken is None and not (call.over and not backend.flying):
            yield from call.hand_out()
            if call.failed and not call.lazy:
                driver.end_failed()
                break
            if call.failure is not None:
                break
            driver.fill()
            if backend.flying:
                driver.settle()
        if driver.broken is not None:
            driver.end_broken()
        yield from call.hand_out()
        learned.remember(call.task.func, driver.sizer.seconds)
        grace = CLOSE_GRACE
    except (Exception, GeneratorExit):
        grace = CLOSE_GRACE
        raise
    finally:
        backend.close(grace)


def engine(call: Call, plan: Plan) -> Driver:
    """Opens the engine of a plan.

    Raises:
        SerializationError: The function cannot travel to another process.
        OSError: Processes cannot be started.
        RuntimeError: Threads cannot be started.
    """
    options, source = call.options, call.source
    first = min(source.first, LAZY_FIRST_CHUNK) if call.lazy else source.first
    backend: Backend
    if plan.backend == "serial":
        return Driver(call, Serial(call.task, call.disposable), loop_sizer(call, ahead=source.inert))
    sizer = Sizer(options.chunksize, plan.workers, first, call.left, seconds=learned.recall(call.task.func))
    if plan.backend == "thread":
        from parmap._backends._threads import Threads

        backend = Threads(call.task, plan.workers)
    else:
        if (reason := why_no_processes()) is not None:
            raise OSError(reason)
        if is_posix():
            from parmap._backends._processes import Processes

            backend = Processes(call.task, plan.workers, cpu_count())
        else:
            from parmap._backends._executor import Executor

            backend = Executor(call.task, plan.workers, cpu_count())
    return Driver(call, backend, sizer)


def loop_sizer(call: Call, ahead: bool) -> Sizer:
    """The sizes of blocks in the calling thread; ``ahead``: whether it may read items before it runs them."""
    source = call.source
    if call.lazy or not ahead:
        return Sizer(1, 1, 1, None)
    # All of a sequence at first: what the caller has not started can be taken from it at any time.
    return Sizer(None, 1, ALL if source.sliced else source.first, None, most=MAX_BLOCK)


def run(call: Call) -> Iterator[list[Any]]:
    """Runs a call on the engine that its options name and yields its results, in runs, as their turn comes."""
    plan = plan_given(call.options, cpu_count())
    log_plan(plan)
    try:
        driver = engine(call, plan)
    except (OSError, RuntimeError) as error:
        if not is_exiting():
            kind = "processes" if plan.backend == "process" else "threads"
            warn_fallback(f"this call runs as a plain loop, because {kind} cannot be started: {error}")
        driver = engine(call, plan._replace(backend="serial"))
    yield from drive(driver)


def processes_are_warm() -> bool:
    """Whether worker processes are waiting for a call."""
    pool = sys.modules.get("parmap._backends._processes._pool")
    return pool is not None and pool.is_warm()


def log_plan(plan: Plan) -> None:
    """Logs a plan and its reason, for those who have logging on."""
    logging = sys.modules.get("logging")  # nobody has a handler where it was not imported
    if logging is not None:
        logging.getLogger("parmap").debug("%s, %d workers: %s", plan.backend, plan.workers, plan.reason)


def warn_fallback(reason: str) -> None:
    """Says, once for each place that calls parmap, that the call runs in another way."""
    import inspect  # costs 5 ms, and only a warning needs it

    level = 1
    frame = inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "parmap":
        level += 1
        frame = frame.f_back
    warnings.warn(reason, FallbackWarning, stacklevel=level)
