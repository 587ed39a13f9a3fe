"""A `ProcessPoolExecutor` that is ended at once and can tell how its workers ended.

Guarantees: a pool that was closed or buried has no process and no thread left. The interpreter does not wait for
items of pools that are open when it ends: their workers are killed.
"""

import os
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any
from weakref import WeakSet

from parmap import _interrupts
from parmap._backends._executor._child import Brief, begin, say_hello
from parmap._nesting import WORKER_NAME


def missing_script() -> str | None:
    """The file that multiprocessing would have a worker import, if it is not there: a script on standard input."""
    main = sys.modules["__main__"]
    path = getattr(main, "__file__", None) if getattr(main, "__spec__", None) is None else None
    return None if path is None or os.path.exists(path) else path


class _Context(SpawnContext):
    """How the executor starts processes; remembers them."""

    def __init__(self) -> None:
        super().__init__()
        self.processes: list[SpawnProcess] = []

    def Process(self, *args: Any, **options: Any) -> SpawnProcess:  # type: ignore[override]  # noqa: N802 - its name
        """A new process, by whose name `_nesting` knows that it is a worker."""
        process = SpawnProcess(*args, **{**options, "name": WORKER_NAME})
        self.processes.append(process)
        return process


class Pool:
    """The executor and its processes.

    Attributes:
        size: How many workers there may be.
        up: Ends when the first worker is there.
    """

    def __init__(self, size: int, brief: Brief) -> None:
        self.size = size
        self._context = _Context()
        with _interrupts.blocked():
            self.executor = ProcessPoolExecutor(size, self._context, begin, (brief,))
            _open_pools.add(self)
            try:
                self.up = self.executor.submit(say_hello)
            except BaseException:
                self.close()
                raise

    @property
    def was_up(self) -> bool:
        """Of a pool that has ended: whether a worker was ever there."""
        return self.up.exception() is None

    def bury(self) -> int | None:
        """Closes a pool that a worker's death has broken, and tells how that worker ended.

        The executor ends the others when it finds one dead, so what is different from that is the answer.
        """
        exitcodes = self._exitcodes()
        self.close()
        exitcodes += self._exitcodes()
        return next((each for each in exitcodes if each != -signal.SIGTERM), exitcodes[0] if exitcodes else None)

    def _exitcodes(self) -> list[int]:
        return [each.exitcode for each in self._context.processes if each.exitcode is not None]

    def close(self) -> None:
        """Ends all workers now."""
        self.kill()
        self.executor.shutdown(wait=True)
        _open_pools.discard(self)

    def kill(self) -> None:
        """Kills all workers."""
        for process in self._context.processes:
            process.kill()


_open_pools: "WeakSet[Pool]" = WeakSet()


def _kill_all() -> None:
    for pool in list(_open_pools):
        pool.kill()


# The interpreter waits for the executor's thread, and so for its items, before it runs what `atexit` knows.
getattr(threading, "_register_atexit")(_kill_all)  # noqa: B009 - it has no public name
