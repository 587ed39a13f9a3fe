"""The user's objects to bytes and back.

Items and results go by plain `pickle`, which is several times faster than anything written in Python: what is defined
in `__main__` goes by its name. A worker asks for a name that it does not have (`_definitions`), and the caller has
them all. Only what plain pickle refuses (lambdas, local classes) goes by cloudpickle, by value.
"""

import functools
import io
import math
import pickle
import types
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

from parmap._errors import in_words
from parmap._transport._beside import collecting
from parmap._transport._links import Payload
from parmap._tuning import BUFFER_LIMIT, COPY_BYTE, EXPLAIN_DEPTH, PICKLE_ALONE


def dump(value: Any, *, back: bool = False) -> Payload:
    """Pickles a value; its large buffers stay where they are and are listed beside the pickle.

    Args:
        value: What to pickle.
        back: Whether it goes to the process where this one's definitions come from.

    Raises:
        Exception: Whatever the objects' own reducers raise.
    """
    in_band, buffers = split_buffers()
    try:
        with collecting() as arenas:
            return Payload(pickle.dumps(value, 5, buffer_callback=in_band), buffers, arenas)
    except Exception:
        buffers.clear()
        from parmap._transport._definitions import dump_by_value

        return dump_by_value(value, in_band, buffers, back=back)


def weigh(value: Any, limit: float) -> float:
    """Seconds that it takes to pickle a value in a chunk and to copy its bytes; infinite beyond ``limit``.

    Raises:
        Exception: As `dump`.
    """
    scale = _Scale(max(limit, PICKLE_ALONE))
    in_band, buffers = split_buffers()
    try:
        pickle.Pickler(scale, 5, buffer_callback=in_band).dump(value)
    except _TooHeavyError:
        return math.inf
    except Exception:
        dump(value)  # by value, where that is possible
    return max(0.0, scale.seconds() - PICKLE_ALONE) + (scale.size + sum(each.nbytes for each in buffers)) * COPY_BYTE


class _TooHeavyError(Exception):
    """The limit is exceeded."""


class _Scale:
    """A file that only weighs what is written to it."""

    def __init__(self, limit: float) -> None:
        self.size = 0
        self._begin = perf_counter()
        self._limit = limit

    def write(self, data: bytes) -> None:
        """Takes a frame of a pickle, which is made piece by piece."""
        self.size += len(data)
        if self.seconds() > self._limit:
            raise _TooHeavyError

    def seconds(self) -> float:
        """Since it was made."""
        return perf_counter() - self._begin


def split_buffers() -> tuple[Callable[[pickle.PickleBuffer], bool], list[memoryview]]:
    """A buffer callback for a pickler, which keeps small buffers in the pickle, and the list of the large ones."""
    buffers: list[memoryview] = []

    def in_band(buffer: pickle.PickleBuffer) -> bool:
        raw = buffer.raw()
        if raw.nbytes < BUFFER_LIMIT:
            return True
        buffers.append(raw)
        return False

    return in_band, buffers


def load(payload: Payload, find: Callable[[str], Any] | None = None) -> Any:
    """Rebuilds a value. Buffers that were out of band are views of the mapped memory: shared until written to.

    Args:
        payload: What `dump` gave, on the other side.
        find: Finds a name of `__main__`; ``None``: it is there as it is.
    """
    if find is None:
        return pickle.loads(payload.body, buffers=payload.buffers)
    return _Unpickler(payload, find).load()


class _Unpickler(pickle.Unpickler):
    def __init__(self, payload: Payload, find: Callable[[str], Any]) -> None:
        super().__init__(io.BytesIO(payload.body), buffers=payload.buffers)
        self._find = find

    def find_class(self, module: str, name: str) -> Any:
        return self._find(name) if module == "__main__" else super().find_class(module, name)


def explain(value: Any, name: str, error: BaseException, dump: Callable[[Any], object] = dump) -> str:
    """Why a value cannot be pickled by ``dump``, with the path to the part that cannot."""
    seen = set()
    for _ in range(EXPLAIN_DEPTH):
        seen.add(id(value))
        for path, part in _parts(value, name):
            try:
                dump(part)
            except Exception as found:
                if id(part) not in seen:
                    value, name, error = part, path, found
                    break
        else:
            break
    return f"{name}: {in_words(error)}"


def _parts(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """What an object is made of, each with the path that leads to it."""
    if isinstance(value, dict):
        yield from ((f"{path}[{key!r:.40}]", part) for key, part in list(value.items()))
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"{path}[{position}]", part) for position, part in enumerate(value))
    elif isinstance(value, functools.partial):
        yield f"{path}.func", value.func
        yield from ((f"{path}.args[{position}]", part) for position, part in enumerate(value.args))
        yield from ((f"{path}.keywords[{name!r}]", part) for name, part in value.keywords.items())
    elif isinstance(value, types.FunctionType):
        import inspect  # costs 5 ms, and only errors need it

        captured = inspect.getclosurevars(value)
        yield from ((f"{path}.<closure {name!r}>", part) for name, part in captured.nonlocals.items())
        yield from ((f"{path}.<global {name!r}>", part) for name, part in captured.globals.items())
        yield from ((f"{path}.<default {position}>", part) for position, part in enumerate(value.__defaults__ or ()))
    elif isinstance(value, types.MethodType):
        yield f"{path}.__self__", value.__self__
    elif isinstance(value, type):
        yield from ((f"{path}.{name}", part) for name, part in vars(value).items() if not name.startswith("__"))
    else:
        yield from ((f"{path}.{name}", part) for name, part in list(getattr(value, "__dict__", {}).items()))
        slots = [getattr(cls, "__slots__", ()) for cls in type(value).__mro__]
        names = {name for each in slots for name in ([each] if isinstance(each, str) else each)}
        yield from ((f"{path}.{name}", getattr(value, name)) for name in sorted(names) if hasattr(value, name))
