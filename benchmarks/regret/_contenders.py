"""The ways to run a loop, each in its best documented form, with what `_engines` has of them.

A worker count is that of the cores, as each library recommends for computing; threads also come in two larger counts,
which is what one picks for waiting. Pools stay open from call to call.
"""

import functools
import importlib
import importlib.util
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from _engines import Opener, Run, cores, open_executor, open_joblib, open_loop, open_mp_pool, open_pmap

ChunkRule: TypeAlias = Callable[[Sequence[Any]], int | None]

LOOP, PARMAP = "loop", "parmap"


def its_own(_: Sequence[Any]) -> int | None:
    """Leave the chunk size to the library."""
    return None


def single(_: Sequence[Any]) -> int | None:
    """Send items one by one."""
    return 1


def a_quarter(items: Sequence[Any]) -> int | None:
    """Give each worker four chunks, as `multiprocessing.Pool` does and `ProcessPoolExecutor` leaves to its user."""
    return max(1, len(items) // (4 * cores()))


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to run a loop: how tables call it, how it is opened, how it cuts its input.

    Attributes:
        label: Its name in tables and in the figure.
        prepare: Does the imports and returns what opens it, as in `_engines`.
        chunks: The chunk size for a list of items.
        needs: The module that it comes from, where that may be missing.
        counts: Whether it has to know the length of its input; then that becomes a list first.
    """

    label: str
    prepare: Callable[[], Opener]
    chunks: ChunkRule = its_own
    needs: str = "sys"
    counts: bool = False

    def call(self, run: Run, func: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
        """Run a loop."""
        given: Any = list(items) if self.counts and not isinstance(items, Sequence) else items
        return run(func, given, self.chunks(given))


def open_mpire() -> Opener:
    """Prepare mpire's `WorkerPool`, kept alive; its results stay a list even if they are arrays."""
    mpire = importlib.import_module("mpire")

    @contextmanager
    def opened() -> Iterator[Run]:
        with mpire.WorkerPool(n_jobs=cores(), keep_alive=True) as pool:
            yield lambda func, items, _chunksize: pool.map(func, items, concatenate_numpy_output=False)

    return opened


def _threads(count: int) -> Contender:
    prepare = functools.partial(open_executor, "thread", "ThreadPoolExecutor", count)
    return Contender(f"ThreadPoolExecutor({count})", prepare)


_fork_pool = functools.partial(open_mp_pool, "fork")
_executor = functools.partial(open_executor, "process", "ProcessPoolExecutor", cores())
_joblib_threads = functools.partial(open_joblib, prefer="threads")

CONTENDERS: dict[str, Contender] = {
    LOOP: Contender("loop", open_loop),
    "threads-2": _threads(2),
    "threads-16": _threads(16),
    "threads-64": _threads(64),
    "pool": Contender("mp.Pool", _fork_pool),
    "pool-unit": Contender("mp.Pool, chunks of 1", _fork_pool, single),
    "executor": Contender("ProcessPoolExecutor", _executor, a_quarter, counts=True),
    "joblib": Contender("joblib", open_joblib, needs="joblib"),
    "joblib-threads": Contender("joblib, threads", _joblib_threads, needs="joblib"),
    "mpire": Contender("mpire", open_mpire, needs="mpire", counts=True),
    PARMAP: Contender("parmap", open_pmap),
}


def installed() -> list[str]:
    """List the contenders that this interpreter has."""
    return [name for name, each in CONTENDERS.items() if importlib.util.find_spec(each.needs) is not None]
