"""What every test gets: a check that it leaves nothing behind, and a way to run a stranger's script."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from functools import partial
from multiprocessing import resource_tracker
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.leaks import mark_this_run, snapshot, wait_for_leaks
from tests.scripts import RunScript, run_script

mark_this_run()

# Timings of single examples say nothing on a shared machine; a blob reproduces a failure seen in a log.
# How long an example takes to make says something of the machine, not of the code; two tests draw facts of which many
# lead to no plan. The examples are the same in each run, so that what is red stays red; a new seed is a flag away.
settings.register_profile(
    "parmap",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
settings.load_profile("parmap")

_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remembers for the leak check whether the test has failed already."""
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


def pytest_addoption(parser: pytest.Parser) -> None:
    """For running the tests once more, as on another system (see `tests/platforms`)."""
    parser.addoption("--warm", action="store_true", help="look for what is left behind at the end, not after each test")
    parser.addoption("--cases", type=int, default=sys.maxsize, help="run only so many cases of each test function")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keeps the first cases of each test function, of those that are selected."""
    seen: Counter[str] = Counter()
    kept = []
    for item in items:
        function = item.nodeid.partition("[")[0]
        seen[function] += 1
        if seen[function] <= config.getoption("--cases"):
            kept.append(item)
    items[:] = kept


@pytest.fixture(autouse=True, scope="session")
def nothing_left_at_the_end(request: pytest.FixtureRequest) -> Iterator[None]:
    """With ``--warm``, fails the last test if something is left behind, whichever test it was."""
    if not hasattr(os, "posix_spawn"):
        resource_tracker.ensure_running()  # which multiprocessing starts on POSIX only, and keeps
    if request.config.getoption("--warm"):
        yield from _nothing_left()
    else:
        yield


@pytest.fixture(autouse=True)
def nothing_left_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that leaves a process, thread, descriptor or memory file.

    The pool that parmap keeps warm by design is shut down first. A test that has failed is spared: its traceback keeps
    alive what it was using, and its own error is the one to read.
    """
    if request.config.getoption("--warm"):
        yield
    else:
        yield from _nothing_left(lambda: request.node.stash.get(_FAILED, False))


def _nothing_left(is_spared: Callable[[], bool] = lambda: False) -> Iterator[None]:
    before = snapshot()
    yield
    parmap = sys.modules.get("parmap")
    if parmap is not None and hasattr(parmap, "shutdown"):
        parmap.shutdown()
    if is_spared():
        return
    remaining = wait_for_leaks(before)
    if remaining:
        pytest.fail("left behind:\n  " + "\n  ".join(remaining), pytrace=False)


@pytest.fixture(autouse=True)
def nothing_learned() -> None:
    """Each test begins as a fresh program does: nothing is known of any function."""
    module = sys.modules.get("parmap._learned")
    if module is not None:
        module.learned.__init__()


@pytest.fixture
def script(tmp_path: Path) -> RunScript:
    """Runs a Python source in a fresh interpreter: `script(source, *args, how=, python_flags=, env=, timeout=)`."""
    return partial(run_script, tmp_path)
