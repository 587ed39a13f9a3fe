"""How much memory a process and everything below it hold, from Linux's /proc.

A page in an anonymous memory file counts although no process may have it mapped. Pages that several processes share
count once for each in `rss`, and once in all in `pss`: the first is the strict reading, the second the true one.
"""

import os
from dataclasses import dataclass
from pathlib import Path

BLOCK = 512


@dataclass(frozen=True, slots=True)
class Footprint:
    """Memory of a process tree in bytes."""

    rss: int = 0
    pss: int = 0
    processes: int = 0

    def over(self, base: "Footprint") -> "Footprint":
        """Return what is held beyond a baseline."""
        return Footprint(self.rss - base.rss, self.pss - base.pss, self.processes - base.processes)

    def highest(self, other: "Footprint") -> "Footprint":
        """Return the peak of both, field by field."""
        return Footprint(max(self.rss, other.rss), max(self.pss, other.pss), max(self.processes, other.processes))


def available() -> bool:
    """Tell whether this system shows what is needed."""
    return Path("/proc/self/smaps_rollup").exists() and Path(f"/proc/self/task/{os.getpid()}/children").exists()


def footprint(root: int) -> Footprint:
    """Measure a process and all its descendants at this moment."""
    tree = descendants(root)
    files = sum(memory_files(tree).values())
    resident = [read_kilobytes(pid, "status") for pid in tree]
    shares = [read_kilobytes(pid, "smaps_rollup") for pid in tree]
    return Footprint(
        rss=total(resident, "RssAnon", "RssFile") + max(total(resident, "RssShmem"), files),
        pss=total(shares, "Pss_Anon", "Pss_File") + max(total(shares, "Pss_Shmem"), files),
        processes=len(tree),
    )


def most_private(root: int) -> int:
    """Return the bytes that a worker has written to and shares with nobody; of the worst of a zygote's workers."""
    workers = [worker for child in children(root) for worker in children(child)]
    return max((total([read_kilobytes(pid, "smaps_rollup")], "Private_Dirty") for pid in workers), default=0)


def children(parent: int) -> list[int]:
    """List the direct children of a process."""
    lists = Path(f"/proc/{parent}/task").glob("*/children")
    return [int(child) for each in lists for child in read(each).split()]


def descendants(root: int) -> list[int]:
    """List a process, its children, their children, and so on."""
    found = [root]
    for pid in found:  # the list grows while it is read
        found.extend(children(pid))
    return found


def memory_files(tree: list[int]) -> dict[tuple[int, int], int]:
    """Return the bytes of every memory file or unlinked file that the processes have open, each counted once."""
    sizes = {}
    for pid in tree:
        for descriptor in open_files(pid):
            try:
                target, status = str(descriptor.readlink()), descriptor.stat()
            except OSError:
                continue
            if target.startswith("/memfd:") or target.endswith(" (deleted)"):
                sizes[status.st_dev, status.st_ino] = status.st_blocks * BLOCK
    return sizes


def open_files(pid: int) -> list[Path]:
    """List the descriptors of a process; none if it has gone."""
    try:
        return list(Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return []


def read_kilobytes(pid: int, name: str) -> dict[str, int]:
    """Read the fields of a /proc file that are given in kB; none if the process has gone."""
    fields = (line.split() for line in read(Path(f"/proc/{pid}/{name}")).splitlines())
    return {words[0].rstrip(":"): int(words[1]) for words in fields if len(words) == 3 and words[2] == "kB"}


def total(readings: list[dict[str, int]], *fields: str) -> int:
    """Sum fields over all processes, in bytes."""
    return 1024 * sum(reading.get(field, 0) for reading in readings for field in fields)


def read(path: Path) -> str:
    """Return a file's text; nothing if its process has gone."""
    try:
        return path.read_text()
    except OSError:
        return ""
