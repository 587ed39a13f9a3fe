"""How ``pchunked`` takes its data apart and puts the results together. Pure.

Both directions follow one rule: for a function that treats its items one by one, ``join([func(piece) for piece in
split(data, n)])`` equals ``func(data)``, whatever ``n`` is. Two things follow from it. The type of what comes out
depends on the types of the results and never on their number, which may be one on a small machine. And what is not
plainly the continuation of the result before it, such as a number, is not joined by guess: it comes back in a list.

NumPy, pandas and their like are looked up in ``sys.modules`` and never imported: data or a result of a type of theirs
exists only where somebody has imported them already.
"""

import sys
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, TypeAlias

Span: TypeAlias = tuple[int, int]  # where a piece starts, and where it has ended
Cutter: TypeAlias = Callable[[Any, Sequence[Span]], list[Any]]
Joiner: TypeAlias = Callable[[Sequence[Any]], Any]


def bounds(length: int, parts: int) -> list[Span]:
    """Index arithmetic for pieces of exactly ``ceil(length / parts)`` items each.

    The last piece may be shorter, and there may be fewer than ``parts``: four items in three parts are two pieces of
    two. No items are one piece of none.

    Args:
        length: How many items there are, at least 0.
        parts: How many pieces are wanted at most, at least 1.

    Returns:
        Start and end of each piece, in order, each starting where the one before it ends.
    """
    size = max(1, -(-length // parts))
    return [(start, min(start + size, length)) for start in range(0, max(1, length), size)]


# --------------------------------------------------------------------------------------------------------------- split


def split(data: Iterable[Any], parts: int) -> list[Any]:
    """Cuts data into at most ``parts`` pieces of equal length, in order.

    Each piece is of the type that slicing gives:

    - list, tuple, range, str, bytes, bytearray, memoryview, ``array.array``: ``data[start:stop]``. A subclass gives
      what its own slicing gives; for a named tuple that is a plain tuple.
    - ndarray (rows, that is axis 0, as views) and its subclasses; pandas Index; polars DataFrame and Series; pyarrow
      Table: ``data[start:stop]``, rows.
    - pandas DataFrame and Series and their subclasses: rows by position, whatever the index holds.
    - dict: sub-dicts in order; OrderedDict, Counter and defaultdict (with its factory) stay what they are, other
      subclasses and other mappings give plain dicts.
    - set, frozenset: sets and frozensets, in the order of iteration.
    - Anything else that can be iterated over (generators, dict views, deques, user-defined sequences): lists.

    Args:
        data: What is to be cut. A one-pass iterator is used up.
        parts: How many pieces are wanted at most, at least 1; see `bounds`.

    Returns:
        The pieces. Empty data give one empty piece, so that the function is called once, as it would be without
        pieces, and what it makes of nothing (an empty list, a frame with the right columns, its error) is the answer.

    Raises:
        TypeError: ``data`` cannot be iterated over.
    """
    cut = _cutter_for(data)
    sized: Any = data if cut else list(data)
    return (cut or _slices)(sized, bounds(len(sized), parts))


def _slices(data: Any, spans: Sequence[Span]) -> list[Any]:
    return [data[start:stop] for start, stop in spans]


def _rows(data: Any, spans: Sequence[Span]) -> list[Any]:
    # Up to version 2, pandas marks what it has sliced and warns (SettingWithCopyWarning) when the function adds a
    # column to its piece. In a worker process the mark is gone. The shallow copy takes it off everywhere.
    return [data.iloc[start:stop].copy(deep=False) for start, stop in spans]


def _sub_dicts(data: Any, spans: Sequence[Span]) -> list[Any]:
    items = iter(data.items())
    return [_merged(data, [dict(islice(items, stop - start))]) for start, stop in spans]


def _sub_sets(data: Any, spans: Sequence[Span]) -> list[Any]:
    kind = frozenset if isinstance(data, frozenset) else set
    items = iter(data)
    return [kind(islice(items, stop - start)) for start, stop in spans]


_CUTTERS: tuple[tuple[tuple[type, ...], Cutter], ...] = (
    ((list, tuple, range, str, bytes, bytearray, memoryview), _slices),
    ((Mapping,), _sub_dicts),
    ((set, frozenset), _sub_sets),
)

# By module and name. polars and pyarrow iterate over columns, so that listing theirs would cut the wrong way.
_FOREIGN_CUTTERS: tuple[tuple[str, str, Cutter], ...] = (
    ("numpy", "ndarray", _slices),
    ("pandas", "DataFrame", _rows),
    ("pandas", "Series", _rows),
    ("pandas", "Index", _slices),
    ("polars", "DataFrame", _slices),
    ("polars", "Series", _slices),
    ("pyarrow", "Table", _slices),
    ("array", "array", _slices),
)


def _cutter_for(data: object) -> Cutter | None:
    for types, cut in _CUTTERS:
        if isinstance(data, types):
            return cut
    for module, name, cut in _FOREIGN_CUTTERS:
        if isinstance(data, _loaded(module, name)):
            return cut
    return None


# ---------------------------------------------------------------------------------------------------------------- join


def join(results: Sequence[Any]) -> Any:
    """Puts the results of the pieces together in order, by their type (``merge="auto"``).

    Results of these types are joined if all of them are of the same one:

    - list, tuple, str, bytes, bytearray: end to end.
    - dict, OrderedDict, defaultdict (with the first one's factory): into one of the same type; where keys meet, the
      later value wins in the place of the earlier. Counter: counts add up, as in ``Counter.update``.
    - set, frozenset: the union.
    - ndarray and its subclasses: along axis 0, as ``numpy.concatenate`` does (``numpy.ma.concatenate`` where one is
      masked); the class stays where all are of the same. Arrays that NumPy cannot join (without axes, of unequal shape
      beyond axis 0, of structures that have no common one) come back in the list.
    - DataFrame and Series of pandas and their subclasses: below each other, as ``pandas.concat`` does; every row
      keeps its index label.
    - ``None``: ``None``.

    All others, and results of different types, come back as the list of the results. So do all numbers: whether they
    are to be added, compared or kept is not for a library to guess. So do subclasses of built-in types, because they
    may mean something else: a named tuple is a record and a member of a ``StrEnum`` a label, and neither has a
    continuation.

    Args:
        results: What the function returned for each piece, in order of the pieces.

    Returns:
        The joined result, or the list. A single result that can be joined is returned as it is. None of the results
        is changed.
    """
    join_all = _joiner_for(set(map(type, results)))
    return list(results) if join_all is None else join_all(results)


def _nothing(results: Sequence[None]) -> None:
    """A function that is called for its effect has no result, in pieces as in one."""


def _update(results: Sequence[Any]) -> Any:
    return _merged(results[0], results)


def _stack(results: Sequence[Any]) -> Any:
    if len(results) == 1 and results[0].ndim:
        return results[0]
    masked = _loaded("numpy.ma", "MaskedArray")
    # numpy.concatenate forgets masks without a word.
    module = sys.modules["numpy.ma" if any(isinstance(result, masked) for result in results) else "numpy"]
    try:
        joined = module.concatenate(results)
    except (TypeError, ValueError):
        # The type is right and the shapes are not. The work is done, and an error here would throw it away.
        return list(results)
    kinds = set(map(type, results))
    if len(kinds) == 1 and type(joined) not in kinds:
        # A subclass came out as a plain array. This is how ufuncs give theirs the class and attributes back.
        return results[0].__array_wrap__(joined)
    return joined


def _concat(results: Sequence[Any]) -> Any:
    return results[0] if len(results) == 1 else sys.modules["pandas"].concat(results)


_JOINERS: dict[type, Joiner] = {
    list: lambda results: list(chain.from_iterable(results)),
    tuple: lambda results: tuple(chain.from_iterable(results)),
    str: "".join,
    bytes: b"".join,
    bytearray: bytearray().join,
    dict: _update,
    OrderedDict: _update,
    defaultdict: _update,
    Counter: _update,
    set: lambda results: set().union(*results),
    frozenset: lambda results: frozenset().union(*results),
    type(None): _nothing,
}

# By module and name, subclasses included: these libraries see to their subclasses themselves.
_FOREIGN_JOINERS: tuple[tuple[str, str, Joiner], ...] = (
    ("numpy", "ndarray", _stack),
    ("pandas", "DataFrame", _concat),
    ("pandas", "Series", _concat),
)


def _joiner_for(types: set[type]) -> Joiner | None:
    if len(types) == 1:
        (only,) = types
        if only in _JOINERS:
            return _JOINERS[only]
    for module, name, join_all in _FOREIGN_JOINERS:
        family = _loaded(module, name)
        if types and all(issubclass(kind, family) for kind in types):
            return join_all
    return None


# -------------------------------------------------------------------------------------------------------------- shared


class _Unloaded:
    """Stands for a type whose library nobody has imported: nothing is an instance of it."""


def _loaded(module: str, name: str) -> type:
    """The type of that name, if its library is there (half of it, while another thread is importing it)."""
    found = getattr(sys.modules.get(module), name, _Unloaded)
    return found if isinstance(found, type) else _Unloaded


def _merged(like: Any, mappings: Iterable[Any]) -> Any:
    """A new dict of the type of ``like`` where that type is of the standard library, updated with each mapping."""
    kind = type(like)
    merged: Any = {}
    if kind is defaultdict:
        merged = defaultdict(like.default_factory)
    elif kind in {OrderedDict, Counter}:
        merged = kind()
    for mapping in mappings:
        merged.update(mapping)
    return merged
