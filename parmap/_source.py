"""The input of a call: items drawn in order, once each, as chunks.

Pure. A source draws from the user's iterators only when it is asked to, and an error of theirs is kept as the end of
the input, so that it comes out after the results of the items before it.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

from parmap._records import ALL, Chunk
from parmap._tuning import FIRST_CHUNK, SMALL_ITEM_BYTES

_SCALARS = frozenset({int, float, complex, bool, str, bytes, type(None)})

# Iterating over these runs no code of the user, so any thread may do it.
_INERT = frozenset({list, tuple, range, str, bytes, dict, set, frozenset})


class Source:
    """Draws chunks of consecutive items. Not safe for two threads at once: its user holds a lock.

    Attributes:
        packed: Whether an item is a tuple of arguments, because there are several iterables.
        inert: Whether a thread other than the caller's may draw from it.
        sliced: Whether it is a sequence whose items need not be drawn one by one.
        first: How many items to dispatch at once while nothing is known of them.
        length: The number of items; ``None``: not known.
        drawn: The number of items drawn so far.
        exhausted: Whether there are no more.
        error: What the input raised, if that is its end.
    """

    def __init__(self, iterables: tuple[Iterable[Any], ...], strict: bool = False) -> None:
        self.packed = len(iterables) > 1
        self.inert = all(type(each) in _INERT for each in iterables)
        self.length = _length(iterables)
        self.drawn = 0
        self.exhausted = False
        self.error: BaseException | None = None
        # A slice of these costs next to nothing, and one of a range is itself a range: in memory and on its way.
        alone = iterables[0] if len(iterables) == 1 else None
        self._sliced: Sequence[Any] | None = alone if type(alone) in (list, tuple, range) else None  # type: ignore[assignment]
        self.sliced = self._sliced is not None
        self._iterator: Iterator[Any] = zip(*iterables, strict=strict) if self.packed else iter(iterables[0])

        self.first = FIRST_CHUNK if self.inert and all(map(_is_light, iterables)) else 1

    @property
    def left(self) -> int | None:
        """How many items have not been drawn; ``None`` where that is not known."""
        if self.exhausted:
            return 0
        return None if self.length is None else max(0, self.length - self.drawn)

    def take(self, size: int) -> Chunk | None:
        """Draws up to ``size`` items; ``None`` at the end of the input.

        ``ALL`` of a list are the list itself: copying it costs a tenth of a loop over trivial items. What the user
        does to the list while they run is seen as the loop would see it.
        """
        if self.exhausted:
            return None
        items = self._slice(size) if self._sliced is not None else self._draw(size)
        self.exhausted = len(items) < size
        start, self.drawn = self.drawn, self.drawn + len(items)
        return Chunk(start, items) if items else None

    def _slice(self, size: int) -> Sequence[Any]:
        assert self._sliced is not None
        if size == ALL and not self.drawn:
            return self._sliced
        return self._sliced[self.drawn : self.drawn + size]

    def _draw(self, size: int) -> Sequence[Any]:
        items: list[Any] = []
        try:
            items.extend(islice(self._iterator, size))  # keeps what came before an error
        except Exception as error:  # an interrupt ends the call at once
            self.error = error
        return items


def _is_light(iterable: Any) -> bool:
    """Whether the items look as if many of them may be sent at once, going by the first one."""
    if isinstance(iterable, range | str | bytes):
        return True
    first = next(iter(iterable), None)
    return type(first) in _SCALARS and sys.getsizeof(first) <= SMALL_ITEM_BYTES


def _length(iterables: tuple[Iterable[Any], ...]) -> int | None:
    """The number of items, where every iterable that could end the input says its length."""
    lengths = []
    for each in iterables:
        try:
            lengths.append(len(each))  # type: ignore[arg-type]
        except Exception:  # there is none, or it cannot be told; a loop does not ask for it
            return None
    return min(lengths)
