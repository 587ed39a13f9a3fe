"""The frozen records that cross a border between layers.

Named tuples rather than dataclasses: as frozen and as typed, built three times faster, and their module costs nothing
to import in a worker.
"""

import sys
from collections.abc import Callable, Sequence
from contextvars import Context
from typing import Any, Final, NamedTuple, TypeAlias

from parmap._tuning import STILL_FITS

ALL: Final = sys.maxsize  # as a size: every item that is left


class Options(NamedTuple):
    """What the caller asked for, checked. ``None`` means "decide"."""

    backend: str
    workers: int | None
    chunksize: int | None
    timeout: float | None
    retries: int
    seed: int | None
    return_exceptions: bool
    initializer: Callable[[], object] | None
    strict: bool
    ordered: bool
    buffersize: int | None


class Task(NamedTuple):
    """What an engine must know to run items of one call."""

    func: Callable[..., Any]
    packed: bool  # an item is the tuple of arguments (several iterables), not the one argument
    keep_going: bool  # a failed item does not stop the rest of its chunk
    initializer: Callable[[], object] | None
    timeout: float | None  # seconds for one item
    seed: int | None  # of the random numbers of its items
    context: Context  # the caller's; threads run items in copies of it


class Chunk(NamedTuple):
    """Consecutive items, handed to a worker in one piece."""

    start: int  # index of the first item in the input
    items: Sequence[Any]
    past: tuple[str, ...] = ()  # the errors of its earlier tries, in words (an item that is retried is alone)

    def part(self, begin: int, end: int | None = None) -> "Chunk":
        """The items from ``begin`` to ``end``, counted from the start of this chunk."""
        return Chunk(self.start + begin, self.items[begin:end], self.past)


class Failure(NamedTuple):
    """An item that ended with an error instead of a value."""

    at: int  # index of the item in the input
    error: BaseException
    worker: str  # who ran it, in words


class Done(NamedTuple):
    """A worker's account of a chunk: the items it started all have an entry in ``values``.

    The chunk's items beyond ``len(values)`` were not started. An item that failed has ``None`` in ``values`` and its
    entry in ``failures``.
    """

    chunk: Chunk
    values: list[Any]
    failures: Sequence[Failure]
    seconds: float  # time the items took
    size: int  # bytes of the results; of the calling process's threads, a guess
    cpu: float = 0.0  # seconds of it that the items computed, where that is measured


class Lost(NamedTuple):
    """A chunk that came back without results, because its worker died or could not read or answer it.

    ``failure`` names the item that was at fault, if it is known. The other items have no result and are to be run
    again; ``alone`` says that they must be dispatched one by one, so that the one at fault shows, and ``unsent`` that
    the item at fault was not started, because it cannot be sent: where nothing is sent it may run.
    """

    chunk: Chunk
    failure: Failure | None
    alone: bool
    unsent: bool = False


class Broken(NamedTuple):
    """The engine cannot go on with this call."""

    error: BaseException
    elsewhere: bool  # whether another engine could do better


Outcome: TypeAlias = Done | Lost | Broken


class Plan(NamedTuple):
    """A decision and its reason."""

    backend: str
    workers: int
    reason: str


class Facts(NamedTuple):
    """What was seen of the loop so far, and of the machine."""

    busy: float  # seconds that the caller's thread spent in items
    done: int  # items finished
    left: int | None  # items that nobody has started; None: not known
    current: float  # seconds that the item being run has taken so far
    recent: float  # seconds that an item took in the last window; 0.0: none ended in it
    waiting: float  # share of the last window that the caller's thread was blocked, 0 to 1
    gil_held: float  # share of the last window that the GIL could not be had, 0 to 1
    process_cpu: float  # CPU seconds of the process by second of wall time in the last window
    cores: int
    warm: bool  # worker processes are there already
    programs_cpu: float = 0.0  # as process_cpu, of the programs that the process has started
    transport: float = 0.0  # seconds that an item and its result need to be pickled and copied; inf: they cannot be
    refused: frozenset[str] = frozenset()  # backends that were tried and did not pay
    imports: float = 0.0  # seconds that a fresh worker needs to import what the function does, roughly
    missed: float = 0.0  # seconds that calls have lost, so far, because no worker processes waited for them
    teams: bool = True  # each thread that runs items may start threads of its own for them

    def at(self, seconds: float) -> "Facts":
        """The same, had each item taken so many seconds."""
        return self._replace(busy=seconds * (self.done + 1), current=0.0, recent=0.0)


class Trial(NamedTuple):
    """What an engine has shown in a stretch of a call."""

    wall: float  # seconds that it had
    items: int  # that it finished
    work: float  # seconds that they took, together
    cpu: float  # seconds that they computed, together
    left: int | None  # items that nobody has started; None: not known
    first: bool = False  # the workers may have been importing what they need, and had nothing to begin with
    busy: bool = False  # the machine has more to do than it has cores, which would slow the loop too


class Sample(NamedTuple):
    """An item, with its result if there is one: what would be on its way if it were run in a process."""

    at: int  # index of the item in the input
    objects: tuple[Any, ...]


class Seen(NamedTuple):
    """What is remembered of a function."""

    seconds: float  # that an item took
    facts: Facts | None = None  # what was seen of its loop; None: nothing that an engine was chosen for
    calls: int = 0  # that have relied on these facts

    def fits(self, seconds: float) -> bool:
        """Whether items that take so many seconds are like those that were seen."""
        return self.seconds / STILL_FITS < seconds < self.seconds * STILL_FITS
