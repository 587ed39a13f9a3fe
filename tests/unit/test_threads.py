"""When the engine of threads gives its threads back: those that rest at once, those in the user's code never."""

import time
from collections.abc import Iterator
from queue import SimpleQueue
from threading import Event
from typing import Any

import pytest

from parmap import _kept, shutdown
from parmap._backends._threads import Threads
from parmap._kept import Kept
from parmap._records import Chunk, Outcome
from tests.leaks import PATIENCE
from tests.unit.fakes import await_event, make_task, negative


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nobody else has threads, and those that are free stay so for as long as a test may take."""
    shutdown()
    monkeypatch.setattr(_kept, "THREAD_LINGER", PATIENCE)
    yield
    shutdown()


class Unasked(SimpleQueue[Any]):
    """What nobody may wait for."""

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        raise AssertionError("a thread at rest was waited for")


def run_all(engine: Threads, count: int) -> list[Kept]:
    """Has as many items run as the engine may have threads; returns the threads."""
    for index in range(count):
        engine.submit(Chunk(index, [index]))
    while engine.flying:
        engine.wait(PATIENCE)
    return list(engine._threads.values())


def test_threads_at_rest_are_not_waited_for() -> None:
    """Their next job begins when they have heard that this one is over."""
    engine = Threads(make_task(negative), 3)
    engine.open()
    threads = run_all(engine, 3)
    deadline = time.monotonic() + PATIENCE
    while not all(place.idle for place in engine._threads) and time.monotonic() < deadline:
        time.sleep(0.001)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_ended", Unasked())
        engine.close(PATIENCE)
    assert set(_kept._free) == set(threads)
    heard = Event()
    again = _kept.lend(heard.set)
    assert again in threads
    await_event(heard)
    again.dismiss()


def test_a_thread_that_does_not_come_to_rest_is_nobody_elses() -> None:
    """Its last item may be a long time in ending, when nothing holds it any more."""
    spoken, release = Event(), Event()

    class Slow(SimpleQueue[Any]):
        """Holds up whoever has put something in."""

        def put(self, item: Outcome | None, block: bool = True, timeout: float | None = None) -> None:
            super().put(item)
            spoken.set()
            await_event(release)

    engine = Threads(make_task(negative), 1)
    engine._outbox = Slow()
    engine.open()
    (thread,) = run_all(engine, 1)
    await_event(spoken)
    engine.close(0.01)
    assert thread not in _kept._free
    release.set()
    thread.dismiss()
