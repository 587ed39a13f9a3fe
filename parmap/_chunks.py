"""How many items go into one dispatch. Pure: times and sizes come in, a number comes out."""

import math

from parmap._tuning import (
    CHUNK_BYTES,
    CHUNK_GROWTH,
    CHUNK_LIMIT,
    CHUNK_TARGET,
    IN_FLIGHT,
    LEAST_CHUNK,
    MAX_CHUNK,
    MAX_WINDOW,
    WINDOW_BYTES,
    WINDOW_PER_WORKER,
)


class Sizer:
    """Chooses the size of each chunk from what the chunks before it took.

    Aims at ``target`` seconds and at most ``CHUNK_BYTES`` bytes a chunk, grows by at most ``CHUNK_GROWTH`` from
    what has been seen, and shrinks towards the end of a known input so that a straggler does not keep the other
    workers waiting (guided self-scheduling, Polychronopoulos and Kuck 1987), but not below what a dispatch is worth.

    Args:
        fixed: The size that the caller asked for; ``None``: decide.
        workers: How many workers take chunks.
        first: The size while nothing is known of the items.
        length: How many items there are; ``None``: not known.
        seconds: What an item took in an earlier call; 0.0: not known.
        most: The largest size.
        target: Seconds of work aimed at.

    Attributes:
        seconds: What an item takes, as last seen; 0.0: not known.
    """

    def __init__(
        self,
        fixed: int | None,
        workers: int,
        first: int,
        length: int | None,
        *,
        seconds: float = 0.0,
        most: int = MAX_CHUNK,
        target: float = CHUNK_TARGET,
    ) -> None:
        self._workers = workers
        self._fixed = fixed
        self._most = most
        self._target = target
        self._limit = first if length is None or seconds else min(first, math.ceil(length / workers) or 1)
        self.seconds = seconds
        self._bytes = 0.0  # an item needs, at most, as seen so far

    def observe(self, items: int, seconds: float, size: int) -> None:
        """Learns from a finished chunk: its items, the seconds they took and the bytes that crossed a border."""
        if not items:
            return
        latest = seconds / items
        # Costs that rise count at once, costs that fall by and by: too small a chunk is the cheaper mistake.
        self.seconds = max(latest, (self.seconds + latest) / 2)
        self._bytes = max(self._bytes, size / items)
        self._limit = min(max(self._limit, items * CHUNK_GROWTH), self._most)

    def expect(self, seconds: float) -> None:
        """Takes ``seconds`` for what an item takes, until something has been seen."""
        self.seconds = max(self.seconds, seconds)

    def size(self, left: int | None) -> int:
        """The size of the next chunk, with ``left`` items to go (``None``: not known)."""
        if self._fixed is not None:
            return self._fixed
        size: float = self._limit
        if self.seconds:
            size = min(size, self._target / self.seconds)
        if self._bytes:
            size = min(size, CHUNK_BYTES / self._bytes)
        if left is not None and self.seconds and self._workers > 1:
            size = min(size, max(math.ceil(left / (self._workers * IN_FLIGHT)), LEAST_CHUNK / self.seconds))
        return max(1, int(size))

    @property
    def depth(self) -> int:
        """How many chunks a worker may hold: a second one only where it does not wait long behind the first."""
        return IN_FLIGHT if 0 < self.seconds <= CHUNK_LIMIT else 1

    def window(self, buffersize: int | None) -> int:
        """How many items a lazy call may be ahead of its consumer."""
        if buffersize is not None:
            return buffersize
        items = 2 * IN_FLIGHT * self._workers * self.size(None)
        if self._bytes:
            items = min(items, int(WINDOW_BYTES / self._bytes))
        return max(min(items, MAX_WINDOW), WINDOW_PER_WORKER * self._workers)
