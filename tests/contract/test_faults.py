"""Named faults in processes: each is a clear error that names the item, and the next call works."""

import operator
import pickle
import signal
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from parmap import FallbackWarning, ParmapError, SerializationError, WorkerCrashError, pmap
from tests import faults
from tests.contract.conftest import Mapper
from tests.contract.helpers import Ledger, busy, notes, said


@pytest.fixture(autouse=True)
def the_next_call_works() -> Iterator[None]:
    """After every fault the next call gives the right answer, at once."""
    yield
    assert pmap(abs, range(-20, 0), backend="process", workers=2) == list(range(20, 0, -1))


# --- a worker dies ---

DEATHS: dict[str, tuple[Callable[[Any], Any], list[str]]] = {
    "SIGKILL": (faults.Crash(7), ["SIGKILL"]),
    "SIGTERM": (faults.Crash(7, signum=signal.SIGTERM), ["SIGTERM"]),
    "segfault": (faults.Segfault(7), ["SIGSEGV"]),
    "exit 3": (faults.Exit(7), ["3"]),
    "exit 0": (faults.Exit(7, code=0), ["0"]),
}


@pytest.mark.parametrize("chunksize", [None, 1, 5, 100])
@pytest.mark.parametrize("name", DEATHS)
def test_worker_dies(mapper: Mapper, name: str, chunksize: int | None) -> None:
    """The error names the item that was running and how the worker ended."""
    func, words = DEATHS[name]
    with pytest.raises(WorkerCrashError) as caught:
        mapper(func, range(20), backend="process", workers=2, chunksize=chunksize)
    assert caught.value.index == 7
    assert isinstance(caught.value, ParmapError)
    for word in [*words, "item 7"]:
        assert word in said(caught.value)


def test_worker_dies_again_and_again() -> None:
    """Death in every call does not wear anything out, and no answer of an earlier call is taken for a later one's."""
    for number in range(10):
        with pytest.raises(WorkerCrashError) as caught:
            pmap(faults.Crash(number), range(20), backend="process", workers=2)
        assert caught.value.index == number
        expected = [item + number for item in range(4)]
        assert pmap(operator.add, [number] * 4, range(4), backend="process", workers=2) == expected


def test_every_worker_dies() -> None:
    """All items may be deadly."""
    with pytest.raises(WorkerCrashError) as caught:
        pmap(faults.Crash(0), [0] * 20, backend="process", workers=2)
    assert caught.value.index is not None


def test_worker_dies_while_an_argument_arrives() -> None:
    """An argument that kills the worker as it is rebuilt is a crash, not a hang."""
    for item in (faults.ExitAtUnpickle(), faults.CrashAtUnpickle()):
        with pytest.raises(ParmapError) as caught:
            pmap(type, [1, 2, item, 4], backend="process", workers=2, chunksize=1)
        assert "item 2" in said(caught.value)


def test_worker_dies_while_a_result_leaves() -> None:
    """A result that ends the worker as it is pickled is a crash, not a hang."""
    with pytest.raises(ParmapError) as caught:
        pmap(faults.GiveExitAtPickle(2), range(6), backend="process", workers=2, chunksize=1)
    assert "item 2" in said(caught.value)


def test_crash_error_travels() -> None:
    """The library's error passes through an outer map, and survives pickling, with its text and fields."""

    def outer(item: int) -> list[int]:
        return pmap(faults.Crash(3), range(5), backend="process", workers=1)

    with pytest.raises(WorkerCrashError) as caught:
        pmap(outer, range(1), backend="thread", workers=1)
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is WorkerCrashError
    assert again.index == caught.value.index == 3
    assert str(again) == str(caught.value)


# --- what cannot travel ---


@pytest.mark.parametrize("chunksize", [None, 1, 5])
@pytest.mark.parametrize(
    ("func", "words"),
    [
        (lambda item: threading.Lock() if item == 7 else item, ["lock"]),
        (lambda item: (n for n in range(3)) if item == 7 else item, ["generator"]),
        (faults.Give(7, kind=faults.HoldLock), ["lock", "guard"]),
        (faults.Give(7, kind=faults.ErrorAtPickle), ["refused at pickle"]),
        (faults.Give(7, kind=faults.ErrorAtUnpickle), ["refused at unpickle"]),
    ],
    ids=["lock", "generator", "holds a lock", "error at pickle", "error at unpickle"],
)
def test_result_that_cannot_travel(
    mapper: Mapper, func: Callable[[Any], Any], words: list[str], chunksize: int | None
) -> None:
    """The error names the item and what cannot be pickled."""
    with pytest.raises(SerializationError) as caught:
        mapper(func, range(20), backend="process", workers=2, chunksize=chunksize)
    for word in [*words, "item 7"]:
        assert word in said(caught.value)


def test_results_that_can_travel_are_kept(mapper: Mapper) -> None:
    """With ``return_exceptions`` only the bad result is lost, in chunks too."""
    results = mapper(
        faults.Give(7, kind=faults.HoldLock), range(20), backend="process", workers=2, return_exceptions=True
    )
    assert type(results[7]) is SerializationError
    assert results[:7] + results[8:] == [item for item in range(20) if item != 7]


@pytest.mark.parametrize("chunksize", [None, 1, 5])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (threading.Lock, ["lock"]),
        (lambda: iter(n for n in range(3)), ["generator"]),
        (faults.HoldLock, ["lock", "guard"]),
        (faults.ErrorAtPickle, ["refused at pickle"]),
        (faults.ErrorAtUnpickle, ["refused at unpickle"]),
    ],
    ids=["lock", "generator", "holds a lock", "error at pickle", "error at unpickle"],
)
def test_argument_that_cannot_travel(
    mapper: Mapper, make: Callable[[], Any], words: list[str], chunksize: int | None
) -> None:
    """The error names the item and what cannot be pickled."""
    items = [make() if n == 7 else n for n in range(20)]
    with pytest.raises(SerializationError) as caught:
        mapper(type, items, backend="process", workers=2, chunksize=chunksize)
    for word in [*words, "item 7"]:
        assert word in said(caught.value)


def test_function_that_cannot_travel(mapper: Mapper) -> None:
    """Forced into processes, the error names the variable that holds what cannot be pickled."""
    my_lock = threading.Lock()

    def work(item: int) -> int:
        with my_lock:
            return item

    with pytest.raises(SerializationError) as caught:
        mapper(work, range(5), backend="process", workers=2)
    assert "my_lock" in said(caught.value)
    assert "lock" in said(caught.value).replace("my_lock", "")


def test_function_that_cannot_travel_names_the_path(tmp_path: Path) -> None:
    """A handle deep inside an object is named by the way to it."""

    class Client:
        def __init__(self) -> None:
            self.database = sqlite3.connect(tmp_path / "db")

    client = Client()

    def work(item: int) -> bool:
        return client is not None

    try:
        with pytest.raises(SerializationError) as caught:
            pmap(work, range(5), backend="process", workers=2)
    finally:
        client.database.close()
    for word in ("client", "database", "Connection"):
        assert word in said(caught.value)


def test_function_that_cannot_be_rebuilt() -> None:
    """A function whose pickle raises on arrival is a clear error, in one call, not a loop of restarts."""
    bad = faults.ErrorAtUnpickle()
    with pytest.raises(ParmapError) as caught:
        pmap(lambda item: bad is not None, range(5), backend="process", workers=2)
    assert "refused at unpickle" in said(caught.value)


def test_function_that_kills_its_worker_on_arrival() -> None:
    """A function that ends every worker as it arrives is a clear error, in one call, not a loop of restarts."""
    bad = faults.ExitAtUnpickle()
    with pytest.raises(ParmapError):
        pmap(lambda item: bad is not None, range(5), backend="process", workers=2)


# --- errors that do not survive the way ---


@pytest.mark.parametrize("chunksize", [None, 1])
@pytest.mark.parametrize(
    ("func", "words"),
    [
        (faults.FailTwoArg(7), ["TwoArgError", "disk failed with code 28"]),
        (faults.FailUnpicklable(7), ["UnpicklableError", "holds a lock"]),
        (faults.FailHostile(7), ["HostileError"]),
    ],
    ids=["two arguments", "unpicklable", "hostile"],
)
def test_error_that_does_not_survive_the_way(
    mapper: Mapper, func: Callable[[Any], Any], words: list[str], chunksize: int | None
) -> None:
    """It comes as itself, or as a ``SerializationError`` that tells its type, text and item."""
    kinds = (SerializationError, faults.TwoArgError, faults.UnpicklableError, faults.HostileError)
    with pytest.raises(kinds) as caught:
        mapper(func, range(20), backend="process", workers=2, chunksize=chunksize)
    told = [type(caught.value).__name__, *notes(caught.value)]
    if type(caught.value) is not faults.HostileError:
        told.append(said(caught.value))
    for word in [*words, "item 7"]:
        assert word in "\n".join(told)


def test_errors_that_do_not_survive_are_kept_in_their_places(mapper: Mapper) -> None:
    """With ``return_exceptions`` they take their item's place like others."""
    results = mapper(faults.FailTwoArg(7), range(20), backend="process", workers=2, return_exceptions=True)
    assert isinstance(results[7], faults.TwoArgError | SerializationError)
    assert results[:7] + results[8:] == [item for item in range(20) if item != 7]


@pytest.mark.parametrize("backend", ["serial", "thread", "auto"])
def test_inside_one_process_nothing_has_to_survive(backend: str, mapper: Mapper) -> None:
    """Where nothing travels, such errors are the loop's own objects."""
    with pytest.raises(faults.TwoArgError) as caught:
        mapper(faults.FailTwoArg(7), range(20), backend=backend, workers=2)
    assert (caught.value.device, caught.value.code) == ("disk", 28)
    with pytest.raises(faults.UnpicklableError):
        mapper(faults.FailUnpicklable(7), range(20), backend=backend, workers=2)


# --- auto falls back, and says so ---


def compute_with(lock: threading.Lock) -> Callable[[int], int]:
    """Work that would be worth processes, with a variable that cannot travel."""

    def work(item: int) -> int:
        with lock:
            pass
        busy(0.01)
        return item * 2

    return work


def test_auto_falls_back_with_a_warning(mapper: Mapper) -> None:
    """What cannot travel runs here, with the right answer and one warning that names the reason."""
    with pytest.warns(FallbackWarning, match="lock") as caught:
        assert mapper(compute_with(threading.Lock()), range(80), workers=2) == [2 * n for n in range(80)]
    assert len(caught) == 1


def test_auto_falls_back_once_per_place() -> None:
    """The same line warns once, as Python's own warnings do, and the warning points to that line."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(3):
            assert pmap(compute_with(threading.Lock()), range(60), workers=2) == [2 * n for n in range(60)]
    found = [each for each in caught if issubclass(each.category, FallbackWarning)]
    assert len(found) == 1
    assert found[0].filename == __file__


def test_auto_and_results_that_cannot_travel(mapper: Mapper, ledger: Ledger) -> None:
    """Under ``auto`` such a result is the loop's, or an error that names its item; no item runs twice for it."""

    def work(item: int) -> Any:
        ledger.write(item)
        busy(0.01)
        return threading.Lock() if item >= 40 else item

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FallbackWarning)
        results = mapper(work, range(60), workers=2, return_exceptions=True)
    assert results[:40] == list(range(40))
    for item, result in enumerate(results[40:], 40):
        assert isinstance(result, SerializationError | type(threading.Lock()))
        assert not isinstance(result, SerializationError) or f"item {item}" in said(result)
    assert sorted(map(int, ledger.lines())) == list(range(60))


def test_the_warning_can_be_made_an_error() -> None:
    """It can be made an error, like other warnings, and then comes out of the call."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", FallbackWarning)
        with pytest.raises(FallbackWarning, match="lock"):
            pmap(compute_with(threading.Lock()), range(80), workers=2)


def test_prompt(mapper: Mapper) -> None:
    """A dead worker is noticed while the others are in the middle of long items."""

    def work(item: int) -> int:
        if item == 1:
            return int(faults.Crash(1, home=home)(item))
        time.sleep(300 if item > 1 else 0)
        return item

    home = faults.Crash().home
    started = time.monotonic()
    with pytest.raises(WorkerCrashError) as caught:
        mapper(work, range(6), backend="process", workers=2, chunksize=1)
    assert caught.value.index == 1
    assert time.monotonic() - started < 60
