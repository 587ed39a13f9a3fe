"""Every error and warning that parmap raises, and how its message is made.

    ParmapError
    +-- WorkerCrashError        a worker process died while it ran an item
    +-- SerializationError      something could not travel between processes
    +-- ItemTimeoutError        an item took longer than `timeout` (also a TimeoutError)
    FallbackWarning             (a RuntimeWarning) the call runs in another way than was asked for

A message says what was given, what is allowed and what to do. The fields are the constructor's arguments, so that
every error survives pickling with type, text and fields.
"""

import reprlib
import signal
from typing import Any

from parmap._records import Failure
from parmap._tuning import REPR_LIMIT

_shortener = reprlib.Repr()
_shortener.maxstring = _shortener.maxother = REPR_LIMIT
_shortener.maxlist = _shortener.maxtuple = _shortener.maxset = _shortener.maxdict = 8


def shorten(value: object) -> str:
    """A short ``repr`` that never raises, on one line."""
    try:
        text = " ".join(_shortener.repr(value).split())
    except Exception as error:
        return f"<{type(value).__name__} whose repr raised {type(error).__name__}>"
    return text if len(text) <= REPR_LIMIT else text[: REPR_LIMIT - 3] + "..."


def show_arguments(item: object, packed: bool) -> str:
    """How an item's arguments are shown in errors: ``f(3)`` as ``3``, ``f(3, 'a')`` as ``3, 'a'``."""
    if packed and isinstance(item, tuple):
        return ", ".join(map(shorten, item))
    return shorten(item)


def add_note(error: BaseException, note: str) -> None:
    """Adds a note to an error of the user's, if its class allows notes."""
    try:
        error.add_note(note)
    except (AttributeError, TypeError):  # a frozen dataclass, or notes that are no list
        return


def in_words(error: BaseException) -> str:
    """Type and text of an error."""
    return f"{type(error).__name__}: {error}"


def describe(error: BaseException) -> str:
    """Type and text of an error, on one line."""
    try:
        text = " ".join(str(error).split())
    except Exception as found:
        text = f"its str() raised {type(found).__name__}"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def describe_tries(errors: tuple[str, ...]) -> str:
    """The note on an item that failed each time it was tried."""
    tries = "".join(f"\n  try {number}: {each}" for number, each in enumerate(errors, 1))
    return f"parmap: all {len(errors)} tries failed{tries}"


def note_item(failure: Failure, arguments: str) -> None:
    """Adds the note that says which item failed, and where it ran."""
    add_note(failure.error, f"parmap: item {failure.at} ({arguments}) in {failure.worker}")


def describe_exit(exitcode: int | None) -> str:
    """How a process ended, from its exit code (negative: the signal that killed it)."""
    if exitcode is None:
        return "ended in an unknown way"
    if exitcode >= 0:
        return f"exited with code {exitcode}"
    try:
        name = signal.Signals(-exitcode).name
    except ValueError:
        name = f"signal {-exitcode}"
    return f"was killed by {name}"


_CAUSES = {
    -signal.SIGSEGV: "a fault in C code (an extension module, a stack that overflowed)",
    -signal.SIGABRT: "C code that called abort(), e.g. on heap corruption or an uncaught C++ exception",
}
if hasattr(signal, "SIGKILL"):
    _CAUSES[-signal.SIGKILL] = (
        "the kernel's out-of-memory killer (see `dmesg`), a container's memory limit, or `kill -9`; "
        "fewer `workers` or smaller items need less memory"
    )


class ParmapError(Exception):
    """The root of the errors that parmap itself raises (the errors of your function come out as they are)."""


class WorkerCrashError(ParmapError):
    """A worker process died while it ran an item.

    Attributes:
        index: Position of the item in the input; ``None`` when the worker died before any item.
        arguments: Short ``repr`` of the item's arguments.
        exitcode: Exit code of the worker; negative, the number of the signal that killed it; ``None``, not known.
        stderr: What the worker wrote while it started, if that is when it died.
    """

    def __init__(self, index: int | None, arguments: str, exitcode: int | None, stderr: str = "") -> None:
        super().__init__(index, arguments, exitcode, stderr)
        self.index = index
        self.arguments = arguments
        self.exitcode = exitcode
        self.stderr = stderr

    def __str__(self) -> str:
        ended = describe_exit(self.exitcode)
        if self.index is None:
            text = f"a worker process {ended} while it was starting"
            return f"{text}; it wrote:\n{self.stderr}" if self.stderr else text
        text = f"the worker process that ran item {self.index} ({self.arguments}) {ended}"
        if self.exitcode is not None and self.exitcode >= 0:
            cause = "code that calls os._exit() or exit() in C"
        else:
            cause = _CAUSES.get(self.exitcode or 0, "a crash in C code, or a signal from outside")
        return f"{text}. Usual cause: {cause}. With return_exceptions=True the other items' results are kept."


class ItemTimeoutError(ParmapError, TimeoutError):
    """An item took longer than ``timeout``.

    Attributes:
        index: Position of the item in the input.
        arguments: Short ``repr`` of the item's arguments.
        timeout: The limit, in seconds.
    """

    def __init__(self, index: int, arguments: str, timeout: float) -> None:
        super().__init__(arguments)  # an OSError takes several for an error number and more
        self.args = (index, arguments, timeout)
        self.index = index
        self.arguments = arguments
        self.timeout = timeout

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.index, self.arguments, self.timeout), vars(self)

    def __str__(self) -> str:
        return f"item {self.index} ({self.arguments}) took longer than timeout={self.timeout:g} seconds"


class SerializationError(ParmapError):
    """Something could not be pickled, or not be rebuilt from its pickle, on its way between processes.

    Attributes:
        what: What was on its way, e.g. ``"the result of item 3"``.
        reason: Why it could not travel, with the path to the part that cannot and, for an error that an item raised,
            its type, text and traceback.
    """

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(what, reason)
        self.what = what
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.what} cannot travel between processes: {self.reason}"


class FallbackWarning(RuntimeWarning):
    """A call runs in another way than was asked for, or than would be fastest; the text says why."""
