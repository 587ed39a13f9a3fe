"""Threads that a Ctrl-C does not go to.

The kernel gives a SIGINT to any thread of the process that has not blocked it, but Python handles it in the main
thread. If another one got it, the main thread sleeps on in its system call and learns of the signal when that ends.
So the threads that are started here have it blocked, from before their birth, when they inherit it.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def blocked() -> Iterator[None]:
    """Threads started inside the block never take a SIGINT; one that comes meanwhile is handled after it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
