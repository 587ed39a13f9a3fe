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

# Bytes of the file beyond the slots: what was written to the standard error while a worker was starting.
_TEXT = 64

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

    def text(self) -> str:
        """What a worker that was starting has written to its standard error, as far as there is room for it."""
        return self._map[_TEXT:].rstrip(b"\0").decode(errors="replace")

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


class Overheard:
    """For a worker that is starting: its standard error goes to its page, where it is found if it dies."""

    def __init__(self, descriptor: int) -> None:
        self._page = descriptor
        self._real = os.dup(2)
        os.lseek(descriptor, _TEXT, os.SEEK_SET)
        os.dup2(descriptor, 2)

    def release(self) -> None:
        """Says it where it should have gone; so does what comes after it. May be called twice."""
        if self._real < 0:
            return
        end = os.lseek(2, 0, os.SEEK_CUR)
        os.dup2(self._real, 2)
        os.close(self._real)
        self._real = -1
        if end > _TEXT:
            os.write(2, os.pread(self._page, end - _TEXT, _TEXT))
            os.pwrite(self._page, bytes(end - _TEXT), _TEXT)
        os.close(self._page)
