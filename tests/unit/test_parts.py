"""``pchunked``'s split and join: every row of both tables, and the rule that ties them together."""

import array
import math
import os
import subprocess
import sys
import types
from collections import ChainMap, Counter, OrderedDict, UserList, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parmap._parts import bounds, join, split

COUNTS = st.integers(1, 12)


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


DEFAULTS = defaultdict(list, {"a": [1], "b": [2], "c": [3]})
STAMPS = pd.date_range("2024-03-30 22:00", periods=5, freq="h", tz="Europe/Berlin")
FRAME = pd.DataFrame(
    {"n": range(5), "kind": pd.Categorical(list("abcab")), "when": STAMPS, "word": list("vwxyz")}, index=[9, 9, 7, 3, 1]
)


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


# ---------------------------------------------------------------------------------------------------------------- join


@pytest.mark.parametrize(
    ("results", "joined"),
    [
        ([[1, 2], [], [3]], [1, 2, 3]),
        ([(1, 2), (3,)], (1, 2, 3)),
        (["ab", "", "c"], "abc"),
        ([b"ab", b"c"], b"abc"),
        ([bytearray(b"ab"), bytearray(b"c")], bytearray(b"abc")),
        ([{1, 2}, {2, 3}], {1, 2, 3}),
        ([frozenset("ab"), frozenset("bc")], frozenset("abc")),
        ([{"a": 1, "b": 1}, {"c": 2, "a": 2}], {"a": 2, "b": 1, "c": 2}),
        ([OrderedDict(b=1), OrderedDict(a=2, b=3)], OrderedDict(b=3, a=2)),
        ([defaultdict(list, a=[1]), defaultdict(list, a=[2])], defaultdict(list, a=[2])),
        ([Counter("aab"), Counter("abc")], Counter(a=3, b=2, c=1)),
        ([None, None], None),
        # The list of the results: numbers, and whatever has no continuation.
        ([1, 2], [1, 2]),
        ([1.5, 2.5], [1.5, 2.5]),
        ([True, False], [True, False]),
        ([range(2), range(2, 4)], [range(2), range(2, 4)]),
        ([deque([1]), deque([2])], [deque([1]), deque([2])]),
        ([memoryview(b"a"), memoryview(b"b")], [memoryview(b"a"), memoryview(b"b")]),
        ([np.float64(1), np.float64(2)], [np.float64(1), np.float64(2)]),
        ([Point(1, 2), Point(3, 4)], [Point(1, 2), Point(3, 4)]),
        ([Colour.RED, Colour.BLUE], [Colour.RED, Colour.BLUE]),
        ([np.str_("a"), np.str_("b")], [np.str_("a"), np.str_("b")]),
        ([Rows([1]), Rows([2])], [Rows([1]), Rows([2])]),
        ([list, dict], [list, dict]),
        # Different types.
        ([[1], (2,)], [[1], (2,)]),
        ([[1], None], [[1], None]),
        ([None, 1], [None, 1]),
        ([{1}, frozenset({2})], [{1}, frozenset({2})]),
        ([b"a", bytearray(b"b")], [b"a", bytearray(b"b")]),
        ([{"a": 1}, OrderedDict(b=2)], [{"a": 1}, OrderedDict(b=2)]),
        ([[1], Rows([2])], [[1], Rows([2])]),
        ([np.arange(2), [3]], [np.arange(2), [3]]),
        ([], []),
    ],
    ids=repr,
)
def test_join_by_type(results: list[Any], joined: Any) -> None:
    """Every row of the docstring's table."""
    same(join(results), joined)


def test_join_keeps_the_default_factory() -> None:
    """The first one's, since all are of one function."""
    assert join([defaultdict(int, a=1), defaultdict(int, b=2)]).default_factory is int


@pytest.mark.parametrize(
    "result",
    [
        [1],
        (1,),
        "a",
        b"a",
        bytearray(b"a"),
        {"a": 1},
        OrderedDict(a=1),
        DEFAULTS,
        Counter("aab"),
        {1},
        *ARRAYS,
        *FRAMES,
    ],
    ids=lambda value: type(value).__name__,
)
def test_join_one_result(result: Any) -> None:
    """One result of a type that is joined is the answer itself."""
    same(join([result]), result)


@pytest.mark.parametrize(
    "result",
    [1, 1.5, Point(1, 2), Colour.RED, range(3), Rows([1]), object(), np.float64(1)],
    ids=lambda value: type(value).__name__,
)
def test_join_one_result_of_another_type(result: Any) -> None:
    """A list of one: the type of the answer must not depend on how many pieces a machine makes."""
    assert join([result]) == [result]


@pytest.mark.parametrize(
    "results",
    [
        [np.array(1), np.array(2)],
        [np.array(1)],
        [np.ma.masked, np.ma.masked],
        [np.zeros((2, 3)), np.zeros((2, 4))],
        [np.zeros(2), np.zeros((2, 2))],
        [np.zeros(2, dtype=[("a", int)]), np.zeros(2, dtype=[("b", "U3")])],
    ],
    ids=["0-d", "one 0-d", "masked", "ragged", "axes", "structures"],
)
def test_join_arrays_that_do_not_fit(results: list[Any]) -> None:
    """No axis 0, other shapes, other structures: the results are kept, in the list."""
    joined = join(results)
    assert isinstance(joined, list)
    assert all(one is other for one, other in zip(joined, results, strict=True))


def test_join_arrays_promotes() -> None:
    """Mixed dtypes and lengths are NumPy's business."""
    same(join([np.array([1, 2]), np.array([0.5])]), np.array([1.0, 2.0, 0.5]))
    same(join([np.zeros((0, 2)), np.ones((1, 2))]), np.ones((1, 2)))


def test_join_keeps_masks() -> None:
    """Also where only one of the results is masked."""
    joined = join([np.array([1, 2]), np.ma.array([3, 4], mask=[True, False])])
    assert joined.tolist() == [1, 2, None, 4]


def test_join_keeps_class_and_attributes_of_arrays() -> None:
    """As arithmetic on them would; where classes differ, NumPy decides."""
    data = np.arange(4).view(TaggedArray)
    data.tag = "metres"
    joined = join(split(data, 2))
    assert (type(joined), joined.tag) == (TaggedArray, "metres")
    assert type(join([data, np.arange(2)])) is np.ndarray
    assert type(join([np.ones((1, 2)).view(np.matrix), np.ones((1, 2)).view(np.matrix)])) is np.matrix


def test_join_frames_as_pandas_does() -> None:
    """Columns are aligned, labels are kept, categories survive where they agree."""
    joined = join([pd.DataFrame({"a": [1]}, index=[5]), pd.DataFrame({"a": [2], "b": [0.5]}, index=[5])])
    assert joined.index.tolist() == [5, 5]
    assert joined["b"].isna().tolist() == [True, False]
    assert join([TaggedFrame({"a": [1]}), pd.DataFrame({"a": [2]})])["a"].tolist() == [1, 2]


def test_join_frames_and_series() -> None:
    """Different types, although pandas would make something of them."""
    results = [FRAME, FRAME["n"]]
    joined = join(results)
    assert isinstance(joined, list)
    assert all(one is other for one, other in zip(joined, results, strict=True))


@pytest.mark.parametrize(
    "results",
    [[[1], [2]], [{"a": 1}, {"a": 2}], [Counter("a"), Counter("b")], [{1}, {2}], [bytearray(b"a"), bytearray(b"b")]],
    ids=repr,
)
def test_join_leaves_the_results_alone(results: list[Any]) -> None:
    """In one process the results may be objects that the caller keeps."""
    before = [type(result)(result) for result in results]
    join(results)
    assert results == before


# --------------------------------------------------------------------------------------------------- split, then join

DATA = st.one_of(
    st.lists(st.integers()),
    st.lists(st.integers()).map(tuple),
    st.text(),
    st.binary(),
    st.binary().map(bytearray),
    st.dictionaries(st.text(), st.integers()),
    st.dictionaries(st.text(), st.integers()).map(OrderedDict),
    st.dictionaries(st.text(), st.integers()).map(lambda items: defaultdict(int, items)),
    st.dictionaries(st.text(), st.integers()).map(Counter),
    st.sets(st.integers()),
    st.frozensets(st.text()),
    st.lists(st.integers(0, 9)).map(lambda items: np.array(items, dtype="i4")),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))).map(lambda rows: np.array(rows, "i4").reshape(-1, 2)),
)


@given(DATA, COUNTS)
def test_joined_pieces_are_the_data(data: Any, parts: int) -> None:
    """The rule, for the function that returns what it gets."""
    same(join(split(data, parts)), data)


@given(st.lists(st.integers(0, 9)), COUNTS)
def test_rows_of_a_frame_come_back(numbers: list[int], parts: int) -> None:
    """The same for frames, whose labels need not be unique."""
    data = pd.DataFrame({"a": numbers, "b": [str(number) for number in numbers]}, index=pd.Index(numbers, dtype="i8"))
    same(join(split(data, parts)), data)


@pytest.mark.parametrize(
    "func",
    [
        lambda words: [word.upper() for word in words],
        tuple,
        lambda words: {word: len(word) for word in words},
        lambda words: Counter(map(len, words)),
        lambda words: {len(word) for word in words},
        "".join,
        lambda words: np.array([len(word) for word in words], dtype="i4"),
        lambda words: pd.Series([len(word) for word in words], index=list(words), dtype="i4"),
        lambda words: None,
    ],
    ids=["list", "tuple", "dict", "Counter", "set", "str", "ndarray", "Series", "None"],
)
@given(words=st.lists(st.text(st.sampled_from("ab"), max_size=3)), parts=COUNTS)
def test_pieces_do_not_show(func: Callable[[list[str]], Any], words: list[str], parts: int) -> None:
    """The rule, for functions that treat items one by one: whatever the number of pieces, the answer is the same."""
    same(join([func(piece) for piece in split(words, parts)]), func(words))


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
