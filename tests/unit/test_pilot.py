"""The loop in the caller's thread and its hand-over to an engine: each bad moment is forced."""

import threading
import time
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import pytest

from parmap import _pilot
from parmap._pilot import fly
from parmap._records import Chunk, Outcome
from parmap._run import Driver
from parmap._tuning import LONG_ITEM
from tests.unit.fakes import await_event, done, make_call
from tests.unit.stage import CHECK_ITEMS, Recorder, Stage, collect, expected

MOMENT = 0.2  # seconds that a test allows for something that must not happen


def test_no_plan_is_the_loop(stage: Stage) -> None:
    """No engine is opened."""
    func = Recorder()
    assert collect(make_call(range(100), func=func)) == expected(100)
    assert func.items == list(range(100))
    assert stage.engine.opened_in == 0


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("inert", [False, True])
def test_the_caller_takes_the_offer(stage: Stage, lazy: bool, inert: bool) -> None:
    """It comes out of its item and opens the engine itself; no item is run twice, none is left out."""
    func = Recorder(at=2)
    call = make_call(range(30) if inert else iter(range(30)), lazy=lazy, func=func)
    stage.planned.set()
    offered = Event()
    give_back = _pilot._Watch._give_back

    def noting(watch: _pilot._Watch) -> None:
        give_back(watch)
        func.release.set()
        offered.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pilot._Watch, "_give_back", noting)
        assert collect(call) == expected(30)
    assert offered.is_set()
    assert stage.engine.opened_in == threading.get_ident()
    assert sorted([*func.items, *stage.engine.started]) == list(range(30))
    assert stage.engine.log == ["close"]
    assert stage.engine.spare == 0


@pytest.mark.parametrize("lazy", [False, True])
def test_the_watch_acts_while_the_caller_is_inside_an_item(stage: Stage, lazy: bool) -> None:
    """All the other items are run meanwhile; the caller's own result takes its place."""
    func = Recorder(at=0)
    call = make_call(range(30), lazy=lazy, func=func)
    stage.planned.set()
    stage.offer_stands(0.0)
    finished: set[int] = set()

    def answer(chunk: Chunk) -> list[Outcome]:
        finished.update(range(chunk.start, chunk.start + len(chunk.items)))
        if len(finished) == 6:
            func.release.set()
        return [done(chunk)]

    stage.engine.answer = answer
    assert collect(call) == expected(30)
    assert stage.engine.opened_in not in (0, threading.get_ident())
    assert sorted([*func.items, *stage.engine.started]) == list(range(30))
    assert stage.engine.log == ["close"]


def test_an_item_that_has_taken_long_is_not_waited_for(stage: Stage) -> None:
    """The offer stands for half a minute, but who has been inside for so long is not likely to come out just now."""
    func = Recorder(at=0)
    call = make_call(range(30), func=func)
    stage.before_opening = func.release.set
    threading.Timer(1.5 * LONG_ITEM, stage.planned.set).start()
    assert collect(call) == expected(30)
    assert stage.engine.opened_in not in (0, threading.get_ident())


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("right", [False, True])
def test_a_guess_is_checked_before_the_offer_is_taken(stage: Stage, right: bool, lazy: bool) -> None:
    """The caller runs some more items itself; when they do not speak for the plan, nothing is opened."""
    func = Recorder(at=0)
    call = make_call(range(30), func=func, lazy=lazy)
    stage.planned.set()
    stage.guess = True
    give_back = _pilot._Watch._give_back

    def noting(watch: _pilot._Watch) -> None:
        give_back(watch)
        threading.Timer(MOMENT / 10, come_out).start()

    def come_out() -> None:
        if not right:
            stage.planned.clear()
        func.release.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pilot._Watch, "_give_back", noting)
        assert collect(call) == expected(30)
    assert sorted([*func.items, *stage.engine.started]) == list(range(30))
    assert len(func.items) > CHECK_ITEMS
    assert bool(stage.engine.started) == right


def test_a_guess_that_was_wrong_while_the_watch_acts(stage: Stage) -> None:
    """What the engine has begun it ends; the loop does the rest."""
    func = Recorder(at=0)
    call = make_call(range(1000), func=func)
    stage.planned.set()
    stage.guess = True
    stage.offer_stands(0.0)

    def answer(chunk: Chunk) -> list[Outcome]:
        stage.planned.clear()
        func.release.set()
        while len(func.items) <= CHECK_ITEMS:
            time.sleep(0.001)
        return [done(chunk)]

    stage.engine.answer = answer
    assert collect(call) == expected(1000)
    assert stage.engine.started
    assert func.items[-1] == 999
    assert sorted([*func.items, *stage.engine.started]) == list(range(1000))
    assert stage.engine.log[-1] == "close"


def test_the_item_ends_while_the_rest_is_given_back(stage: Stage) -> None:
    """Between taking the items away and noting them, they are nobody's: the caller must not think that it is done."""
    func = Recorder(at=0)
    call = make_call(range(30), func=func)
    stage.planned.set()
    ended = Event()
    take_back = call.take_back

    def slowly(give_back: Callable[[], Chunk | None]) -> None:
        def given() -> Chunk | None:
            chunk = give_back()
            func.release.set()
            ended.wait(MOMENT)  # the caller goes on as far as it can
            return chunk

        take_back(given)

    call.take_back = slowly  # type: ignore[method-assign]
    results = collect(call)
    ended.set()
    assert results == expected(30)


def test_giving_back_after_the_last_item(stage: Stage) -> None:
    """The plan comes too late: there is nothing to give, and nothing is opened."""
    func = Recorder(at=4)
    call = make_call(range(5), func=func)
    stage.planned.set()
    give_back = _pilot._Watch._give_back

    def noting(watch: _pilot._Watch) -> None:
        give_back(watch)
        func.release.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pilot._Watch, "_give_back", noting)
        assert collect(call) == expected(5)
    assert func.items == list(range(5))
    assert stage.engine.started == []


def test_the_loop_ends_while_the_engine_opens(stage: Stage) -> None:
    """The engine comes too late: it is closed, having been given nothing, and the call does not end before it."""
    func = Recorder(at=0)
    call = make_call(iter(range(5)), func=func)  # the watch may not draw from it
    stage.planned.set()
    stage.offer_stands(0.0)
    stopping = Event()

    def before_opening() -> None:
        func.release.set()
        await_event(stopping)

    stage.before_opening = before_opening
    stop = _pilot._Watch.stop

    def noting(watch: _pilot._Watch, seconds: float) -> Driver | None:
        stopping.set()
        return stop(watch, seconds)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_pilot._Watch, "stop", noting)
        assert collect(call) == expected(5)
    assert func.items == list(range(5))
    assert stage.engine.started == []
    assert stage.engine.log == ["close"]


def test_closing_a_lazy_call_while_the_engine_works(stage: Stage) -> None:
    """The consumer leaves with the first result; the engine is closed, and the watch ends."""
    func = Recorder(at=0)
    call = make_call(range(1000), lazy=True, func=func, buffersize=20)
    stage.planned.set()
    stage.offer_stands(0.0)

    def answer(chunk: Chunk) -> list[Outcome]:
        func.release.set()
        return [done(chunk)]

    stage.engine.answer = answer
    results: Any = fly(call)
    assert next(results)[0] == 0
    results.close()
    assert stage.engine.log[-1] == "close"
    assert len(func.items) + len(stage.engine.started) <= 21


def test_a_consumer_that_is_away(stage: Stage) -> None:
    """While it has the results, nothing of its input is drawn by the watch."""
    drawn: list[int] = []

    def inputs() -> Iterator[int]:
        for item in range(10):
            drawn.append(threading.get_ident())
            yield item

    stage.planned.set()
    call = make_call(inputs(), lazy=True)
    results = [result for run in fly(call) for result in run]
    assert results == expected(10)
    assert set(drawn) == {threading.get_ident()}
