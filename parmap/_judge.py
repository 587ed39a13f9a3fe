"""Whether an engine does what was forecast."""

from collections.abc import Callable
from time import perf_counter

from parmap._observe import is_busy
from parmap._records import Done, Facts, Options, Plan, Trial
from parmap._strategy import is_gil_bound, plan_better
from parmap._tuning import TRIAL_ITEMS, TRIAL_SECONDS, TRIAL_WORKERS


class Judge:
    """Compares what an engine does with what was seen of the loop, again and again.

    The first stretch of processes is not compared: in it, they import what the function needs. All time from
    `Judge.begin` on counts, also what the caller waits for the GIL between two steps.

    Attributes:
        plan: What is judged.
        facts: What was seen of the loop; ``None``: nothing that the plan could be compared with.
        seconds: What an item took in the last stretch.
        gil_bound: Whether threads have shown that what they wait for is the GIL.
    """

    def __init__(
        self, options: Options, plan: Plan, facts: Facts | None, clock: Callable[[], float] = perf_counter
    ) -> None:
        self.plan = plan
        self.facts = facts
        self.seconds = 0.0
        self.gil_bound = False
        self._options = options
        self._clock = clock
        self._first = True
        self._begin = clock()
        self._sum = _NOTHING

    def begin(self) -> None:
        """Begins a stretch: what came before does not count."""
        self._begin = self._clock()
        self._sum = _NOTHING

    def pause(self, seconds: float) -> None:
        """Takes off what was not the engine's time."""
        self._begin += seconds

    def hear(self, outcome: Done) -> None:
        """Takes note of what a worker has done."""
        sum_, items = self._sum, len(outcome.values)
        self._sum = sum_._replace(
            items=sum_.items + items, work=sum_.work + outcome.seconds, cpu=sum_.cpu + outcome.cpu
        )

    def judge(self, left: int | None) -> Plan | None:
        """What to do instead, if it is time for a judgement and there is something better; ends the stretch then."""
        trial = self._sum._replace(wall=self._clock() - self._begin, left=left)
        if trial.wall < TRIAL_SECONDS or trial.items < TRIAL_ITEMS * min(self.plan.workers, TRIAL_WORKERS):
            return None
        first, self._first = self._first, False
        self.seconds = trial.work / trial.items
        self.begin()
        facts, trial = self.facts, trial._replace(first=first, busy=is_busy())
        if self.plan.backend == "thread" and facts is not None and not trial.busy:
            self.gil_bound = self.gil_bound or is_gil_bound(facts, trial)
        return plan_better(self._options, self.plan, facts, trial)


_NOTHING = Trial(0.0, 0, 0.0, 0.0, None)
