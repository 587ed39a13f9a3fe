"""Chaos: workers, and now and then the zygote that forks them, are killed from outside while maps run.

Every map has retries enough, so nothing may show of it: each result right, in its place, there once. What is killed,
and when, follows from the seed, which a failure shows; the interleaving with the maps does not.
"""

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import psutil
import pytest

from parmap import WorkerCrashError, pchunked, pimap, pmap
from tests.programs.chaos import LARGE, doubled, large, slow_square

SECONDS = 10.5
SEEDS = (20_260, 7)
PAUSE = 0.08  # seconds between two kills, at the most
ZYGOTE_SHARE = 0.03  # of the kills
TRIES = 10_000  # for an item: far more than there are kills


@contextmanager
def killer(seed: int, seconds: float) -> Iterator[list[str]]:
    """Kills random processes below this one for ``seconds``; gives the list of what it has killed."""
    killed: list[str] = []
    thread = threading.Thread(target=_kill, args=(random.Random(seed), time.monotonic() + seconds, killed))
    thread.start()
    try:
        yield killed
    finally:
        thread.join()


def _kill(dice: random.Random, end: float, killed: list[str]) -> None:
    workers: dict[int, psutil.Process] = {}  # those whose zygote is dead too
    while time.monotonic() < end:
        time.sleep(dice.uniform(0, PAUSE))
        with suppress(psutil.NoSuchProcess, OSError, IndexError):
            zygotes = _children(os.getpid())
            fresh = {number for zygote in zygotes for number in _children(zygote)} - workers.keys()
            workers.update({number: psutil.Process(number) for number in fresh})
            if dice.random() < ZYGOTE_SHARE:
                psutil.Process(dice.choice(zygotes)).kill()
                killed.append("zygote")
            else:
                workers.pop(dice.choice(list(workers))).kill()
                killed.append("worker")


def _children(process: int) -> list[int]:
    """Faster than psutil, which looks at every process of the machine."""
    lists = Path(f"/proc/{process}/task").glob("*/children")
    return [int(number) for each in lists for number in each.read_text().split()]


def squares(dice: random.Random) -> None:
    """A list result, with chunks of any size."""
    size, chunksize = dice.randrange(1, 120), dice.choice([None, 1, 7, 50])
    got = pmap(slow_square, range(size), backend="process", workers=2, chunksize=chunksize, retries=TRIES)
    assert got == [item * item for item in range(size)]


def lazily(dice: random.Random) -> None:
    """Results one by one, read to the end or not."""
    size, most = dice.randrange(1, 60), dice.randrange(1, 80)
    results = pimap(slow_square, range(size), backend="process", workers=2, retries=TRIES)
    got = [value for value, _ in zip(results, range(most), strict=False)]
    assert got == [item * item for item in range(min(size, most))]


def unordered(dice: random.Random) -> None:
    """Each result once, in whatever order."""
    size = dice.randrange(1, 60)
    got = pimap(slow_square, range(size), backend="process", workers=2, retries=TRIES, ordered=False)
    assert sorted(got) == [item * item for item in range(size)]


def large_results(dice: random.Random) -> None:
    """Results that a killed worker may leave half sent."""
    size = dice.randrange(1, 30)
    got = pmap(large, range(size), backend="process", workers=2, retries=TRIES)
    assert got == [bytes([item]) * LARGE for item in range(size)]


def large_both_ways(dice: random.Random) -> None:
    """Arrays there and back; those of the caller stay as they are."""
    arrays = [np.full(LARGE // 8, item) for item in range(dice.randrange(1, 12))]
    got = pmap(doubled, arrays, backend="process", workers=2, retries=TRIES)
    assert [(int(each[0]), int(each[-1])) for each in got] == [(2 * item, 2 * item) for item in range(len(arrays))]
    assert [int(each[0]) for each in arrays] == list(range(len(arrays)))


def by_value(dice: random.Random) -> None:
    """A function with a constant of its own, and errors among the results."""
    constant = np.arange(100_000)

    def look(item: int) -> int:
        if item % 7 == 3:
            raise LookupError(item)
        return int(constant[item])

    got = pmap(look, range(40), backend="process", workers=2, retries=0, return_exceptions=True, chunksize=1)
    for item, value in enumerate(got):  # without retries a kill is an error of its item, and of no other
        if isinstance(value, WorkerCrashError):
            assert value.index == item
        else:
            assert isinstance(value, LookupError) if item % 7 == 3 else value == item


def in_pieces(dice: random.Random) -> None:
    """The pieces of one whole."""
    got = pchunked(list, range(1000), chunks=dice.randrange(1, 9), backend="process", workers=2, retries=TRIES)
    assert got == list(range(1000))


MAPS: tuple[Callable[[random.Random], None], ...] = (
    squares,
    lazily,
    unordered,
    large_results,
    large_both_ways,
    by_value,
    in_pieces,
)


@pytest.mark.parametrize("seed", SEEDS)
def test_kills_do_not_show(seed: int) -> None:
    """Three threads map while what they run on is being killed."""
    errors: list[BaseException] = []
    done: list[str] = []
    end = time.monotonic() + SECONDS / len(SEEDS)

    def run(number: int) -> None:
        dice = random.Random(f"{seed}-{number}")
        try:
            while time.monotonic() < end and not errors:
                chosen = dice.choice(MAPS)
                chosen(dice)
                done.append(chosen.__name__)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(3)]
    with killer(seed, SECONDS / len(SEEDS)) as killed:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    said = f"seed {seed}, {len(killed)} kills, {killed.count('zygote')} of a zygote, {len(done)} maps"
    if errors:
        raise AssertionError(said) from errors[0]
    assert len(killed) > 20, said
    assert len(done) > 20, said
