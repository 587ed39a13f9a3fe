"""The progress page: shared memory between the caller and one worker.

It tells what a dead worker can no longer say: the dispatch that it had, how far it was, and which item it ran. Each
slot has one writer. The worker writes a slot before it does what the slot announces, so what is found after its death
is never behind what it did.
"""

import mmap
import os

from parmap._transport import _memory

SIZE = mmap.PAGESIZE

# Slots of eight bytes.
STARTED = 0  # worker: number of the item being run, counted from one within the dispatch; 0: none yet
NUMBER = 1  # worker: the dispatch that it has in hands
PHASE = 2  # worker: what it does with it
SINCE = 3  # worker: when it began the phase or the item, in nanoseconds of the monotonic clock
STOP = 4  # caller: index of the first item that must not start, plus one; 0: all may

# Phases.
IDLE, INITIALIZING, READING, RUNNING, ANSWERING = range(5)


def forbid(slots: "memoryview[int]", index: int) -> None:
    """For the caller: lets no item from ``index`` on start."""
    slots[STOP] = index + 1


def allowed(slots: "memoryview[int]", index: int) -> bool:
    """For the worker: whether the item at ``index`` may start."""
    stop = slots[STOP]
    return not stop or index < stop - 1


class Page:
    """A view of the slots; ``slots`` reads and writes integers."""

    def __init__(self, descriptor: int) -> None:
        self._map = _memory.map_shared(descriptor, SIZE)
        self.slots = memoryview(self._map).cast("q")

    def close(self) -> None:
        """Gives the memory back. May be called twice."""
        self.slots.release()
        self._map.close()


def create() -> tuple[Page, int]:
    """A page for a new worker, and the descriptor to give to it, which the caller closes."""
    descriptor = _memory.create(SIZE)
    try:
        return Page(descriptor), descriptor
    except BaseException:
        os.close(descriptor)
        raise
