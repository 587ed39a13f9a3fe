"""What is remembered of a function: of use to its next call, never in the way of any, and never a leak."""

import functools
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from parmap._learned import Learned
from parmap._tuning import LEARNED_FUNCTIONS
from tests.unit import travelling


def make_adder(step: int) -> Callable[[int], int]:
    """A local function, made anew for each call."""
    return lambda item: item + step


class Odd:
    """Callable, and raises the wrong error for an attribute that it has not."""

    def __call__(self, item: int) -> int:
        return item

    def __getattr__(self, name: str) -> Any:
        raise KeyError(name)


class Unhashable:
    """Callable, and cannot be hashed."""

    __hash__ = None  # type: ignore[assignment]

    def __call__(self, item: int) -> int:
        return item


class Words(dict[str, int]):
    """A dict that can be referred to weakly."""


@pytest.mark.parametrize("func", [travelling.by_name, abs, travelling.Holder, travelling.cached], ids=repr)
def test_a_function_is_known_again(func: Callable[..., Any]) -> None:
    """The last time counts."""
    learned = Learned()
    assert learned.recall(func).seconds == 0.0
    learned.remember(func, 0.5)
    learned.remember(func, 0.25)
    assert learned.recall(func).seconds == 0.25
    assert learned.recall(len).seconds == 0.0


def test_local_functions_are_known_by_their_code() -> None:
    """A lambda is made anew for each call."""
    learned = Learned()
    learned.remember(make_adder(1), 0.5)
    assert learned.recall(make_adder(2)).seconds == 0.5


def test_the_memory_is_bounded() -> None:
    """The functions that were used last are known, the others forgotten."""
    learned = Learned()
    made = [eval(f"lambda: {number}") for number in range(LEARNED_FUNCTIONS + 1)]
    for func in made:
        learned.remember(func, 0.5)
        learned.remember(made[0], 0.5)
    assert learned.recall(made[0]).seconds == 0.5
    assert learned.recall(made[1]).seconds == 0.0
    assert learned.recall(made[-1]).seconds == 0.5


@pytest.mark.parametrize("make", [Odd, Unhashable, lambda: functools.partial(abs), lambda: Unhashable().__call__])
def test_any_callable_is_taken(make: Callable[[], Callable[..., Any]]) -> None:
    """Whatever it says of itself: a loop would only call it."""
    learned, func = Learned(), make()
    learned.remember(func, 0.5)
    assert learned.recall(func).seconds in (0.0, 0.5)


@pytest.mark.parametrize("method", ["get", "__getitem__"])
def test_nothing_of_the_users_is_kept_alive(method: str) -> None:
    """The data behind a bound method may be large."""
    learned = Learned()
    data = Words()
    alive = weakref.ref(data)
    learned.remember(getattr(data, method), 0.5)
    del data
    gc.collect()
    assert alive() is None
