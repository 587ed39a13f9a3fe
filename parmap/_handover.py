"""What the caller and its watch agree on: when the caller is inside its items, and which of the two acts."""

import threading
from collections.abc import Callable
from time import perf_counter


class Presence:
    """When the caller is inside its items. It enters and leaves; the watch waits for it and asks for how long."""

    def __init__(self) -> None:
        self._inside = threading.Event()
        self._entered = 0.0
        self._before = 0.0  # seconds inside, up to the last leaving

    def enter(self) -> None:
        """The caller goes on to run items."""
        if not self._inside.is_set():
            self._entered = perf_counter()
            self._inside.set()

    def leave(self) -> None:
        """The caller has come out of its items."""
        self._inside.clear()
        self._before += perf_counter() - self._entered

    def wait(self) -> None:
        """Waits until the caller is inside."""
        self._inside.wait()

    def seconds(self) -> float:
        """For how long it has been inside, in all."""
        return self._before + (perf_counter() - self._entered if self._inside.is_set() else 0.0)


class Handover:
    """Who acts. The watch only looks, until it acts or the caller has ended it; never both act.

    Guarantees: `Handover.act` and `Handover.take` exclude each other, and after `Handover.end` the watch does not
    begin to act.

    Attributes:
        taken: Whether the caller acts.
        ended: Whether the caller has ended the watch.
        stop: Held until the watch is to stop.
    """

    def __init__(self) -> None:
        self.taken = False
        self.ended = False
        self.stop = threading.Lock()
        self._over = threading.Lock()  # held until the watch has ended
        self._lock = threading.Lock()  # guards the next one against an end at the same time
        self._acting = False
        self.stop.acquire()
        self._over.acquire()

    # --- for the caller ---

    def take(self, decide: Callable[[], bool]) -> bool:
        """Has the watch stop and the caller act, if the watch does not act yet and ``decide`` says so meanwhile."""
        with self._lock:
            if self._acting or not decide():
                return False
            self._stop()
            self.taken = True
            return True

    def revise(self, change: Callable[[], None]) -> bool:
        """Makes a change that the watch finds when it asks whether to act; true: it acts already, nothing is changed."""
        with self._lock:
            if not self._acting:
                change()
            return self._acting

    def end(self) -> bool:
        """Has the watch stop; whether it acts, so that there is something to wait for."""
        self._stop()
        self.ended = True
        with self._lock:
            return self._acting

    def wait(self) -> None:
        """Waits until the watch has ended. It must have begun."""
        with self._over:
            pass

    def _stop(self) -> None:
        if self.stop.locked():
            self.stop.release()

    # --- for the watch ---

    def act(self, decide: Callable[[], bool]) -> bool:
        """Whether the watch acts from now on: it has not been stopped, and ``decide`` says so."""
        with self._lock:
            self._acting = self.stop.locked() and decide()
            return self._acting

    def over(self) -> None:
        """The watch has ended."""
        self._over.release()
