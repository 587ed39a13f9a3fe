"""What a test may leave behind: nothing. Snapshots of this machine's state, and the difference of two.

A `Snapshot` holds what the process running the tests owns: child processes (zombies too), threads, descriptors (an
anonymous memory file is one of them), and the names in `/dev/shm`. Children that lost their parent are found as well:
every process started during the run inherits `RUN_MARK` in its environment.
"""

import gc
import os
import sys
import threading
import time
import uuid
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK_NAME = "TEST_RUN_OF_PARMAP"
RUN_MARK = uuid.uuid4().hex

PATIENCE = 5.0  # seconds that an ending process or thread may take
PAUSE = 0.01  # seconds between two looks

_PROC = Path("/proc")
_OWN_DESCRIPTORS = Path("/proc/self/fd")
_SHARED_MEMORY = Path("/dev/shm")


def mark_this_run() -> None:
    """Makes every process that is started from now on recognisable as one of this run."""
    os.environ[MARK_NAME] = RUN_MARK


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What exists at one moment; `leaked` compares two."""

    processes: frozenset[psutil.Process]
    threads: frozenset[int]
    descriptors: tuple[tuple[int, str], ...]
    shared_memory: frozenset[str]


def snapshot() -> Snapshot:
    """Looks at everything now; about a millisecond."""
    return Snapshot(_processes(), _threads(), _descriptors(), _shared_memory())


def leaked(before: Snapshot, after: Snapshot) -> list[str]:
    """One readable line for each thing of `after` that was not there `before`."""
    lines = [f"process {_describe_process(each)}" for each in sorted(after.processes - before.processes, key=_pid)]
    lines += [f"thread {_describe_thread(each)}" for each in sorted(after.threads - before.threads)]
    lines += [f"descriptor {number} -> {target}" for number, target in _new_descriptors(before, after)]
    lines += [f"memory file /dev/shm/{name}" for name in sorted(after.shared_memory - before.shared_memory)]
    return lines


def wait_for_leaks(before: Snapshot, patience: float = PATIENCE) -> list[str]:
    """What is left in comparison with `before`, once all that goes by itself has gone or `patience` has ended."""
    if not leaked(before, snapshot()):
        return []
    gc.collect()
    deadline = time.monotonic() + patience
    while remaining := [line for line in leaked(before, snapshot()) if not _belongs_to_a_neighbour(line)]:
        if time.monotonic() > deadline:
            break
        time.sleep(PAUSE)
    return remaining


def _pid(process: psutil.Process) -> int:
    return int(process.pid)


def _processes() -> frozenset[psutil.Process]:
    return frozenset({*psutil.Process().children(recursive=True), *_marked_processes()})


def _marked_processes() -> list[psutil.Process]:
    """The processes of this run, wherever they hang in the tree of processes."""
    if not sys.platform.startswith("linux"):
        return []
    mark = f"{MARK_NAME}={RUN_MARK}".encode()
    found = []
    for folder in _PROC.iterdir():
        if not folder.name.isdecimal() or int(folder.name) == os.getpid():
            continue
        with suppress(OSError, psutil.NoSuchProcess):
            if mark in (folder / "environ").read_bytes():
                found.append(psutil.Process(int(folder.name)))
    return found


def _describe_process(process: psutil.Process) -> str:
    with suppress(psutil.NoSuchProcess):
        command = "" if process.status() == psutil.STATUS_ZOMBIE else " ".join(process.cmdline())[:200]
        return f"{process.pid} ({process.status()}, child of {process.ppid()}): {command}"
    return f"{process.pid} (ended just now)"


def _threads() -> frozenset[int]:
    """The identities of all Python threads, those that `threading` does not know included."""
    return frozenset(
        {*sys._current_frames(), *(each.ident for each in threading.enumerate() if each.ident is not None)}
    )


def _describe_thread(ident: int) -> str:
    known = {each.ident: each.name for each in threading.enumerate()}
    frame = sys._current_frames().get(ident)
    place = "not running Python" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
    return f"{known.get(ident, 'started without threading')!r} at {place}"


def _descriptors() -> tuple[tuple[int, str], ...]:
    if not _OWN_DESCRIPTORS.is_dir():
        return ()
    found = []
    for name in os.listdir(_OWN_DESCRIPTORS):
        with suppress(OSError):  # the listing's own descriptor is closed by now
            found.append((int(name), os.readlink(_OWN_DESCRIPTORS / name)))
    return tuple(sorted(found))


def _new_descriptors(before: Snapshot, after: Snapshot) -> list[tuple[int, str]]:
    """What is open more often than before; a file that was closed and opened again under another number is not new."""
    surplus = Counter(target for _, target in after.descriptors) - Counter(target for _, target in before.descriptors)
    old = set(before.descriptors)
    fresh = [each for each in after.descriptors if each not in old and each[1] in surplus]
    return fresh or [(-1, target) for target in surplus.elements()]


def _shared_memory() -> frozenset[str]:
    if not _SHARED_MEMORY.is_dir():
        return frozenset()
    return frozenset(os.listdir(_SHARED_MEMORY))


def _belongs_to_a_neighbour(line: str) -> bool:
    """Whether a name in `/dev/shm` is in use by a process that this run did not start, or gone by now."""
    kind, _, name = line.rpartition(" ")
    if kind != "memory file":
        return False
    ours = {each.pid for each in _processes()} | {os.getpid()}
    return not os.path.exists(name) or any(_uses(pid, name) for pid in psutil.pids() if pid not in ours)


def _uses(pid: int, path: str) -> bool:
    with suppress(OSError):
        if path in (_PROC / str(pid) / "maps").read_text(errors="replace"):
            return True
        folder = _PROC / str(pid) / "fd"
        return any(os.readlink(folder / number).startswith(path) for number in os.listdir(folder))
    return False
