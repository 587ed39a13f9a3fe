"""What was seen of a function, for its next call.

It only ever helps to choose well from the start: nothing that is found here can change a result. Bounded, and safe
from any thread.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType
from typing import Any

from parmap._records import Facts, Seen
from parmap._tuning import LEARNED_FUNCTIONS, REFUSAL_CALLS


class Learned:
    """What was seen of the functions that were used last.

    Attributes:
        missed: Seconds that calls have lost because no worker processes waited for them, since there were some.
    """

    def __init__(self) -> None:
        self.missed = 0.0
        self._lock = threading.Lock()
        self._seen: OrderedDict[object, Seen] = OrderedDict()

    def recall(self, func: Callable[..., Any]) -> Seen:
        """What was seen of ``func`` the last time; nothing: its items took 0.0 seconds."""
        seen = self._seen.get(_key(func), _NOTHING)
        if seen.facts is not None and seen.facts.refused and seen.calls >= REFUSAL_CALLS:
            return seen._replace(facts=None)  # it may have been a bad moment
        return seen

    def remember(self, func: Callable[..., Any], seconds: float, facts: Facts | None = None) -> None:
        """Notes what an item of ``func`` takes; 0.0, that nothing was seen, is not noted.

        Args:
            func: The function.
            seconds: What an item took.
            facts: What was seen of its loop; ``None``: no more than before, which is forgotten when it no longer fits.
        """
        if not seconds:
            return
        key = _key(func)
        with self._lock:
            before = self._seen.get(key, _NOTHING)
            kept = before.facts if before.fits(seconds) else None
            self._seen[key] = Seen(seconds, facts) if facts is not None else Seen(seconds, kept, before.calls + 1)
            self._seen.move_to_end(key)
            if len(self._seen) > LEARNED_FUNCTIONS:
                self._seen.popitem(last=False)


_NOTHING = Seen(0.0)


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
