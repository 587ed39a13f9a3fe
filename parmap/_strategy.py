"""From what was asked for and what was seen to a plan with its reason. Pure."""

from parmap._records import Facts, Options, Plan, Trial
from parmap._tuning import (
    ALREADY_PARALLEL_ABOVE,
    GAPS,
    GAPS_ITEMS,
    GIL_BOUND_BELOW,
    GIL_FULL_ABOVE,
    GIL_HELD_ABOVE,
    GUESS_ITEMS,
    GUESS_SECONDS,
    MAX_THREADS,
    MAX_WAITING_PROCESSES,
    SLOWER_BELOW,
    START_COLD,
    START_THREADS,
    START_WARM,
    START_WORKER,
    STILL_FITS,
    TRANSPORT_ITEM,
    UNEVEN_WAITS,
    WAITING_BELOW,
    WORTH_FACTOR,
)


def plan_given(options: Options, cores: int) -> Plan:
    """The plan for a backend that the caller named, and for items that must be ended when their time is over."""
    if options.backend == "auto":
        workers = options.workers or cores
        return Plan("process", workers, "timeout was given, and only a process can be ended inside an item")
    if options.workers is not None:
        return Plan(options.backend, options.workers, f"backend={options.backend!r} and workers were given")
    workers = {"serial": 1, "thread": min(MAX_THREADS, 4 * cores + 12)}.get(options.backend, cores)
    return Plan(options.backend, workers, f"backend={options.backend!r} was given")


def plan_seen(options: Options, facts: Facts) -> Plan | None:
    """The engine that what was seen of the loop calls for; ``None``: stay with the loop and go on looking."""
    if facts.left == 0 or options.workers == 1:
        return None
    if facts.waiting > WAITING_BELOW:
        return _workers_for_waiting(options, facts)
    if has_gaps(facts):
        return _threads_for_gaps(options, facts)
    workers = options.workers or facts.cores
    if facts.process_cpu > ALREADY_PARALLEL_ABOVE:  # by other threads of the program, which keep their cores
        workers = min(workers, int(facts.cores - facts.process_cpu + 1))
    if workers < 2:
        return None
    left = seconds_left(facts)
    if facts.gil_held < GIL_HELD_ABOVE and options.seed is None and "thread" not in facts.refused:
        start, backend, why = START_THREADS, "thread", "the items compute and leave the GIL free"
        parallel = left / workers
    else:
        start, backend = _start_of_processes(facts, workers), "process"
        why = "the items compute and hold the GIL" if options.seed is None else _SEEDED
        parallel = _seconds_in_processes(facts, workers)
        if is_guess(facts) and facts.current < GUESS_SECONDS and _items_left(facts) > GUESS_ITEMS * workers:
            return None  # it will be over soon, against the time of so many like it, or it is the only one
    if backend in facts.refused or left - parallel <= start * WORTH_FACTOR:
        return None
    return Plan(backend, workers, f"{why}; about {left:.2g} s of work were left")


def plan_better(options: Options, plan: Plan, facts: Facts | None, trial: Trial) -> Plan | None:
    """What to do instead when a plan turns out to be wrong; ``None``: go on with it.

    Args:
        options: What the caller asked for.
        plan: What is being done.
        facts: What was seen of the loop; ``None``: nothing that the plan could be compared with.
        trial: What has come of the plan.
    """
    if plan.backend == "process" and not trial.busy and trial.cpu < trial.work * (1 - WAITING_BELOW):
        if facts is not None and facts.waiting > WAITING_BELOW and "thread" in facts.refused:
            return None  # they were known to wait, and are in processes because of the GIL
        return _workers_for_idlers(options, plan, trial)
    if facts is None or (trial.first and plan.backend == "process"):
        return None
    if plan.backend == "thread" and facts.waiting > WAITING_BELOW and not trial.busy:
        other = _processes_for_waiting(options, facts, trial)
        if other is not None:
            return other
    if plan.backend == "thread" and has_gaps(facts):
        # They keep the machine busy themselves, and do so while they wait. At first, those that are half done weigh most.
        speedup = trial.items * seconds_per_item(facts) / trial.wall
        return _loop(plan, speedup) if speedup < (SLOWER_BELOW if trial.first else 1) else None
    # The loop would have taken what it took before, but no longer than the items took here, and at least what they
    # computed.
    here, computed = trial.work / trial.items, trial.cpu / trial.items
    seen = seconds_per_item(facts)
    if is_guess(facts):  # which knows no more than that an item takes so long at least
        seen = max(seen, here if facts.waiting > WAITING_BELOW else computed)
    if computed > max(seen / 4, STILL_FITS * seen * (1 - facts.waiting)):
        loop = computed  # they waited then, and do not now
    else:
        loop = max(min(seen, here), computed)
    speedup = trial.items * loop / trial.wall
    if plan.backend == "thread" and speedup < GIL_BOUND_BELOW:
        computing = facts._replace(done=0, left=trial.left, waiting=0.0, gil_held=1.0).at(loop)
        other = plan_seen(options, computing._replace(process_cpu=1.0, refused=facts.refused | {"thread"}))
        if other is not None:
            return other
    if speedup < SLOWER_BELOW and not trial.busy:
        return _loop(plan, speedup)
    return None


def _loop(plan: Plan, speedup: float) -> Plan:
    return Plan("serial", 1, f"{plan.backend} was {speedup:.2g} times as fast as the loop")


def _workers_for_idlers(options: Options, plan: Plan, trial: Trial) -> Plan | None:
    """More workers than there are cores, for items that wait in their processes."""
    bound = options.seed is not None or options.timeout is not None  # to processes
    most = MAX_WAITING_PROCESSES if bound else MAX_THREADS
    share = max(trial.cpu / trial.work, 1 / most)
    workers = min(most, round(plan.workers / share), most if trial.left is None else trial.left)
    if options.workers is not None or workers <= plan.workers:
        return None
    return Plan("process" if bound else "thread", workers, f"the items wait {1 - share:.0%} of their time")


def _processes_for_waiting(options: Options, facts: Facts, trial: Trial) -> Plan | None:
    """Processes for items that wait, but compute so much meanwhile that their threads wait for the GIL."""
    if not is_gil_bound(facts, trial) or "process" in facts.refused:
        return None
    seconds, computed = seconds_per_item(facts), trial.cpu / trial.items
    left = trial.left if trial.left is not None else 2 * trial.items
    workers = options.workers or max(2, min(MAX_WAITING_PROCESSES, left, round(facts.cores * seconds / computed)))
    processes = max(computed / min(facts.cores, workers), seconds / workers) + TRANSPORT_ITEM + facts.transport
    # Nobody works while they start.
    start = _start_of_processes(facts, workers)
    if left * (trial.wall / trial.items - processes) <= start * WORTH_FACTOR:
        return None
    return Plan("process", workers, "the items wait, and compute so much meanwhile that the GIL is never free")


def is_gil_bound(facts: Facts, trial: Trial) -> bool:
    """Whether threads have shown that they wait for the GIL, where processes would have cores.

    Those of items that wait compute nearly all of the time together, those of items that compute no more than that.
    """
    if facts.waiting > WAITING_BELOW:
        return facts.cores > 1 and trial.cpu > GIL_FULL_ABOVE * trial.wall
    return facts.cores > 1 and trial.cpu < GIL_BOUND_BELOW * trial.wall and not has_gaps(facts)


def has_gaps(facts: Facts) -> bool:
    """Whether items keep several cores busy by themselves, so that at most what they leave of them is to be had."""
    computes = facts.waiting <= WAITING_BELOW and facts.gil_held < GIL_HELD_ABOVE
    return computes and facts.process_cpu > ALREADY_PARALLEL_ABOVE


def _threads_for_gaps(options: Options, facts: Facts) -> Plan | None:
    if facts.cores < 2 or facts.teams or options.seed is not None or "thread" in facts.refused:
        return None
    if facts.done < GAPS_ITEMS:
        return None  # what they take is not known well enough
    if GAPS * seconds_left(facts) <= START_THREADS * WORTH_FACTOR:
        return None
    workers = options.workers or max(2, round(facts.cores / facts.process_cpu))
    return Plan("thread", workers, "the items keep several cores busy, but perhaps not all of the time")


_SEEDED = "seeded items take turns in a process"


def _workers_for_waiting(options: Options, facts: Facts) -> Plan | None:
    gil_bound = "thread" in facts.refused and facts.gil_held > GIL_HELD_ABOVE
    backend, most, uneven = "thread", MAX_THREADS, UNEVEN_WAITS
    if options.seed is not None or gil_bound:
        backend, most, uneven = "process", MAX_WAITING_PROCESSES, 1
    why = f"the items wait {facts.waiting:.0%} of their time"
    if facts.programs_cpu > WAITING_BELOW:
        uneven, why = 1, "the items wait for programs that compute"
    # While one item waits, the others may compute: 1 / (share of computing) items keep one core busy on average.
    computing = max(1 - facts.waiting + facts.programs_cpu, 1 / most)
    workers = options.workers or max(2, min(most, round(uneven * facts.cores / computing)))
    if facts.left is not None:
        workers = min(workers, max(facts.left, 1))
    start = START_THREADS if backend == "thread" else _start_of_processes(facts, workers)
    if backend in facts.refused or seconds_left(facts) * facts.waiting <= start * WORTH_FACTOR:
        return None
    return Plan(backend, workers, why)


def seconds_missed(options: Options, facts: Facts) -> float:
    """What the loop takes longer than processes would, if they were there already."""
    plan = None if facts.warm else plan_seen(options, facts._replace(warm=True))
    if plan is None or plan.backend != "process":
        return 0.0
    return max(0.0, seconds_left(facts) - _seconds_in_processes(facts, plan.workers) - START_WARM)


def _start_of_processes(facts: Facts, workers: int) -> float:
    """What starting them costs, less what was lost without them: to rent until the price is paid, and then to buy.

    Whoever does so never pays more than twice what the best choice would have cost (ski rental; Karlin, Manasse,
    Rudolph and Sleator 1988).
    """
    more = max(0, workers - facts.cores) * START_WORKER
    return START_WARM + more if facts.warm else max(START_WARM, START_COLD + facts.imports + more - facts.missed)


def seconds_per_item(facts: Facts) -> float:
    """A forecast of what an item takes in the loop. Costs that rise count at once, costs that fall by and by."""
    return max(facts.busy / (facts.done + 1), facts.recent, _seconds_of_current(facts))


def is_guess(facts: Facts) -> bool:
    """Whether all that speaks for a forecast is one item that has not ended, such as a first one that sets things up."""
    return _seconds_of_current(facts) >= seconds_per_item(facts)


def _seconds_of_current(facts: Facts) -> float:
    return 2 * facts.current  # it is taken to be in its middle


def seconds_left(facts: Facts) -> float:
    """A forecast of the loop's time for the items nobody has started."""
    return _items_left(facts) * seconds_per_item(facts)


def _seconds_in_processes(facts: Facts, workers: int) -> float:
    """A forecast of the processes' time: the caller's thread sends and receives for all, each worker for itself."""
    transport = _items_left(facts) * (TRANSPORT_ITEM + facts.transport)
    return max(transport, (seconds_left(facts) + transport) / workers)


def _items_left(facts: Facts) -> int:
    # Of an input of unknown length, twice as much is expected to be left as was seen.
    return facts.left if facts.left is not None else max(1, 2 * facts.done)
