"""Numerical libraries in workers use their share of the cores, whatever the call before asked for."""

import ctypes
import os
import re
from pathlib import Path
from typing import Any

import pytest

from parmap import _blas, cpu_count, pmap

np: Any = pytest.importorskip("numpy")

GETTERS = [f"{prefix}openblas_get_num_threads{suffix}" for prefix in ("scipy_", "") for suffix in ("64_", "")]


def threads(item: int) -> int:
    """How many threads OpenBLAS uses here; 0: it is not there."""
    np.ones((4, 4)) @ np.ones((4, 4))
    for path in set(re.findall(r"/\S*openblas\S*\.so\S*", Path("/proc/self/maps").read_text())):
        library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
        for name in GETTERS:
            if hasattr(library, name):
                return int(getattr(library, name)())
    return 0


@pytest.mark.skipif(cpu_count() < 2 or not Path("/proc/self/maps").exists(), reason="needs two cores and /proc")
@pytest.mark.skipif("OMP_NUM_THREADS" in os.environ, reason="the user has decided")
def test_the_share_follows_the_call() -> None:
    """In workers that are warm too, and in both directions."""
    if not threads(0):
        pytest.skip("this NumPy has no OpenBLAS")
    for workers in (1, 2, 1, 2):
        share = max(1, cpu_count() // workers)
        assert set(pmap(threads, range(8), backend="process", workers=workers)) == {share}


def test_what_the_user_has_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is passed on as it is."""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    got = pmap(_variable, range(2), backend="process", workers=2)
    assert got == ["3", "3"]


def _variable(item: int) -> str | None:
    return os.environ.get("OMP_NUM_THREADS")


MAPS = """\
7f00-7f01 r-xp 00000000 08:01 17 /home/me/.venv/lib/numpy.libs/libscipy_openblas64_-99b71e71.so
7f02-7f03 r-xp 00000000 08:01 18 /home/me/libs openmp/libm.so.6
"""
OTHERS = [
    "/usr/lib/libgomp.so.1",
    "/opt/torch/lib/libgomp-a34b3233.so.1",
    "/opt/lib/libiomp5.so",
    "/opt/lib/libmkl_rt.so.2",
]


@pytest.mark.parametrize("other", OTHERS)
def test_teams_of_threads(other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenBLAS has one for all who call it, OpenMP one for each of them; what is not known counts as the latter."""
    maps = tmp_path / "maps"
    monkeypatch.setattr(_blas, "_MAPS", str(maps))
    assert _blas.has_teams()
    maps.write_text(MAPS)
    assert not _blas.has_teams()
    maps.write_text(f"{MAPS}7f04-7f05 r--p 00000000 08:01 19 {other}\n")
    assert _blas.has_teams()
