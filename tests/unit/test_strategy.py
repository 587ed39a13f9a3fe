"""From what was asked for and what was seen to a plan: the table, and what holds for all of it."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from parmap._records import Facts, Plan
from parmap._strategy import plan_given, plan_seen
from parmap._tuning import (
    ALREADY_PARALLEL_ABOVE,
    GIL_HELD_ABOVE,
    MAX_THREADS,
    MAX_WAITING_PROCESSES,
    START_COLD,
    START_THREADS,
    START_WARM,
    WAITING_BELOW,
    WORTH_FACTOR,
)
from tests.unit.fakes import COMPUTING, FACTS, OPTIONS

WORKERS = st.none() | st.integers(1, 100)
WAITING = st.floats(WAITING_BELOW, 1, exclude_min=True)


# ----------------------------------------------------------------------------------------------- a backend was named


@pytest.mark.parametrize(
    ("backend", "cores", "workers"),
    [
        ("serial", 8, 1),
        ("process", 8, 8),
        ("process", 1, 1),
        ("thread", 1, 16),
        ("thread", 4, 28),
        ("thread", 64, MAX_THREADS),
    ],
)
def test_workers_of_a_named_backend(backend: str, cores: int, workers: int) -> None:
    """Processes as there are cores; more threads than that, since they may wait."""
    plan = plan_given(OPTIONS._replace(backend=backend), cores)
    assert plan[:2] == (backend, workers)
    assert backend in plan.reason


@given(st.sampled_from(["serial", "thread", "process"]), st.integers(1, 1000), st.integers(1, 64))
def test_workers_that_were_given(backend: str, workers: int, cores: int) -> None:
    """They are taken as they are."""
    assert plan_given(OPTIONS._replace(backend=backend, workers=workers), cores)[:2] == (backend, workers)


# ------------------------------------------------------------------------------------------------- what was seen: table


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ("process", 4)),
        ({"gil_held": 0.1}, ("thread", 4)),
        ({"waiting": 0.8}, ("thread", 40)),
        ({"waiting": 1.0}, ("thread", MAX_THREADS)),
        ({"waiting": 0.9, "left": 3}, ("thread", 3)),
        ({"waiting": 0.95, "programs_cpu": 0.95}, ("thread", 4)),  # programs do the computing
        ({"waiting": 0.9, "programs_cpu": 0.3}, ("thread", 20)),
        ({"waiting": 1.0, "programs_cpu": 4.0}, ("thread", 2)),
        ({"waiting": 0.9, "cores": 1}, ("thread", 20)),
        ({"process_cpu": 3.5}, None),  # the items keep the cores busy already
        ({"process_cpu": 3.5, "cores": 16}, ("process", 13)),  # other threads of the program keep some of the cores
        ({"process_cpu": 3.5, "gil_held": 0.1}, None),  # each thread might start threads of its own
        ({"process_cpu": 3.5, "gil_held": 0.1, "teams": False}, ("thread", 2)),
        ({"process_cpu": 3.5, "gil_held": 0.1, "teams": False, "cores": 16}, ("thread", 5)),
        ({"process_cpu": 3.5, "gil_held": 0.1, "teams": False, "refused": frozenset({"thread"})}, None),
        ({"process_cpu": 3.5, "gil_held": 0.1, "teams": False, "left": 1}, None),  # a tenth of 10 ms
        ({"process_cpu": 3.5, "gil_held": 0.1, "teams": False, "cores": 1}, None),
        ({"process_cpu": 3.5, "gil_held": 0.1, "teams": False, "done": 3}, None),  # what they take is not known yet
        ({"cores": 1}, None),
        ({"left": 0}, None),
        ({"left": 0, "waiting": 1.0}, None),
        ({"left": 5}, None),  # 50 ms of work do not repay a cold start
        ({"left": 5, "missed": 0.03}, ("process", 4)),  # but with what was lost without it, they do
        ({"left": 12}, ("process", 4)),
        ({"left": 12, "imports": 0.1}, None),  # but not in processes that have to import a lot
        ({"left": 15, "recent": 0.1}, ("process", 4)),  # costs rise
        ({"left": 200, "busy": 0.02, "done": 0, "current": 0.02}, None),  # the first item may be the only long one
        ({"left": 200, "busy": 2.0, "done": 0, "current": 2.0}, ("process", 4)),  # but is not waited for for ever
        ({"left": 200, "busy": 0.05, "done": 0, "current": 0.05, "gil_held": 0.1}, ("thread", 4)),
        ({"left": 5, "warm": True}, ("process", 4)),
        ({"left": 5, "gil_held": 0.1}, ("thread", 4)),
        ({"left": None, "busy": 0.04}, None),  # twice as much is expected as was seen: 80 ms
        ({"left": None, "busy": 10.0}, ("process", 4)),
        ({"left": 5, "busy": 0.02, "done": 0, "current": 2.0}, ("process", 4)),  # the first item is long
        ({"transport": 0.001}, ("process", 4)),
        ({"transport": 0.02}, None),  # sending an item costs more than running it
        ({"transport": math.inf}, None),  # or cannot be done
        ({"transport": math.inf, "gil_held": 0.1}, ("thread", 4)),
        ({"transport": math.inf, "waiting": 1.0}, ("thread", MAX_THREADS)),
        ({"refused": frozenset({"process"})}, None),
        ({"refused": frozenset({"thread"}), "gil_held": 0.1}, ("process", 4)),
        ({"refused": frozenset({"thread"}), "waiting": 1.0, "gil_held": 0.1}, None),
        ({"refused": frozenset({"thread"}), "waiting": 0.8, "gil_held": 1.0}, ("process", MAX_WAITING_PROCESSES)),
        ({"refused": frozenset({"thread", "process"}), "waiting": 0.8, "gil_held": 1.0}, None),
    ],
    ids=str,
)
def test_what_was_seen(changes: dict[str, float], expected: tuple[str, int] | None) -> None:
    """One row for each kind of work."""
    plan = plan_seen(OPTIONS, COMPUTING._replace(**changes))  # type: ignore[arg-type]
    assert (None if plan is None else plan[:2]) == expected


@pytest.mark.parametrize(
    ("changes", "words"),
    [({}, "hold the GIL"), ({"gil_held": 0.1}, "leave the GIL free"), ({"waiting": 0.9}, "wait 90%")],
    ids=str,
)
def test_reasons(changes: dict[str, float], words: str) -> None:
    """A plan says why."""
    plan = plan_seen(OPTIONS, COMPUTING._replace(**changes))  # type: ignore[arg-type]
    assert plan is not None
    assert words in plan.reason


# --------------------------------------------------------------------------------------------- what was seen: in general


def threads(plan: Plan | None) -> int:
    """How many threads a plan asks for."""
    return plan.workers if plan is not None and plan.backend == "thread" else 0


@given(FACTS, WORKERS)
def test_plans_make_sense(facts: Facts, workers: int | None) -> None:
    """An engine that exists, at least one worker, not more than were asked for or can be of use, and a reason."""
    plan = plan_seen(OPTIONS._replace(workers=workers), facts)
    if plan is None:
        return
    assert plan.backend in ("thread", "process")
    assert 1 <= plan.workers <= (workers or max(MAX_THREADS, facts.cores))
    assert plan.reason
    assert facts.left != 0
    if facts.waiting > WAITING_BELOW and facts.left is not None:
        assert plan.workers <= facts.left


@given(FACTS, st.sampled_from([0, None]))
def test_one_worker_is_the_loop(facts: Facts, left: int | None) -> None:
    """So is nothing to do."""
    assert plan_seen(OPTIONS._replace(workers=1), facts) is None
    assert plan_seen(OPTIONS, facts._replace(left=0)) is None
    assert plan_seen(OPTIONS, facts._replace(busy=0.0, current=0.0, recent=0.0, left=left)) is None


@given(FACTS, WORKERS, st.integers(1, 64))
def test_more_cores_never_lose_a_plan(facts: Facts, workers: int | None, more: int) -> None:
    """What pays on some cores pays on more, with at least as many workers."""
    asked = OPTIONS._replace(workers=workers)
    plan = plan_seen(asked, facts)
    assume(plan is not None)
    assert plan is not None
    larger = plan_seen(asked, facts._replace(cores=facts.cores + more))
    assert larger is not None
    assert larger.backend == plan.backend
    assert larger.workers >= plan.workers


@given(FACTS, WORKERS, WAITING, WAITING)
def test_more_waiting_never_lowers_the_thread_count(
    facts: Facts, workers: int | None, less: float, more: float
) -> None:
    """The longer items wait, the more of them can be under way."""
    asked = OPTIONS._replace(workers=workers)
    less, more = sorted((less, more))
    few, many = (threads(plan_seen(asked, facts._replace(waiting=waiting))) for waiting in (less, more))
    assert few <= many


@given(FACTS, WORKERS, st.floats(0, 64))
def test_programs_that_compute_more_never_raise_the_thread_count(
    facts: Facts, workers: int | None, more: float
) -> None:
    """They need the cores."""
    asked = OPTIONS._replace(workers=workers)
    other = facts._replace(programs_cpu=facts.programs_cpu + more)
    assert threads(plan_seen(asked, other)) <= threads(plan_seen(asked, facts))


@given(FACTS, WORKERS, st.integers(0, 10_000), st.floats(0, 100))
def test_more_work_never_loses_a_plan(facts: Facts, workers: int | None, items: int, seconds: float) -> None:
    """Neither more items nor longer ones."""
    asked = OPTIONS._replace(workers=workers)
    assume(facts.left is not None)
    plan = plan_seen(asked, facts)
    assume(plan is not None)
    assert facts.left is not None
    assert plan_seen(asked, facts._replace(left=facts.left + items)) is not None
    assert plan_seen(asked, facts._replace(current=facts.current + seconds)) is not None


@given(FACTS, WORKERS)
def test_a_warm_pool_never_loses_a_plan(facts: Facts, workers: int | None) -> None:
    """It only makes it cheaper."""
    asked = OPTIONS._replace(workers=workers)
    if plan_seen(asked, facts._replace(warm=False)) is not None:
        assert plan_seen(asked, facts._replace(warm=True)) is not None


# ------------------------------------------------------------------------------------------------------------- ties


@pytest.mark.parametrize(
    ("gil_held", "warm", "start"), [(1.0, False, START_COLD), (1.0, True, START_WARM), (0.0, False, START_THREADS)]
)
def test_ties_keep_the_loop(gil_held: float, warm: bool, start: float) -> None:
    """An engine that would gain exactly what it must is not started; one that would gain a little more is."""
    tie = COMPUTING._replace(cores=2, left=1, busy=0.0, done=0, gil_held=gil_held, warm=warm)
    seconds = start * WORTH_FACTOR  # it is taken to be half over, and two workers save half of it
    assert plan_seen(OPTIONS, tie._replace(current=seconds)) is None
    assert plan_seen(OPTIONS, tie._replace(current=seconds * 1.001)) is not None
    assert plan_seen(OPTIONS, tie._replace(current=seconds * 0.999)) is None


def test_ties_of_waiting_keep_the_loop() -> None:
    """The same for items that wait."""
    tie = COMPUTING._replace(waiting=1.0, left=1, busy=0.0, done=0)
    seconds = START_THREADS * WORTH_FACTOR / 2  # it is taken to be half over
    assert plan_seen(OPTIONS, tie._replace(current=seconds)) is None
    assert plan_seen(OPTIONS, tie._replace(current=seconds * 1.001)) is not None


def test_what_lies_on_a_limit() -> None:
    """Exactly half waiting is computing; the other limits belong to the side that their names say."""
    on_limit = plan_seen(OPTIONS, COMPUTING._replace(waiting=WAITING_BELOW))
    assert on_limit is not None
    assert on_limit.backend == "process"
    assert plan_seen(OPTIONS, COMPUTING._replace(process_cpu=ALREADY_PARALLEL_ABOVE)) is not None
    held = plan_seen(OPTIONS, COMPUTING._replace(gil_held=GIL_HELD_ABOVE))
    assert held is not None
    assert held.backend == "process"


def test_seeded_items_take_turns_so_they_go_to_processes() -> None:
    """Whatever they do."""
    asked = OPTIONS._replace(seed=1)
    for changes in ({}, {"gil_held": 0.1}):
        plan = plan_seen(asked, COMPUTING._replace(**changes))  # type: ignore[arg-type]
        assert plan is not None
        assert plan[:2] == ("process", 4)
    waiting = plan_seen(asked, COMPUTING._replace(waiting=1.0))
    assert waiting is not None
    assert waiting[:2] == ("process", MAX_WAITING_PROCESSES)
