"""The definition of a call: its function and initializer as a parcel, made once and sent to each worker."""

import os
import pickle
import sys
from functools import reduce
from typing import NamedTuple

from parmap._errors import SerializationError
from parmap._records import Task
from parmap._transport._links import Parcel, Payload, pack
from parmap._transport._modules import is_being_imported, is_installed
from parmap._transport._pickling import explain, split_buffers

# A pickle with this in it refers to the caller's `__main__`, which no worker can import.
_MAIN = b"__main__"


class Stamp(NamedTuple):
    """Which version of a source file a module was made from."""

    modified: int  # nanoseconds since the epoch
    size: int


class Definition(NamedTuple):
    """A call's function and initializer, packed."""

    parcel: Parcel
    key: bytes | None  # equal for definitions that a worker may take for one another; None: never do
    modules: tuple[str, ...]  # installed ones that it needs
    stamps: dict[str, Stamp]  # of those that may be edited while the program runs


def make_definition(task: Task) -> Definition:
    """Packs a call's function and initializer.

    Raises:
        SerializationError: It cannot travel; the message names the part that cannot.
    """
    if task.initializer is None and (key := _by_name(task.func)) is not None:
        named: tuple[str, ...] = (task.func.__module__,)
        return Definition(pack(Payload(key, [])), key, tuple(filter(is_installed, named)), _stamps(named))
    payload, needed = _dump(task)
    modules = tuple(sorted(needed))
    return Definition(pack(payload), None, tuple(filter(is_installed, modules)), _stamps(modules))


def dump_task(task: Task) -> Payload:
    """A call's function and initializer, pickled.

    Raises:
        SerializationError: It cannot travel; the message names the part that cannot.
    """
    return _dump(task)[0]


def _dump(task: Task) -> tuple[Payload, set[str]]:
    from parmap._transport._definitions import dump_definition

    try:
        return dump_definition((task.func, task.initializer), *split_buffers())
    except Exception as error:
        raise _cannot_travel(task, error) from error


def needed_anyway(task: Task) -> tuple[str, ...]:
    """The modules that the task's definition will need, as far as that can be told before it is made."""
    by_name = task.initializer is None and _by_name(task.func) is not None
    return () if by_name else ("cloudpickle.cloudpickle",)


def _stamps(modules: tuple[str, ...]) -> dict[str, Stamp]:
    """The stamps of the user's own modules. Installed ones are taken to stay as they are."""
    stamps = {}
    for name in modules:
        path = getattr(sys.modules.get(name), "__file__", None)
        if path is not None and not is_installed(name):
            try:
                status = os.stat(path)
            except OSError:
                continue
            stamps[name] = Stamp(status.st_mtime_ns, status.st_size)
    return stamps


def _cannot_travel(task: Task, error: Exception) -> SerializationError:
    """Says which of the two it is, and which part of it."""
    from parmap._transport._definitions import dump_definition

    def by_value(part: object) -> object:
        return dump_definition(part, *split_buffers())

    what, name, culprit = "function", "func", task.func
    if task.initializer is not None:
        try:
            by_value(task.func)
        except Exception as found:
            error = found
        else:
            what, name, culprit = "initializer", "initializer", task.initializer
    called = getattr(culprit, "__qualname__", type(culprit).__name__)
    return SerializationError(f"the {what} {called}", explain(culprit, name, error, by_value))


def _by_name(func: object) -> bytes | None:
    """The pickle of a function that a worker can import, and of no other."""
    module = getattr(func, "__module__", None)
    if not isinstance(module, str) or module == "__main__" or not hasattr(func, "__qualname__"):
        return None
    if is_being_imported(module):
        return None
    try:
        pickled = pickle.dumps((func, None), 5)
    except Exception:
        return None
    return None if _MAIN in pickled or len(pickled) > 1024 else pickled


def look_up(name: str) -> Payload | None:
    """A name of this process's `__main__` by value; ``None`` if there is no such name."""
    from parmap._transport._definitions import dump_definition

    try:
        value = reduce(getattr, name.split("."), sys.modules["__main__"])
    except AttributeError:
        return None
    in_band, buffers = split_buffers()
    return dump_definition(value, in_band, buffers)[0]
