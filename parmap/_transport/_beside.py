"""What goes beside a pickle: the arenas of the `Value`s and `Lock`s in it.

A pickle holds an arena's token only. Whoever pickles something for a link collects the arenas meanwhile, and their
descriptors go with the frame; whoever pickles for anything else (a file, a queue, another machine) is refused.
"""

import threading
from types import TracebackType
from typing import Protocol

from parmap._errors import SerializationError
from parmap._tuning import ARENAS_MOST


class SharedMemory(Protocol):
    """An arena, as far as it goes beside something."""

    descriptor: int


class _Here(threading.local):
    """What this thread is collecting; ``None``: nothing, it pickles for somebody else."""

    arenas: list[SharedMemory] | None = None


_here = _Here()


class collecting:  # noqa: N801 - used as a function; a generator's context manager takes a microsecond a frame
    """Collects the arenas that this thread pickles in the block into the list that it gives, each once."""

    __slots__ = ("_before",)

    def __init__(self) -> None:
        self._before: list[SharedMemory] | None = None

    def __enter__(self) -> list[SharedMemory]:
        found: list[SharedMemory] = []
        self._before, _here.arenas = _here.arenas, found
        return found

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _here.arenas = self._before


def take_along(arena: SharedMemory) -> None:
    """Says that an arena is in what this thread pickles.

    Raises:
        SerializationError: It is pickled for something else than a link, or there are too many.
    """
    if _here.arenas is None:
        raise SerializationError(
            "a parmap.Value or parmap.Lock",
            "it is memory of this machine, which only parmap's own calls can give to another process. Use it in "
            "functions, arguments and results of pmap, pimap and pchunked; pickle, multiprocessing, Dask and Ray "
            "cannot take it along",
        )
    if arena in _here.arenas:
        return
    if len(_here.arenas) >= ARENAS_MOST:
        raise SerializationError(
            "more parmap.Values and parmap.Locks", f"they are of more than {ARENAS_MOST} arenas (see docs/design.md)"
        )
    _here.arenas.append(arena)
