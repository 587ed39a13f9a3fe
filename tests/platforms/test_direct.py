"""Workers that the caller's process starts itself: how they end, and who else may have waited for them."""

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

import parmap
from parmap import WorkerCrashError, _observe, pimap, pmap
from parmap._backends._processes import _launcher, _pool
from parmap._backends._processes._direct import DirectLauncher
from parmap._backends._processes._launcher import ZygoteLauncher
from parmap._tuning import ZYGOTE_TRIES
from tests import faults
from tests.contract.helpers import close, said


@pytest.fixture(autouse=True)
def _new_pool() -> Iterator[None]:
    """A pool that has not yet chosen how to start workers; the next test has another one."""
    parmap.shutdown()
    _pool._holder.pool = None
    yield
    parmap.shutdown()
    _pool._holder.pool = None


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing may fork here."""
    monkeypatch.setattr(_observe, "may_fork", lambda: False)


def launcher() -> object:
    """What has started the workers of this process."""
    return _pool.pool()._launcher


def children() -> list[psutil.Process]:
    """The children of this process, ended ones that nobody has waited for included."""
    return psutil.Process().children()


def process(_: object) -> int:
    """The number of the worker."""
    return os.getpid()


@pytest.mark.usefixtures("direct")
def test_workers_are_children_of_the_caller() -> None:
    """There is no zygote; they are kept for the next call, and are gone after ``shutdown``."""
    found = {*pmap(process, range(20), backend="process", workers=2, chunksize=1)}
    assert found <= {each.pid for each in children()}
    assert isinstance(launcher(), DirectLauncher)
    assert {*pmap(process, range(20), backend="process", workers=2)} <= {each.pid for each in children()}
    parmap.shutdown()
    assert children() == []


@pytest.mark.usefixtures("direct")
@pytest.mark.parametrize(
    ("func", "words"),
    [
        (faults.Crash(7), "SIGKILL"),
        (faults.Crash(7, signum=signal.SIGTERM), "SIGTERM"),
        (faults.Segfault(7), "SIGSEGV"),
        (faults.Exit(7), "code 3"),
        (faults.Exit(7, code=0), "code 0"),
    ],
    ids=["SIGKILL", "SIGTERM", "segfault", "exit 3", "exit 0"],
)
def test_worker_dies(func: Callable[[Any], Any], words: str) -> None:
    """The error names the item and how the worker ended, and nobody is left to be waited for."""
    with pytest.raises(WorkerCrashError) as caught:
        pmap(func, range(20), backend="process", workers=2)
    assert caught.value.index == 7
    assert words in said(caught.value)
    assert all(each.status() != psutil.STATUS_ZOMBIE for each in children())
    assert pmap(abs, range(-20, 0), backend="process", workers=2) == list(range(20, 0, -1))


@pytest.mark.usefixtures("direct")
def test_a_worker_in_an_item_is_ended_and_waited_for() -> None:
    """As when the consumer leaves."""
    results = pimap(faults.Spin(1), range(4), backend="process", workers=2, chunksize=1)
    assert next(results) == 0
    close(results)
    assert all(each.status() != psutil.STATUS_ZOMBIE for each in children())


@pytest.mark.usefixtures("direct")
def test_somebody_else_waits_for_workers() -> None:
    """Then how they ended is not known, and nobody is killed in their place."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel itself waits for all children
    try:
        with pytest.raises(WorkerCrashError) as caught:
            pmap(faults.Crash(7), range(20), backend="process", workers=2)
        assert (caught.value.index, caught.value.exitcode) == (7, None)
        parmap.shutdown()
    finally:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)


@pytest.mark.usefixtures("direct")
def test_a_number_that_is_not_ours_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once somebody has waited for a worker, its number may be a stranger's: no signal is sent there."""
    (number,) = set(pmap(process, range(4), backend="process", workers=1))
    os.kill(number, signal.SIGKILL)
    assert os.waitpid(number, 0)[0] == number
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _: killed.append(pid))
    parmap.shutdown()
    assert killed == []


@pytest.mark.usefixtures("direct")
def test_an_idle_worker_that_left_is_waited_for() -> None:
    """At the latest when the next one is started."""
    (number,) = set(pmap(process, range(4), backend="process", workers=1))
    os.kill(number, signal.SIGKILL)
    pmap(process, range(4), backend="process", workers=1)
    assert number not in {each.pid for each in children()}


@pytest.mark.usefixtures("direct")
def test_a_worker_with_children_of_its_own() -> None:
    """A process that a worker has forked keeps its sentinel open; how the worker ended is learnt all the same."""

    def fork_and_leave(item: int) -> int:
        if item == 3:
            if os.fork() == 0:
                signal.alarm(3)
                signal.pause()
            os._exit(4)
        return item

    with pytest.raises(WorkerCrashError) as caught:
        pmap(fork_and_leave, range(6), backend="process", workers=1, chunksize=1)
    assert caught.value.index == 3


def test_a_zygote_that_dies_is_replaced() -> None:
    """If it was of use once, by another zygote."""
    pmap(process, range(4), backend="process", workers=1)
    (zygote,) = children()
    zygote.kill()
    assert pmap(abs, range(-9, 0), backend="process", workers=2) == list(range(9, 0, -1))
    assert isinstance(launcher(), ZygoteLauncher)


@pytest.mark.parametrize("workers", [1, 2, 8])
def test_without_a_zygote_that_lives_workers_are_started_directly(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], workers: int
) -> None:
    """It ends while it is starting; the call goes on, and later calls do not try again."""
    monkeypatch.setattr(_launcher, "_ZYGOTE", "no_such_module")
    for _ in range(2):
        assert pmap(abs, range(-50, 0), backend="process", workers=workers, chunksize=1) == list(range(50, 0, -1))
        assert isinstance(launcher(), DirectLauncher)
    assert capfd.readouterr().err.count("ModuleNotFoundError") == ZYGOTE_TRIES


@pytest.mark.usefixtures("direct")
def test_a_fork_of_the_caller_forgets_the_workers() -> None:
    """The child neither ends nor waits for its parent's workers, and starts its own."""
    before = set(pmap(process, range(20), backend="process", workers=1))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            own = set(pmap(process, range(20), backend="process", workers=1))
            parmap.shutdown()
            code = 0 if not own & before and not children() else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert set(pmap(process, range(20), backend="process", workers=1)) == before
