"""Rows of `marks.py` about large data: arguments, results and constants of many megabytes, and what NumPy costs a worker."""

import subprocess
import sys

from _harness import Mark, Row, Settings, interleave
from _lanes import Lane, cold, warm
from _memory import available, most_private
from _work import calibrate

MEGABYTE = 1_000_000
POOLS = ("mp.Pool fork", "mp.Pool spawn", "ProcessPoolExecutor")
LARGE_SPIN_SECONDS = 0.020
CONSTANT_SPIN_SECONDS = 0.005


def large_arguments(settings: Settings) -> Row:
    """Compare 50 arrays of 10 MB and 20 ms of work each with the loop."""
    return _large("50 arrays of 10 MB as arguments, 20 ms of pure Python each, warm", "arrays-in", 1.5, settings)


def large_results(settings: Settings) -> Row:
    """Compare 50 results of 10 MB and 20 ms of work each with the loop."""
    return _large("50 results of 10 MB, 20 ms of pure Python each, warm", "arrays-out", 1.4, settings)


def _large(title: str, workload: str, speedup: float, settings: Settings) -> Row:
    rounds = calibrate(settings.pick(20, 1) / 20 * LARGE_SPIN_SECONDS)
    with warm(workload, rounds, ("loop", "pmap process", "pmap", *POOLS, *settings.peers)) as candidates:
        samples = interleave(candidates, settings.few)
    row = Row(title, samples, "loop", ())
    faster = 1 / row["pmap process"].ratio(row["loop"])
    mark = Mark("pmap process: faster than the loop", faster, speedup, "x", at_least=True)
    return Row(title, samples, "loop", (mark,))


def large_constant(settings: Settings) -> Row:
    """Compare 200 items and a 200 MB array in the closure with the loop, cold; and look at the workers' memory."""
    title = "200 items of 5 ms with a 200 MB array in the closure, cold"
    rounds = calibrate(settings.pick(5, 1) / 5 * CONSTANT_SPIN_SECONDS)
    names = ("loop", "pmap process", "pmap", *(name for name in settings.peers if name != "mpire"))
    samples = interleave({name: cold("constant", rounds, name) for name in names}, settings.few)
    row = Row(title, samples, "loop", ())
    faster = 1 / row["pmap process"].ratio(row["loop"])
    private = _private_memory("pmap process", rounds) / MEGABYTE if available() else float("nan")
    marks = (
        Mark("pmap process: faster than the loop", faster, 1.4, "x", at_least=True),
        Mark("private memory of a worker", private, 20, "MB"),
    )
    return Row(title, samples, "loop", marks)


def _private_memory(engine: str, rounds: int) -> int:
    """Return the most that any process below an engine's interpreter had for itself during a call."""
    most = 0
    with Lane("constant", rounds, engine) as lane:

        def look() -> None:
            nonlocal most
            most = max(most, most_private(lane.process.pid))

        lane.sample(engine, tick=look)
    return most


_READY = """
import os, time
import numpy as np
from parmap import pmap

def ready(item):
    at = float(np.float64(time.perf_counter()))
    time.sleep(0.2)
    return os.getpid(), at

first = {}
for pid, at in pmap(ready, range(4), backend="process", workers=4, chunksize=1):
    first[pid] = min(at, first.get(pid, at))
begin, *later = sorted(first.values())
print((later[-1] - begin) / len(later))
"""


def later_workers(settings: Settings) -> Row:
    """Measure how long after the first worker the others are ready, with a function that needs NumPy, cold."""
    title = "cold start of 4 workers with NumPy: each later worker after the first"
    samples = interleave({"pmap process": _later_worker}, settings.repeat)
    mark = Mark("each later worker", samples[0].median * 1e3, 5, "ms")
    return Row(title, samples, "pmap process", (mark,))


def _later_worker() -> float:
    run = subprocess.run([sys.executable, "-c", _READY], check=True, capture_output=True, text=True)
    return float(run.stdout)
