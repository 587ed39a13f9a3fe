"""The only look at clocks, cores and the GIL. What is seen goes to the strategy as a record of facts.

A meter watches one thread from another one, without any help from it:

- its CPU clock tells how much of a window it computed;
- its wait for a core (`/proc/.../schedstat`) tells a thread that is kept from running by a busy machine from one that
  waits by itself;
- a short sleep that ends late tells that the GIL could not be had ("knocking"); what the measuring thread itself
  waited for a core, on a busy machine, is taken off;
- where the knocks are in time, the measuring thread keeps the GIL for a moment: code that only gives it up for
  moments, as NumPy does on small arrays, cannot go on then, which its CPU clock tells;
- the CPU clock of the process tells whether the item keeps several cores busy by itself, and those of the programs
  that it has started (`_programs`) whether they do.

Where a signal does not exist, the meter answers as for computing work that holds the GIL.
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import NamedTuple

from parmap._tuning import (
    BUSY_SHARE,
    CLEARLY,
    CROWDED_SHARE,
    GOES_ON_ABOVE,
    HOLD_SECONDS,
    HOLDS,
    KNOCK_PAUSE,
    LEAST_HOLDS,
    MOST_WINDOWS,
    SURE_AFTER,
    SWITCH_INTERVAL,
    TAKEN_SHARE,
    WAITING_BELOW,
    WATCH_WINDOW,
)


class Signals(NamedTuple):
    """What a window showed. Shares are 0 to 1, `waiting` of the time in which the thread had a core if it wanted one.

    CPU is by wall time.
    """

    waiting: float
    gil_held: float
    process_cpu: float
    programs_cpu: float = 0.0


class Pace:
    """How fast the loop goes, from how many items had been started after each window.

    Attributes:
        busy: Seconds that the caller's thread spent in items.
        done: Items that ended meanwhile.
        recent: Seconds that an item took in the last window; 0.0: none ended in it.
        current: Seconds that the item which is being run has taken, if none ended in the last window.
    """

    def __init__(self, started: int) -> None:
        self.busy = self.recent = self.current = 0.0
        self.done = 0
        self._started = max(1, started)

    def note(self, started: int, seconds: float) -> None:
        """Adds a window: how many items have been started by now, and the seconds that the thread was inside items."""
        ended = max(0, started - self._started)
        self._started += ended
        if self.current and ended > 1:
            # A long item ended among others, as a first one does that sets things up. How much of the window was theirs
            # is not known, so they begin anew.
            self.busy = self.recent = self.current = 0.0
            self.done = 0
            return
        self.busy += seconds
        self.done += ended
        self.recent = seconds / ended if ended else 0.0
        self.current = 0.0 if ended else self.current + seconds


class _Reading(NamedTuple):
    wall: float
    cpu: float  # seconds the thread computed
    process: float


class _Knocks(NamedTuple):
    """The sleeps of the measuring thread in a window, in seconds."""

    knocking: float = 0.0  # until it had the GIL again, of each sleep at most a knock's
    late: float = 0.0  # of that, more than it wanted to sleep
    resting: float = 0.0  # in sleeps longer than a knock's, the rest


class Meter:
    """Measures the thread that makes it, for another one, in windows; ``close`` it.

    Every system call in the measuring thread gives the GIL up, and a computing thread gives it back a switch interval
    later. So there are few of them, and the first window is begun by the thread that is measured.
    """

    def __init__(self) -> None:
        self._clock = thread_clock()
        self._native = threading.get_native_id()
        self._schedstat = _Schedstat(self._native)
        self._queued = 0.0  # seconds that it had waited for a core, as last seen
        self._own_schedstat: _Schedstat | None = None  # of the measuring thread, once it is needed
        self._own_queued = 0.0  # that one's; it is not old
        self._called = 0.0  # programs that run since before that are no items' doing
        self._programs = 0.0, 0.0  # when they were last looked at, and their seconds
        self._knocks = _Knocks()
        self._progress: list[float] = []  # share of each moment with the GIL kept that the thread computed
        self._aside: tuple[int, set[int]] | None = None  # the measuring thread, kept from a core, and those it may have
        self._begin = _Reading(0.0, 0.0, 0.0)
        self.renew()

    def renew(self) -> None:
        """Starts the first window of a call."""
        self._called = _uptime()
        self._programs = time.perf_counter(), _programs(self._native, None)
        self._queued = self._schedstat.queued()
        if self._own_schedstat is not None:
            self._own_queued = self._own_schedstat.queued()
        self._restart(self._read())

    def knock(self, stop: threading.Lock, pause: float = KNOCK_PAUSE) -> bool:
        """Sleeps for a moment and notes by how much the awakening was late; true: ``stop`` was released meanwhile."""
        begin = time.perf_counter()
        if stop.acquire(timeout=pause):
            self._step_back()
            return True
        late = max(0.0, time.perf_counter() - begin - pause)
        knocking, all_late, resting = self._knocks
        self._knocks = _Knocks(knocking + KNOCK_PAUSE + late, all_late + late, resting + pause - KNOCK_PAUSE)
        if late < KNOCK_PAUSE and self._clock is not None and self._is_unsure():
            self._progress.append(_progress(self._clock))
        return False

    def _is_unsure(self) -> bool:
        """Whether it is to be seen again if the thread goes on without the GIL."""
        held = len(self._progress)
        if held in range(LEAST_HOLDS, HOLDS):
            return GOES_ON_ABOVE / CLEARLY < self._mean_progress() < GOES_ON_ABOVE * CLEARLY
        return held < HOLDS

    def _mean_progress(self) -> float:
        return sum(self._progress) / len(self._progress) if self._progress else 1.0

    def end(self) -> Signals | None:
        """What the window showed, and begins the next; ``None``: too little yet, as on a busy machine, so it goes on."""
        now, begin = self._read(), self._begin
        wall = max(now.wall - begin.wall, 1e-9)
        process = (now.process - begin.process) / wall
        if self._clock is None:
            self._restart(now)
            return Signals(0.0, 1.0, process)
        lost, own_queued = wall - (now.cpu - begin.cpu), 0.0
        # Who computes all the time does not wait; and reading what says so gives the GIL up, to somebody who keeps it.
        seen = self._schedstat.queued() if lost > TAKEN_SHARE * wall else self._queued
        queued = max(0.0, min(lost, seen - self._queued))
        idle = lost - queued
        is_waiting = idle > WAITING_BELOW * max(wall - queued, SURE_AFTER)
        if queued > BUSY_SHARE * wall or is_waiting:
            # This thread may have waited for a core too; and the other one meanwhile, if this one had the GIL.
            own_queued = self._own_waiting() - self._own_queued
        patient = wall < MOST_WINDOWS * WATCH_WINDOW
        if patient and wall - queued - own_queued < SURE_AFTER:
            return None
        progress = self._mean_progress()
        stopped = progress < GOES_ON_ABOVE * (1 - queued / wall) and queued <= CROWDED_SHARE * wall
        if stopped and patient and not is_waiting and queued > TAKEN_SHARE * wall and self._step_aside():
            self._progress.clear()
            return None
        self._queued = seen
        self._own_queued += own_queued
        # Of the time in which it could have computed; if there was hardly any, that says little.
        waiting = (idle - own_queued) / max(wall - queued - own_queued, SURE_AFTER)
        # It may have done so before it came to its first knock.
        knocking, late, resting = self._knocks
        own_queued = max(0.0, own_queued - max(0.0, wall - knocking - resting))
        gil_held = (late - own_queued) / max(knocking - own_queued, 1e-9)
        if stopped:
            gil_held = max(gil_held, 1 - progress)
        programs = self._look_at_programs() if is_waiting else 0.0
        self._restart(now)
        return Signals(min(1.0, max(0.0, waiting)), min(1.0, max(0.0, gil_held)), process, programs)

    def close(self) -> None:
        """Gives the descriptors back."""
        self._schedstat.close()
        if self._own_schedstat is not None:
            self._own_schedstat.close()

    def _restart(self, now: _Reading) -> None:
        self._begin = now
        self._knocks = _Knocks()
        self._progress.clear()
        self._step_back()

    def _step_aside(self) -> bool:
        """Keeps this thread from the core of the other one, which goes on in no case there; whether it was there."""
        core, own = _core(self._native), threading.get_native_id()
        if core is None or core != _core(own):
            return False
        self._step_back()
        allowed = os.sched_getaffinity(own)
        with contextlib.suppress(OSError):  # no other core is allowed
            os.sched_setaffinity(own, allowed - {core})
            self._aside = own, allowed
        return True

    def _step_back(self) -> None:
        if self._aside is not None:
            with contextlib.suppress(OSError):
                os.sched_setaffinity(*self._aside)
            self._aside = None

    def _own_waiting(self) -> float:
        if self._own_schedstat is None:
            self._own_schedstat = _Schedstat(threading.get_native_id())
        return self._own_schedstat.queued()

    def _look_at_programs(self) -> float:
        """What they computed since the last look, by wall time. Reads files, and so only while the GIL is free."""
        (begin, before), now = self._programs, time.perf_counter()
        self._programs = now, _programs(self._native, self._called)
        return max(0.0, self._programs[1] - before) / max(now - begin, 1e-9)

    def _read(self) -> _Reading:
        return _Reading(time.perf_counter(), 0.0 if self._clock is None else _cpu(self._clock), time.process_time())


def _cpu(clock: int) -> float:
    """Seconds that a thread has computed."""
    with contextlib.suppress(OSError):  # the thread has ended
        return time.clock_gettime(clock)
    return 0.0


def _progress(clock: int) -> float:
    """Keeps the GIL for a moment; the share of it that another thread, whose clock it is, computed nevertheless."""
    before, begin = _cpu(clock), time.perf_counter()
    while (seconds := time.perf_counter() - begin) < HOLD_SECONDS:
        pass
    return (_cpu(clock) - before) / seconds


def _core(native: int) -> int | None:
    """The core that a thread of this process has, or had last; ``None``: that is not told."""
    try:
        with open(f"/proc/self/task/{native}/stat", encoding="utf-8", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[36])
    except (OSError, ValueError, IndexError):
        return None


class _Schedstat:
    """What the system's scheduler tells of a thread, if it does."""

    def __init__(self, native: int) -> None:
        self._descriptor = -1
        with contextlib.suppress(OSError):
            self._descriptor = os.open(f"/proc/self/task/{native}/schedstat", os.O_RDONLY)

    def queued(self) -> float:
        """Seconds that the thread was ready to run and had no core."""
        with contextlib.suppress(OSError, ValueError, IndexError):
            return int(os.pread(self._descriptor, 64, 0).split()[1]) / 1e9
        return 0.0

    def close(self) -> None:
        """Gives the descriptor back. May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    __del__ = close  # an interrupt may have come when it was made and nobody had it yet


def _programs(native: int, since: float | None) -> float:
    """CPU seconds of programs that were started; see `_programs`. ``since`` is ``None``: those that have ended."""
    if "subprocess" not in sys.modules:
        return 0.0
    from parmap._programs import ended_seconds, program_seconds  # `import parmap` does without

    return ended_seconds() if since is None else program_seconds(native, since)


def _uptime() -> float:
    """Seconds since the system was started; 0.0: it does not tell."""
    with contextlib.suppress(AttributeError):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return 0.0


def thread_clock() -> int | None:
    """The CPU clock of the calling thread, for others to read; ``None`` where there is none.

    Only a thread that lives can be asked for its clock, so it asks itself.
    """
    if not hasattr(time, "pthread_getcpuclockid"):
        return None
    return time.pthread_getcpuclockid(threading.get_ident())


class _Switching:
    """Keeps the interpreter's switch interval short while anyone wants it so, and restores it after the last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = self._ours = 0.0  # as the interpreter tells them, which rounds

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._before = sys.getswitchinterval()
                sys.setswitchinterval(min(self._before, SWITCH_INTERVAL))
                self._ours = sys.getswitchinterval()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if not self._users and sys.getswitchinterval() == self._ours:
                sys.setswitchinterval(self._before)


_switching = _Switching()


def eager_switching() -> AbstractContextManager[None]:
    """While it is open, a thread that waits for the GIL gets it soon."""
    return _switching


def is_busy() -> bool:
    """Whether more threads are ready to run, in all processes, than there are cores; false where that is not told."""
    try:
        with open("/proc/loadavg", encoding="ascii") as file:
            running = int(file.read().split()[3].partition("/")[0])
    except (OSError, ValueError, IndexError):
        return False
    return running > (os.cpu_count() or 1) + 1  # this thread is one of them


def is_exiting() -> bool:
    """Whether the program is at its end: only exit handlers and threads that it waits for still run."""
    return not threading.main_thread().is_alive()


def check_processes() -> None:
    """Raises ``OSError`` where worker processes cannot be started."""
    if getattr(sys, "frozen", False) or getattr(globals().get("__compiled__"), "standalone", False):  # Nuitka's mark
        raise OSError("this is a frozen executable, which has no interpreter to start workers with")
    if not sys.executable:
        raise OSError("the interpreter's path is not known (sys.executable is empty)")
    if sys.platform in ("emscripten", "wasi"):
        raise OSError(f"there are none on this platform ({sys.platform})")


def is_posix() -> bool:
    """Whether processes can be started, and descriptors be sent to them, as POSIX has it."""
    import socket  # with the first processes; `import parmap` does without

    return hasattr(os, "posix_spawn") and hasattr(socket, "AF_UNIX") and hasattr(socket.socket, "sendmsg")


def may_fork() -> bool:
    """Whether a process that is fresh and has one thread may fork. On macOS the system's frameworks do not bear it."""
    return hasattr(os, "fork") and sys.platform != "darwin"


def environment() -> Mapping[str, str]:
    """The environment variables."""
    return os.environ
