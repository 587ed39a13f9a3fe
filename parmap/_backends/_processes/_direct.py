"""Workers without a zygote: each is a fresh interpreter, started by the caller's process itself.

For systems where a process must not fork even if it is clean, and for when no zygote stays alive. Starting a worker
takes some 50 ms of computing instead of one or two, but all that are started come up at the same time.

Guarantees:

- Nobody but the caller's process can wait for its children. It waits for those started here by their numbers, never
  for just any child. If other code of the program does (``os.wait()``), how a worker ended is not known.
- A number belongs to a worker until somebody has waited for it. So a worker is killed only right after it was found
  to be there and not yet waited for.
- A worker is waited for without a limit only when it has been killed and its sentinel, a pipe that nobody else holds
  open, has ended: then the kernel is done with it. One that the kernel holds on to is looked for later.
"""

import fcntl
import os
import select
import signal
import socket
import sys

from parmap import _settings
from parmap._backends._processes._launcher import interpreter
from parmap._transport import _lifeline
from parmap._transport._messages import Setting
from parmap._tuning import SHUTDOWN_WAIT

# The descriptors of a worker: its socket, its progress page, its lifeline, and its end of the sentinel.
_SOCKET, _PAGE, _LIFELINE, _ = _DESCRIPTORS = range(3, 7)


class DirectLauncher:
    """Starts workers with `os.posix_spawn` and is their parent."""

    cut = False  # each is killed by itself

    def __init__(self, setting: Setting) -> None:
        self._environ = _settings.environment(setting)
        self._pids: dict[int, int] = {}  # number: process, of those that nobody has waited for
        self._sentinels: dict[int, int] = {}
        self._exitcodes: dict[int, int] = {}
        self._reading = self._writing = -1
        self._reading, self._writing = _lifeline.create()

    def preload(self, modules: tuple[str, ...]) -> None:
        """A worker imports what it needs when it is told what that is, which is as soon as it is up."""

    def start(self, number: int, end: socket.socket, page: int) -> None:
        for left in list(self._pids):
            self._is_there(left)  # those that left because nobody needed them are waited for
        self._sentinels[number], sentinel = os.pipe()
        try:
            self._spawn(number, (end.fileno(), page, self._reading, sentinel))
        except BaseException:
            if number not in self._pids:
                os.close(self._sentinels.pop(number))
            raise
        finally:
            os.close(sentinel)

    def _spawn(self, number: int, descriptors: tuple[int, ...]) -> None:
        actions: list[tuple[object, ...]] = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)]
        copies: list[int] = []
        try:
            for target, descriptor in zip(_DESCRIPTORS, descriptors, strict=True):
                # A copy with a number above all targets: none of them replaces one that is still to be copied.
                copies.append(fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _DESCRIPTORS.stop))
                actions.append((os.POSIX_SPAWN_DUP2, copies[-1], target))
            start = interpreter(__name__, actions, str(number))
            self._pids.update(zip((number,), map(start, (self._environ,)), strict=True))
        finally:
            for copy in copies:
                os.close(copy)

    def kill(self, number: int) -> None:
        if self._is_there(number):
            os.kill(self._pids[number], signal.SIGKILL)
            self._wait(number, SHUTDOWN_WAIT)

    def exitcode(self, number: int, timeout: float) -> int | None:
        # Its link has ended, so it has ended too, or is of no use. If it is ending, a signal changes nothing any more.
        if self._is_there(number):
            os.kill(self._pids[number], signal.SIGKILL)
            self._wait(number, timeout)
        return self._exitcodes.pop(number, None)

    def close(self) -> None:
        for number in list(self._pids):
            if self._is_there(number):
                os.kill(self._pids[number], signal.SIGKILL)
        for number in list(self._pids):
            self._wait(number, SHUTDOWN_WAIT)
        self.abandon()

    def abandon(self) -> None:
        self._pids.clear()
        while self._sentinels:
            os.close(self._sentinels.popitem()[1])
        if self._writing >= 0:
            os.close(self._reading)
            os.close(self._writing)
            self._reading = self._writing = -1

    def __del__(self) -> None:
        # An interrupt may have come when this was made and nobody had it yet.
        self.close()

    def _is_there(self, number: int) -> bool:
        """Whether a worker is still to be waited for, because it runs or is just ending."""
        return number in self._pids and not self._reap(number, os.WNOHANG)

    def _wait(self, number: int, timeout: float) -> None:
        """Waits at most ``timeout`` seconds for a worker that was killed."""
        poll = select.poll()
        poll.register(self._sentinels[number], select.POLLIN)
        ended = poll.poll(timeout * 1000)
        self._reap(number, 0 if ended else os.WNOHANG)  # a process that it has forked may hold the sentinel open

    def _reap(self, number: int, options: int) -> bool:
        """Learns how a worker ended; false: it has not yet."""
        try:
            found, status = os.waitpid(self._pids[number], options)
        except ChildProcessError:  # someone else has waited for it
            found = -1
        else:
            if found:
                self._exitcodes[number] = os.waitstatus_to_exitcode(status)
        if found:
            del self._pids[number]
            os.close(self._sentinels.pop(number))
        return bool(found)


def main() -> None:
    """Runs in an interpreter that was started to be a worker."""
    from parmap._backends._processes import _child

    signal.signal(signal.SIGINT, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    for descriptor in _DESCRIPTORS:
        os.set_inheritable(descriptor, False)
    _child.main(int(sys.argv[2]), socket.socket(fileno=_SOCKET), _PAGE, _LIFELINE)
