"""``auto``: what it chooses, what it remembers, and what it does when a choice was wrong. Never another answer."""

import logging
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from parmap import FallbackWarning, cpu_count, pimap, pmap
from parmap._learned import learned
from parmap._records import Facts
from tests.contract.helpers import Ledger, busy, here


class Plans(logging.Handler):
    """Keeps what the library logs: each engine that it chose, and why."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps a line."""
        self.lines.append(record.getMessage())

    @property
    def engines(self) -> list[str]:
        """The backends, in the order in which they were chosen."""
        return [line.partition(",")[0] for line in self.lines]


@pytest.fixture
def plans() -> Iterator[Plans]:
    """The plans of this test."""
    log, handler = logging.getLogger("parmap"), Plans()
    log.addHandler(handler)
    log.setLevel(logging.DEBUG)
    yield handler
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)


# What was seen of a function whose items wait for 4 ms.
WAITED = Facts(
    busy=0.04, done=9, left=300, current=0.0, recent=0.0, waiting=1.0, gil_held=0.0, process_cpu=0.0, cores=2, warm=True
)


def compute(item: int) -> int:
    """Holds the GIL."""
    busy(0.005)
    return item


def nap(item: int) -> int:
    """Waits."""
    time.sleep(0.005)
    return item


@pytest.mark.parametrize(("func", "engine"), [(compute, "process"), (nap, "thread")])
def test_the_second_call_begins_where_the_first_one_ended(func: Any, engine: str, plans: Plans) -> None:
    """With the engine, at once; not one item runs in the calling thread."""
    assert pmap(func, range(150)) == list(range(150))
    assert plans.engines[:1] == [engine]
    plans.lines.clear()
    caller = here()

    def where(item: int) -> str:
        func(item)
        return here()

    pmap(where, range(150))
    plans.lines.clear()
    assert caller not in set(pmap(where, range(150)))
    assert plans.engines == [engine]
    assert "as in an earlier call" in plans.lines[0]


def test_what_no_longer_fits_is_forgotten(plans: Plans) -> None:
    """A function that was slow and is quick now goes back to the loop, at the latest in the call after the next."""
    seconds = [0.005]

    def work(item: int) -> int:
        busy(seconds[0])
        return item

    pmap(work, range(150))
    seconds[0] = 0.0
    pmap(work, range(150))
    plans.lines.clear()
    assert pmap(work, range(150)) == list(range(150))
    assert plans.lines == []


def test_few_items_of_a_known_function_stay_a_loop(plans: Plans) -> None:
    """What is known is what an item costs, and three of them do not pay."""
    pmap(compute, range(150))
    plans.lines.clear()
    assert pmap(compute, range(1)) == [0]
    assert plans.lines == []


def test_what_is_learned_is_safe_from_several_threads(backend: str) -> None:
    """Many calls of one function at once: each is right."""
    got: list[list[int]] = []

    def call() -> None:
        for _ in range(5):
            got.extend([pmap(compute, range(10), backend=backend, workers=2)])

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [list(range(10))] * 20


@pytest.mark.parametrize("lazy", [False, True])
def test_threads_that_turn_out_to_be_bound_by_the_gil_are_left(lazy: bool, plans: Plans, ledger: Ledger) -> None:
    """What waited before computes now: the call goes on in processes, and no item is run twice."""

    def work(item: int) -> int:
        ledger.write(item)
        busy(0.004)
        return item

    learned.remember(work, 0.004, WAITED)
    mapper: Any = pimap if lazy else pmap
    assert list(mapper(work, range(700))) == list(range(700))
    assert plans.engines[:2] == ["thread", "process"]
    assert sorted(map(int, ledger.lines())) == list(range(700))


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell of programs that run")
def test_programs_that_compute_are_not_all_run_at_once(plans: Plans) -> None:
    """They need the cores, though the items only wait for them."""

    def work(item: int) -> int:
        spin = "import time\nwhile time.process_time() < 0.2: pass"
        return subprocess.run([sys.executable, "-S", "-c", spin], check=True).returncode

    pmap(work, range(12))
    (line,) = plans.lines
    assert "programs that compute" in line
    assert int(line.split()[1]) <= 2 * cpu_count()


def test_items_that_wait_under_a_timeout_get_more_processes(plans: Plans, ledger: Ledger) -> None:
    """As threads cannot be ended; and no item is run twice."""

    def work(item: int) -> int:
        ledger.write(item)
        time.sleep(0.02)
        return item

    assert pmap(work, range(150), timeout=60) == list(range(150))
    assert plans.engines[0] == "process"
    assert len(plans.engines) <= 2
    assert len(ledger.lines()) == 150


class Heavy:
    """An item that takes long to be pickled and is quickly used."""

    def __init__(self) -> None:
        self.seconds = 0.1

    def __reduce__(self) -> Any:
        end = time.perf_counter() + self.seconds
        while time.perf_counter() < end:
            pass
        return Heavy, ()


def use(item: Heavy) -> bool:
    """Computes for a moment."""
    busy(0.003)
    return True


def test_items_that_cost_more_to_send_than_to_use_stay_at_home(plans: Plans) -> None:
    """The forecast counts their pickling, measured on a real item."""
    assert pmap(use, [Heavy() for _ in range(150)]) == [True] * 150
    assert "process" not in plans.engines


def test_items_that_cannot_be_sent_stay_at_home(plans: Plans) -> None:
    """As the loop takes them; a warning says why they are not run in processes."""
    locks = [threading.Lock() for _ in range(100)]
    with pytest.warns(FallbackWarning, match="cannot pickle"):
        assert pmap(_use_lock, locks) == [True] * 100
    assert "process" not in plans.engines


def _use_lock(lock: Any) -> bool:
    with lock:
        busy(0.003)
    return True


def test_a_result_that_cannot_be_sent_stays_at_home() -> None:
    """It is seen on the first results, before anything is sent anywhere."""

    def work(item: int) -> Any:
        busy(0.003)
        return threading.Lock()

    with pytest.warns(FallbackWarning, match="cannot pickle"):
        assert len(pmap(work, range(100))) == 100


def test_one_item_that_cannot_be_sent_ends_the_sending(ledger: Ledger) -> None:
    """The items before it ran in processes; it and those that were not started run in threads. None runs twice."""
    odd = _Odd()

    def work(item: Any) -> Any:
        ledger.write(item if isinstance(item, int) else "odd")
        return item

    items = [*range(200), odd, *range(201, 260)]
    with pytest.warns(FallbackWarning, match="item 200"):
        assert pmap(work, items, timeout=60) == items  # so that it begins in processes
    assert sorted(ledger.lines()) == sorted(str(item) if isinstance(item, int) else "odd" for item in items)


class _Odd:
    def __reduce__(self) -> Any:
        raise TypeError("not to be pickled")


def test_nothing_of_the_interpreter_is_left_changed() -> None:
    """Whatever was chosen, also when it ends with an error."""
    import sys

    before = sys.getswitchinterval()

    def fail(item: int) -> int:
        busy(0.005)
        if item == 100:
            raise KeyError(item)
        return item

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pmap(compute, range(60))
        with pytest.raises(KeyError):
            pmap(fail, range(150))
    assert sys.getswitchinterval() == before
