"""Values and locks: the same state for everyone, wherever items run and however it came there."""

import functools
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from parmap import Lock, SerializationError, Value, WorkerCrashError, pchunked, pmap, shutdown
from tests.contract.conftest import Mapper
from tests.contract.helpers import BACKENDS, said

PROCESSES = ("process", "auto")


def add_one(total: "Value[int]", times: int = 1) -> "Value[int]":
    """Adds to a value under its lock, and gives the value back."""
    for _ in range(times):
        with total.get_lock():
            total.value += 1
    return total


class Counter:
    """Something of the user's that holds shared state."""

    def __init__(self) -> None:
        self.total = Value("q")
        self.lock = Lock()
        self.seen: dict[str, Any] = {"again": [self.total]}

    def count(self, item: int) -> int:
        """Counts an item."""
        with self.lock:
            self.total.value += item
        return item


def test_twenty_workers_count_exactly(backend: str) -> None:
    """20 workers, 10 000 locked increments each."""
    total = Value("q", 0)
    assert pmap(lambda times: add_one(total, times) is total, [10_000] * 20, backend=backend, workers=20, chunksize=1)
    assert total.value == 200_000


def through_closure(total: "Value[int]") -> Callable[[int], Any]:
    """A function that closes over a value."""
    return lambda item: add_one(total)


def through_partial(total: "Value[int]") -> Callable[[int], Any]:
    """A function that a value is bound to."""
    return functools.partial(lambda value, item: add_one(value), total)


def through_default(total: "Value[int]") -> Callable[[int], Any]:
    """A function with a value as a default."""

    def work(item: int, value: "Value[int]" = total) -> Any:
        return add_one(value)

    return work


def through_callable(total: "Value[int]") -> Callable[[int], Any]:
    """A method of an object that holds a value."""
    counter = Counter()
    counter.total = total
    return lambda item: counter.count(1)


@pytest.mark.parametrize("way", [through_closure, through_partial, through_default, through_callable])
def test_ways_in(backend: str, mapper: Mapper, way: Callable[..., Any]) -> None:
    """Closed over, bound, a default, or an attribute: everyone adds to the same number, call after call."""
    total = Value("i")
    for _ in range(2):
        mapper(way(total), range(50), backend=backend, workers=2, chunksize=3)
    assert total.value == 100


def test_as_items(backend: str, mapper: Mapper) -> None:
    """As arguments, and deep inside of them; several in one item."""
    totals = [Value("i"), Value("i")]
    lock = Lock()

    def work(total: "Value[int]", nested: dict[str, Any], held: Lock) -> None:
        with held:
            total.value += 1
            nested["deep"][0][1].value += 2

    nested = {"deep": [(None, totals[1])]}
    mapper(work, [totals[0]] * 20, [nested] * 20, [lock] * 20, backend=backend, workers=2)
    assert [total.value for total in totals] == [20, 40]


def test_as_results(backend: str, mapper: Mapper) -> None:
    """What comes back is the object that was sent; one that was made in a worker is shared from then on."""
    total, lock = Value("i", 3), Lock()
    assert all(each is total for each in mapper(lambda item: total, range(5), backend=backend, workers=2))
    assert all(each is lock for each in mapper(lambda item: {"lock": lock}["lock"], range(5), backend=backend))
    made = mapper(lambda item: Value("i", item), range(5), backend=backend, workers=2)
    assert [each.value for each in made] == list(range(5))
    assert all(one is two for one, two in zip(made, mapper(add_one, made, backend=backend, workers=2), strict=True))
    assert [each.value for each in made] == [1, 2, 3, 4, 5]


def test_in_errors(backend: str, mapper: Mapper) -> None:
    """An exception may have one among its arguments, and so may the one that it came from."""
    total = Value("i")

    def fail(item: int) -> None:
        try:
            raise KeyError(total)
        except KeyError as error:
            raise ValueError(item, add_one(total)) from error

    failed = mapper(fail, range(10), backend=backend, workers=2, return_exceptions=True)
    assert all(each.args[1] is total and each.__cause__.args[0] is total for each in failed)
    assert total.value == 10


def test_in_the_error_of_an_initializer(backend: str) -> None:
    """It too arrives with the value in it."""
    total = Value("i")

    def fail() -> None:
        raise ValueError(total)

    with pytest.raises(ValueError, match="Value") as caught:
        pmap(abs, [1], backend=backend, initializer=fail)
    assert caught.value.args[0] is total


def test_in_the_initializer(backend: str) -> None:
    """Where libraries like to be given their locks."""
    total = Value("i")
    pmap(abs, range(4), backend=backend, workers=2, initializer=lambda: add_one(total))
    assert 1 <= total.value <= 2


def test_in_pieces(backend: str) -> None:
    """In `pchunked`, as part of the data and of the function."""
    total, lock = Value("i"), Lock()

    def work(piece: list[Lock]) -> int:
        for each in piece:
            with each:
                total.value += 1
        return len(piece)

    assert sum(pchunked(work, [lock] * 11, backend=backend, workers=2, chunks=4)) == 11
    assert total.value == 11


def test_of_main(backend: str, script: Any) -> None:
    """Globals of a script without a guard, in its functions and its classes."""
    source = f"""
    from parmap import Lock, Value, pmap
    total, lock = Value("i"), Lock()
    class Holder:
        held = total
    def work(item):
        with lock:
            total.value += 1
            Holder.held.value += 1
    pmap(work, range(100), backend={backend!r}, workers=2)
    print(total)
    """
    assert script(source).check() == "Value('i', 200)\n"


def test_new_state_in_running_workers(mapper: Mapper) -> None:
    """Workers that were there before the state was made are given it."""
    assert mapper(abs, [1, 2], backend="process", workers=2) == [1, 2]
    counter = Counter()
    assert mapper(counter.count, [1, 2, 3], backend="process", workers=2) == [1, 2, 3]
    assert counter.total.value == 6


def test_calls_from_threads_and_processes_at_once() -> None:
    """Several calls on several engines, and the caller's own thread, all at one value."""
    total = Value("q")

    def call(backend: str) -> None:
        pmap(lambda item: add_one(total, 100), range(20), backend=backend, workers=2, chunksize=2)

    threads = [threading.Thread(target=call, args=(backend,)) for backend in BACKENDS]
    for thread in threads:
        thread.start()
    add_one(total, 2000)
    for thread in threads:
        thread.join()
    assert total.value == 2000 * 5


@pytest.mark.parametrize("inner", BACKENDS)
def test_nested_calls(backend: str, inner: str) -> None:
    """A worker passes on what it received, and its workers add to the same number."""
    total = Value("i")

    def work(item: "Value[int]") -> None:
        assert all(each is item for each in pmap(add_one, [item] * 5, backend=inner, workers=2, chunksize=1))

    pmap(work, [total] * 4, backend=backend, workers=2, chunksize=1)
    assert total.value == 20


def test_made_in_a_worker_and_passed_down() -> None:
    """State that a worker makes for its own workers."""

    def work(item: int) -> int:
        total = Value("i", item)
        pmap(lambda _: add_one(total), range(5), backend="process", workers=2)
        return total.value

    assert pmap(work, [10, 20], backend="process", workers=2) == [15, 25]


def test_hundreds(backend: str) -> None:
    """Many in one item, more than descriptors could go with one message."""
    locks, totals = [Lock() for _ in range(700)], [Value("b") for _ in range(700)]

    def work(item: tuple[list[Lock], list["Value[int]"]]) -> None:
        for lock, total in zip(*item, strict=True):
            with lock:
                total.value += 1

    pmap(work, [(locks, totals)] * 4, backend=backend, workers=2, chunksize=1)
    assert {total.value for total in totals} == {4}


def test_large_items_beside(backend: str) -> None:
    """With a payload that travels in a memory file of its own."""
    total = Value("i")
    results = pmap(lambda item: (item[0], len(item[1]), bytes(200_000)), [(total, bytes(200_000))] * 4, backend=backend)
    assert all(each[0] is total and each[1] == len(each[2]) == 200_000 for each in results)


def test_exclusion(backend: str) -> None:
    """Between taking and releasing nobody else is inside."""
    lock, inside = Lock(), Value("i")

    def work(item: int) -> int:
        with lock:
            inside.value += 1
            time.sleep(0.001)
            found = inside.value
            inside.value -= 1
        return found

    assert pmap(work, range(40), backend=backend, workers=4, chunksize=1) == [1] * 40


# --- a holder that dies ---


@pytest.mark.parametrize("kind", ["lock", "value"])
def test_a_killed_holder(kind: str) -> None:
    """What a worker held when it was killed is free within a second, also for one who waited already."""
    total = Value("i")
    lock = Lock() if kind == "lock" else total.get_lock()
    home = os.getpid()

    def die(item: int) -> None:
        lock.acquire()
        lock.acquire() if kind == "value" else None
        total.value += 1
        assert os.getpid() != home
        os.kill(os.getpid(), signal.SIGKILL)

    for turn in range(3):
        with pytest.raises(WorkerCrashError):
            pmap(die, [1], backend="process")
        start = time.monotonic()
        assert lock.acquire(timeout=10)
        assert time.monotonic() - start < 1
        assert total.value == turn + 1
        lock.release()


def test_a_killed_holder_and_those_who_wait() -> None:
    """The others go on: each item that is not the one that died gets the lock."""
    lock, total = Lock(), Value("i")

    def work(item: int) -> int:
        with lock:
            if item == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            total.value += 1
        return item

    results = pmap(work, range(30), backend="process", workers=4, chunksize=1, return_exceptions=True)
    assert isinstance(results[0], WorkerCrashError)
    assert results[1:] == list(range(1, 30))
    assert total.value == 29


def test_an_ended_thread() -> None:
    """A thread that ends without releasing is a dead holder too."""
    lock = Lock()
    pmap(lambda item: lock.acquire(), [1], backend="thread")
    assert lock.acquire(timeout=10)
    lock.release()


# --- what does not go ---


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the other pool forks")
@pytest.mark.parametrize("make", [Lock, lambda: Value("i"), lambda: Value("i").get_lock()])
def test_another_pool_is_refused(make: Callable[[], Any]) -> None:
    """A pool of the standard library cannot take it along, and says so; nor can a foreign program."""
    shared = make()
    with ProcessPoolExecutor(1) as pool, pytest.raises(SerializationError, match="only parmap's own calls"):
        pool.submit(type, shared).result()


def test_a_result_that_does_not_travel_beside_it(backend: str) -> None:
    """Of several results, the one that cannot travel is named; the value beside it is not to blame."""
    total = Value("i")

    def work(item: int) -> Any:
        return [total, threading.Lock() if item == 2 else None]

    results = pmap(work, range(4), backend=backend, workers=2, return_exceptions=True)
    for item, result in enumerate(results):
        if isinstance(result, Exception):
            assert item == 2
            assert "lock" in said(result)
        else:
            assert result[0] is total


# --- what is left ---


@pytest.mark.parametrize("backend", PROCESSES)
def test_memory_goes_with_the_last_holder(backend: str) -> None:
    """Neither the caller nor an idle worker keeps state that nobody can reach."""
    if not Path("/proc/self/maps").exists():
        pytest.skip("needs /proc")
    shutdown()
    before = shared_maps("self")
    share_and_forget(backend)
    workers = [each for each in psutil.Process().children(recursive=True) if each.status() != psutil.STATUS_ZOMBIE]
    deadline = time.monotonic() + 10
    while any(shared_maps(each.pid) for each in workers) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [shared_maps(each.pid) for each in workers] == [0] * len(workers)
    assert shared_maps("self") == before


def share_and_forget(backend: str) -> None:
    """Two calls with a value in the function and in the items."""
    total = Value("i")
    assert shared_maps("self")
    pmap(lambda item: add_one(total), [1, 2, 3], backend=backend, workers=2)
    pmap(add_one, [total] * 4, backend="process", workers=2)


def shared_maps(pid: object) -> int:
    """How many arenas a process has mapped: memory files of four pages."""
    found = 0
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        begin, end = (int(each, 16) for each in line.split()[0].split("-"))
        found += ("memfd:parmap" in line or "(deleted)" in line) and end - begin == 16384
    return found


def test_no_names(script: Any) -> None:
    """Nothing in /dev/shm, no named semaphore, no helper process."""
    source = """
    import os, sys
    before = sorted(os.listdir("/dev/shm"))
    from parmap import Lock, Value
    kept = [Lock(), Value("d", 1.5)]
    assert sorted(os.listdir("/dev/shm")) == before
    assert "multiprocessing" not in sys.modules
    """
    script(source).check()


def test_many_calls_leave_nothing() -> None:
    """Values that are made, sent and dropped leave no descriptors behind in the caller or the workers."""
    for _ in range(20):
        pmap(add_one, [Value("i") for _ in range(300)], backend="process", workers=2)
    assert len(os.listdir("/proc/self/fd")) < 60
