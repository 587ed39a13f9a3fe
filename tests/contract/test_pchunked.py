"""``pchunked``: whole chunks in, one merged result out, types kept on both sides."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from parmap import pchunked
from tests.contract.helpers import said


def frame(rows: int) -> pd.DataFrame:
    """A frame with an index that is not 0, 1, 2."""
    index = pd.Index([f"row {n}" for n in range(rows)])
    return pd.DataFrame({"x": range(rows), "y": [f"y{n}" for n in range(rows)]}, index=index)


def series(rows: int) -> pd.Series:
    """A series with a name and an index of its own."""
    return pd.Series(np.arange(rows) * 1.5, index=range(100, 100 + rows), name="s")


# By type: data of 10 items.
DATA: dict[str, Callable[[], Any]] = {
    "list": lambda: list(range(10)),
    "tuple": lambda: tuple(range(10)),
    "range": lambda: range(0, 20, 2),
    "str": lambda: "abcdefghij",
    "bytes": lambda: b"abcdefghij",
    "array": lambda: np.arange(10.0),
    "matrix": lambda: np.arange(30).reshape(10, 3),
    "frame": lambda: frame(10),
    "series": lambda: series(10),
    "dict": lambda: {f"k{n}": n for n in range(10)},
    "set": lambda: set(range(10)),
}


def same(left: Any, right: Any) -> bool:
    """Whether two values are of one type and equal, dtypes, names and indices included."""
    if type(left) is not type(right):
        return False
    if isinstance(left, pd.DataFrame | pd.Series):
        return bool(left.equals(right)) and list(left.index) == list(right.index)
    if isinstance(left, np.ndarray):
        return left.dtype == right.dtype and np.array_equal(left, right)
    if isinstance(left, dict):
        return list(left.items()) == list(right.items())
    return bool(left == right)


@pytest.mark.parametrize("name", DATA)
def test_identity_gives_the_data_back(backend: str, name: str) -> None:
    """Splitting, doing nothing and merging is doing nothing, for every type that can be merged."""
    data = DATA[name]()
    if name == "range":
        assert pchunked(list, data, backend=backend, workers=3) == list(data)
    else:
        merged: Any = pchunked(lambda chunk: chunk, data, backend=backend, workers=3)
        assert same(merged, DATA[name]())


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("workers", [1, 3])
def test_chunks_keep_their_type(backend: str, name: str, workers: int) -> None:
    """The function gets slices of the data's own type."""
    data = DATA[name]()
    seen = pchunked(lambda chunk: type(chunk), data, backend=backend, workers=workers, merge=None)
    assert set(seen) == {type(data)}
    assert len(seen) == workers


CUTS = [(10, 1, [10]), (10, 2, [5, 5]), (10, 3, [4, 4, 2]), (10, 4, [3, 3, 3, 1]), (10, 6, [2, 2, 2, 2, 2])]
CUTS += [(10, 10, [1] * 10), (10, 1000, [1] * 10), (3, 2, [2, 1]), (1, 4, [1]), (7, 3, [3, 3, 1])]


@pytest.mark.parametrize("make", [list, tuple, set, np.array, iter], ids=["list", "tuple", "set", "array", "iterator"])
def test_chunks_are_exactly_the_ceiling(backend: str, make: Callable[[Iterable[int]], Any]) -> None:
    """Every chunk but the last holds exactly ``ceil(len/n)`` items, with ``n`` the ``chunks``."""
    for size, count, lengths in CUTS:
        data = make(list(range(size)))
        assert pchunked(len, data, chunks=count, backend=backend, workers=2, merge=None) == lengths


def test_workers_set_the_number_of_chunks(backend: str) -> None:
    """Without ``chunks`` there is a chunk for each worker; with it, ``workers`` does not matter."""
    assert pchunked(len, range(10), backend=backend, workers=3, merge=None) == [4, 4, 2]
    assert pchunked(len, range(10), backend=backend, workers=3, chunks=5, merge=None) == [2, 2, 2, 2, 2]


@pytest.mark.parametrize("make", [lambda: (n for n in range(10)), lambda: iter(range(10)), lambda: map(int, range(10))])
def test_plain_iterables_are_listed_first(backend: str, make: Callable[[], Iterable[int]]) -> None:
    """A generator's chunks are lists."""
    assert pchunked(lambda chunk: [type(chunk)], make(), backend=backend, workers=2) == [list, list]
    assert pchunked(lambda chunk: [n + 1 for n in chunk], make(), backend=backend, workers=3) == list(range(1, 11))


def test_open_file(backend: str, tmp_path: Any) -> None:
    """A file's chunks are lists of lines."""
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"line {n}\n" for n in range(10)), encoding="utf-8")
    with path.open(encoding="utf-8") as file:
        got = pchunked(lambda lines: [line.strip() for line in lines], file, backend=backend, workers=3)
    assert got == [f"line {n}" for n in range(10)]


# Functions of a chunk of ints, and what `merge="auto"` makes of [0, 1, 2], [3, 4, 5], [6].
MERGED: dict[str, tuple[Callable[[list[int]], Any], Any]] = {
    "list": (lambda chunk: [n * n for n in chunk], [n * n for n in range(7)]),
    "list of other length": (lambda chunk: [n for n in chunk if n % 2], [1, 3, 5]),
    "list of lists": (lambda chunk: [chunk], [[0, 1, 2], [3, 4, 5], [6]]),
    "tuple": (tuple, tuple(range(7))),
    "dict": (lambda chunk: {n % 2: n for n in chunk}, {0: 6, 1: 5}),
    "set": (lambda chunk: {n % 4 for n in chunk}, {0, 1, 2, 3}),
    "str": (lambda chunk: "".join(map(str, chunk)), "0123456"),
    "bytes": (bytes, bytes(range(7))),
    "array": (lambda chunk: np.array(chunk) * 0.5, np.arange(7) * 0.5),
    "matrix": (lambda chunk: np.array([[n, n + 1] for n in chunk]), np.array([[n, n + 1] for n in range(7)])),
    "empty arrays": (lambda chunk: np.empty((0, 2)), np.empty((0, 2))),
    "frame": (lambda chunk: pd.DataFrame({"n": chunk}, index=chunk), pd.DataFrame({"n": range(7)})),
    "series": (lambda chunk: pd.Series(chunk, index=chunk, name="n"), pd.Series(range(7), name="n")),
    "None": (lambda chunk: None, None),
    "int": (sum, [3, 12, 6]),
    "float": (lambda chunk: sum(chunk) / 2, [1.5, 6.0, 3.0]),
    "bool": (lambda chunk: len(chunk) > 2, [True, True, False]),
    "numpy number": (lambda chunk: np.int64(sum(chunk)), [3, 12, 6]),
    "mixed": (lambda chunk: chunk if len(chunk) == 3 else len(chunk), [[0, 1, 2], [3, 4, 5], 1]),
    "some None": (lambda chunk: None if len(chunk) == 3 else chunk, [None, None, [6]]),
    "error": (lambda chunk: ValueError, [ValueError] * 3),
}


@pytest.mark.parametrize("name", MERGED)
def test_merge_by_type(backend: str, name: str) -> None:
    """``merge="auto"`` joins in input order, by the type of the results; other types come back as a list."""
    func, expected = MERGED[name]
    for given in ({}, {"merge": "auto"}):
        loose: Any = pchunked
        assert same(loose(func, list(range(7)), backend=backend, workers=3, **given), expected)


def test_later_chunks_win_in_dicts(backend: str) -> None:
    """Of equal keys, the later chunk's value counts and the earlier one's place is kept, as in ``dict.update``."""
    merged = pchunked(lambda chunk: {"last": chunk[-1], chunk[0]: 1}, [1, 2, 3, 4], backend=backend, workers=2)
    assert list(merged.items()) == [("last", 4), (1, 1), (3, 1)]


def test_merge_none_gives_the_chunk_results(backend: str) -> None:
    """``merge=None`` leaves the list of chunk results as it is."""
    assert pchunked(sorted, [3, 1, 2, 0], backend=backend, workers=2, merge=None) == [[1, 3], [0, 2]]


def test_merge_callable_gets_the_chunk_results(backend: str) -> None:
    """A callable gets the list of chunk results, once, in the caller's thread; what it returns is the result."""
    given: list[Any] = []

    def merge(parts: list[int]) -> str:
        given.append(list(parts))
        return "merged"

    assert pchunked(sum, range(10), backend=backend, workers=2, merge=merge) == "merged"
    assert given == [[10, 35]]
    assert pchunked(sum, range(10), backend=backend, workers=2, merge=sum) == 45


def test_merge_callable_that_raises(backend: str) -> None:
    """An error of the merge function is its own."""

    def merge(parts: list[int]) -> int:
        raise LookupError("cannot merge")

    with pytest.raises(LookupError, match="cannot merge"):
        pchunked(sum, range(10), backend=backend, workers=2, merge=merge)


@pytest.mark.parametrize("make", [list, tuple, iter], ids=["list", "tuple", "iterator"])
def test_empty_data(backend: str, make: Callable[[list[int]], Any]) -> None:
    """No items are one empty chunk, so that the result has the type that the function gives it."""
    assert pchunked(sorted, make([]), backend=backend, workers=2, merge=None) == [[]]


def test_empty_list_merges_to_an_empty_list(backend: str) -> None:
    """Nothing in, nothing out."""
    assert pchunked(sorted, [], backend=backend, workers=2) == []


def test_frame_pipeline(backend: str) -> None:
    """Columns computed on pieces of a frame are those computed on the whole."""

    def add(piece: pd.DataFrame) -> pd.DataFrame:
        return piece.assign(z=piece["x"] * 2)

    merged = pchunked(add, frame(101), backend=backend, workers=4)
    pd.testing.assert_frame_equal(merged, add(frame(101)))


def test_series_from_frames(backend: str) -> None:
    """The result's type need not be the data's."""
    merged = pchunked(lambda piece: piece["x"] + 1, frame(50), backend=backend, workers=3)
    pd.testing.assert_series_equal(merged, frame(50)["x"] + 1)


def test_big_array(backend: str) -> None:
    """Megabytes are cut and joined, and the result may be written into."""
    data = np.arange(1_000_000, dtype=float).reshape(-1, 4)
    merged = pchunked(np.sqrt, data, backend=backend, workers=2)
    assert np.array_equal(merged, np.sqrt(data))
    merged += 1


def test_data_is_left_alone(backend: str) -> None:
    """The data that was given is not used up or changed by being split."""
    data = {f"k{n}": n for n in range(10)}
    pchunked(dict, data, backend=backend, workers=3)
    assert data == {f"k{n}": n for n in range(10)}


def test_error_names_the_chunk(backend: str) -> None:
    """The error is the function's own, and says which chunk it was."""

    def fail(chunk: list[int]) -> list[int]:
        if 7 in chunk:
            raise KeyError("seven")
        return chunk

    with pytest.raises(KeyError) as caught:
        pchunked(fail, list(range(12)), backend=backend, chunks=4, workers=2)
    assert caught.value.args == ("seven",)
    assert "item 2" in said(caught.value) or "chunk 2" in said(caught.value)


def test_return_exceptions(backend: str) -> None:
    """The failed chunk's error is in its place among the chunk results."""

    def fail(chunk: list[int]) -> int:
        return sum(chunk) // (0 if 7 in chunk else 1)

    parts: list[Any] = pchunked(
        fail, list(range(12)), backend=backend, chunks=4, workers=2, merge=None, return_exceptions=True
    )
    assert parts[:2] == [3, 12]
    assert type(parts[2]) is ZeroDivisionError
    assert parts[3] == 30


def test_the_input_fails(backend: str) -> None:
    """An iterable that raises while it is listed gives its own error, before anything runs."""

    def source() -> Iterable[int]:
        yield 1
        raise LookupError("input broke")

    ran: list[Any] = []
    with pytest.raises(LookupError, match="input broke"):
        pchunked(ran.append, source(), backend=backend, workers=2)
    assert ran == []


def test_a_chunk_is_one_argument(backend: str) -> None:
    """A chunk that is a tuple is not unpacked into arguments."""

    def first(*chunks: tuple[int, ...]) -> list[int]:
        assert len(chunks) == 1
        return list(chunks[0])

    assert pchunked(first, (1, 2, 3, 4), backend=backend, workers=2) == [1, 2, 3, 4]
