"""Reproducible random numbers: a stream of their own for each item, whoever runs it, and whenever.

The stream of an item comes from the seed of the call and from the item's index, and from nothing else: not from the
worker, the chunk, the order of completion or the number of tries. For `random` it is seeded with
``BLAKE2b(seed, index)``, for NumPy's global state (``numpy.random.seed``) with what
``SeedSequence(seed, spawn_key=(index,))`` generates, as ``SeedSequence.spawn`` makes independent streams (NumPy's manual,
"Parallel random number generation"; O'Neill, "Developing a seed_seq alternative", 2015).

The generators are global to a process. So seeded items of one process take turns, and the state that was there is put
back after them.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, TypeAlias

Start: TypeAlias = Callable[[int], None]  # starts the stream of the item with this index

# What seeded items wait for. Those of a call inside a seeded item, which holds it, have another one.
_everyone = threading.RLock()
_turn: ContextVar[AbstractContextManager[object]] = ContextVar("parmap turn", default=_everyone)


_none: AbstractContextManager[None] = nullcontext()


def streams(seed: int | None) -> AbstractContextManager[Start | None]:
    """Gives what starts the stream of an item, for the time of a block; ``None`` without a seed."""
    return _none if seed is None else _streams(seed)


def prepare(seed: int | None) -> None:
    """Imports what seeded items need, before anyone takes their time."""
    if seed is not None:
        _numpy_random()


@contextmanager
def _streams(seed: int) -> Iterator[Start]:
    import random  # costs 3 ms, and only seeds need it

    with _turn.get():
        token = _turn.set(threading.RLock())
        numpy_random = _numpy_random()
        before = random.getstate()
        numpy_before = None if numpy_random is None else numpy_random.get_state()
        try:
            yield lambda index: _start(seed, index, numpy_random)
        finally:
            random.setstate(before)
            if numpy_random is not None:
                numpy_random.set_state(numpy_before)
            _turn.reset(token)


def _start(seed: int, index: int, numpy_random: Any) -> None:
    import random
    from hashlib import blake2b

    random.seed(int.from_bytes(blake2b(f"{seed} {index}".encode()).digest()))
    if numpy_random is not None:
        numpy_random.seed(numpy_random.SeedSequence(seed, spawn_key=(index,)).generate_state(8))


def _numpy_random() -> Any:
    """NumPy's global generator, imported now: a function that imports it later is to find it seeded."""
    try:
        from numpy import random as numpy_random
    except Exception:  # it is not installed, or broken
        return None
    return numpy_random
