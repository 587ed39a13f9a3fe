"""The input: drawn lazily, in order, once each; its own error is its end."""

import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parmap._records import ALL, Chunk
from parmap._source import Source
from parmap._tuning import FIRST_CHUNK, SMALL_ITEM_BYTES


class Counted:
    """An iterator that counts what is drawn from it, and may fail after some items."""

    def __init__(self, limit: int | None = None, error: BaseException | None = None) -> None:
        self.drawn = 0
        self._limit = limit
        self._error = error

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        if self.drawn == self._limit:
            if self._error is not None:
                raise self._error
            raise StopIteration
        self.drawn += 1
        return self.drawn - 1


def drain(source: Source, size: int = 7) -> list[Any]:
    """All items, by chunks."""
    items: list[Any] = []
    while (chunk := source.take(size)) is not None:
        assert chunk.start == len(items)
        items += chunk.items
    return items


@given(st.lists(st.integers(1, 50), max_size=20))
def test_nothing_is_drawn_before_it_is_asked_for(sizes: list[int]) -> None:
    """Of an endless input exactly the items asked for are drawn."""
    counted = Counted()
    source = Source((counted,))
    assert counted.drawn == 0
    for size in sizes:
        before = counted.drawn
        assert source.take(size) == Chunk(before, list(range(before, before + size)))
        assert source.drawn == counted.drawn == before + size
    assert not source.exhausted


@given(st.integers(0, 100), st.integers(1, 40))
def test_an_error_comes_after_the_items_before_it(good: int, size: int) -> None:
    """They are all given, the error is kept as it is, and nothing is drawn after it."""
    error = LookupError()
    counted = Counted(good, error)
    source = Source((counted,))
    assert drain(source, size) == list(range(good))
    assert source.error is error
    assert source.exhausted
    assert source.take(size) is None
    assert source.left == 0


def test_the_end_is_asked_for_once() -> None:
    """An iterator that would go on after its end is left alone."""
    rest = iter([[1, 2], [3]])

    class Revives:
        def __init__(self) -> None:
            self.items: list[int] = next(rest)

        def __iter__(self) -> Iterator[int]:
            return self

        def __next__(self) -> int:
            if self.items:
                return self.items.pop(0)
            self.items = next(rest)
            raise StopIteration

    source = Source((Revives(),))
    assert drain(source) == [1, 2]
    assert source.take(5) is None


@given(st.lists(st.lists(st.integers(), max_size=20), min_size=2, max_size=4), st.integers(1, 9))
def test_several_iterables_are_zipped(iterables: list[list[int]], size: int) -> None:
    """An item is a tuple, and the shortest ends them all."""
    source = Source(tuple(iterables))
    assert source.packed
    assert source.length == min(map(len, iterables))
    assert drain(source, size) == list(zip(*iterables, strict=False))


def test_one_iterable_of_tuples_is_not_packed() -> None:
    """A tuple among the items stays one argument."""
    source = Source(([(1, 2)],))
    assert not source.packed
    assert drain(source) == [(1, 2)]


@pytest.mark.parametrize("lengths", [(3, 5), (5, 3), (0, 1), (2, 2, 1)])
def test_strict_is_an_error_at_the_end(lengths: tuple[int, ...]) -> None:
    """The complete items come first."""
    source = Source(tuple(iter(range(length)) for length in lengths), strict=True)
    assert drain(source) == [(n,) * len(lengths) for n in range(min(lengths))]
    assert isinstance(source.error, ValueError)


def test_strict_with_equal_lengths() -> None:
    """There is no error then."""
    source = Source((iter("ab"), iter("cd")), strict=True)
    assert drain(source) == [("a", "c"), ("b", "d")]
    assert source.error is None


class Lies:
    """Says that it has two items, and has more."""

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[int]:
        return iter(range(10))


class Refuses:
    """Does not tell its length."""

    def __len__(self) -> int:
        raise OSError("not now")

    def __iter__(self) -> Iterator[int]:
        return iter(range(10))


@pytest.mark.parametrize(
    ("iterables", "length"),
    [
        (([1, 2, 3],), 3),
        ((range(10**15),), 10**15),
        ((iter([1]),), None),
        ((Refuses(),), None),
        (([1, 2], "abc"), 2),
        (([1, 2], itertools.count()), None),
        ((Lies(),), 2),
        (({},), 0),
    ],
    ids=repr,
)
def test_lengths(iterables: tuple[Iterable[Any], ...], length: int | None) -> None:
    """Known only where everything that could end the input tells it."""
    source = Source(iterables)
    assert source.length == length
    assert source.left == length


def test_what_is_left() -> None:
    """It counts down to nothing, and at the end there is nothing left whatever was said before."""
    source = Source(([1, 2, 3],))
    source.take(2)
    assert source.left == 1
    unknown = Source((iter([1]),))
    assert unknown.left is None
    assert drain(unknown) == [1]
    assert unknown.left == 0


def test_a_length_that_lies() -> None:
    """All items come nevertheless."""
    source = Source((Lies(),))
    assert drain(source) == list(range(10))
    assert source.left == 0


@pytest.mark.parametrize(
    ("make", "inert", "first"),
    [
        (lambda: [1, 2], True, FIRST_CHUNK),
        (lambda: range(5), True, FIRST_CHUNK),
        (lambda: "text", True, FIRST_CHUNK),
        (lambda: {"a": 1}, True, FIRST_CHUNK),
        (lambda: ["x" * SMALL_ITEM_BYTES], True, 1),
        (lambda: [[1]], True, 1),
        (lambda: [object()], True, 1),
        (lambda: iter([1, 2]), False, 1),
        (Counted, False, 1),
        (lambda: type("Rows", (list,), {})([1]), False, 1),  # its __iter__ may be the user's
    ],
)
def test_what_is_known_of_an_input(make: Callable[[], Iterable[Any]], inert: bool, first: int) -> None:
    """Only what runs no code of the user is inert, and only small plain items are sent many at once."""
    source = Source((make(),))
    assert (source.inert, source.first) == (inert, first)


def test_looking_draws_nothing() -> None:
    """Neither the length nor the first item costs an item of an iterator."""
    counted = Counted(3)
    source = Source(([1, 2, 3], counted))
    assert counted.drawn == 0
    assert not source.inert
    assert drain(source) == [(1, 0), (2, 1), (3, 2)]


def test_all_of_a_list_is_the_list_itself() -> None:
    """Nothing is copied."""
    items = [object()]
    source = Source((items,))
    chunk = source.take(ALL)
    assert chunk is not None
    assert chunk.items is items


def test_all_that_is_left_of_a_list_is_a_copy_of_its_end() -> None:
    """Each item is drawn once."""
    source = Source(([1, 2, 3],))
    assert source.take(1) == Chunk(0, [1])
    assert source.take(ALL) == Chunk(1, [2, 3])
    assert source.take(ALL) is None
