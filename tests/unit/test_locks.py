"""Locks in one process and its forks: who holds them, copies, pickles, and the memory that they are in."""

import copy
import ctypes
import gc
import math
import os
import pickle
import threading
import time
from collections.abc import Callable
from typing import Any

import cloudpickle
import pytest

from parmap import Lock, SerializationError, Value
from parmap._transport import _arena, _mutex


def in_thread(call: Callable[[], Any]) -> Any:
    """What a call gives in another thread: its value, or its error."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(call())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return found[0]


def in_fork(call: Callable[[], bool]) -> bool:
    """Whether a call is true in a forked child."""
    child = os.fork()
    if child == 0:
        code = 2
        try:
            code = 0 if call() else 1
        finally:
            os._exit(code)
    return os.waitpid(child, 0)[1] == 0


def of_value() -> Lock:
    """A lock that belongs to a value."""
    return Value("i").get_lock()


# Each kind of lock, made in the test: what a fixture makes is still there when the test is searched for leaks.
each_kind = pytest.mark.parametrize("make", [Lock, of_value])


# --- taking and releasing ---


@each_kind
def test_taking(make: Callable[[], Lock]) -> None:
    """One thread holds it, others do not get it; they get it afterwards."""
    lock = make()
    with lock as taken:
        assert taken is True
        assert in_thread(lambda: lock.acquire(blocking=False)) is False
        assert in_thread(lambda: lock.acquire(timeout=0)) is False
    assert in_thread(lambda: lock.acquire(blocking=False)) is True
    assert lock.acquire() is True  # the thread that held it has ended
    lock.release()


@each_kind
def test_release_by_another(make: Callable[[], Lock]) -> None:
    """Who does not hold it cannot release it: nobody, another thread, a forked child."""
    lock = make()
    with pytest.raises(RuntimeError, match="does not hold"):
        lock.release()
    with lock:
        assert isinstance(in_thread(lock.release), RuntimeError)
        assert in_fork(lambda: isinstance(error_of(lock.release), RuntimeError))
        assert in_thread(lambda: lock.acquire(blocking=False)) is False
    with pytest.raises(RuntimeError, match="does not hold"):
        lock.release()


def error_of(call: Callable[[], Any]) -> Exception | None:
    """The error that a call raises."""
    try:
        call()
    except Exception as error:
        return error
    return None


@each_kind
def test_released_inside_its_block(make: Callable[[], Lock]) -> None:
    """The end of the block then says so."""
    lock = make()
    with pytest.raises(RuntimeError, match="any more"), lock:
        lock.release()


def test_the_holder_again() -> None:
    """A lock is not taken twice: it answers or raises where others would wait for themselves for ever."""
    lock = Lock()
    with lock:
        assert lock.acquire(blocking=False) is False
        start = time.monotonic()
        assert lock.acquire(timeout=0.2) is False
        assert time.monotonic() - start >= 0.2
        with pytest.raises(RuntimeError, match="for ever"):
            lock.acquire()
        with pytest.raises(RuntimeError, match="for ever"), lock:
            pass
    assert lock.acquire(blocking=False)
    lock.release()


def test_the_holder_of_a_values_lock_again() -> None:
    """It may take it again, and others get it when it has been released as often."""
    lock = Value("i").get_lock()
    with lock, lock:
        assert lock.acquire(timeout=5)
        lock.release()
        assert in_thread(lambda: lock.acquire(blocking=False)) is False
        lock.release()
        assert in_thread(lambda: lock.acquire(blocking=False)) is False
        lock.acquire()
    assert in_thread(lambda: lock.acquire(blocking=False)) is True


@pytest.fixture(params=["newer", "older"])
def c_library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The C library as it is, and as if it could not wait by the clock that nobody sets."""
    if request.param == "older":
        monkeypatch.setattr(_mutex, "_wait", ctypes.CDLL(None).pthread_mutex_timedlock)
        monkeypatch.setattr(_mutex, "_clock", time.time)
        monkeypatch.setattr(_mutex, "_clock_number", ())


@pytest.mark.usefixtures("c_library")
@pytest.mark.parametrize("seconds", [0.05, 0.6])
@pytest.mark.parametrize("where", ["main", "thread"])
@each_kind
def test_timeout(make: Callable[[], Lock], seconds: float, where: str) -> None:
    """It waits as long as it is told, not much longer, in slices or in one."""
    lock = make()
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with lock:
            taken.set()
            done.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait(10)
    start = time.monotonic()
    found = lock.acquire(timeout=seconds) if where == "main" else in_thread(lambda: lock.acquire(timeout=seconds))
    assert found is False
    assert seconds <= time.monotonic() - start < seconds + 2
    done.set()
    holder.join()
    assert lock.acquire(timeout=5) is True
    lock.release()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"blocking": False, "timeout": 1}, ValueError),
        ({"timeout": -2}, ValueError),
        ({"timeout": math.nan}, ValueError),
        ({"timeout": math.inf}, OverflowError),
        ({"timeout": None}, TypeError),
    ],
)
@each_kind
def test_wrong_timeouts(make: Callable[[], Lock], arguments: dict[str, Any], error: type[Exception]) -> None:
    """As `threading.Lock`, and the lock is as it was."""
    lock = make()
    with pytest.raises(error):
        lock.acquire(**arguments)
    assert lock.acquire(blocking=False)
    lock.release()


@each_kind
def test_waiting_takes_no_time_of_the_processor(make: Callable[[], Lock]) -> None:
    """Nor is it noticed by the thread that works: who waits has given up the GIL and sleeps."""
    lock = make()

    def take_and_release() -> None:
        with lock:
            pass

    lock.acquire()
    waiting = [threading.Thread(target=take_and_release) for _ in range(4)]
    before = time.process_time()
    for thread in waiting:
        thread.start()
    assert not in_thread(lambda: lock.acquire(timeout=1))
    assert time.process_time() - before < 0.2
    lock.release()
    for thread in waiting:
        thread.join(10)
        assert not thread.is_alive()


def test_threads_count_exactly() -> None:
    """Eight threads, 5000 increments each."""
    value = Value("i")

    def work() -> None:
        for _ in range(5000):
            with value.get_lock():
                value.value += 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value.value == 40_000


# --- copies and pickles ---


@pytest.mark.parametrize("make", [Lock, lambda: Value("i"), of_value])
def test_copies_and_pickles(make: Callable[[], Any]) -> None:
    """A copy is the thing itself; a pickle is refused, by whichever pickler."""
    shared = make()
    assert copy.copy(shared) is shared
    assert copy.deepcopy([shared])[0] is shared
    for dump in (pickle.dumps, cloudpickle.dumps):
        with pytest.raises(SerializationError, match="only parmap's own calls"):
            dump([shared])


def test_the_lock_of_a_value_is_always_the_same() -> None:
    """And belongs to it alone."""
    one, two = Value("i"), Value("i")
    assert one.get_lock() is one.get_lock()
    with one.get_lock():
        assert in_thread(lambda: two.get_lock().acquire(blocking=False)) is True


# --- forks and ends ---


@each_kind
def test_a_fork_shares(make: Callable[[], Lock]) -> None:
    """A forked child has the same number and the same lock, and makes new ones of its own."""
    lock = make()
    value = Value("i", 1)

    def child() -> bool:
        own = [Value("i", 77) for _ in range(3)]
        with lock:
            value.value += 1
        return [each.value for each in own] == [77] * 3

    assert in_fork(child)
    later = [Value("i", 5) for _ in range(3)]
    assert value.value == 2
    assert [each.value for each in later] == [5] * 3
    assert lock.acquire(timeout=5)
    assert in_fork(lambda: not lock.acquire(blocking=False))
    lock.release()


@each_kind
def test_a_child_that_dies_with_it(make: Callable[[], Lock]) -> None:
    """Whoever waits has it at once, and it goes on as before."""
    lock = make()
    for _ in range(3):
        child = os.fork()
        if child == 0:
            lock.acquire()
            os._exit(0)
        os.waitpid(child, 0)
        assert lock.acquire(timeout=5)
        assert in_fork(lambda: not lock.acquire(blocking=False))
        lock.release()
        assert in_fork(lambda: lock.acquire(blocking=False))


def test_forgotten_while_held() -> None:
    """A lock that is dropped while it is held does no harm: the memory that the system knows of stays."""
    for _ in range(3):
        lock = Lock()
        lock.acquire()
        del lock
        gc.collect()
        other = Lock()
        with other:
            pass
        del other
        gc.collect()


def test_memory_goes() -> None:
    """Descriptor and mapping go with the last handle, be it only the lock of a value."""
    gc.collect()
    before = sorted(os.listdir("/proc/self/fd"))
    value = Value("i")
    assert len(os.listdir("/proc/self/fd")) == len(before) + 1
    lock = value.get_lock()
    arena = lock._cell.arena
    address = f"{arena.address:x}-"
    del value, arena
    assert len(os.listdir("/proc/self/fd")) == len(before) + 1
    with open("/proc/self/maps", encoding="ascii") as maps:
        assert address in maps.read()
    del lock
    assert sorted(os.listdir("/proc/self/fd")) == before
    with open("/proc/self/maps", encoding="ascii") as maps:
        assert address not in maps.read()


def test_an_arena_that_arrives_again() -> None:
    """It is mapped once, and what stands for a cell is the same object."""
    value = Value("i", 9)
    arena = value.get_lock()._cell.arena
    assert _arena.adopt(os.dup(arena.descriptor)) is arena
    assert _arena.find(arena.token) is arena
