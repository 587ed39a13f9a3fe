"""What the programs that a thread starts compute, while the thread waits for them.

Time in which they are ready to compute and have no core counts too, while they run: on a busy machine they are not to
look as if they waited.
"""

import os
from contextlib import suppress


def program_seconds(native: int, since: float) -> float:
    """CPU seconds of all programs that the process has started and waited for, and of those that a thread has running.

    A program that ends and is waited for moves from the ones to the others, so the difference of two readings is what
    was computed in between, as long as there was a core for all.

    Args:
        native: The thread, by the system's number. Linux tells of what it has running, others do not.
        since: Programs that were started before this time do not count while they run (seconds since the system's start,
            exact to one tick of its clock).
    """
    seconds = ended_seconds()
    for process in _read(f"/proc/self/task/{native}/children"):
        if _start(process) >= since:
            seconds += _seconds(process)
    return seconds


def ended_seconds() -> float:
    """CPU seconds of all programs that the process has started and waited for."""
    try:
        import resource
    except ImportError:  # not on every system
        return 0.0
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime


def _start(process: str) -> float:
    """When the tick in which a process was started ended; 0.0: it is gone."""
    told = " ".join(_read(f"/proc/{process}/stat")).rpartition(")")[2].split()
    return (int(told[19]) + 1) / os.sysconf("SC_CLK_TCK") if told else 0.0


def _seconds(process: str) -> float:
    """CPU seconds of a process and of those that it has started, as far as one may look."""
    tasks: list[str] = []
    with suppress(OSError):
        tasks = os.listdir(f"/proc/{process}/task")
    seconds = 0.0
    for each in tasks:
        task = f"/proc/{process}/task/{each}"
        seconds += sum(map(int, _read(f"{task}/schedstat")[:2])) / 1e9
        seconds += sum(map(_seconds, _read(f"{task}/children")))
    return seconds


def _read(path: str) -> list[str]:
    """The words of a file; none, if it cannot be read: what it is about may have ended."""
    try:
        with open(path, encoding="ascii") as file:
            return file.read().split()
    except OSError:
        return []
