"""What a call makes of outcomes: which items are run again, which results are handed out, which error ends it."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parmap._call import Call
from parmap._chunks import Sizer
from parmap._errors import WorkerCrashError
from parmap._records import Chunk, Done, Failure, Lost
from tests.unit.fakes import done, failed, lost, make_call


def take(call: Call, size: int = 4) -> list[Chunk]:
    """All chunks that the call has to give now."""
    chunks = []
    while (chunk := call.next_chunk(Sizer(size, 1, 1, None))) is not None:
        chunks.append(chunk._replace(items=list(chunk.items)))  # they may be a range
    return chunks


def places(chunks: list[Chunk]) -> list[tuple[int, Sequence[Any]]]:
    """Where chunks start and what they hold."""
    return [(chunk.start, chunk.items) for chunk in chunks]


def hand_out(call: Call) -> list[Any]:
    """All results whose turn has come."""
    return [result for run in call.hand_out() for result in run]


def crash(chunk: Chunk, index: int) -> Lost:
    """The worker died inside an item."""
    return Lost(chunk, Failure(index, WorkerCrashError(index, "", -9), "a fake"), alone=False)


def test_a_chunk_that_is_done() -> None:
    """Its results are handed out, once."""
    call = make_call(range(5))
    first, second = take(call)
    call.settle(done(second))
    assert hand_out(call) == []
    call.settle(done(first))
    assert hand_out(call) == [0, -1, -2, -3, -4]
    assert hand_out(call) == []
    assert call.over
    assert call.failure is None
    assert call.done == 5


def test_the_rest_of_a_chunk_that_was_broken_off() -> None:
    """Exactly the items that were not started are run again."""
    call = make_call(range(6))
    chunk, _ = take(call)
    call.settle(Done(chunk, [0, -1], [], 0.1, 0))
    assert call.left == 2
    assert not call.over
    assert places(take(call)) == [(2, [2, 3])]
    assert hand_out(call) == [0, -1]


def test_nothing_of_a_chunk_was_started() -> None:
    """All of it is run again."""
    call = make_call(range(3))
    (chunk,) = take(call)
    call.settle(Done(chunk, [], [], 0.0, 0))
    assert take(call) == [chunk]


def test_what_comes_back_goes_first_and_is_cut() -> None:
    """Items that came back are older than those not drawn; they too come in chunks of the size that fits."""
    call = make_call(range(10))
    chunk = call.next_chunk(Sizer(6, 1, 1, None))
    assert chunk is not None
    call.settle(lost(chunk))
    assert places(take(call)) == [(0, [0, 1, 2, 3]), (4, [4, 5]), (6, [6, 7, 8, 9])]


def test_a_lost_chunk_is_dispatched_item_by_item() -> None:
    """``alone``: one of the items is at fault, and so it shows which."""
    call = make_call(range(3))
    (chunk,) = take(call)
    call.settle(Lost(chunk, None, alone=True))
    assert places(take(call)) == [(0, [0]), (1, [1]), (2, [2])]


def test_a_crash_with_return_exceptions() -> None:
    """The item that was being run has the error as its result; the others of its chunk are run again."""
    call = make_call(range(5), return_exceptions=True)
    (chunk,) = take(call, 5)
    call.settle(crash(chunk, 2))
    again = take(call, 5)
    assert places(again) == [(0, [0, 1]), (3, [3, 4])]
    for each in again:
        call.settle(done(each))
    results = hand_out(call)
    assert type(results[2]) is WorkerCrashError
    assert results[:2] + results[3:] == [0, -1, -3, -4]
    assert call.failure is None


def test_a_crash_ends_an_eager_call() -> None:
    """No later item is started after it; the earlier ones of its chunk are, since they may fail too."""
    call = make_call(range(10))
    (chunk, *_) = take(call, 5)
    call.settle(crash(chunk, 2))
    assert call.failed
    assert isinstance(call.failure, WorkerCrashError)
    assert call.may_fail_earlier
    assert places(take(call)) == [(0, [0, 1])]


def test_a_crash_in_a_lazy_call() -> None:
    """The results of the items before it are owed; the items after it are not started."""
    call = make_call(range(10), lazy=True)
    chunk = call.next_chunk(Sizer(5, 4, 1, None))
    assert chunk is not None
    call.settle(crash(chunk, 2))
    again = take(call)
    assert places(again) == [(0, [0, 1])]
    assert call.failure is None
    call.settle(done(again[0]))
    assert hand_out(call) == [0, -1]
    assert isinstance(call.failure, WorkerCrashError)


@pytest.mark.parametrize("ordered", [True, False])
def test_items_that_came_back_before_the_failure(ordered: bool) -> None:
    """They are not started after it either, where they come after it."""
    call = make_call(range(12), lazy=True, ordered=ordered)
    _, second, third = take(call, 4)
    call.settle(lost(third))
    call.settle(failed(second, 1, ValueError()))
    assert take(call) == []


@pytest.mark.parametrize("lazy", [False, True])
def test_after_a_failure_only_earlier_items_come_back(lazy: bool) -> None:
    """Whether they were lost before the failure or after it."""
    call = make_call(range(16), lazy)
    first, second, third, fourth = take(call)
    call.settle(lost(fourth))
    call.settle(failed(third, 1, ValueError()))
    call.settle(lost(first))
    call.settle(failed(second, 0, ValueError("earlier")))
    assert places(take(call)) == [(0, [0, 1, 2, 3])]


def test_the_note_says_item_arguments_and_worker() -> None:
    """One note, made where the failure is settled."""
    call = make_call([(1, "a"), (2, "b")])
    (chunk,) = take(call)
    error = ValueError("bad")
    call.settle(failed(chunk._replace(items=[1, (2, "b")]), 1, error))
    assert error.__notes__ == ["parmap: item 1 ((2, 'b')) in a fake"]


class Frozen(Exception):
    """An error that refuses every attribute, as a frozen dataclass that is an exception does."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"cannot assign to {name}")


def with_odd_notes() -> Exception:
    """An error to which no note can be added."""
    error = ValueError("the real error")
    error.__notes__ = ("a tuple",)  # type: ignore[assignment]
    return error


@pytest.mark.parametrize("make", [Frozen, with_odd_notes])
@pytest.mark.parametrize("return_exceptions", [False, True])
def test_errors_that_take_no_note(make: Callable[[], Exception], return_exceptions: bool) -> None:
    """They come out without it: a note is never worth the error, still less the other items' results."""
    call = make_call(range(4), return_exceptions=return_exceptions)
    (chunk,) = take(call)
    error = make()
    call.settle(Done(chunk, [0, None, -2, -3], [Failure(1, error, "a fake")], 0.1, 0))
    if return_exceptions:
        assert hand_out(call) == [0, error, -2, -3]
    else:
        assert call.failure is error


def test_several_failures_keep_their_places() -> None:
    """With ``return_exceptions`` each takes the place of its result."""
    call = make_call(range(4), return_exceptions=True)
    (chunk,) = take(call)
    errors = [ValueError(n) for n in range(4)]
    failures = [Failure(n, errors[n], "a fake") for n in (0, 3)]
    call.settle(Done(chunk, [None, -1, -2, None], failures, 0.1, 0))
    assert hand_out(call) == [errors[0], -1, -2, errors[3]]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_what_is_no_exception_ends_the_call(error: BaseException) -> None:
    """Also with ``return_exceptions``."""
    call = make_call(range(8), return_exceptions=True)
    chunk, _ = take(call)
    call.settle(failed(chunk, 2, error))
    assert call.failure is error


@pytest.mark.parametrize("lazy", [False, True])
def test_of_two_failures_the_earlier_item_wins(lazy: bool) -> None:
    """Whichever came first."""
    call = make_call(range(8), lazy=lazy)
    chunks = take(call, 2)
    late, early = ValueError("late"), ValueError("early")
    call.settle(failed(chunks[1], 0, late))
    assert call.may_fail_earlier
    call.settle(failed(chunks[0], 1, early))
    assert not call.may_fail_earlier
    assert hand_out(call) == [0]
    assert call.failure is early


def test_the_inputs_error_comes_last() -> None:
    """It is not there before all the items that were drawn have come back."""

    def numbers() -> Any:
        yield from range(6)
        raise OSError("input")

    call = make_call(numbers())
    first, second = take(call)
    assert call.over
    assert call.failure is None
    call.settle(done(first))
    assert call.failure is None
    call.settle(lost(second))
    assert call.failure is None
    (again,) = take(call)
    call.settle(done(again))
    assert isinstance(call.failure, OSError)
    assert hand_out(call) == [-n for n in range(6)]


# --- retries ---


def test_a_retry_succeeds() -> None:
    """The item is run again alone, its error is forgotten, and the others of its chunk are not run again."""
    call = make_call(range(4), retries=1)
    (chunk,) = take(call)
    call.settle(failed(chunk, 1, ValueError()))
    alone, rest = sorted(take(call))
    assert alone == Chunk(1, [1], past=("ValueError",))
    assert rest == Chunk(2, [2, 3])
    call.settle(done(rest))
    call.settle(done(alone))
    assert hand_out(call) == [0, -1, -2, -3]
    assert call.failure is None
    assert call.over


@pytest.mark.parametrize("retries", [1, 2, 5])
def test_retries_are_counted_for_each_item(retries: int) -> None:
    """After the last of them the error comes out, the only one with a note."""
    call = make_call([7], retries=retries)
    errors = [ValueError(n) for n in range(retries + 1)]
    for error in errors:
        (chunk,) = take(call)
        call.settle(failed(chunk, 0, error))
    assert call.failure is errors[-1]
    assert [hasattr(error, "__notes__") for error in errors] == [False] * retries + [True]


def test_retries_with_return_exceptions() -> None:
    """Two items of one chunk fail: each is tried again alone, and what fails again takes its place."""
    call = make_call(range(5), retries=1, return_exceptions=True)
    (chunk,) = take(call, 5)
    failures = [Failure(n, ValueError(n), "a fake") for n in (1, 3)]
    call.settle(Done(chunk, [0, None, -2, None, -4], failures, 0.1, 0))
    again = take(call, 5)
    assert places(again) == [(1, [1]), (3, [3])]
    error = ValueError("again")
    call.settle(done(again[0]))
    call.settle(failed(again[1], 0, error))
    assert hand_out(call) == [0, -1, -2, error, -4]


def test_a_crash_is_retried() -> None:
    """The item that was being run is tried again alone, the others as if nothing had been."""
    call = make_call(range(3), retries=1)
    (chunk,) = take(call)
    call.settle(crash(chunk, 1))
    again = sorted(take(call))
    assert [chunk._replace(past=()) for chunk in again] == [Chunk(0, [0]), Chunk(1, [1]), Chunk(2, [2])]
    assert [len(chunk.past) for chunk in again] == [0, 1, 0]
    for each in again:
        call.settle(done(each))
    assert hand_out(call) == [0, -1, -2]


def test_no_retry_after_the_failure() -> None:
    """A call that has failed tries nothing again."""
    call = make_call(range(4), retries=1)
    first, second = take(call, 2)
    for _ in range(2):
        call.settle(failed(first, 0, error := ValueError()))
        (first, *_) = take(call) or [first]
    assert call.failure is error
    call.settle(failed(second, 0, ValueError("late")))
    assert take(call) == []
    assert call.failure is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit()])
def test_what_is_no_exception_is_not_retried(error: BaseException) -> None:
    """Who presses Ctrl-C does not want the item once more."""
    call = make_call(range(2), retries=3)
    (chunk,) = take(call)
    call.settle(failed(chunk, 0, error))
    assert call.failure is error


# --- any history ---


@st.composite
def outcomes(draw: st.DrawFn) -> Callable[[Chunk], Done | Lost]:
    """What may become of a chunk, failures aside."""
    kind = draw(st.sampled_from(["done", "part", "lost", "alone"]))
    share = draw(st.floats(0, 1))

    def settle(chunk: Chunk) -> Done | Lost:
        if kind == "part":
            ran = int(share * len(chunk.items))
            return Done(chunk, [-item for item in chunk.items[:ran]], [], 0.1, 0)
        return done(chunk) if kind == "done" else Lost(chunk, None, kind == "alone")

    return settle


@given(st.integers(0, 80), st.lists(outcomes(), max_size=40), st.data())
def test_nothing_is_lost_or_given_twice(
    length: int, script: list[Callable[[Chunk], Done | Lost]], data: st.DataObject
) -> None:
    """Whatever comes back, in whatever order: each result is handed out once, in order, and no item flies twice."""
    call = make_call(range(length))
    flying: list[Chunk] = []
    results: list[int] = []
    rest = iter(script)
    while not call.over or flying:
        if data.draw(st.booleans()) or not flying:
            chunk = call.next_chunk(Sizer(data.draw(st.integers(1, 20)), 1, 1, None))
            flying += [chunk] if chunk is not None else []
        if flying:
            chunk = flying.pop(data.draw(st.integers(0, len(flying) - 1)))
            call.settle(next(rest, done)(chunk))
        items = [item for chunk in flying for item in chunk.items]
        assert len(items) == len(set(items))
        results += hand_out(call)
    assert results == [-n for n in range(length)]
    assert call.done == length
    assert call.left == 0
