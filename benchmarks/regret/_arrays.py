"""Item functions of NumPy, apart from the others so that only their rows import it."""

import functools
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from _work import spin

from regret._functions import rounds

Array: TypeAlias = npt.NDArray[np.float64]

WAVE = 100_000
MATRIX = 800
RESULT = 500_000
WORK_SECONDS = 0.02


def wave(number: int) -> float:
    """Apply functions to an array of 0.8 MB, which leaves the GIL free."""
    values = np.linspace(0.0, number + 1.0, WAVE)
    return round(float(np.sqrt(np.sin(values) ** 2 + np.cos(values) ** 2).sum()), 3)


def small_steps(number: int) -> float:
    """Do a few steps on an array of ten elements: all of it is Python's overhead."""
    values = np.arange(10) + number
    return float(values.cumsum()[::2].max() - values.mean())


@functools.cache
def matrix() -> Array:
    """Make the matrix of this process; its elements are small integers, so that products are exact."""
    return (np.arange(MATRIX * MATRIX).reshape(MATRIX, MATRIX) % 7).astype(np.float64)


def multiply(number: int) -> float:
    """Multiply matrices, which BLAS does on as many cores as it finds."""
    return float(np.trace(matrix() @ (matrix() + number)))


def scan(values: npt.NDArray[np.uint8]) -> int:
    """Compute for 20 ms in pure Python on a large array."""
    return spin(rounds(WORK_SECONDS)) + int(values[-1])


def make(number: int) -> Array:
    """Compute for 10 ms in pure Python and return 4 MB."""
    return np.full(RESULT, spin(rounds(WORK_SECONDS / 2)) + number, np.float64)


def add_up(values: npt.NDArray[np.uint8]) -> int:
    """Add a large array up: cheaper than sending it anywhere."""
    return int(values.sum(dtype=np.uint64))


def large_arrays(count: int, size: int) -> list[npt.NDArray[np.uint8]]:
    """Make arrays of so many bytes."""
    return [np.full(size, number % 251, np.uint8) for number in range(count)]
