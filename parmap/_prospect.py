"""What is known of a call's items, and what to do about it: from facts, of this call and of earlier ones, to a plan."""

import sys
from collections.abc import Callable
from functools import cached_property
from types import ModuleType
from typing import Any

from parmap._call import Call
from parmap._cores import cpu_count
from parmap._errors import SerializationError, in_words
from parmap._learned import learned
from parmap._observe import Pace, Signals, eager_switching
from parmap._records import Facts, Plan, Sample, Seen
from parmap._strategy import has_gaps, is_guess, plan_seen, seconds_missed, seconds_per_item
from parmap._tuning import CHECK_ITEMS, CHECK_SECONDS, IMPORT_SECONDS


class Prospect:
    """What the loop of a call is to make way for.

    The watch's thread calls `look`, either thread the others; those that change the plan exclude each other, by the
    handover's lock.

    Attributes:
        plan: What to do instead of the loop; ``None``: nothing, as far as is known.
        guess: Whether the plan rests on one item that has not ended, so that the caller is to run some more first.
    """

    def __init__(self, call: Call, seen: Seen) -> None:
        self.plan: Plan | None = None
        self.guess = False
        self._call = call
        self._seen = seen
        self._facts: Facts | None = None  # what there is a plan for, if it was seen in this call
        self._known = seen.facts or _NOTHING_KNOWN  # of it, what an item costs on its way, and what did not pay
        self._run_since = 0, 0.0  # items that the loop has run since there was a plan, and their seconds
        self._gil_bound = False  # whether threads have shown that what they wait for is the GIL
        self._missed = 0.0  # seconds that the loop takes longer than processes would, if they were there already

    @property
    def facts(self) -> Facts:
        """What an engine is to be compared with."""
        return self._facts or self._known

    def compare_with(self, seconds: float) -> Facts:
        """Has an engine compared with a loop whose items took ``seconds`` on average; 0.0: it has not run.

        A forecast is safe in that it says rather too much, which matters where little is to be gained.
        """
        if self._facts is not None and has_gaps(self._facts) and seconds:
            self._facts = self._facts.at(seconds)
        return self.facts

    @property
    def seconds(self) -> float:
        """What an item takes, as seen in this call; 0.0: not known."""
        return 0.0 if self._facts is None else seconds_per_item(self._facts)

    def recall(self) -> float:
        """Makes a plan of what was seen in an earlier call, if that is enough; returns seconds an item then, or 0.0."""
        facts = self._seen.facts
        if facts is None or self._call.left == 1:
            return 0.0
        facts = facts.at(self._seen.seconds)._replace(
            left=self._call.left,
            cores=cpu_count(),
            warm=_processes_are_warm(),
            imports=self._imports,
            missed=learned.missed,
        )
        plan = plan_seen(self._call.options, facts)
        if plan is None:
            return 0.0
        self.plan = plan._replace(reason=f"as in an earlier call, {plan.reason}")
        return self._seen.seconds

    def look(self, pace: Pace, unstarted: int, signals: Signals) -> bool:
        """Makes a plan of what a window has shown; false: what was seen does not call for one.

        Args:
            pace: How fast the loop goes.
            unstarted: Items that the loop has taken and not started.
            signals: What the window showed.
        """
        with eager_switching():  # files are read the first time, and each gives the GIL up to the loop
            cores = cpu_count()
        left = self._call.left
        facts = Facts(
            busy=pace.busy,
            done=pace.done,
            left=None if left is None else left + unstarted,
            current=pace.current,
            recent=pace.recent,
            waiting=signals.waiting,
            gil_held=signals.gil_held,
            process_cpu=signals.process_cpu,
            programs_cpu=signals.programs_cpu,
            cores=cores,
            warm=_processes_are_warm(),
            transport=self._known.transport,
            imports=self._imports,
            missed=learned.missed,
        )
        if has_gaps(facts):
            facts = facts._replace(teams=self._teams)
        if self._seen.fits(seconds_per_item(facts)):
            facts = facts._replace(refused=self._known.refused)
        guess, plan = is_guess(facts), plan_seen(self._call.options, facts)
        if plan is None:
            if not guess:
                self._missed = max(self._missed, seconds_missed(self._call.options, facts))
            return False
        self._run_since = 0, 0.0
        self._facts, self.guess, self.plan = facts, guess, plan
        return True

    @cached_property
    def _imports(self) -> float:
        return import_seconds(self._call.task.func)

    @cached_property
    def _teams(self) -> bool:
        from parmap._blas import has_teams  # `import parmap` does without

        return has_teams()

    def weigh(self, sample: Sample | None) -> bool:
        """Counts what the sample costs on its way to a process and back; whether the plan stands then.

        Raises:
            SerializationError: It cannot travel.
        """
        plan, facts = self.plan, self._facts
        if plan is not None and plan.backend == "process" and facts is not None and sample is not None:
            from parmap._transport._pickling import weigh  # pulls in what only processes need

            try:
                transport = sum(weigh(each, seconds_per_item(facts)) for each in sample.objects)
            except Exception as error:
                raise SerializationError(f"item {sample.at} or its result", in_words(error)) from None
            self._known = self._known._replace(transport=transport)
            self._facts = facts._replace(transport=transport)
            self.plan = plan_seen(self._call.options, self._facts)
        return self.plan is not None

    def is_confirmed(self, items: int, seconds: float) -> bool | None:
        """Whether items that the loop has run since speak for the plan too; ``None``: there were too few of them.

        Many in one block: those of small blocks show what a block costs. A lazy call has no others, so there they add up.
        """
        if self._call.lazy:
            self._run_since = self._run_since[0] + items, self._run_since[1] + seconds
            items, seconds = self._run_since
        if self._facts is None or not (items >= CHECK_ITEMS or seconds > CHECK_SECONDS):
            return None
        facts = self._facts._replace(done=0, warm=True).at(seconds / items)
        return plan_seen(self._call.options, facts) is not None

    def drop(self) -> None:
        """Has no plan any more."""
        self.plan = None

    def refuse(self, backend: str, gil_bound: bool) -> None:
        """Notes that an engine did not pay; ``gil_bound``: because what its threads wait for is the GIL."""
        self._known = self._known._replace(refused=self._known.refused | {backend})
        self._gil_bound = self._gil_bound or gil_bound

    def after(self, seconds: float) -> Seen:
        """What is known when the loop goes on after an engine whose items took ``seconds``."""
        return Seen(seconds, self._learnt())

    def remember(self, seconds: float, backend: str) -> None:
        """Notes what was seen for the next call.

        Args:
            seconds: What an item took in the engine that ran the last ones.
            backend: Which engine that was.
        """
        if backend == "serial":
            learned.missed += self._missed
        if backend == "thread":  # where items wait for the GIL too
            seconds = min(seconds, self.seconds or self._seen.seconds or seconds)
        before = learned.recall(self._call.task.func).facts
        facts = None
        if self._facts is not None or self._known.refused != (before.refused if before is not None else frozenset()):
            facts = self._learnt()
            facts = facts._replace(gil_held=1.0) if self._gil_bound else facts
        learned.remember(self._call.task.func, seconds, facts)

    def _learnt(self) -> Facts:
        return self.facts._replace(transport=self._known.transport, refused=self._known.refused)


def _processes_are_warm() -> bool:
    """Whether worker processes are waiting for a call."""
    pool = sys.modules.get("parmap._backends._processes._pool")
    return pool is not None and pool.is_warm()


def import_seconds(func: Callable[..., Any]) -> float:
    """How long a fresh worker takes, roughly, to import what a function needs.

    A worker imports the function's module, with all that this one imports; of ``__main__``, which it cannot import, it
    gets the names that the function uses. Of each other package that one of these comes from, as many modules count as
    this process has loaded; of the standard library none, since most of it is small, or there already.
    """
    owner = getattr(func, "__module__", None)
    owner = owner if isinstance(owner, str) else ""
    module = sys.modules.get(owner)
    names = dict(vars(module)) if module is not None else {}
    if owner == "__main__":
        used = getattr(getattr(func, "__code__", None), "co_names", ())
        names = {name: names[name] for name in used if name in names}
    # What its author has put there: not its loader, nor what a test runner adds to it.
    values = [value for name, value in names.items() if name.isidentifier() and not name.startswith("__")]
    found = [getattr(each, "__name__" if isinstance(each, ModuleType) else "__module__", "") for each in values]
    roots = {name.partition(".")[0] for name in found if isinstance(name, str)}
    roots -= sys.stdlib_module_names | {"parmap", owner.partition(".")[0]}
    return IMPORT_SECONDS * sum(name.partition(".")[0] in roots for name in list(sys.modules))


_NOTHING_KNOWN = Facts(0.0, 0, None, 0.0, 0.0, 0.0, 0.0, 0.0, 1, warm=False)
