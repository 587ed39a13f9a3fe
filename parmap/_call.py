"""What is to be done in a call and what has been done of it, whoever does it."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from parmap._chunks import Sizer
from parmap._errors import add_note, describe, describe_tries, note_item, show_arguments
from parmap._merge import AsCompleted, InOrder
from parmap._records import Chunk, Done, Lost, Options, Sample, Task
from parmap._source import Source


class Call:
    """The items of one call: which are still to be run, which are being run, which results are to be handed out.

    Any thread may use it: each method holds the lock, and none waits for a worker. Only the caller's thread draws
    from the user's iterators, unless that runs no code of the user (``pull``).

    Attributes:
        failed: Whether an item has failed in a way that ends the call.
        failed_at: Index of the earliest item that did.
    """

    def __init__(self, task: Task, source: Source, options: Options, lazy: bool) -> None:
        self.task = task
        self.source = source
        self.options = options
        self.lazy = lazy
        self.failed = False
        self.done = 0  # items that have come back
        self.failed_at = 0  # index of the earliest item that failed, if one did
        self._running: set[int] = set()  # where the chunks that are being run start
        self._merge = InOrder() if options.ordered or not lazy else AsCompleted()
        self._again: deque[Chunk] = deque()  # items that came back without a result
        self._handed = 0  # results that the consumer has taken
        self._lock = threading.Lock()

    @property
    def left(self) -> int | None:
        """Items that nobody has started; ``None``: not known."""
        left = self.source.left
        return None if left is None else left + sum(len(chunk.items) for chunk in self._again)

    @property
    def disposable(self) -> bool:
        """Whether an error makes the results before it worthless."""
        return not self.lazy and not self.options.retries

    @property
    def over(self) -> bool:
        """Whether no item is left to be started."""
        return (self.source.exhausted or self.failed) and not self._again

    def next_chunk(self, sizer: Sizer, pull: bool = True) -> Chunk | None:
        """The items to run next; ``None`` if there are none, or none may be drawn now."""
        with self._lock:
            size = sizer.size(self.left)
            if self._again:
                chunk = self._again.popleft()
                if len(chunk.items) > size:
                    self._again.appendleft(chunk.part(size))
                self._running.add(chunk.start)
                return chunk.part(0, size)
            if self.failed or self.source.exhausted or not (pull or self.source.inert):
                return None
            if self.lazy:
                size = min(size, sizer.window(self.options.buffersize) - self.source.drawn + self._handed)
            drawn = self.source.take(size) if size > 0 else None
            if drawn is not None:
                self._running.add(drawn.start)
            return drawn

    def take_back(self, give_back: Callable[[], Chunk | None]) -> None:
        """Takes the items back that an engine has not started.

        In one step: who runs the others cannot settle them, and find that the call is over, before these are here.
        """
        with self._lock:
            chunk = give_back()
            if chunk is not None:
                self._again.append(chunk)

    def peek(self) -> Sample | None:
        """An item that was given back and is to be run next."""
        with self._lock:
            return Sample(self._again[0].start, (self._again[0].items[0],)) if self._again else None

    def settle(self, outcome: Done | Lost) -> None:
        """Notes what became of a chunk."""
        with self._lock:
            self._running.discard(outcome.chunk.start)
            if isinstance(outcome, Done):
                self._settle_done(outcome)
            else:
                self._settle_lost(outcome)

    def hand_out(self) -> Iterator[list[Any]]:
        """Yields the results whose turn has come."""
        while True:
            with self._lock:
                results = self._merge.take()
            if not results:
                return
            count = len(results)
            yield results
            self._handed += count

    @property
    def failure(self) -> BaseException | None:
        """The error that ends the call, once the results before it have been handed out.

        An eager call has no results before its end, so any failure will do, and the earliest item's is the loop's.
        """
        with self._lock:
            if self.failed:
                return self._merge.failure if self.lazy else self._merge.first_failure()
            return self.source.error if self.over and not self._running else None

    @property
    def may_fail_earlier(self) -> bool:
        """Whether an item before the one that failed is still to be run, or is being run."""
        with self._lock:
            return bool(self._again) or any(start < self.failed_at for start in self._running)

    def _settle_done(self, outcome: Done) -> None:
        chunk, values = outcome.chunk, outcome.values
        self.done += len(values)
        begin = 0
        for failure in outcome.failures:
            position = failure.at - chunk.start
            if self._retry(chunk, position, failure.error):
                self._merge.add(chunk.start + begin, values[begin:position])
                begin = position + 1
                continue
            note_item(failure, self._show(chunk, position))
            if self.task.keep_going and isinstance(failure.error, Exception):
                values[position] = failure.error
            else:
                self._merge.add(chunk.start + begin, values[begin:position])
                begin = position + 1
                self._fail(failure.at, failure.error)
        self._merge.add(chunk.start + begin, values[begin:] if begin else values)
        if len(values) < len(chunk.items):
            self._rerun(chunk.part(len(values)))

    def _show(self, chunk: Chunk, position: int) -> str:
        item = chunk.items[position : position + 1]  # a loop lets its list be changed under it
        return show_arguments(item[0], self.task.packed) if item else "no longer in its list"

    def _settle_lost(self, outcome: Lost) -> None:
        chunk, failure = outcome.chunk, outcome.failure
        if outcome.alone:
            for position in range(len(chunk.items)):
                self._rerun(chunk.part(position, position + 1))
            return
        if failure is None:
            self._rerun(chunk)
            return
        position = failure.at - chunk.start
        self._rerun(chunk.part(0, position))
        self._rerun(chunk.part(position + 1))
        self._settle_done(Done(chunk.part(position, position + 1), [None], [failure], 0.0, 0))

    def _retry(self, chunk: Chunk, position: int, error: BaseException) -> bool:
        """Has an item run again if it may be; its last error tells what became of the tries before."""
        if len(chunk.past) < self.options.retries and not self.failed and isinstance(error, Exception):
            again = chunk.part(position, position + 1)
            self._again.append(again._replace(past=(*chunk.past, describe(error))))
            return True
        if chunk.past:
            add_note(error, describe_tries((*chunk.past, describe(error))))
        return False

    def _rerun(self, chunk: Chunk) -> None:
        # After a failure, only the items before it are still of use: they may fail too, or be waited for.
        if chunk.items and not (self.failed and chunk.start > self.failed_at):
            self._again.append(chunk)

    def _fail(self, index: int, error: BaseException) -> None:
        self.failed_at = min(index, self.failed_at) if self.failed else index
        self.failed = True
        self._again = deque(chunk for chunk in self._again if chunk.start < self.failed_at)
        self._merge.fail(index, error)
