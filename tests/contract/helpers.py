"""What the contract tests share: the ledger, the counted source, and the ways to look into an error."""

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

BACKENDS = ("serial", "thread", "process", "auto")

Outcome: TypeAlias = tuple[str, Any]


@dataclass(frozen=True)
class Ledger:
    """A file of lines that any thread of any process may append to; a line is never torn (``O_APPEND``)."""

    path: str

    def write(self, line: object) -> None:
        """Appends one line."""
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(descriptor, f"{line}\n".encode())
        finally:
            os.close(descriptor)

    def lines(self) -> list[str]:
        """All lines, in the order in which they were written."""
        try:
            with open(self.path, encoding="utf-8") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []


class Source:
    """An input that counts what is drawn from it and how far that is ahead of the consumer.

    The consumer says with :meth:`take` that it has a result. As ``next()`` returns a moment before the consumer can
    say so, ``lead`` may be one more than the library's own count.
    """

    def __init__(self, limit: int | None = None) -> None:
        self.limit = limit
        self.drawn = 0
        self.taken = 0
        self.lead = 0
        self.closed = False

    def __iter__(self) -> Iterator[int]:
        try:
            while self.limit is None or self.drawn < self.limit:
                self.drawn += 1
                self.lead = max(self.lead, self.drawn - self.taken)
                yield self.drawn - 1
        finally:
            self.closed = True

    def take(self, results: Iterator[Any], count: int) -> list[Any]:
        """The next ``count`` results."""
        taken = []
        for _ in range(count):
            taken.append(next(results))
            self.taken += 1
        return taken


def busy(seconds: float) -> None:
    """Computes for ``seconds`` of this thread's CPU time, holding the GIL as pure Python does."""
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def here() -> str:
    """The worker that runs this: its process and its thread."""
    return f"{os.getpid()}-{threading.get_ident()}"


def close(results: Iterator[Any]) -> None:
    """Closes a ``pimap`` iterator, as one closes a generator."""
    closing: Any = results
    closing.close()


def notes(error: BaseException) -> list[str]:
    """The notes of an error."""
    return list(getattr(error, "__notes__", []))


def said(error: BaseException | None) -> str:
    """All that an error tells its reader, its causes included; no lines of source."""
    if error is None:
        return ""
    return "\n".join([type(error).__name__, str(error), *notes(error), said(error.__cause__)])


def outcome(call: Callable[[], Any]) -> Outcome:
    """What a call gives: its value, or the type and arguments of its error."""
    try:
        return "value", call()
    except Exception as error:
        return type(error).__name__, error.args
