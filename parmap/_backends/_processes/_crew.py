"""The workers of one call: enlisting, briefing, listening, dismissing."""

import os
import select
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from parmap._backends._processes import _page
from parmap._backends._processes._pool import Worker, pool
from parmap._transport._links import Frame, Parcel
from parmap._transport._messages import Define, End, Setting
from parmap._transport._tasks import Definition

_NO_DEFINITION: Final = Definition(Parcel(b"", None, None), None, (), {})


class Crew:
    """Workers leased from the warm pool, each told what the call is about.

    They are enlisted as there is work for them, at most ``limit``. All are listened to at once. It takes nothing before
    ``open``, and ``dismiss`` gives everything back, whatever an interrupt has kept from being noted here.

    Raises:
        OSError: From the methods that enlist: a worker cannot be started.
    """

    def __init__(self, define: Define, setting: Setting, limit: int) -> None:
        self._pool = pool()
        self._define = define
        self._definition = _NO_DEFINITION
        self._setting = setting
        self._limit = limit
        self._workers: dict[int, Worker] = {}  # by descriptor
        self._poll = select.poll()
        self._pipe: list[int] = []  # its end that is listened to, and the one that wakes who listens

    @property
    def is_open(self) -> bool:
        return bool(self._pipe)

    def open(self, definition: Definition) -> None:
        """Makes ready for workers, which are told the definition."""
        self._definition = definition
        self._pipe += os.pipe()
        os.set_blocking(self._pipe[1], False)
        self._poll.register(self._pipe[0], select.POLLIN)

    def __iter__(self) -> Iterator[Worker]:
        return iter(list(self._workers.values()))

    def muster(self, wanted: int) -> None:
        """Takes a worker on; if it is only just starting, as many as are wanted, to import what they need meanwhile."""
        if not self.enlist().ready:
            for _ in range(1, min(wanted, self._limit)):
                self.enlist()
        for worker in self:
            if not worker.ready:
                with suppress(OSError):  # it is dead, which listening will tell
                    worker.link.flush()

    def enlist(self) -> Worker:
        """Takes a worker on. It may turn out to be dead, as any other may at any time."""
        worker = self._pool.lease(self, self._setting, self._definition.modules)
        while worker.is_outdated(self._definition.stamps):
            self._pool.discard(worker)
            worker = self._pool.lease(self, self._setting, self._definition.modules)
        worker.stamps.update(self._definition.stamps)
        self._workers[worker.link.fileno()] = worker
        self._poll.register(worker.link.fileno(), select.POLLIN)
        try:
            if worker.setting != self._setting:
                worker.setting = None  # until it is told, so that an interrupt in between does no harm
                worker.link.hold(self._setting)
                worker.setting = self._setting
            known = self._definition.key is not None and worker.definition == self._definition.key
            worker.definition = None
            worker.link.hold(self._define, None if known else self._definition.parcel)
            worker.definition = self._definition.key
        except OSError:
            pass  # it is dead, which listening will tell
        return worker

    def has_room(self, spare: int, depth: int) -> bool:
        """Whether a worker could take one more chunk, with ``spare`` workers left idle and ``depth`` chunks for each."""
        return self._find(spare, depth) is not None or self._may_grow(spare)

    def choose(self, spare: int, depth: int) -> Worker:
        """The worker for the next chunk: an idle one, a new one, or the one that holds least."""
        found = self._find(spare, depth)
        if (found is None or found.held) and self._may_grow(spare):
            return self.enlist()
        assert found is not None, "choose() needs room"
        return found

    def _may_grow(self, spare: int) -> bool:
        return len(self._workers) < max(1, self._limit - spare)

    def _find(self, spare: int, depth: int) -> Worker | None:
        """The worker that holds least, of those that may be given more."""
        best: Worker | None = None
        idle = 0
        for worker in self._workers.values():
            held = len(worker.held)
            idle += not held
            if held < depth and (best is None or held < len(best.held)):
                best = worker
        if best is not None and not best.held and idle <= spare - (self._limit - len(self._workers)):
            return None
        return best

    def listen(self, timeout: float | None) -> Iterator[tuple[Worker, list[Frame] | None]]:
        """Waits at most ``timeout`` seconds for news: what each worker said; ``None``: it is dead."""
        for descriptor, _ in self._poll.poll(None if timeout is None else max(0.0, timeout) * 1000):
            worker = self._workers.get(descriptor)
            if worker is None:
                os.read(self._pipe[0], 1024)
            else:
                yield worker, worker.link.receive(socket.MSG_DONTWAIT)

    def wake(self) -> None:
        """Makes a `listen` in another thread return."""
        try:
            os.write(self._pipe[1], b"\0")
        except BlockingIOError:  # full, so it is awake
            return

    def kill(self, worker: Worker) -> None:
        """Kills a worker, which listening then tells."""
        self._pool.kill(worker)

    def bury(self, worker: Worker) -> int | None:
        """Takes a dead worker out; returns its exit code, if it can be learnt."""
        self._poll.unregister(worker.link.fileno())
        del self._workers[worker.link.fileno()]
        return self._pool.bury(worker)

    def _end(self, worker: Worker) -> None:
        """Lets an idle worker forget a definition that keeps memory; a small one may be of use again."""
        if not self._definition.parcel.is_alone:
            try:
                worker.link.send(End())
            except OSError:
                return  # it is dead, which the next call will find

    def dismiss(self) -> None:
        """Gives idle workers back to the pool and ends the others. May be called again."""
        for worker in dict.fromkeys([*self, *self._pool.leased(self)]):
            noted = self._workers.pop(worker.link.fileno(), None)
            if noted is None or worker.held or worker.link.torn:
                self._pool.discard(worker)
            else:
                worker.page.slots[_page.STOP] = 0
                self._end(worker)
                self._pool.release(worker)
        definition, self._definition = self._definition, _NO_DEFINITION
        definition.parcel.close()
        while self._pipe:
            os.close(self._pipe.pop())
