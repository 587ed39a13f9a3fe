"""The thread beside the caller's, kept for a moment so that the next call need not start one.

Starting a thread for each call cost a short call half of its time, and the threads of a hundred short calls in a row
piled up: each of them waits a switch interval for the GIL before it can see that its call is over. So one thread
serves the calls of a calling thread one after the other, and leaves when none has come for ``COMPANION_LINGER``.

Who owns what:

- A companion belongs to one call at a time, from ``hire`` to ``release``; calls that overlap in one thread (a `pimap`
  inside the loop over another) have one each. It goes back to the thread that it measures, whoever releases it.
- A job that was replaced before its companion came to it is dropped: its call is over.
"""

import os
import threading
from _thread import start_new_thread
from collections.abc import Callable
from typing import TypeAlias

from parmap import _interrupts
from parmap._observe import Meter
from parmap._tuning import COMPANION_LINGER

Job: TypeAlias = Callable[[Meter], None]


class Companion:
    """A thread that measures the thread that started it, for one job after the other."""

    def __init__(self, job: Job, home: "list[Companion]") -> None:
        self._home = home
        self._meter = Meter()
        self._lock = threading.Lock()  # guards the next three
        self._job: Job | None = job
        self._idle = False  # whether it sleeps until it is woken
        self._gone = False
        self._wake = threading.Lock()  # held until it is to wake
        self._wake.acquire()
        self._pid = os.getpid()
        with _interrupts.blocked():
            start_new_thread(self._run, ())

    def take(self, job: Job) -> bool:
        """Gives it a job; false: it has left, or stayed behind in the parent at a fork."""
        if self._pid != os.getpid():
            return False
        with self._lock:
            if self._gone:
                return False
            self._meter.begin()
            self._job = job
            if self._idle:
                self._idle = False
                self._wake.release()
        return True

    def withdraw(self) -> bool:
        """Takes the job back if it has not been begun, or stayed behind in the parent at a fork; false: it has."""
        if self._pid != os.getpid():
            return True
        with self._lock:
            untouched, self._job = self._job is not None, None
            return untouched

    def release(self) -> None:
        """Keeps it for the next call of the calling thread. Its job must be one that ends by itself now."""
        self._home.append(self)

    def _run(self) -> None:
        meter = self._meter
        try:
            while not self._gone:
                job = self._next()
                if job is not None:
                    job(meter)
                del job  # it holds the call's items
        finally:
            meter.close()
            # Whoever logs in a thread that `threading` does not know has it listed there, before 3.13 for ever.
            getattr(threading, "_active", {}).pop(threading.get_ident(), None)

    def _next(self) -> Job | None:
        with self._lock:
            job, self._job = self._job, None
            self._idle = job is None
        if job is None and not self._wake.acquire(timeout=COMPANION_LINGER):
            with self._lock:
                if self._idle:
                    self._gone = True
                else:  # woken between the two lines above
                    self._wake.acquire()
        return job


class _Local(threading.local):
    """The companions of each calling thread that are free."""

    def __init__(self) -> None:
        self.free: list[Companion] = []


_local = _Local()


def hire(job: Job) -> Companion:
    """A companion of the calling thread that has begun the job.

    Raises:
        RuntimeError: No thread can be started, as in an exit handler since Python 3.12.
    """
    while _local.free:
        companion = _local.free.pop()
        if companion.take(job):
            return companion
    return Companion(job, _local.free)
