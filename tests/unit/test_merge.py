"""Order out of any disorder."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parmap._merge import AsCompleted, InOrder


@st.composite
def runs(draw: st.DrawFn) -> list[tuple[int, list[int]]]:
    """An input cut into runs, in some order of completion."""
    length = draw(st.integers(0, 60))
    cuts = sorted(draw(st.sets(st.integers(1, max(1, length - 1)), max_size=12)) | {0, length})
    cut = [(start, list(range(start, stop))) for start, stop in itertools.pairwise(cuts)]
    return list(draw(st.permutations(cut)))


@given(runs(), st.data())
def test_any_order_of_completion_gives_input_order(parts: list[tuple[int, list[int]]], data: st.DataObject) -> None:
    """However runs are completed and results taken, they come out in order, each once, as soon as they can."""
    merge = InOrder()
    length = sum(len(values) for _, values in parts)
    there: set[int] = set()
    taken: list[int] = []
    for start, values in parts:
        merge.add(start, list(values))
        there.update(values)
        if data.draw(st.booleans()):
            taken += merge.take()
            assert taken == list(range(len(taken)))
            assert len(taken) not in there
    taken += merge.take()
    assert taken == list(range(length))
    assert merge.take() == []
    assert merge.failure is None
    assert merge.first_failure() is None


@given(runs(), st.data())
def test_failures_wait_for_their_turn(parts: list[tuple[int, list[int]]], data: st.DataObject) -> None:
    """What comes out is what the loop would have given: all before the first failure, and then that one."""
    length = sum(len(values) for _, values in parts)
    bad = data.draw(st.sets(st.integers(0, max(0, length - 1)), max_size=4)) if length else set()
    errors = {index: ValueError(index) for index in bad}
    merge = InOrder()
    taken: list[int] = []
    for start, values in parts:
        begin = 0
        for position, value in enumerate(values):
            if value in bad:
                merge.add(start + begin, values[begin:position])
                merge.fail(value, errors[value])
                begin = position + 1
        merge.add(start + begin, values[begin:])
        taken += merge.take()
        assert merge.failure is None or taken == list(range(min(bad)))
    assert taken == list(range(min(bad, default=length)))
    assert merge.failure is errors.get(min(bad, default=-1))
    assert merge.first_failure() is merge.failure


def test_a_failure_shows_without_taking() -> None:
    """When its turn has come already, the failure is there at once."""
    merge, error = InOrder(), ValueError()
    merge.fail(0, error)
    assert merge.failure is error


def test_the_earliest_failure_is_known_before_its_turn() -> None:
    """Whichever failed first, and whatever is missing before it."""
    merge, late, early = InOrder(), ValueError("late"), ValueError("early")
    merge.fail(9, late)
    merge.fail(4, early)
    assert merge.failure is None
    assert merge.first_failure() is early


@given(runs(), st.data())
def test_as_completed(parts: list[tuple[int, list[int]]], data: st.DataObject) -> None:
    """Nothing waits, nothing is lost, nothing comes twice."""
    merge = AsCompleted()
    taken: list[int] = []
    expected: list[int] = []
    for start, values in parts:
        merge.add(start, list(values))
        expected += values
        if data.draw(st.booleans()):
            taken += merge.take()
            assert taken == expected
    taken += merge.take()
    assert taken == expected


def test_as_completed_fails_at_once() -> None:
    """The failure that came first is the failure, whatever its place."""
    merge, first = AsCompleted(), ValueError()
    merge.fail(7, first)
    assert merge.failure is first
    merge.fail(0, KeyError())
    assert merge.failure is merge.first_failure() is first


class Falsy(Exception):
    """An error that is empty, as a collection of errors may be."""

    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize("merge", [InOrder(), AsCompleted()], ids=lambda merge: type(merge).__name__)
def test_errors_are_not_asked_for_their_truth(merge: Any) -> None:
    """An error that is false is an error."""
    error = Falsy()
    merge.fail(0, error)
    merge.fail(1, KeyError())
    assert merge.failure is error
    assert merge.first_failure() is error
