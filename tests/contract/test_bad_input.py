"""Bad input is an error before anything runs; it names the option, what was given, and what is allowed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import pytest

from parmap import pchunked, pimap, pmap

Errors: TypeAlias = type[Exception] | tuple[type[Exception], ...]

WRONG_KIND = (TypeError, ValueError)
BACKEND_WORDS = ["auto", "serial", "thread", "process"]


@dataclass(frozen=True)
class Bad:
    """A wrong keyword: the option, its value, the error and the words that the error says."""

    option: str
    value: Any
    error: Errors
    words: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.option}={self.value!r}"


def counts(option: str) -> list[Bad]:
    """The wrong values of an option that is a number of at least 1."""
    values: list[tuple[Any, Errors]] = [(0, ValueError), (-1, ValueError), (2.5, WRONG_KIND), ("two", WRONG_KIND)]
    values += [([2], WRONG_KIND), (float("nan"), WRONG_KIND)]
    return [Bad(option, value, error, [option, repr(value), "1"]) for value, error in values]


COMMON = [
    *counts("workers"),
    *counts("chunksize"),
    Bad("backend", "tread", ValueError, ["backend", "'tread'", *BACKEND_WORDS]),
    Bad("backend", "", ValueError, ["backend", "''", *BACKEND_WORDS]),
    Bad("backend", "Process", ValueError, ["backend", "'Process'", *BACKEND_WORDS]),
    Bad("backend", 3, WRONG_KIND, ["backend", "3", *BACKEND_WORDS]),
    Bad("backend", None, WRONG_KIND, ["backend", "None", *BACKEND_WORDS]),
    Bad("initializer", 5, TypeError, ["initializer", "5"]),
    Bad("initializer", "setup", TypeError, ["initializer", "'setup'"]),
    Bad("wrokers", 2, TypeError, ["wrokers"]),
    Bad("func", abs, TypeError, ["func"]),
]

ONLY: dict[str, list[Bad]] = {
    "pmap": [
        Bad("buffersize", 2, TypeError, ["buffersize"]),
        Bad("ordered", True, TypeError, ["ordered"]),
        Bad("chunks", 2, TypeError, ["chunks"]),
        Bad("merge", None, TypeError, ["merge"]),
    ],
    "pimap": [*counts("buffersize"), Bad("chunks", 2, TypeError, ["chunks"])],
    "pchunked": [
        *counts("chunks"),
        Bad("merge", "sum", WRONG_KIND, ["merge", "'sum'", "auto"]),
        Bad("merge", 5, WRONG_KIND, ["merge", "5", "auto"]),
        Bad("buffersize", 2, TypeError, ["buffersize"]),
    ],
}

MAPS: dict[str, Any] = {"pmap": pmap, "pimap": pimap, "pchunked": pchunked}

# `pchunked` has no use for a chunk size or a length check: whether it takes the options is its own affair.
CASES = [
    (name, bad) for name in MAPS for bad in [*COMMON, *ONLY[name]] if (name, bad.option) != ("pchunked", "chunksize")
]


class Untouched:
    """An input and a function that remember whether anybody used them."""

    def __init__(self) -> None:
        self.drawn = 0
        self.ran = 0

    def __iter__(self) -> Iterator[int]:
        for item in range(5):
            self.drawn += 1
            yield item

    def count(self, *items: Any) -> None:
        """Counts that it was called."""
        self.ran += 1

    def check(self) -> None:
        """Asserts that nothing has happened."""
        assert (self.drawn, self.ran) == (0, 0)


def raised(call: Callable[[], object], error: Errors, words: list[str]) -> str:
    """Asserts that the call itself raises the error and that it says the words; returns its text."""
    with pytest.raises(error) as caught:
        call()
    text = str(caught.value)
    assert [word for word in words if word not in text] == [], text
    return text


@pytest.mark.parametrize(("name", "bad"), CASES, ids=lambda value: str(value))
def test_bad_option(name: str, bad: Bad) -> None:
    """A wrong keyword raises at the call: ``pimap`` does not wait for the first ``next()``."""
    watch = Untouched()
    raised(lambda: MAPS[name](watch.count, watch, **{bad.option: bad.value}), bad.error, bad.words)
    watch.check()


@pytest.mark.parametrize("backend", ["serial", "thread", "process", "auto"])
@pytest.mark.parametrize("name", MAPS)
def test_bad_workers_on_every_backend(name: str, backend: str) -> None:
    """An option is checked also where the engine would not need it."""
    watch = Untouched()
    raised(lambda: MAPS[name](watch.count, watch, backend=backend, workers=0), ValueError, ["workers", "0", "1"])
    watch.check()


@pytest.mark.parametrize(("given", "nearest"), [("tread", "thread"), ("proces", "process"), ("serail", "serial")])
@pytest.mark.parametrize("name", MAPS)
def test_unknown_backend_suggests_the_nearest(name: str, given: str, nearest: str) -> None:
    """The nearest valid name is said twice: in the list and as the suggestion."""
    text = raised(lambda: MAPS[name](abs, [1], backend=given), ValueError, BACKEND_WORDS)
    assert text.replace(repr(given), "").count(nearest) == 2


@pytest.mark.parametrize("func", [5, "name", None, [len]])
@pytest.mark.parametrize("name", MAPS)
def test_not_callable(name: str, func: object) -> None:
    """The function is checked before the input is touched."""
    watch = Untouched()
    raised(lambda: MAPS[name](func, watch), TypeError, ["func", repr(func), "callable"])
    watch.check()


@pytest.mark.parametrize("items", [7, None, 2.5, abs])
@pytest.mark.parametrize("name", MAPS)
def test_not_iterable(name: str, items: object) -> None:
    """What cannot be iterated over is named."""
    watch = Untouched()
    raised(lambda: MAPS[name](watch.count, items), TypeError, ["itera", repr(items)])
    watch.check()


@pytest.mark.parametrize("name", ["pmap", "pimap"])
def test_second_not_iterable(name: str) -> None:
    """Every iterable is checked before the first is touched."""
    watch = Untouched()
    raised(lambda: MAPS[name](watch.count, watch, 7), TypeError, ["itera", "7", "2"])
    watch.check()


@pytest.mark.parametrize("name", MAPS)
def test_no_iterable(name: str) -> None:
    """A map over nothing at all is an error, as for ``map``."""
    watch = Untouched()
    raised(lambda: MAPS[name](watch.count), TypeError, [] if name == "pchunked" else ["iterable"])
    raised(lambda: MAPS[name](), TypeError, [])
    watch.check()


@pytest.mark.parametrize("lengths", [(3, 2), (2, 3), (0, 1), (2, 2, 3)])
@pytest.mark.parametrize("name", ["pmap", "pimap"])
def test_unequal_lengths(name: str, lengths: tuple[int, ...]) -> None:
    """Under ``strict`` lengths that are known and differ are an error before anything runs."""
    watch = Untouched()
    words = ["strict", *map(str, lengths)]
    raised(lambda: MAPS[name](watch.count, *map(range, lengths), strict=True), ValueError, words)
    watch.check()


@pytest.mark.parametrize("name", MAPS)
def test_function_is_positional(name: str) -> None:
    """The user's names and ours never meet: the function has none."""
    raised(lambda: MAPS[name](func=abs), TypeError, [])


@pytest.mark.parametrize("name", MAPS)
def test_after_a_bad_call_a_good_one_works(name: str) -> None:
    """A refused call leaves no trace."""
    raised(lambda: MAPS[name](sorted, ["ba"], workers=0), ValueError, [])
    assert list(MAPS[name](sorted, ["ba"], workers=1)) in ([["a", "b"]], ["ba"])
