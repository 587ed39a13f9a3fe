"""Large arguments, results and constants: mapped, writable, private, through nothing that has a name, and given back."""

import functools
import gc
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import psutil
import pytest

from parmap import ParmapError, SerializationError, pimap, pmap, shutdown
from parmap._tuning import FRAME_LIMIT
from tests import faults
from tests.contract.helpers import Ledger, said
from tests.scripts import RunScript

MEGABYTE = 1 << 20
LARGE = 24 * MEGABYTE
HUGE = (1 << 31) + MEGABYTE  # bytes: more than a signed 32-bit length can say

Array: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"


def mapped() -> int:
    """Bytes of parmap's memory files that this process has mapped."""
    total = 0
    for line in Path("/proc/self/maps").read_text().splitlines():
        if "/memfd:parmap" in line:
            begin, end = (int(each, 16) for each in line.split()[0].split("-"))
            total += end - begin
    return total


def written() -> int:
    """Bytes that this process has written to and shares with nobody."""
    rollup = Path("/proc/self/smaps_rollup").read_text()
    [kilobytes] = [line.split()[1] for line in rollup.splitlines() if line.startswith("Private_Dirty:")]
    return int(kilobytes) * 1024


def wait_until(condition: Callable[[], bool]) -> bool:
    """Whether it comes true within some seconds."""
    deadline = time.monotonic() + 10
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.01)
    return condition()


def change(array: Array) -> tuple[bool, Array]:
    """Whether the argument came as a view of mapped memory; and the argument, changed."""
    shared = not array.flags.owndata and array.flags.writeable
    array += 1
    return shared, array


def test_arrays_travel_without_a_copy_and_can_be_written_to() -> None:
    """In both directions; the caller's own stay as they are."""
    arrays = [np.full(LARGE // 8, float(number)) for number in range(6)]
    results = pmap(change, arrays, backend="process", workers=2)
    for number, (shared, array) in enumerate(results):
        assert shared
        assert not array.flags.owndata
        np.add(array, 1, out=array)
        assert (array[0], array[-1]) == (number + 2, number + 2)
        assert (arrays[number][0], arrays[number][-1]) == (number, number)


def test_the_memory_of_a_result_is_returned_when_it_dies() -> None:
    """Each result's, or its chunk's, on its own: not at the end of the call, not at the end of the program."""
    before = mapped()
    results = pimap(np.ones, [LARGE // 8] * 6, backend="process", workers=2, chunksize=1)
    kept = []
    for array in results:
        assert mapped() - before >= LARGE
        kept.append(array[:1].copy())
        del array
    assert wait_until(lambda: mapped() - before < MEGABYTE)
    assert [float(each[0]) for each in kept] == [1.0] * 6


def test_a_workers_memory_is_returned_after_each_chunk() -> None:
    """A worker keeps nothing of the arguments that it has answered."""

    def look(array: Array) -> tuple[int, int]:
        return mapped(), len(array)

    arrays = [np.ones(LARGE // 8) for _ in range(8)]
    results = pmap(look, arrays, backend="process", workers=1, chunksize=1)
    assert max(size for size, _ in results) < 2.5 * LARGE


def test_what_the_function_keeps_of_its_items_does_not_change() -> None:
    """The memory that they came in is filled again only when nobody looks at it any more."""
    kept: list[Array] = []

    def keep(array: Array) -> list[tuple[float, float]]:
        if array[0] % 3:
            kept.append(array[1:])
        return [(float(each[0]), float(each[-1])) for each in kept]

    arrays = [np.full(MEGABYTE // 8, float(number)) for number in range(60)]
    for pairs in pmap(keep, arrays, backend="process", workers=2, chunksize=1):
        assert all(first == last for first, last in pairs)
        numbers = [number for number, _ in pairs]
        assert numbers == sorted(set(numbers))


def test_what_a_child_of_a_worker_looks_at_does_not_change(ledger: Ledger) -> None:
    """It lives on after the item, with the memory that the item came in."""

    def fork(array: Array) -> None:
        if array[0] == 0:
            reading, writing = os.pipe()
            if os.fork() == 0:
                os.close(writing)
                os.read(reading, 1)  # until the worker has ended, all other items done
                ledger.write(f"{array[0]} {array[-1]}")
                os._exit(0)

    arrays = [np.full(MEGABYTE // 8, float(number)) for number in range(20)]
    pmap(fork, arrays, backend="process", workers=1, chunksize=1)
    shutdown()
    assert wait_until(lambda: bool(ledger.lines()))
    assert ledger.lines() == ["0.0 0.0"]


@pytest.fixture
def few_descriptors() -> Iterator[int]:
    """This process may have so many descriptors at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    yield 256
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_descriptors_do_not_pile_up(few_descriptors: int) -> None:
    """More large results, and arguments, than there may be open files."""
    arrays = pmap(np.ones, [12_500] * 400, backend="process", workers=2, chunksize=1)
    assert len(os.listdir("/proc/self/fd")) < 0.7 * few_descriptors
    back = pmap(change, arrays, backend="process", workers=2, chunksize=1)
    assert [float(array[-1]) for _, array in back] == [2.0] * 400
    assert [float(array[-1]) for array in arrays] == [1.0] * 400


# --- constants ---

_constant: Array = np.zeros(0)


def _with_a_default(item: int, constant: Array = _constant) -> tuple[float, int]:
    return _look(constant)


def _look(constant: Array) -> tuple[float, int]:
    return float(constant[:: MEGABYTE // 8].sum()), written()


def constant_in(kind: str, constant: Array) -> Callable[[int], tuple[float, int]]:
    """A function that a constant is bound to, in one of the ways in which one does that."""

    def with_a_closure(item: int) -> tuple[float, int]:
        return _look(constant)

    def with_a_default(item: int, given: Array = constant) -> tuple[float, int]:
        return _look(given)

    class Holder:
        def __init__(self) -> None:
            self.constant = constant

        def method(self, item: int) -> tuple[float, int]:
            return _look(self.constant)

    namespace: dict[str, Any] = {"constant": constant, "_look": _look, "__name__": "__main__"}
    exec("def with_a_global(item): return _look(constant)", namespace)
    found: dict[str, Callable[[int], tuple[float, int]]] = {
        "closure": with_a_closure,
        "default": with_a_default,
        "partial": functools.partial(_of_two, constant),
        "method": Holder().method,
        "global": namespace["with_a_global"],
    }
    return found[kind]


def _of_two(constant: Array, item: int) -> tuple[float, int]:
    return _look(constant)


@pytest.mark.parametrize("kind", ["closure", "default", "partial", "method", "global"])
def test_a_constant_crosses_once_and_is_shared(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is written to one memory file in a call, whatever the number of workers and items; no worker copies it."""
    from parmap._transport import _memory

    written_here: list[int] = []
    write = _memory.write

    def counted(descriptor: int, pieces: Any) -> None:
        pieces = list(pieces)
        written_here.append(sum(len(piece) for _, piece in pieces))
        write(descriptor, pieces)

    monkeypatch.setattr(_memory, "write", counted)
    constant = np.ones(4 * LARGE // 8)
    func = constant_in(kind, constant)
    without = max(private for _, private in pmap(constant_in(kind, constant[:1]), range(6), backend="process"))
    results = pmap(func, range(12), backend="process", workers=3, chunksize=1)
    assert {total for total, _ in results} == {float(constant[:: MEGABYTE // 8].sum())}
    assert max(private for _, private in results) < without + 20 * MEGABYTE
    assert 4 * LARGE <= sum(written_here) < 5 * LARGE


# --- both ends at once ---


def test_large_messages_both_ways_at_once() -> None:
    """Arguments are sent while results come, each far larger than a socket takes."""
    items = [bytes([number]) * 3_000_000 for number in range(24)]
    for results in (
        pmap(lambda item: item * 2, items, backend="process", workers=2, chunksize=1),
        pimap(lambda item: item * 2, items, backend="process", workers=2, chunksize=2),
    ):
        for item, result in zip(items, results, strict=True):
            assert result == item * 2


@pytest.mark.parametrize("size", [FRAME_LIMIT - 200, FRAME_LIMIT, FRAME_LIMIT + 200])
def test_the_largest_messages_that_go_through_the_socket(size: int) -> None:
    """Two chunks, a definition and an answer wait unread in the worker, which meanwhile prints more than fits."""
    constant = os.urandom(size)

    def work(item: bytes) -> bytes:
        sys.stdout.write("x" * 300_000 + "\n")
        return item[::-1] + constant[:1]

    items = [os.urandom(size) for _ in range(40)]
    assert pmap(work, items, backend="process", workers=2, chunksize=1) == [n[::-1] + constant[:1] for n in items]


def test_a_large_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """It travels with the first work, and again when it has changed; so does a long import path."""
    for number in range(60):
        monkeypatch.setenv(f"PARMAP_TEST_{number}", "x" * 20_000)
    monkeypatch.setattr(sys, "path", [*sys.path, *(f"/nowhere/{number}" * 40 for number in range(500))])

    def work(item: bytes) -> int:
        return len(os.environ["PARMAP_TEST_59"]) + len(item)

    for size in (20_000, 19_999):
        monkeypatch.setenv("PARMAP_TEST_59", "x" * size)
        expected = [size + FRAME_LIMIT - 100] * 20
        items = [bytes(FRAME_LIMIT - 100)] * 20
        assert pmap(work, items, backend="process", workers=2, chunksize=1) == expected


# --- nothing has a name ---


@pytest.fixture
def watched_folders() -> Iterator[list[str]]:
    """New names in the folders for shared memory and temporary files, looked at again and again meanwhile."""
    folders = [folder for folder in ("/dev/shm", os.environ.get("TMPDIR", "/tmp")) if os.path.isdir(folder)]
    seen: list[str] = []
    over = threading.Event()
    before = {name for folder in folders for name in os.listdir(folder)}

    def watch() -> None:
        while not over.wait(0.001):
            seen.extend({name for folder in folders for name in os.listdir(folder)} - before)

    thread = threading.Thread(target=watch)
    thread.start()
    yield seen
    over.set()
    thread.join()


def test_no_file_appears(watched_folders: list[str]) -> None:
    """Not for a moment; names of others may come and go."""
    constant = np.ones(LARGE // 8)
    results = pmap(lambda item: constant[:1] + item, [np.ones(LARGE // 8)] * 4, backend="process", workers=2)
    assert len(results) == 4
    assert [name for name in watched_folders if "parmap" in name] == []


def test_a_full_shared_memory_folder_does_not_matter(script: RunScript) -> None:
    """Nothing is opened in it, nor in a folder for temporary files, by the program or by a worker."""
    source = """
import os, sys
from parmap import pmap

def hook(event, arguments):
    if event == "open" and isinstance(arguments[0], str) and arguments[0].startswith(("/dev/shm", "/var/tmp")):
        os._exit(5)

def work(item):
    return item * 2

sys.addaudithook(hook)
print(len(pmap(work, [bytes(1_000_000)] * 4, backend="process", workers=2, initializer=lambda: sys.addaudithook(hook))))
"""
    missing = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), "/nowhere")
    assert script(source, env=missing).check() == "4\n"


# --- what cannot be done ---


@pytest.mark.parametrize("call", [len, bytes])
def test_no_descriptors_left(few_descriptors: int, call: Any) -> None:
    """For what is sent or for what comes: a clear error, and the next call works."""
    assert pmap(len, [bytes(LARGE)] * 2, backend="process", workers=2) == [LARGE] * 2  # the workers have theirs
    errors = OSError, SerializationError
    with every_descriptor_but(2), pytest.raises(errors, match=r"(?i)too many open files"):
        pmap(call, [LARGE] * 4 if call is bytes else [bytes(LARGE)] * 4, backend="process", workers=2)
    assert pmap(bytes, [LARGE] * 2, backend="process", workers=2) == [bytes(LARGE)] * 2


@contextmanager
def every_descriptor_but(free: int) -> Iterator[None]:
    """Takes all descriptors that this process may have but so many."""
    hold: list[int] = []
    with suppress(OSError):
        while True:
            hold.append(os.dup(0))
    for _ in range(free):
        os.close(hold.pop())
    try:
        yield
    finally:
        for each in hold:
            os.close(each)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (faults.ErrorAtPickle, "refused at pickle"),
        (faults.ErrorAtUnpickle, "refused at unpickle"),
        (faults.ExitAtUnpickle, "exited with code 5"),
        (faults.CrashAtUnpickle, "SIGKILL"),
        (faults.HoldLock, "guard"),
    ],
)
@pytest.mark.parametrize("place", ["function", "initializer"])
def test_a_constant_that_cannot_travel(make: Callable[[], Any], words: str, place: str) -> None:
    """Bound to the function or to the initializer: one error that says what it is, and the next call works."""
    constant = make()

    def bound(*item: int) -> bool:
        return constant is not None

    func: dict[str, Any] = {"function": (bound, None), "initializer": (abs, bound)}
    called, initializer = func[place]
    with pytest.raises(ParmapError) as caught:
        pmap(called, range(4), backend="process", workers=2, initializer=initializer)
    assert words in said(caught.value)
    assert pmap(abs, range(-4, 0), backend="process", workers=2) == [4, 3, 2, 1]


def enough_memory() -> bool:
    """Whether a payload of more than two gigabytes fits this machine several times."""
    return bool(psutil.virtual_memory().available > 6 * HUGE)


@pytest.mark.skipif("PARMAP_TEST_HUGE" not in os.environ, reason="takes 9 GB and some seconds: set PARMAP_TEST_HUGE")
def test_more_than_two_gigabytes() -> None:
    """There and back; lengths have no limit of 32 bits."""
    assert enough_memory()
    array = np.zeros(HUGE, dtype=np.uint8)
    array[-1] = 7

    def increment(given: Any) -> Any:
        given[-1] += 1
        return given

    [result] = pmap(increment, [array], backend="process", workers=1)
    assert (len(result), int(result[-1]), int(array[-1])) == (HUGE, 8, 7)
    text = bytes(HUGE)
    assert pmap(len, [text], backend="process", workers=1) == [HUGE]
    del result, text
    gc.collect()
