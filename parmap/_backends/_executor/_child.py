"""What a worker of the executor does: it is told once what the call is about, and then runs chunks."""

import os
import signal
import threading
from collections.abc import Sequence
from contextvars import Context
from multiprocessing import parent_process
from typing import NamedTuple, TypeAlias

from parmap import _cores, _nesting, _settings
from parmap._errors import in_words
from parmap._records import Chunk, Task
from parmap._transport._exceptions import pack_error
from parmap._transport._links import Payload
from parmap._transport._messages import PackedErrors, PackedFailure, Setting
from parmap._transport._outcomes import make_answer
from parmap._transport._output import speakers
from parmap._transport._pickling import dump, load
from parmap._transport._reports import Report, Reporter
from parmap._worker import initialize, run_chunk


class Carried(NamedTuple):
    """A payload as plain values, for a pipe."""

    body: bytes
    buffers: list[bytearray]

    def payload(self) -> Payload:
        """The payload again."""
        return Payload(self.body, [memoryview(each) for each in self.buffers])


class Brief(NamedTuple):
    """What a worker is told once."""

    definition: Carried  # the function and the initializer
    packed: bool
    keep_going: bool
    seed: int | None
    setting: Setting


class Finished(NamedTuple):
    """What became of a chunk."""

    values: Carried
    failures: Sequence[PackedFailure]
    seconds: float
    cpu: float


class Unreadable(NamedTuple):
    """The items of a chunk could not be rebuilt."""

    reason: str


class Undefined(NamedTuple):
    """The function could not be rebuilt or, with an error, the initializer failed."""

    reason: str
    error: PackedErrors | None


Result: TypeAlias = Finished | Unreadable | Undefined


class Reply(NamedTuple):
    """A worker's answer, and what was printed, logged and warned of meanwhile."""

    worker: str
    said: list[Report]
    result: Result


def carry(payload: Payload) -> Carried:
    """A payload as plain values."""
    return Carried(bytes(payload.body), [bytearray(each) for each in payload.buffers])


class _Worker:
    def __init__(self, brief: Brief) -> None:
        self._brief = brief
        self._name = f"a worker process ({os.getpid()})"
        self._task: Task | None = None
        self._undefined: Undefined | None = None
        self._said: list[Report] = []
        self._speakers = speakers(self._said.append)
        reporter = Reporter(self._said.append)
        if brief.setting.logs is not None:
            reporter.log_at(brief.setting.logs)

    def run(self, start: int, items: Carried) -> Reply:
        if self._task is None and self._undefined is None:
            self._define()
        result = self._run(self._task, start, items) if self._task is not None else self._undefined
        assert result is not None
        for speaker in self._speakers:
            speaker.finish()
        said = self._said[:]
        self._said.clear()
        return Reply(self._name, said, result)

    def _define(self) -> None:
        brief = self._brief
        try:
            with _nesting.loading():
                func, initializer = load(brief.definition.payload())
        except Exception as error:
            self._undefined = Undefined(in_words(error), None)
            return
        task = Task(func, brief.packed, brief.keep_going, initializer, None, brief.seed, Context())
        try:
            initialize(task, self._name)
        except BaseException as error:
            self._undefined = Undefined("its initializer failed", pack_error(error))
        else:
            self._task = task

    def _run(self, task: Task, start: int, carried: Carried) -> Result:
        try:
            with _nesting.loading():
                items = load(carried.payload())
        except Exception as error:
            return Unreadable(in_words(error))
        done = run_chunk(task, Chunk(start, items), self._name, [0], lambda _: True)
        values, failures = make_answer(done, self._name, lambda value: carry(dump(value, back=True)), lambda _: None)
        return Finished(values, failures, done.seconds, done.cpu)


_workers: list[_Worker] = []  # the one of this process


def begin(brief: Brief) -> None:
    """Makes this process a worker."""
    signal.signal(signal.SIGINT, lambda *_: None)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _cores.set_share(brief.setting.cores)
    _nesting.enter(brief.setting.level)
    _settings.apply(brief.setting)
    _workers.append(_Worker(brief))


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def say_hello() -> None:
    """Is run by the first worker that is up."""


def run(start: int, items: Carried) -> Reply:
    """Runs the items of a chunk."""
    return _workers[0].run(start, items)
