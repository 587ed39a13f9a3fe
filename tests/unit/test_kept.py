"""Threads that are kept for the next job: reused, never lost, never left behind."""

import threading
import time
from collections.abc import Iterator

import pytest

from parmap import _kept, pmap, shutdown
from parmap._kept import Kept, give_back, lend
from parmap._tuning import THREAD_LINGER
from tests.leaks import PATIENCE
from tests.unit.fakes import until_gone


def run_one() -> tuple[Kept, str]:
    """Lends a thread for a moment; says which it was."""
    names: list[str] = []
    ended = threading.Event()

    def job() -> None:
        names.append(threading.current_thread().name)
        ended.set()

    kept = lend(job)
    assert ended.wait(PATIENCE)
    return kept, names[0]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Threads stay for longer than even a slow machine needs between two calls."""
    shutdown()
    monkeypatch.setattr(_kept, "THREAD_LINGER", 1.0)
    yield
    shutdown()


@pytest.mark.usefixtures("patient")
def test_it_is_lent_again() -> None:
    """One that was not given back is nobody else's."""
    first, name = run_one()
    second, other = run_one()
    assert name != other
    assert name.startswith("parmap-")
    give_back(first)
    assert run_one() == (first, name)
    give_back(first)
    give_back(second)


def test_it_leaves_when_nobody_comes() -> None:
    """Also one that was given back; who asks then gets another."""
    kept, _ = run_one()
    until_gone(kept)
    give_back(kept)
    assert run_one()[0] is not kept


def test_shutdown_lets_them_leave_at_once() -> None:
    """The public one does so too."""
    kept, _ = run_one()
    give_back(kept)
    begin = time.monotonic()
    shutdown()
    until_gone(kept)
    assert time.monotonic() - begin < PATIENCE
    assert not _kept._free
    assert not kept.take(lambda: None)


def test_jobs_given_in_every_moment_are_done() -> None:
    """While it works, while it falls asleep, while it wakes up to leave: a job that was taken is done."""
    done = threading.Semaphore(0)
    kept = Kept(done.release)
    taken = 1
    for turn in range(300):
        assert done.acquire(timeout=PATIENCE)
        if turn % 3 == 1:
            time.sleep(THREAD_LINGER * (0.99 + turn % 7 / 200) if turn % 30 == 1 else 0.0001)
        if not kept.take(done.release):
            kept = Kept(done.release)
        taken += 1
    assert done.acquire(timeout=PATIENCE)
    assert taken == 301


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("workers", [1, 8])
def test_calls_in_a_row_have_the_same_threads(workers: int) -> None:
    """Each in a thread of its own at a time, and no more of them with each call."""

    def name(_: int) -> str:
        time.sleep(0.002)
        return threading.current_thread().name

    names = {each for _ in range(20) for each in pmap(name, range(16), backend="thread", workers=workers)}
    assert (
        len(names) <= 10 * workers
    )  # not 20; a call waits 0.1 s for its threads to end, and a busy machine takes longer


def test_an_item_that_outlives_its_call_costs_the_next_one_nothing() -> None:
    """A thread that is inside an item when its call ends is not lent to the next one before that item has ended."""
    release = threading.Event()

    def work(item: int) -> int:
        if item == 0:
            release.wait(PATIENCE)
        return item

    assert isinstance(pmap(work, range(2), backend="thread", timeout=0.05, return_exceptions=True)[0], TimeoutError)
    begin = time.monotonic()
    assert pmap(abs, range(-20, 0), backend="thread", workers=4, chunksize=1) == list(range(20, 0, -1))
    assert time.monotonic() - begin < PATIENCE / 2
    release.set()
