"""What `test_chaos` maps: in a module that a worker imports in a moment, or none would ever come to its work."""

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

LARGE = 300_000  # bytes of a result: it travels in a memory file


def slow_square(item: int) -> int:
    """A square, after a moment; a kill often comes in it."""
    time.sleep(0.002 * (item % 5))
    return item * item


def large(item: int) -> bytes:
    """A result that travels in a memory file."""
    return bytes([item % 256]) * LARGE


def doubled(array: "np.ndarray[Any, Any]") -> "np.ndarray[Any, Any]":
    """Large arguments and large results."""
    array *= 2
    return array
