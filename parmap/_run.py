"""The loop: fill, wait, settle, hand out.

`drive` is the one loop that gives the items of a call (see `_call`) to an engine and takes the outcomes back.
"""

import sys
import warnings
from collections.abc import Generator, Iterator
from time import perf_counter
from typing import Any

from parmap._backends._base import Backend
from parmap._backends._serial import Serial
from parmap._call import Call
from parmap._chunks import Sizer
from parmap._cores import cpu_count
from parmap._errors import (
    FallbackWarning,
    SerializationError,
)
from parmap._judge import Judge
from parmap._learned import learned
from parmap._observe import is_exiting, is_posix
from parmap._records import ALL, Broken, Done, Lost, Plan
from parmap._strategy import plan_given
from parmap._tuning import (
    CHUNK_TARGET,
    CLOSE_GRACE,
    ERROR_GRACE,
    LAZY_FIRST_CHUNK,
    MAX_BLOCK,
    SIGNAL_WAIT,
    THREAD_CHUNK_TARGET,
)


class Driver:
    """Gives a call's items to one engine. Owned by one thread at a time.

    Attributes:
        judge: Who says whether the engine is the right one; ``None``: it was asked for.
        unopened: Why the engine cannot be opened.
        broken: Why the engine cannot go on.
        better: What should go on instead of it.
        latest: How many items the last chunk had, and the seconds that they took together.
    """

    def __init__(self, call: Call, backend: Backend, sizer: Sizer) -> None:
        self.call = call
        self.backend = backend
        self.sizer = sizer
        self.judge: Judge | None = None
        self.unopened: Exception | None = None
        self.broken: Broken | None = None
        self.better: Plan | None = None
        self.latest = 0, 0.0
        self._items = 0
        self._seconds = 0.0  # that they took, together

    @property
    def mean(self) -> float:
        """Seconds that an item took on average; 0.0: none was run."""
        return self._seconds / self._items if self._items else 0.0

    def step(self) -> None:
        """Gives the engine work, waits for what comes of it, and judges it."""
        self.fill()
        if self.backend.flying:
            self.settle()
        if self.judge is not None:
            if self.backend.ready:
                self.better = self.judge.judge(self.call.left)
            else:
                self.judge.begin()

    def hand_out(self) -> Iterator[list[Any]]:
        """Yields the results whose turn has come; what their consumer does meanwhile is not the engine's time."""
        for results in self.call.hand_out():
            begin = perf_counter()
            yield results
            if self.judge is not None:
                self.judge.pause(perf_counter() - begin)

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
                self._hear(outcome)
                self.call.settle(outcome)
            else:
                self.call.settle(self._see_to(outcome))

    def _see_to(self, lost: Lost) -> Lost:
        """Under ``auto``, an item that cannot be sent is no failure: it and all others go where nothing is sent."""
        if not lost.unsent or lost.failure is None or self.call.options.backend != "auto":
            return lost
        self.broken = self.broken or Broken(lost.failure.error, elsewhere=True)
        return lost._replace(failure=None)

    def _hear(self, outcome: Done) -> None:
        count = len(outcome.values)
        self.sizer.observe(count, outcome.seconds, outcome.size)
        self.latest = count, outcome.seconds
        self._items += count
        self._seconds += outcome.seconds
        if self.judge is not None:
            self.judge.hear(outcome)

    def end_failed(self) -> None:
        """After a failure of an eager call: starts no later item, and gives the items before the failed one time.

        They may fail too, and the loop would have raised the error of the earliest.
        """
        self.backend.cancel(self.call.failed_at + 1)
        deadline = perf_counter() + ERROR_GRACE
        while self.call.may_fail_earlier and (left := deadline - perf_counter()) > 0:
            self.fill()
            self.settle(left)

    def end_unfinished(self) -> None:
        """Takes back the items that the engine has not started, or raises if it broke and that is of no use."""
        broken = self.broken
        if broken is not None and not (broken.elsewhere and self.call.options.backend == "auto"):
            raise broken.error
        self.backend.cancel(0)
        while self.backend.flying:
            self.settle()


def drive(driver: Driver) -> Iterator[list[Any]]:
    """Runs a call to its end on one engine and yields its results, in runs, as their turn comes.

    The engine is opened, unless it is open or cannot be, and closed when the iterator is: at the end, by an error, or by
    its consumer.
    """
    call, backend = driver.call, driver.backend
    grace = 0.0  # for an interrupt
    try:
        try:
            backend.open()
        except (SerializationError, OSError, RuntimeError) as error:
            driver.unopened = error
            return
        while driver.broken is None and driver.better is None and not (call.over and not backend.flying):
            yield from driver.hand_out()
            if call.failed and not call.lazy:
                driver.end_failed()
                break
            if call.failure is not None:
                break
            driver.step()
        if driver.broken is not None or driver.better is not None:
            driver.end_unfinished()
        yield from call.hand_out()
        grace = CLOSE_GRACE
    except (Exception, GeneratorExit):
        grace = CLOSE_GRACE
        raise
    finally:
        try:
            backend.close(grace)
        except BaseException:  # an interrupt
            backend.close(0.0)
            raise


def engine(call: Call, plan: Plan) -> Driver:
    """The engine of a plan, which is still to be opened."""
    options, source = call.options, call.source
    first = min(source.first, LAZY_FIRST_CHUNK) if call.lazy else source.first
    target = CHUNK_TARGET
    first = first if options.timeout is None else 1  # items may be long, and those of a chunk wait for each other
    backend: Backend
    if plan.backend == "serial":
        return Driver(call, Serial(call.task, call.disposable), loop_sizer(call, ahead=source.inert))
    fixed = options.chunksize
    if plan.backend == "thread":
        from parmap._backends._threads import Threads

        fixed = fixed if options.timeout is None else 1  # a thread is given up with all that it holds
        target = THREAD_CHUNK_TARGET
        backend = Threads(call.task, plan.workers)
    elif is_posix():
        from parmap._backends._processes import Processes

        # Of an input without a length the caller's choice says nothing; what was seen of the loop says that it is long.
        wanted = call.left if call.left is not None else plan.workers if options.backend == "auto" else 1
        backend = Processes(call.task, plan.workers, cpu_count(), wanted)
    else:
        from parmap._backends._executor import Executor

        backend = Executor(call.task, plan.workers, cpu_count())
    seconds = learned.recall(call.task.func).seconds
    sizer = Sizer(fixed, plan.workers, first, call.left, seconds=seconds, target=target)
    return Driver(call, backend, sizer)


def loop_sizer(call: Call, ahead: bool, seconds: float = 0.0) -> Sizer:
    """The sizes of blocks in the calling thread.

    Args:
        call: The call.
        ahead: Whether the thread may read items before it runs them.
        seconds: What an item takes, where the thread is to come out of its items soon.
    """
    source = call.source
    if call.lazy or not ahead:
        return Sizer(1, 1, 1, None)
    # All of a sequence at first: what the caller has not started can be taken from it at any time.
    first = ALL if source.sliced and not seconds else source.first
    return Sizer(None, 1, first, None, seconds=seconds, most=MAX_BLOCK)


def run(call: Call) -> Generator[list[Any], None, None]:
    """Runs a call on the engine that its options call for and yields its results, in runs, as their turn comes."""
    plan: Plan | None = plan_given(call.options, cpu_count())
    judged = call.options.backend == "auto"
    while plan is not None:
        log_plan(plan)
        driver = engine(call, plan)
        driver.judge = Judge(call.options, plan, None) if judged else None
        yield from drive(driver)
        learned.remember(call.task.func, driver.mean)
        judged = judged and driver.broken is None
        plan = _instead(call, plan, driver)


def _instead(call: Call, plan: Plan, driver: Driver) -> Plan | None:
    """The plan that goes on after another one's engine; ``None``: that one has done all.

    Raises:
        SerializationError: The function cannot travel, and the engine was asked for.
        OSError: Processes cannot be started, and nothing else does what was asked for.
        RuntimeError: Nor can threads.
    """
    if driver.unopened is not None:
        return _plan_without(call, plan, driver.unopened)
    if driver.broken is not None:
        warn_fallback(f"this call goes on in threads, because {driver.broken.error}")
        return plan._replace(backend="thread")
    return driver.better


def _plan_without(call: Call, plan: Plan, reason: Exception) -> Plan:
    """The plan, with a warning, that does best without the engine that cannot be had."""
    options = call.options
    if isinstance(reason, SerializationError):
        if options.backend != "auto":
            raise reason
    elif options.timeout is not None and (plan.backend == "thread" or options.seed is not None):
        raise reason  # the loop cannot end an item, nor can threads that wait for their turn
    other, words = plan._replace(backend="serial"), "as a plain loop"
    if options.timeout is not None:
        other, words = plan._replace(backend="thread", workers=max(plan.workers, 2)), "in threads"
    if not is_exiting():
        what = "" if isinstance(reason, SerializationError) else f"{_KINDS[plan.backend]} cannot be started: "
        warn_fallback(f"this call runs {words}, because {what}{reason}")
    return other


_KINDS = {"process": "processes", "thread": "threads"}


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
