"""Arenas: memory files that hold the state of `Value`s and `Lock`s, a cell each.

An arena is made by one process, which alone gives its cells away, in order and each once, because nobody could tell
that a cell is no longer used by any process. It travels as a descriptor (`_beside`), and is mapped once in each process,
however often it arrives. It has no name, so its memory goes with the last process that has a handle of one of its
cells.

A cell is a mutex and room for a value, on a cache line of its own. The first cell holds the arena's token instead, by
which a process knows an arena that it has.
"""

import ctypes
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, TypeVar
from weakref import WeakValueDictionary, finalize

from parmap._transport import _memory, _mutex
from parmap._transport._beside import take_along
from parmap._tuning import ARENA_CELLS

H = TypeVar("H")

_CELL = 64  # bytes
_VALUE = _mutex.SIZE  # where the value begins in its cell
_TOKEN = 16  # bytes: as many as make two arenas never alike
_SIZE = ARENA_CELLS * _CELL
_READ_AND_WRITE, _MAP_SHARED = 3, 1  # of <sys/mman.h>

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


class Arena:
    """A memory file of cells, mapped here for as long as somebody has it.

    Attributes:
        descriptor: Of the memory file; the arena owns it.
        token: Tells it from all others, in every process.
        unused: The cells to be given away: none in a process that did not make the arena.
        handles: The objects of this process that stand for its cells.
    """

    def __init__(self, descriptor: int, token: bytes, unused: Iterator[int]) -> None:
        self.descriptor = descriptor
        self.token = token
        self.unused = unused
        self.handles: WeakValueDictionary[tuple[type, int], Any] = WeakValueDictionary()
        self.address = _map(descriptor)
        # Not at the end of the interpreter: the kernel frees a mutex only where it is still mapped.
        finalize(self, _let_go, self.address, descriptor).atexit = False

    def __reduce__(self) -> tuple[Callable[[bytes], "Arena"], tuple[bytes]]:
        take_along(self)
        return find, (self.token,)


class Cell(NamedTuple):
    """A place for a mutex and a value."""

    arena: Arena
    number: int

    @property
    def mutex(self) -> _mutex.Mutex:
        return _mutex.at(self.arena.address + self.number * _CELL)

    @property
    def value(self) -> memoryview:
        """Its bytes, valid for as long as the arena is there."""
        return _view(self.arena.address + self.number * _CELL + _VALUE, _CELL - _VALUE)

    def handle(self, make: Callable[["Cell"], H], kind: type[H]) -> H:
        """The one object of some type that stands for this cell in this process, made if it is not there."""
        with _state.guard:
            found = self.arena.handles.get((kind, self.number))
            if found is None:
                found = self.arena.handles[kind, self.number] = make(self)
            return found


class _State:
    """The arenas of this process. The guard is held for a few steps, and never while anyone waits.

    After a fork, the child has its parent's arenas, but makes an arena of its own for new cells: its parent goes on
    giving those of the old one away.
    """

    def __init__(self) -> None:
        self.guard = threading.RLock()  # what is done under it may collect garbage, and so run code of the user
        self.known: WeakValueDictionary[bytes, Arena] = WeakValueDictionary()
        self.newest = b""  # the token of the arena that gives new cells
        os.register_at_fork(after_in_child=self.start_anew)

    def start_anew(self) -> None:
        self.guard = threading.RLock()
        self.newest = b""


_state = _State()


def new_cell() -> Cell:
    """A cell that nobody has had before, all zero."""
    with _state.guard:
        arena = _state.known.get(_state.newest)
        number = None if arena is None else next(arena.unused, None)
        if arena is None or number is None:
            arena, number = _new_arena(), 1
            _state.known[arena.token] = arena
            _state.newest = arena.token
        return Cell(arena, number)


def adopt(descriptor: int) -> Arena:
    """The arena that a descriptor from another process stands for. Takes the descriptor over."""
    with _state.guard:
        token = os.pread(descriptor, _TOKEN, 0)
        arena = _state.known.get(token)
        if arena is not None:
            os.close(descriptor)
        else:
            arena = _state.known[token] = Arena(descriptor, token, iter(()))
        return arena


def find(token: bytes) -> Arena:
    """The arena that has come along with a pickle that names it."""
    return _state.known[token]


def _new_arena() -> Arena:
    token = os.urandom(_TOKEN)
    arena = Arena(_memory.create(_SIZE), token, iter(range(2, ARENA_CELLS)))
    _memory.write(arena.descriptor, [(0, memoryview(token))])
    return arena


def _map(descriptor: int) -> int:
    found: int = _libc.mmap(None, _SIZE, _READ_AND_WRITE, _MAP_SHARED, descriptor, 0)
    if found == ctypes.c_void_p(-1).value:
        code = ctypes.get_errno()
        os.close(descriptor)
        raise OSError(code, os.strerror(code))
    return found


def _let_go(address: int, descriptor: int) -> None:
    """Unmaps an arena without handles, unless a thread has forgotten a lock while it held it."""
    os.close(descriptor)
    if not _mutex.held_here(_view(address + _CELL, _SIZE - _CELL), _CELL):
        _libc.munmap(address, _SIZE)


def _view(address: int, size: int) -> memoryview:
    return memoryview((ctypes.c_ubyte * size).from_address(address)).cast("B")
