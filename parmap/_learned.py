"""What was seen of a function, for its next call.

It only ever helps to choose well from the start: nothing that is found here can change a result. Bounded, and safe
from any thread.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any

from parmap._tuning import LEARNED_FUNCTIONS


class Learned:
    """Seconds that an item takes, for the functions that were used last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: OrderedDict[object, float] = OrderedDict()

    def recall(self, func: Callable[..., Any]) -> float:
        """Seconds that an item of ``func`` took the last time; 0.0: not known."""
        return self._seconds.get(_key(func), 0.0)

    def remember(self, func: Callable[..., Any], seconds: float) -> None:
        """Notes what an item of ``func`` takes; 0.0, that nothing was seen, is not noted."""
        if not seconds:
            return
        key = _key(func)
        with self._lock:
            self._seconds[key] = seconds
            self._seconds.move_to_end(key)
            if len(self._seconds) > LEARNED_FUNCTIONS:
                self._seconds.popitem(last=False)


def _key(func: Callable[..., Any]) -> object:
    """What is the same for a function in its next call, and keeps nothing of the user's alive but code."""
    # A lambda or a local function is made anew for each call, but not its code.
    code = _code(func)
    return code if code is not None else (type(func).__qualname__, getattr(type(func), "__module__", ""), _name(func))


def _code(func: object) -> CodeType | None:
    """The code of a function or method; ``None`` for other callables."""
    if isinstance(func, MethodType):
        func = func.__func__
    return func.__code__ if isinstance(func, FunctionType) else None


def _name(func: object) -> str:
    named = isinstance(func, BuiltinFunctionType | type)
    return f"{func.__module__}.{func.__qualname__}" if named else ""  # type: ignore[attr-defined]


learned = Learned()
