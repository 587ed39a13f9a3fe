"""``timeout``: seconds for one item, counted from its start, enforced wherever items run."""

import math
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import parmap
from parmap import FallbackWarning, ItemTimeoutError, WorkerCrashError, options, pchunked, pimap, pmap
from tests import faults
from tests.contract.conftest import Mapper
from tests.contract.helpers import Ledger, busy, notes, said

TIMED = ["thread", "process", "auto"]
LIMIT = 0.4  # seconds; long against a start on a loaded machine, short against a test

timed = pytest.mark.parametrize("backend", TIMED)


@pytest.fixture
def hang() -> Iterator[Callable[[int], int]]:
    """Maps ``x`` to ``x``; 3 and 7 hang, in threads until the test is over."""
    over = threading.Event()
    home = os.getpid()

    def work(item: int) -> int:
        if item in (3, 7):
            if os.getpid() != home:
                time.sleep(600)
            over.wait()
        return item

    yield _by_reference(work)
    over.set()
    time.sleep(0.05)  # for the threads that were given up


def _by_reference(work: Callable[[int], int]) -> Callable[[int], int]:
    """A function that keeps its event at home: in another process it has none, and needs none."""
    return _Hang(work)


class _Hang:
    def __init__(self, work: Callable[[int], int] | None = None) -> None:
        self._work = work

    def __call__(self, item: int) -> int:
        if self._work is not None:
            return self._work(item)
        if item in (3, 7):
            time.sleep(600)
        return item

    def __reduce__(self) -> Any:
        return _Hang, ()


@timed
@pytest.mark.parametrize("chunksize", [None, 1, 5])
def test_only_the_item_that_takes_too_long_fails(
    backend: str, mapper: Mapper, chunksize: int | None, hang: Callable[[int], int]
) -> None:
    """Whatever the size of the chunks, the other results are kept."""
    got = mapper(
        hang, range(10), backend=backend, workers=3, chunksize=chunksize, timeout=LIMIT, return_exceptions=True
    )
    assert [value for value in got if not isinstance(value, Exception)] == [0, 1, 2, 4, 5, 6, 8, 9]
    for index in (3, 7):
        assert isinstance(got[index], ItemTimeoutError)
        assert (got[index].index, got[index].arguments, got[index].timeout) == (index, str(index), LIMIT)


@timed
def test_it_is_raised_as_a_timeout_error(backend: str, mapper: Mapper, hang: Callable[[int], int]) -> None:
    """It says which item, how long it was given, and where it ran; the next call works."""
    with pytest.raises(TimeoutError) as caught:
        mapper(hang, range(10), backend=backend, workers=2, timeout=LIMIT)
    assert isinstance(caught.value, ItemTimeoutError)
    assert isinstance(caught.value, parmap.ParmapError)
    assert "item 3 (3) took longer than timeout=0.4 seconds" in said(caught.value)
    assert any("item 3" in note for note in notes(caught.value))
    assert pmap(hang, [0, 1], backend=backend, timeout=LIMIT) == [0, 1]


@timed
def test_the_clock_starts_with_the_item(backend: str) -> None:
    """Items that wait for their turn, in a chunk or behind it, are not late."""
    work = _Sleep(LIMIT / 4)
    assert pmap(work, range(12), backend=backend, workers=2, chunksize=6, timeout=LIMIT) == list(range(12))


class _Sleep:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, item: int) -> int:
        time.sleep(self.seconds)
        return item


@timed
def test_a_slow_initializer_is_no_part_of_an_item(backend: str) -> None:
    """An item has its time for itself."""
    assert pmap(
        abs, [-1, -2], backend=backend, workers=2, timeout=LIMIT, initializer=lambda: time.sleep(2 * LIMIT)
    ) == [1, 2]


def test_a_computing_item_is_killed() -> None:
    """Its process is gone when the call has returned; nothing goes on computing."""
    with pytest.raises(ItemTimeoutError):
        pmap(faults.Spin(1), range(4), backend="process", workers=2, timeout=LIMIT)


def test_an_item_that_ignores_every_signal_is_killed() -> None:
    """SIGKILL is not asked for leave."""
    with pytest.raises(ItemTimeoutError):
        pmap(faults.Stubborn(1), range(4), backend="process", workers=2, timeout=LIMIT)


def test_auto_never_runs_an_item_where_it_cannot_be_ended(ledger: Ledger) -> None:
    """Neither the calling thread nor its process runs one."""

    def where(item: int) -> int:
        ledger.write(os.getpid())
        busy(0.01)
        return item

    assert pmap(where, range(50), timeout=60) == list(range(50))
    assert str(os.getpid()) not in ledger.lines()


def test_auto_falls_back_to_threads() -> None:
    """A function that cannot travel runs in threads, which can give an item up, and never in the calling thread."""
    lock, caller = threading.Lock(), threading.get_ident()

    def work(item: int) -> bool:
        with lock:
            return threading.get_ident() != caller

    with pytest.warns(FallbackWarning, match="in threads"):
        assert pmap(work, range(20), timeout=60) == [True] * 20


def test_serial_refuses_it() -> None:
    """The loop cannot leave an item."""
    with pytest.raises(ValueError, match=r"timeout=2 .*'serial'.*'auto', 'process' or 'thread'"):
        pmap(abs, [1], backend="serial", timeout=2)
    with options(timeout=2), pytest.raises(ValueError, match="timeout"):
        pmap(abs, [1], backend="serial")


@pytest.mark.parametrize("wrong", [0, -1, -0.5, "3", True, float("nan"), [1]])
def test_wrong_limits(wrong: Any) -> None:
    """What is no number of seconds is refused before anything runs."""
    with pytest.raises(ValueError, match=r"timeout=.*seconds"):
        pmap(abs, [1], timeout=wrong)


@pytest.mark.parametrize("limit", [None, math.inf])
def test_no_limit(limit: float | None, backend: str) -> None:
    """Both are the same, and allowed everywhere."""
    assert pmap(abs, [-1], backend=backend, timeout=limit) == [1]


@timed
def test_pimap_yields_what_comes_before(backend: str, hang: Callable[[int], int]) -> None:
    """The error comes in the place of the result that is missing."""
    results = pimap(hang, range(10), backend=backend, workers=2, timeout=LIMIT)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ItemTimeoutError):
        next(results)


def test_pchunked_counts_for_each_chunk() -> None:
    """A chunk is one item of it."""
    with pytest.raises(ItemTimeoutError) as caught:
        pchunked(_slow_at_three, range(6), chunks=3, backend="process", timeout=LIMIT)
    assert caught.value.index == 1


def _slow_at_three(items: Any) -> list[int]:
    if 3 in items:
        time.sleep(600)
    return list(items)


@timed
def test_with_retries_it_is_tried_again(backend: str, tmp_path: Any) -> None:
    """An item that hangs once has its result in the end."""
    work = _HangsOnce(str(tmp_path / "met"))
    assert pmap(work, range(6), backend=backend, workers=2, timeout=LIMIT, retries=1) == list(range(6))
    time.sleep(2 * LIMIT)  # for the thread that was given up


class _HangsOnce:
    def __init__(self, path: str) -> None:
        self.path = path

    def __call__(self, item: int) -> int:
        if item == 3 and not os.path.exists(self.path):
            with open(self.path, "w"):
                pass
            time.sleep(3 * LIMIT)
        return item


def test_a_hanging_unpickling_ends() -> None:
    """An argument that hangs while it is rebuilt ends too, though later than an item."""
    with pytest.raises(ItemTimeoutError) as caught:
        pmap(_ignore, [_HangsAtUnpickle()], backend="process", timeout=LIMIT)
    assert caught.value.index == 0


def _ignore(item: object) -> None:
    """Does nothing with its item."""


class _HangsAtUnpickle:
    def __reduce__(self) -> Any:
        return time.sleep, (600,)


def test_a_crash_is_not_taken_for_a_timeout() -> None:
    """What died by itself says so, with a limit too."""
    with pytest.raises(WorkerCrashError) as caught:
        pmap(faults.Crash(1), range(4), backend="process", workers=2, timeout=60)
    assert caught.value.index == 1
