"""The thread beside the caller's, in which the watch of a call runs.

Starting a thread for each call cost a short call half of its time, and the threads of a hundred short calls in a row
piled up: each of them waits a switch interval for the GIL before it can see that its call is over. So one thread
serves the calls of a calling thread one after the other (see `_kept`).

A companion belongs to one call at a time, from ``hire`` to ``release``; calls that overlap in one thread (a `pimap`
inside the loop over another) have one each. It goes back to the thread that it measures, whoever releases it.
"""

import threading
from _thread import start_new_thread
from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from parmap._kept import Kept
from parmap._observe import Meter

Watching: TypeAlias = Callable[[Meter], None]


class Companion(Kept):
    """A thread that measures the thread that started it, for one job after the other."""

    def __init__(self, job: Watching, home: "list[Companion]") -> None:
        self._home = home
        self._meter = Meter()
        super().__init__(partial(job, self._meter))

    def _start(self) -> None:
        start_new_thread(self._run, ())  # without the waiting for it that makes half of what `Thread.start` costs

    def watch(self, job: Watching) -> bool:
        """Gives it a job; false: it has left, or stayed behind in the parent at a fork."""
        self._meter.renew()
        return self.take(partial(job, self._meter))

    def release(self) -> None:
        """Keeps it for the next call of the calling thread. Its job must be one that ends by itself now."""
        self._home.append(self)

    def _leave(self) -> None:
        self._meter.close()
        # Whoever logs in a thread that `threading` does not know has it listed there, before 3.13 for ever.
        getattr(threading, "_active", {}).pop(threading.get_ident(), None)


class _Local(threading.local):
    """The companions of each calling thread that are free."""

    def __init__(self) -> None:
        self.free: list[Companion] = []


_local = _Local()


def hire(job: Watching) -> Companion:
    """A companion of the calling thread that has begun the job.

    Raises:
        RuntimeError: No thread can be started, as in an exit handler since Python 3.12.
    """
    while _local.free:
        companion = _local.free.pop()
        if companion.watch(job):
            return companion
    return Companion(job, _local.free)
