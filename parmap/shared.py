"""State that threads, processes and your own program share: a number (`Value`) and mutual exclusion (`Lock`).

As in `multiprocessing`, without its conditions: they may be closed over, passed as arguments, be part of items and
results, and go to workers that are already running.
"""

import ctypes
import struct
import threading
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeAlias, TypeVar, cast, final, overload

from parmap._errors import shorten
from parmap._transport._arena import Arena, Cell, new_cell
from parmap._transport._mutex import finish_lock, initialize, try_lock, unlock

if TYPE_CHECKING:
    _IntCode: TypeAlias = Literal["b", "B", "h", "H", "i", "I", "l", "L", "q", "Q"]
    _IntType: TypeAlias = type[
        ctypes.c_byte
        | ctypes.c_ubyte
        | ctypes.c_short
        | ctypes.c_ushort
        | ctypes.c_int
        | ctypes.c_uint
        | ctypes.c_long
        | ctypes.c_ulong
        | ctypes.c_longlong
        | ctypes.c_ulonglong
    ]
    _FloatType: TypeAlias = type[ctypes.c_float | ctypes.c_double]
    _BoolType: TypeAlias = type[ctypes.c_bool]

T = TypeVar("T", int, float, bool)

_TYPES = {
    "b": ctypes.c_byte,
    "B": ctypes.c_ubyte,
    "h": ctypes.c_short,
    "H": ctypes.c_ushort,
    "i": ctypes.c_int,
    "I": ctypes.c_uint,
    "l": ctypes.c_long,
    "L": ctypes.c_ulong,
    "q": ctypes.c_longlong,
    "Q": ctypes.c_ulonglong,
    "f": ctypes.c_float,
    "d": ctypes.c_double,
    "?": ctypes.c_bool,
}
_CODES: dict[object, str] = {kind: code for code, kind in reversed(_TYPES.items())}


@final
class Lock:
    """Lets one thread of one process at a time go on.

    It works between threads, worker processes and forked processes of one machine, in every backend, however it came
    there. When the thread or process that holds it ends, in whatever way, it is free again, and the next one who waits
    has it. What the dead one was doing may be half done.

    Waiting takes no CPU time. The thread that holds a `Lock` cannot take it again; the one that belongs to a `Value`
    (`Value.get_lock`) may be taken again by its holder, and is free when it has been released as often. A copy is the
    lock itself.

    Example:
        >>> from parmap import Lock, pmap
        >>> lock = Lock()
        >>> def append(line):
        ...     with lock, open("/dev/null", "a") as file:
        ...         return file.write(line)
        >>> pmap(append, ["first", "second"], backend="process", workers=2)
        [5, 6]
    """

    __slots__ = ("__weakref__", "_cell", "_mutex", "_reentrant")

    def __init__(self) -> None:
        cell = new_cell()
        self._cell, self._reentrant = cell, False
        self._mutex = cell.mutex
        initialize(self._mutex, reentrant=False)
        cell.arena.handles[Lock, cell.number] = self

    def __setstate__(self, state: tuple[Cell, bool]) -> None:
        self._cell, self._reentrant = state
        self._mutex = self._cell.mutex

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Takes the lock.

        Args:
            blocking: Whether to wait until it is free.
            timeout: The longest wait, in seconds; -1: as long as it takes.

        Returns:
            Whether this thread holds it now.

        Raises:
            RuntimeError: This thread holds it already, so that it would wait for itself for ever.
            ValueError: A ``timeout`` that is negative, or given with ``blocking=False``.
            OverflowError: A ``timeout`` of more than `threading.TIMEOUT_MAX`.
        """
        seconds = None if blocking else 0.0
        if timeout != -1:
            seconds = _check_timeout(blocking, timeout)
        code = try_lock(self._mutex)
        return not code or finish_lock(self._mutex, code, seconds)

    def release(self) -> None:
        """Gives the lock back.

        Raises:
            RuntimeError: This thread does not hold it.
        """
        if unlock(self._mutex):
            raise RuntimeError("this thread does not hold the lock, so it cannot release it")

    # As `acquire` and `release`, which are not called because that would cost a fifth of a locked increment.

    def __enter__(self) -> bool:
        code = try_lock(self._mutex)
        return not code or finish_lock(self._mutex, code, None)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if unlock(self._mutex):
            raise RuntimeError("this thread does not hold the lock any more, so it cannot release it")

    def __copy__(self) -> "Lock":
        return self

    def __deepcopy__(self, memo: object) -> "Lock":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _lock_at, (self._cell.arena, self._cell.number, self._reentrant)


@final
class Value(Generic[T]):
    """A number that threads and processes share.

    Reading and setting ``value`` is one step each: nobody ever sees half of a number. Setting it to what was read and
    one more is two steps, between which others may come. So take the lock around them; ``value`` itself takes none.

    A value lives as long as somebody has it, in any process, and is in memory that has no name. A copy is the value
    itself.

    Args:
        typecode: ``b B h H i I l L q Q`` for whole numbers of 1 to 8 bytes, with and without sign as in `array`,
            ``f d`` for floats of 4 and 8 bytes, ``?`` for a bool; or the type of `ctypes` for one of these.
        initial: What it is at first.

    Raises:
        ValueError: A ``typecode`` that is none of these.
        TypeError: A type that is none of these; an ``initial`` of the wrong type.
        OverflowError: An ``initial`` that does not fit.

    Example:
        >>> from parmap import Value, pmap
        >>> total = Value("q")
        >>> def add(n):
        ...     with total.get_lock():
        ...         total.value += n
        >>> _ = pmap(add, range(101))
        >>> total.value
        5050
    """

    __slots__ = ("__weakref__", "_cell", "_lock", "_number", "_typecode")

    @overload
    def __init__(self: "Value[int]", typecode: "_IntCode | _IntType", initial: int = 0) -> None: ...
    @overload
    def __init__(self: "Value[float]", typecode: "Literal['f', 'd'] | _FloatType", initial: float = 0) -> None: ...
    @overload
    def __init__(self: "Value[bool]", typecode: "Literal['?'] | _BoolType", initial: bool = False) -> None: ...
    def __init__(self, typecode: Any, initial: Any = 0) -> None:
        self._typecode = _check_typecode(typecode)
        self._cell = cell = new_cell()
        initialize(cell.mutex, reentrant=True)
        self._lock, self._number = _parts(cell, self._typecode)
        cell.arena.handles[Value, cell.number] = self
        self.value = initial

    def __setstate__(self, state: tuple[Cell, str]) -> None:
        self._cell, self._typecode = state
        self._lock, self._number = _parts(*state)

    @property
    def value(self) -> T:
        """The number: a copy that is taken when it is read.

        Raises:
            TypeError: It is set to something of the wrong type.
            OverflowError: It is set to a number that does not fit.
        """
        found: T = self._number[0]
        return found

    @value.setter
    def value(self, value: T) -> None:
        if self._typecode == "f" and _is_too_large(value):
            raise _refusal("f", value, OverflowError())
        try:
            self._number[0] = value
        except (TypeError, ValueError, OverflowError) as error:
            raise _refusal(self._typecode, value, error) from None

    def get_lock(self) -> Lock:
        """The lock that belongs to the value: always the same, and its holder may take it again."""
        return self._lock

    def __repr__(self) -> str:
        return f"Value({self._typecode!r}, {self.value!r})"

    def __copy__(self) -> "Value[T]":
        return self

    def __deepcopy__(self, memo: object) -> "Value[T]":
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return _value_at, (self._cell.arena, self._cell.number, self._typecode)


Lock.__module__ = Value.__module__ = __name__.partition(".")[0]


def _plain_lock(cell: Cell) -> Lock:
    made = object.__new__(Lock)
    made.__setstate__((cell, False))
    return made


def _reentrant_lock(cell: Cell) -> Lock:
    made = object.__new__(Lock)
    made.__setstate__((cell, True))
    return made


def _parts(cell: Cell, typecode: str) -> tuple[Lock, Any]:
    """What a value is made of: the lock that belongs to it, and its memory as a sequence of one number."""
    return cell.handle(_reentrant_lock, Lock), cell.value.cast(cast(Literal["q"], typecode))


def _lock_at(arena: Arena, number: int, reentrant: bool) -> Lock:
    return Cell(arena, number).handle(_reentrant_lock if reentrant else _plain_lock, Lock)


def _value_at(arena: Arena, number: int, typecode: str) -> Value[Any]:
    def make(cell: Cell) -> Value[Any]:
        made: Value[Any] = object.__new__(Value)
        made.__setstate__((cell, typecode))
        return made

    return Cell(arena, number).handle(make, Value)


def _check_typecode(typecode: object) -> str:
    """The code for a code or a type of `ctypes`."""
    if isinstance(typecode, str) and typecode in _TYPES:
        return typecode
    found = _CODES.get(typecode) if isinstance(typecode, type) else None
    if found is not None:
        return found
    allowed = ", ".join(f"{code!r} ({kind.__name__})" for code, kind in _TYPES.items())
    error = ValueError if isinstance(typecode, str) else TypeError
    raise error(f"typecode must be one of {allowed}, or that type of ctypes, not {shorten(typecode)}")


def _check_timeout(blocking: bool, timeout: float) -> float:
    if not blocking:
        raise ValueError(f"timeout={timeout!r} has no meaning with blocking=False, which never waits")
    if not timeout >= 0:
        raise ValueError(f"timeout must be at least 0 seconds, or -1 for no limit, not {timeout!r}")
    if timeout > threading.TIMEOUT_MAX:
        raise OverflowError(f"timeout must be at most {threading.TIMEOUT_MAX:.0f} seconds, not {timeout!r}")
    return timeout


def _is_too_large(value: Any) -> bool:
    """Whether a number is one that the memory of a float of 4 bytes would take for infinity."""
    try:
        struct.pack("<f", value)
    except OverflowError:
        return True
    except struct.error:  # no number, or none that is a float; what it is stored in says so
        return False
    return False


def _refusal(typecode: str, value: object, error: Exception) -> Exception:
    """Why a value cannot be set: as a number, or as anything else."""
    shown, kind = shorten(value), type(value).__name__
    if isinstance(error, TypeError):
        wanted = "a number" if typecode in "fd" else "an int"
        return TypeError(f"a Value({typecode!r}) holds {wanted}, not {shown} ({kind})")
    if typecode in "fd":
        return OverflowError(f"{shown} is too large for a Value({typecode!r})")
    bits = 8 * struct.calcsize(typecode)
    least, most = (-(1 << bits - 1), (1 << bits - 1) - 1) if typecode.islower() else (0, (1 << bits) - 1)
    return OverflowError(f"{shown} does not fit a Value({typecode!r}), which holds {least} to {most}")
