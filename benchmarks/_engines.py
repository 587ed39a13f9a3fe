"""The ways to run a loop that the marks compare, each behind the same two steps: import it, then open it.

`ENGINES[name]()` does the imports and returns an opener; the opener is a context manager that gives a `Run`. Keeping
the two apart lets a lane measure a cold start from the moment when the imports are done.
"""

import functools
import importlib
import importlib.util
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias

Run: TypeAlias = Callable[[Callable[[Any], Any], Sequence[Any], int | None], list[Any]]
Opener: TypeAlias = Callable[[], AbstractContextManager[Run]]

FIRST_STALL_AT, FIRST_STALL_SECONDS = 100, 1.0
STALL_EVERY, STALL_SECONDS = 500, 0.02


def cores() -> int:
    """Count the cores that this process may use: the worker count of every pool here."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_loop() -> Opener:
    """Prepare the reference, a plain list comprehension."""

    @contextmanager
    def opened() -> Iterator[Run]:
        yield lambda func, items, _chunksize: [func(item) for item in items]

    return opened


def open_pmap(**options: Any) -> Opener:
    """Prepare `parmap.pmap`; it picks its own chunks."""
    from parmap import pmap, shutdown

    @contextmanager
    def opened() -> Iterator[Run]:
        try:
            yield lambda func, items, _chunksize: pmap(func, items, **options)
        finally:
            shutdown()

    return opened


def open_pimap(**options: Any) -> Opener:
    """Prepare `parmap.pimap` with a slow consumer, which returns the indices of the items that came out wrong."""
    from parmap import pimap, shutdown

    @contextmanager
    def opened() -> Iterator[Run]:
        try:
            yield lambda func, items, _chunksize: consume_slowly(pimap(func, items, **options), len(items))
        finally:
            shutdown()

    return opened


def consume_slowly(pages: Iterable[bytes], count: int) -> list[int]:
    """Take pages with pauses: one of a second early, then a short one every 500 pages, 40 µs a page.

    An engine that runs ahead of its consumer without a bound fills gigabytes in the long pause.
    """
    wrong, seen = [], 0
    for seen, content in enumerate(pages, start=1):
        if int.from_bytes(content[:8], "little") != seen - 1:
            wrong.append(seen - 1)
        if seen == FIRST_STALL_AT:
            time.sleep(FIRST_STALL_SECONDS)
        elif seen % STALL_EVERY == 0:
            time.sleep(STALL_SECONDS)
    return wrong if seen == count else [*wrong, seen]


def open_mp_pool(method: str) -> Opener:
    """Prepare `multiprocessing.Pool.map` with one start method."""
    import multiprocessing.pool

    @contextmanager
    def opened() -> Iterator[Run]:
        with multiprocessing.get_context(method).Pool(cores()) as pool:
            yield pool.map

    return opened


def open_mp_imap() -> Opener:
    """Prepare `multiprocessing.Pool.imap` with the slow consumer."""
    import multiprocessing.pool

    @contextmanager
    def opened() -> Iterator[Run]:
        with multiprocessing.get_context("fork").Pool(cores()) as pool:
            yield lambda func, items, chunksize: consume_slowly(pool.imap(func, items, chunksize or 1), len(items))

    return opened


def open_executor(module: str, name: str, workers: int) -> Opener:
    """Prepare an executor of `concurrent.futures`."""
    executor = getattr(importlib.import_module(f"concurrent.futures.{module}"), name)

    @contextmanager
    def opened() -> Iterator[Run]:
        with executor(workers) as pool:
            yield lambda func, items, chunksize: list(pool.map(func, items, chunksize=chunksize or 1))

    return opened


def open_joblib(**options: Any) -> Opener:
    """Prepare joblib's `Parallel`, kept open; its default engine is loky."""
    joblib = importlib.import_module("joblib")

    @contextmanager
    def opened() -> Iterator[Run]:
        with joblib.Parallel(n_jobs=cores(), **options) as parallel:
            yield lambda func, items, _chunksize: parallel(joblib.delayed(func)(item) for item in items)

    return opened


def open_mpire() -> Opener:
    """Prepare mpire's `WorkerPool`, forked and kept alive."""
    mpire = importlib.import_module("mpire")

    @contextmanager
    def opened() -> Iterator[Run]:
        with mpire.WorkerPool(n_jobs=cores(), start_method="fork", keep_alive=True) as pool:
            yield lambda func, items, chunksize: pool.map(func, items, chunk_size=chunksize)

    return opened


def importable(names: Iterable[str]) -> list[str]:
    """Keep the names of modules that are installed."""
    return [name for name in names if importlib.util.find_spec(name) is not None]


ENGINES: dict[str, Callable[[], Opener]] = {
    "loop": open_loop,
    "pmap": open_pmap,
    "pmap serial": functools.partial(open_pmap, backend="serial"),
    "pmap thread": functools.partial(open_pmap, backend="thread"),
    "pmap process": functools.partial(open_pmap, backend="process"),
    "pimap": open_pimap,
    "pimap thread": functools.partial(open_pimap, backend="thread"),
    "pimap process": functools.partial(open_pimap, backend="process"),
    "mp.Pool fork": functools.partial(open_mp_pool, "fork"),
    "mp.Pool spawn": functools.partial(open_mp_pool, "spawn"),
    "mp.Pool.imap": open_mp_imap,
    "ProcessPoolExecutor": functools.partial(open_executor, "process", "ProcessPoolExecutor", cores()),
    "ThreadPoolExecutor": functools.partial(open_executor, "thread", "ThreadPoolExecutor", cores()),
    "ThreadPoolExecutor(64)": functools.partial(open_executor, "thread", "ThreadPoolExecutor", 64),
    "joblib": open_joblib,
    "mpire": open_mpire,
}
