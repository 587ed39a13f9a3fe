"""What every engine offers to the loop.

An engine knows nothing of strategy, order or merging. It takes chunks and gives outcomes back; nobody is called back.
One thread at a time uses it, except for ``wake``.
"""

import os
from typing import Protocol

from parmap._records import Chunk, Outcome


class Backend(Protocol):
    """An engine: ``open`` it, ``close`` it.

    It takes nothing before it is opened, and gives everything back when it is closed, however far the opening, or a
    closing before, has come. So an owner that holds it before it opens it, and closes it once more when an interrupt
    comes out of `close`, leaves nothing behind.

    Attributes:
        flying: Chunks taken and not yet given back.
        ready: Whether a worker is up, so that chunks are being run and not only held.
        spare: Workers to leave without work, because the caller's thread uses their cores.
        depth: Chunks that a worker may hold, where it can hold several.
    """

    spare: int
    depth: int

    @property
    def flying(self) -> int: ...

    @property
    def ready(self) -> bool: ...

    def open(self) -> None:
        """Takes what it needs, unless it is open.

        Raises:
            SerializationError: The function or the initializer cannot travel.
            OSError: Workers cannot be started, or not as the task needs them.
            RuntimeError: No thread can be started, as at the interpreter's end.
        """
        ...

    def room(self) -> bool:
        """Whether one more chunk would be of use now."""
        ...

    def submit(self, chunk: Chunk) -> None:
        """Takes a chunk. Never blocks on a worker."""
        ...

    def wait(self, timeout: float | None) -> list[Outcome]:
        """The outcomes that have come; waits for the first, at most ``timeout`` seconds."""
        ...

    def wake(self) -> None:
        """Makes a ``wait`` in another thread return. Safe from any thread at any time."""
        ...

    def cancel(self, index: int) -> None:
        """Says that no item from ``index`` on must start any more; the items that run may end."""
        ...

    def close(self, grace: float) -> None:
        """Gives everything back, at the latest ``grace`` seconds from now. May be called at any time, and again."""
        ...


def check_home(home: int) -> None:
    """Raises ``RuntimeError`` in a process that was forked off the one whose workers are waited for."""
    if os.getpid() != home:
        raise RuntimeError("this iterator is a copy that os.fork() made: its workers are with the original")
