"""The meter with clocks that a script turns: what it makes of every kind of item."""

import os
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parmap import _observe
from parmap._observe import (
    Meter,
    Signals,
    eager_switching,
    thread_clock,
)
from parmap._tuning import KNOCK_PAUSE

CLOCK = 77  # stands for the thread's
WATCHED, OWN = 1 << 20, 1 << 21  # stand for descriptors of the kernel's files; no test closes them


@dataclass
class Clocks:
    """What the clocks show, in seconds."""

    wall: float = 1000.0
    cpu: float = 500.0
    process: float = 800.0
    queued: float = 20.0
    programs: float = 5.0
    own_queued: float = 30.0
    in_its_place: bool = False  # the measuring thread has its core
    free: float = 1.0  # share of the time without the GIL that the thread goes on
    ended: bool = False  # the thread, and its clock with it

    def pass_time(self, wall: float, cpu: float = 0.0, process: float = 0.0, queued: float = 0.0) -> None:
        """Turns them all."""
        self.wall += wall
        self.cpu += cpu
        self.process += process
        self.queued += queued

    def of_thread(self, clock: int) -> float:
        """The thread's CPU clock."""
        assert clock == CLOCK
        if self.ended:
            raise OSError(22, "Invalid argument")
        return self.cpu

    def schedstat(self, descriptor: int, size: int, offset: int) -> bytes:
        """The kernel's file."""
        if descriptor == OWN:
            return b"5 %d 9\n" % (self.own_queued * 1e9)
        if self.ended:
            raise ProcessLookupError(3, "No such process")
        return b"%d %d 9\n" % (self.cpu * 1e9, self.queued * 1e9)


class Schedstat(_observe._Schedstat):
    """One whose descriptor is nobody's."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def close(self) -> None:
        """There is nothing to close."""

    __del__ = close


class Stop:
    """A lock that is waited for: the clocks go on meanwhile."""

    def __init__(self, clocks: Clocks, late: float, released: bool = False) -> None:
        self.clocks = clocks
        self.late = late
        self.released = released

    def acquire(self, timeout: float) -> bool:
        """Times out, some time too late."""
        self.clocks.pass_time(timeout + self.late)
        return self.released


def turn(patch: pytest.MonkeyPatch, clocks: Clocks, clock: int | None = CLOCK) -> None:
    """Puts clocks in the place of the real ones, without the kernel's files."""
    fake: Any = type("time", (), {})
    fake.perf_counter = lambda: clocks.wall
    fake.process_time = lambda: clocks.process
    fake.clock_gettime = clocks.of_thread
    patch.setattr(_observe, "time", fake)
    patch.setattr(_observe, "thread_clock", lambda: clock)
    patch.setattr(_observe, "_progress", lambda _: clocks.free)
    patch.setattr(_observe, "_Schedstat", lambda native: Schedstat(-1))
    patch.setattr(Meter, "_step_aside", lambda meter: clocks.in_its_place)
    patch.setattr(_observe, "_programs", lambda native, apart: clocks.programs)


def make_meter(patch: pytest.MonkeyPatch, clocks: Clocks) -> Meter:
    """A meter whose kernel tells how long the threads waited for a core."""
    found = Meter()
    patch.setattr(os, "pread", clocks.schedstat)
    found._schedstat, found._own_schedstat = Schedstat(WATCHED), Schedstat(OWN)
    found.renew()
    return found


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    """Clocks in the place of the real ones."""
    found = Clocks()
    turn(monkeypatch, found)
    return found


@pytest.fixture
def meter(clocks: Clocks, monkeypatch: pytest.MonkeyPatch) -> Meter:
    """A meter with all that it can have."""
    return make_meter(monkeypatch, clocks)


def ended(meter: Meter) -> Signals:
    """What a window showed that has shown enough."""
    signals = meter.end()
    assert signals is not None
    return signals


def near(found: Signals, waiting: float, gil_held: float, process_cpu: float) -> bool:
    """Whether signals are as expected, up to rounding."""
    return list(found[:3]) == pytest.approx([waiting, gil_held, process_cpu], abs=1e-6)


@pytest.mark.parametrize(
    ("cpu", "queued", "process", "late", "expected"),
    [
        (0.020, 0.0, 0.020, 0.016, (0.0, 16 / 17, 1.0)),  # pure Python
        (0.020, 0.0, 0.020, 0.0, (0.0, 0.0, 1.0)),  # C code without the GIL
        (0.020, 0.0, 0.080, 0.0, (0.0, 0.0, 4.0)),  # the same on four cores
        (0.0, 0.0, 0.0, 0.0, (1.0, 0.0, 0.0)),  # a sleep
        (0.005, 0.0, 0.005, 0.0, (0.75, 0.0, 0.25)),  # a request and what is made of its answer
        (0.003, 0.008, 0.003, 0.0, (0.75, 0.0, 0.15)),  # the same on a busy machine
        (0.010, 0.010, 0.010, 0.016, (0.0, 16 / 17, 0.5)),  # pure Python beside busy neighbours: no waiting
    ],
)
def test_what_items_look_like(
    *,
    meter: Meter,
    clocks: Clocks,
    cpu: float,
    queued: float,
    process: float,
    late: float,
    expected: tuple[float, float, float],
) -> None:
    """One row for each kind, in a window of 20 ms."""
    stop: Any = Stop(clocks, late)
    assert not meter.knock(stop)
    clocks.pass_time(0.020 - KNOCK_PAUSE - late, cpu, process, queued)
    assert near(ended(meter), *expected)


@pytest.mark.parametrize(
    ("free", "late", "queued", "expected"),
    [
        (0.0, 0.0002, 0.0, 1.0),  # it gives the GIL up for moments, and cannot go on without it
        (0.1, 0.0, 0.0, 0.9),
        (0.4, 0.0, 0.0, 0.0),  # it can, for the most part
        (0.2, 0.0, 0.008, 0.0),  # or had no core to go on with, a quarter of the time
        (0.0, 0.0, 0.015, 0.0),  # half of the time nothing can be said
    ],
)
def test_what_goes_on_without_the_gil(
    *, meter: Meter, clocks: Clocks, free: float, late: float, queued: float, expected: float
) -> None:
    """The GIL can be had in time, but is it free?"""
    clocks.free = free
    stop: Any = Stop(clocks, late)
    assert not meter.knock(stop)
    clocks.pass_time(0.030, 0.030 - queued, 0.020, queued)
    assert ended(meter).gil_held == pytest.approx(expected, abs=0.2)


def test_who_has_lost_its_core_to_the_meter_is_looked_at_again(meter: Meter, clocks: Clocks) -> None:
    """It cannot go on, with or without the GIL; if it never gets another core, it counts as one that holds the GIL."""
    stop: Any = Stop(clocks, 0.0)
    clocks.free, clocks.in_its_place = 0.0, True
    assert not meter.knock(stop)
    clocks.pass_time(0.020, 0.019, queued=0.001)
    assert meter.end() is None
    clocks.in_its_place = False
    assert not meter.knock(stop)
    assert ended(meter).gil_held == 1
    clocks.in_its_place = True
    assert not meter.knock(stop)
    clocks.pass_time(0.100, 0.095, queued=0.005)
    assert ended(meter).gil_held == 1


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="nobody tells on which core a thread is")
def test_stepping_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the core of the measured thread, until the window has ended."""
    allowed = os.sched_getaffinity(0)
    place = min(allowed)
    meter = Meter()
    try:
        monkeypatch.setattr(_observe, "_core", lambda native: place)
        assert meter._step_aside()
        assert os.sched_getaffinity(0) == (allowed - {place} or allowed)
        assert meter._step_aside()  # it came along: the measured thread may have any core
        meter.renew()
        assert os.sched_getaffinity(0) == allowed
        monkeypatch.setattr(_observe, "_core", lambda native: None)
        assert not meter._step_aside()
    finally:
        meter.close()
        os.sched_setaffinity(0, allowed)


def test_progress_is_that_of_the_other_thread() -> None:
    """A thread that waits makes none, whatever this one does."""
    clocks, done = list[int | None](), threading.Event()

    def wait() -> None:
        clocks.append(thread_clock())
        done.wait()

    waiting = threading.Thread(target=wait)
    waiting.start()
    while not clocks:
        time.sleep(0.001)
    assert clocks[0] is not None
    assert _observe._progress(clocks[0]) < 0.5
    done.set()
    waiting.join()


def test_programs_that_compute(meter: Meter, clocks: Clocks) -> None:
    """They are what the thread waits for."""
    clocks.pass_time(0.02)
    clocks.programs += 0.03
    assert ended(meter).programs_cpu == pytest.approx(1.5)


def test_a_busy_machine_is_not_taken_for_a_held_gil(meter: Meter, clocks: Clocks) -> None:
    """What the measuring thread waits for a core makes its knocks late too."""
    stop: Any = Stop(clocks, 0.016)
    assert not meter.knock(stop)
    clocks.own_queued += 0.015
    in_time: Any = Stop(clocks, 0.0)
    assert not meter.knock(in_time, pause=0.040 - KNOCK_PAUSE - 0.016)
    clocks.pass_time(0.0, 0.036, 0.040, 0.004)
    assert near(ended(meter), 0.0, 1 / 3, 1.0)  # of 3 ms: a long pause counts as much as a short one


def test_what_the_meter_waited_before_its_first_knock_says_nothing_of_the_knocks(meter: Meter, clocks: Clocks) -> None:
    """A thread that is started on a busy machine waits for a core first; then the knocks were late by themselves."""
    clocks.own_queued += 0.015
    clocks.pass_time(0.035, 0.034, 0.034, 0.001)
    late: Any = Stop(clocks, 4 * KNOCK_PAUSE)
    assert not meter.knock(late)
    clocks.pass_time(0.0, 0.005, 0.005)
    assert ended(meter).gil_held == pytest.approx(0.8, abs=0.01)


def test_a_window_that_showed_too_little_goes_on(meter: Meter, clocks: Clocks) -> None:
    """On a very busy machine it is judged when both threads have had a core for long enough, or never will."""
    clocks.pass_time(0.020, 0.004, 0.004, 0.016)
    assert meter.end() is None
    clocks.pass_time(0.020, 0.010, 0.010, 0.010)
    assert ended(meter).waiting == pytest.approx(0.0)
    clocks.pass_time(0.150, 0.0, 0.0, 0.150)
    assert ended(meter).waiting == pytest.approx(0.0)


def test_windows_are_apart(meter: Meter, clocks: Clocks) -> None:
    """What happened before a window does not count in it."""
    late: Any = Stop(clocks, 0.010)
    meter.knock(late)
    clocks.pass_time(0.010, 0.020, 0.020)
    assert ended(meter).waiting < 0.1
    clocks.pass_time(0.020)
    assert near(ended(meter), 1.0, 0.0, 0.0)
    clocks.pass_time(5.0, 5.0, 5.0)
    meter.renew()
    clocks.pass_time(0.020)
    assert near(ended(meter), 1.0, 0.0, 0.0)


def test_knocks_add_up(meter: Meter, clocks: Clocks) -> None:
    """Only what is late counts, not the pause itself; one that came early counts nothing."""
    for late in (0.004, 0.0, -0.0005, 0.006):
        stop: Any = Stop(clocks, late)
        assert not meter.knock(stop)
    clocks.pass_time(0.020 - 4 * KNOCK_PAUSE - 0.0095)
    assert ended(meter).gil_held == pytest.approx(0.010 / 0.014)


def test_a_stop_ends_the_knocking(meter: Meter, clocks: Clocks) -> None:
    """And is told."""
    stop: Any = Stop(clocks, 0.0, released=True)
    assert meter.knock(stop)


def test_without_a_clock_of_the_thread(clocks: Clocks, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for computing work that holds the GIL; the process still tells whether it is parallel already."""
    turn(monkeypatch, clocks, None)
    meter = Meter()
    assert ended(meter)[:2] == (0.0, 1.0)
    meter.close()


def test_without_the_kernels_file(clocks: Clocks) -> None:
    """Waiting for a core then looks like waiting."""
    meter = Meter()
    clocks.pass_time(0.020, 0.010, 0.010, 0.010)
    assert near(ended(meter), 0.5, 0.0, 0.5)
    meter.close()


STEP = st.floats(0, 10)


@given(wall=STEP, cpu=STEP, process=STEP, queued=STEP, late=st.floats(0, 1), ends=st.booleans())
def test_shares_are_shares(*, wall: float, cpu: float, process: float, queued: float, late: float, ends: bool) -> None:
    """Between 0 and 1 whatever the clocks show: they differ in resolution, and a thread may end with its clock."""
    with pytest.MonkeyPatch.context() as patch:
        clocks = Clocks()
        turn(patch, clocks)
        meter = make_meter(patch, clocks)
        stop: Any = Stop(clocks, late)
        meter.knock(stop)
        clocks.pass_time(wall, cpu, process, queued)
        clocks.ended = ends
        found = meter.end()
    if found is None:
        return
    assert 0 <= found.waiting <= 1
    assert 0 <= found.gil_held <= 1
    assert found.process_cpu >= 0


def test_the_real_thing() -> None:
    """The meter reads this very thread, and gives its descriptor back, twice without harm."""
    meter = Meter()
    while (found := meter.end()) is None:  # which takes longer on a busy machine
        pass
    assert found.waiting < 0.9
    assert found.process_cpu > 0
    meter.close()
    meter.close()


# --- the switch interval ---


def test_switching_is_restored_after_the_last() -> None:
    """However calls of several threads overlap."""
    before = sys.getswitchinterval()
    first, second = eager_switching(), eager_switching()
    first.__enter__()
    assert sys.getswitchinterval() < before
    second.__enter__()
    first.__exit__(None, None, None)
    assert sys.getswitchinterval() < before
    second.__exit__(None, None, None)
    assert sys.getswitchinterval() == before


def test_switching_leaves_the_users_choice_alone() -> None:
    """One that is shorter stays; one that is set meanwhile is kept."""
    before = sys.getswitchinterval()
    try:
        sys.setswitchinterval(1e-6)
        with eager_switching():
            assert sys.getswitchinterval() == pytest.approx(1e-6)
        assert sys.getswitchinterval() == pytest.approx(1e-6)
        sys.setswitchinterval(before)
        with eager_switching():
            sys.setswitchinterval(0.25)
        assert sys.getswitchinterval() == 0.25
    finally:
        sys.setswitchinterval(before)
