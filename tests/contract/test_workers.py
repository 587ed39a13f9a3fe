"""Who runs the items: how many workers, each item once, the initializer, the caller's context, calls inside calls."""

import asyncio
import contextvars
import decimal
import itertools
import os
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from parmap import cpu_count, options, pimap, pmap, shutdown
from tests.contract.conftest import Mapper
from tests.contract.helpers import BACKENDS, Ledger, busy, here, said


@pytest.mark.parametrize("backend", ["thread", "process"])
def test_workers_run_at_once(backend: str, tmp_path: Path) -> None:
    """Two workers run two items at the same time: the items wait for each other at the two ends of a pipe."""
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)

    def meet(item: int) -> str:
        with open(pipe, "w" if item == 0 else "r", encoding="utf-8"):
            return "met"

    assert pmap(meet, range(2), backend=backend, workers=2, chunksize=1) == ["met", "met"]


@pytest.mark.parametrize("workers", [1, 2, 3])
@pytest.mark.parametrize("backend", ["thread", "process"])
def test_no_more_than_the_workers_asked_for(backend: str, workers: int, ledger: Ledger) -> None:
    """At no time do more items run than there are workers."""

    def work(item: int) -> str:
        ledger.write("+")
        time.sleep(0.005)
        ledger.write("-")
        return here()

    ran = pmap(work, range(40), backend=backend, workers=workers, chunksize=1)
    assert len(set(ran)) <= workers
    running = itertools.accumulate(1 if line == "+" else -1 for line in ledger.lines())
    assert max(running) <= workers


@pytest.mark.parametrize("kind", ["cheap", "computing", "sleeping", "failing"])
def test_every_item_runs_exactly_once(backend: str, mapper: Mapper, kind: str, ledger: Ledger) -> None:
    """Each item leaves one line, whatever engine the call ends up in and whatever the items cost."""

    def work(item: int) -> int:
        ledger.write(item)
        if kind == "computing":
            busy(0.003)
        elif kind == "sleeping":
            time.sleep(0.003)
        elif kind == "failing" and item % 3 == 0:
            raise ValueError(item)
        return item * 2

    results = mapper(work, range(150), backend=backend, workers=2, return_exceptions=True)
    assert Counter(map(int, ledger.lines())) == Counter(range(150))
    if kind != "failing":
        assert results == [2 * item for item in range(150)]


def test_auto_moves_from_cheap_to_expensive_items(mapper: Mapper, ledger: Ledger) -> None:
    """A call whose items turn expensive on the way still runs each once and keeps the order."""

    def work(item: int) -> int:
        ledger.write(item)
        if 400 <= item < 450:
            busy(0.005)
        elif item >= 450:
            time.sleep(0.002)
        return item

    assert mapper(work, range(600), workers=2) == list(range(600))
    assert Counter(map(int, ledger.lines())) == Counter(range(600))


# --- initializer ---

_resource: list[str] = []


def fill_resource() -> None:
    """An initializer that fills a global of its module."""
    _resource.append("ready")


def use_resource(item: int) -> tuple[int, str]:
    """Uses what the initializer made."""
    return item, _resource[-1]


@pytest.fixture
def empty_resource() -> None:
    """No initializer has run in this process."""
    _resource.clear()


@pytest.mark.usefixtures("empty_resource")
def test_initializers_global_is_visible(backend: str, mapper: Mapper) -> None:
    """What the initializer puts into a global is there for the function."""
    assert mapper(use_resource, range(20), backend=backend, workers=2, initializer=fill_resource) == [
        (item, "ready") for item in range(20)
    ]


@pytest.mark.parametrize("again", [1, 2])
def test_initializer_runs_once_in_each_worker_before_its_items(backend: str, again: int, ledger: Ledger) -> None:
    """In every call, each worker that runs items has run the initializer once, and first."""

    def initialize() -> None:
        ledger.write(f"init {here()}")

    def work(item: int) -> int:
        ledger.write(f"item {here()}")
        busy(0.002)
        return item

    for _ in range(again):
        before = len(ledger.lines())
        assert pmap(work, range(60), backend=backend, workers=2, initializer=initialize) == list(range(60))
        lines = [line.split() for line in ledger.lines()[before:]]
        initialized = [worker for kind, worker in lines if kind == "init"]
        assert len(initialized) == len(set(initialized))
        ready = set()
        for kind, worker in lines:
            if kind == "init":
                ready.add(worker)
            else:
                assert worker in ready


def test_initializer_is_not_run_for_nothing(backend: str, mapper: Mapper, ledger: Ledger) -> None:
    """Where there is no item there is no first item."""

    def initialize() -> None:
        ledger.write("init")

    assert mapper(abs, [], backend=backend, workers=2, initializer=initialize) == []
    assert ledger.lines() == []


def test_initializer_in_closures(backend: str, mapper: Mapper) -> None:
    """An initializer and a function that share a closure variable share it in the worker."""
    shared: list[int] = []

    def initialize() -> None:
        shared.append(7)

    def work(item: int) -> int:
        return item * shared[-1]

    assert mapper(work, range(10), backend=backend, workers=2, initializer=initialize) == [7 * n for n in range(10)]


class LicenceError(Exception):
    """Why an initializer failed."""


def test_failing_initializer(backend: str, mapper: Mapper, ledger: Ledger) -> None:
    """Its failure comes out once, named as the initializer's, and no item has run."""

    def initialize() -> None:
        ledger.write("init")
        raise LicenceError("no licence left")

    with pytest.raises(Exception, match=r".") as caught:
        mapper(ledger.write, range(1000), backend=backend, workers=2, initializer=initialize)
    assert "no licence left" in said(caught.value)
    assert "LicenceError" in said(caught.value)
    assert "initializer" in said(caught.value)
    assert set(ledger.lines()) == {"init"}
    assert len(ledger.lines()) <= 2
    assert mapper(abs, range(5), backend=backend, workers=2) == list(range(5))


def test_failing_initializer_is_not_an_items_failure(backend: str, mapper: Mapper) -> None:
    """``return_exceptions`` is about items: without an initializer there is nothing to return."""

    def initialize() -> None:
        raise LicenceError("no licence left")

    with pytest.raises(Exception, match=r".") as caught:
        mapper(abs, range(10), backend=backend, workers=2, initializer=initialize, return_exceptions=True)
    assert "no licence left" in said(caught.value)


# --- the caller's context ---

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="none")


@pytest.mark.parametrize("pause", [0, 0.003])
@pytest.mark.parametrize("backend", ["serial", "thread", "auto"])
def test_context_variables_reach_the_items(backend: str, mapper: Mapper, pause: float) -> None:
    """Inside this process an item sees the caller's context variables."""

    def read(item: int) -> str:
        time.sleep(pause)
        return request_id.get()

    token = request_id.set("abc")
    try:
        assert mapper(read, range(40), backend=backend, workers=4) == ["abc"] * 40
    finally:
        request_id.reset(token)


@pytest.mark.parametrize("backend", ["serial", "thread", "auto"])
def test_decimal_context_reaches_the_items(backend: str, mapper: Mapper) -> None:
    """The precision that the caller has set is the items'."""

    def third(item: int) -> str:
        return str(decimal.Decimal(1) / 3)

    with decimal.localcontext() as context:
        context.prec = 5
        assert mapper(third, range(20), backend=backend, workers=2) == ["0.33333"] * 20


def test_threads_do_not_change_the_callers_context() -> None:
    """What an item sets in a thread stays in that thread's copy."""

    def write(item: int) -> None:
        request_id.set(f"item {item}")

    pmap(write, range(20), backend="thread", workers=2)
    assert request_id.get() == "none"


# --- calls inside calls, calls beside calls ---


@pytest.mark.parametrize("inner", BACKENDS)
def test_nested(backend: str, inner: str) -> None:
    """A map inside a map gives the right answer on every pair of engines."""

    def row(width: int) -> list[int]:
        return pmap(abs, range(-width, 0), backend=inner, workers=2)

    assert pmap(row, range(6), backend=backend, workers=2) == [list(range(n, 0, -1)) for n in range(6)]


def test_nested_three_deep(backend: str) -> None:
    """Three levels, as they come when libraries use maps."""

    def cell(item: int) -> int:
        return item + 1

    def row(item: int) -> list[int]:
        return pmap(cell, range(item))

    def table(item: int) -> list[list[int]]:
        return pmap(row, range(item))

    expected = [[[n + 1 for n in range(m)] for m in range(size)] for size in range(4)]
    assert pmap(table, range(4), backend=backend, workers=2) == expected


def test_nested_error_names_both_items(backend: str) -> None:
    """An error that passes two maps says both indices."""

    def inner(item: int) -> int:
        return 1 // (item - 2)

    def outer(item: int) -> list[int]:
        return pmap(inner, range(item), backend="serial")

    with pytest.raises(ZeroDivisionError) as caught:
        pmap(outer, range(5), backend=backend, workers=2, chunksize=1)
    assert "item 2" in said(caught.value)
    assert "item 3" in said(caught.value)


def test_from_another_thread(backend: str, mapper: Mapper) -> None:
    """A call from a thread that is not the main one works, errors included."""
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(mapper, str, range(50), backend=backend, workers=2).result() == list(map(str, range(50)))
        with pytest.raises(ZeroDivisionError):
            pool.submit(mapper, lambda n: 1 / n, range(5), backend=backend, workers=2).result()


def test_several_threads_at_once(backend: str, mapper: Mapper) -> None:
    """Calls at the same time get their own answers, also when some of them fail."""
    start = threading.Barrier(4)

    def caller(number: int) -> list[Any]:
        def work(item: int) -> tuple[int, int]:
            busy(0.0005)
            if number == 3 and item == 17:
                raise KeyError(number)
            return number, item

        start.wait(60)
        return [mapper(work, range(20 + number), backend=backend, workers=2) for _ in range(4)]

    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(caller, number) for number in range(4)]
        for number in range(3):
            assert calls[number].result() == [[(number, item) for item in range(20 + number)]] * 4
        with pytest.raises(KeyError):
            calls[3].result()


def test_inside_a_running_event_loop(backend: str, mapper: Mapper) -> None:
    """A coroutine may call a map; it blocks, as the loop would."""

    async def main() -> list[Any]:
        await asyncio.sleep(0)
        return mapper(str, range(50), backend=backend, workers=2)

    assert asyncio.run(main()) == list(map(str, range(50)))


def test_iterator_handed_to_another_thread(backend: str) -> None:
    """An iterator made in one thread may be read in another."""
    results = pimap(str, range(50), backend=backend, workers=2)
    first = next(results)
    with ThreadPoolExecutor(1) as pool:
        rest = pool.submit(list, results).result()
    assert [first, *rest] == list(map(str, range(50)))


def test_called_from_inside_an_iterators_consumer(backend: str) -> None:
    """While one lazy map is being read, others may run."""
    results = pimap(abs, range(30), backend=backend, workers=2, buffersize=4)
    got = [(item, pmap(str, range(item % 3), backend=backend, workers=2)) for item in results]
    assert got == [(item, [str(n) for n in range(item % 3)]) for item in range(30)]


# --- the machine ---


def test_cpu_count() -> None:
    """A whole number from 1 to the machine's."""
    assert type(cpu_count()) is int
    assert 1 <= cpu_count() <= (os.cpu_count() or 1)


def test_default_workers_of_processes() -> None:
    """Without ``workers`` there are at most ``cpu_count()`` processes."""

    def work(item: int) -> int:
        time.sleep(0.002)
        return os.getpid()

    assert len(set(pmap(work, range(60), backend="process"))) <= cpu_count()


def test_shutdown_leaves_no_process_and_may_be_repeated(backend: str) -> None:
    """``shutdown()`` ends all workers; a second one does nothing; the next call starts anew."""
    for _ in range(2):
        assert pmap(str, range(5), backend=backend, workers=2) == list("01234")
        shutdown()
        shutdown()
        psutil.wait_procs(psutil.Process().children(recursive=True), timeout=10)
        assert psutil.Process().children(recursive=True) == []


def test_workers_are_kept_for_the_next_call() -> None:
    """A second call runs in the same processes: they are not started for every call."""

    def who(item: int) -> int:
        return os.getpid()

    with options(backend="process", workers=2):
        first = {*pmap(who, range(40)), *pmap(who, range(40))}
        assert len(first) <= 2


def test_a_huge_number_of_workers(backend: str) -> None:
    """More workers than items is no error, and starts no more than there are items."""
    if backend == "process":
        before = len(psutil.Process().children(recursive=True))
        assert pmap(abs, range(3), backend=backend, workers=500, chunksize=1) == [0, 1, 2]
        assert len(psutil.Process().children(recursive=True)) - before < 10
    else:
        assert pmap(abs, range(3), backend=backend, workers=500) == [0, 1, 2]
