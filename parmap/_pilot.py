"""The loop in the caller's thread, watched from a second one, and the hand-over to an engine.

A call with ``backend="auto"`` begins as the plain loop. A watch beside it looks at what the loop does and, when it
pays, opens an engine and gives it items, while the caller's thread goes on with its own. As soon as a worker is up
the caller gives the items that it has not started back, ends the one that it is in, and takes the engine over.

Who owns what:

- The call (`_run.Call`) has a lock and may be used from both threads.
- The engine belongs to the watch from its opening until the watch has ended, then to the caller. The caller ends the
  watch before it touches the engine, and it does so as soon as it is not inside an item.
- Only the caller draws from iterators that run the user's code, and only the caller runs items here. No item is
  drawn twice: what the caller has drawn and not started is given back under the lock of the serial engine.
- Whatever fails in the watch is kept for the caller, who warns and goes on as the loop.
"""

import contextlib
import threading
from collections.abc import Iterator
from time import perf_counter
from typing import Any

from parmap._backends._serial import Serial
from parmap._companion import Companion, hire
from parmap._cores import cpu_count
from parmap._observe import Meter, Signals, eager_switching
from parmap._records import Facts, Plan
from parmap._run import Call, Driver, drive, engine, log_plan, loop_sizer, processes_are_warm, warn_fallback
from parmap._strategy import plan_seen
from parmap._tuning import OFFER_WAIT, WATCH_WINDOW


def fly(call: Call) -> Iterator[list[Any]]:
    """Runs a call, first as the loop, then on the engine that what was seen calls for; yields results in runs."""
    serial = Serial(call.task, call.disposable)
    loop = Driver(call, serial, loop_sizer(call, ahead=True))
    watch = _Watch(call, serial)
    watch.start()
    try:
        while not (call.over or watch.ready):
            yield from call.hand_out()
            if call.failed:
                break
            watch.caller_enters()
            watch.open_offered()
            loop.fill()
            if not serial.flying:
                break  # the consumer is as far behind as it may be, or the items are all with the engine
            loop.settle()
            watch.caller_leaves()
    except BaseException:
        watch.abort()
        raise
    follower = watch.stop()
    if follower is not None:
        yield from drive(follower)
        if follower.broken is not None:
            watch.warn(follower.broken.error)
    yield from drive(loop)


class _Presence:
    """When the caller is inside its items. It enters and leaves; the watch waits for it and asks for how long."""

    def __init__(self) -> None:
        self._inside = threading.Event()
        self._entered = 0.0
        self._before = 0.0  # seconds inside, up to the last leaving

    def enter(self) -> None:
        if not self._inside.is_set():
            self._entered = perf_counter()
            self._inside.set()

    def leave(self) -> None:
        self._inside.clear()
        self._before += perf_counter() - self._entered

    def wait(self) -> None:
        self._inside.wait()

    def seconds(self) -> float:
        return self._before + (perf_counter() - self._entered if self._inside.is_set() else 0.0)


class _Watch:
    """The second thread: looks, decides, opens the engine, feeds it until the caller comes.

    Attributes:
        ready: Whether the engine's workers are up, so that the caller should come.
    """

    def __init__(self, call: Call, serial: Serial) -> None:
        self.ready = False
        self._call = call
        self._serial = serial
        self._driver: Driver | None = None
        self._offer: Plan | None = None  # what the watch would do, for the caller to do if it comes soon
        self._error: BaseException | None = None  # why there is no engine; with one: why its results are lost
        self._stop = threading.Lock()  # held until the watch is to stop
        self._ended = threading.Lock()  # held until the watch has ended
        self._lock = threading.Lock()  # guards the next one against a stop at the same time
        self._acting = False  # whether the watch does more than look
        self._presence = _Presence()
        self._companion: Companion | None = None  # the thread that this runs in

    # --- in the caller's thread ---

    def start(self) -> None:
        """Starts to watch the calling thread."""
        self._stop.acquire()
        self._ended.acquire()
        with contextlib.suppress(RuntimeError):  # no thread, as in an exit handler since Python 3.12: it stays a loop
            self._companion = hire(self._run)

    def caller_enters(self) -> None:
        """Says that the caller goes on to run items."""
        self._presence.enter()

    def caller_leaves(self) -> None:
        """Says that the caller has come back from its items; a lazy call may stay away for long."""
        if self._call.lazy:
            self._presence.leave()

    def open_offered(self) -> None:
        """Opens the engine that the watch has found right, if it has, and feeds it while it starts.

        The caller does so itself because the two threads would fight for the GIL: while one computes, whatever
        releases the GIL in the other, each file that an import reads, costs it a switch interval.
        """
        if self._offer is not None and self._driver is None and self._error is None:
            with self._lock:
                if self._acting:
                    return
                self._stop.release()
            self._open(self._offer)
        if self._driver is not None and not self._acting:
            self._driver.fill()
            self._driver.settle(0)
            self.ready = self._driver.backend.ready or self._driver.broken is not None

    def _open(self, plan: Plan) -> None:
        log_plan(plan)
        try:
            self._driver = engine(self._call, plan)
            self._driver.backend.spare = 1
        except Exception as error:
            self._error = error

    def stop(self) -> Driver | None:
        """Ends the watch and takes its engine over, if there is one."""
        self._end()
        if self._error is not None and self._driver is not None:
            self.abort()
            raise self._error
        if self._error is not None:
            self.warn(self._error)
        if self._driver is not None:
            self._driver.backend.spare = 0
        return self._driver

    def abort(self) -> None:
        """Ends the watch and closes its engine."""
        self._end()
        if self._driver is not None:
            self._driver.backend.close(0.0)

    def warn(self, error: BaseException) -> None:
        """Says that the call goes on as the loop."""
        warn_fallback(f"this call goes on as a plain loop, because {error}")

    def _end(self) -> None:
        if self._stop.locked():
            self._stop.release()
        self._presence.enter()
        companion, self._companion = self._companion, None
        if companion is None:
            return
        begun = not companion.withdraw()
        with self._lock:
            acting = self._acting
        if begun and (acting or self._call.lazy):  # else it only looks, and ends by itself: no need to wait for that
            if self._driver is not None:
                self._driver.backend.wake()
            self._ended.acquire()
            self._ended.release()
        companion.release()

    # --- in the watch's thread ---

    def _run(self, meter: Meter) -> None:
        try:
            plan = self._look(meter)
            if plan is None or self._offer_to_caller(plan):
                return
            with eager_switching():
                self._open(plan)
                if self._driver is not None:
                    self._feed(self._driver)
        except BaseException as error:
            self._error = error
        finally:
            self._ended.release()

    def _offer_to_caller(self, plan: Plan) -> bool:
        """Makes the caller come out of its items; true: it has come, and does what is to be done."""
        self._give_back()
        self._offer = plan
        if self._stop.acquire(timeout=OFFER_WAIT):
            return True
        with self._lock:
            self._acting = self._stop.locked()
        return not self._acting

    def _give_back(self) -> None:
        """Takes the items that the caller has not started away from it, to be given to anyone."""
        self._call.take_back(self._serial.give_back)

    def _look(self, meter: Meter) -> Plan | None:
        """Watches until there is a plan, or until the caller has no more use of one."""
        cores = cpu_count()
        seen, current = 0, 0.0
        while True:
            self._presence.wait()
            meter.begin()
            busy = self._presence.seconds()
            end = perf_counter() + WATCH_WINDOW
            while perf_counter() < end:
                if meter.knock(self._stop):
                    return None
            if self._presence.seconds() - busy < WATCH_WINDOW / 2:
                continue  # the consumer took most of it
            started = self._call.done + self._serial.started
            current = current + WATCH_WINDOW if started == seen else 0.0
            seen = started
            plan = plan_seen(self._call.options, self._facts(cores, current, meter.end()))
            if plan is not None:
                return plan

    def _facts(self, cores: int, current: float, signals: Signals) -> Facts:
        left = self._call.left
        return Facts(
            busy=self._presence.seconds(),
            done=max(0, self._call.done + self._serial.started - 1),
            left=None if left is None else left + self._serial.unstarted,
            current=current,
            waiting=signals.waiting,
            gil_held=signals.gil_held,
            process_cpu=signals.process_cpu,
            cores=cores,
            warm=processes_are_warm(),
        )

    def _feed(self, driver: Driver) -> None:
        """Drives the engine; as soon as it is up, takes the items that the caller has not started for it."""
        while self._stop.locked() and driver.broken is None:
            if driver.backend.ready and not self.ready:
                self.ready = True
                self._give_back()
            driver.fill(pull=False)
            driver.settle()
