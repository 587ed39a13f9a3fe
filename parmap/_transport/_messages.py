"""What the caller's process, its launcher and its workers say to each other.

Each message is a named tuple. Those about a chunk carry the call that it belongs to; what arrives for another call
is dropped. A payload is what goes with a message besides (see `_links`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from parmap._transport._beside import SharedMemory


class LogLevels(NamedTuple):
    """What the caller logs."""

    disabled: int  # records up to this level are not made at all
    loggers: Mapping[str, int]  # those that have a level of their own; "": the root


class Setting(NamedTuple):
    """The surroundings that a worker takes over from the caller."""

    directory: str | None
    path: list[str]
    environ: dict[str, str]
    filters: list[object]
    argv: list[str]
    cores: int  # that the worker may use: the share of a nested call
    level: int  # of the worker: 1 in the worker of the user's own process
    logs: LogLevels | None  # None: the caller does not log


# --- to the launcher ---


class Start(NamedTuple):
    """Start a worker. With it go its socket and its progress page."""

    number: int


class Kill(NamedTuple):
    """Kill a worker, if it is still there."""

    number: int


class Preload(NamedTuple):
    """Import these modules, so that the workers to come have them."""

    modules: Sequence[str]


# --- from the launcher ---


class Exited(NamedTuple):
    """A worker has ended, and is no longer a process."""

    number: int
    exitcode: int  # negative: the signal that killed it


# --- to a worker ---


class Define(NamedTuple):
    """A call begins. Payload: its function and initializer; without a payload: those of the call before."""

    call: int
    packed: bool
    keep_going: bool
    timeout: float | None
    seed: int | None


class Work(NamedTuple):
    """Run these items. Payload: their list."""

    call: int
    number: int  # of the dispatch, counted for each worker
    start: int  # index of the first item


class End(NamedTuple):
    """The call is over, and what it was about is large: let go of it."""


class Definition(NamedTuple):
    """The answer to `Need`. Payload: the object; without a payload: there is no such thing."""


# --- from a worker ---


class Hello(NamedTuple):
    """The worker is up."""

    pid: int


class Need(NamedTuple):
    """An item refers to this name of `__main__`, which the worker does not have."""

    name: str


class Output(NamedTuple):
    """Something was printed."""

    stream: str  # "stdout" or "stderr"
    text: str


class Logged(NamedTuple):
    """Something was logged."""

    fields: Mapping[str, Any]  # of the record


class Warned(NamedTuple):
    """Something warned."""

    warning: Warning
    filename: str
    lineno: int
    module: str  # the name of the module that it is about; empty: not known


class Finished(NamedTuple):
    """What became of a chunk. Payload: the values of the items that were started."""

    call: int
    number: int
    failures: "Sequence[PackedFailure]"
    seconds: float
    cpu: float
    in_use: bool  # the memory that the items came in


class Unreadable(NamedTuple):
    """The items of a chunk could not be rebuilt."""

    call: int
    number: int
    reason: str


class Undefined(NamedTuple):
    """The call's function could not be rebuilt (``what`` is "the function"), or its initializer failed."""

    call: int
    reason: str
    error: "PackedErrors | None"


class PackedError(NamedTuple):
    """An exception on its way: pickled, and in words for the case that it cannot be."""

    pickled: bytes | None
    type_name: str
    text: str
    traceback: str
    notes: Sequence[str]
    cause: int  # its place in the tuple that it is part of; 0: there is none
    context: int  # likewise
    suppress_context: bool
    arenas: Sequence[SharedMemory] = ()  # that its pickle names


# An exception and those that it came from: itself first.
PackedErrors: TypeAlias = tuple[PackedError, ...]


class PackedFailure(NamedTuple):
    """The failure of the item at ``position`` of a chunk."""

    position: int
    error: PackedErrors
