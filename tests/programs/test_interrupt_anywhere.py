"""An interrupt at any moment of a call: it comes out, nothing is left, and the next call works."""

import re

import pytest

from tests.scripts import RunScript

PROGRAM = """
import gc, os, random, signal, time
import psutil
from parmap import pimap, pmap, shutdown

class Stop(KeyboardInterrupt):
    pass

def stop(*_):
    raise Stop

def work(item):
    time.sleep(0.01)
    return item

def left():
    return psutil.Process().children(recursive=True), len(os.listdir("/proc/self/fd")) - descriptors

signal.signal(signal.SIGALRM, stop)
pmap(work, range(4), backend="process")
shutdown()
descriptors = len(os.listdir("/proc/self/fd"))
random.seed(SEED)
stopped = 0
for _ in range(40):
    backend = random.choice(["process", "process", "auto", "thread"])
    signal.setitimer(signal.ITIMER_REAL, random.uniform(0.0002, 0.06))
    try:
        if random.random() < 0.5:
            pmap(work, range(30), backend=backend)
        else:
            for _ in pimap(work, range(30), backend=backend):
                pass
        signal.setitimer(signal.ITIMER_REAL, 0)
    except Stop:
        stopped += 1
    if random.random() < 0.6:
        shutdown()
    assert pmap(work, range(4), backend="process", workers=2) == [0, 1, 2, 3]
shutdown()
gc.collect()
deadline = time.monotonic() + 10
while left() != ([], 0) and time.monotonic() < deadline:
    time.sleep(0.02)
print(stopped > 5, left())
"""


@pytest.mark.parametrize("seed", [1, 2])
def test_interrupts_at_any_moment(script: RunScript, seed: int) -> None:
    """While workers are started, while they run, while they are given back: no process and no descriptor stays."""
    done = script(f"SEED = {seed}\n" + PROGRAM)
    assert (done.returncode, done.stdout) == (0, "True ([], 0)\n"), done.stderr
    # Where an interrupt falls into a callback of the collector, such as that of the set of all threads, the interpreter
    # drops it and says so; and where one falls between the opening of a module's file, in an import, and the `with` that
    # closes it, it says that. Nothing else is said.
    usual = r"\s|$|Traceback|Stop|Exception ignored in|ResourceWarning: unclosed file .*\.pyc?'"
    assert all(re.match(usual, line) for line in done.stderr.splitlines()), done.stderr
