"""The pilot when something fails: in its items, in the engine, in the watch."""

from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest

from parmap import _pilot
from parmap._errors import FallbackWarning, SerializationError
from parmap._records import Broken, Chunk, Done, Failure, Outcome
from tests.unit.fakes import PATIENCE, await_event, done, lost, make_call
from tests.unit.stage import Recorder, Stage, collect, expected


@pytest.mark.parametrize("acting", [False, True])
@pytest.mark.parametrize(
    "error",
    [OSError("no more processes"), SerializationError("the function f", "a lock"), MemoryError("nothing left")],
)
def test_an_engine_that_does_not_open(stage: Stage, acting: bool, error: Exception) -> None:
    """The call goes on as the loop and says why, whoever tried."""
    func = Recorder(at=0)
    call = make_call(range(20), func=func)
    stage.planned.set()
    stage.offer_stands(0.0 if acting else PATIENCE)

    def before_opening() -> None:
        func.release.set()
        raise error

    stage.before_opening = before_opening
    give_back = _pilot._Watch._give_back

    def noting(watch: _pilot._Watch) -> None:
        give_back(watch)
        if not acting:
            func.release.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pilot._Watch, "_give_back", noting)
        with pytest.warns(FallbackWarning, match="plain loop, because") as caught:
            assert collect(call) == expected(20)
    assert str(error) in str(caught[0].message)
    assert sorted(func.items) == list(range(20))
    assert stage.engine.log == ["close"]


@pytest.mark.parametrize("elsewhere", [True, False])
def test_an_engine_that_breaks(stage: Stage, elsewhere: bool) -> None:
    """Where another one could do better, the loop goes on and says why; else the error comes out."""
    func = Recorder(at=0)
    call = make_call(range(20), func=func)
    stage.planned.set()
    stage.offer_stands(0.0)

    def answer(chunk: Chunk) -> list[Outcome]:
        func.release.set()
        return [lost(chunk), Broken(OSError("all workers died"), elsewhere)]

    stage.engine.answer = answer
    if elsewhere:
        with pytest.warns(FallbackWarning, match="all workers died"):
            assert collect(call) == expected(20)
        assert sorted(func.items) == list(range(20))
    else:
        with pytest.raises(OSError, match="all workers died"):
            collect(call)
    assert stage.engine.log[-1] == "close"


class Frozen(Exception):
    """An error that takes no note, as a frozen dataclass that is an exception."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"cannot assign to {name}")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("error", [Frozen(), MemoryError("no more")])
def test_whatever_fails_in_the_watch_comes_out(stage: Stage, error: Exception) -> None:
    """Results that it had in its hands are not silently left out."""
    func = Recorder(at=0)
    call = make_call(range(20), func=func, return_exceptions=True)
    stage.planned.set()
    stage.offer_stands(0.0)

    def answer(chunk: Chunk) -> list[Outcome]:
        if not func.release.is_set():
            func.release.set()
            if isinstance(error, MemoryError):
                raise error
            values: list[Any] = [None, *(-item for item in chunk.items[1:])]
            return [Done(chunk, values, [Failure(chunk.start, error, "a fake")], 0.1, 0)]
        return [done(chunk)]

    stage.engine.answer = answer
    try:
        results = collect(call)
    except (AttributeError, MemoryError):
        return
    assert len(results) == 20


def test_an_error_in_the_callers_item(stage: Stage) -> None:
    """It comes out while the engine has work, and the engine is closed."""
    error = ValueError("mine")
    working = Event()

    def func(item: int) -> int:
        await_event(working)
        raise error

    def answer(chunk: Chunk) -> list[Outcome]:
        working.set()
        return [done(chunk)]

    call = make_call(range(1000), func=func)
    stage.planned.set()
    stage.offer_stands(0.0)
    stage.engine.answer = answer
    collect(call)
    assert call.failure is error
    assert stage.engine.log[-1] == "close"


def test_an_error_of_a_worker_while_the_caller_is_inside(stage: Stage) -> None:
    """The loop would have raised the earliest, and the caller's item is earlier: its error is the call's."""
    func = Recorder(at=0)
    late = ValueError("late")
    call = make_call(range(1000), func=func)
    stage.planned.set()
    stage.offer_stands(0.0)

    def answer(chunk: Chunk) -> list[Outcome]:
        func.release.set()
        return [Done(chunk, [None], [Failure(chunk.start, late, "a fake")], 0.1, 0)]

    stage.engine.answer = answer
    collect(call)
    assert call.failure is late
    assert len(stage.engine.started) <= 9
    assert func.items[0] == 0


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_ends_the_watch(stage: Stage, kind: type[BaseException]) -> None:
    """It comes out of an item of the caller; what the watch has opened is closed."""
    working = Event()
    taken = Event()

    def inputs() -> Iterator[int]:
        yield 0
        raise AssertionError("not asked for")

    def func(item: int) -> int:
        taken.set()
        await_event(working)
        raise kind

    call = make_call(inputs(), func=func)
    stage.planned.set()
    stage.offer_stands(0.0)
    stage.before_opening = working.set
    collect(call)
    assert isinstance(call.failure, kind)
    assert stage.engine.log[-1:] in (["close"], [])
