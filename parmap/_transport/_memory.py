"""Anonymous memory files: memory with a descriptor and without a name.

Nothing appears in a directory, so nothing is left behind: the memory goes with the last descriptor and mapping. Where
the system has none, they are temporary files, which lose their names before anyone sees them.
"""

import errno
import mmap
import os
import sys
from collections.abc import Iterable

from parmap._tuning import VIEWS_SHARE

# One call to write takes at most this many bytes on Linux.
_WRITE_MOST = 0x7FFF_F000


# What a file system answers that cannot reserve space ahead.
_CANNOT_RESERVE = (errno.EINVAL, errno.EOPNOTSUPP)


def create(size: int) -> int:
    """A new memory file of ``size`` bytes, as a descriptor that the caller closes.

    Raises:
        OSError: There is no room for it.
    """
    anonymous = hasattr(os, "memfd_create")
    descriptor = os.memfd_create("parmap", os.MFD_CLOEXEC) if anonymous else _temporary()
    try:
        if anonymous or not _reserve(descriptor, size):
            os.ftruncate(descriptor, size)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _temporary() -> int:
    import tempfile  # costs 2 ms, and few systems need it

    with tempfile.TemporaryFile() as file:  # has no name, or loses it before anyone sees it
        return os.dup(file.fileno())


def _reserve(descriptor: int, size: int) -> bool:
    """Takes the room on the disk now, where a full one is an error: at a write to mapped memory it would be a signal.

    Returns false where that is not possible; then only what is written with `write` has an error.
    """
    if not hasattr(os, "posix_fallocate"):
        return False
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno in _CANNOT_RESERVE:
            return False
        raise
    return True


def write(descriptor: int, pieces: Iterable[tuple[int, memoryview]]) -> None:
    """Writes each piece at its offset."""
    for offset, piece in pieces:
        done = 0
        while done < len(piece):
            done += os.pwrite(descriptor, piece[done : done + _WRITE_MOST], offset + done)


def map_private(descriptor: int, size: int) -> mmap.mmap | bytearray:
    """A copy-on-write view: writable, and what is written stays here. A copy, where there can be no more views."""
    try:
        return _view_private(descriptor, size)
    except OSError:
        return read(descriptor, size)


if sys.version_info >= (3, 13):

    def _view_private(descriptor: int, size: int) -> mmap.mmap:
        return mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY, trackfd=False)

else:

    def _view_private(descriptor: int, size: int) -> mmap.mmap:
        import resource  # not on every system

        # A view keeps a descriptor of its own, so a list of a thousand large results would be too many open files.
        own = os.dup(descriptor)  # the one that it would get: the lowest that is free
        os.close(own)
        if own >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] * VIEWS_SHARE:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return mmap.mmap(descriptor, size, access=mmap.ACCESS_COPY)


def read(descriptor: int, size: int) -> bytearray:
    """A copy of the file."""
    copy, done = bytearray(size), 0
    with memoryview(copy) as whole:
        while done < size:
            done += os.preadv(descriptor, [whole[done:]], done)
    return copy


def map_shared(descriptor: int, size: int) -> mmap.mmap:
    """A view that every process sees the same."""
    return mmap.mmap(descriptor, size)
