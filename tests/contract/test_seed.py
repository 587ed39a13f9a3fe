"""``seed``: the same random numbers for an item whoever runs it, and the caller's own left alone."""

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from parmap import ItemTimeoutError, options, pchunked, pmap
from tests.contract.conftest import Mapper
from tests.contract.helpers import Ledger, busy

numpy_random: Any = pytest.importorskip("numpy.random")


def draw(item: int) -> tuple[float, float, int]:
    """One number of each kind; items take a different number of them, and some time."""
    for _ in range(item % 3):
        random.random()
    time.sleep(0.001)
    return random.random(), float(numpy_random.random()), random.randrange(10**9)


def draw_late(item: int) -> float:
    """From a module that it imports itself."""
    import numpy as np

    return float(np.random.random())


@pytest.fixture(scope="module")
def expected() -> list[tuple[float, float, int]]:
    """What the loop draws."""
    return pmap(draw, range(30), backend="serial", seed=7)


@pytest.mark.parametrize("workers", [1, 2, 5])
@pytest.mark.parametrize("chunksize", [None, 1, 7])
def test_the_same_everywhere(
    backend: str, mapper: Mapper, expected: list[Any], workers: int, chunksize: int | None
) -> None:
    """Whatever the backend, the workers and the chunks."""
    assert mapper(draw, range(30), backend=backend, workers=workers, chunksize=chunksize, seed=7) == expected


def test_different_for_each_item_and_each_seed(expected: list[Any]) -> None:
    """No number comes twice."""
    other = pmap(draw, range(30), seed=8)
    numbers = [number for row in [*expected, *other] for number in row]
    assert len(set(numbers)) == len(numbers)


def test_a_fresh_process_draws_the_same(backend: str) -> None:
    """Also from a NumPy that the function imports itself."""
    loop = pmap(draw_late, range(6), backend="serial", seed=1)
    assert pmap(draw_late, range(6), backend=backend, workers=2, seed=1) == loop


def test_known_numbers() -> None:
    """The construction is part of the promise: these do not change with a release."""
    got = pmap(_both, range(2), backend="serial", seed=2024)
    sequence = numpy_random.SeedSequence(2024, spawn_key=(1,))
    own = numpy_random.RandomState(numpy_random.MT19937())
    own.seed(sequence.generate_state(8))
    assert got[1][1] == float(own.random_sample())
    assert [round(first, 6) for first, _ in got] == KNOWN


def _both(item: int) -> tuple[float, float]:
    return random.random(), float(numpy_random.random())


KNOWN = [0.753646, 0.663378]  # of `random`, first draw of items 0 and 1


def test_the_callers_own_state_is_left_alone(backend: str) -> None:
    """Also when an item fails."""
    for func in (draw, _draw_and_fail):
        random.seed(1)
        numpy_random.seed(1)
        before = random.getstate(), numpy_random.get_state()[1].tolist()
        pmap(func, range(6), backend=backend, workers=2, seed=3, return_exceptions=True)
        assert (random.getstate(), numpy_random.get_state()[1].tolist()) == before


def _draw_and_fail(item: int) -> None:
    draw(item)
    raise ValueError


def test_a_retry_draws_the_same(backend: str, ledger: Ledger, expected: list[Any]) -> None:
    """The tries before it have no influence."""

    def flaky(item: int) -> tuple[float, float, int]:
        drawn = draw(item)
        ledger.write(item)
        if item % 4 == 1 and ledger.lines().count(str(item)) == 1:
            raise ValueError
        return drawn

    assert pmap(flaky, range(30), backend=backend, workers=2, seed=7, retries=1) == expected


def test_without_a_seed_workers_do_not_repeat_each_other(backend: str) -> None:
    """Nor what they drew before, a call with a seed in between or not."""
    numbers: list[Any] = []
    for _ in range(2):
        numbers += pmap(draw, range(12), backend=backend, workers=2)
        pmap(draw, range(12), backend=backend, workers=2, seed=5)
    assert len({row[0] for row in numbers}) == len(numbers)
    assert len({row[1] for row in numbers}) == len(numbers)


@pytest.mark.parametrize("inner", ["serial", "thread", "process", "auto"])
def test_a_seeded_call_inside_a_seeded_item(backend: str, inner: str) -> None:
    """Nobody waits for a turn that is held by who waits for it."""

    def outer(item: int) -> list[Any]:
        return pmap(draw, range(3), backend=inner, workers=2, seed=item)

    expected = [pmap(draw, range(3), backend="serial", seed=item) for item in range(3)]
    assert pmap(outer, range(3), backend=backend, workers=2, seed=9) == expected


def test_seeded_calls_in_several_threads(backend: str, expected: list[Any]) -> None:
    """They take turns."""
    got: list[Any] = []

    def call() -> None:
        got.append(pmap(draw, range(30), backend=backend, workers=2, seed=7))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [expected] * 4


@pytest.mark.parametrize("kind", [lambda: time.sleep(0.01), lambda: busy(0.01)])
def test_auto_keeps_to_it_when_it_changes_engines(kind: Callable[[], object]) -> None:
    """What the calling thread drew and what others draw is of one series."""

    def work(item: int) -> float:
        kind()
        return random.random()

    loop = pmap(lambda item: random.random(), range(60), backend="serial", seed=4)
    assert pmap(work, range(60), seed=4) == loop


def test_for_chunks(backend: str) -> None:
    """A chunk is an item: the same number of chunks draws the same."""

    def work(items: Any) -> list[float]:
        return [random.random() for _ in items]

    loop = pchunked(work, range(10), chunks=3, backend="serial", seed=1)
    assert pchunked(work, range(10), chunks=3, backend=backend, seed=1) == loop


def test_with_a_timeout() -> None:
    """The numbers are those without one; an item that hangs holds up nobody."""
    loop = pmap(draw, range(6), backend="serial", seed=1)
    assert pmap(draw, range(6), seed=1, timeout=60) == loop
    with pytest.raises(ItemTimeoutError):
        pmap(time.sleep, [60], seed=1, timeout=0.3)
    with pytest.raises(ValueError, match=r"timeout=1 .*'thread'.*seed"):
        pmap(abs, [1], backend="thread", timeout=1, seed=1)


def test_as_a_default() -> None:
    """``options`` may set it."""
    with options(seed=7):
        assert pmap(draw, range(3)) == pmap(draw, range(3), seed=7)


@pytest.mark.parametrize("wrong", [-1, 1.5, "1", True])
def test_wrong_seeds(wrong: Any) -> None:
    """What is no whole number is refused before anything runs."""
    with pytest.raises(ValueError, match=r"seed=.*at least 0"):
        pmap(abs, [1], seed=wrong)
