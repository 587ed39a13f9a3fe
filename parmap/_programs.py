"""What the programs that a thread has started compute, while the thread waits for them.

Time in which they are ready to compute and have no core counts too, while they run: on a busy machine they are not to
look as if they waited.
"""

import os
import sys
from contextlib import suppress


def program_seconds(native: int) -> float:
    """CPU seconds of all programs that the process has started and waited for, and of those that a thread has running.

    A program that ends and is waited for moves from the ones to the others, so the difference of two readings is what
    was computed in between, as long as there was a core for all.

    Args:
        native: The thread, by the system's number; Linux tells of what it has running, others do not.
    """
    if sys.platform == "win32":
        return 0.0
    import resource

    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime + _running(f"/proc/self/task/{native}")


def _running(task: str) -> float:
    """CPU seconds of the processes that a thread has started and that those have started, as far as one may look."""
    seconds = 0.0
    for child in _read(f"{task}/children"):
        tasks: list[str] = []
        with suppress(OSError):
            tasks = os.listdir(f"/proc/{child}/task")
        for each in tasks:
            path = f"/proc/{child}/task/{each}"
            told = _read(f"{path}/schedstat")
            seconds += sum(map(int, told[:2])) / 1e9 + _running(path)
    return seconds


def _read(path: str) -> list[str]:
    """The words of a file; none, if it cannot be read: what it is about may have ended."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read().split()
    except OSError:
        return []
