"""Running items: the one place where the user's function is called and its result captured.

Every engine runs its chunks here, in the caller's thread, in a thread of its own or in a worker process.
"""

import sys
from collections.abc import Callable, Sized
from time import perf_counter, thread_time
from typing import Any, Protocol

from parmap._errors import add_note
from parmap._random import Start, streams
from parmap._records import Chunk, Done, Failure, Task
from parmap._tuning import BLOCK_TARGET, CHUNK_LIMIT


class Slots(Protocol):
    """What can be written to by position: a list, or shared memory."""

    def __setitem__(self, position: int, value: int, /) -> None: ...


def star(func: Callable[..., Any], packed: bool) -> Callable[[Any], Any]:
    """``func`` as a function of one item."""
    return (lambda item: func(*item)) if packed else func


def seeded(call: Callable[[Any], Any], start: Start | None, first: int, values: Sized) -> Callable[[Any], Any]:
    """``call`` with the stream of the item started before; its index is ``first`` and the results so far."""
    if start is None:
        return call

    def started(item: Any) -> Any:
        start(first + len(values))
        return call(item)

    return started


def initialize(task: Task, worker: str) -> None:
    """Calls the task's initializer, if it has one; an error of it says that it came from there."""
    if task.initializer is not None:
        try:
            task.initializer()
        except BaseException as error:
            add_note(error, f"parmap: this is an error of the initializer, in {worker}")
            raise


def run_chunk(
    task: Task,
    chunk: Chunk,
    worker: str,
    started: Slots,
    go_on: Callable[[int], bool],
) -> Done:
    """Runs the items of a chunk in order until they are done, one fails, or the chunk is to end.

    It is to end when ``CHUNK_LIMIT`` is over, at least one item done, and when ``go_on(items done)`` is false.

    Before an item runs, its number within the chunk, from one, is put into ``started[0]``: what a death leaves
    behind says which item it was. Items run in blocks of about ``BLOCK_TARGET`` seconds, one item at first, and
    ``go_on`` is asked before each; with a ``timeout`` a block is one item.
    """
    values: list[Any] = []
    failures: list[Failure] = []
    append = values.append
    block = 1
    with streams(task.seed) as start:
        call = seeded(star(task.func, task.packed), start, chunk.start, values)
        computed = thread_time()
        begin = last = perf_counter()
        while len(values) < len(chunk.items) and last - begin < CHUNK_LIMIT and go_on(len(values)):
            done = len(values)
            try:
                for started[0], item in enumerate(chunk.items[done : done + block], done + 1):
                    append(call(item))
            except BaseException as error:
                failures.append(Failure(chunk.start + len(values), error, worker))
                append(None)
                if not (task.keep_going and isinstance(error, Exception)):
                    break
            now = perf_counter()
            if task.timeout is None:
                block = block * 2 if now - last < BLOCK_TARGET / 2 else max(1, block // 2)
            last = now
        seconds = perf_counter() - begin
        computed = thread_time() - computed
    size = sys.getsizeof(values[-1]) * len(values) if values else 0
    return Done(chunk, values, failures, seconds, size, computed)
