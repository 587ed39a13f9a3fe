"""Workers that are killed from outside or die on the way: what is raised, what is kept, what runs again."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from parmap import WorkerCrashError, pimap, pmap
from tests import faults
from tests.contract.helpers import Ledger, close
from tests.family import kill, wait_ended, workers, zygotes

SOON = 2.0  # seconds from a death to its error
LARGE = 4_000_000  # bytes: through a memory file


@pytest.fixture(autouse=True)
def the_next_call_works() -> Iterator[None]:
    """After every death the next call gives the right answer."""
    yield
    assert pmap(abs, range(-20, 0), backend="process", workers=2) == list(range(20, 0, -1))


class Killed:
    """Maps ``x`` to ``x``; at item ``at`` it says which process it is in, and waits to be killed from outside."""

    def __init__(self, ledger: Ledger, at: int) -> None:
        self.ledger = ledger
        self.at = at

    def __call__(self, item: int) -> int:
        """Waits, or gives the item back."""
        if item == self.at:
            self.ledger.write(os.getpid())
            time.sleep(600)
        return item

    def kill_it(self, signum: int, at: list[float]) -> None:
        """Waits for the word and kills; ``at`` gets the time."""
        while not self.ledger.lines():
            time.sleep(0.005)
        at.append(time.monotonic())
        psutil.Process(int(self.ledger.lines()[0])).send_signal(signum)


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGABRT, signal.SIGSEGV])
@pytest.mark.parametrize("chunksize", [1, 4])
def test_killed_from_outside_in_an_item(ledger: Ledger, signum: int, chunksize: int) -> None:
    """Within two seconds an error says which item, its arguments and the signal; all other results are kept."""
    work, at = Killed(ledger, 5), list[float]()
    assassin = threading.Thread(target=work.kill_it, args=(signum, at))
    assassin.start()
    got = pmap(work, range(12), backend="process", workers=2, chunksize=chunksize, return_exceptions=True)
    assassin.join()
    assert time.monotonic() - at[0] < SOON
    error = got.pop(5)
    assert got == [item for item in range(12) if item != 5]
    assert isinstance(error, WorkerCrashError)
    assert (error.index, error.arguments, error.exitcode) == (5, "5", -signum)
    assert f"item 5 (5) was killed by {signal.Signals(signum).name}. Usual cause: " in str(error)


@pytest.mark.parametrize("make", [faults.Crash, faults.Exit, faults.Segfault])
@pytest.mark.parametrize("chunksize", [None, 1, 100])
def test_only_the_item_at_fault_is_lost(make: Callable[[int], Any], chunksize: int | None) -> None:
    """Also of a chunk that was nearly done."""
    got = pmap(make(17), range(20), backend="process", workers=2, chunksize=chunksize, return_exceptions=True)
    assert isinstance(got[17], WorkerCrashError)
    assert got[17].index == 17
    assert got[:17] + got[18:] == [item for item in range(20) if item != 17]


def test_the_others_of_its_chunk_run_again_and_it_does_not(ledger: Ledger) -> None:
    """Items before it twice at the most, for their results were lost with their worker; the others once."""
    crash = faults.Crash(5)

    def work(item: int) -> Any:
        ledger.write(item)
        return crash(item)

    got = pmap(work, range(12), backend="process", workers=1, chunksize=12, return_exceptions=True)
    assert got[:5] + got[6:] == [item for item in range(12) if item != 5]
    runs = [ledger.lines().count(str(item)) for item in range(12)]
    assert runs == [2, 2, 2, 2, 2, 1, 1, 1, 1, 1, 1, 1]


def test_the_arguments_are_shown_shortened() -> None:
    """A megabyte of text does not come out."""
    with pytest.raises(WorkerCrashError) as caught:
        pmap(_die, ["x" * 1_000_000], range(1), backend="process", workers=1)
    assert caught.value.index == 0
    assert caught.value.arguments.startswith("'xxx")
    assert caught.value.arguments.endswith(", 0")
    assert len(str(caught.value)) < 1000


def _die(text: str, number: int) -> None:
    faults.Crash(number, home=-1)(number)


# --- on the way ---


class DiesAtSetState:
    """Ends the process in which its state is set."""

    def __init__(self) -> None:
        self.home = os.getpid()

    def __setstate__(self, state: dict[str, int]) -> None:
        """Ends the process, unless it is the test's."""
        if os.getpid() != state["home"]:
            os._exit(6)


DEADLY = {"exit": faults.ExitAtUnpickle, "SIGKILL": faults.CrashAtUnpickle, "__setstate__": DiesAtSetState}


@pytest.mark.parametrize("name", DEADLY)
@pytest.mark.parametrize("chunksize", [1, 3, 100])
def test_while_a_large_argument_arrives(name: str, chunksize: int) -> None:
    """The item whose argument it was is at fault, not those beside it in the chunk; nothing stays mapped."""
    items: list[Any] = [(np.full(LARGE // 8, item), item) for item in range(8)]
    items[5] = (np.zeros(LARGE // 8), DEADLY[name]())
    got = pmap(_second, items, backend="process", workers=2, chunksize=chunksize, return_exceptions=True)
    assert isinstance(got[5], WorkerCrashError)
    assert got[5].index == 5
    assert got[:5] + got[6:] == [0, 1, 2, 3, 4, 6, 7]


def _second(item: tuple[Any, Any]) -> Any:
    return item[1]


@pytest.mark.parametrize("chunksize", [None, 1, 100])
def test_while_a_large_result_leaves(chunksize: int | None) -> None:
    """The item whose result it was is at fault, not those beside it in the chunk."""
    give = faults.GiveExitAtPickle(5)

    def work(item: int) -> Any:
        return np.full(LARGE // 8, item), give(item)

    got = pmap(work, range(8), backend="process", workers=2, chunksize=chunksize, return_exceptions=True)
    assert isinstance(got[5], WorkerCrashError)
    assert (got[5].index, got[5].exitcode) == (5, 4)
    assert [(int(each[0][-1]), each[1]) for each in got[:5] + got[6:]] == [(n, n) for n in (0, 1, 2, 3, 4, 6, 7)]


def test_while_it_is_in_the_middle_of_a_message(ledger: Ledger) -> None:
    """Half a message is no message: it is dropped, its item is at fault, and the rest goes on."""

    def work(item: int) -> int:
        if item == 1:
            while not ledger.lines():
                time.sleep(0.005)
            ledger.write(os.getpid())
            print("x" * 10_000_000)  # far more than a socket takes, while nobody reads
        return item

    results = pimap(work, range(6), backend="process", workers=2, chunksize=1, return_exceptions=True)
    assert next(results) == 0
    ledger.write("nobody reads now")
    while len(ledger.lines()) < 2:
        time.sleep(0.005)
    writer = psutil.Process(int(ledger.lines()[1]))
    while "sleeping" not in writer.status():
        time.sleep(0.005)
    kill([writer])
    error, *others = results
    assert isinstance(error, WorkerCrashError)
    assert error.index == 1
    assert others == [2, 3, 4, 5]


def test_with_its_initializer() -> None:
    """A death in it is of no item; five in a row are an error, not a loop."""
    with pytest.raises(WorkerCrashError) as caught:
        pmap(abs, range(4), backend="process", workers=2, initializer=_leave)
    assert (caught.value.index, caught.value.exitcode) == (None, 9)


def _leave() -> None:
    os._exit(9)


# --- in no item ---


def test_idle_workers(ledger: Ledger) -> None:
    """Their death costs nothing: no error, no item runs twice, no time to speak of."""

    def work(item: int) -> int:
        ledger.write(item)
        return item

    for round_ in range(4):
        assert pmap(work, range(20), backend="process", workers=2) == list(range(20))
        assert sorted(map(int, ledger.lines())) == sorted([*range(20)] * (round_ + 1))
        kill(workers()[: 1 + round_ % 2])


def test_idle_workers_of_an_open_call() -> None:
    """Nor those that belong to a call whose consumer is away."""
    results = pimap(abs, range(-400, 0), backend="process", workers=2, buffersize=4)
    for _ in range(5):
        next(results)
        time.sleep(0.05)  # whatever was read ahead is done
        kill(workers())
    assert len(list(results)) == 395


# --- the zygote ---


def test_zygote_killed_between_calls() -> None:
    """Calls go on with the workers that there are; when more are needed, there is another zygote."""
    for width in (2, 2, 4):
        assert pmap(abs, range(-50, 0), backend="process", workers=width) == list(range(50, 0, -1))
        kill(zygotes())
    assert pmap(abs, range(-50, 0), backend="process", workers=6, chunksize=1) == list(range(50, 0, -1))


def kill_zygotes_after_the_first_line(ledger: Ledger) -> None:
    """When an item has begun, whatever starts workers is killed."""
    while not ledger.lines():
        time.sleep(0.005)
    kill(zygotes())


def test_zygote_killed_in_a_call(ledger: Ledger) -> None:
    """The workers go on; nothing runs twice."""

    def work(item: int) -> int:
        ledger.write(item)
        time.sleep(0.01)
        return item

    results = pimap(work, range(60), backend="process", workers=2, chunksize=1)
    assert next(results) == 0
    kill(zygotes())
    assert list(results) == list(range(1, 60))
    assert sorted(map(int, ledger.lines())) == list(range(60))


def test_zygote_and_worker_killed_in_a_call(ledger: Ledger) -> None:
    """The item of the worker is at fault, and another zygote starts another worker."""
    work, at = Killed(ledger, 5), list[float]()

    def both() -> None:
        kill_zygotes_after_the_first_line(ledger)
        work.kill_it(signal.SIGKILL, at)

    assassin = threading.Thread(target=both)
    assassin.start()
    got = pmap(work, range(12), backend="process", workers=1, chunksize=3, return_exceptions=True)
    assassin.join()
    assert isinstance(got[5], WorkerCrashError)
    assert (got[5].index, got[5].exitcode) == (5, None)  # who would have known it is dead
    assert got[:5] + got[6:] == [item for item in range(12) if item != 5]


def test_zygote_killed_while_items_hang(ledger: Ledger) -> None:
    """Their time limit still ends them; an item beside them that is cut off with them runs again, and is right."""

    def work(item: int) -> int:
        ledger.write(item)
        time.sleep(600 if item == 1 else 0.9)
        return item

    assassin = threading.Thread(target=kill_zygotes_after_the_first_line, args=(ledger,))
    assassin.start()
    got = pmap(work, range(4), backend="process", workers=2, chunksize=1, timeout=1.5, return_exceptions=True)
    assassin.join()
    assert isinstance(got[1], TimeoutError)
    assert got[:1] + got[2:] == [0, 2, 3]


def test_a_call_does_not_suffer_from_the_zygote_of_another(tmp_path: Path) -> None:
    """A new zygote for one call leaves the workers of the old one to the other calls."""
    other = Ledger(str(tmp_path / "other"))

    def work(item: int) -> int:
        other.write(item)
        time.sleep(0.02)
        return item

    results = pimap(work, range(40), backend="process", workers=2, chunksize=1)
    assert next(results) == 0
    kill(zygotes())
    assert pmap(abs, range(-50, 0), backend="process", workers=2) == list(range(50, 0, -1))
    assert list(results) == list(range(1, 40))
    assert sorted(map(int, other.lines())) == list(range(40))


def test_a_call_that_is_left_ends_workers_without_a_zygote(ledger: Ledger) -> None:
    """Also those that compute; the leak check finds what is left."""
    spin = faults.Spin(1)

    def work(item: int) -> Any:
        while len(ledger.lines()) < item:
            time.sleep(0.005)
        ledger.write(os.getpid())
        return spin(item)

    results = pimap(work, range(2), backend="process", workers=2, chunksize=1)
    assert next(results) == 0
    while len(ledger.lines()) < 2:
        time.sleep(0.005)
    found = [psutil.Process(int(line)) for line in ledger.lines()]
    kill(zygotes())
    close(results)
    wait_ended(found[1:])
