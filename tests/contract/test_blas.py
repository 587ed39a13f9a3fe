"""Numerical libraries in workers use their share of the cores, whatever the call before asked for."""

import ctypes
import os
import re
from pathlib import Path
from typing import Any

import pytest

from parmap import cpu_count, pmap

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
