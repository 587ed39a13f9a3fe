"""Random inputs, options and functions: the answer is the loop's, errors included."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parmap import pchunked, pimap, pmap
from tests.contract.helpers import outcome

ENGINES = [("serial", 60), ("thread", 40), ("auto", 40), ("process", 15)]

scalars = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.floats(allow_nan=False)
items = st.lists(scalars | st.tuples(scalars, scalars) | st.lists(scalars, max_size=3), max_size=60)
workers = st.sampled_from([None, 1, 2, 3])
chunksizes = st.none() | st.integers(1, 70)


def examples(count: int) -> settings:
    """So many examples, as slow as they are."""
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck))


def as_generator(values: list[Any]) -> Iterator[Any]:
    """The same items, of unknown number."""
    yield from values


def failing(bad: set[int]) -> Callable[[int], int]:
    """A function that fails on some items, on each with its own error."""

    def work(item: int) -> int:
        if item in bad:
            raise (KeyError, ValueError, ZeroDivisionError)[item % 3](item)
        return item * item

    return work


@pytest.mark.parametrize(("backend", "count"), ENGINES)
def test_pmap_is_the_loop(backend: str, count: int) -> None:
    """Any items, sized or not, in any chunks, on any number of workers."""

    @examples(count)
    @given(items, workers, chunksizes, st.booleans())
    def check(values: list[Any], workers: int | None, chunksize: int | None, sized: bool) -> None:
        given_items = values if sized else as_generator(values)
        got = pmap(repr, given_items, backend=backend, workers=workers, chunksize=chunksize)
        assert got == [repr(value) for value in values]

    check()


@pytest.mark.parametrize(("backend", "count"), ENGINES)
def test_pimap_is_the_loop(backend: str, count: int) -> None:
    """Any items, any window; without order the same results in some order."""

    @examples(count)
    @given(items, workers, chunksizes, st.none() | st.integers(1, 20), st.booleans())
    def check(
        values: list[Any], workers: int | None, chunksize: int | None, buffersize: int | None, ordered: bool
    ) -> None:
        results = pimap(
            repr,
            as_generator(values),
            backend=backend,
            workers=workers,
            chunksize=chunksize,
            buffersize=buffersize,
            ordered=ordered,
        )
        got, expected = list(results), [repr(value) for value in values]
        assert got == expected if ordered else sorted(got) == sorted(expected)

    check()


@pytest.mark.parametrize(("backend", "count"), ENGINES)
def test_errors_are_the_loops(backend: str, count: int) -> None:
    """Of several failing items the first in input order decides, as in the loop; asked for, each is in its place."""

    @examples(count)
    @given(st.integers(0, 40), st.sets(st.integers(0, 50), max_size=4), workers, chunksizes)
    def check(size: int, bad: set[int], workers: int | None, chunksize: int | None) -> None:
        work = failing(bad)
        given_options: dict[str, Any] = {"backend": backend, "workers": workers, "chunksize": chunksize}
        assert outcome(lambda: pmap(work, range(size), **given_options)) == outcome(
            lambda: [work(item) for item in range(size)]
        )
        kept: list[Any] = pmap(work, range(size), return_exceptions=True, **given_options)
        assert [outcome(partial(work, item)) for item in range(size)] == [
            (type(each).__name__, each.args) if isinstance(each, Exception) else ("value", each) for each in kept
        ]

    check()


@pytest.mark.parametrize(("backend", "count"), ENGINES)
def test_pimap_gives_the_loops_prefix(backend: str, count: int) -> None:
    """Up to the first failing item the results are the loop's, and then its error comes."""

    @examples(count)
    @given(st.integers(1, 40), st.sets(st.integers(0, 39), min_size=1, max_size=3), chunksizes)
    def check(size: int, bad: set[int], chunksize: int | None) -> None:
        work = failing(bad)

        def read(results: Iterator[int]) -> tuple[list[int], tuple[str, Any]]:
            got: list[int] = []
            return got, outcome(lambda: got.extend(results))

        parallel = pimap(work, range(size), backend=backend, workers=2, chunksize=chunksize)
        assert read(parallel) == read(map(work, range(size)))

    check()


@pytest.mark.parametrize(("backend", "count"), ENGINES)
def test_several_iterables_are_map(backend: str, count: int) -> None:
    """Any number of iterables of any lengths."""

    @examples(count)
    @given(st.lists(st.lists(st.integers(), max_size=20), min_size=1, max_size=4), chunksizes)
    def check(columns: list[list[int]], chunksize: int | None) -> None:
        got = pmap(lambda *row: row, *columns, backend=backend, workers=2, chunksize=chunksize)
        assert got == list(map(lambda *row: row, *columns))

    check()


@pytest.mark.parametrize(("backend", "count"), ENGINES)
def test_pchunked_covers_the_input(backend: str, count: int) -> None:
    """The chunks, joined, are the data; each but the last holds the ceiling of the share."""

    @examples(count)
    @given(st.lists(st.integers(), min_size=1, max_size=60), st.integers(1, 70))
    def check(values: list[int], chunks: int) -> None:
        parts = pchunked(list, values, chunks=chunks, backend=backend, workers=2, merge=None)
        share = -(-len(values) // chunks)
        assert parts == [values[start : start + share] for start in range(0, len(values), share)]
        assert pchunked(list, values, chunks=chunks, backend=backend, workers=2) == values
        assert pchunked(set, set(values), chunks=chunks, backend=backend, workers=2) == set(values)

    check()
