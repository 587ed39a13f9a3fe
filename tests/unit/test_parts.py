"""``pchunked``'s bounds and split: every row of the table, and the types of the numeric libraries."""

import array
import math
import os
import subprocess
import sys
import types
from collections import ChainMap, Counter, OrderedDict, UserList, defaultdict, deque
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parmap._parts import bounds, join, split
from tests.unit.parts import (
    ARRAYS,
    DEFAULTS,
    FRAME,
    FRAMES,
    STAMPS,
    Config,
    Listing,
    Point,
    Rows,
    same,
)

# -------------------------------------------------------------------------------------------------------------- bounds


@given(st.integers(0, 500), st.integers(1, 600))
def test_bounds_cover_everything_once_in_order(length: int, parts: int) -> None:
    """The pieces strung together are the input."""
    covered = [index for start, stop in bounds(length, parts) for index in range(start, stop)]
    assert covered == list(range(length))


@given(st.integers(1, 10**18), st.integers(1, 600))
def test_bounds_are_of_equal_length_but_the_last(length: int, parts: int) -> None:
    """Exactly ``ceil(length / parts)``, at most ``parts`` of them, none empty; exact for any integer."""
    *full, last = (stop - start for start, stop in bounds(length, parts))
    size = (length + parts - 1) // parts
    assert set(full) <= {size}
    assert 1 <= last <= size
    assert len(full) + 1 <= parts


@pytest.mark.parametrize(
    ("length", "parts", "expected"),
    [
        (10, 4, [(0, 3), (3, 6), (6, 9), (9, 10)]),
        (4, 3, [(0, 2), (2, 4)]),  # fewer pieces than asked for
        (3, 7, [(0, 1), (1, 2), (2, 3)]),
        (5, 1, [(0, 5)]),
        (1, 1, [(0, 1)]),
        (0, 3, [(0, 0)]),  # nothing is one empty piece
    ],
)
def test_bounds_by_example(length: int, parts: int, expected: list[tuple[int, int]]) -> None:
    """What the docstring says, in numbers."""
    assert bounds(length, parts) == expected


# --------------------------------------------------------------------------------------------------------------- split


def numbers() -> Iterator[int]:
    """A generator: five numbers, once."""
    yield from range(5)


@pytest.mark.parametrize(
    ("data", "pieces"),
    [
        ([1, 2, 3, 4, 5], [[1, 2], [3, 4], [5]]),
        ((1, 2, 3, 4, 5), [(1, 2), (3, 4), (5,)]),
        (range(10, 20, 2), [range(10, 14, 2), range(14, 18, 2), range(18, 20, 2)]),
        ("abcde", ["ab", "cd", "e"]),
        (b"abcde", [b"ab", b"cd", b"e"]),
        (bytearray(b"abcde"), [bytearray(b"ab"), bytearray(b"cd"), bytearray(b"e")]),
        (memoryview(b"abcde"), [memoryview(b"ab"), memoryview(b"cd"), memoryview(b"e")]),
        (array.array("i", range(5)), [array.array("i", part) for part in ([0, 1], [2, 3], [4])]),
        ({"a": 1, "b": 2, "c": 3, "d": 4}, [{"a": 1, "b": 2}, {"c": 3, "d": 4}]),
        ({4, 3}, [{next(iter({4, 3}))}, {list({4, 3})[1]}]),
        (frozenset("a"), [frozenset("a")]),
        # Subclasses.
        (Rows([1, 2, 3, 4]), [[1, 2], [3, 4]]),
        (Point(1, 2), [(1,), (2,)]),
        (OrderedDict(b=1, a=2), [OrderedDict(b=1), OrderedDict(a=2)]),
        (Counter("aab"), [Counter("aa"), Counter("b")]),
        (DEFAULTS, [defaultdict(list, a=[1]), defaultdict(list, b=[2]), defaultdict(list, c=[3])]),
        (Config(path="x"), [{"a": 1}, {"b": 2}, {"c": 3}]),
        (ChainMap({"a": 1}, {"b": 2}), [{"b": 2}, {"a": 1}]),
        (types.MappingProxyType({"a": 1, "b": 2}), [{"a": 1}, {"b": 2}]),
        # Listed first.
        (numbers(), [[0, 1], [2, 3], [4]]),
        (deque(range(5)), [[0, 1], [2, 3], [4]]),
        ({"a": 1, "b": 2, "c": 3, "d": 4}.items(), [[("a", 1), ("b", 2)], [("c", 3), ("d", 4)]]),
        (Listing(), [[0], [10], [20]]),
        (UserList([1, 2, 3]), [[1], [2], [3]]),
        (map(str, [1, 2, 3]), [["1"], ["2"], ["3"]]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_split_by_type(data: Any, pieces: list[Any]) -> None:
    """Three pieces at most, each of the type that the docstring names."""
    found = split(data, 3)
    assert len(found) == len(pieces)
    for one, other in zip(found, pieces, strict=True):
        same(one, other)


def test_split_keeps_the_default_factory() -> None:
    """A function may rely on it in its piece."""
    assert [piece.default_factory for piece in split(DEFAULTS, 3)] == [list] * 3


@pytest.mark.parametrize("data", [set(range(100, 0, -7)), frozenset("any words at all")], ids=["set", "frozenset"])
def test_split_sets_in_the_order_of_iteration(data: Any) -> None:
    """No item twice, none lost, and no other order than a loop would see."""
    order = list(data)
    assert split(data, 4) == [type(data)(order[start:stop]) for start, stop in bounds(len(order), 4)]


@pytest.mark.parametrize(
    "data",
    [
        [],
        (),
        range(0),
        "",
        b"",
        bytearray(),
        {},
        OrderedDict(),
        set(),
        frozenset(),
        np.empty((0, 3)),
        FRAME[:0],
        FRAME["n"][:0],
    ],
    ids=lambda value: type(value).__name__,
)
def test_split_nothing(data: Any) -> None:
    """Empty data are one empty piece of their type."""
    (piece,) = split(data, 4)
    same(piece, data)


def test_split_an_empty_iterator() -> None:
    """It is listed like any other."""
    assert split(iter(()), 4) == [[]]


def test_split_leaves_the_data_alone() -> None:
    """A function that changes its list does not change the caller's, in one piece or several."""
    data = [1, 2, 3]
    for piece in [*split(data, 1), *split(data, 2)]:
        piece.clear()
    assert data == [1, 2, 3]


@pytest.mark.parametrize("data", [5, None, object()])
def test_split_what_is_no_iterable(data: Any) -> None:
    """A TypeError, as a loop would give."""
    with pytest.raises(TypeError, match="not iterable"):
        split(data, 2)


@pytest.mark.parametrize("data", ARRAYS, ids=lambda value: f"{type(value).__name__}-{value.dtype}")
def test_arrays(data: Any) -> None:
    """Rows as views of the same class and dtype; joined they are the array."""
    pieces = split(data, 2)
    assert [len(piece) for piece in pieces] == [math.ceil(len(data) / 2), len(data) // 2]
    for piece in pieces:
        assert type(piece) is type(data)
        assert np.shares_memory(piece, data)
    same(join(pieces), data)


def test_memoryview_of_rows() -> None:
    """Axis 0, as for the array beneath."""
    pieces = split(np.arange(6.0).reshape(3, 2).data, 2)
    assert [piece.tolist() for piece in pieces] == [[[0.0, 1.0], [2.0, 3.0]], [[4.0, 5.0]]]


@pytest.mark.parametrize("data", FRAMES, ids=lambda value: type(value).__name__)
def test_frames(data: Any) -> None:
    """Rows by position, whatever the labels say; joined they are the frame: index, categories and time zone too."""
    pieces = split(data, 2)
    assert [len(piece) for piece in pieces] == [3, 2]
    for piece, start in zip(pieces, (0, 3), strict=True):
        same(piece, data.iloc[start : start + len(piece)])
    same(join(pieces), data)


def test_frames_take_new_columns() -> None:
    """Adding a column to a piece neither warns (pandas 2: SettingWithCopyWarning) nor shows in the caller's frame."""
    for piece in split(FRAME, 2):
        piece["twice"] = piece["n"] * 2
    assert "twice" not in FRAME


def test_index_of_pandas() -> None:
    """An Index is cut like an array; joining it is left to the caller."""
    pieces = split(STAMPS, 2)
    assert [type(piece) for piece in pieces] == [pd.DatetimeIndex] * 2
    assert pieces[0].append(pieces[1]).equals(STAMPS)
    assert join(pieces) == pieces


@pytest.mark.parametrize(
    ("module", "name"), [("polars", "DataFrame"), ("polars", "Series"), ("pyarrow", "Table")], ids=lambda value: value
)
def test_frames_of_others(module: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables that iterate over their columns are cut by rows too. Stand-ins: the libraries need not be there."""

    class Table(UserList[int]):
        def __iter__(self) -> Iterator[int]:
            raise AssertionError("listed")

    monkeypatch.setitem(sys.modules, module, types.SimpleNamespace(**{name: Table}))
    assert [(type(piece), piece.data) for piece in split(Table([1, 2, 3]), 2)] == [(Table, [1, 2]), (Table, [3])]


# -------------------------------------------------------------------------------------------------------------- import


def test_nothing_heavy_is_imported() -> None:
    """NumPy and pandas are looked up; where they are not loaded, they stay so and everything works."""
    code = """
import sys
from parmap._parts import join, split
assert join(split([1, 2, 3], 2)) == [1, 2, 3] and join([1, object]) == [1, object]
assert not {"numpy", "pandas", "array"} & set(sys.modules), "imported"
"""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], env=env, timeout=60, check=True)


def test_libraries_that_are_blocked_or_half_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """``sys.modules`` may hold None, or a module whose types are not there yet."""
    monkeypatch.setitem(sys.modules, "numpy", None)
    monkeypatch.setitem(sys.modules, "pandas", types.ModuleType("pandas"))
    assert join([object, 1]) == [object, 1]
    assert split(iter("ab"), 2) == [["a"], ["b"]]
