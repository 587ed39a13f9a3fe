"""The loop over a scripted engine: order, window, errors, engines that break."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parmap import _run
from parmap._call import Call
from parmap._chunks import Sizer
from parmap._records import Broken, Chunk, Outcome
from parmap._run import Driver, drive
from parmap._tuning import SIGNAL_WAIT
from tests.unit.fakes import Answer, Engine, answers, broken, done, fail_at, failed, lost, make_call, succeed


def start(call: Call, engine: Engine, size: int | None = 2) -> Iterator[list[Any]]:
    """The loop over an engine, with chunks of one size."""
    return drive(Driver(call, engine, Sizer(size, 2, 1, None)))


def run(call: Call, engine: Engine, size: int | None = 2) -> list[Any]:
    """All results of a call; its failure is left in it."""
    return [result for results in start(call, engine, size) for result in results]


PICKS = st.lists(st.integers(0, 7), max_size=60)


@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 8), PICKS, st.booleans())
def test_results_come_in_order(length: int, size: int, count: int, picks: list[int], lazy: bool) -> None:
    """Whatever the order of completion: the loop's results, and no item started twice."""
    engine = Engine(succeed, count, picks)
    assert run(make_call(range(length), lazy), engine, size) == [-n for n in range(length)]
    assert sorted(engine.started) == list(range(length))
    assert engine.log == ["close"]


@given(st.integers(0, 60), st.integers(1, 8), PICKS)
def test_unordered_results_are_complete(length: int, count: int, picks: list[int]) -> None:
    """Each once, in the order of completion."""
    found = run(make_call(range(length), lazy=True, ordered=False), Engine(succeed, count, picks))
    assert sorted(found, reverse=True) == [-n for n in range(length)]


@given(
    length=st.integers(0, 100),
    buffersize=st.none() | st.integers(1, 30),
    size=st.none() | st.integers(1, 20),
    count=st.integers(1, 8),
    picks=PICKS,
    ordered=st.booleans(),
)
def test_the_window_is_never_exceeded(
    *, length: int, buffersize: int | None, size: int | None, count: int, picks: list[int], ordered: bool
) -> None:
    """Whenever an item is drawn, no more than the window are drawn and not handed out, and nothing gets stuck."""
    sizer = Sizer(size, 2, 1, None)
    handed = drawn = 0

    def numbers() -> Iterator[int]:
        nonlocal drawn
        for number in range(length):
            drawn += 1
            assert drawn - handed <= sizer.window(buffersize)
            yield number

    call = make_call(numbers(), lazy=True, buffersize=buffersize, ordered=ordered)
    results = []
    for found in drive(Driver(call, Engine(succeed, count, picks), sizer)):
        results += found
        handed += len(found)
        assert drawn - handed <= sizer.window(buffersize)
    assert call.failure is None
    assert (results if ordered else sorted(results, reverse=True)) == [-n for n in range(length)]


@given(st.integers(1, 60), st.data(), st.integers(1, 8), PICKS, st.integers(1, 9))
def test_a_lazy_call_gives_all_before_the_error(
    length: int, data: st.DataObject, count: int, picks: list[int], size: int
) -> None:
    """Then the error, whatever the order of completion."""
    bad = data.draw(st.integers(0, length - 1))
    error = ValueError()
    call = make_call(range(length), lazy=True)
    engine = Engine(fail_at(bad, error), count, picks)
    assert run(call, engine, size) == [-n for n in range(bad)]
    assert call.failure is error
    assert engine.log == ["close"]


def test_an_eager_call_stops_at_the_error() -> None:
    """Nothing is started after it is known, and the engine is told."""
    error = ValueError()
    call = make_call(range(100))
    engine = Engine(fail_at(3, error))
    run(call, engine)
    assert call.failure is error
    assert engine.log == ["cancel 4", "close"]
    assert max(engine.started) < 6  # what was flying when it failed


def test_earlier_items_are_waited_for() -> None:
    """One of them may fail too, and its error is the loop's."""
    late, early = ValueError("late"), KeyError("early")
    engine = Engine(places=3, picks=[1])

    def answer(chunk: Chunk) -> list[Outcome]:
        return [failed(chunk, 0, early if chunk.start == 0 else late)]

    engine.answer = answer
    call = make_call(range(10))
    run(call, engine)
    assert call.failure is early
    assert engine.timeouts[0] == SIGNAL_WAIT
    assert all(timeout is not None and timeout > 0.5 for timeout in engine.timeouts[1:])
    assert [chunk.start for chunk in engine.held] == [4]  # later than the failure: not waited for


def test_earlier_items_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that never ends does not hold up the error: the clock ends the wait."""
    now = iter(range(1000))
    monkeypatch.setattr(_run, "perf_counter", lambda: float(next(now)))
    error = ValueError()
    engine = Engine(places=2, picks=[1])
    waits: list[Chunk] = []

    def answer(chunk: Chunk) -> list[Outcome]:
        if chunk.start == 0:
            waits.append(chunk)
            engine.held.append(chunk)
            return []
        return [failed(chunk, 0, error)]

    engine.answer = answer
    call = make_call(range(10))
    run(call, engine)
    assert call.failure is error
    assert len(waits) <= 1
    assert engine.log == ["cancel 3", "close"]


def test_earlier_items_that_come_back_are_run() -> None:
    """What a worker gave back may fail too, so it is run before the error comes out."""
    late, early = ValueError("late"), KeyError("early")
    script = [lost]
    engine = Engine(places=3, picks=[1])

    def answer(chunk: Chunk) -> list[Outcome]:
        if chunk.start == 0 and script:
            return [script.pop()(chunk)]
        return [failed(chunk, 0, early if chunk.start == 0 else late)]

    engine.answer = answer
    call = make_call(range(10))
    run(call, engine)
    assert call.failure is early
    assert engine.started == [0, 1, 2, 3, 4, 5, 0, 1]


def test_outcomes_may_come_late() -> None:
    """An engine that wakes without news is asked again."""
    engine = Engine()
    naps = iter([True, True, False] * 100)

    def answer(chunk: Chunk) -> list[Outcome]:
        if next(naps):
            engine.held.insert(0, chunk)
            return []
        return [done(chunk)]

    engine.answer = answer
    assert run(make_call(range(9)), engine) == [-n for n in range(9)]


def test_lost_chunks_are_run_again() -> None:
    """Until they succeed, and the order is kept."""
    engine = Engine(answers(lost, lost, done, lost))
    assert run(make_call(range(9)), engine) == [-n for n in range(9)]


@pytest.mark.parametrize("hold", [True, False])
def test_broken_for_good(hold: bool) -> None:
    """The engine's error comes out, and the engine is closed."""
    error = OSError("no more workers")
    engine = Engine(broken(error, elsewhere=False, hold=hold))
    with pytest.raises(OSError, match="no more workers"):
        run(make_call(range(9)), engine)
    assert engine.log == ["close"]


def test_broken_for_a_caller_who_named_the_backend() -> None:
    """Another engine could do better, but this one was asked for."""
    engine = Engine(broken(OSError("no more workers"), elsewhere=True))
    with pytest.raises(OSError, match="no more workers"):
        run(make_call(range(9), backend="process"), engine)
    assert engine.log == ["close"]


@pytest.mark.parametrize("lazy", [False, True])
def test_broken_elsewhere(lazy: bool) -> None:
    """Another engine goes on where this one stopped: nothing is lost, nothing comes twice."""
    error = OSError("no more workers")
    call = make_call(range(20), lazy)

    def answer(chunk: Chunk) -> list[Outcome]:
        return [done(chunk)] if chunk.start < 4 else [lost(chunk), Broken(error, elsewhere=True)]

    engine = Engine(answer, places=3)
    driver = Driver(call, engine, Sizer(2, 2, 1, None))
    results = [result for found in drive(driver) for result in found]
    assert driver.broken == Broken(error, elsewhere=True)
    assert results == [0, -1, -2, -3]
    assert not call.over
    assert engine.log == ["cancel 0", "close"]
    assert engine.flying == 0
    assert results + run(call, Engine()) == [-n for n in range(20)]
    assert call.failure is None


def test_broken_twice() -> None:
    """The first reason is the reason."""
    first, second = OSError("first"), OSError("second")
    driver = Driver(
        make_call(range(3)),
        Engine(lambda chunk: [Broken(first, elsewhere=True), Broken(second, elsewhere=False), lost(chunk)]),
        Sizer(1, 1, 1, None),
    )
    assert list(drive(driver)) == []
    assert driver.broken == Broken(first, elsewhere=True)


def close(results: Iterator[Any]) -> None:
    """Closes a generator."""
    closing: Any = results
    closing.close()


def test_closing_closes_the_engine() -> None:
    """The consumer leaves: nothing more is started."""
    engine = Engine()
    results = start(make_call(range(100), lazy=True), engine)
    next(results)
    started = list(engine.started)
    close(results)
    assert engine.log == ["close"]
    assert engine.started == started


def test_closing_before_the_start() -> None:
    """Nothing was asked of the engine."""
    engine = Engine()
    close(start(make_call(range(100), lazy=True), engine))
    assert engine.started == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), RuntimeError("inside")])
def test_an_error_of_the_loop_closes_the_engine(error: BaseException) -> None:
    """Whatever interrupts it."""

    def answer(chunk: Chunk) -> list[Outcome]:
        raise error

    engine = Engine(answer)
    with pytest.raises(type(error)):
        run(make_call(range(10)), engine)
    assert engine.log == ["close"]


@pytest.mark.parametrize("answer", [succeed, fail_at(50, ValueError())])
def test_an_error_of_the_input(answer: Answer) -> None:
    """All results before it, then the input's own error; an item's error comes first only where the item does."""
    error = OSError("input")

    def numbers() -> Iterator[int]:
        yield from range(7)
        raise error

    for lazy in (False, True):
        call = make_call(numbers(), lazy)
        assert run(call, Engine(answer)) == [-n for n in range(7)]
        assert call.failure is error


def test_the_sizer_learns() -> None:
    """Chunks grow with what is observed."""
    engine = Engine(lambda chunk: [done(chunk)._replace(seconds=1e-9)], places=1)
    sizes: list[int] = []
    submit = engine.submit

    def noting(chunk: Chunk) -> None:
        sizes.append(len(chunk.items))
        submit(chunk)

    engine.submit = noting  # type: ignore[method-assign]
    run(make_call(iter(range(1000))), engine, size=None)
    assert sizes == [1, 8, 64, 512, 415]


def test_the_first_results_do_not_wait_for_the_last() -> None:
    """A lazy call hands out what there is before it waits for more."""
    engine = Engine(places=2)
    results = start(make_call(range(100), lazy=True, buffersize=8), engine)
    assert next(results) == [0, -1]
    assert max(engine.started) <= 7
    close(results)
