"""Waiting until other programs leave the cores alone, where Linux tells."""

import time
from pathlib import Path

from _engines import cores

STAT = Path("/proc/stat")
LOOK_SECONDS = 0.1
QUIET = 0.1  # share of the cores that may be in use
IDLE_FIELDS = slice(3, 5)  # idle, and waiting for a disk


def wait_for_quiet(patience: float) -> None:
    """Wait for a moment in which the machine does next to nothing, but not longer than `patience` seconds."""
    deadline = time.monotonic() + patience
    while STAT.exists() and time.monotonic() < deadline:
        if busy() < QUIET * cores():
            return


def busy() -> float:
    """Return how many cores all programs together used in a tenth of a second."""
    before = _ticks()
    time.sleep(LOOK_SECONDS)
    total, idle = (now - then for now, then in zip(_ticks(), before, strict=True))
    return (1 - idle / total) * cores() if total else 0.0


def _ticks() -> tuple[int, int]:
    fields = [int(field) for field in STAT.read_text().split("\n", 1)[0].split()[1:]]
    return sum(fields[:8]), sum(fields[IDLE_FIELDS])
