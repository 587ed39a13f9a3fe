"""Ends of all kinds: the interpreter leaves promptly and quietly, with the right exit code, and takes its workers."""

import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.programs.live import Live, live, remaining
from tests.scripts import RunScript

BACKENDS = ("serial", "thread", "process", "auto")
PARALLEL = ("process", "auto")

# The work of a script that must end long before its items would. A thread cannot be ended, so its items are short.
WORK = """
import sys, os, time
from parmap import pmap, pimap
BACKEND = sys.argv[1]
def work(item):
    time.sleep(0 if item < 2 else 0.02 if BACKEND in ("serial", "thread") else 300)
    return item
def cheap(item):
    return item + 1
"""
PROMPT = 25.0  # seconds: nothing like the hours that the items would take


def run_promptly(script: RunScript, source: str, backend: str, flags: tuple[str, ...] = ()) -> tuple[int, str, str]:
    """Runs a script and asserts that it ended soon; its exit code, output and error output."""
    started = time.monotonic()
    result = script(WORK + source, backend, python_flags=flags)
    assert time.monotonic() - started < PROMPT
    return result.returncode, result.stdout, result.stderr


@pytest.mark.parametrize("flags", [(), ("-X", "dev")], ids=["plain", "dev"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_unfinished_iterator_at_exit(script: RunScript, backend: str, flags: tuple[str, ...]) -> None:
    """A half-read ``pimap`` that is still alive when the interpreter exits is quiet and does not hold it up."""
    source = """
results = pimap(work, range(100_000), backend="process" if BACKEND == "auto" else BACKEND, workers=2, chunksize=1)
print(next(results))
"""
    assert run_promptly(script, source, backend, flags) == (0, "0\n", "")


@pytest.mark.parametrize("backend", BACKENDS)
def test_unread_iterator_at_exit(script: RunScript, backend: str) -> None:
    """So is one that nobody has read from."""
    source = "results = pimap(cheap, range(100_000), backend=BACKEND, workers=2)"
    assert run_promptly(script, source, backend) == (0, "", "")


@pytest.mark.parametrize("backend", BACKENDS)
def test_iterator_in_a_reference_cycle_at_exit(script: RunScript, backend: str) -> None:
    """An iterator that only the collector could free does not hold up the exit either."""
    source = """
class Holder: pass
holder = Holder()
holder.me = holder
holder.results = pimap(cheap, range(100_000), backend=BACKEND, workers=2)
print(next(holder.results))
"""
    assert run_promptly(script, source, backend) == (0, "1\n", "")


@pytest.mark.parametrize("backend", BACKENDS)
def test_error_at_top_level_with_warm_workers(script: RunScript, backend: str) -> None:
    """The script's own error is the only thing on stderr."""
    source = """
print(sum(pmap(cheap, range(100), backend=BACKEND, workers=2)))
raise LookupError("the script's own")
"""
    code, out, err = run_promptly(script, source, backend)
    assert (code, out) == (1, "5050\n")
    assert err.count("Traceback") == 1
    assert err.rstrip().endswith("LookupError: the script's own")


@pytest.mark.parametrize("backend", BACKENDS)
def test_error_of_an_item_at_top_level(script: RunScript, backend: str) -> None:
    """An item's error ends the script with its traceback, the line that raised, and the note."""
    source = """
def fail(item):
    return 1 // (item - 5)
pmap(fail, range(100), backend=BACKEND, workers=2)
"""
    code, out, err = run_promptly(script, source, backend)
    assert (code, out) == (1, "")
    assert "ZeroDivisionError" in err
    assert "item 5" in err
    assert "in fail" in err


@pytest.mark.parametrize("backend", BACKENDS)
def test_sys_exit_with_warm_workers(script: RunScript, backend: str) -> None:
    """``sys.exit`` beside a half-read iterator gives its code and nothing else."""
    source = """
results = pimap(cheap, range(100_000), backend=BACKEND, workers=2)
next(results)
sys.exit(3)
"""
    assert run_promptly(script, source, backend) == (3, "", "")


@pytest.mark.parametrize("backend", BACKENDS)
def test_sys_exit_in_an_item(script: RunScript, backend: str) -> None:
    """``sys.exit`` in an item ends the script with that code, as in a loop."""
    source = """
def leave(item):
    if item == 5:
        sys.exit(7)
pmap(leave, range(100), backend=BACKEND, workers=2)
print("not reached")
"""
    assert run_promptly(script, source, backend) == (7, "", "")


@pytest.mark.parametrize("backend", BACKENDS)
def test_map_in_an_exit_handler(script: RunScript, backend: str) -> None:
    """A map may still be called while the interpreter exits."""
    source = """
import atexit
atexit.register(lambda: print(pmap(cheap, range(5), backend=BACKEND, workers=2)))
if BACKEND != "serial":
    pmap(cheap, range(5), backend=BACKEND, workers=2)
"""
    assert run_promptly(script, source, backend) == (0, "[1, 2, 3, 4, 5]\n", "")


@pytest.mark.parametrize("backend", BACKENDS)
def test_map_in_a_daemon_thread_at_exit(script: RunScript, backend: str) -> None:
    """A map that a daemon thread is in the middle of does not hold up the exit."""
    source = """
import threading
begun = threading.Event()
def run():
    for result in pimap(work, range(100_000), backend=BACKEND, workers=2, chunksize=1):
        begun.set()
threading.Thread(target=run, daemon=True).start()
begun.wait()
"""
    code, out, err = run_promptly(script, source, backend)
    assert (code, out, err) == (0, "", "")


@pytest.mark.parametrize("backend", PARALLEL)
def test_a_script_that_does_nothing_else_is_quiet_under_dev_mode(script: RunScript, backend: str) -> None:
    """Python's development mode finds no resource that was not closed."""
    source = """
def heavy(item):
    end = time.thread_time() + 0.005
    while time.thread_time() < end:
        pass
    return item
assert pmap(heavy, range(60), backend=BACKEND, workers=2) == list(range(60))
"""
    assert run_promptly(script, source, backend, ("-X", "dev")) == (0, "", "")


# --- the script ends, its processes end ---

ENDLESS = """
def work(item):
    if item >= 2:
        say(os.getpid())
        while True:
            pass
    return item
results = pimap(work, range(10), backend="process", workers=2, chunksize=1)
next(results), next(results)
next(results)
"""

IDLE = """
import signal
pids = pmap(lambda item: os.getpid(), range(10), backend="process", workers=2)
say(pids[0])
say(pids[-1])
while True:
    signal.pause()
"""


def worker_pids(running: Live) -> set[int]:
    """What the two workers say of themselves, and that they belong to the script."""
    pids = {int(running.hear()), int(running.hear())}
    assert pids <= {each.pid for each in running.family()}
    return pids


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("source", [ENDLESS, IDLE], ids=["computing", "idle"])
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path, source: str, signum: int) -> None:
    """``kill`` of any kind leaves no worker, busy or idle."""
    with live(tmp_path, source, "process") as running:
        worker_pids(running)
        family = running.family()
        running.process.send_signal(signum)
        assert running.wait(10) == -signum
        assert remaining(family, 5) == []
        assert running.stderr() == ""


@pytest.mark.parametrize("way", ["os._exit(0)", "os.abort()", "os.execv('/bin/true', ['true'])"])
def test_workers_end_with_a_parent_that_leaves_abruptly(tmp_path: Path, way: str) -> None:
    """Nor does an end that runs no exit handler."""
    source = f"""
import resource
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
pids = pmap(lambda item: os.getpid(), range(10), backend="process", workers=2)
say(pids[0])
{way}
"""
    with live(tmp_path, source, "process") as running:
        worker = int(running.hear())
        running.wait(20)
        assert remaining(running_processes(worker), 5) == []


def running_processes(pid: int) -> list[psutil.Process]:
    """The process with that number, if there is one."""
    try:
        return [psutil.Process(pid)]
    except psutil.NoSuchProcess:
        return []
