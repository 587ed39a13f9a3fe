"""A mutex in shared memory: it excludes threads and processes alike, and is free again when its holder dies.

It is the system's own robust, error-checking `pthread_mutex_t`. All its state is in the shared memory, so there is no
second lock to be taken in some order, and nothing here to be repaired after a fork. Guarantees:

- One thread of one process holds it, known by the kernel's number for threads: another thread, or the child of a
  fork, is not taken for the holder.
- When that thread or its process ends, in whatever way, the kernel frees it, and the next one who waits has it.
- Nobody waits while holding the GIL. Calls that cannot wait keep the GIL, because giving it up would cost more than
  they take; calls that wait give it up.
- Waiting is one system call. Only in the main thread it is cut into slices of `SIGNAL_WAIT`, so that Ctrl-C is heard;
  an interrupt that comes while the mutex is waited for leaves it free.
- Its memory must not be unmapped while a thread of this process holds it: the system's list of the mutexes that a
  thread holds goes through the mutexes themselves (`held_here`).
"""

import ctypes
import errno
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, TypeAlias

from parmap._tuning import SIGNAL_WAIT

if sys.platform != "linux":
    raise ImportError("parmap's Value and Lock need Linux: they are made of mutexes that a death frees")

Mutex: TypeAlias = ctypes.Array[ctypes.c_ubyte]

SIZE = 48  # of the largest pthread_mutex_t: 40 bytes on x86-64, 48 on AArch64

_RECURSIVE, _ERROR_CHECKING, _SHARED, _ROBUST = 1, 2, 1, 1  # of <pthread.h>, glibc and musl alike
_THREAD = 0x3FFF_FFFF  # the bits of a robust mutex's word that are the number of its holder, for the kernel
_MINE = (0, errno.EOWNERDEAD)

_quick = ctypes.PyDLL(None)  # keeps the GIL
_slow = ctypes.CDLL(None)  # gives it up
_mutex_type = ctypes.c_ubyte * SIZE

# Both give 0 if all is well. They get their argument as it is, which takes half the time of a checked one.
try_lock: Callable[[Mutex], int] = _quick.pthread_mutex_trylock
unlock: Callable[[Mutex], int] = _quick.pthread_mutex_unlock


class _Moment(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


def at(address: int) -> Mutex:
    """The mutex at an address."""
    return _mutex_type.from_address(address)


def initialize(mutex: Mutex, reentrant: bool) -> None:
    """Makes a mutex of fresh memory.

    Args:
        mutex: Memory that nobody else uses yet.
        reentrant: Whether its holder may take it again.
    """
    _check(_quick.pthread_mutex_init(mutex, _attributes[reentrant]))


def finish_lock(mutex: Mutex, code: int, seconds: float | None) -> bool:
    """What is to be done when `try_lock` has not given 0: waits, and takes over from a holder that has died.

    Args:
        mutex: What is to be taken.
        code: What `try_lock` has given.
        seconds: The longest wait; ``None``: as long as it takes.

    Returns:
        Whether this thread holds it now.

    Raises:
        RuntimeError: This thread held it before, so that it would wait for itself for ever.
    """
    end = None if seconds is None else time.monotonic() + seconds
    patience = SIGNAL_WAIT if threading.current_thread() is threading.main_thread() else threading.TIMEOUT_MAX
    while code not in _MINE:
        left = patience if end is None else end - time.monotonic()
        if left <= 0:
            return False
        if code == errno.EDEADLK:
            if end is None:
                raise RuntimeError("this thread holds the lock already and would wait for itself for ever")
            threading.Event().wait(left)
        else:
            code = _lock_until(mutex, _clock() + min(left, patience))
            if code not in (*_MINE, errno.ETIMEDOUT, errno.EDEADLK):
                _check(code)
    if code == errno.EOWNERDEAD:
        _check(_quick.pthread_mutex_consistent(mutex))
    return True


def _lock_until(mutex: Mutex, end: float) -> int:
    moment = _Moment(int(end), int(end % 1 * 1e9))
    codes: list[int] = []
    try:
        # In one step, so that no interrupt comes between the end of the wait and the note of how it ended.
        codes.extend(map(_wait, (mutex,), *_clock_number, (ctypes.byref(moment),)))
    except BaseException:
        if codes and codes[0] in _MINE:
            _quick.pthread_mutex_consistent(mutex)
            unlock(mutex)
        raise
    return codes[0]


def held_here(mutexes: memoryview, stride: int) -> bool:
    """Whether a thread of this process holds one of the mutexes that are ``stride`` bytes from each other."""
    words = mutexes.cast("I")[_word :: stride // 4]
    holders = {word & _THREAD for word in words.tolist()} - {0}
    return any(os.path.exists(f"/proc/self/task/{holder}") for holder in holders)


def _check(code: int) -> None:
    if code:
        raise OSError(code, os.strerror(code))


def _make_attributes(kind: int) -> Any:
    made = ctypes.create_string_buffer(64)  # more than a pthread_mutexattr_t has anywhere
    _check(_quick.pthread_mutexattr_init(made))
    _check(_quick.pthread_mutexattr_settype(made, kind))
    _check(_quick.pthread_mutexattr_setpshared(made, _SHARED))
    _check(_quick.pthread_mutexattr_setrobust(made, _ROBUST))
    return made


def _find_word() -> int:
    """Which word of a mutex holds the number of the thread that holds it: the system says that one does, not which."""
    mutex = _mutex_type()
    initialize(mutex, False)
    _check(try_lock(mutex))
    try:
        return memoryview(mutex).cast("B").cast("I").tolist().index(threading.get_native_id())
    finally:
        unlock(mutex)


_attributes = {False: _make_attributes(_ERROR_CHECKING), True: _make_attributes(_RECURSIVE)}
_word = _find_word()

# How to wait until a moment, and the clock that has it: one that nobody sets, where the system can (glibc since 2.30).
_clock: Callable[[], float] = time.monotonic
_clock_number: tuple[tuple[int], ...] = ((time.CLOCK_MONOTONIC,),)
_wait: Callable[..., int] = getattr(_slow, "pthread_mutex_clocklock", _slow.pthread_mutex_timedlock)
if not hasattr(_slow, "pthread_mutex_clocklock"):
    _clock, _clock_number = time.time, ()
