"""The thread beside the caller's: one for many calls, gone when none comes, never shared by calls that overlap."""

import os
import threading
import time
from collections.abc import Callable

import pytest

from parmap import pimap, pmap
from parmap._companion import Companion, hire
from parmap._observe import Meter
from parmap._tuning import THREAD_LINGER
from tests.leaks import PATIENCE
from tests.unit.fakes import until_gone


def run_one(job: Callable[[], None]) -> tuple[Companion, int]:
    """Gives a companion one job, waits for its end, and says which thread did it."""
    ended = threading.Event()
    threads: list[int] = []

    def noted(meter: Meter) -> None:
        threads.append(threading.get_native_id())
        job()
        ended.set()

    companion = hire(noted)
    assert ended.wait(PATIENCE)
    return companion, threads[0]


def nothing() -> None:
    """A job that has nothing to do."""


def test_the_next_job_runs_in_the_same_thread() -> None:
    """One thread serves one call after the other."""
    first, thread = run_one(nothing)
    first.release()
    second, again = run_one(nothing)
    assert (second, again) == (first, thread)


def test_jobs_at_the_same_time_have_a_companion_each() -> None:
    """A companion that was not released is not given away."""
    first, thread = run_one(nothing)
    second, other = run_one(nothing)
    assert second is not first
    assert other != thread
    first.release()
    second.release()


def test_it_leaves_when_no_job_comes_and_another_takes_its_place() -> None:
    """An idle companion ends, and its end is noticed."""
    companion, _ = run_one(nothing)
    companion.release()
    until_gone(companion)
    assert not companion.watch(lambda meter: None)
    successor, _ = run_one(nothing)
    assert successor is not companion
    successor.release()


def test_a_job_given_in_the_moment_of_leaving_is_done() -> None:
    """No job falls between the wake-up and the end."""
    for _ in range(20):  # the wake-up and the end of the waiting fall together, or nearly
        companion, _thread = run_one(nothing)
        companion.release()
        time.sleep(THREAD_LINGER)
        run_one(nothing)[0].release()


def test_it_goes_back_to_the_thread_that_it_measures() -> None:
    """Whoever releases it: it knows the clock of one thread only."""
    companion, _ = run_one(nothing)
    helper = threading.Thread(target=companion.release)
    helper.start()
    helper.join()
    assert run_one(nothing)[0] is companion
    companion.release()


def test_a_replaced_job_is_dropped_and_its_items_are_let_go() -> None:
    """The job of a call that is over is not begun."""
    hold, held = threading.Lock(), threading.Event()
    hold.acquire()

    def long(meter: Meter) -> None:
        held.set()
        hold.acquire()

    companion = hire(long)
    assert held.wait(PATIENCE)
    done: list[str] = []
    last = threading.Event()
    assert companion.watch(lambda meter: done.append("dropped"))
    assert companion.watch(lambda meter: last.set())
    hold.release()
    assert last.wait(PATIENCE)
    assert not done
    companion.release()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # the fork is what is tested
def test_a_forked_child_does_not_wait_for_the_companion_of_its_parent() -> None:
    """Threads do not survive a fork."""
    companion, _ = run_one(nothing)
    companion.release()
    child = os.fork()
    if not child:
        right = pmap(lambda x: x + 1, range(5)) == [1, 2, 3, 4, 5]
        os._exit(0 if right else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_a_hundred_short_calls_do_not_pile_threads_up() -> None:
    """Short calls in a row have one thread beside them."""
    before = threads_of_this_process()
    for _ in range(100):
        pmap(lambda x: x, range(3))
    assert threads_of_this_process() - before <= 1


def test_loops_inside_each_other_are_all_right() -> None:
    """The watches of two calls in one thread do not meet."""
    outer = [(x, y) for x in pimap(lambda x: x, range(3)) for y in pimap(lambda y: y, range(3))]
    assert outer == [(x, y) for x in range(3) for y in range(3)]


def _be_noticed() -> None:
    threading.current_thread()


def threads_of_this_process() -> int:
    """How many threads there are, those that `threading` does not know included."""
    return len(os.listdir("/proc/self/task"))


def test_a_companion_that_logged_is_not_listed_for_ever() -> None:
    """Whoever asks for the current thread is remembered by `threading`, until it ends."""
    before = threading.enumerate()
    companion, _ = run_one(_be_noticed)
    companion.release()
    until_gone(companion)
    deadline = time.monotonic() + PATIENCE
    while threading.enumerate() != before:
        assert time.monotonic() < deadline
        time.sleep(THREAD_LINGER / 10)
