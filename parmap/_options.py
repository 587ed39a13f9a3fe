"""The options of a call: where they come from, and the one place that checks them.

An explicit argument wins, then ``options(...)``, then the environment, then the default. Pure: the environment comes
in as a mapping.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Generic, TypeVar, cast

from parmap._records import Options

T = TypeVar("T")

BACKENDS = ("auto", "serial", "thread", "process")


class _Default(Generic[T]):
    """The value of an option that nobody gave: it shows as the default and can be told from an explicit one."""

    def __init__(self, value: T) -> None:
        self.value = value

    def __repr__(self) -> str:
        return repr(self.value)


def default(value: T) -> T:
    """Marks ``value`` as a parameter's default, so that an explicit argument of the same value is not taken for it."""
    return cast(T, _Default(value))


def _backend(name: str, value: Any) -> str:
    if isinstance(value, str) and value in BACKENDS:
        return value
    kind = ValueError if isinstance(value, str) else TypeError
    allowed = ", ".join(map(repr, BACKENDS))
    raise kind(f"{name}={value!r} is not a backend: use one of {allowed}{_hint(str(value), BACKENDS)}")


def _hint(word: str, words: Iterable[str]) -> str:
    """What was probably meant by a word that is none of the words."""
    import difflib  # costs 1 ms, and only an error needs it

    near = difflib.get_close_matches(word, words, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _count(name: str, value: Any, *, least: int = 1, optional: bool = True) -> Any:
    if value is None and optional:
        return None
    try:
        number = value.__index__() if not isinstance(value, bool) else None
    except (AttributeError, TypeError):
        number = None
    if number is None or number < least:
        otherwise = ", or None" if optional else ""
        raise ValueError(f"{name}={value!r} is not allowed: use a whole number of at least {least}{otherwise}")
    return number


def _seconds(name: str, value: Any) -> float | None:
    if value is None:
        return None
    try:
        seconds = float(value) if not isinstance(value, bool | str) else 0.0
    except (TypeError, ValueError):
        seconds = 0.0
    if not seconds > 0:
        raise ValueError(f"{name}={value!r} is not allowed: use seconds, a number above 0, or None for no limit")
    return seconds if seconds < math.inf else None


def _seed(name: str, value: Any) -> int | None:
    number: int | None = _count(name, value, least=0)
    return number


def _tries(name: str, value: Any) -> int:
    number: int = _count(name, value, least=0, optional=False)
    return number


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise TypeError(f"{name}={value!r} is not allowed: use True or False")


def _initializer(name: str, value: Any) -> Any:
    if value is None or callable(value):
        return value
    raise TypeError(f"{name}={value!r} is not allowed: use a function that takes no argument, or None")


_CHECKS: dict[str, tuple[Callable[[str, Any], Any], Any]] = {
    "backend": (_backend, "auto"),
    "workers": (_count, None),
    "chunksize": (_count, None),
    "timeout": (_seconds, None),
    "retries": (_tries, 0),
    "seed": (_seed, None),
    "return_exceptions": (_flag, False),
    "initializer": (_initializer, None),
    "strict": (_flag, False),
    "ordered": (_flag, True),
    "buffersize": (_count, None),
}

# What `options(...)` has set, in this thread or task.
_current: ContextVar[Mapping[str, Any]] = ContextVar("parmap options", default=MappingProxyType({}))


@contextmanager
def options(**defaults: Any) -> Iterator[None]:
    """Sets defaults for the calls inside the ``with`` block, in this thread or task.

    It lets an application choose how the libraries that it uses run their maps. An explicit argument of a call wins
    over it; it wins over the environment (``PARMAP_BACKEND``, ``PARMAP_WORKERS``). Blocks nest: the innermost wins.

    Args:
        **defaults: Any option of :func:`pmap` and :func:`pimap`, by name: ``backend``, ``workers``, ``chunksize``,
            ``timeout``, ``retries``, ``seed``, ``return_exceptions``, ``initializer``, ``strict``, ``ordered``, ``buffersize``.

    Raises:
        TypeError: An unknown option, or a value of the wrong type.
        ValueError: A value that the option does not allow.

    Example:
        >>> from parmap import options, pmap
        >>> with options(backend="thread", workers=4):
        ...     pmap(abs, [-2, -1])
        [2, 1]
    """
    checked = {name: _check(name, value) for name, value in defaults.items()}
    token = _current.set({**_current.get(), **checked})
    try:
        yield
    finally:
        _current.reset(token)


def _check(name: str, value: Any) -> Any:
    if name not in _CHECKS:
        raise TypeError(f"options() has no option {name!r}: use one of {', '.join(_CHECKS)}{_hint(name, _CHECKS)}")
    return _CHECKS[name][0](name, value)


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    backend = environ.get("PARMAP_BACKEND")
    if backend:
        found["backend"] = _backend("PARMAP_BACKEND", backend)
    workers = environ.get("PARMAP_WORKERS")
    if workers:
        found["workers"] = _count("PARMAP_WORKERS", int(workers) if workers.strip().isdecimal() else workers)
    return found


def resolve(given: Mapping[str, Any], environ: Mapping[str, str]) -> Options:
    """The options of one call, checked. ``given`` holds the call's parameters, defaults marked by :func:`default`.

    Raises:
        TypeError: A value of the wrong type.
        ValueError: A value that the option does not allow.
    """
    known = {**_from_environment(environ), **_current.get()}
    values: dict[str, Any] = {}
    for name, (check, fallback) in _CHECKS.items():
        value = given.get(name, _ABSENT)
        values[name] = known.get(name, fallback) if isinstance(value, _Default) else check(name, value)
    if values["timeout"] is not None and values["backend"] == "serial":
        raise ValueError(
            f"timeout={values['timeout']:g} is not allowed with backend='serial', which cannot leave an item that "
            f"runs: use 'auto', 'process' or 'thread', or no timeout"
        )
    if values["timeout"] is not None and values["seed"] is not None and values["backend"] == "thread":
        raise ValueError(
            f"timeout={values['timeout']:g} is not allowed with backend='thread' and a seed: seeded items take turns "
            f"in a process, and one that hangs would keep its turn; use 'auto' or 'process'"
        )
    return Options(**values)


_ABSENT: Any = _Default(None)


def check_chunks(chunks: Any) -> int | None:
    """The number of chunks for `pchunked`, checked; ``None``: decide."""
    number: int | None = None if isinstance(chunks, _Default) else _count("chunks", chunks)
    return number


def check_merge(merge: Any) -> None:
    """Raises ``TypeError`` or ``ValueError`` for what is no way to merge."""
    if merge is None or merge == "auto" or callable(merge):
        return
    kind = ValueError if isinstance(merge, str) else TypeError
    raise kind(f"merge={merge!r} is not allowed: use 'auto', None, or a function of the list of results")


def check_callable(func: object) -> None:
    """Raises ``TypeError`` when ``func`` cannot be called."""
    if not callable(func):
        raise TypeError(f"func={func!r} is not callable: give a function first, then the iterables, as for map()")


def check_iterables(iterables: tuple[object, ...], strict: bool) -> None:
    """Raises ``TypeError`` or ``ValueError`` for iterables that cannot be mapped over."""
    if not iterables:
        raise TypeError("no iterable was given: pass at least one after the function, as for map()")
    for position, iterable in enumerate(iterables, 1):
        if not hasattr(type(iterable), "__iter__") and not hasattr(type(iterable), "__getitem__"):
            raise TypeError(f"iterable {position} is {iterable!r}, which cannot be iterated over: pass an iterable")
    if strict and len(iterables) > 1:
        lengths = [_length(each) for each in iterables]
        if None not in lengths and len(set(lengths)) > 1:
            raise ValueError(
                f"strict=True needs iterables of equal lengths, but theirs are {', '.join(map(str, lengths))}: "
                f"make them equal, or leave strict out to stop with the shortest"
            )


def _length(iterable: Any) -> int | None:
    try:
        return len(iterable)
    except Exception:  # there is none, or it cannot be told
        return None
