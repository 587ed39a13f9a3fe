"""Same values, same order, whatever the input, the function and the results are: the loop is the oracle."""

import collections
import math
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from parmap import pimap, pmap
from tests.contract.conftest import MAPPERS, Mapper
from tests.contract.helpers import busy, here


class OldSequence:
    """Iterable by ``__getitem__`` alone."""

    def __getitem__(self, index: int) -> int:
        if index == 5:
            raise IndexError
        return index * index


class LyingLength:
    """Its ``__len__`` says less than it yields."""

    def __len__(self) -> int:
        return 2

    def __iter__(self) -> Iterator[int]:
        return iter(range(6))


class WrongHint:
    """An iterator whose ``__length_hint__`` is wrong."""

    def __init__(self) -> None:
        self.rest = iter(range(6))

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        return next(self.rest)

    def __length_hint__(self) -> int:
        return 100


INPUTS: dict[str, Callable[[], Iterable[Any]]] = {
    "list": lambda: [3, 1, 2],
    "one item": lambda: [1],
    "tuple": lambda: (3, 1, 2),
    "range": lambda: range(9, 0, -2),
    "str": lambda: "hello",
    "bytes": lambda: b"hello",
    "dict": lambda: {"a": 1, "b": 2},
    "dict items": lambda: {"a": 1, "b": 2}.items(),
    "set": lambda: {4, 5, 6},
    "generator": lambda: (n * n for n in range(7)),
    "iterator": lambda: iter([3, 1, 2]),
    "map": lambda: map(str, range(4)),
    "deque": lambda: collections.deque([1, 2, 3]),
    "old sequence": lambda: cast(Iterable[Any], OldSequence()),
    "lying length": LyingLength,
    "wrong hint": WrongHint,
    "array": lambda: np.arange(5),
    "rows": lambda: np.arange(6).reshape(3, 2),
    "series": lambda: pd.Series([1.5, 2.5], index=["x", "y"]),
    "frame": lambda: pd.DataFrame({"x": [1], "y": [2]}),
    "empty list": list,
    "empty str": str,
    "empty generator": lambda: iter(()),
    "empty array": lambda: np.empty(0),
    "items None": lambda: [None, None],
    "items bool": lambda: [True, False, 0, 1],
    "items tuples": lambda: [(1, 2), (3, 4), ()],
    "items dicts": lambda: [{"x": 1}, {}],
    "items lists": lambda: [[1, 2], []],
    "items arrays": lambda: [np.arange(2), np.arange(3)],
    "items errors": lambda: [ValueError("an item"), StopIteration(1)],
    "items functions": lambda: [len, math.sin],
    "items classes": lambda: [int, ValueError],
    "items huge ints": lambda: [10**400, -(10**400)],
    "items surrogates": lambda: ["\ud800", "é", "\0"],
}


def describe(item: Any) -> tuple[str, str]:
    """The item as the function sees it."""
    return type(item).__name__, repr(item)


@pytest.mark.parametrize("name", INPUTS)
def test_any_iterable(backend: str, name: str) -> None:
    """Every iterable is accepted, sized or not, and its items arrive as they are, never unpacked."""
    make = INPUTS[name]
    for mapper in MAPPERS:
        assert mapper(describe, make(), backend=backend, workers=2) == [describe(item) for item in make()]


def test_open_file(backend: str, mapper: Mapper, tmp_path: Path) -> None:
    """A file object gives its lines."""
    path = tmp_path / "lines.txt"
    path.write_text("one\ntwo\n\nlast", encoding="utf-8")
    with path.open(encoding="utf-8") as file:
        assert mapper(len, file, backend=backend, workers=2) == [4, 4, 1, 4]


def give(value: Any) -> Callable[[int], Any]:
    """A function that returns ``value`` for every item."""
    return lambda item: value


RESULTS: dict[str, Any] = {
    "None": None,
    "False": False,
    "NotImplemented": NotImplemented,
    "Ellipsis": ...,
    "empty str": "",
    "empty tuple": (),
    "tuple": (1, 2),
    "list": [1, [2, [3]]],
    "dict": {"a": {1, 2}},
    "nan": math.nan,
    "huge int": 10**400,
    "error": ValueError("returned", 3),
    "StopIteration": StopIteration(3),
    "GeneratorExit": GeneratorExit(),
    "KeyboardInterrupt": KeyboardInterrupt(),
    "error class": StopIteration,
    "class": collections.OrderedDict,
    "function": math.sin,
    "lambda result type": type(lambda: 0),
    "array": np.arange(6.0).reshape(2, 3),
    "fortran array": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "empty array": np.empty((0, 3)),
    "object array": np.array([1, "x", None], dtype=object),
    "frame": pd.DataFrame({"x": [1, 2], "y": ["a", "b"]}),
    "series": pd.Series([1.5, None], name="s"),
    "bytes": b"\0\xff",
    "pattern": re.compile("a+b"),
}
SINGLETONS = ("None", "False", "NotImplemented", "Ellipsis", "error class", "class")


@pytest.mark.parametrize("name", RESULTS)
def test_any_result(backend: str, name: str) -> None:
    """What the function returns is the result, even where it looks like an error, an end or a missing value."""
    value = RESULTS[name]
    for mapper in MAPPERS:
        results = mapper(give(value), range(3), backend=backend, workers=2)
        assert type(results) is list
        assert [describe(result) for result in results] == [describe(value)] * 3
        if name in SINGLETONS:
            assert all(result is value for result in results)


def test_returned_errors_stay_values_among_raised_ones(backend: str, mapper: Mapper) -> None:
    """With ``return_exceptions`` an error that was returned and one that was raised both take their item's place."""

    def some(item: int) -> Exception:
        if item % 2:
            raise KeyError(item)
        return ValueError(item)

    results = mapper(some, range(6), backend=backend, workers=2, return_exceptions=True)
    assert [(type(result), result.args) for result in results] == [
        ((KeyError, ValueError)[item % 2 == 0], (item,)) for item in range(6)
    ]


@pytest.mark.parametrize("backend", ["serial", "thread", "auto"])
def test_results_that_cannot_be_pickled(backend: str, mapper: Mapper) -> None:
    """Inside one process anything may be a result: generators, locks, local classes."""

    class Local:
        pass

    assert [list(each) for each in mapper(lambda n: (i for i in range(n)), range(4), backend=backend)] == [
        list(range(n)) for n in range(4)
    ]
    assert all(type(each) is Local for each in mapper(lambda n: Local(), range(4), backend=backend))
    assert all(hasattr(each, "acquire") for each in mapper(lambda n: threading.Lock(), range(4), backend=backend))


def triple(item: int, scale: int = 3) -> int:
    """A function of one argument and one default."""
    return item * scale


@pytest.mark.parametrize("workers", [None, 1, 2, 4])
def test_workers_and_chunksize_change_nothing(backend: str, mapper: Mapper, workers: int | None) -> None:
    """The answer is the loop's, however the items are dealt out."""
    for chunksize in (None, 1, 3, 1000):
        for items in (range(100), (n for n in range(100))):
            got = mapper(triple, items, backend=backend, workers=workers, chunksize=chunksize)
            assert got == [n * 3 for n in range(100)]


def test_many_cheap_items(backend: str, mapper: Mapper) -> None:
    """Order and number hold over many items."""
    assert mapper(str, range(30_000), backend=backend, workers=2) == [str(n) for n in range(30_000)]


def test_items_of_very_different_cost(backend: str, mapper: Mapper) -> None:
    """Items that finish long before their predecessors still come out in order."""

    def uneven(item: int) -> int:
        busy(0.03 if item % 10 == 0 else 0.0002)
        return item

    assert mapper(uneven, range(40), backend=backend, workers=2) == list(range(40))


def test_big_items_and_big_results(backend: str, mapper: Mapper) -> None:
    """Megabytes in both directions at once neither block nor change."""

    def turn(item: bytes) -> bytes:
        return item[::-1]

    items = [bytes([n, n + 1]) * 400_000 for n in range(12)]
    assert mapper(turn, items, backend=backend, workers=2) == [item[::-1] for item in items]


@pytest.mark.parametrize("size", [10, 20_000, 500_000])
def test_array_arguments_are_writable(backend: str, size: int) -> None:
    """A function may write into the arrays it gets, whatever their size, and its results may be written into."""

    def double(array: Any) -> Any:
        array *= 2
        return array

    results = pmap(double, [np.full(size, n, dtype=float) for n in range(3)], backend=backend, workers=2)
    for n, result in enumerate(results):
        assert result.shape == (size,)
        assert np.all(result == 2.0 * n)
        result[:1] = -1


def test_results_keep_what_they_share(backend: str, mapper: Mapper) -> None:
    """Inside one result, an object that occurs twice is still one object."""

    def twins(item: int) -> list[list[int]]:
        shared = [item]
        return [shared, shared]

    for first, second in mapper(twins, range(5), backend=backend, workers=2):
        assert first is second


def test_results_of_different_items_are_not_shared(backend: str, mapper: Mapper) -> None:
    """Results that are equal but were made apart can be changed apart."""
    results = mapper(lambda item: [], range(5), backend=backend, workers=2)
    results[0].append(1)
    assert results == [[1], [], [], [], []]


def test_each_backend_runs_where_it_says() -> None:
    """Serial runs in the caller's thread, threads in this process, processes in others."""
    mine = here()
    assert set(pmap(lambda item: here(), range(4), backend="serial")) == {mine}
    threads = set(pmap(lambda item: here(), range(4), backend="thread", workers=2))
    assert {each.split("-")[0] for each in threads} == {str(os.getpid())}
    assert mine not in threads
    processes = set(pmap(lambda item: os.getpid(), range(4), backend="process", workers=2))
    assert os.getpid() not in processes


def test_unordered_yields_every_result_once(backend: str) -> None:
    """``ordered=False`` gives the same results, each exactly once, in some order."""
    got = list(pimap(str, range(500), backend=backend, workers=2, ordered=False))
    assert collections.Counter(got) == collections.Counter(map(str, range(500)))


def test_unordered_keeps_errors_asked_for(backend: str) -> None:
    """``ordered=False`` with ``return_exceptions=True`` loses no item."""

    def invert(item: int) -> float:
        return 1 / (item % 5)

    got = list(pimap(invert, range(50), backend=backend, workers=2, ordered=False, return_exceptions=True))
    assert len(got) == 50
    assert sum(isinstance(each, ZeroDivisionError) for each in got) == 10


def test_unordered_yields_as_completed() -> None:
    """``ordered=False`` hands out item 1 while item 0 still runs."""
    release = threading.Event()

    def wait_for_the_other(item: int) -> int:
        if item == 0:
            assert release.wait(60)
        return item

    results = pimap(wait_for_the_other, range(2), backend="thread", workers=2, chunksize=1, ordered=False)
    assert next(results) == 1
    release.set()
    assert list(results) == [0]
