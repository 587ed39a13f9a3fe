"""Lazy at both ends: infinite inputs, bounded reading ahead, and iterators that are given up early."""

import gc
import itertools
import time
import warnings
import weakref
from collections.abc import Iterator

import pytest

from parmap import pimap, pmap
from tests.contract.helpers import Ledger, Source, busy, close

# More than any window that was not asked for may be (60 MB of waiting results of 200 kB would be 300 items; cheap ones
# may be some thousands).
WIDE = 5000


def double(item: int) -> int:
    """Cheap work."""
    return item * 2


def slow_double(item: int) -> int:
    """Work of a millisecond."""
    busy(0.001)
    return item * 2


@pytest.mark.parametrize("func", [double, slow_double])
def test_infinite_input(backend: str, func: type) -> None:
    """``pimap`` over an endless input yields at once and reads only as far as its window."""
    source = Source()
    results = pimap(func, source, backend=backend, workers=2)
    assert source.take(results, 5) == [0, 2, 4, 6, 8]
    assert source.drawn <= 5 + WIDE
    close(results)


def test_several_infinite_inputs(backend: str) -> None:
    """Endless inputs zip."""
    results = pimap(pow, itertools.count(1), itertools.repeat(2), backend=backend, workers=2)
    assert list(itertools.islice(results, 4)) == [1, 4, 9, 16]
    close(results)


@pytest.mark.parametrize("chunksize", [None, 1, 1000])
@pytest.mark.parametrize("buffersize", [1, 2, 7])
def test_buffersize_bounds_the_reading_ahead(backend: str, buffersize: int, chunksize: int | None) -> None:
    """At no time is the input read further ahead of the consumer than ``buffersize``, whatever the chunk size."""
    source = Source(60)
    results = pimap(double, source, backend=backend, workers=2, buffersize=buffersize, chunksize=chunksize)
    assert source.drawn <= buffersize
    assert source.take(results, 60) == [2 * n for n in range(60)]
    assert source.lead <= buffersize + 1
    assert list(results) == []


def test_buffersize_bounds_the_reading_ahead_unordered(backend: str) -> None:
    """The bound holds for ``ordered=False`` too."""
    source = Source(60)
    results = pimap(double, source, backend=backend, workers=2, buffersize=4, ordered=False)
    assert sorted(source.take(results, 60)) == [2 * n for n in range(60)]
    assert source.lead <= 4 + 1


def test_slow_head_does_not_widen_the_window(backend: str) -> None:
    """While item 0 runs, the others are not read beyond the window: finished results count as read ahead."""

    def slow_head(item: int) -> int:
        time.sleep(0.3 if item == 0 else 0)
        return item

    source = Source()
    results = pimap(slow_head, source, backend=backend, workers=2, buffersize=8)
    assert source.take(results, 20) == list(range(20))
    assert source.lead <= 8 + 1
    close(results)


def test_default_window_is_bounded(backend: str) -> None:
    """Without ``buffersize`` the reading ahead is bounded all the same."""
    source = Source(20_000)
    results = pimap(double, source, backend=backend, workers=2)
    assert source.take(results, 20_000) == [2 * n for n in range(20_000)]
    assert source.lead <= WIDE


def test_pimap_runs_nothing_that_nobody_asked_for(backend: str, ledger: Ledger) -> None:
    """An iterator that is never read starts, at most, its window."""
    results = pimap(ledger.write, range(10_000), backend=backend, workers=2, buffersize=3)
    del results
    gc.collect()
    assert len(ledger.lines()) <= 3


def test_pmap_stops_reading_at_an_error() -> None:
    """``pmap`` over an endless input ends when an item raises."""
    for backend in ("serial", "thread", "process", "auto"):
        with pytest.raises(ZeroDivisionError):
            pmap(lambda item: 1 / (item - 50), itertools.count(), backend=backend, workers=2)


def test_pimap_is_an_iterator(backend: str) -> None:
    """``iter()`` of it is itself, it ends for good, and it has no length."""
    results = pimap(double, range(3), backend=backend, workers=2)
    assert isinstance(results, Iterator)
    assert iter(results) is results
    assert list(results) == [0, 2, 4]
    assert list(results) == []
    with pytest.raises(StopIteration):
        next(results)
    assert next(results, "end") == "end"


def test_results_are_let_go(backend: str) -> None:
    """Once the consumer drops a result, nobody keeps it."""

    class Result:
        pass

    results = pimap(lambda item: item, (Result() for _ in range(20)), backend="thread", workers=2, buffersize=2)
    seen = weakref.ref(next(results))
    next(results)
    next(results)
    gc.collect()
    assert seen() is None
    close(results)


# --- given up early ---


def slow_line(item: int, ledger: Ledger) -> int:
    """Work of two milliseconds that leaves a line."""
    ledger.write(item)
    time.sleep(0.002)
    return item


@pytest.mark.parametrize("way", ["close", "break", "del", "throw away"])
@pytest.mark.parametrize("ordered", [True, False])
def test_giving_up_early_is_quiet_and_stops_the_items(
    backend: str, way: str, ordered: bool, ledger: Ledger, capfd: pytest.CaptureFixture[str]
) -> None:
    """Closing, breaking out of the loop and dropping the iterator all stop the work, without a word."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = pimap(slow_line, range(20_000), itertools.repeat(ledger), backend=backend, workers=2, ordered=ordered)
        if way == "close":
            next(results)
            close(results)
            close(results)
            with pytest.raises(StopIteration):
                next(results)
        elif way == "break":
            for _ in results:
                break
        elif way == "del":
            next(results)
        del results
        gc.collect()
    started = len(ledger.lines())
    # A full pass over other items: what had been in flight would have gone on during it.
    assert pmap(double, range(50), backend=backend, workers=2) == [2 * n for n in range(50)]
    assert len(ledger.lines()) <= started + 2
    assert started < 10_000
    assert capfd.readouterr().err == ""


def test_close_before_the_first_result(backend: str, ledger: Ledger) -> None:
    """An iterator may be closed before it was ever read."""
    results = pimap(slow_line, range(1000), itertools.repeat(ledger), backend=backend, workers=2)
    close(results)
    assert list(results) == []
    assert len(ledger.lines()) < 1000


def test_close_after_the_end(backend: str) -> None:
    """Closing an iterator that has ended does nothing."""
    results = pimap(double, range(3), backend=backend, workers=2)
    assert list(results) == [0, 2, 4]
    close(results)
    assert list(results) == []


def test_closing_lets_the_input_go(backend: str) -> None:
    """The input generator is finalised with the iterator, as that of a generator expression would be."""
    source = Source()
    results = pimap(double, source, backend=backend, workers=2)
    next(results)
    close(results)
    del results
    gc.collect()
    assert source.closed


def test_closing_ends_processes_that_are_in_the_middle_of_a_long_item() -> None:
    """Closing does not wait for an item of a process that would run for minutes."""

    def long_after_the_first(item: int) -> int:
        time.sleep(300 if item else 0)
        return item

    started = time.monotonic()
    results = pimap(long_after_the_first, range(8), backend="process", workers=2, chunksize=1)
    assert next(results) == 0
    close(results)
    assert pmap(double, range(4), backend="process", workers=2) == [0, 2, 4, 6]
    assert time.monotonic() - started < 30


def test_two_iterators_at_once(backend: str) -> None:
    """Two iterators read in turns do not disturb each other."""
    left = pimap(double, range(200), backend=backend, workers=2, buffersize=5)
    right = pimap(str, range(200), backend=backend, workers=2, buffersize=5)
    for number, (one, other) in enumerate(zip(left, right, strict=True)):
        assert (one, other) == (2 * number, str(number))


def test_pimap_of_pimap(backend: str) -> None:
    """The results of one lazy map can be the input of another."""
    inner = pimap(double, range(100), backend=backend, workers=2)
    assert list(pimap(double, inner, backend=backend, workers=2)) == [4 * n for n in range(100)]
