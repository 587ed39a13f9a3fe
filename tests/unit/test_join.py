"""``pchunked``'s join: every row of the table, and the rule that ties it to the split."""

from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parmap._parts import join, split
from tests.unit.parts import ARRAYS, DEFAULTS, FRAME, FRAMES, Colour, Point, Rows, TaggedArray, TaggedFrame, same

COUNTS = st.integers(1, 12)


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
