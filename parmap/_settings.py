"""The surroundings of a worker: working directory, import path, environment and warning filters of the caller."""

import os
import sys
import warnings
from typing import Any

from parmap import _blas
from parmap._nesting import level
from parmap._transport._messages import Setting
from parmap._transport._reports import log_levels, set_filters

# How many threads BLAS and OpenMP start. What the user has set stays; the first one decides for all of them.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


class _Environment:
    """The caller's environment, decoded anew only when it has changed: decoding it takes 40 us."""

    def __init__(self) -> None:
        self._raw: object = None
        self._decoded: dict[str, str] = {}

    def read(self) -> dict[str, str]:
        raw = getattr(os.environ, "_data", None)  # what os.environ decodes at each look
        if raw is None or raw != self._raw:
            self._raw, self._decoded = dict(raw or {}), dict(os.environ)
        return self._decoded


_environment = _Environment()


class _State:
    """What was applied to this process."""

    cores = 0  # nothing yet


def current(cores: int) -> Setting:
    """The setting of this process, for a worker that may use ``cores`` cores."""
    try:
        directory = os.getcwd()
    except OSError:  # it was removed
        directory = None
    filters: list[object] = [each for each in warnings.filters if each[2].__module__ != "__main__"]
    return Setting(
        directory, list(sys.path), _environment.read(), filters, list(sys.argv), cores, level() + 1, log_levels()
    )


def environment(setting: Setting) -> dict[str, str]:
    """The environment of a worker: the caller's, and its share of the cores for libraries that start threads."""
    if "OMP_NUM_THREADS" in setting.environ:
        return setting.environ
    return {**{name: str(setting.cores) for name in _THREAD_VARIABLES}, **setting.environ}


def apply(setting: Setting) -> None:
    """Makes this process like the one that the setting was taken from."""
    if setting.directory is not None:
        try:
            os.chdir(setting.directory)
        except OSError:
            warnings.warn(f"a worker cannot enter {setting.directory!r}", RuntimeWarning, stacklevel=2)
    sys.path[:] = setting.path
    sys.argv[:] = setting.argv
    environ = environment(setting)
    if environ != os.environ:
        for name in os.environ.keys() - environ.keys():
            del os.environ[name]
        os.environ.update(environ)
    if _State.cores not in (0, setting.cores) and "OMP_NUM_THREADS" not in setting.environ:
        _blas.limit(setting.cores)
    _State.cores = setting.cores
    filters: list[Any] = setting.filters
    if filters != warnings.filters:
        set_filters(filters)
