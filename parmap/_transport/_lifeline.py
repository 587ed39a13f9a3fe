"""A lifeline ties the life of a process to another one's.

It is a pipe whose writing end only the caller's process has. When that process ends, in whatever way, the kernel
closes the pipe, and tells those who hold the reading end. On Linux the news is a SIGKILL, so that a worker ends also
in the middle of C code that never returns to the interpreter; elsewhere a thread waits for it.
"""

import fcntl
import os
import select
import signal
import sys
import threading


def create() -> tuple[int, int]:
    """A pipe: the end to hold, for the workers, and the end to keep open for as long as they may live."""
    return os.pipe()


def hold(reading: int) -> None:
    """Ends this process, without further ado, when the other end of the pipe closes."""
    if sys.platform == "linux" and os.path.exists(path := f"/proc/self/fd/{reading}"):
        # Who gets the signal is noted in the open file, which a fork shares: open it anew.
        own = os.open(path, os.O_RDONLY)
        fcntl.fcntl(own, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(own, _F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(own, fcntl.F_SETFL, fcntl.fcntl(own, fcntl.F_GETFL) | os.O_ASYNC)
        os.close(reading)
        if _closed(own, 0):  # before the signal was asked for
            os._exit(1)
    else:
        threading.Thread(target=_watch, args=(reading,), daemon=True).start()


_F_SETSIG = 10  # the name is in `fcntl` on Linux only


def _watch(reading: int) -> None:
    _closed(reading, None)
    os._exit(1)


def _closed(reading: int, timeout: float | None) -> bool:
    return bool(select.select([reading], [], [], timeout)[0])
