"""What the strategy says of an engine that has been tried: the second half of its tables and properties."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parmap._records import Facts, Plan, Trial
from parmap._strategy import is_gil_bound, plan_better
from parmap._tuning import MAX_WAITING_PROCESSES
from tests.unit.fakes import COMPUTING, FACTS, OPTIONS

THREADS = Plan("thread", 4, "a test")
PROCESSES = Plan("process", 4, "a test")


@pytest.mark.parametrize(
    ("plan", "trial", "expected"),
    [
        (PROCESSES, Trial(wall=1.0, items=400, work=4.0, cpu=4.0, left=1000), None),  # four times as fast
        (PROCESSES, Trial(wall=1.0, items=95, work=0.95, cpu=0.95, left=1000), None),  # a busy machine
        (PROCESSES, Trial(wall=1.0, items=50, work=0.5, cpu=0.5, left=1000), "serial"),  # the way costs too much
        (PROCESSES, Trial(wall=1.0, items=400, work=0.1, cpu=0.1, left=1000), "serial"),  # the items got cheap
        (PROCESSES, Trial(wall=1.0, items=40, work=4.0, cpu=4.0, left=1000), None),  # the items got expensive
        (PROCESSES, Trial(wall=1.0, items=80, work=4.0, cpu=0.1, left=1000), "thread"),  # they wait
        (PROCESSES, Trial(wall=1.0, items=80, work=4.0, cpu=0.1, left=4), None),  # too few are left for more workers
        (PROCESSES, Trial(wall=1.0, items=400, work=4.0, cpu=0.1, left=1000, busy=True), None),  # for a core, perhaps
        (THREADS, Trial(wall=1.0, items=400, work=4.0, cpu=4.0, left=1000), None),
        (THREADS, Trial(wall=1.0, items=98, work=3.9, cpu=0.98, left=1000), "process"),  # they hold the GIL after all
        (THREADS, Trial(wall=1.0, items=98, work=3.9, cpu=0.98, left=0), None),  # too late to change
        (THREADS, Trial(wall=1.0, items=50, work=3.9, cpu=0.5, left=0), "serial"),
    ],
)
def test_what_came_of_a_plan(plan: Plan, trial: Trial, expected: str | None) -> None:
    """The loop took 10 ms an item."""
    better = plan_better(OPTIONS, plan, COMPUTING._replace(busy=0.11, done=10, warm=True), trial)
    assert (None if better is None else better.backend) == expected


@pytest.mark.parametrize(
    ("trial", "stays"),
    [
        (Trial(wall=1.0, items=110, work=2.0, cpu=1.0, left=1000), True),  # and computes too little for free threads
        (Trial(wall=1.0, items=98, work=2.0, cpu=1.0, left=1000), False),
        (Trial(wall=1.0, items=98, work=2.0, cpu=1.0, left=1000, busy=True), False),  # with these items, that is
        (Trial(wall=1.0, items=90, work=2.0, cpu=1.0, left=1000, first=True), True),  # two more are half done
        (Trial(wall=1.0, items=80, work=2.0, cpu=1.0, left=1000, first=True), False),
    ],
)
def test_threads_for_what_parallel_items_leave_of_the_cores(trial: Trial, stays: bool) -> None:
    """They are left for the loop, and for nothing else, as soon as they save none of its 10 ms an item."""
    facts = COMPUTING._replace(busy=0.11, done=10, warm=True, process_cpu=2.0, gil_held=0.1, teams=False)
    better = plan_better(OPTIONS, Plan("thread", 2, ""), facts, trial)
    assert (None if better is None else better.backend) == (None if stays else "serial")
    assert not is_gil_bound(facts, trial)


def test_one_item_that_had_not_ended_says_little_of_the_loop() -> None:
    """It waits for 200 ms, of which the loop was seen for 20: two at a time are twice as fast, not slower."""
    seen = COMPUTING._replace(busy=0.02, done=0, current=0.02, waiting=1.0, gil_held=0.0, process_cpu=0.0)
    trial = Trial(wall=0.8, items=8, work=1.6, cpu=0.0, left=50)
    assert plan_better(OPTIONS._replace(workers=2), Plan("thread", 2, "they wait"), seen, trial) is None
    computing = seen._replace(waiting=0.0, gil_held=0.0, warm=True)
    better = plan_better(OPTIONS, THREADS, computing, Trial(wall=0.8, items=4, work=3.2, cpu=0.8, left=50))
    assert better is not None
    assert better.backend == "process"  # what they waited for was the GIL


def test_a_change_says_why() -> None:
    """With the figure."""
    better = plan_better(OPTIONS, PROCESSES, COMPUTING, Trial(wall=1.0, items=50, work=0.5, cpu=0.5, left=None))
    assert better is not None
    assert "process was 0.5 times as fast as the loop" in better.reason


@pytest.mark.parametrize(
    ("changes", "trial", "expected"),
    [
        ({}, Trial(wall=1.0, items=500, work=20.0, cpu=0.9, left=1000), ("process", 16)),
        ({}, Trial(wall=1.0, items=500, work=20.0, cpu=0.6, left=1000), None),  # the GIL is free at times
        ({}, Trial(wall=1.0, items=500, work=20.0, cpu=0.9, left=50), None),  # too late to change
        ({}, Trial(wall=1.0, items=500, work=20.0, cpu=0.9, left=1000, busy=True), None),
        ({"refused": frozenset({"process"})}, Trial(wall=1.0, items=500, work=20.0, cpu=0.9, left=1000), None),
        ({"waiting": 0.98}, Trial(wall=1.0, items=4000, work=40.0, cpu=0.9, left=9000), None),  # too few processes
    ],
    ids=str,
)
def test_threads_that_wait_for_the_gil(changes: dict[str, Any], trial: Trial, expected: tuple[str, int] | None) -> None:
    """An item waits 8 ms and computes 2: no threads bring more than 500 items a second, four cores do."""
    facts = COMPUTING._replace(waiting=0.8, warm=True)._replace(**changes)
    plan = plan_better(OPTIONS, Plan("thread", 40, "they wait"), facts, trial)
    assert (None if plan is None else plan[:2]) == expected


def test_items_that_wait_stay_in_processes_when_threads_did_not_do() -> None:
    """There is no way back and forth. A first stretch is not compared with the loop, whatever it shows."""
    facts = COMPUTING._replace(waiting=0.8, warm=True, refused=frozenset({"thread"}))
    trial = Trial(wall=1.0, items=1600, work=16.0, cpu=3.2, left=1000)
    assert plan_better(OPTIONS, Plan("process", MAX_WAITING_PROCESSES, ""), facts, trial) is None
    slow = Trial(wall=1.0, items=20, work=0.2, cpu=0.2, left=1000)
    assert plan_better(OPTIONS, PROCESSES, COMPUTING, slow._replace(first=True)) is None
    assert plan_better(OPTIONS, PROCESSES, COMPUTING, slow) is not None


@pytest.mark.parametrize(
    ("waiting", "cpu", "bound"),
    [(0.0, 1.0, True), (0.0, 1.9, False), (0.8, 0.9, True), (0.8, 0.3, False)],
)
def test_whether_threads_wait_for_the_gil(waiting: float, cpu: float, bound: bool) -> None:
    """Threads that compute get one core and no more; threads that also wait keep it busy."""
    trial = Trial(wall=1.0, items=100, work=4.0, cpu=cpu, left=1000)
    assert is_gil_bound(COMPUTING._replace(waiting=waiting), trial) == bound
    assert not is_gil_bound(COMPUTING._replace(waiting=waiting, cores=1), trial)


TRIALS = st.builds(
    Trial,
    wall=st.floats(0.01, 100),
    items=st.integers(1, 10_000),
    work=st.floats(0, 1000),
    cpu=st.floats(0, 1000),
    left=st.none() | st.integers(0, 10_000),
)


@given(FACTS, st.sampled_from([THREADS, PROCESSES]), TRIALS)
def test_a_change_is_a_change(facts: Facts, plan: Plan, trial: Trial) -> None:
    """Never to what is being done, and to nothing that has been refused."""
    better = plan_better(OPTIONS, plan, facts, trial)
    if better is not None:
        assert better.backend != plan.backend
        assert better.backend not in facts.refused or better.backend == "thread"  # they wait, which is new
        assert better.reason


def test_items_that_wait_in_processes_get_more_of_them() -> None:
    """Where they may not go to threads."""
    trial = Trial(wall=1.0, items=80, work=4.0, cpu=0.0, left=1000)
    for bound in (OPTIONS._replace(timeout=5.0), OPTIONS._replace(seed=1)):
        better = plan_better(bound, PROCESSES, None, trial)
        assert better is not None
        assert better[:2] == ("process", MAX_WAITING_PROCESSES)
    assert plan_better(OPTIONS._replace(timeout=5.0, workers=4), PROCESSES, None, trial) is None
    assert plan_better(OPTIONS._replace(timeout=5.0), PROCESSES, None, trial._replace(cpu=3.9)) is None
