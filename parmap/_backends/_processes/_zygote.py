"""The zygote: a fresh interpreter that forks workers.

It has exactly one thread and nothing of the user's process, so a fork of it is safe and takes about a millisecond.
It does what its control socket says: start a worker, kill one, import modules that the workers to come will need; it
reports how each worker ended. When the control socket ends, it kills its workers and leaves.

Guarantees: a worker is reaped here and nowhere else, so the process that `Kill` names is still that worker or already
reaped, never a stranger. A worker starts with no descriptor of another worker, so an end of a socket is seen at once.
"""

import gc
import importlib
import os
import select
import signal
import socket
import sys

from parmap import _nesting, _settings
from parmap._backends._processes import _child
from parmap._transport._links import Frame, Link
from parmap._transport._messages import Exited, Kill, Preload, Setting, Start


def main() -> None:
    """Runs in an interpreter whose standard input is the control socket."""
    gc.disable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    control = Link(socket.socket(fileno=os.dup(0)))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    _Zygote(control).serve()


class _Zygote:
    def __init__(self, control: Link) -> None:
        self._control = control
        self._workers: dict[int, int] = {}  # number: process
        self._lifeline = -1
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)

    def serve(self) -> None:
        """Obeys until the caller hangs up."""
        poll = select.poll()
        poll.register(self._control.fileno(), select.POLLIN)
        poll.register(self._reading, select.POLLIN)
        try:
            while True:
                ready = dict(poll.poll())
                if self._reading in ready:
                    os.read(self._reading, 1024)
                    self._reap()
                if self._control.fileno() in ready:
                    frames = self._control.receive()
                    if frames is None:
                        return
                    for frame in frames:
                        self._obey(frame)
        except ConnectionError:
            return
        finally:
            for process in self._workers.values():
                os.kill(process, signal.SIGKILL)
            for process in self._workers.values():
                os.waitpid(process, 0)
            self._control.close()

    def _obey(self, frame: Frame) -> None:
        match frame.message:
            case Setting():
                _settings.apply(frame.message)
                if frame.descriptors:
                    (self._lifeline,) = frame.descriptors
            case Preload(modules):
                _preload(modules)
            case Start(number):
                self._start(number, *frame.descriptors)
            case Kill(number) if number in self._workers:
                os.kill(self._workers[number], signal.SIGKILL)

    def _start(self, number: int, end: int, page: int) -> None:
        gc.freeze()  # what is here now stays shared: the collector of a worker does not write to it
        process = os.fork()
        if process == 0:
            try:
                self._become_worker(number, end, page)
            finally:
                os._exit(1)  # whatever happens, never back into the zygote's loop
        self._workers[number] = process
        os.close(end)
        os.close(page)

    def _become_worker(self, number: int, end: int, page: int) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self._reading)
        os.close(self._writing)
        self._control.close()
        _child.main(number, socket.socket(fileno=end), page, self._lifeline)

    def _reap(self) -> None:
        for number, process in list(self._workers.items()):
            found, status = os.waitpid(process, os.WNOHANG)
            if found:
                del self._workers[number]
                self._control.send(Exited(number, os.waitstatus_to_exitcode(status)))


def _preload(modules: object) -> None:
    """Imports what it can; a module that fails is left to the worker, where its error has a reader."""
    for name in modules if isinstance(modules, tuple) else ():
        try:
            with _nesting.loading():
                importlib.import_module(name)
        except BaseException:
            sys.modules.pop(name, None)


if __name__ == "__main__":
    main()
