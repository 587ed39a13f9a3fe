"""How many cores this process may use.

Three bounds, the smallest of which counts: where the scheduler may put the process (affinity, cpusets), how much CPU
time its control groups grant it (the quota of a container), and its share, when it is a worker that has been given a
part of the machine.
"""

import math
import os
import sys
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from parmap._tuning import QUOTA_LIFE

# The period of a quota where none is given, in microseconds: the kernel's default.
_DEFAULT_PERIOD: Final = "100000"

_UNLIMITED: Final = sys.maxsize


class _Mount(NamedTuple):
    """A tree of control groups, as it can be seen in the file system."""

    kind: str  # the type of the file system: cgroup2, or cgroup for version 1
    top: str  # the group that is seen at the mount point
    point: str


# Where the trees are if nobody tells.
_USUAL_MOUNTS: Final = (
    _Mount("cgroup2", "/", "/sys/fs/cgroup"),
    _Mount("cgroup", "/", "/sys/fs/cgroup/cpu"),
    _Mount("cgroup", "/", "/sys/fs/cgroup/cpu,cpuacct"),
)


def cpu_count() -> int:
    """The number of cores that this process may use, at least 1.

    It is the smallest of what bounds the process: the cores that it may run on (``taskset``, cpusets), the CPU quotas
    of its control group and of every group above it (``docker run --cpus``, Kubernetes limits, systemd's
    ``CPUQuota``; version 1 and 2, half a core counts as one) and, inside a parmap worker, the worker's share of the
    machine. `os.cpu_count` knows none of these and `os.process_cpu_count` only the first.

    Affinity is looked up in every call. A quota that is changed while the process runs is seen within ten seconds; a
    move into another group is not seen.

    Returns:
        How many items of CPU-bound work can make progress at the same time.

    Example:
        >>> import os
        >>> from parmap import cpu_count
        >>> 1 <= cpu_count() <= os.cpu_count()
        True
    """
    return _THIS_PROCESS.count()


def set_share(cores: int | None) -> None:
    """Says how many cores this process may use at most, whatever the machine has.

    A worker calls this before its first item, so that a nested call divides the machine instead of asking for all of
    it once more. Processes that it forks inherit the share.

    Args:
        cores: The most that `cpu_count` may answer from now on, at least 1; ``None`` lifts the limit.
    """
    _THIS_PROCESS.share = _UNLIMITED if cores is None else cores


class Cores:
    """The count of one process, with what it remembers.

    Threads may call `count` at the same time: at worst two of them read the same quota. A forked child goes on with
    the memory of its parent, and rightly so: it is in the same groups, and the clock is that of the machine.
    """

    def __init__(self, root: str = "/", clock: Callable[[], float] = time.monotonic) -> None:
        self.share = _UNLIMITED
        self._root = root
        self._clock = clock
        self._groups: list[str] | None = None  # directories, once they have been looked for
        self._quota = _UNLIMITED  # cores
        self._stale_at = -math.inf

    def count(self) -> int:
        """The cores that may be used now."""
        now = self._clock()
        if now >= self._stale_at:
            self._quota = self._read_quota()
            self._stale_at = now + QUOTA_LIFE
        return max(1, min(_schedulable(), self._quota, self.share))

    def _read_quota(self) -> int:
        # Where the groups are is looked up once: the table of mounts has thousands of lines on some hosts.
        if self._groups is None:
            self._groups = group_directories(self._root)
        return smallest_quota(self._groups)


_THIS_PROCESS: Final = Cores()


def _schedulable() -> int:
    # os.cpu_count() need not be asked as well: an affinity holds no core that is not online, and it costs 5 us.
    try:
        if sys.version_info >= (3, 13):
            return os.process_cpu_count() or 1  # the affinity, or what `-X cpu_count` says
        if hasattr(os, "sched_getaffinity"):
            return len(os.sched_getaffinity(0))
    except OSError:  # a sandbox that forbids the question
        pass
    return os.cpu_count() or 1


# ----------------------------------------------------------------------------------------------------------- cgroups


def smallest_quota(groups: Iterable[str]) -> int:
    """The CPU quota that binds: of the given groups' quotas, in whole cores (rounded up), the smallest.

    Args:
        groups: Directories of control groups. Those without a quota, or with one that makes no sense, do not count.

    Returns:
        Cores, at least 1; a huge number if nothing limits them.
    """
    return min(map(_quota_of, groups), default=_UNLIMITED)


def _quota_of(group: str) -> int:
    words = _read(f"{group}/cpu.max").split()
    # Version 1 spreads over two files what version 2 writes into one.
    if not words and (words := _read(f"{group}/cpu.cfs_quota_us").split()):
        words += _read(f"{group}/cpu.cfs_period_us").split()
    try:
        quota, period = map(int, [*words, _DEFAULT_PERIOD][:2])
    except ValueError:  # "max", an empty file, no file
        return _UNLIMITED
    if quota <= 0 or period <= 0:  # -1 is version 1's word for "max"
        return _UNLIMITED
    return -(-quota // period)


def group_directories(root: str = "/") -> list[str]:
    """The directories of this process's control groups and of every group above them that can be seen.

    Groups come in trees: one for version 2, one for each controller of version 1, of which only that of the CPU is of
    interest here. ``/proc/self/cgroup`` tells the process's place in each, ``/proc/self/mountinfo`` where each can be
    found. A container often sees only a part of a tree, from its own group or from a group above it downwards.

    Args:
        root: Where the file system starts; tests build their own.

    Returns:
        Directories, which need not exist. None of what is missing or malformed is an error.
    """
    places = _own_places(_read(os.path.join(root, "proc/self/cgroup")))
    mounts = _mounts(_read(os.path.join(root, "proc/self/mountinfo"))) or _USUAL_MOUNTS
    placed = [(mount, _path_below(mount.top, places.get(mount.kind, "/"))) for mount in mounts]
    # A place that is in none of the trees was told by somebody who sees other ones (a container of a container). Then
    # the group at the mount point is the best guess: it is what the process has been given to see.
    sure = {mount.kind for mount, path in placed if path is not None}
    directories = []
    for mount, path in placed:
        if path is not None or mount.kind not in sure:
            names = path or []
            base = os.path.join(root, mount.point.lstrip("/"))
            directories += [os.path.join(base, *names[:depth]) for depth in range(len(names), -1, -1)]
    return directories


def _own_places(text: str) -> dict[str, str]:
    """From ``/proc/self/cgroup``: the process's group in the trees that can hold CPU quotas, by kind."""
    places = {}
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0" and not controllers:
            places["cgroup2"] = path
        elif "cpu" in controllers.split(","):
            places["cgroup"] = path
    return places


def _mounts(text: str) -> list[_Mount]:
    """From ``/proc/self/mountinfo``: where the trees that can hold CPU quotas can be seen.

    A line reads ``36 35 98:0 TOP POINT rw,noatime master:1 - TYPE SOURCE rw,cpu``, with any number of words before the
    dash.
    """
    mounts = []
    for line in text.splitlines():
        place, _, system = line.partition(" - ")
        try:
            _, _, _, top, point, *_ = place.split(" ")
            kind, _, options = system.split(" ", 2)
        except ValueError:  # not such a line
            continue
        if kind == "cgroup2" or (kind == "cgroup" and "cpu" in options.split(",")):
            mounts.append(_Mount(kind, _unescaped(top), _unescaped(point)))
    return mounts


def _unescaped(path: str) -> str:
    """The kernel writes blanks and backslashes in paths as octal numbers."""
    for char in " \t\n\\":  # the backslash last: what it stands for is not to be read again
        path = path.replace(f"\\{ord(char):03o}", char)
    return path


def _path_below(top: str, place: str) -> list[str] | None:
    """The names that lead from the group ``top`` down to ``place``; ``None`` if it is not below.

    Both are told as seen from the root of the reader's cgroup namespace: ``/..`` is the group above that root. Where
    the way down leads through groups above the root, whose names nobody tells, it ends before them.
    """
    tops, names = ([name for name in path.split("/") if name] for path in (top, place))
    rest = names[len(tops) :]
    if names[: len(tops)] == tops and ".." not in rest:
        return rest
    above = set(tops) == {".."} and tops.count("..") > names.count("..")
    return [] if above else None


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except (OSError, ValueError):  # not there, not ours to read, not a path
        return ""
