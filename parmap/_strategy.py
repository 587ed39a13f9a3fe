"""From what was asked for and what was seen to a plan with its reason. Pure."""

from parmap._records import Facts, Options, Plan
from parmap._tuning import (
    ALREADY_PARALLEL_ABOVE,
    GIL_HELD_ABOVE,
    MAX_THREADS,
    MAX_WAITING_PROCESSES,
    START_COLD,
    START_THREADS,
    START_WARM,
    TRANSPORT_ITEM,
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
    workers = options.workers or facts.cores
    if workers < 2:
        return None
    if facts.process_cpu > ALREADY_PARALLEL_ABOVE:
        return None
    left = _seconds_left(facts)
    gain = left * (1 - 1 / workers)
    if facts.gil_held < GIL_HELD_ABOVE and options.seed is None:
        start, backend, why = START_THREADS, "thread", "the items compute and leave the GIL free"
    else:
        start, backend = (START_WARM if facts.warm else START_COLD), "process"
        why = "the items compute and hold the GIL" if options.seed is None else _SEEDED
        gain -= _items_left(facts) * TRANSPORT_ITEM
    if gain <= start * WORTH_FACTOR:
        return None
    return Plan(backend, workers, f"{why}; about {left:.2g} s of work were left")


_SEEDED = "seeded items take turns in a process"


def _workers_for_waiting(options: Options, facts: Facts) -> Plan | None:
    start, backend, most = START_THREADS, "thread", MAX_THREADS
    if options.seed is not None:
        start, backend, most = START_WARM if facts.warm else START_COLD, "process", MAX_WAITING_PROCESSES
    if _seconds_left(facts) * facts.waiting <= start * WORTH_FACTOR:
        return None
    # While one item waits, the others may compute: 1 / (share of computing) items keep one core busy.
    computing = max(1 - facts.waiting, 1 / most)
    workers = options.workers or max(2, min(most, round(facts.cores / computing)))
    if facts.left is not None:
        workers = min(workers, max(facts.left, 1))
    return Plan(backend, workers, f"the items wait {facts.waiting:.0%} of their time")


def _seconds_left(facts: Facts) -> float:
    """A forecast of the loop's time for the items nobody has started."""
    return _items_left(facts) * max(facts.busy / (facts.done + 1), facts.current)


def _items_left(facts: Facts) -> int:
    # Of an input of unknown length, as much is expected to be left as was seen.
    return facts.left if facts.left is not None else max(1, facts.done)
