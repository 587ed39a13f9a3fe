"""The threads that the numerical libraries of this process start for one operation.

How many, they read from the environment once, when they are loaded. A worker that is kept for a call with another share
of the cores, or that was forked with the libraries in it, has to tell them.
"""

import os
import re
from contextlib import suppress

# OpenBLAS by itself, in NumPy's and SciPy's wheels (with 64 bit integers or not), MKL, BLIS, and OpenMP.
_LIBRARIES = re.compile(r"/\S*(?:openblas|mkl_rt|blis|gomp|libomp|iomp5)\S*\.so\S*")
_MAPS = "/proc/self/maps"
_SETTERS = (
    "openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "scipy_openblas_set_num_threads64_",
    "MKL_Set_Num_Threads",
    "bli_thread_set_num_threads",
    "omp_set_num_threads",
)


def limit(threads: int) -> None:
    """Lets the libraries that are loaded use so many threads; does nothing where it cannot find them."""
    for path in _loaded() or ():
        import ctypes  # costs 5 ms, and few workers need it

        with suppress(OSError):
            library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_NOW)
            for name in _SETTERS:
                setter = getattr(library, name, None)
                if setter is not None:
                    setter(threads)


def has_teams() -> bool:
    """Whether each thread that computes may get a team of threads of its own, as OpenMP has it; true if not known.

    Then twice as many callers mean twice as many threads, which wait for each other busily. OpenBLAS has one team for
    all its callers.
    """
    paths = _loaded()
    return paths is None or any("openblas" not in os.path.basename(path) for path in paths)


def _loaded() -> set[str] | None:
    """The files of the libraries that are loaded; ``None``: the system does not tell."""
    try:
        with open(_MAPS, encoding="utf-8", errors="replace") as file:
            return set(_LIBRARIES.findall(file.read()))
    except OSError:
        return None
