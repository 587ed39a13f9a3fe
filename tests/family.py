"""The processes below this one: the zygote and its workers, looked at, waited for and killed from outside."""

import os
import select
import time
from contextlib import closing

import psutil

PATIENCE = 20.0  # seconds for what takes a moment on a quiet machine


def zygotes() -> list[psutil.Process]:
    """The zygotes of this process that live; there is one at the most, unless one has been killed."""
    return [each for each in psutil.Process().children() if each.status() != psutil.STATUS_ZOMBIE]


def workers() -> list[psutil.Process]:
    """The workers of this process that live and whose zygote does."""
    found = [worker for zygote in zygotes() for worker in zygote.children()]
    return [each for each in found if each.status() != psutil.STATUS_ZOMBIE]


def kill(processes: list[psutil.Process]) -> None:
    """Kills them, and returns when they are dead."""
    for process in processes:
        process.kill()
    wait_ended(processes)


def wait_ended(processes: list[psutil.Process], patience: float = PATIENCE) -> None:
    """Waits until all have ended, reaped or not."""
    deadline = time.monotonic() + patience
    for process in processes:
        try:
            descriptor = os.pidfd_open(process.pid)
        except ProcessLookupError:
            continue
        with closing(os.fdopen(descriptor)):
            if process.is_running():
                ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
                assert ready, f"{process} has not ended within {patience} s"
