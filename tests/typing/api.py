"""How the public names are typed; checked by mypy, never run.

A line that must be refused says `type: ignore[...]`: under `--strict` an unused one is an error.
"""

import ctypes
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, assert_type

from parmap import (
    FallbackWarning,
    Lock,
    ParmapError,
    SerializationError,
    Value,
    WorkerCrashError,
    cpu_count,
    options,
    pchunked,
    pimap,
    pmap,
    shutdown,
)


def length(text: str) -> int:
    """A function of one argument."""
    return len(text)


def repeat(text: str, times: int) -> bytes:
    """A function of two arguments."""
    return text.encode() * times


def mean(text: str, times: int, factor: float) -> float:
    """A function of three arguments."""
    return len(text) * times * factor


def total(part: list[int]) -> int:
    """A function of a chunk."""
    return sum(part)


def double(part: list[int]) -> list[int]:
    """A function from a chunk to a chunk."""
    return part * 2


def describe(totals: list[int]) -> str:
    """A function that merges the results of the chunks."""
    return str(totals)


class Model:
    """Something callable, with a method."""

    def predict(self, text: str) -> float:
        """A method of one argument."""
        return len(text) / 2

    def __call__(self, text: str) -> complex:
        """A call of one argument."""
        return complex(len(text))


numbers: list[int] = [1, 2, 3]
words: Iterable[str] = ["a", "b"]

# pmap
assert_type(pmap(str, [1]), list[str])
assert_type(pmap(str, range(3)), list[str])
assert_type(pmap(lambda number: number + 1, numbers), list[int])
assert_type(pmap(lambda number: [number], numbers), list[list[int]])
assert_type(pmap(length, words), list[int])
assert_type(pmap(length, (word for word in words)), list[int])
assert_type(pmap(repeat, words, numbers), list[bytes])
assert_type(pmap(lambda word, number: (number, word), words, numbers), list[tuple[int, str]])
assert_type(pmap(mean, words, numbers, [0.5]), list[float])
assert_type(pmap(Model().predict, words), list[float])
assert_type(pmap(Model(), words), list[complex])
assert_type(pmap(Path, words), list[Path])
assert_type(
    pmap(length, words, backend="process", workers=2, chunksize=10, strict=True, initializer=shutdown), list[int]
)
pmap(length, numbers)  # type: ignore[arg-type]
pmap(length, 5)  # type: ignore[call-overload]
pmap(repeat, words)  # type: ignore[arg-type]
pmap(length, words, worker=2)  # type: ignore[call-overload]
pmap(length, words, workers="2")  # type: ignore[call-overload]
pmap(length)  # type: ignore[call-overload]

# pimap
assert_type(pimap(str, [1]), Iterator[str])
assert_type(pimap(lambda number: number + 1, numbers), Iterator[int])
assert_type(pimap(repeat, words, numbers), Iterator[bytes])
assert_type(pimap(length, words, ordered=False, buffersize=100), Iterator[int])
for result in pimap(length, words):
    assert_type(result, int)
pimap(length, words, ordered="no")  # type: ignore[call-overload]

# pchunked
joined: list[int] = pchunked(double, numbers)
assert_type(pchunked(total, numbers, merge=None), list[int])
assert_type(pchunked(total, numbers, merge=describe), str)

# shared state
assert_type(Value("i", 3), Value[int])
assert_type(Value("Q").value, int)
assert_type(Value("d", 1).value, float)
assert_type(Value("?", True).value, bool)
assert_type(Value(ctypes.c_ulong, 3).value, int)
assert_type(Value(ctypes.c_float).value, float)
assert_type(Value(ctypes.c_bool).value, bool)
assert_type(Value("i").get_lock(), Lock)
assert_type(Lock().acquire(timeout=1.5), bool)
with Lock() as taken:
    assert_type(taken, bool)
Value("i", 1.5)  # type: ignore[call-overload]
Value("x")  # type: ignore[call-overload]
Value(int)  # type: ignore[arg-type]
Lock(1)  # type: ignore[call-arg]

# the rest
assert_type(cpu_count(), int)
shutdown()
with options(backend="thread", workers=2):
    pass
errors: list[type[ParmapError]] = [WorkerCrashError, SerializationError]
warning: type[Warning] = FallbackWarning
anything: Any = None
assert_type(pmap(anything, anything), list[Any])
