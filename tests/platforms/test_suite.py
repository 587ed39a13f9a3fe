"""The contract suite on the systems that this one can play: the same tests, in processes that lack parts of it."""

import os
import subprocess
import sys

import pytest

from tests.platforms import MACOS, NO_POSIX, lacking
from tests.scripts import ROOT

CONTRACT = sorted(path.name for path in (ROOT / "tests" / "contract").glob("test_*.py"))

# Serial and threads are the same everywhere; `auto` goes on to processes in the way that they have here.
PROCESSES = "not serial and not thread and not auto"
# Hundreds of calls each, to find what is rare in the loop and the merge, which are the same everywhere too.
LONG = "test_properties or every_time"

# Twice as long as a busy machine takes; the run of all tests would be ended soon after.
TIMEOUT = 110.0
NOTHING_SELECTED = 5  # the exit code of pytest


def run_suite(parts: str, *arguments: str) -> None:
    """Runs tests with pytest in a process of its own that lacks parts of the system; all that run must pass."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", "--warm", *arguments]
    environment = {**os.environ, **lacking(parts)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=TIMEOUT, check=False
    )
    assert done.returncode in (0, NOTHING_SELECTED), f"{done.stdout[-20_000:]}\n{done.stderr[-4000:]}"


@pytest.mark.parametrize("name", CONTRACT)
def test_without_memory_files_and_fork(name: str) -> None:
    """Temporary files and workers that are started one by one keep all promises."""
    run_suite(MACOS, f"tests/contract/{name}", "-k", f"{PROCESSES} and not (every_time and 16)")


@pytest.mark.parametrize("name", CONTRACT)
def test_without_posix(name: str) -> None:
    """The standard library's executor keeps all promises but the few that `tests/contract/conftest.py` names.

    It starts its workers anew for each call, so of each test only the first case is run here.
    """
    run_suite(NO_POSIX, f"tests/contract/{name}", "-k", f"{PROCESSES} and not ({LONG})", "--cases=1")


def test_ends_without_fork() -> None:
    """Whatever way a program ends, its workers end with it."""
    run_suite(MACOS, "tests/programs/test_exit.py", "-k", PROCESSES)
