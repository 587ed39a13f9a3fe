"""What was seen of a function, for its next call.

It only ever helps to choose well from the start: nothing that is found here can change a result. Bounded, and safe
from any thread.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from parmap._tuning import LEARNED_FUNCTIONS


class Learned:
    """Seconds that an item takes, for the functions that were used last."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: OrderedDict[object, float] = OrderedDict()

    def recall(self, func: Callable[..., Any]) -> float:
        """Seconds that an item of ``func`` took the last time; 0.0: not known."""
        try:
            return self._seconds.get(_key(func), 0.0)
        except TypeError:  # a callable that cannot be hashed
            return 0.0

    def remember(self, func: Callable[..., Any], seconds: float) -> None:
        """Notes what an item of ``func`` takes; 0.0, that nothing was seen, is not noted."""
        if not seconds:
            return
        key = _key(func)
        try:
            hash(key)
        except TypeError:
            return
        with self._lock:
            self._seconds[key] = seconds
            self._seconds.move_to_end(key)
            if len(self._seconds) > LEARNED_FUNCTIONS:
                self._seconds.popitem(last=False)


def _key(func: Callable[..., Any]) -> object:
    # A lambda or a local function is made anew for each call, but not its code.
    return getattr(func, "__code__", None) or (func if isinstance(func, type(len) | type) else type(func))


learned = Learned()
