"""What travels by value: the call's function and initializer, and what of `__main__` its items refer to.

The worker's `__main__` is a module of its own, never the user's script run again. Functions that travel share its
namespace, as they share the script's at home: a global that the initializer sets is seen by the function, and a class
of the script is found there by its name.

The pickling is cloudpickle's, with what it leaves out: caches made by `functools` travel with their function, an open
file is refused instead of read, and a class that came from the caller goes back as itself, never as a copy.
"""

import functools
import io
import os
import sys
import types
from collections import ChainMap
from collections.abc import Callable
from enum import Enum
from itertools import count
from pickle import PickleBuffer
from typing import Any, TypeAlias, cast
from weakref import WeakKeyDictionary, WeakValueDictionary

import cloudpickle

from parmap._transport._beside import collecting
from parmap._transport._links import Payload
from parmap._transport._modules import is_being_imported

_numbers = count()
# The classes that were sent from here by value, and those that came here from the caller, by the tag that they were
# sent under. A tag holds the process that gave it, so that no two processes give the same.
_Tag: TypeAlias = tuple[int, int]
_tagged: WeakValueDictionary[_Tag, type] = WeakValueDictionary()
_sent: WeakKeyDictionary[type, _Tag] = WeakKeyDictionary()
_came: WeakKeyDictionary[type, _Tag] = WeakKeyDictionary()

_single_dispatch_code = cast(types.FunctionType, functools.singledispatch(lambda _: None)).__code__


def dump_by_value(
    value: Any, in_band: Callable[[PickleBuffer], bool], buffers: list[memoryview], *, back: bool
) -> Payload:
    """Pickles a value, by value what plain pickle refuses. ``in_band`` fills ``buffers`` as it goes.

    ``back`` says that it goes to the process where this one's definitions come from, so that classes which came from
    there are named, not sent.
    """
    return _pickle(value, in_band, buffers, back)[0]


def dump_definition(
    value: Any, in_band: Callable[[PickleBuffer], bool], buffers: list[memoryview]
) -> tuple[Payload, set[str]]:
    """As `dump_by_value`, and the names of the modules that the value needs."""
    return _pickle(value, in_band, buffers, back=False)


def _pickle(
    value: Any, in_band: Callable[[PickleBuffer], bool], buffers: list[memoryview], back: bool
) -> tuple[Payload, set[str]]:
    file = io.BytesIO()
    pickler = _Pickler(file, in_band, back)
    with collecting() as arenas:
        pickler.dump(value)
    return Payload(file.getvalue(), buffers, arenas), pickler.modules


class _MainNamespace:
    """Stands for the dictionary of `__main__`: there, the worker's own."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _main_namespace, ()


def _main_namespace() -> dict[str, Any]:
    return sys.modules["__main__"].__dict__


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    def __init__(self, file: io.BytesIO, in_band: Callable[[PickleBuffer], bool], back: bool) -> None:
        super().__init__(file, protocol=5, buffer_callback=in_band)
        self._back = back
        self.modules: set[str] = set()
        self.globals_ref[id(_main_namespace())] = _MainNamespace()

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is types.ModuleType:
            self.modules.add(obj.__name__)
        elif kind is types.FunctionType and obj.__code__ is _single_dispatch_code and not _importable(obj):
            return _reduce_single_dispatch(obj)
        elif self._back and isinstance(obj, type) and obj in _came:
            return _find_tagged, _came[obj]
        if isinstance(obj, type | types.FunctionType) and is_being_imported(obj.__module__):
            return self._reduce_by_value(obj)
        reduced = super().reducer_override(obj)
        if isinstance(obj, type | types.FunctionType):
            if reduced is NotImplemented:
                self.modules.add(obj.__module__)
            elif isinstance(obj, type) and len(reduced) > 5:
                return _tag_class(obj, reduced)
        return reduced

    def _reduce_by_value(self, obj: Any) -> Any:
        module = sys.modules[obj.__module__]
        cloudpickle.register_pickle_by_value(module)
        try:
            return super().reducer_override(obj)
        finally:
            cloudpickle.unregister_pickle_by_value(module)


def _importable(obj: Any) -> bool:
    """Whether the worker can get ``obj`` by importing the module that defines it."""
    module = sys.modules.get(obj.__module__) if obj.__module__ != "__main__" else None
    try:
        return (
            module is not None
            and not is_being_imported(obj.__module__)
            and functools.reduce(getattr, obj.__qualname__.split("."), module) is obj
        )
    except AttributeError:
        return False


def _tag_class(cls: type, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
    """Lets the receiver of a class remember where it came from, so that it can come back as itself."""
    tag = _sent.setdefault(cls, (os.getpid(), next(_numbers)))
    _tagged[tag] = cls
    make, arguments, state, items, pairs, set_state = reduced
    slots = vars(cls).get("__slots__")
    plain = not issubclass(cls, tuple | Enum)  # those are made in other ways
    if isinstance(slots, str | tuple | list) and plain:
        # cloudpickle makes classes with slots as if they had none; their instances then have another state.
        constructor, name, bases, keywords, *others = arguments
        arguments = (constructor, name, bases, {**keywords, "__slots__": slots}, *others)
    return make, arguments, (tag, set_state, state), items, pairs, _set_class_state


def _set_class_state(cls: type, tagged: tuple[_Tag, Callable[[type, Any], Any], Any]) -> type:
    tag, set_state, state = tagged
    _came[cls] = tag
    _tagged[tag] = cls
    set_state(cls, state)
    return cls


def _find_tagged(process: int, number: int) -> type:
    return _tagged[process, number]


def _reduce_single_dispatch(wrapper: Any) -> tuple[Any, ...]:
    registry = dict(wrapper.registry)
    return _make_single_dispatch, (registry.pop(object),), registry, None, None, _set_single_dispatch_state


def _make_single_dispatch(func: Callable[..., Any]) -> Any:
    return functools.singledispatch(func)


def _set_single_dispatch_state(wrapper: Any, registry: dict[type, Callable[..., Any]]) -> Any:
    for cls, func in registry.items():
        wrapper.register(cls, func)
    return wrapper


def _reduce_single_dispatch_method(method: Any) -> tuple[Any, ...]:
    return _make_single_dispatch_method, (method.func, method.dispatcher)  # 3.13 has a cache of weak references in it


def _make_single_dispatch_method(func: Callable[..., Any], dispatcher: Any) -> Any:
    method = functools.singledispatchmethod(func)
    method.dispatcher = dispatcher
    return method


def _reduce_cache(wrapper: Any) -> Any:
    if _importable(wrapper):
        return wrapper.__qualname__
    parameters = wrapper.cache_parameters()
    return _make_cache, (wrapper.__wrapped__, parameters["maxsize"], parameters["typed"]), dict(vars(wrapper))


def _make_cache(func: Callable[..., Any], maxsize: int | None, typed: bool) -> Any:
    return functools.lru_cache(maxsize, typed)(func)


def _reduce_cached_property(found: Any) -> tuple[Any, ...]:
    return _make_cached_property, (found.func, found.attrname)  # until 3.11 it has a lock, which cannot travel


def _make_cached_property(func: Callable[..., Any], name: str) -> Any:
    made: Any = functools.cached_property(func)
    made.attrname = name
    return made


def _reduce_file(file: io.IOBase) -> tuple[Any, ...]:
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is file:
            return getattr, (sys, name)
    raise TypeError(f"cannot pickle the open file {getattr(file, 'name', file)!r}: open it inside the function")


_Pickler.dispatch_table = ChainMap(
    {
        type(functools.cache(repr)): _reduce_cache,
        functools.cached_property: _reduce_cached_property,
        functools.singledispatchmethod: _reduce_single_dispatch_method,
        io.TextIOWrapper: _reduce_file,
    },
    cloudpickle.Pickler.dispatch_table,
)
