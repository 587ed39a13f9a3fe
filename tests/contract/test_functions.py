"""Any callable can be mapped, over one iterable or several that are taken together as by ``map``."""

import functools
import itertools
import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from parmap import pimap
from tests.contract.conftest import MAPPERS, Mapper


class Scale:
    """A callable instance, and a class with methods of every kind."""

    def __init__(self, factor: int) -> None:
        self.factor = factor

    def __call__(self, item: int) -> int:
        return item * self.factor

    def method(self, item: int) -> int:
        """A bound method."""
        return item * self.factor + 1

    @classmethod
    def build(cls, item: int) -> int:
        """A class method."""
        return cls(item).factor

    @staticmethod
    def plain(item: int) -> int:
        """A static method."""
        return -item


def with_default(item: int, scale: int = 3) -> int:
    """A function of one argument and one default."""
    return item * scale


def variadic(*items: int) -> int:
    """A function of any number of arguments."""
    return len(items)


def closure(step: int) -> Callable[[int], int]:
    """A local function that closes over ``step``."""

    def add(item: int) -> int:
        return item + step

    return add


def local_recursion() -> Callable[[int], int]:
    """A local function that calls itself."""

    def factorial(item: int) -> int:
        return 1 if item < 2 else item * factorial(item - 1)

    return factorial


@functools.cache
def cached(item: int) -> int:
    """A cached function."""
    return item * item


FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "lambda": lambda item: item + 1,
    "closure": closure(5),
    "local recursion": local_recursion(),
    "default": with_default,
    "variadic": variadic,
    "builtin": abs,
    "class": complex,
    "type": str,
    "bound builtin": "{:>5}".format,
    "callable instance": Scale(4),
    "bound method": Scale(4).method,
    "class method": Scale.build,
    "static method": Scale.plain,
    "partial": functools.partial(pow, 2),
    "partial of lambda": functools.partial(lambda factor, item: factor * item, 7),
    "operator": operator.neg,
    "methodcaller": operator.methodcaller("bit_length"),
    "ufunc": np.sqrt,
    "cached": cached,
    "uses cached": lambda item: cached(item) + 1,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_any_callable(backend: str, name: str) -> None:
    """Functions of every kind can be mapped."""
    func = FUNCTIONS[name]
    for mapper in MAPPERS:
        assert mapper(func, range(8), backend=backend, workers=2) == [func(item) for item in range(8)]


SEVERAL: dict[str, Callable[[], tuple[Iterable[Any], ...]]] = {
    "equal": lambda: ([2, 3, 4], [5, 2, 3]),
    "first shorter": lambda: ([2, 3], range(100)),
    "second shorter": lambda: (range(100), [1, 2, 3]),
    "three": lambda: ("abc", (1, 2, 3), {"x", "y", "z"}),
    "one empty": lambda: ([], [1, 2]),
    "generators": lambda: ((n for n in range(5)), (n for n in range(4))),
    "with an infinite one": lambda: (range(6), itertools.count()),
    "tuples as items": lambda: ([(1, 2), (3, 4)], [None, (5,)]),
    "one iterator twice": lambda: (iterator := iter(range(9)), iterator),
}


def pack(*items: Any) -> tuple[Any, ...]:
    """The arguments, as they came."""
    return items


@pytest.mark.parametrize("name", SEVERAL)
def test_several_iterables_zip_as_map_does(backend: str, name: str) -> None:
    """Several iterables give the function an argument each and end with the shortest."""
    make = SEVERAL[name]
    for mapper in MAPPERS:
        assert mapper(pack, *make(), backend=backend, workers=2) == list(map(pack, *make()))


@pytest.mark.parametrize("sized", [True, False])
def test_strict_accepts_equal_lengths(backend: str, mapper: Mapper, sized: bool) -> None:
    """``strict=True`` changes nothing where the lengths are equal."""
    first: Iterable[int] = range(5) if sized else (n for n in range(5))
    assert mapper(pack, first, "abcde", backend=backend, workers=2, strict=True) == list(enumerate("abcde"))


@pytest.mark.parametrize(("left", "right"), [(3, 5), (5, 3), (0, 1)])
def test_strict_finds_unequal_lengths_of_iterators(backend: str, mapper: Mapper, left: int, right: int) -> None:
    """``strict=True`` raises ``ValueError`` where one iterator ends before another."""
    with pytest.raises(ValueError, match=r"(?i)argument 2|strict|length"):
        mapper(pack, iter(range(left)), iter(range(right)), backend=backend, workers=2, strict=True)


def test_strict_pimap_yields_what_there_was(backend: str) -> None:
    """With iterators of unequal lengths ``pimap`` yields the complete items and then raises."""
    results = pimap(pack, iter("abc"), iter(range(9)), backend=backend, workers=2, strict=True)
    assert [next(results) for _ in range(3)] == [("a", 0), ("b", 1), ("c", 2)]
    with pytest.raises(ValueError, match=r"(?i)argument 2|strict|length"):
        next(results)
