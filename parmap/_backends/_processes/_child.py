"""What a worker process does, from its start to its end.

It has one thread, one socket and one progress page, and nothing of it is shared with another worker. It reads a
message, does what it says and answers; when the socket ends, so does it.
"""

import gc
import os
import random
import signal
import socket
import sys
import threading
import types
from collections import deque
from collections.abc import Callable
from contextvars import Context
from functools import reduce
from time import monotonic_ns
from typing import Any, NoReturn

from parmap import _cores, _nesting, _settings
from parmap._backends._processes import _page
from parmap._backends._processes._page import Overheard, Page
from parmap._errors import in_words
from parmap._records import Chunk, Task
from parmap._transport import _lifeline
from parmap._transport._exceptions import pack_error
from parmap._transport._links import Frame, Link, Parcel, pack
from parmap._transport._messages import (
    Define,
    Definition,
    End,
    Finished,
    Hello,
    Need,
    Setting,
    Undefined,
    Unreadable,
    Work,
)
from parmap._transport._outcomes import make_answer
from parmap._transport._output import speakers
from parmap._transport._pickling import dump, load
from parmap._transport._reports import Reporter, forget_warnings
from parmap._tuning import IDLE_LIFE
from parmap._worker import initialize, run_chunk


def main(number: int, end: socket.socket, page: int, lifeline: int) -> NoReturn:
    """Serves until the caller hangs up, and ends the process."""
    code = 1
    try:
        # A handler, where SIG_IGN would do, because programs that the user's function starts would inherit that.
        signal.signal(signal.SIGINT, lambda *_: None)
        _lifeline.hold(lifeline)
        _Child(number, Link(end), Page(page), Overheard(page)).serve()
        code = 0
    except BrokenPipeError:
        code = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        os._exit(code)


def _reseed() -> None:
    """Gives this worker random numbers of its own, where the fork has left it those of its brothers."""
    random.seed()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


class _HungUp(BaseException):
    """The caller closed the socket; nothing that runs in between has a say in it."""


class _Sender:
    """Sends messages from any thread of a worker: the user's function may print in each of them, at any time.

    Also in the middle of sending another one, when the garbage collector runs a finalizer there: that message waits.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lock = threading.Lock()
        self._sender = 0  # the thread that is sending
        self._late: deque[object] = deque()

    def send(self, message: object, parcel: Parcel | None = None) -> None:
        if self._sender == threading.get_ident():
            self._late.append(message)
            return
        with self._lock:
            self._sender = threading.get_ident()
            try:
                self._link.send(message, parcel)
                while self._late:
                    self._link.send(self._late.popleft())
            finally:
                self._sender = 0


class _Inbox:
    """The frames that have arrived, one at a time."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._frames: deque[Frame] = deque()

    def next(self, patience: float | None = None) -> Frame:
        """The next frame.

        Raises:
            _HungUp: There will be none, or none has come for ``patience`` seconds.
        """
        while not self._frames:
            self._link.socket.settimeout(patience)
            try:
                frames = self._link.receive()
            except TimeoutError:
                frames = None  # nobody has needed this worker for long
            finally:
                self._link.socket.settimeout(None)
            if frames is None:
                raise _HungUp
            self._frames.extend(frames)
        return self._frames.popleft()

    def put_back(self, frames: list[Frame]) -> None:
        """Has them come again, before all others."""
        self._frames.extendleft(reversed(frames))


class _Child:
    def __init__(self, number: int, link: Link, page: Page, overheard: Overheard) -> None:
        self._inbox = _Inbox(link)
        self._send = _Sender(link).send
        self._page = page
        self._overheard = overheard
        self._name = f"worker {number} (process {os.getpid()})"
        self._call = -1
        self._task: Task | None = None
        self._initialized = False
        self._main = types.ModuleType("__main__")
        self._speakers = speakers(self._send)
        self._reporter = Reporter(self._send)
        self._forks = 0  # of this process: a child of it has views of its own of what is mapped here

    def serve(self) -> None:
        os.register_at_fork(before=self._note_fork)
        _reseed()
        gc.enable()
        self._send(Hello(os.getpid()))
        handlers: dict[type, Callable[[Frame], None]] = {
            Setting: self._apply,
            Define: self._define,
            Work: self._work,
            End: self._end,
        }
        try:
            while True:
                frame = self._inbox.next(IDLE_LIFE)
                handlers[type(frame.message)](frame)
                del frame  # while it waits, a worker keeps no items
        except _HungUp:
            return

    def _apply(self, frame: Frame) -> None:
        setting: Setting = frame.message
        _cores.set_share(setting.cores)
        _nesting.enter(setting.level)
        _settings.apply(setting)
        if setting.logs is not None:
            self._reporter.log_at(setting.logs)

    def _define(self, frame: Frame) -> None:
        define: Define = frame.message
        self._call = define.call
        self._initialized = False
        forget_warnings()
        func: Any = None
        initializer: Any = None
        if frame.payload is not None:
            self._task = None
            self._main = sys.modules["__main__"] = types.ModuleType("__main__")
            try:
                with _nesting.loading():
                    func, initializer = load(frame.payload, self._find)
            except Exception as error:
                self._send(Undefined(define.call, in_words(error), None))
                return
            finally:
                self._overheard.release()
        elif self._task is not None:
            func, initializer = self._task.func, self._task.initializer
        self._task = Task(func, define.packed, define.keep_going, initializer, define.timeout, define.seed, Context())

    def _end(self, frame: Frame) -> None:
        self._task = None
        self._main = sys.modules["__main__"] = types.ModuleType("__main__")
        gc.collect()  # a function and the namespace that it is in hold each other

    def _find(self, name: str) -> Any:
        """An object of the caller's `__main__`, by its qualified name."""
        first, *rest = name.split(".")
        if not hasattr(self._main, first):
            setattr(self._main, first, self._ask(first))
        return reduce(getattr, rest, getattr(self._main, first))

    def _ask(self, name: str) -> Any:
        self._send(Need(name))
        waiting: list[Frame] = []
        while not isinstance((frame := self._inbox.next()).message, Definition):
            waiting.append(frame)
        self._inbox.put_back(waiting)
        if frame.payload is None:
            raise AttributeError(f"module '__main__' has no attribute {name!r}")
        return load(frame.payload, self._find)

    def _work(self, frame: Frame) -> None:
        work: Work = frame.message
        slots = self._page.slots
        slots[_page.STARTED] = 0
        slots[_page.NUMBER] = work.number
        if self._task is None or frame.payload is None or work.call != self._call:
            return  # the function could not be rebuilt, which was said
        if not self._initialized and not self._initialize(self._task):
            return
        self._enter(_page.READING)
        try:
            with _nesting.loading():
                items = load(frame.payload, self._find)
        except Exception as error:
            self._send(Unreadable(work.call, work.number, in_words(error)))
            self._enter(_page.IDLE)
            return
        forks = self._forks
        finished, parcel = self._run(self._task, work, items)
        del items  # the last who looks at the memory that they came in, unless the function has kept something
        in_use = not frame.payload.release() or self._forks > forks
        try:
            self._send(finished._replace(in_use=in_use), parcel)
        finally:
            parcel.close()
        self._enter(_page.IDLE)

    def _run(self, task: Task, work: Work, items: list[Any]) -> tuple[Finished, Parcel]:
        slots = self._page.slots
        self._enter(_page.RUNNING)

        def go_on(done: int) -> bool:
            slots[_page.SINCE] = monotonic_ns()
            return _page.allowed(slots, work.start + done)

        done = run_chunk(task, Chunk(work.start, items), self._name, slots, go_on)
        self._enter(_page.ANSWERING)
        for speaker in self._speakers:
            speaker.finish()
        parcel, failures = make_answer(done, self._name, lambda value: pack(dump(value, back=True)), Parcel.close)
        return Finished(work.call, work.number, failures, done.seconds, done.cpu, in_use=False), parcel

    def _note_fork(self) -> None:
        self._forks += 1

    def _enter(self, phase: int) -> None:
        self._page.slots[_page.SINCE] = monotonic_ns()
        self._page.slots[_page.PHASE] = phase

    def _initialize(self, task: Task) -> bool:
        self._initialized = True
        if task.initializer is not None:
            self._enter(_page.INITIALIZING)
        try:
            initialize(task, self._name)
        except BaseException as error:
            self._task = None
            self._send(Undefined(self._call, "its initializer failed", pack_error(error)))
            return False
        return True
