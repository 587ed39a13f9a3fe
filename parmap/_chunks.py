"""How many items go into one dispatch. Pure: times and sizes come in, a number comes out."""

import math

from parmap._tuning import (
    CHUNK_BYTES,
    CHUNK_GROWTH,
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

    Aims at ``CHUNK_TARGET`` seconds and at most ``CHUNK_BYTES`` bytes a chunk, grows by at most ``CHUNK_GROWTH`` from
    what has been seen, and shrinks towards the end of a known input so that a straggler does not keep the other
    workers waiting (guided self-scheduling, Polychronopoulos and Kuck 1987), but not below what a dispatch is worth.
    """

    def __init__(self, fixed: int | None, workers: int, first: int, length: int | None, seconds: float = 0.0) -> None:
        self.workers = workers
        self._fixed = fixed
        self._limit = first if length is None or seconds else min(first, math.ceil(length / workers) or 1)
        self.seconds = seconds  # an item takes, as last seen; 0.0: not known
        self._bytes = 0.0  # an item needs, at most, as seen so far

    def observe(self, items: int, seconds: float, size: int) -> None:
        """Learns from a finished chunk: its items, the seconds they took and the bytes that crossed a border."""
        if not items:
            return
        latest = seconds / items
        # Costs that rise count at once, costs that fall by and by: too small a chunk is the cheaper mistake.
        self.seconds = max(latest, (self.seconds + latest) / 2)
        self._bytes = max(self._bytes, size / items)
        self._limit = min(max(self._limit, items * CHUNK_GROWTH), MAX_CHUNK)

    def size(self, left: int | None) -> int:
        """The size of the next chunk, with ``left`` items to go (``None``: not known)."""
        if self._fixed is not None:
            return self._fixed
        size: float = self._limit
        if self.seconds:
            size = min(size, CHUNK_TARGET / self.seconds)
        if self._bytes:
            size = min(size, CHUNK_BYTES / self._bytes)
        if left is not None and self.seconds:
            size = min(size, max(math.ceil(left / (self.workers * IN_FLIGHT)), LEAST_CHUNK / self.seconds))
        return max(1, int(size))

    def window(self, buffersize: int | None) -> int:
        """How many items a lazy call may be ahead of its consumer."""
        if buffersize is not None:
            return buffersize
        items = 2 * IN_FLIGHT * self.workers * self.size(None)
        if self._bytes:
            items = min(items, int(WINDOW_BYTES / self._bytes))
        return max(min(items, MAX_WINDOW), WINDOW_PER_WORKER * self.workers)
