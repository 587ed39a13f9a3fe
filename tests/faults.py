"""Named faults: what goes wrong in a worker or on the way to it, as objects that a test hands to a map.

Three kinds:

- **Functions** go wrong while they run an item. ``Crash(at=7)`` maps ``x`` to ``x`` until it meets the item ``7``;
  the same holds for :class:`Exit`, :class:`Segfault`, :class:`Hang`, :class:`Spin`, :class:`Stubborn`, the ``Fail…``
  and the ``Give…``.
- **Values** go wrong on their way: :class:`ErrorAtPickle`, :class:`ErrorAtUnpickle`, :class:`ExitAtPickle`,
  :class:`ExitAtUnpickle`, :class:`CrashAtUnpickle`, :class:`HoldLock`. Any of them can be an item, a result, or part
  of a function.
- **Errors** that do not survive the way: :class:`TwoArgError`, :class:`UnpicklableError`, :class:`HostileError`.

A fault that ends its process remembers the process that made it and refuses to act there: the test run survives a
library that runs the item in the wrong place, and fails with :class:`WrongPlaceError` instead.
"""

import ctypes
import os
import resource
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import Any, NoReturn


class WrongPlaceError(AssertionError):
    """A fault that would have ended the test's own process was met there."""


def _leave_home(home: int) -> None:
    """Raises :class:`WrongPlaceError` in the process ``home``; elsewhere it makes sure that no core is dumped."""
    if os.getpid() == home:
        raise WrongPlaceError("this fault ends its process and was met in the process of the test")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


# --- functions: they go wrong while they run an item ---


@dataclass(frozen=True)
class _Function:
    """Maps ``x`` to ``x``, except for the item that equals ``at``."""

    at: Any = 0
    home: int = field(default_factory=os.getpid, kw_only=True)

    def __call__(self, x: Any) -> Any:
        """Returns ``x``, or goes wrong."""
        return self.act() if x == self.at else x

    def act(self) -> Any:
        """Goes wrong."""
        raise NotImplementedError


@dataclass(frozen=True)
class Crash(_Function):
    """The worker is killed by a signal, as the kernel does when memory is short."""

    signum: int = signal.SIGKILL

    def act(self) -> NoReturn:
        """Sends the signal to this process."""
        _leave_home(self.home)
        os.kill(os.getpid(), self.signum)
        time.sleep(60)  # a signal that is on its way may arrive a moment later
        raise AssertionError("the signal did not end the process")


@dataclass(frozen=True)
class Exit(_Function):
    """The worker ends without a word, as C code that calls ``exit`` does."""

    code: int = 3

    def act(self) -> NoReturn:
        """Ends this process."""
        _leave_home(self.home)
        os._exit(self.code)


@dataclass(frozen=True)
class Segfault(_Function):
    """The worker reads address zero."""

    def act(self) -> Any:
        """Reads from a null pointer."""
        _leave_home(self.home)
        return ctypes.string_at(0)


@dataclass(frozen=True)
class Hang(_Function):
    """The item never ends, and waits: no CPU is used."""

    def act(self) -> NoReturn:
        """Waits for ever."""
        while True:
            threading.Event().wait()


@dataclass(frozen=True)
class Spin(_Function):
    """The item never ends, and computes."""

    def act(self) -> NoReturn:
        """Computes for ever."""
        while True:
            pass


@dataclass(frozen=True)
class Stubborn(_Function):
    """The item never ends, ignores the signals it can ignore, and swallows every exception."""

    def act(self) -> NoReturn:
        """Computes for ever, whatever is raised in it."""
        _leave_home(self.home)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        while True:
            try:
                while True:
                    pass
            except BaseException:
                continue


@dataclass(frozen=True)
class Fail(_Function):
    """The item raises ``error``, which may be any exception object."""

    error: BaseException = field(default_factory=lambda: ValueError("planned"))

    def act(self) -> NoReturn:
        """Raises the error."""
        raise self.error


@dataclass(frozen=True)
class FailTwoArg(_Function):
    """The item raises a :class:`TwoArgError`, made in the worker."""

    def act(self) -> NoReturn:
        """Raises the error."""
        raise TwoArgError("disk", 28)


@dataclass(frozen=True)
class FailUnpicklable(_Function):
    """The item raises an :class:`UnpicklableError`, made in the worker."""

    def act(self) -> NoReturn:
        """Raises the error."""
        raise UnpicklableError("holds a lock")


@dataclass(frozen=True)
class FailHostile(_Function):
    """The item raises a :class:`HostileError`, made in the worker."""

    def act(self) -> NoReturn:
        """Raises the error."""
        raise HostileError


@dataclass(frozen=True)
class Give(_Function):
    """The item's result is a value of the class ``kind``, made in the worker."""

    kind: type[Any] = object

    def act(self) -> Any:
        """Makes the value."""
        return self.kind()


@dataclass(frozen=True)
class GiveExitAtPickle(_Function):
    """The item's result is an :class:`ExitAtPickle` that ends the worker."""

    def act(self) -> "ExitAtPickle":
        """Makes the value."""
        return ExitAtPickle(self.home)


# --- values: they go wrong on their way ---


class ErrorAtPickle:
    """Raises ``RuntimeError("refused at pickle")`` when it is pickled."""

    def __reduce__(self) -> NoReturn:
        """Refuses."""
        raise RuntimeError("refused at pickle")


class ErrorAtUnpickle:
    """Is pickled well, and raises ``RuntimeError("refused at unpickle")`` where it arrives."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels as a call that raises."""
        return _refuse, ("refused at unpickle",)


def _refuse(text: str) -> NoReturn:
    raise RuntimeError(text)


class ExitAtPickle:
    """Ends the process that pickles it, unless that is ``home``, by default the process it was made in.

    As a result (see :class:`GiveExitAtPickle`) it ends the worker after the function has returned.
    """

    def __init__(self, home: int | None = None) -> None:
        self.home = os.getpid() if home is None else home

    def __reduce__(self) -> NoReturn:
        """Ends this process."""
        _leave_home(self.home)
        os._exit(4)


class ExitAtUnpickle:
    """Ends the process that it arrives in, unless that is the one it was made in: as an item it ends the worker."""

    def __init__(self) -> None:
        self.home = os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels as a call that ends the process."""
        return _exit_abroad, (self.home,)


def _exit_abroad(home: int) -> NoReturn:
    _leave_home(home)
    os._exit(5)


class CrashAtUnpickle:
    """Kills the process that it arrives in, unless that is the one it was made in."""

    def __init__(self) -> None:
        self.home = os.getpid()

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels as a call that kills the process."""
        return _kill_abroad, (self.home,)


def _kill_abroad(home: int) -> NoReturn:
    _leave_home(home)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("the signal did not end the process")


class HoldLock:
    """An ordinary object that cannot be pickled, because of the lock it holds in ``guard``."""

    def __init__(self) -> None:
        self.guard = threading.Lock()


# --- errors that do not survive the way ---


class TwoArgError(Exception):
    """Is pickled well, but cannot be rebuilt from its pickle: ``__init__`` wants more than ``args`` holds."""

    def __init__(self, device: str, code: int) -> None:
        super().__init__(f"{device} failed with code {code}")
        self.device = device
        self.code = code


class UnpicklableError(Exception):
    """Cannot be pickled, because of the lock it holds."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.guard = threading.Lock()


class HostileError(Exception):
    """Raises from everything that could be asked of it: ``str``, ``repr`` and its pickle."""

    def __str__(self) -> str:
        raise RuntimeError("no str")

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __reduce__(self) -> NoReturn:
        """Refuses."""
        raise RuntimeError("no pickle")
