"""A soak: some thousand short calls of every kind leave memory, descriptors, threads and processes where they were."""

import json

from tests.scripts import RunScript

ROUNDS = 75  # of 68 calls each
MEGABYTE = 1 << 20

SOAK = """
import gc, json, os, sys, threading, time
import psutil
from parmap import ItemTimeoutError, ParmapError, pchunked, pimap, pmap

BACKENDS = ("serial", "thread", "process", "auto")

def work(item):
    return item + 1

def fail(item):
    return 1 // (item - 3)

def die(item):
    if item == 3:
        os._exit(3)
    return item

def late(item):
    time.sleep(0.06 if item == 1 else 0)
    return item

def caught(call, kind):
    try:
        call()
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")

def good(backend):
    bytes_there = bytes(100_000)
    assert pmap(work, range(50), backend=backend, workers=2) == list(range(1, 51))
    assert pmap(lambda item: item, "abc", backend=backend, workers=2) == ["a", "b", "c"]
    assert list(pimap(work, range(20), backend=backend, workers=2)) == list(range(1, 21))
    assert sorted(pimap(work, range(20), backend=backend, workers=2, ordered=False)) == list(range(1, 21))
    assert pchunked(sorted, [1, 2, 3, 4], chunks=2, backend=backend) == [1, 2, 3, 4]
    assert pmap(len, [bytes_there] * 4, backend=backend, workers=2) == [100_000] * 4
    assert pmap(bytes, [100_000] * 4, backend=backend, workers=2) == [bytes_there] * 4

def bad(backend):
    for _ in range(2):
        caught(lambda: pmap(fail, range(9), backend=backend, workers=2), ZeroDivisionError)
        caught(lambda: list(pimap(fail, range(9), backend=backend, workers=2)), ZeroDivisionError)
    assert len(pmap(fail, range(9), backend=backend, workers=2, return_exceptions=True, retries=1)) == 9

def early(backend):
    for taken in range(4):
        results = pimap(work, range(1000), backend=backend, workers=2)
        for _ in range(taken):
            next(results)
        results.close()

def costly():
    caught(lambda: pmap(die, range(9), backend="process", workers=2), ParmapError)
    for backend in ("thread", "process"):
        caught(lambda: pmap(late, range(4), backend=backend, workers=2, timeout=0.03), ItemTimeoutError)

def measure():
    gc.collect()
    me = psutil.Process()
    family = [me, *me.children(recursive=True)]
    deadline = time.monotonic() + 5
    while threading.active_count() > 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    return {
        "own memory": me.memory_info().rss,
        "memory of all": sum(each.memory_info().rss for each in family),
        "descriptors": me.num_fds(),
        "descriptors of all": sum(each.num_fds() for each in family),
        "threads": threading.active_count(),
        "processes": len(family),
    }

calls, found = 0, []
for number in range(int(sys.argv[1])):
    for backend in BACKENDS:
        good(backend), bad(backend), early(backend)
    costly()
    if number % 5 == 4:
        found.append(measure())
print(json.dumps(found))
"""


def test_soak(script: RunScript) -> None:
    """After a quarter of it nothing grows any more."""
    found = json.loads(script(SOAK, str(ROUNDS), timeout=100).check())
    settled, last = found[len(found) // 4], found[-1]
    assert last["threads"] == 1, found
    assert last["processes"] <= 4, found  # this one, the zygote, two workers
    assert last["descriptors"] <= settled["descriptors"] + 1, found
    assert last["descriptors of all"] <= settled["descriptors of all"] + 2, found
    assert last["own memory"] < settled["own memory"] + 3 * MEGABYTE, found
    assert last["memory of all"] < settled["memory of all"] + 8 * MEGABYTE, found
