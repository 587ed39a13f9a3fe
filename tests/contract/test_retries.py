"""``retries``: the failing item, and only it, is run up to so many times more."""

import os
from typing import Any

import pytest

from parmap import WorkerCrashError, options, pchunked, pmap
from tests import faults
from tests.contract.conftest import Mapper
from tests.contract.helpers import Ledger, notes


class Flaky:
    """Maps ``x`` to ``x``; each item fails as often as ``failures`` says, and each try is noted."""

    def __init__(self, ledger: Ledger, failures: dict[int, int], error: type[BaseException] = ValueError) -> None:
        self.ledger = ledger
        self.failures = failures
        self.error = error

    def __call__(self, item: int) -> int:
        """Fails, or gives the item back."""
        self.ledger.write(item)
        tries = self.ledger.lines().count(str(item))
        if tries <= self.failures.get(item, 0):
            raise self.error(f"item {item}, try {tries}")
        return item


@pytest.mark.parametrize("chunksize", [None, 1, 7])
def test_what_fails_a_few_times_comes_right(
    backend: str, mapper: Mapper, ledger: Ledger, chunksize: int | None
) -> None:
    """Only the failing items run again, and no more often than needed."""
    work = Flaky(ledger, {2: 1, 5: 2})
    assert mapper(work, range(20), backend=backend, workers=2, chunksize=chunksize, retries=2) == list(range(20))
    runs = ledger.lines()
    assert {item: runs.count(str(item)) for item in range(20)} == {**dict.fromkeys(range(20), 1), 2: 2, 5: 3}


def test_the_last_error_tells_of_all_tries(backend: str, mapper: Mapper, ledger: Ledger) -> None:
    """The error of the last try comes out, with a note that lists each."""
    with pytest.raises(ValueError, match=r"^item 3, try 3\n") as caught:
        mapper(Flaky(ledger, {3: 9}), range(6), backend=backend, workers=2, retries=2)
    (note,) = [note for note in notes(caught.value) if "tries failed" in note]
    assert note.splitlines() == [
        "parmap: all 3 tries failed",
        "  try 1: ValueError: item 3, try 1",
        "  try 2: ValueError: item 3, try 2",
        "  try 3: ValueError: item 3, try 3",
    ]
    assert ledger.lines().count("3") == 3


def test_without_retries_nothing_runs_twice(backend: str, ledger: Ledger) -> None:
    """The default is no retry, and no note of one."""
    with pytest.raises(ValueError, match="try 1") as caught:
        pmap(Flaky(ledger, {3: 9}), range(6), backend=backend, workers=2)
    assert ledger.lines().count("3") == 1
    assert not [note for note in notes(caught.value) if "tries failed" in note]


def test_with_return_exceptions(backend: str, mapper: Mapper, ledger: Ledger) -> None:
    """What fails to the end takes its place; what comes right is a result."""
    work = Flaky(ledger, {1: 1, 4: 9})
    got = mapper(work, range(6), backend=backend, workers=2, retries=1, return_exceptions=True)
    assert got[:4] + got[5:] == [0, 1, 2, 3, 5]
    assert isinstance(got[4], ValueError)
    assert any("all 2 tries" in note for note in notes(got[4]))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_an_end_is_never_retried(backend: str, ledger: Ledger, error: type[BaseException]) -> None:
    """Who interrupts or exits means it."""
    with pytest.raises(error):
        pmap(Flaky(ledger, {3: 9}, error), range(6), backend=backend, workers=2, retries=5)
    assert ledger.lines().count("3") == 1


def test_a_worker_that_dies_once(mapper: Mapper, ledger: Ledger) -> None:
    """The item that lost its worker is run again by another one."""
    work = DiesOnce(ledger)
    assert mapper(work, range(12), backend="process", workers=2, retries=1) == list(range(12))
    assert ledger.lines().count("5") == 2


class DiesOnce:
    """Kills its process at the first try of item 5."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.crash = faults.Crash(5)

    def __call__(self, item: int) -> int:
        """Dies, or gives the item back."""
        self.ledger.write(item)
        return int(self.crash(item)) if self.ledger.lines().count("5") == 1 else item


def test_a_worker_that_always_dies(mapper: Mapper) -> None:
    """The last death comes out, with a note of all of them."""
    with pytest.raises(WorkerCrashError) as caught:
        mapper(faults.Crash(5), range(12), backend="process", workers=2, retries=2)
    assert caught.value.index == 5
    assert any("all 3 tries" in note for note in notes(caught.value))


def test_for_chunks(backend: str, ledger: Ledger) -> None:
    """A chunk of ``pchunked`` is one item."""

    def work(items: list[int]) -> list[int]:
        ledger.write(items[0])
        if items[0] == 3 and ledger.lines().count("3") == 1:
            raise ValueError
        return items

    assert pchunked(work, list(range(9)), chunks=3, backend=backend, retries=1) == list(range(9))


def test_as_a_default(backend: str, ledger: Ledger) -> None:
    """``options`` may set it, and an argument wins."""
    work = Flaky(ledger, {1: 1})
    with options(retries=1):
        assert pmap(work, range(3), backend=backend) == [0, 1, 2]
        os.remove(ledger.path)
        with pytest.raises(ValueError, match="try 1"):
            pmap(work, range(3), backend=backend, retries=0)


@pytest.mark.parametrize("wrong", [-1, 1.5, "1", None, True])
def test_wrong_counts(wrong: Any) -> None:
    """What is no whole number of tries is refused before anything runs."""
    with pytest.raises(ValueError, match=r"retries=.*at least 0"):
        pmap(abs, [1], retries=wrong)
