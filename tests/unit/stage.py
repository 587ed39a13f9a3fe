"""What the pilot meets in its tests: a plan and an engine, both scripted, and items that wait for a word."""

import threading
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest

from parmap import _pilot, _prospect
from parmap._call import Call
from parmap._chunks import Sizer
from parmap._pilot import fly
from parmap._records import Facts, Options, Outcome, Plan
from parmap._run import Driver
from tests.unit.fakes import PATIENCE, Answer, Engine, await_event, succeed

CHECK_ITEMS = 3
PLAN = Plan("thread", 2, "because the script says so")


class Parked(Engine):
    """An engine that waits for work, and can be woken."""

    def __init__(self, answer: Answer = succeed, places: int = 2) -> None:
        super().__init__(answer, places)
        self.opened_in = 0
        self.before_opening: Callable[[], None] = lambda: None
        self.woken = Event()

    def open(self) -> None:
        """Notes in which thread."""
        if not self.opened_in:
            self.opened_in = threading.get_ident()
            self.before_opening()

    def wait(self, timeout: float | None) -> list[Outcome]:
        """Answers what it holds, or waits to be woken."""
        if self.held:
            return super().wait(timeout)
        if timeout != 0:
            assert self.woken.wait(PATIENCE if timeout is None else timeout)
            self.woken.clear()
        return []

    def wake(self) -> None:
        """Ends a wait."""
        self.woken.set()


class Stage:
    """What the pilot meets: when there is a plan, which engine opens, and how long the offer stands.

    Attributes:
        planned: Set when what is seen calls for an engine.
        guess: Whether only one item that has not ended speaks for that.
        engine: The engine that then opens.
        before_opening: Called in the thread that opens it, as it does.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.planned = Event()
        self.guess = False
        self.engine = Parked()
        self.before_opening: Callable[[], None] = lambda: None
        self._patch = patch
        patch.setattr(_pilot, "WATCH_WINDOW", 0.002)
        patch.setattr(_prospect, "plan_seen", self._plan)
        patch.setattr(_prospect, "is_guess", lambda facts: self.guess)
        patch.setattr(_prospect, "CHECK_ITEMS", CHECK_ITEMS)
        patch.setattr(_pilot, "engine", self._open)
        self.offer_stands(PATIENCE)

    def offer_stands(self, seconds: float) -> None:
        """For so long the caller may take the offer; then the watch acts itself."""
        self._patch.setattr(_pilot, "OFFER_WAIT", seconds)

    def _plan(self, options: Options, facts: Facts) -> Plan | None:
        return PLAN if self.planned.is_set() else None

    def _open(self, call: Call, plan: Plan) -> Driver:
        assert plan is PLAN
        self.engine.before_opening = self.before_opening
        return Driver(call, self.engine, Sizer(3, 2, 1, None))


def collect(call: Call) -> list[Any]:
    """All results, by the pilot."""
    return [result for run in fly(call) for result in run]


def expected(count: int) -> list[int]:
    """The loop's results."""
    return [-n for n in range(count)]


class Recorder:
    """A function that notes its items and may be held up at one of them."""

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.items: list[int] = []
        self.inside = Event()
        self.release = Event()

    def __call__(self, item: int) -> int:
        """Waits at the item to be released."""
        self.items.append(item)
        if item == self.at:
            self.inside.set()
            await_event(self.release)
        return -item
