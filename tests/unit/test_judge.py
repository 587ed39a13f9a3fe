"""What counts as the time of an engine, and what as its work; the verdict itself is in `test_strategy`."""

from typing import Any

import pytest

from parmap import _judge
from parmap._judge import Judge
from parmap._records import Chunk, Done, Plan
from tests.unit.fakes import COMPUTING, OPTIONS

THREADS = Plan("thread", 4, "")
# The loop took 4 ms an item, without the GIL as it seemed.
SEEN = COMPUTING.at(0.004)._replace(gil_held=0.0, warm=True)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """A time that only the test moves."""
    return Clock()


@pytest.fixture
def judge(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Judge:
    """One who looks at threads, on a machine that has nothing else to do."""
    monkeypatch.setattr(_judge, "is_busy", lambda: False)
    return Judge(OPTIONS, THREADS, SEEN, clock)


def done(items: int) -> Done:
    """So many items of 4 ms, computed."""
    values: list[Any] = [None] * items
    return Done(Chunk(0, [(n,) for n in range(items)]), values, (), items * 0.004, 0, items * 0.004)


def test_threads_that_take_turns_are_left(judge: Judge, clock: Clock) -> None:
    """100 items of 4 ms in 0.4 s."""
    judge.hear(done(100))
    clock.now += 0.4
    better = judge.judge(800)
    assert better is not None
    assert better.backend == "process"
    assert judge.gil_bound


def test_threads_that_run_beside_each_other_stay(judge: Judge, clock: Clock) -> None:
    """100 items of 4 ms in 0.1 s."""
    judge.hear(done(100))
    clock.now += 0.1
    assert judge.judge(800) is None
    assert not judge.gil_bound


def test_what_the_consumer_takes_does_not_count(judge: Judge, clock: Clock) -> None:
    """0.4 s, of which 0.3 are not the engine's."""
    judge.hear(done(100))
    clock.now += 0.4
    judge.pause(0.3)
    assert judge.judge(800) is None
    judge.hear(done(100))
    clock.now += 0.4
    assert judge.judge(700) is not None


def test_what_came_before_does_not_count(judge: Judge, clock: Clock) -> None:
    """Neither the items nor the time, when the engine really begins only now."""
    judge.hear(done(900))
    clock.now += 0.5
    judge.begin()
    judge.hear(done(100))
    clock.now += 0.4
    assert judge.judge(800) is not None


def test_a_stretch_is_long_enough(judge: Judge, clock: Clock) -> None:
    """In time and in items; until then all of it adds up."""
    judge.hear(done(10))
    clock.now += 0.4
    assert judge.judge(800) is None
    judge.hear(done(10))
    assert judge.judge(800) is not None
    judge.hear(done(100))
    clock.now += 0.05
    assert judge.judge(800) is None
    clock.now += 0.35
    assert judge.judge(800) is not None


def test_the_first_stretch_of_processes_is_not_compared(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    """They import what they need in it."""
    monkeypatch.setattr(_judge, "is_busy", lambda: False)
    judge = Judge(OPTIONS, THREADS._replace(backend="process"), SEEN, clock)
    judge.hear(done(100))
    clock.now += 4.0
    assert judge.judge(800) is None
    judge.hear(done(100))
    clock.now += 4.0
    better = judge.judge(700)
    assert better is not None
    assert better.backend == "serial"
    assert judge.seconds == pytest.approx(0.004)
