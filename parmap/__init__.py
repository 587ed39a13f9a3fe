"""parmap turns a for-loop into a parallel one.

    from parmap import pmap
    results = pmap(f, xs)  # was: [f(x) for x in xs]

The call starts as that loop and is watched while it runs: waiting work goes to threads, computing work to processes,
and what would not gain stays a loop.
"""

import typing as _typing

from parmap._api import pchunked, pimap, pmap, shutdown
from parmap._cores import cpu_count
from parmap._errors import FallbackWarning, ItemTimeoutError, ParmapError, SerializationError, WorkerCrashError
from parmap._options import options

if _typing.TYPE_CHECKING:
    from parmap.shared import Lock, Value

__all__ = [
    "FallbackWarning",
    "ItemTimeoutError",
    "Lock",
    "ParmapError",
    "SerializationError",
    "Value",
    "WorkerCrashError",
    "cpu_count",
    "options",
    "pchunked",
    "pimap",
    "pmap",
    "shutdown",
]

if not _typing.TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """`Value` and `Lock` on first use: they need ctypes."""
        if name not in ("Lock", "Value"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from parmap import shared

        globals().update(Lock=shared.Lock, Value=shared.Value)
        return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


for _name in set(__all__) & set(globals()):
    globals()[_name].__module__ = __name__
del _name
