"""What is cut and joined in the tests of ``pchunked``, and what it means to be the same."""

from collections import defaultdict
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import pandas as pd


class Point(NamedTuple):
    """A tuple that is a record."""

    x: int
    y: int


class Colour(StrEnum):
    """Strings that are labels."""

    RED = "red"
    BLUE = "blue"


class Rows(list[int]):
    """A list by another name."""


class Config(dict[str, int]):
    """A dict that is not built like one."""

    def __init__(self, *, path: str) -> None:
        super().__init__(a=1, b=2, c=3)
        self.path = path


class Listing(Sequence[int]):
    """A sequence that does not take slices."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < 3:
            raise IndexError(index)
        return index * 10


class TaggedArray(np.ndarray[Any, Any]):
    """A subclass of ndarray with an attribute, made as NumPy recommends."""

    tag: str

    def __array_finalize__(self, obj: object) -> None:
        self.tag = getattr(obj, "tag", "none")


class TaggedFrame(pd.DataFrame):
    """A subclass of DataFrame, made as pandas recommends."""

    @property
    def _constructor(self) -> type["TaggedFrame"]:
        return TaggedFrame


def same(found: Any, expected: Any) -> None:
    """Asserts equality of values and exact types, of arrays and frames too."""
    assert type(found) is type(expected)
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected, check_freq=False)
    elif isinstance(expected, pd.Series):
        pd.testing.assert_series_equal(found, expected, check_freq=False)
    elif isinstance(expected, np.ma.MaskedArray):
        assert found.tolist() == expected.tolist()  # None where masked
    elif isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    elif isinstance(expected, list) and any(isinstance(part, np.ndarray | pd.DataFrame) for part in expected):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            same(one, other)
    elif isinstance(expected, dict):
        assert list(found.items()) == list(expected.items())
    else:
        assert found == expected


DEFAULTS = defaultdict(list, {"a": [1], "b": [2], "c": [3]})
STAMPS = pd.date_range("2024-03-30 22:00", periods=5, freq="h", tz="Europe/Berlin")
FRAME = pd.DataFrame(
    {"n": range(5), "kind": pd.Categorical(list("abcab")), "when": STAMPS, "word": list("vwxyz")}, index=[9, 9, 7, 3, 1]
)


RECORDS = np.array([(1, 2.5), (2, 3.5), (3, 4.5)], dtype=[("n", "i4"), ("x", "f8")])
ARRAYS = [
    np.arange(5),
    np.arange(12.0, dtype="f4").reshape(6, 2),
    np.asfortranarray(np.arange(24).reshape(4, 3, 2)),
    np.arange(20)[::-3],
    np.array(["a", None, {}], dtype=object),
    np.array(["2024-01-01", "NaT"], dtype="M8[D]"),
    RECORDS,
    RECORDS.view(np.recarray),
    np.ma.array([1, 2, 3, 4], mask=[False, True, False, True]),
    np.arange(5).view(TaggedArray),
]


MULTI = FRAME.set_index(["word", "kind"])
FRAMES = [
    FRAME,
    FRAME["kind"],
    FRAME["when"],
    FRAME["n"],
    FRAME.reset_index(drop=True),
    FRAME.set_index("when"),
    MULTI,
    MULTI["n"],
    FRAME[["n"]].set_axis(["twice"], axis=1),
    FRAME.astype({"n": "Int64", "word": "string"}),
    pd.Series(pd.arrays.SparseArray([0, 0, 1, 0, 2])),
    TaggedFrame({"a": range(5)}),
]
