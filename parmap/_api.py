"""The three maps and `shutdown`: what they promise, and one call down."""

import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from contextvars import copy_context
from typing import Any, Literal, NamedTuple, TypedDict, TypeVar, Unpack, overload

from parmap._call import Call
from parmap._cores import cpu_count
from parmap._nesting import allowed
from parmap._observe import environment
from parmap._options import check_callable, check_chunks, check_iterables, check_merge, default, resolve
from parmap._pilot import fly
from parmap._records import Options, Task
from parmap._run import run
from parmap._source import Source

A = TypeVar("A")
B = TypeVar("B")
R = TypeVar("R")
C = TypeVar("C")
D = TypeVar("D", bound=Iterable[Any])
M = TypeVar("M")


class _Options(TypedDict, total=False):
    backend: str
    workers: int | None
    chunksize: int | None
    timeout: float | None
    retries: int
    seed: int | None
    return_exceptions: bool
    initializer: Callable[[], object] | None
    strict: bool


class _ChunkedOptions(TypedDict, total=False):
    chunks: int | None
    backend: str
    workers: int | None
    timeout: float | None
    retries: int
    seed: int | None
    return_exceptions: bool
    initializer: Callable[[], object] | None


class _LazyOptions(_Options, total=False):
    ordered: bool
    buffersize: int | None


@overload
def pmap(func: Callable[[A], R], xs: Iterable[A], /, **options: Unpack[_Options]) -> list[R]: ...
@overload
def pmap(func: Callable[[A, B], R], xs: Iterable[A], ys: Iterable[B], /, **options: Unpack[_Options]) -> list[R]: ...
@overload
def pmap(
    func: Callable[[A, B, C], R], xs: Iterable[A], ys: Iterable[B], zs: Iterable[C], /, **options: Unpack[_Options]
) -> list[R]: ...
@overload
def pmap(
    func: Callable[..., R],
    ws: Iterable[Any],
    xs: Iterable[Any],
    ys: Iterable[Any],
    zs: Iterable[Any],
    /,
    *more: Iterable[Any],
    **options: Unpack[_Options],
) -> list[R]: ...
def pmap(
    func: Callable[..., Any],
    /,
    *iterables: Iterable[Any],
    backend: str = default("auto"),
    workers: int | None = default(None),
    chunksize: int | None = default(None),
    timeout: float | None = default(None),
    retries: int = default(0),
    seed: int | None = default(None),
    return_exceptions: bool = default(False),
    initializer: Callable[[], object] | None = default(None),
    strict: bool = default(False),
) -> list[Any]:
    """``[func(x) for x in xs]``, in parallel where that pays.

    The answer is the loop's: the same values in the same order. Every item runs exactly once, unless ``retries`` asks
    for more; only the items of a worker process that dies before it has answered are run again, the one that it was
    running excepted.

    Args:
        func: The function to call for each item. It may be a lambda, a closure or a method, and be defined in a
            script, a notebook or a shell.
        *iterables: One iterable of items, or several that are taken together as by ``map``: ``func(x, y)``. They are
            read in order, in the calling thread, a bounded number of items ahead of the workers.
        backend: ``"auto"`` starts as the loop in the calling thread, watches it and goes over to threads or
            processes when that pays; ``"serial"`` is the loop; ``"thread"`` and ``"process"`` are what they say.
        workers: How many items run at once, at least 1. ``None``: decided (for computing work `cpu_count()`, for
            waiting work what it allows, at most 64).
        chunksize: Items in one dispatch to a worker, at least 1. ``None``: adapted to the time that they take.
        timeout: Seconds that an item may take, counted from its start, above 0; ``None``: no limit. In a process the
            worker is killed and replaced. A thread cannot be killed: its item is given up, goes on in the background
            and may still have effects. Under ``"auto"`` the items run in processes from the first one on.
        retries: How many more times an item is run that raised an ``Exception``, took too long or lost its worker,
            at least 0.
        seed: A whole number of at least 0. Each item then draws its own, reproducible numbers from `random` and from
            NumPy's global generator: the same whatever the backend, the workers, the chunks and the tries, different
            for each item and each seed. The caller's own generators are left as they were. Seeded items of one
            process take turns, so ``"auto"`` does not use threads. It costs about 50 µs an item.
        return_exceptions: Puts an item's exception in the place of its result, and goes on.
        initializer: Called once in each worker (thread or process) before its first item, without arguments. The
            calling thread counts as a worker where it runs items.
        strict: Several iterables must have equal lengths, as for ``zip(strict=True)``.

    Returns:
        The results in input order. They and the items in flight are all that is kept in memory.

    Raises:
        Exception: What ``func`` raised for an item: the same exception, with a note that says which item it was and
            where it ran. No new item starts after the first failure. What an iterable raises comes out as it is.
        WorkerCrashError: A worker process died while it ran an item.
        ItemTimeoutError: An item took longer than ``timeout``; it is a ``TimeoutError``.
        SerializationError: An item, a result or, under ``backend="process"``, the function cannot be pickled.
        TypeError: An argument of the wrong type, before anything runs.
        ValueError: An argument that is not allowed, before anything runs; iterables of unequal lengths under
            ``strict``.

    Warns:
        FallbackWarning: The call goes on as the loop, because the function cannot travel to another process or
            because processes cannot be started.

    Example:
        >>> from parmap import pmap
        >>> pmap(lambda x: x * x, range(5))
        [0, 1, 4, 9, 16]
        >>> pmap(pow, [2, 3], [5, 2])
        [32, 9]
    """
    return _collect(_start(func, iterables, _prepare(func, iterables, locals()), lazy=False))


@overload
def pimap(func: Callable[[A], R], xs: Iterable[A], /, **options: Unpack[_LazyOptions]) -> Iterator[R]: ...
@overload
def pimap(
    func: Callable[[A, B], R], xs: Iterable[A], ys: Iterable[B], /, **options: Unpack[_LazyOptions]
) -> Iterator[R]: ...
@overload
def pimap(
    func: Callable[[A, B, C], R], xs: Iterable[A], ys: Iterable[B], zs: Iterable[C], /, **options: Unpack[_LazyOptions]
) -> Iterator[R]: ...
@overload
def pimap(
    func: Callable[..., R],
    ws: Iterable[Any],
    xs: Iterable[Any],
    ys: Iterable[Any],
    zs: Iterable[Any],
    /,
    *more: Iterable[Any],
    **options: Unpack[_LazyOptions],
) -> Iterator[R]: ...
def pimap(
    func: Callable[..., Any],
    /,
    *iterables: Iterable[Any],
    backend: str = default("auto"),
    workers: int | None = default(None),
    chunksize: int | None = default(None),
    timeout: float | None = default(None),
    retries: int = default(0),
    seed: int | None = default(None),
    return_exceptions: bool = default(False),
    initializer: Callable[[], object] | None = default(None),
    strict: bool = default(False),
    ordered: bool = default(True),
    buffersize: int | None = default(None),
) -> Iterator[Any]:
    """``(func(x) for x in xs)``, in parallel where that pays: an iterator, lazy at both ends.

    Items are read, and results kept, only so far ahead of the consumer as ``buffersize`` allows, also while an early
    item is slow; so the input may be endless and the consumer slow. Work starts with the first ``next()``. Closing the
    iterator early (``close()``, ``break``, garbage collection, the end of the program) stops the items that run in
    processes, starts no other, and is quiet.

    Args:
        func: As for `pmap`.
        *iterables: As for `pmap`; they may be endless.
        backend: As for `pmap`.
        workers: As for `pmap`.
        chunksize: As for `pmap`.
        timeout: As for `pmap`.
        retries: As for `pmap`.
        seed: As for `pmap`.
        return_exceptions: As for `pmap`.
        initializer: As for `pmap`.
        strict: As for `pmap`.
        ordered: ``False`` yields results as they are completed.
        buffersize: The most items that may have been read and not yet been taken as results, at least 1. ``None``:
            decided (at least 2 a worker, at most 1024, and about 6 MB of results, by ``sys.getsizeof`` in
            threads).

    Returns:
        An iterator of the results.

    Raises:
        Exception: As for `pmap`; an error comes in the place of the result that is missing, after those before it.
        RuntimeError: ``func`` raised ``StopIteration``, as in a generator expression.

    Example:
        >>> from itertools import count, islice
        >>> from parmap import pimap
        >>> list(islice(pimap(lambda x: x * x, count()), 4))
        [0, 1, 4, 9]
    """
    return _flatten(_start(func, iterables, _prepare(func, iterables, locals()), lazy=True))


@overload
def pchunked(func: Callable[[D], R], data: D, /, *, merge: None, **options: Unpack[_ChunkedOptions]) -> list[R]: ...
@overload
def pchunked(
    func: Callable[[D], R], data: D, /, *, merge: Callable[..., M], **options: Unpack[_ChunkedOptions]
) -> M: ...
@overload
def pchunked(
    func: Callable[[D], Any], data: D, /, *, merge: Literal["auto"] = ..., **options: Unpack[_ChunkedOptions]
) -> Any: ...
def pchunked(
    func: Callable[[Any], Any],
    data: Iterable[Any],
    /,
    *,
    chunks: int | None = default(None),
    merge: Literal["auto"] | Callable[[list[Any]], Any] | None = "auto",
    backend: str = default("auto"),
    workers: int | None = default(None),
    timeout: float | None = default(None),
    retries: int = default(0),
    seed: int | None = default(None),
    return_exceptions: bool = default(False),
    initializer: Callable[[], object] | None = default(None),
) -> Any:
    """``func(data)``, computed chunk by chunk in parallel and merged.

    Args:
        func: Gets a whole chunk.
        data: What to cut: into pieces of its own type where it can be sliced (list, tuple, range, str, bytes, NumPy
            array along axis 0, pandas object by rows, dict, set); another iterable is listed first.
        chunks: How many chunks, at least 1; each has ``ceil(len(data) / chunks)`` items, the last perhaps fewer.
            ``None``: the number of workers.
        merge: ``"auto"`` joins the results in input order by their type: list, tuple, dict (later wins), set, str,
            bytes, NumPy array (axis 0), pandas object; ``None`` for all gives ``None``; other types come back as the
            list of the results. ``None`` gives that list. A function gets that list.
        backend: As for `pmap`.
        workers: As for `pmap`.
        timeout: As for `pmap`, for each chunk.
        retries: As for `pmap`, for each chunk.
        seed: As for `pmap`, for each chunk: the numbers depend on how many chunks there are.
        return_exceptions: As for `pmap`, for each chunk.
        initializer: As for `pmap`.

    Returns:
        The merged result. Empty data is one empty chunk.

    Raises:
        Exception: As for `pmap`.

    Example:
        >>> from parmap import pchunked
        >>> pchunked(sorted, [3, 1, 2, 0], chunks=2)
        [1, 3, 0, 2]
        >>> pchunked(sum, range(10), merge=sum)
        45
    """
    options = _prepare(func, (data,), locals())
    check_merge(merge)
    from parmap._parts import join, split

    pieces = split(data, check_chunks(chunks) or options.workers or cpu_count())
    results = _collect(_start(func, (pieces,), options, lazy=False))
    if merge is None:
        return results
    return merge(results) if callable(merge) else join(results)


def shutdown() -> None:
    """Ends the worker processes and threads that are kept for the next call.

    The next call starts new ones. At the end of the program it happens by itself.

    Example:
        >>> from parmap import shutdown
        >>> shutdown()
    """
    for name in ("parmap._backends._processes._pool", "parmap._kept"):
        module = sys.modules.get(name)
        if module is not None:
            module.shutdown()


def _prepare(func: object, iterables: tuple[Any, ...], given: dict[str, Any]) -> Options:
    """Checks everything that can be checked before anything runs."""
    check_callable(func)
    options = resolve(given, environment())
    check_iterables(iterables, options.strict)
    return options


class _Started(NamedTuple):
    """A call and the iterator that runs it as it is advanced, and yields its results in runs."""

    call: Call
    runs: Generator[list[Any], None, None]


def _start(func: Callable[..., Any], iterables: tuple[Iterable[Any], ...], options: Options, lazy: bool) -> _Started:
    source = Source(iterables, options.strict)
    task = Task(
        func,
        source.packed,
        options.return_exceptions,
        options.initializer,
        options.timeout,
        options.seed,
        copy_context(),
    )
    options = options._replace(backend=allowed(options.backend, options.timeout is not None))
    call = Call(task, source, options, lazy)
    if options.backend != "auto" or options.timeout is not None:
        return _Started(call, run(call))
    return _Started(call, fly(call))


def _collect(started: _Started) -> list[Any]:
    results: list[Any] = []
    try:
        for found in started.runs:
            if results:
                results += found
            else:
                results = found
    finally:  # an interrupt may have come here, and who keeps its traceback keeps the iterator
        started.runs.close()
    if (failure := started.call.failure) is not None:
        raise failure
    return results


def _flatten(started: _Started) -> Iterator[Any]:
    """The results one by one. A result is let go as it is yielded, so only its consumer keeps it."""
    try:
        for results in started.runs:
            results.reverse()
            while results:
                yield results.pop()
    finally:
        started.runs.close()
    if (failure := started.call.failure) is not None:
        raise failure
