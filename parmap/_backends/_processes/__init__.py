"""The engine of worker processes.

Each worker has its own socket and progress page; the engine waits for all of them at once. It knows what each worker
holds, so a worker that dies costs its items and nothing else: the one that it ran is at fault, and the others come
back as lost, to be run again.
"""

import os
import sys
import time
from itertools import count

from parmap import _settings
from parmap._backends._base import check_home
from parmap._backends._processes import _page
from parmap._backends._processes._crew import Crew
from parmap._backends._processes._pool import Dispatch, Worker, pool
from parmap._errors import ItemTimeoutError, WorkerCrashError, show_arguments
from parmap._observe import check_processes
from parmap._records import Broken, Chunk, Failure, Lost, Outcome, Task
from parmap._transport._links import Frame, pack
from parmap._transport._messages import (
    Define,
    Definition,
    Finished,
    Hello,
    Need,
    Output,
    Undefined,
    Unreadable,
    Work,
)
from parmap._transport._outcomes import Answer, read_answer, undefined, unreadable, unsendable
from parmap._transport._pickling import dump, load
from parmap._transport._reports import Report, relay
from parmap._transport._spares import Spares
from parmap._transport._tasks import look_up, make_definition, needed_anyway
from parmap._tuning import START_TRIES, TRANSIT_GRACE, WORDS_LIMIT, ZYGOTE_TRIES

_calls = count(1)


class Processes:
    """Worker processes, leased from the warm pool for one call.

    Args:
        task: What to run.
        workers: How many processes there may be.
        cores: How many cores they may use together.
        wanted: For how many of them there is work.
    """

    def __init__(self, task: Task, workers: int, cores: int, wanted: int) -> None:
        self.spare = 0
        self.depth = 1
        self._task = task
        self._call = next(_calls)
        self._outcomes: list[Outcome] = []  # found while something else was done
        self._spares = Spares()
        self._barren = 0  # deaths in a row of workers that had done nothing yet
        self._tries = max(START_TRIES, ZYGOTE_TRIES * workers + 1)  # all at once may have died with their zygote
        self._home = os.getpid()
        self._wanted = wanted
        self._setting = _settings.current(max(1, cores // workers))
        define = Define(self._call, task.packed, task.keep_going, task.timeout, task.seed)
        self._crew = Crew(define, self._setting, workers)

    @property
    def flying(self) -> int:
        return sum(len(worker.held) for worker in self._crew) + len(self._outcomes)

    @property
    def ready(self) -> bool:
        return any(worker.ready for worker in self._crew)

    def open(self) -> None:
        if self._crew.is_open:
            return
        check_processes()
        if not pool().warm:
            pool().prepare(self._setting, needed_anyway(self._task))  # it comes up while the definition is made
        self._crew.open(make_definition(self._task))
        self._crew.muster(self._wanted)

    def room(self) -> bool:
        return self._crew.has_room(self.spare, self.depth)

    def submit(self, chunk: Chunk) -> None:
        worker = self._crew.choose(self.spare, self.depth)
        try:
            parcel = self._spares.pack(dump(chunk.items))
        except Exception:
            self._outcomes += unsendable(chunk, self._task.packed, lambda item: pack(dump([item])).close())
            return
        worker.dispatched += 1
        worker.held.append(Dispatch(worker.dispatched, chunk))
        try:
            worker.link.send(Work(self._call, worker.dispatched, chunk.start), parcel)
        except OSError:
            pass  # it is dead, which wait() will read
        finally:
            self._spares.sent(parcel, (worker, worker.dispatched))

    def wait(self, timeout: float | None) -> list[Outcome]:
        check_home(self._home)
        if not self._outcomes:
            self._receive(timeout)
        outcomes, self._outcomes = self._outcomes, []
        return outcomes

    def wake(self) -> None:
        self._crew.wake()

    def cancel(self, index: int) -> None:
        for worker in self._crew:
            if worker.held:
                _page.forbid(worker.page.slots, index)

    def close(self, grace: float) -> None:
        if os.getpid() != self._home:  # a fork has copied this, but not the workers
            return
        if sys.is_finalizing():
            grace = 0.0  # nothing can be imported any more, so nothing that arrives could be rebuilt
        try:
            self.cancel(0)
            deadline = time.perf_counter() + grace
            while any(worker.held for worker in self._crew) and (left := deadline - time.perf_counter()) > 0:
                self._receive(left)
        finally:
            self._spares.close()
            self._crew.dismiss()
            self._outcomes.clear()

    # --- what arrives ---

    def _receive(self, timeout: float | None) -> None:
        deadline = self._next_deadline()
        if deadline is not None:
            timeout = min(deadline, timeout) if timeout is not None else deadline
        for worker, frames in self._crew.listen(timeout):
            if frames is None:
                self._outcomes += self._mourn(worker)
                continue
            for frame in frames:
                self._handle(worker, frame)
        if deadline is not None:
            self._end_overdue()

    def _handle(self, worker: Worker, frame: Frame) -> None:
        message = frame.message
        if isinstance(message, Finished) and message.call == self._call:
            self._outcomes.append(self._done(worker, frame, message))
        elif isinstance(message, Report):
            relay(message)
            if isinstance(message, Output) and message.stream == "stderr":
                worker.words = (worker.words + message.text)[-WORDS_LIMIT:]
        elif isinstance(message, Hello):
            worker.process = message.pid
        elif isinstance(message, Need):
            self._answer_need(worker, message.name)
        elif isinstance(message, Unreadable) and message.call == self._call:
            self._outcomes.append(self._unreadable(worker, message))
        elif isinstance(message, Undefined) and message.call == self._call:
            self._outcomes += [Lost(dispatch.chunk, None, alone=False) for dispatch in worker.held]
            worker.held.clear()
            worker.definition = None
            self._outcomes.append(undefined(message.reason, message.error))

    def _done(self, worker: Worker, frame: Frame, message: Finished) -> Outcome:
        dispatch = worker.held.popleft()
        self._spares.back((worker, dispatch.number), message.in_use)
        self._barren = 0
        worker.words = ""
        chunk = dispatch.chunk
        payload = frame.payload
        assert payload is not None
        answer = Answer(message.failures, message.seconds, message.cpu, payload.size)
        return read_answer(chunk, answer, lambda: load(payload), str(worker))

    def _unreadable(self, worker: Worker, message: Unreadable) -> Outcome:
        chunk = worker.held.popleft().chunk
        return unreadable(chunk, self._task.packed, message.reason, str(worker))

    def _answer_need(self, worker: Worker, name: str) -> None:
        payload = look_up(name)
        parcel = None if payload is None else pack(payload)
        try:
            worker.link.send(Definition(), parcel)
        except OSError:
            return
        finally:
            if parcel is not None:
                parcel.close()

    # --- deaths ---

    def _mourn(self, worker: Worker) -> list[Outcome]:
        """Takes a dead worker out and reads from its page what it did."""
        slots = worker.page.slots
        number, phase, started = slots[_page.NUMBER], slots[_page.PHASE], slots[_page.STARTED]
        words = (worker.words + worker.page.text()).strip()
        exitcode = self._crew.bury(worker)
        outcomes: list[Outcome] = []
        innocent = worker.launcher.cut and worker.overdue is None
        barren = (bool(worker.held) or not worker.ready) and not innocent
        for dispatch in worker.held:
            if not innocent and dispatch.number == number and phase not in (_page.IDLE, _page.INITIALIZING):
                outcomes += self._lost(worker, dispatch.chunk, phase, started, exitcode)
                barren = False
            else:
                outcomes.append(Lost(dispatch.chunk, None, alone=False))
        self._barren = self._barren + 1 if barren else 0
        if self._barren >= self._tries:
            outcomes.append(Broken(WorkerCrashError(None, "", exitcode, words), elsewhere=phase == _page.IDLE))
        elif not worker.ready and not any(self._crew):
            self._crew.muster(1)
        return outcomes

    def _lost(self, worker: Worker, chunk: Chunk, phase: int, started: int, exitcode: int | None) -> list[Outcome]:
        if worker.overdue not in (None, (phase, started)):
            return [Lost(chunk, None, alone=False)]  # it had gone on to the next item when it was killed
        if phase == _page.RUNNING and started:
            position = started - 1
        elif len(chunk.items) == 1:
            position = 0
        else:
            return [Lost(chunk, None, alone=True)]
        index, arguments = chunk.start + position, self._show(chunk, position)
        if worker.overdue is not None and self._task.timeout is not None:
            error: Exception = ItemTimeoutError(index, arguments, self._task.timeout)
        else:
            error = WorkerCrashError(index, arguments, exitcode)
        return [Lost(chunk, Failure(chunk.start + position, error, str(worker)), alone=False)]

    # --- timeouts ---

    def _next_deadline(self) -> float | None:
        """Seconds until the first item is overdue; ``None``: there is no limit."""
        if self._task.timeout is None:
            return None
        now = time.monotonic_ns()
        overdue = [self._left(worker, now) for worker in self._crew if worker.overdue is None]
        return min(overdue, default=self._task.timeout)

    def _left(self, worker: Worker, now: int) -> float:
        """Seconds until what a worker does is overdue. Reading and answering are no part of the item, but must end."""
        assert self._task.timeout is not None
        slots = worker.page.slots
        phase = slots[_page.PHASE]
        if phase in (_page.IDLE, _page.INITIALIZING) or not worker.held:
            return self._task.timeout
        limit = self._task.timeout + (0.0 if phase == _page.RUNNING else TRANSIT_GRACE)
        return limit - (now - slots[_page.SINCE]) / 1e9

    def _end_overdue(self) -> None:
        now = time.monotonic_ns()
        for worker in self._crew:
            slots = worker.page.slots
            seen = slots[_page.PHASE], slots[_page.STARTED]
            if worker.overdue is None and self._left(worker, now) <= 0:
                worker.overdue = seen
                self._crew.kill(worker)

    # --- words ---

    def _show(self, chunk: Chunk, position: int) -> str:
        return show_arguments(chunk.items[position], self._task.packed)
