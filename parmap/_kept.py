"""Threads that are kept for a moment after their work, so that the next call need not start them.

Starting and joining a thread costs 0.1 ms while others start too: 62 waits of 20 ms took 31 ms with fresh threads and
take 23 ms with kept ones. So a thread does one job after the other, and leaves when none has come for ``THREAD_LINGER``
seconds.

Who owns what:

- A thread belongs to whoever has lent it, until it is given back. Only one that has ended its job may be, or that is
  about to with nothing in between that could keep it: its next job waits for that.
- A job that was replaced before its thread came to it is dropped.
- A job given to a thread is done, or `Kept.take` says that it will not be: a thread does not leave in between.
"""

import os
import threading
from collections.abc import Callable
from itertools import count
from typing import TypeAlias

from parmap import _interrupts
from parmap._tuning import THREAD_LINGER

Job: TypeAlias = Callable[[], None]


class Kept:
    """A thread that begins with one job and may be given others.

    Raises:
        RuntimeError: The system has no thread to give.
    """

    def __init__(self, job: Job) -> None:
        self._lock = threading.Lock()  # guards the next three
        self._job: Job | None = job
        self._begun = False  # whether the thread has come to the last job that it was given
        self._gone = False
        self._wake = threading.Lock()  # held until it is to wake; it may be released once too often
        self._wake.acquire()
        self._pid = os.getpid()
        with _interrupts.blocked():
            self._start()

    def _start(self) -> None:
        threading.Thread(target=self._run, name=f"parmap-{next(_numbers)}", daemon=True).start()

    def take(self, job: Job) -> bool:
        """Gives it a job; false: it has left, or stayed behind in the parent at a fork."""
        if self._pid != os.getpid():
            return False
        with self._lock:
            if self._gone:
                return False
            self._job = job
            self._begun = False
            self._rouse()
        return True

    def withdraw(self) -> bool:
        """Takes the job back if it has not been begun, or stayed behind in the parent at a fork; false: it has.

        May be called again.
        """
        if self._pid != os.getpid():
            return True
        with self._lock:
            self._job = None
            return not self._begun

    def dismiss(self) -> None:
        """Lets it leave at once, if it has nothing to do."""
        if self._pid == os.getpid():
            with self._lock:
                self._gone = True
                self._rouse()

    def _rouse(self) -> None:
        if self._wake.locked():
            self._wake.release()

    def _run(self) -> None:
        try:
            while not self._gone:
                job = self._next()
                if job is not None:
                    job()
                del job  # it holds the call's items
        finally:
            with self._lock:
                self._gone = True
            self._leave()

    def _leave(self) -> None:
        """Gives back what belongs to the thread."""

    def _next(self) -> Job | None:
        with self._lock:
            job, self._job = self._job, None
            self._begun = self._begun or job is not None
        if job is None and not self._gone and not self._wake.acquire(timeout=THREAD_LINGER):
            with self._lock:
                if self._job is None:  # it may have got one between the two lines above
                    self._gone = True
        return job


_free: list[Kept] = []
_numbers = count()


def lend(job: Job) -> Kept:
    """A thread that has begun the job.

    Raises:
        RuntimeError: No thread can be started, as in an exit handler since Python 3.12.
    """
    while (kept := _pop()) is not None:
        if kept.take(job):
            return kept
    return Kept(job)


def _pop() -> Kept | None:
    try:
        return _free.pop()
    except IndexError:  # perhaps another call has just taken the last one
        return None


def give_back(kept: Kept) -> None:
    """Keeps a thread that has ended its job for the next one who asks."""
    _free.append(kept)


def shutdown() -> None:
    """Lets all that are free leave."""
    while (kept := _pop()) is not None:
        kept.dismiss()
