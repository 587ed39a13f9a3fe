"""Whole programs in which parmap is not alone: pools of others, threads, an event loop, time that passes."""

from pathlib import Path

import pytest

from tests.scripts import ROOT, RunScript

OTHERS = {
    "Pool fork": "multiprocessing.get_context('fork').Pool(2)",
    "Pool spawn": "multiprocessing.get_context('spawn').Pool(2)",
    "Pool forkserver": "multiprocessing.get_context('forkserver').Pool(2)",
    "executor fork": "ProcessPoolExecutor(2, mp_context=multiprocessing.get_context('fork'))",
    "executor spawn": "ProcessPoolExecutor(2, mp_context=multiprocessing.get_context('spawn'))",
    "threads": "ThreadPoolExecutor(2)",
}


@pytest.mark.parametrize("name", OTHERS)
def test_in_workers_of_another_pool(script: RunScript, name: str) -> None:
    """Also where those are daemons, and after the pool was used in the program itself."""
    source = f"""
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from parmap import pmap

def inner(item):
    return [pmap(abs, range(-item, 0), backend=backend, workers=2) for backend in ("process", "thread", "auto")]

if __name__ == "__main__":
    expected = [[list(range(item, 0, -1))] * 3 for item in range(6)]
    assert [inner(item) for item in range(6)] == expected
    for _ in range(2):
        with {OTHERS[name]} as pool:
            assert list(pool.map(inner, range(6))) == expected
    assert [inner(item) for item in range(6)] == expected
    print("done")
"""
    flags = ("-W", "ignore:.*fork.*:DeprecationWarning") if "fork" in name else ()  # the other pool's
    assert script(source, python_flags=flags).check() == "done\n"


def test_another_pool_in_an_item(script: RunScript) -> None:
    """And the other way round: workers are no daemons."""
    source = """
import multiprocessing
from parmap import pmap

def outer(item):
    with multiprocessing.get_context("fork").Pool(2) as pool:
        got = pool.map(abs, range(-item, 0))
        pool.close()
        pool.join()
    return got

assert pmap(outer, range(5), backend="process", workers=2) == [list(range(item, 0, -1)) for item in range(5)]
"""
    assert script(source).check() == ""


@pytest.mark.parametrize("width", [1, 2])
def test_no_warning_with_threads_alive(script: RunScript, width: int) -> None:
    """No process is forked where there are threads: neither the program's, nor those that NumPy starts in a worker."""
    source = f"""
import threading
import numpy as np
from parmap import pmap

over = threading.Event()
threads = [threading.Thread(target=over.wait) for _ in range(3)]
for thread in threads:
    thread.start()

def product(item):
    square = np.full((300, 300), float(item))
    return float((square @ square)[0, 0])

for _ in range(3):
    assert pmap(np.sqrt, [4.0, 9.0] * 10, backend="process", workers={width}) == [2.0, 3.0] * 10
    assert pmap(product, range(6), backend="process", workers={width}) == [300.0 * n * n for n in range(6)]
    assert pmap(product, range(6), backend="process", workers=3 - {width}) == [300.0 * n * n for n in range(6)]
over.set()
for thread in threads:
    thread.join()
"""
    assert script(source).check() == ""


def test_in_an_event_loop(script: RunScript) -> None:
    """Beside other tasks, and from the loop's own executor."""
    source = """
import asyncio
from parmap import pimap, pmap

async def ticks():
    count = 0
    while count < 20:
        await asyncio.sleep(0.001)
        count += 1
    return count

async def main():
    ticking = asyncio.create_task(ticks())
    for backend in ("serial", "thread", "process", "auto"):
        assert pmap(abs, range(-20, 0), backend=backend, workers=2) == list(range(20, 0, -1))
        call = lambda: list(pimap(abs, range(-20, 0), backend=backend, workers=2))
        assert await asyncio.get_running_loop().run_in_executor(None, call) == list(range(20, 0, -1))
        await asyncio.sleep(0)
    assert await ticking == 20

asyncio.run(main(), debug=True)
"""
    result = script(source)
    assert (result.returncode, result.stdout) == (0, "")
    assert all(
        line.startswith("Executing <Task") for line in result.stderr.splitlines()
    )  # it blocks, as the loop would


# --- time that passes ---

# Found by every interpreter that the program starts, the zygote included.
SHORT_LIFE = """
import parmap._tuning
parmap._tuning.IDLE_LIFE = 0.4
"""


def run_with_short_life(script: RunScript, folder: Path, source: str) -> str:
    """Runs a script whose workers leave when they have been idle for 0.4 seconds."""
    hooks = folder / "hooks"
    hooks.mkdir()
    (hooks / "sitecustomize.py").write_text(SHORT_LIFE)
    return script(source, env={"PYTHONPATH": f"{hooks}:{ROOT}"}).check()


def test_idle_workers_leave(script: RunScript, tmp_path: Path) -> None:
    """After a while, all but the zygote, without a word; the next call starts others."""
    source = """
import time
import psutil
from parmap import pmap

def family():
    return [each for each in psutil.Process().children(recursive=True) if is_there(each)]

def is_there(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

for _ in range(2):
    assert pmap(abs, range(-20, 0), backend="process", workers=2) == list(range(20, 0, -1))
    assert len(family()) > 1
    deadline = time.monotonic() + 20
    while len(family()) > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    print(len(family()))
"""
    assert run_with_short_life(script, tmp_path, source) == "1\n1\n"


def test_a_consumer_that_is_away_for_long(script: RunScript, tmp_path: Path) -> None:
    """Workers may leave meanwhile, or wait for an answer of the caller: nothing is lost, and nothing runs twice."""
    source = """
import time
from parmap import pimap

class Odd:
    def __init__(self, number):
        self.number = number

class Even(Odd):
    pass

def work(item):
    with open("runs", "a") as file:
        file.write(f"{item.number}\\n")
    return type(item)(item.number + 2)

items = (Odd(number) if number % 2 else Even(number) for number in range(12))
for number, result in enumerate(pimap(work, items, backend="process", workers=2, chunksize=1)):
    assert (type(result), result.number) == (Odd if number % 2 else Even, number + 2)
    if number in (0, 1, 5):
        time.sleep(1.2)
with open("runs") as file:
    assert sorted(map(int, file)) == list(range(12))
"""
    assert run_with_short_life(script, tmp_path, source) == ""
