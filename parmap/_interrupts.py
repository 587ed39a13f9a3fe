"""Threads that a Ctrl-C does not go to, and moments in which no handler of a signal runs.

An exception that a handler raises, such as that of Ctrl-C or of an alarm, may come between any two steps of Python code.
Nearly all code here is written for that: what is to be given back is noted where it is taken. `held` is for the rest.

The kernel gives a SIGINT to any thread of the process that has not blocked it, but Python handles it in the main
thread. If another one got it, the main thread sleeps on in its system call and learns of the signal when that ends.
So the threads that are started here have it blocked, from before their birth, when they inherit it.
"""

import signal
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache

# What a thread brings on itself is for that thread, and at once.
_FAULTS = ("SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGABRT", "SIGTRAP", "SIGSYS")


def blocked() -> AbstractContextManager[None]:
    """Threads started inside the block never take a SIGINT; one that comes meanwhile is handled after it.

    Other signals they take: the programs that their items start inherit what is blocked.
    """
    return _masked({signal.SIGINT})


def held() -> AbstractContextManager[None]:
    """For microseconds: a signal that comes inside the block is handled after it, if only this thread can take it."""
    return _masked(_asynchronous())


@cache  # asking for all signals takes 0.1 ms
def _asynchronous() -> frozenset[int]:
    return frozenset(signal.valid_signals() - {getattr(signal, name, None) for name in _FAULTS})


@contextmanager
def _masked(signals: Collection[int]) -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        # What a handler raises may come out of this, and the signals are blocked nevertheless.
        signal.pthread_sigmask(signal.SIG_BLOCK, signals)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
