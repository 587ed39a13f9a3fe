"""parmap turns a for-loop into a parallel one.

    from parmap import pmap
    results = pmap(f, xs)  # was: [f(x) for x in xs]

The call starts as that loop and is watched while it runs: waiting work goes to threads, computing work to processes,
and what would not gain stays a loop.
"""

from parmap._api import pchunked, pimap, pmap, shutdown
from parmap._cores import cpu_count
from parmap._errors import FallbackWarning, ItemTimeoutError, ParmapError, SerializationError, WorkerCrashError
from parmap._options import options

__all__ = [
    "FallbackWarning",
    "ItemTimeoutError",
    "ParmapError",
    "SerializationError",
    "WorkerCrashError",
    "cpu_count",
    "options",
    "pchunked",
    "pimap",
    "pmap",
    "shutdown",
]

for _name in __all__:
    globals()[_name].__module__ = __name__
del _name
