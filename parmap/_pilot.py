"""The loop in the caller's thread, watched from a second one, and the hand-over to an engine.

A call with ``backend="auto"`` begins as the plain loop. A watch beside it looks at what the loop does and, when it
pays, opens an engine, while the caller's thread goes on with its items. As soon as a worker is up, and not before,
the engine gets items: the caller gives those that it has not started back, ends the one that it is in, and takes the
engine over. So a call that ends sooner than was forecast does not wait for workers.

Who owns what:

- The call (`_call.Call`) has a lock and may be used from both threads.
- The engine belongs to the watch from its opening until the watch has ended, then to the caller. The caller ends the
  watch before it touches the engine, and it does so as soon as it is not inside an item.
- Only the caller draws from iterators that run the user's code, and only the caller runs items here. No item is
  drawn twice: what the caller has drawn and not started is given back under the lock of the serial engine.
- Whatever fails in the watch is kept for the caller, who warns and goes on as the loop.

What was seen of a function in an earlier call may be enough: then the caller opens the engine at once. And an engine
that turns out to be slower than the loop is left for another one, or for the loop.
"""

import contextlib
from collections.abc import Generator, Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any

from parmap._backends._serial import Serial
from parmap._call import Call
from parmap._errors import SerializationError
from parmap._handover import Handover, Presence
from parmap._judge import Judge
from parmap._learned import learned
from parmap._observe import Meter, Pace, eager_switching
from parmap._prospect import Prospect
from parmap._records import Plan, Sample, Seen
from parmap._run import Driver, drive, engine, log_plan, loop_sizer, warn_fallback
from parmap._tuning import KNOCK_PAUSE, LONG_ITEM, OFFER_WAIT, REST, WATCH_WINDOW

if TYPE_CHECKING:
    from parmap._companion import Companion


def fly(call: Call) -> Generator[list[Any], None, None]:
    """Runs a call, first as the loop, then on the engine that what was seen calls for; yields results in runs."""
    serial = Serial(call.task, call.disposable)
    watch = _Watch(call, serial, learned.recall(call.task.func))
    try:
        loop = Driver(call, serial, loop_sizer(call, ahead=True, seconds=watch.start(anew=True)))
        while True:
            yield from _pilot(loop, watch, serial)
            last, follower = loop, watch.stop(loop.mean)
            while follower is not None:
                yield from drive(follower)
                last, follower = follower, watch.better(follower)
            refusal = watch.refusal(last)
            if refusal is None:
                break
            watch = _Watch(call, serial, refusal)
            watch.start(anew=False)
        yield from drive(loop)
    except BaseException:
        try:
            watch.abort()
        except BaseException:  # an interrupt
            watch.abort()
            raise
        raise
    watch.remember(last)


def _pilot(loop: Driver, watch: "_Watch", serial: Serial) -> Iterator[list[Any]]:
    """The loop in the caller's thread, until an engine is up or nothing is left for it."""
    call = loop.call
    while not (call.over or watch.wanted):
        yield from call.hand_out()
        if call.failed:
            break
        watch.take_offer()
        if watch.wanted:
            break
        loop.fill()
        if not serial.flying:
            break  # the consumer is as far behind as it may be, or the items are all with the engine
        watch.caller_enters()
        loop.settle()
        watch.caller_leaves(*loop.latest)


class _Watch:
    """The second thread: looks, decides, opens the engine, feeds it until the caller comes."""

    def __init__(self, call: Call, serial: Serial, seen: Seen) -> None:
        self._call = call
        self._serial = serial
        self._prospect = Prospect(call, seen)
        self._opened: Driver | None = None  # the last engine that was opened, or was to be: what `abort` closes
        self._driver: Driver | None = None  # it, if it is open
        self._ready = False  # whether the engine's workers are up
        self._guessed = False  # whether the plan was a guess when the caller went on to run items
        self._refuted: Plan | None = None  # instead of what the watch does already, since the guess was wrong
        self._error: BaseException | None = None  # why there is no engine; with one: why its results are lost
        self._handover = Handover()
        self._presence = Presence()
        self._companion: Companion | None = None  # the thread that this runs in

    # --- in the caller's thread ---

    @property
    def wanted(self) -> bool:
        """Whether the caller should come, because the engine is up or is of no use."""
        return self._refuted is not None or (self._ready and not self._prospect.guess)

    def start(self, anew: bool) -> float:
        """Begins to watch the calling thread, unless what was seen before is enough; returns seconds an item then.

        Args:
            anew: Whether the call begins; else an engine has not paid, and there is no need for haste.
        """
        if anew and (seconds := self._prospect.recall()):
            return seconds
        with contextlib.suppress(RuntimeError):  # no thread, as in an exit handler since Python 3.12: it stays a loop
            from parmap._companion import hire  # `import parmap` does without

            self._companion = hire(self._run)
        return 0.0

    def caller_enters(self) -> None:
        """Says that the caller goes on to run items."""
        self._guessed = self._prospect.guess
        self._presence.enter()

    def caller_leaves(self, items: int, seconds: float) -> None:
        """Says that the caller has come back from its items, and how long they took together."""
        if self._call.lazy:  # it may stay away for long
            self._presence.leave()
        if self._guessed and (confirmed := self._prospect.is_confirmed(items, seconds)) is not None:
            if not confirmed and self._handover.revise(self._prospect.drop):
                self._refuted = Plan("serial", 1, "one item took long, and the next ones do not")
            self._prospect.guess = False

    def take_offer(self) -> None:
        """Opens the engine that the watch has found right, if that pays, and then asks whether it is up.

        The caller does so itself because the two threads would fight for the GIL: while one computes, whatever
        releases the GIL in the other, each file that an import reads, costs it a switch interval.
        """
        prospect = self._prospect
        if not self._handover.taken:
            if (
                prospect.plan is None
                or prospect.guess
                or self._error is not None
                or not self._handover.take(lambda: self._pays(self._serial.sample))
            ):
                return
            self._open(prospect.plan)
        if self._driver is not None:
            if not self._driver.backend.ready:
                self._driver.settle(0)
            self._ready = self._driver.backend.ready or self._driver.broken is not None

    def stop(self, seconds: float) -> Driver | None:
        """Ends the watch and takes its engine over, if there is one. In the loop, an item took so many seconds."""
        self._end()
        if self._error is not None and self._driver is not None:
            self.abort()
            raise self._error
        if self._error is not None:
            self._warn(self._error)
        if self._driver is not None:
            self._driver.backend.spare = 0
            self._driver.better = self._refuted
            if self._driver.judge is not None:
                self._driver.judge.facts = self._prospect.compare_with(seconds)
                self._driver.judge.begin()
        return self._driver

    def abort(self) -> None:
        """Ends the watch and closes its engine. May be called again."""
        self._end()
        self._close()

    def better(self, driver: Driver) -> Driver | None:
        """After an engine: the one that is to go on instead, if its work was not done; ``None``: the loop."""
        if driver.broken is not None:
            self._warn(driver.broken.error)
        if driver.better is None or driver.judge is None:
            return None
        self._prospect.refuse(driver.judge.plan.backend, driver.judge.gil_bound)
        if driver.better.backend == "serial":
            log_plan(driver.better)
            return None
        self._open(driver.better)
        if self._error is not None:
            self._warn(self._error)
            return None
        return self._driver

    def refusal(self, driver: Driver) -> Seen | None:
        """What is to be known when the loop goes on, watched again, because an engine did not pay; ``None``: it did."""
        if driver.judge is None or driver.better is None or driver.better.backend != "serial":
            return None
        return self._prospect.after(driver.judge.seconds)

    def remember(self, driver: Driver) -> None:
        """Notes what was seen for the next call; ``driver``: who ran the last items."""
        if driver.judge is not None and driver.judge.gil_bound:
            self._prospect.refuse("thread", gil_bound=True)
        self._prospect.remember(driver.mean, "serial" if driver.judge is None else driver.judge.plan.backend)

    def _warn(self, error: BaseException) -> None:
        warn_fallback(f"this call goes on as a plain loop, because {error}")

    def _end(self) -> None:
        """Ends the watch. May be called again, also after an interrupt."""
        acting = self._handover.end()
        self._presence.enter()
        companion = self._companion
        if companion is None:
            return
        begun = not companion.withdraw()
        if begun and (acting or self._call.lazy):  # else it only looks, and ends by itself: no need to wait for that
            if self._driver is not None:
                self._driver.backend.wake()
            self._handover.wait()
        self._companion = None
        companion.release()

    # --- in either thread, whoever acts ---

    def _open(self, plan: Plan) -> None:
        log_plan(plan)
        if plan.backend == "process":
            learned.missed = 0.0
        self._driver = None
        try:
            driver = self._opened = engine(self._call, plan)
            driver.judge = Judge(self._call.options, plan, self._prospect.facts)
            driver.sizer.expect(self._prospect.seconds)
            if not self._handover.ended:
                driver.backend.spare = 1
            driver.backend.open()
            self._driver = driver
        except Exception as error:
            self._error = error
            self._close()

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.backend.close(0.0)

    def _pays(self, sample: Sample | None) -> bool:
        """Whether the plan stands when what the items and results cost on their way is counted, as measured here."""
        if self._error is not None:
            return False
        try:
            return self._prospect.weigh(sample)
        except SerializationError as error:
            self._error = error
            return False

    # --- in the watch's thread ---

    def _run(self, meter: Meter) -> None:
        try:
            while self._look(meter):
                self._give_back()
                patience = OFFER_WAIT if self._prospect.facts.current < LONG_ITEM else 0.0
                if self._handover.stop.acquire(timeout=patience):
                    return  # the caller has come, and does what is to be done
                with eager_switching():
                    if self._handover.act(lambda: self._pays(self._call.peek())):
                        assert self._prospect.plan is not None, "it pays"
                        self._open(self._prospect.plan)
                        if self._driver is not None:
                            self._feed(self._driver)
                        return
                if self._error is not None:
                    return  # there is no use in another plan
        except BaseException as error:
            self._error = error
        finally:
            self._handover.over()

    def _give_back(self) -> None:
        """Takes the items that the caller has not started away from it, to be given to anyone."""
        self._call.take_back(self._serial.give_back)

    def _look(self, meter: Meter) -> bool:
        """Watches until there is a plan; false: the caller has no more use of one."""
        pace = Pace(self._started())
        pause = KNOCK_PAUSE
        while True:
            self._presence.wait()
            busy = self._presence.seconds()
            signals, begin = None, perf_counter()
            while signals is None:
                end, sleep = perf_counter() + WATCH_WINDOW, pause
                while perf_counter() < end:
                    if meter.knock(self._handover.stop, sleep):
                        return False
                    sleep = KNOCK_PAUSE
                signals = meter.end()
            passed = perf_counter() - begin
            inside = self._presence.seconds() - busy
            pace.note(self._started(), inside)
            if inside < passed / 2:
                continue  # the consumer took most of it
            if self._prospect.look(pace, self._serial.unstarted, signals):
                return True
            pause = REST  # the loop is likely to stay one, so it is disturbed less from now on

    def _started(self) -> int:
        """Items of the call that the caller has started."""
        return self._call.done + self._serial.started

    def _feed(self, driver: Driver) -> None:
        """Drives the engine; as soon as it is up, takes the items that the caller has not started for it."""
        while self._handover.stop.locked() and driver.broken is None:
            if driver.backend.ready:
                if not self._ready:
                    self._ready = True
                    self._give_back()
                driver.fill(pull=False)
            driver.settle()
