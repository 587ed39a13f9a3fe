"""Programs on a system without POSIX: scripts with and without a guard, shells, ends of all kinds."""

import os
import signal
from pathlib import Path

import pytest

from tests.platforms import NO_POSIX, WINDOWS, lacking
from tests.programs.live import live, remaining
from tests.scripts import How, RunScript

GUARDED = """
import os, sys, time, warnings
from parmap import pmap, pimap, WorkerCrashError

class Point:
    def __init__(self, x):
        self.x = x

def move(point):
    return Point(point.x + offset)

def heavy(item):
    end = time.perf_counter() + 0.01
    while time.perf_counter() < end:
        pass
    return item * 2

offset = 5
if __name__ == "__main__":
"""

UNGUARDED = """
import os, sys, time
from parmap import pmap
os.write(1, b"begin\\n")
def heavy(item):
    os.write(1, b"item\\n")
    end = time.perf_counter() + 0.01
    while time.perf_counter() < end:
        pass
    return item * 2
results = pmap(heavy, range(60), backend=sys.argv[1], workers=2)
os.write(1, b"sum %d\\n" % sum(results))
"""


@pytest.mark.parametrize("parts", [NO_POSIX, WINDOWS], ids=["no posix", "windows"])
@pytest.mark.parametrize("how", ["file", "-m", "-c"])
def test_every_way_to_start_a_script(script: RunScript, how: How, parts: str) -> None:
    """Functions and classes of the script travel, also where no worker can import it."""
    source = """
    print([type(point) is Point and point.x for point in pmap(move, map(Point, range(4)), backend="process", workers=2)])
    print(sum(pmap(heavy, range(60), workers=2)))
    """
    assert script(GUARDED + source, how=how, env=lacking(parts)).check() == "[5, 6, 7, 8]\n3540\n"


def test_a_script_on_standard_input(script: RunScript) -> None:
    """Multiprocessing has no way to start workers for it, so the call is the loop, with one warning."""
    source = """
    print([type(point) is Point and point.x for point in pmap(move, map(Point, range(4)), backend="process", workers=2)])
    """
    result = script(GUARDED + source, how="stdin", env=lacking(NO_POSIX), python_flags=("-W", "default"))
    assert (result.returncode, result.stdout) == (0, "[5, 6, 7, 8]\n")
    assert result.stderr.count("FallbackWarning") == 1
    assert "Traceback" not in result.stderr


def test_what_the_engine_is(script: RunScript) -> None:
    """No zygote and no pool of ours: the executor of the standard library."""
    source = """
    pmap(abs, range(5), backend="process", workers=1)
    print("parmap._backends._executor" in sys.modules, "parmap._backends._processes" in sys.modules)
    """
    assert script(GUARDED + source, env=lacking(NO_POSIX)).check() == "True False\n"


def test_auto_without_a_guard(script: RunScript) -> None:
    """The script is run again up to the call, no item is, and the call goes on as the loop with one warning."""
    result = script(UNGUARDED, "auto", env=lacking(NO_POSIX), python_flags=("-W", "default"))
    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert (lines.count("item"), lines.count("sum 3540")) == (60, 1)
    assert lines.count("begin") <= 3
    assert result.stderr.count("FallbackWarning") == 1
    assert 'if __name__ == "__main__"' in result.stderr
    assert "Traceback" not in result.stderr


def test_process_without_a_guard(script: RunScript) -> None:
    """The error says what to do; the workers say nothing."""
    result = script(UNGUARDED, "process", env=lacking(NO_POSIX))
    assert result.returncode == 1
    assert "item" not in result.stdout.splitlines()
    assert result.stderr.count("Traceback") == 1
    assert 'put what starts the work under `if __name__ == "__main__":`' in result.stderr


def test_a_script_that_somebody_else_starts_workers_for(script: RunScript) -> None:
    """In a worker of multiprocessing's own, a call at the top level is the loop."""
    source = """
import multiprocessing, os
from parmap import pmap
print(sum(pmap(abs, range(5), backend="process", workers=1)), flush=True)
def double(x):
    return 2 * x
if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.map(double, [1, 2]))
"""
    assert script(source).check() == "10\n10\n[2, 4]\n"


def test_timeouts_are_kept_elsewhere_or_refused(script: RunScript) -> None:
    """None of these workers can be ended inside an item."""
    source = """
    from contextvars import copy_context
    from parmap._backends._executor import Executor
    from parmap._records import Task
    try:
        Executor(Task(heavy, False, False, None, 1.0, None, copy_context()), 2, 2).open()
    except OSError as error:
        print(error)
    """
    assert "timeout" in script(GUARDED + source, env=lacking(NO_POSIX)).check()


def test_a_deadly_item_among_many(script: RunScript) -> None:
    """It is found by running those that were on their way one by one; the results of all others are kept."""
    source = """
    def work(item):
        if item in (7, 23):
            os._exit(item)
        return item
    results = pmap(work, range(40), backend="process", workers=3, return_exceptions=True)
    print([(n, type(each).__name__, each.index, each.exitcode) for n, each in enumerate(results) if each != n])
    print(pmap(work, [1, 2], backend="process", workers=2))
    """
    expected = "[(7, 'WorkerCrashError', 7, 7), (23, 'WorkerCrashError', 23, 23)]\n[1, 2]\n"
    assert script(GUARDED + source, env=lacking(NO_POSIX)).check() == expected


def test_a_worker_that_cannot_start(script: RunScript) -> None:
    """A script that ends its workers as they import it is an error in words, not a loop of restarts."""
    source = """
import os
from parmap import pmap
if __name__ != "__main__":
    os._exit(9)
if __name__ == "__main__":
    try:
        pmap(abs, range(9), backend="process", workers=2)
    except Exception as error:
        print(type(error).__name__, error)
"""
    told = script(source, env=lacking(NO_POSIX)).check()
    assert told == "WorkerCrashError a worker process exited with code 9 while it was starting\n"


def test_the_interpreter_ends_with_items_on_their_way(script: RunScript) -> None:
    """It does not wait for them."""
    source = """
    results = pimap(lambda item: time.sleep(300 if item else 0), range(9), backend="process", workers=2, chunksize=1)
    next(results)
    """
    script(GUARDED + source, env=lacking(NO_POSIX), timeout=30).check()


ENDLESS = """
def work(item):
    if item >= 2:
        say(os.getpid())
        while True:
            pass
    return item
if __name__ == "__main__":
    results = pimap(work, range(10), backend="process", workers=2, chunksize=1)
    next(results), next(results)
    next(results)
"""


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``kill -9`` leaves nobody behind."""
    for name, value in lacking(NO_POSIX).items():
        monkeypatch.setenv(name, value)
    with live(tmp_path, ENDLESS, "process") as running:
        workers = {int(running.hear()), int(running.hear())}
        family = running.family()
        assert workers <= {each.pid for each in family}
        os.kill(running.process.pid, signal.SIGKILL)
        running.wait(10)
        assert remaining(family, 10) == []
