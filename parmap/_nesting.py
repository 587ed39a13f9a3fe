"""Whether this process is the user's own or a worker, and what a call may start in it.

A worker that imports a module of the user may find a call of parmap at its top level: the module has no guard, as
modules need none at home. Such a call runs as the loop. If it started workers, they would import the module again.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from parmap._tuning import MAX_LEVEL, UNGUARDED

# What a worker that multiprocessing starts for parmap is called.
WORKER_NAME: Final = "parmap worker"


class _State:
    """What is true of this process."""

    def __init__(self) -> None:
        self.level = 0  # 0: the user's process, 1: a worker of it, 2: a worker of a worker
        self.loading = False  # the user's modules are being imported on behalf of another process


_state = _State()


def level() -> int:
    """How many workers stand above each other here: 0 in the user's own process."""
    return _state.level


def enter(level: int) -> None:
    """Says that this process is a worker."""
    _state.level = level


@contextmanager
def loading() -> Iterator[None]:
    """While the user's objects are rebuilt, and so the user's modules are imported, in a worker."""
    before, _state.loading = _state.loading, True
    try:
        yield
    finally:
        _state.loading = before


def allowed(backend: str, timed: bool = False) -> str:
    """The backend that a call may use here, for the one that it asks for; ``timed``: its items have a time limit."""
    deep = backend in ("process", "auto" if timed else "") and _state.level >= MAX_LEVEL
    if _state.loading or _is_script_again(backend) or deep:
        return "thread" if timed else "serial"
    return backend


def _is_script_again(backend: str) -> bool:
    """Whether multiprocessing is importing the user's script, in a process that it has started.

    The user's own process has run the script, so here a call is the loop. A worker of parmap that finds a call which
    may have started it has no business here at all: it ends, and the call in the user's process knows why.
    """
    module = sys.modules.get("multiprocessing.process")
    process = None if module is None else module.current_process()
    if not getattr(process, "_inheriting", False):
        return False
    if process is not None and process.name == WORKER_NAME and backend in ("auto", "process"):
        raise SystemExit(UNGUARDED)
    return True
