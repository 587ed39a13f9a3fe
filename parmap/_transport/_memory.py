"""Anonymous memory files: memory with a descriptor and without a name.

Nothing appears in a directory, so nothing is left behind: the memory goes with the last descriptor and mapping.
"""

import mmap
import os
import tempfile
from collections.abc import Iterable

# One call to write takes at most this many bytes on Linux.
_WRITE_MOST = 0x7FFF_F000


def create(size: int) -> int:
    """A new memory file of ``size`` bytes, as a descriptor that the caller closes."""
    descriptor = _open()
    try:
        os.ftruncate(descriptor, size)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _open() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("parmap", os.MFD_CLOEXEC)
    with tempfile.TemporaryFile() as file:  # has no name, or loses it before anyone sees it
        return os.dup(file.fileno())


def write(descriptor: int, pieces: Iterable[tuple[int, memoryview]]) -> None:
    """Writes each piece at its offset."""
    for offset, piece in pieces:
        done = 0
        while done < len(piece):
            done += os.pwrite(descriptor, piece[done : done + _WRITE_MOST], offset + done)


def map_private(descriptor: int, size: int) -> mmap.mmap:
    """A copy-on-write view: writable, and what is written stays here."""
    return mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY)


def map_shared(descriptor: int, size: int) -> mmap.mmap:
    """A view that every process sees the same."""
    return mmap.mmap(descriptor, size)
