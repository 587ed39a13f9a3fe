"""Results in the order in which they are handed out. Pure."""

from typing import Any, Protocol


class Merge(Protocol):
    """Takes results as they come and gives them back in order.

    ``failure`` is the error that ends the call, once everything that goes before it has been taken.
    """

    failure: BaseException | None

    def add(self, start: int, values: list[Any]) -> None: ...

    def fail(self, index: int, error: BaseException) -> None: ...

    def take(self) -> list[Any]: ...


class InOrder:
    """Input order, from any order of completion.

    Every item is added or failed exactly once. A failure waits for its turn, so what comes out is what the loop would
    have given.
    """

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self._next = 0  # index of the item to be handed out next
        self._ready: dict[int, list[Any]] = {}  # runs of results by the index of their first
        self._failed: dict[int, BaseException] = {}

    def add(self, start: int, values: list[Any]) -> None:
        """Adds the results of the items from ``start`` on."""
        if values:
            self._ready[start] = values

    def fail(self, index: int, error: BaseException) -> None:
        """Says that the item at ``index`` has no result but ends the call."""
        self._failed[index] = error
        self._look()

    def take(self) -> list[Any]:
        """The results whose turn has come."""
        taken = self._ready.pop(self._next, [])
        self._next += len(taken)
        while self._next in self._ready:
            values = self._ready.pop(self._next)
            self._next += len(values)
            taken += values
        self._look()
        return taken

    def first_failure(self) -> BaseException | None:
        """The failure of the earliest item, whether or not its turn has come."""
        return self._failed[min(self._failed)] if self._failed else None

    def _look(self) -> None:
        if self._next in self._failed:
            self.failure = self._failed[self._next]


class AsCompleted:
    """The order of completion; a failure comes out at once."""

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self._ready: list[Any] = []

    def add(self, start: int, values: list[Any]) -> None:
        """Adds results; where they started does not matter."""
        self._ready += values

    def fail(self, index: int, error: BaseException) -> None:
        """Says that an item has no result but ends the call."""
        if self.failure is None:
            self.failure = error

    def take(self) -> list[Any]:
        """The results that came since the last time."""
        taken, self._ready = self._ready, []
        return taken

    def first_failure(self) -> BaseException | None:
        """The failure that came first."""
        return self.failure
