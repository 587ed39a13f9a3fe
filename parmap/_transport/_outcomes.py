"""From a worker's answer to an outcome, and what to do where something of a chunk cannot travel.

The same for all that carry chunks to other processes and back. An item that cannot travel, there or back, is a failed
item with a `SerializationError`; the others of its chunk are not held up by it.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple, TypeVar

from parmap._errors import SerializationError, add_note, in_words, show_arguments
from parmap._records import Broken, Chunk, Done, Failure, Lost, Outcome
from parmap._transport._exceptions import pack_error, unpack_error
from parmap._transport._messages import PackedErrors, PackedFailure
from parmap._transport._pickling import explain

T = TypeVar("T")


class Answer(NamedTuple):
    """What came back with the values of a chunk."""

    failures: Sequence[PackedFailure]
    seconds: float  # time the items took
    cpu: float  # time they computed
    size: int  # bytes of the values


# --- in the worker ---


def make_answer(
    done: Done, worker: str, pack: Callable[[Any], T], drop: Callable[[T], object]
) -> tuple[T, list[PackedFailure]]:
    """Packs the values of a chunk, and its failures; a value that cannot be packed is a failure of its item.

    Args:
        done: The chunk.
        worker: This worker, in words.
        pack: Packs the list of values, or one for a try.
        drop: Gives back what a try took.
    """
    values, failures = done.values, list(done.failures)
    try:
        packed = pack(values)
    except Exception:
        values = list(values)
        with ExitStack() as taken:  # all tries together, so that there is room for all together
            for position, value in enumerate(values):
                try:
                    taken.callback(drop, pack(value))
                except Exception as error:
                    index = done.chunk.start + position
                    reason = explain(value, f"the result, a {type(value).__name__}", error)
                    failures.append(Failure(index, SerializationError(f"the result of item {index}", reason), worker))
                    values[position] = None
        packed = pack(values)
    return packed, [PackedFailure(each.at - done.chunk.start, pack_error(each.error)) for each in failures]


# --- in the caller's process ---


def read_answer(chunk: Chunk, answer: Answer, load: Callable[[], list[Any]], worker: str) -> Outcome:
    """What became of a chunk; ``load`` rebuilds the values that came back."""
    try:
        values = load()
    except Exception as error:
        if len(chunk.items) > 1:
            return Lost(chunk, None, alone=True)
        failure = SerializationError(f"the result of item {chunk.start}", in_words(error))
        return Done(chunk, [None], [Failure(chunk.start, failure, worker)], answer.seconds, 0)
    failures = []
    for position, packed in answer.failures:
        found = unpack_error(packed, f"the error of item {chunk.start + position}")
        add_note(found, f"parmap: in {worker}, most recent call last:\n{packed[0].traceback}")
        failures.append(Failure(chunk.start + position, found, worker))
    return Done(chunk, values, failures, answer.seconds, answer.size, answer.cpu)


def unreadable(chunk: Chunk, packed: bool, reason: str, worker: str) -> Outcome:
    """What becomes of a chunk whose items a worker could not rebuild."""
    if len(chunk.items) > 1:
        return Lost(chunk, None, alone=True)
    error = SerializationError(_arguments(chunk, packed), reason)
    return Done(chunk, [None], [Failure(chunk.start, error, worker)], 0.0, 0)


def undefined(reason: str, error: PackedErrors | None) -> Broken:
    """What it means that a worker could not rebuild the function or, with an error, that the initializer failed."""
    if error is None:
        return Broken(SerializationError("the function", reason), elsewhere=True)
    found = unpack_error(error, "the error of the initializer")
    add_note(found, f"parmap: most recent call last:\n{error[0].traceback}")
    return Broken(found, elsewhere=False)


def unsendable(chunk: Chunk, packed: bool, check: Callable[[Any], object]) -> list[Outcome]:
    """Finds the items of a chunk that cannot travel; the others come back to be dispatched without them.

    Args:
        chunk: The chunk.
        packed: Whether an item is a tuple of arguments.
        check: Raises for an item that cannot travel.
    """
    outcomes: list[Outcome] = []
    for position, item in enumerate(chunk.items):
        part = chunk.part(position, position + 1)
        try:
            check(item)
        except Exception as error:
            failure = SerializationError(_arguments(part, packed), explain(item, "the item", error))
            at_fault = Failure(part.start, failure, "the calling process")
            outcomes.append(Lost(part, at_fault, alone=False, unsent=True))
        else:
            outcomes.append(Lost(part, None, alone=False))
    return outcomes


def _arguments(chunk: Chunk, packed: bool) -> str:
    return f"the arguments of item {chunk.start} ({show_arguments(chunk.items[0], packed)})"
