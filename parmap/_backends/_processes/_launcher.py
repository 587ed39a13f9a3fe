"""Starting workers, ending them, and learning how they ended.

`ZygoteLauncher` has them forked by a zygote (see `_zygote`); `_direct` has the other way.
"""

import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from parmap import _interrupts, _settings
from parmap._transport import _lifeline
from parmap._transport._links import pair
from parmap._transport._messages import Exited, Kill, Preload, Setting, Start
from parmap._tuning import SHUTDOWN_WAIT

_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from {module} import main; main()"
_ZYGOTE = "parmap._backends._processes._zygote"


class Launcher(Protocol):
    """Starts and ends workers, which it knows by their numbers. One thread at a time uses it."""

    def preload(self, modules: tuple[str, ...]) -> None:
        """Lets the workers to come have these modules from the start, if it can.

        Only installed modules: what a module of the user makes when it is imported, a generator of random numbers for
        one, each worker is to have by itself.
        """
        ...

    def start(self, number: int, end: socket.socket, page: int) -> None:
        """Starts a worker with a socket and a progress page. Raises ``OSError`` if it cannot."""
        ...

    @property
    def cut(self) -> bool:
        """Whether all its workers were ended at once, those that nobody had asked it to kill too."""
        ...

    def kill(self, number: int) -> None:
        """Kills a worker. Does nothing if it has ended. Kills all of them if there is no other way."""
        ...

    def exitcode(self, number: int, timeout: float) -> int | None:
        """How a worker that has ended did so; ``None``: not known. Waits at most ``timeout`` seconds."""
        ...

    def close(self) -> None:
        """Kills all workers and leaves nothing behind."""
        ...

    def abandon(self) -> None:
        """Lets go of workers that belong to another process, the one that this one was forked from."""
        ...


def interpreter(
    module: str, file_actions: Sequence[tuple[Any, ...]], *arguments: str
) -> Callable[[dict[str, str]], int]:
    """What starts a fresh interpreter that runs ``main()`` of a module of ours: it takes the environment, gives the pid.

    An interrupt may come between any two steps of Python code. So that there is none between the start and the note
    of it, call it through a `map` that the note is made of.
    """
    package_root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(__file__))))
    boot = _BOOT.format(module=module)
    return partial(
        os.posix_spawn,
        sys.executable,
        [sys.executable, *_interpreter_options(), "-P", "-c", boot, package_root, *arguments],
        file_actions=file_actions,
        setsigmask=[signal.SIGINT],  # until it has said what it does with it
    )


def _interpreter_options() -> list[str]:
    """The options of this interpreter that change how code runs, for another one to run it the same way."""
    flags = sys.flags
    options = ["-" + "O" * flags.optimize] if flags.optimize else []
    letters = {"B": flags.dont_write_bytecode, "E": flags.ignore_environment, "s": flags.no_user_site}
    letters.update({"S": flags.no_site, "I": flags.isolated, "b": flags.bytes_warning})
    options += ["-" + letter for letter, on in letters.items() if on]
    options += [f"-W{each}" for each in sys.warnoptions]
    for name, value in sys._xoptions.items():  # noqa: SLF001 - documented, its name notwithstanding
        options += ["-X", name if value is True else f"{name}={value}"]
    return options


class ZygoteLauncher:
    """The front of a zygote.

    What the zygote reports is read whenever there is something to say to it, so that it never blocks on us.
    """

    def __init__(self, setting: Setting) -> None:
        self._exitcodes: dict[int, int] = {}
        self._preloaded: set[str] = set()
        self._processes: list[int] = []  # the zygote's number, once it has been started
        reading, self._lifeline = _lifeline.create()
        self._control, theirs = pair()
        try:
            with theirs:
                start = interpreter(_ZYGOTE, [(os.POSIX_SPAWN_DUP2, theirs.fileno(), 0)])
                self._processes.extend(map(start, [_settings.environment(setting)]))
            self._control.send(setting, None, (reading,))
        except BaseException:
            self.abandon()
            self._reap()
            raise
        finally:
            os.close(reading)

    @property
    def cut(self) -> bool:
        return self._lifeline < 0

    def preload(self, modules: tuple[str, ...]) -> None:
        fresh = [name for name in modules if name not in self._preloaded]
        if fresh:
            self._preloaded.update(fresh)
            self._send(Preload(tuple(fresh)))

    def start(self, number: int, end: socket.socket, page: int) -> None:
        self._send(Start(number), (end.fileno(), page))

    def kill(self, number: int) -> None:
        if self.cut:
            return
        try:
            self._send(Kill(number))
        except OSError:  # without their zygote, workers end when their lifeline is cut
            self._cut()

    def exitcode(self, number: int, timeout: float) -> int | None:
        there = self._read()
        while there and number not in self._exitcodes:
            there = bool(select.select([self._control], [], [], timeout)[0]) and self._read()
        return self._exitcodes.pop(number, None)

    def close(self) -> None:
        try:
            self._control.socket.shutdown(socket.SHUT_WR)
            while select.select([self._control], [], [], SHUTDOWN_WAIT)[0]:
                if not self._read():
                    break
            else:
                os.kill(self._processes[0], signal.SIGKILL)
        except OSError:  # it is gone already
            pass
        finally:
            self.abandon()
            self._reap()

    def _reap(self) -> None:
        """Waits for the zygote, which ends because nobody is at the other end of its socket."""
        while self._processes:
            try:
                os.waitpid(self._processes.pop(), 0)
            except ChildProcessError:  # someone else has waited for it
                continue

    def __del__(self) -> None:
        # An interrupt may have come when this was made and nobody had it yet.
        self.abandon()
        self._reap()

    def abandon(self) -> None:
        self._control.close()
        self._cut()

    def _cut(self) -> None:
        if not self.cut:
            os.close(self._lifeline)
            self._lifeline = -1

    def _send(self, message: object, descriptors: tuple[int, ...] = ()) -> None:
        self._read()
        with _interrupts.held():
            self._control.send(message, None, descriptors)

    def _read(self) -> bool:
        """Reads what the zygote has reported; false: it is gone."""
        try:
            frames = self._control.receive(socket.MSG_DONTWAIT)
        except OSError:  # it was closed at this end
            return False
        for frame in frames or ():
            message: Exited = frame.message
            self._exitcodes[message.number] = message.exitcode
        return frames is not None
