"""The warm pool: the worker processes of this process, kept from one call to the next.

A worker belongs to one call at a time, from `lease` to `release`; calls in several threads have different workers.
Whose it is stands in one table from its start until it is closed, and each change of that is one step: an
interrupt between any two lines leaves no worker that nobody knows of. Where there is no such step, interrupts are held
off.

The pool's lock guards the table and the launcher. It is held while workers are started, which takes microseconds here
(the launcher does the rest), and never while anyone waits for a worker.

After a fork, the child forgets the pool: it closes its copies of the descriptors, and its parent keeps the workers.
"""

import atexit
import os
import socket
import threading
from collections import deque
from itertools import count
from typing import NamedTuple

from parmap import _interrupts, _observe
from parmap._backends._processes import _page
from parmap._backends._processes._launcher import Launcher, ZygoteLauncher
from parmap._backends._processes._page import Page
from parmap._records import Chunk
from parmap._transport._links import Link, pair
from parmap._transport._messages import Hello, Setting
from parmap._transport._reports import Report, relay
from parmap._transport._tasks import Stamp
from parmap._tuning import EXIT_STATUS_WAIT, ZYGOTE_TRIES


class Dispatch(NamedTuple):
    """A chunk in the hands of a worker."""

    number: int
    chunk: Chunk


class Worker:
    """The caller's side of a worker process. It belongs to the thread that has leased it.

    Attributes:
        ready: Whether it has said hello.
        held: What it has been given and has not answered, in order.
        dispatched: How many chunks it has been given.
        setting: The surroundings that it was told last.
        definition: The key of the definition that it was told last.
        stamps: Which versions of the user's modules it has imported, or may have.
        words: The end of what it has written to its standard error since its last answer.
        overdue: What its page said of the item that it was killed for: the phase and the number in the chunk.
    """

    def __init__(self, number: int, link: Link, page: Page, launcher: Launcher) -> None:
        self.number = number
        self.link = link
        self.page = page
        self.launcher = launcher
        self.setting: Setting | None = None
        self.process: int | None = None
        self.held: deque[Dispatch] = deque()
        self.dispatched = 0
        self.definition: object = None
        self.stamps: dict[str, Stamp] = {}
        self.words = ""
        self.overdue: tuple[int, int] | None = None

    @property
    def ready(self) -> bool:
        return self.process is not None

    def __str__(self) -> str:
        return f"worker {self.number}" + (f" (process {self.process})" if self.ready else "")

    def is_alive(self) -> bool:
        """Whether an idle worker is still there, going by its link. What it has said meanwhile is heard."""
        if self.link.fileno() < 0:
            return False
        frames = self.link.receive(socket.MSG_DONTWAIT)
        for frame in frames or ():
            if isinstance(frame.message, Report):
                relay(frame.message)
            elif isinstance(frame.message, Hello):
                self.process = frame.message.pid
        return frames is not None

    def is_outdated(self, stamps: dict[str, Stamp]) -> bool:
        """Whether a module that is needed has changed since this worker imported it."""
        return any(self.stamps.get(name, stamp) != stamp for name, stamp in stamps.items())

    def close(self) -> None:
        """Hangs up. An idle worker then ends by itself."""
        self.link.close()
        self.page.close()


class Pool:
    """Idle workers and what starts new ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._launcher: Launcher | None = None
        self._forking = _observe.may_fork()  # whether workers are forked by a zygote or started directly
        self._proven = False  # whether a worker of the last launcher was up
        self._in_vain = 0  # zygotes in a row that died before that
        self._owners: dict[Worker, object] = {}  # each worker, and who has leased it; None: it is idle
        self._closing = False  # when the last worker has come back
        self._exiting = False
        self._numbers = count(1)

    @property
    def warm(self) -> bool:
        """Whether workers are waiting for a call."""
        return bool(self.leased(None))

    def prepare(self, setting: Setting, modules: tuple[str, ...]) -> None:
        """Starts what starts workers, if no worker is there, so that it comes up while the call is being prepared.

        Raises:
            OSError: It cannot be started.
        """
        with self._lock:
            if not self.leased(None) and self._launcher is None:
                self._start_launcher(setting).preload(modules)

    def leased(self, owner: object) -> list[Worker]:
        """The workers that an owner has; ``None``: those that are idle."""
        return [worker for worker, each in list(self._owners.items()) if each is owner]

    def lease(self, owner: object, setting: Setting, modules: tuple[str, ...] = ()) -> Worker:
        """Takes a worker that is idle, or starts one.

        Args:
            owner: Whose it is until it is given back.
            setting: The surroundings that a new worker starts with.
            modules: Modules that a new worker will need.

        Raises:
            OSError: A worker cannot be started.
        """
        with self._lock:
            if self._exiting and threading.current_thread() is not threading.main_thread():
                raise SystemExit("the interpreter is shutting down")  # which ends a daemon thread without a word
            self._closing = False
            for worker in reversed(self.leased(None)):
                self._owners[worker] = owner
                if worker.is_alive():
                    return worker
                self._forget(worker)  # it died while it was idle, which costs nothing
            return self._start(owner, setting, modules)

    def release(self, worker: Worker) -> None:
        """Gives an idle worker back."""
        with self._lock:
            if self._closing or worker not in self._owners:
                self._forget(worker)
            else:
                self._owners[worker] = None
            self._returned(worker)

    def discard(self, worker: Worker) -> None:
        """Ends a worker, whatever it does."""
        with self._lock:
            worker.launcher.kill(worker.number)
            self._forget(worker)
            self._returned(worker)

    def kill(self, worker: Worker) -> None:
        """Kills a worker; that it is gone is then read from its link."""
        with self._lock:
            worker.launcher.kill(worker.number)

    def bury(self, worker: Worker) -> int | None:
        """Forgets a worker whose link has ended; returns its exit code, if it can be learnt."""
        with self._lock:
            worker.close()
            exitcode = worker.launcher.exitcode(worker.number, EXIT_STATUS_WAIT)
            self._forget(worker)
            self._returned(worker)
            return exitcode

    def _forget(self, worker: Worker) -> None:
        worker.close()
        self._owners.pop(worker, None)

    def _returned(self, worker: Worker) -> None:
        self._proven = self._proven or worker.ready
        if self._closing:
            self._close_launcher()

    def close(self) -> None:
        """Ends the idle workers now, and those of running calls when their calls end."""
        with self._lock:
            for worker in self.leased(None):
                self._forget(worker)
            self._closing = True
            self._close_launcher()

    def exit(self) -> None:
        """Ends all workers, also those of calls that will never end, because the interpreter does."""
        with self._lock:
            for worker in self.leased(None):
                self._forget(worker)
            self._owners.clear()
            self._exiting = True
            self._close_launcher()

    def _close_launcher(self) -> None:
        if self._launcher is not None and not self._owners:
            with _interrupts.held():
                self._launcher.close()
                self._launcher = None
                self._closing = False

    def abandon(self) -> None:
        """Lets go of workers that belong to the process that this one was forked from."""
        for worker in self._owners:
            worker.close()
            worker.launcher.abandon()
        if self._launcher is not None:
            self._launcher.abandon()

    def _start(self, owner: object, setting: Setting, modules: tuple[str, ...]) -> Worker:
        while True:
            launcher = self._launcher or self._start_launcher(setting)
            try:
                launcher.preload(modules)
                return self._start_one(owner, launcher)
            except ConnectionError:  # the zygote has died, and its workers live on with what is left of it
                self._launcher = None
                proven = self._proven or any(each.ready for each in self._owners if each.launcher is launcher)
                self._in_vain = 0 if proven else self._in_vain + 1
                self._forking = self._in_vain < ZYGOTE_TRIES

    def _start_launcher(self, setting: Setting) -> Launcher:
        self._proven = False
        with _interrupts.held():  # nobody would wait for a process that was started in vain
            self._launcher = ZygoteLauncher(setting) if self._forking else _direct_launcher(setting)
        return self._launcher

    def _start_one(self, owner: object, launcher: Launcher) -> Worker:
        with _interrupts.held():
            link, theirs = pair()
            try:
                page, descriptor = _page.create()
                try:
                    with theirs:
                        launcher.start(number := next(self._numbers), theirs, descriptor)
                finally:
                    os.close(descriptor)
            except BaseException:
                link.close()
                raise
            worker = Worker(number, link, page, launcher)
            self._owners[worker] = owner
            return worker


def _direct_launcher(setting: Setting) -> Launcher:
    from parmap._backends._processes._direct import DirectLauncher  # few systems need it

    return DirectLauncher(setting)


class _Holder:
    """Holds the pool of this process, made when it is first needed."""

    def __init__(self) -> None:
        self.pool: Pool | None = None
        self._lock = threading.Lock()
        self._registered = False

    def get(self) -> Pool:
        with self._lock:
            if self.pool is None:
                self.pool = Pool()
            if not self._registered:
                atexit.register(self.exit)
                os.register_at_fork(after_in_child=self.forget)
                self._registered = True
            return self.pool

    def exit(self) -> None:
        if self.pool is not None:
            self.pool.exit()

    def forget(self) -> None:
        self._lock = threading.Lock()
        if self.pool is not None:
            self.pool.abandon()
            self.pool = None


_holder = _Holder()


def pool() -> Pool:
    """The pool of this process."""
    return _holder.get()


def is_warm() -> bool:
    """Whether workers are waiting for a call."""
    return _holder.pool is not None and _holder.pool.warm


def shutdown() -> None:
    """Ends the idle workers of this process."""
    if _holder.pool is not None:
        _holder.pool.close()
