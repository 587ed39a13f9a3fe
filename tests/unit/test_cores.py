"""``cpu_count``: fake trees of control groups for every variant, and the real machine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parmap import _cores
from parmap._cores import Cores, group_directories, smallest_quota

UNLIMITED = smallest_quota([])

# Lines of /proc/self/mountinfo as found on real machines.
V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate"
V1_CPU = "33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct"
V1_MEMORY = "36 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory"
V1_SYSTEMD = "40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd"
HYBRID_V2 = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw"
ROOT_DISK = "23 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro"


def plant(root: Path, files: dict[str, str]) -> None:
    """Writes a tree of files under ``root``; ``cgroup`` and ``mountinfo`` go where Linux has them."""
    for name, text in files.items():
        path = root / {"cgroup": "proc/self/cgroup", "mountinfo": "proc/self/mountinfo"}.get(name, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def quota(root: Path) -> int:
    """What the machine that is planted under ``root`` grants."""
    return smallest_quota(group_directories(str(root)))


# ------------------------------------------------------------------------------------------------- one file, version 2


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("200000 100000\n", 2),
        ("150000 100000\n", 2),  # a fraction is rounded up
        ("50000 100000\n", 1),
        ("1000 100000\n", 1),
        ("300000 50000\n", 6),
        ("250000\n", 3),  # the default period
        ("max 100000\n", UNLIMITED),
        ("max\n", UNLIMITED),
        ("", UNLIMITED),  # loky#478
        ("\n", UNLIMITED),
        ("-1 100000\n", UNLIMITED),
        ("0 100000\n", UNLIMITED),
        ("100000 0\n", UNLIMITED),
        ("many 100000\n", UNLIMITED),
        ("200000 100000 and more\n", 2),
    ],
)
def test_version_2_file(tmp_path: Path, text: str, cores: int) -> None:
    """``cpu.max`` in all its forms; what makes no sense limits nothing."""
    plant(tmp_path, {"cgroup": "0::/\n", "mountinfo": V2, "sys/fs/cgroup/cpu.max": text})
    assert quota(tmp_path) == cores


@pytest.mark.parametrize(
    ("quota_us", "period_us", "cores"),
    [
        ("200000\n", "100000\n", 2),
        ("120000\n", "50000\n", 3),
        ("-1\n", "100000\n", UNLIMITED),
        ("", "100000\n", UNLIMITED),  # a period alone is no quota
        (None, "100000\n", UNLIMITED),
        ("150000\n", None, 2),
        ("150000\n", "", 2),
        (None, None, UNLIMITED),
    ],
)
def test_version_1_files(tmp_path: Path, quota_us: str | None, period_us: str | None, cores: int) -> None:
    """``cpu.cfs_quota_us`` and ``cpu.cfs_period_us``, one of which may be missing."""
    group = "sys/fs/cgroup/cpu,cpuacct"
    plant(tmp_path, {"cgroup": "4:cpu,cpuacct:/\n", "mountinfo": V1_CPU})
    for name, text in (("quota", quota_us), ("period", period_us)):
        if text is not None:
            plant(tmp_path, {f"{group}/cpu.cfs_{name}_us": text})
    assert quota(tmp_path) == cores


# --------------------------------------------------------------------------------------------------- the place, nested


def test_own_group_is_looked_up(tmp_path: Path) -> None:
    """loky#634: the path comes from /proc/self/cgroup, not from the mount point alone."""
    group = "sys/fs/cgroup/system.slice/app.service"
    plant(tmp_path, {"cgroup": "0::/system.slice/app.service\n", "mountinfo": V2, f"{group}/cpu.max": "300000 100000"})
    assert quota(tmp_path) == 3


@pytest.mark.parametrize("limited", ["", "/a", "/a/b", "/a/b/c"])
def test_every_group_above_counts(tmp_path: Path, limited: str) -> None:
    """The smallest quota on the way up wins, wherever it is."""
    tree = {f"sys/fs/cgroup{level}/cpu.max": "max 100000" for level in ("", "/a", "/a/b")}
    tree["sys/fs/cgroup/a/b/c/cpu.max"] = "800000 100000"
    tree[f"sys/fs/cgroup{limited}/cpu.max"] = "200000 100000"
    plant(tmp_path, {"cgroup": "0::/a/b/c\n", "mountinfo": V2, **tree})
    assert quota(tmp_path) == 2


def test_other_groups_do_not_count(tmp_path: Path) -> None:
    """Siblings and groups below are somebody else's."""
    others = {f"sys/fs/cgroup/{name}/cpu.max": "100000 100000" for name in ("b", "a/x", "ab")}
    plant(tmp_path, {"cgroup": "0::/a\n", "mountinfo": V2, **others, "sys/fs/cgroup/a/cpu.max": "400000 100000"})
    assert quota(tmp_path) == 4


def test_colon_in_the_name_of_a_group(tmp_path: Path) -> None:
    """Only the first two colons of a line separate."""
    group = "sys/fs/cgroup/cri:pod:1"
    plant(tmp_path, {"cgroup": "0::/cri:pod:1\n", "mountinfo": V2, f"{group}/cpu.max": "300000 100000"})
    assert quota(tmp_path) == 3


def test_version_1_takes_the_controller_of_the_cpu(tmp_path: Path) -> None:
    """The other controllers have trees, and places in them, of their own; ``cpuset`` is not ``cpu``."""
    plant(
        tmp_path,
        {
            "cgroup": "6:cpuset:/sets\n5:memory:/mem\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/user\n",
            "mountinfo": "\n".join((ROOT_DISK, V1_MEMORY, V1_CPU, V1_SYSTEMD)),
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "250000",
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/memory/mem/cpu.cfs_quota_us": "100000",
        },
    )
    assert quota(tmp_path) == 3


@pytest.mark.parametrize(
    ("v1", "v2", "cores"), [("200000", "max", 2), ("-1", "300000 100000", 3), ("-1", "", UNLIMITED)]
)
def test_hybrid(tmp_path: Path, v1: str, v2: str, cores: int) -> None:
    """Both versions at once: the quota is wherever the controller is."""
    plant(
        tmp_path,
        {
            "cgroup": "4:cpu,cpuacct:/job\n1:name=systemd:/job\n0::/job\n",
            "mountinfo": "\n".join((V1_CPU, V1_SYSTEMD, HYBRID_V2)),
            "sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us": v1,
            "sys/fs/cgroup/unified/job/cpu.max": v2,
        },
    )
    assert quota(tmp_path) == cores


# ----------------------------------------------------------------------------------------------- containers, namespaces


@pytest.mark.parametrize(
    ("top", "place", "group", "others"),
    [
        # A namespace of its own: the container's group is the root of all it sees.
        ("/", "/", "", ()),
        # Docker without a namespace: its own subtree is mounted, the path is that of the host.
        ("/docker/abc", "/docker/abc", "", ("docker/abc",)),
        ("/docker/abc", "/docker/abc/job", "job", ("docker/abc/job",)),
        # The mount was made outside the namespace, from one or two groups above its root.
        ("/..", "/../job", "job", ()),
        ("/../..", "/../../pod/job", "pod/job", ()),
        # ... and the way down leads through the root of the namespace, whose name nobody tells.
        ("/..", "/", "", ()),
        ("/..", "/job", "", ("job",)),
        ("/../..", "/../job", "", ("job",)),
        # In no tree that can be seen: what is at the mount point is the best guess.
        ("/", "/../../other", "", ("other",)),
        ("/docker/abc", "/docker/abcdef", "", ("docker/abcdef", "def")),
        ("/docker/abc", "/", "", ()),
        ("/../x", "/", "", ()),
        # A path that does not exist in the tree, from some container managers: upwards, what exists counts.
        ("/", "/docker/abc", "", ()),
    ],
)
def test_parts_of_a_tree(tmp_path: Path, top: str, place: str, group: str, others: tuple[str, ...]) -> None:
    """A mount shows a group and what is below it; the process's place is told from elsewhere."""
    mount = f"30 23 0:26 {top} /sys/fs/cgroup ro - cgroup2 cgroup rw"
    plant(tmp_path, {"cgroup": f"0::{place}\n", "mountinfo": mount})
    plant(tmp_path, {f"sys/fs/cgroup/{other}/cpu.max": "100000 100000" for other in others})
    plant(tmp_path, {f"sys/fs/cgroup/{group}/cpu.max": "400000 100000"})
    assert quota(tmp_path) == 4


def test_mount_of_somebody_elses_subtree(tmp_path: Path) -> None:
    """Where one mount shows the process's group, another that does not is no guide."""
    other = "44 23 0:26 /other /mnt/other rw - cgroup2 cgroup rw"
    plant(
        tmp_path,
        {
            "cgroup": "0::/own\n",
            "mountinfo": f"{other}\n{V2}\n",
            "mnt/other/cpu.max": "100000 100000",
            "sys/fs/cgroup/own/cpu.max": "300000 100000",
        },
    )
    assert quota(tmp_path) == 3


def test_unusual_mount_point(tmp_path: Path) -> None:
    """The mount point is read, blanks and all."""
    mount = r"30 23 0:26 / /a\040dir/\134040 rw shared:1 master:2 - cgroup2 cgroup rw"
    plant(tmp_path, {"cgroup": "0::/\n", "mountinfo": mount, r"a dir/\040/cpu.max": "200000 100000"})
    assert quota(tmp_path) == 2


@pytest.mark.parametrize("mountinfo", [None, "", ROOT_DISK, "not a table of mounts\n - \n"])
def test_usual_places(tmp_path: Path, mountinfo: str | None) -> None:
    """Without a usable table of mounts, the places where Linux systems have them."""
    if mountinfo is not None:
        plant(tmp_path, {"mountinfo": mountinfo})
    plant(tmp_path, {"cgroup": "2:cpu:/b\n0::/a\n"})
    plant(tmp_path, {"sys/fs/cgroup/a/cpu.max": "300000 100000"})
    assert quota(tmp_path) == 3
    plant(tmp_path, {"sys/fs/cgroup/cpu/b/cpu.cfs_quota_us": "200000"})
    assert quota(tmp_path) == 2


def test_no_place_told(tmp_path: Path) -> None:
    """Without /proc/self/cgroup, the group at the mount point."""
    plant(tmp_path, {"mountinfo": V2, "sys/fs/cgroup/cpu.max": "300000 100000"})
    assert quota(tmp_path) == 3


def test_nothing_there(tmp_path: Path) -> None:
    """A system without /proc and /sys limits nothing."""
    assert quota(tmp_path) == UNLIMITED


@given(st.text(), st.text())
def test_any_text_is_survived(cgroup: str, mountinfo: str) -> None:
    """The parsers take what comes."""
    _cores._own_places(cgroup)
    _cores._mounts(mountinfo)
    _cores._path_below(cgroup, mountinfo)


@given(st.text(st.sampled_from("/.ab"), max_size=8), st.text(st.sampled_from("/.ab"), max_size=8))
def test_a_path_below_never_leads_up(top: str, place: str) -> None:
    """What is appended to a mount point stays under it."""
    path = _cores._path_below(top, place)
    assert path is None or ".." not in path


# ---------------------------------------------------------------------------------------------------------- the count


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine of which this process may use four cores."""
    monkeypatch.setattr(_cores, "_schedulable", lambda: 4)


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize(
    ("granted", "share", "cores"),
    [
        ("max", None, 4),
        ("900000", None, 4),
        ("150000", None, 2),
        ("1", None, 1),
        ("max", 3, 3),
        ("max", 9, 4),
        ("150000", 1, 1),
    ],
)
def test_the_smallest_bound_counts(tmp_path: Path, granted: str, share: int | None, cores: int) -> None:
    """Affinity, quota and share: each can be the one that binds."""
    plant(tmp_path, {"cgroup": "0::/\n", "mountinfo": V2, "sys/fs/cgroup/cpu.max": granted})
    counter = Cores(str(tmp_path))
    if share is not None:
        counter.share = share
    assert counter.count() == cores


@pytest.mark.usefixtures("four_cores")
def test_quota_is_read_again_after_a_while(tmp_path: Path) -> None:
    """A container that is resized is noticed, but the files are not read in every call."""
    now = 1000.0
    counter = Cores(str(tmp_path), clock=lambda: now)
    plant(tmp_path, {"cgroup": "0::/\n", "mountinfo": V2, "sys/fs/cgroup/cpu.max": "100000 100000"})
    assert counter.count() == 1
    plant(tmp_path, {"sys/fs/cgroup/cpu.max": "300000 100000"})
    now += 9.9
    assert counter.count() == 1
    now += 0.2
    assert counter.count() == 3


def test_affinity_is_asked_every_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is cheap, and a program may change its own at any time."""
    counter = Cores(str(tmp_path))
    for cores in (4, 1, 2):
        monkeypatch.setattr(_cores, "_schedulable", lambda cores=cores: cores)
        assert counter.count() == cores


def test_affinity_that_may_not_be_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A sandbox that forbids the question: the cores of the machine, at least 1."""

    def forbidden(*_: object) -> int:
        raise PermissionError

    for name in ("process_cpu_count", "sched_getaffinity"):
        if hasattr(os, name):
            monkeypatch.setattr(os, name, forbidden)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert _cores._schedulable() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert _cores._schedulable() == 1


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="there os.process_cpu_count does this")
def test_no_affinity_to_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without affinity: the cores of the machine."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert _cores._schedulable() == 7


def test_share_of_this_process() -> None:
    """A worker's share binds from the next call on, and can be lifted."""
    before = _cores.cpu_count()
    try:
        _cores.set_share(1)
        assert _cores.cpu_count() == 1
        _cores.set_share(before + 1)
        assert _cores.cpu_count() == before
    finally:
        _cores.set_share(None)
    assert _cores.cpu_count() == before


# ------------------------------------------------------------------------------------------------------ the real thing


def told_by_a_fresh_process(code: str, *prefix: str) -> list[int]:
    """Runs code that prints numbers in a new interpreter and gives them back."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [*prefix, sys.executable, "-c", f"import os\nfrom parmap._cores import cpu_count, set_share\n{code}"]
    done = subprocess.run(command, env=env, stdout=subprocess.PIPE, timeout=60, check=True)
    return [int(word) for word in done.stdout.split()]


def test_this_machine() -> None:
    """Between one core and all of them."""
    assert 1 <= _cores.cpu_count() <= (os.cpu_count() or 1)


needs_affinity = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system has no affinity")


@needs_affinity
@pytest.mark.skipif(shutil.which("taskset") is None, reason="taskset is not installed")
def test_taskset() -> None:
    """One core allowed, one core counted."""
    core = min(os.sched_getaffinity(0))
    assert told_by_a_fresh_process("print(cpu_count())", "taskset", "-c", str(core)) == [1]


@needs_affinity
def test_affinity_that_changes() -> None:
    """A process that binds itself to one core is right in its next call, and so are its children."""
    code = """
print(cpu_count(), len(os.sched_getaffinity(0)), flush=True)
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
print(cpu_count(), flush=True)
if not (child := os.fork()):
    os.write(1, b"%d" % cpu_count())
    os._exit(0)
os.waitpid(child, 0)
"""
    before, allowed, *after = told_by_a_fresh_process(code)
    assert before <= allowed
    assert after == [1, 1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_keeps_the_share() -> None:
    """What a worker was given holds for the processes that it forks."""
    code = """
set_share(1)
if not (child := os.fork()):
    os.write(1, b"%d" % cpu_count())
    os._exit(0)
os.waitpid(child, 0)
"""
    assert told_by_a_fresh_process(code) == [1]
