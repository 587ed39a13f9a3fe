"""The warm pool shared: by threads, by forks, by calls inside calls."""

import json
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest

from parmap import pchunked, pimap, pmap
from tests.contract.helpers import BACKENDS, Ledger, close

# --- threads ---


def test_many_threads_at_once() -> None:
    """Each call gets its own answers; there are no more processes than the calls may have, and they are shared."""
    callers, width, rounds = 12, 2, 6
    start = threading.Barrier(callers)
    most = 0

    def caller(number: int) -> None:
        start.wait(60)
        for round_ in range(rounds):
            kind, shift = (number + round_) % 3, number * 1000 + round_
            assert one_map(kind, shift, width) == [item + shift for item in range(40)]
            if kind == 0:
                with pytest.raises(ZeroDivisionError):
                    pmap(lambda item: item // (item - 3), range(9), backend="process", workers=width)

    with ThreadPoolExecutor(callers) as pool:
        calls = [pool.submit(caller, number) for number in range(callers)]
        while not all(each.done() for each in calls):
            most = max(most, len(psutil.Process().children(recursive=True)))
            time.sleep(0.02)
        for each in calls:
            each.result()
    assert most <= callers * width + 1 + callers  # the zygote; those that were killed after an error may linger


def one_map(kind: int, shift: int, width: int) -> list[int]:
    """One of the three functions, with a function of its own."""
    if kind == 0:
        return pmap(lambda item: item + shift, range(40), backend="process", workers=width)
    if kind == 1:
        return list(pimap(lambda item: item + shift, range(40), backend="process", workers=width))
    got: list[int] = pchunked(
        lambda piece: [item + shift for item in piece], range(40), chunks=width, backend="process"
    )
    return got


def test_one_iterator_read_by_several_threads_in_turn() -> None:
    """Whoever reads next gets the next result."""
    results = pimap(abs, range(-30, 0), backend="process", workers=2)
    with ThreadPoolExecutor(3) as pool:
        assert [pool.submit(next, results).result() for _ in range(30)] == list(range(30, 0, -1))
    assert list(results) == []


# --- forks ---


def in_a_fork(do: Callable[[], Any]) -> Any:
    """What a function returns in a process that is forked off this one, as JSON can say it."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writing, json.dumps(do()).encode())
        except BaseException:
            os.write(writing, json.dumps(traceback.format_exc()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        said = pipe.read()
    assert os.waitpid(child, 0)[1] == 0
    return json.loads(said)


@pytest.fixture(params=BACKENDS)
def opened(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A lazy call in the middle, on each engine."""
    results = pimap(_slowly, range(40), backend=request.param, workers=2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    yield results
    assert list(results) == list(range(3, 40))


def _slowly(item: int) -> int:
    time.sleep(0.002)
    return item


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_fork_has_a_pool_of_its_own(opened: Any) -> None:
    """Calls in it work, and what is open in its parent is not disturbed by it, whatever it does with its copy."""

    def child() -> list[Any]:
        return [pmap(abs, range(-9, 0), backend=backend, workers=2) for backend in BACKENDS]

    def close_copy() -> str:
        close(opened)
        return "closed"

    assert in_a_fork(child) == [list(range(9, 0, -1))] * len(BACKENDS)
    assert in_a_fork(close_copy) == "closed"


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_copy_of_an_iterator_does_not_hang(opened: Any) -> None:
    """It goes on, where it needs no worker, or says why it cannot."""

    def read() -> Any:
        try:
            return list(opened)
        except RuntimeError as error:
            return str(error)

    assert in_a_fork(read) in (list(range(3, 40)), _COPY)


_COPY = "this iterator is a copy that os.fork() made: its workers are with the original"


# --- calls inside calls ---


def test_three_levels_have_a_bounded_number_of_processes(ledger: Ledger) -> None:
    """Levels divide the cores among themselves, they do not multiply them; every answer is right."""

    def cell(item: int) -> int:
        ledger.write(os.getpid())
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass
        return item + 1

    def row(item: int) -> list[int]:
        return pmap(cell, range(item))

    def table(item: int) -> list[list[int]]:
        return pmap(row, [4] * item)

    assert pmap(table, [4] * 4, backend="process") == [[[1, 2, 3, 4]] * 4] * 4
    assert len(set(ledger.lines())) <= 2 * (os.cpu_count() or 1)


def test_three_levels_that_insist_on_processes(ledger: Ledger) -> None:
    """Named backends are obeyed three levels deep and no deeper; each level has as many as it asked for."""

    def fourth(item: int) -> int:
        ledger.write(os.getpid())
        return item

    def third(item: int) -> list[int]:
        return pmap(fourth, range(item), backend="process", workers=1)

    def second(item: int) -> list[list[int]]:
        return pmap(third, range(item), backend="process", workers=1)

    def first(item: int) -> list[list[list[int]]]:
        return pmap(second, range(item), backend="process", workers=1)

    expected = [[[list(range(n)) for n in range(m)] for m in range(k)] for k in range(4)]
    assert pmap(first, range(4), backend="process", workers=2) == expected
    assert len(set(ledger.lines())) <= 2
