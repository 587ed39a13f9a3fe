"""Calls without an engine, and an engine that does what a script says."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextvars import copy_context
from threading import Event
from typing import Any

from hypothesis import strategies as st

from parmap._call import Call
from parmap._kept import Kept
from parmap._records import Broken, Chunk, Done, Facts, Failure, Lost, Options, Outcome, Task
from parmap._source import Source
from parmap._tuning import THREAD_LINGER
from tests import leaks

PATIENCE = 30.0  # seconds that a test waits for an event that always comes

Answer = Callable[[Chunk], list[Outcome]]

OPTIONS = Options(
    backend="auto",
    workers=None,
    chunksize=None,
    timeout=None,
    retries=0,
    seed=None,
    return_exceptions=False,
    initializer=None,
    strict=False,
    ordered=True,
    buffersize=None,
)

# Pure Python over many items of 10 ms on four cores.
COMPUTING = Facts(
    busy=0.1,
    done=10,
    left=1000,
    current=0.0,
    recent=0.0,
    waiting=0.0,
    gil_held=0.9,
    process_cpu=1.0,
    cores=4,
    warm=False,
)

FACTS = st.builds(
    Facts,
    busy=st.floats(0, 100),
    done=st.integers(0, 10_000),
    left=st.none() | st.integers(0, 10_000),
    current=st.floats(0, 100),
    recent=st.floats(0, 100),
    waiting=st.floats(0, 1),
    gil_held=st.floats(0, 1),
    process_cpu=st.floats(0, 64),
    programs_cpu=st.floats(0, 64),
    cores=st.integers(1, 64),
    warm=st.booleans(),
    transport=st.floats(0, 10) | st.just(math.inf),
    refused=st.frozensets(st.sampled_from(["thread", "process"])),
    teams=st.booleans(),
    imports=st.floats(0, 1),
    missed=st.floats(0, 1),
)


def negative(item: int) -> int:
    """What the calls compute, if they are asked to."""
    return -item


def make_call(items: Iterable[Any], lazy: bool = False, func: Callable[..., Any] = negative, **options: Any) -> Call:
    """A call of ``func`` over ``items``, with the defaults of all options but those given."""
    chosen = OPTIONS._replace(**options)
    source = Source((items,))
    task = make_task(func, keep_going=chosen.return_exceptions, initializer=chosen.initializer)
    return Call(task, source, chosen, lazy)


def make_task(
    func: Callable[..., Any], keep_going: bool = False, initializer: Callable[[], object] | None = None
) -> Task:
    """A task of a function of one item."""
    return Task(
        func=func,
        packed=False,
        keep_going=keep_going,
        initializer=initializer,
        timeout=None,
        seed=None,
        context=copy_context(),
    )


def await_event(event: Event) -> None:
    """Waits for what is certain to happen."""
    assert event.wait(PATIENCE), "an event that was to come has not come"


def until_gone(kept: Kept) -> None:
    """Waits until a kept thread has left."""
    deadline = time.monotonic() + leaks.PATIENCE
    while not kept._gone:
        assert time.monotonic() < deadline
        time.sleep(THREAD_LINGER / 10)


def done(chunk: Chunk) -> Done:
    """All the items of a chunk ran; a result is the item's negative."""
    return Done(chunk, [-item for item in chunk.items], [], 0.001 * len(chunk.items), 0)


def failed(chunk: Chunk, position: int, error: BaseException) -> Done:
    """The item at ``position`` failed and ended its chunk."""
    values: list[Any] = [-item for item in chunk.items[:position]]
    return Done(chunk, [*values, None], [Failure(chunk.start + position, error, "a fake")], 0.001, 0)


def succeed(chunk: Chunk) -> list[Outcome]:
    """The answer of an engine that works."""
    return [done(chunk)]


def fail_at(index: int, error: BaseException) -> Answer:
    """The answers of an engine where one item fails, always."""

    def answer(chunk: Chunk) -> list[Outcome]:
        position = index - chunk.start
        return [failed(chunk, position, error) if 0 <= position < len(chunk.items) else done(chunk)]

    return answer


class Engine:
    """A backend for one thread: it answers the chunk that the script picks, one at a time.

    Attributes:
        log: What was asked of it, in order.
        started: Indices of the items it was given, in order.
        answer: What it makes of a chunk.
        picks: Which of the flying chunks is answered next, modulo their number; without picks, the oldest.
    """

    ready = True

    def __init__(self, answer: Answer = succeed, places: int = 2, picks: Iterable[int] = ()) -> None:
        self.spare = 0
        self.depth = 1
        self.log: list[str] = []
        self.started: list[int] = []
        self.answer = answer
        self.held: list[Chunk] = []
        self.timeouts: list[float | None] = []
        self._places = places
        self._picks: Iterator[int] = iter(picks)
        self._limit: float = math.inf  # the items that may be started lie before it

    @property
    def flying(self) -> int:
        return len(self.held)

    def open(self) -> None:
        """Nothing to open."""

    def room(self) -> bool:
        """Whether a place is free."""
        return len(self.held) < self._places and self._limit > 0

    def submit(self, chunk: Chunk) -> None:
        """Holds a chunk."""
        assert self.room()
        assert chunk.items, "an empty chunk"
        assert chunk.start + len(chunk.items) <= self._limit, "an item that must not start any more"
        self.held.append(chunk)
        self.started += range(chunk.start, chunk.start + len(chunk.items))

    def wait(self, timeout: float | None) -> list[Outcome]:
        """Answers one chunk."""
        assert self.held, "nothing flies, so this would wait forever"
        self.timeouts.append(timeout)
        return self.answer(self.held.pop(next(self._picks, 0) % len(self.held)))

    def wake(self) -> None:
        """Nothing waits."""

    def cancel(self, index: int) -> None:
        """Starts nothing any more from ``index`` on."""
        self._limit = index
        self.log.append(f"cancel {index}")

    def close(self, grace: float) -> None:
        """Notes that it was closed."""
        self.log.append("close")


def answers(*script: list[Outcome] | Callable[[Chunk], Outcome]) -> Answer:
    """Answers one after the other, then success."""
    rest = iter(script)

    def answer(chunk: Chunk) -> list[Outcome]:
        found = next(rest, None)
        if found is None:
            return succeed(chunk)
        return found if isinstance(found, list) else [found(chunk)]

    return answer


def lost(chunk: Chunk) -> Lost:
    """The worker died, and nobody knows why."""
    return Lost(chunk, None, alone=False)


def broken(error: BaseException, elsewhere: bool, hold: bool = True) -> Answer:
    """The answers of an engine that breaks at once and gives the items back."""

    def answer(chunk: Chunk) -> list[Outcome]:
        found: list[Outcome] = [Lost(chunk, None, alone=False)] if hold else []
        return [*found, Broken(error, elsewhere)]

    return answer
