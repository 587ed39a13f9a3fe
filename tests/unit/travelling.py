"""Objects of a module that both sides can import, for the tests of what travels by name and what by value."""

import functools
from typing import Any


def by_name(item: int) -> int:
    """An ordinary function."""
    return item + 1


def initialize() -> None:
    """An ordinary initializer."""


class Holder:
    """A class with methods, and a part that each test gives it."""

    def __init__(self, part: Any = None) -> None:
        self.part = part

    def method(self, item: int) -> int:
        """A bound method travels with its object."""
        return item

    @classmethod
    def build(cls, item: int) -> "Holder":
        """A class method travels by name."""
        return cls(item)


@functools.lru_cache(maxsize=7)
def cached(item: int) -> int:
    """A cached function that can be imported."""
    return item * 2


@functools.singledispatch
def described(item: object) -> str:
    """A dispatching function that can be imported."""
    return "object"
