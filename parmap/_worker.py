"""Running items: the one place where the user's function is called and its result captured.

Every engine runs its chunks here, in the caller's thread, in a thread of its own or in a worker process.
"""

from collections.abc import Callable, MutableSequence
from time import perf_counter
from typing import Any

from parmap._records import Chunk, Done, Failure, Task
from parmap._tuning import BLOCK_TARGET


def star(func: Callable[..., Any], packed: bool) -> Callable[[Any], Any]:
    """``func`` as a function of one item."""
    return (lambda item: func(*item)) if packed else func


def initialize(task: Task, worker: str) -> None:
    """Calls the task's initializer, if it has one; an error of it says that it came from there."""
    if task.initializer is not None:
        try:
            task.initializer()
        except BaseException as error:
            error.add_note(f"parmap: this is an error of the initializer, in {worker}")
            raise


def run_chunk(
    task: Task,
    chunk: Chunk,
    worker: str,
    started: MutableSequence[int],
    go_on: Callable[[], bool],
) -> Done:
    """Runs the items of a chunk in order until they are done, one fails, or ``go_on()`` is false.

    Before an item runs, its number within the chunk, from one, is put into ``started[0]``: what a death leaves
    behind says which item it was. Items run in blocks of about ``BLOCK_TARGET`` seconds, one item at first, and
    ``go_on`` is asked between blocks; with a ``timeout`` a block is one item.
    """
    call = star(task.func, task.packed)
    values: list[Any] = []
    failures: list[Failure] = []
    append = values.append
    block = 1
    begin = last = perf_counter()
    while len(values) < len(chunk.items):
        done = len(values)
        try:
            for started[0], item in enumerate(chunk.items[done : done + block], done + 1):  # noqa: B007, B020
                append(call(item))
        except BaseException as error:
            failures.append(Failure(chunk.start + len(values), error, worker))
            append(None)
            if not (task.keep_going and isinstance(error, Exception)):
                break
        now = perf_counter()
        if not go_on():
            break
        if task.timeout is None:
            block = block * 2 if now - last < BLOCK_TARGET / 2 else max(1, block // 2)
        last = now
    return Done(chunk, values, failures, perf_counter() - begin, 0)
