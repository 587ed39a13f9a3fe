"""A system that has next to nothing of POSIX: what needs no processes works there as everywhere."""

import pytest

from tests.platforms import WINDOWS, lacking
from tests.scripts import RunScript

SOURCE = """
import sys, threading, time
import parmap
from parmap import pmap, pimap, pchunked

def heavy(item):
    end = time.perf_counter() + 0.002
    while time.perf_counter() < end:
        pass
    return item + 1

def wait(item):
    time.sleep(0.01)
    return item + 1

backend = sys.argv[1]
workers = 1 if backend == "auto" else 4  # so that no computing goes to processes
for work in (heavy, wait):
    expected = list(range(1, 31))
    assert pmap(work, range(30), backend=backend, workers=workers) == expected
    assert list(pimap(work, range(30), backend=backend, workers=workers)) == expected
assert pchunked(sorted, [3, 1, 2, 0], chunks=2, backend=backend) == [1, 3, 0, 2]
try:
    pmap(lambda item: 1 // item, range(-3, 3), backend=backend)
except ZeroDivisionError as error:
    print(error.__notes__[0].partition(")")[0])
parmap.shutdown()
print(sorted({"fcntl", "resource", "multiprocessing"} & {name for name, found in sys.modules.items() if found}))
"""


@pytest.mark.parametrize("backend", ["serial", "thread", "auto"])
def test_without_processes(script: RunScript, backend: str) -> None:
    """Nothing that is missing is asked for, and multiprocessing is not loaded."""
    told = script(SOURCE, backend, env=lacking(WINDOWS)).check()
    assert told == "parmap: item 3 (0\n[]\n"


def test_auto_without_a_clock_of_the_thread(script: RunScript) -> None:
    """What waits cannot be told from what computes, and goes to processes; the answer is the loop's."""
    source = """
import time
from parmap import pmap
if __name__ == "__main__":
    print(pmap(lambda item: time.sleep(0.01) or item, range(60), workers=2) == list(range(60)))
"""
    assert script(source, env=lacking(WINDOWS)).check() == "True\n"
