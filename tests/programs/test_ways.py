"""Unguarded programs: as a file, with ``-c``, on stdin, as a module, typed at the prompt; the program runs once."""

import pytest

from tests.scripts import HOWS, How, RunScript

PARALLEL = ("process", "auto")

# Work that is worth processes: half a second of pure Python in all. No empty lines inside blocks: it is also typed.
HEAVY = """
import sys, time
def spend(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass

"""


@pytest.mark.parametrize("backend", ["serial", "thread", "process", "auto"])
@pytest.mark.parametrize("how", HOWS)
def test_unguarded_script_runs_once(script: RunScript, how: How, backend: str) -> None:
    """The five lines of a beginner: no guard, a lambda, and "once" is printed once."""
    source = f"""
print("once")
from parmap import pmap
step = 1
results = pmap(lambda x: x + step, range(8), backend="{backend}", workers=2)
print(results)
"""
    result = script(source, how=how)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "once\n[1, 2, 3, 4, 5, 6, 7, 8]\n"
    if how != "-i":
        assert result.stderr == ""


@pytest.mark.parametrize("how", HOWS)
def test_heavy_work_leaves_the_process(script: RunScript, how: How) -> None:
    """Under ``auto`` work worth it is done by other processes, from every kind of program, and without a warning."""
    source = """
import os
from parmap import pmap
def work(item):
    spend(0.01)
    return os.getpid()

pids = set(pmap(work, range(100), workers=2))
print(len(pids - {os.getpid()}) > 0)
"""
    result = script(HEAVY + source, how=how)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "True\n"
    if how != "-i":
        assert result.stderr == ""


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("backend", PARALLEL)
def test_classes_of_main_keep_their_identity(script: RunScript, how: How, backend: str) -> None:
    """Items and results of the program's own classes, in every kind of program."""
    source = f"""
import enum, dataclasses
from parmap import pmap
class Color(enum.Enum):
    RED = 1
    BLUE = 2

@dataclasses.dataclass
class Point:
    x: int
    color: Color

def move(point):
    spend(0.01)
    assert isinstance(point, Point) and point.color is Color.RED
    return Point(point.x + 1, Color.BLUE)

points = [Point(n, Color.RED) for n in range(50)]
moved = pmap(move, points, backend="{backend}", workers=2)
print(all(type(p) is Point and p.color is Color.BLUE for p in moved), [p.x for p in moved] == list(range(1, 51)))
"""
    result = script(HEAVY + source, how=how)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "True True\n"


@pytest.mark.parametrize("backend", PARALLEL)
def test_typed_at_the_prompt_in_many_pieces(script: RunScript, backend: str) -> None:
    """A session: functions defined, used, defined again, and globals changed between the calls."""
    source = f"""
from parmap import pmap
def f(x):
    return x + factor

factor = 1
pmap(f, range(3), backend="{backend}", workers=2)
factor = 10
pmap(f, range(3), backend="{backend}", workers=2)
def f(x):
    return x * factor

pmap(f, range(3), backend="{backend}", workers=2)
pmap(lambda x: 1 // x, [1, 0], backend="{backend}", workers=2)
pmap(f, range(3), backend="{backend}", workers=2)
"""
    result = script(source, how="-i")
    assert result.stdout == "[1, 2, 3]\n[10, 11, 12]\n[0, 10, 20]\n[0, 10, 20]\n"
    assert "ZeroDivisionError" in result.stderr
    assert "item 1" in result.stderr


@pytest.mark.parametrize("backend", PARALLEL)
def test_workers_do_not_read_the_programs_input(script: RunScript, backend: str) -> None:
    """A function that reads standard input does not take the rest of the program away."""
    source = f"""
from parmap import pmap
import sys
def read(item):
    return len(sys.stdin.read()) if "{backend}" == "process" else 0
print(pmap(read, range(4), backend="{backend}", workers=2))
print("the rest")
"""
    assert script(source, how="stdin").check() == "[0, 0, 0, 0]\nthe rest\n"


@pytest.mark.parametrize("how", ["file", "-m"])
@pytest.mark.parametrize("backend", PARALLEL)
def test_guarded_script(script: RunScript, how: How, backend: str) -> None:
    """The guard does no harm."""
    source = f"""
from parmap import pmap
print("once")
def f(x):
    return x * 2
if __name__ == "__main__":
    print(pmap(f, range(4), backend="{backend}", workers=2))
"""
    assert script(source, how=how).check() == "once\n[0, 2, 4, 6]\n"


@pytest.mark.parametrize("backend", PARALLEL)
def test_module_beside_the_script(script: RunScript, backend: str, tmp_path: object) -> None:
    """Functions and classes of a module that lies beside the script arrive by reference, and the module runs once."""
    source = f"""
import pathlib, sys
pathlib.Path("neighbour.py").write_text(
    "class Thing:\\n"
    "    def __init__(self, n):\\n"
    "        self.n = n\\n"
    "def double(thing):\\n"
    "    return Thing(thing.n * 2)\\n"
)
from parmap import pmap
import neighbour
made = pmap(neighbour.double, [neighbour.Thing(n) for n in range(4)], backend="{backend}", workers=2)
print([thing.n for thing in made], {{type(thing) is neighbour.Thing for thing in made}})
"""
    assert script(source).check() == "[0, 2, 4, 6] {True}\n"


@pytest.mark.parametrize("backend", PARALLEL)
def test_arguments_and_name_of_the_program(script: RunScript, backend: str) -> None:
    """``sys.argv`` is the program's in the function too, and ``__name__`` is what it was."""
    source = f"""
import sys
from parmap import pmap
print(pmap(lambda item: (sys.argv[1:], __name__), range(2), backend="{backend}", workers=2))
"""
    assert script(source, "one", "two").check() == str([(["one", "two"], "__main__")] * 2) + "\n"


@pytest.mark.parametrize("flags", [("-O",), ("-X", "utf8"), ("-B",), ("-X", "importtime")], ids="".join)
def test_flags_of_the_interpreter(script: RunScript, flags: tuple[str, ...]) -> None:
    """The interpreter's flags hold in the workers: asserts are off under ``-O``, and so on."""
    source = """
import sys
from parmap import pmap
def flags(item):
    return sys.flags.optimize, sys.flags.utf8_mode, sys.flags.dont_write_bytecode
print(set(pmap(flags, range(4), backend="process", workers=2)) == {flags(0)})
"""
    assert script(source, python_flags=flags).stdout == "True\n"


def test_daemonic_process(script: RunScript) -> None:
    """A daemonic process of ``multiprocessing``, which may have no children of that kind, may use a map."""
    source = """
import multiprocessing
from parmap import pmap
def inside(queue):
    queue.put(pmap(lambda x: x + 1, range(5), backend="process", workers=2))
context = multiprocessing.get_context("fork")
queue = context.SimpleQueue()
child = context.Process(target=inside, args=(queue,), daemon=True)
child.start()
print(queue.get())
child.join()
print(child.exitcode)
"""
    assert script(source, python_flags=("-W", "ignore::DeprecationWarning")).check() == "[1, 2, 3, 4, 5]\n0\n"


@pytest.mark.parametrize("backend", ["serial", "thread", "process", "auto"])
def test_map_while_a_module_is_imported(script: RunScript, backend: str) -> None:
    """A map at the top level of an imported module neither deadlocks nor multiplies.

    A worker may have to import the module, whose top level then calls the map again, there: that must not start
    processes, which would import the module, and so on. The module itself puts an end to it, should it come to that.
    """
    source = f"""
import pathlib
pathlib.Path("busy_module.py").write_text(
    "import os\\n"
    "with open('imports', 'a') as file: file.write('.')\\n"
    "if os.path.getsize('imports') > 8: raise ImportError('the import multiplies')\\n"
    "from parmap import pmap\\n"
    "def f(x):\\n"
    "    return x + 1\\n"
    "values = pmap(f, range(5), backend='{backend}', workers=2)\\n"
)
import busy_module
print(busy_module.values, os.path.getsize("imports") < 5)
"""
    assert script("import os" + source).check() == "[1, 2, 3, 4, 5] True\n"


@pytest.mark.parametrize("backend", PARALLEL)
def test_printing_in_items(script: RunScript, backend: str) -> None:
    """What items print is on the program's standard output, each line once and whole."""
    source = f"""
from parmap import pmap
def speak(item):
    spend(0.005)
    print(f"line {{item}}", flush=True)
pmap(speak, range(60), backend="{backend}", workers=2)
"""
    out = script(HEAVY + source).check()
    assert sorted(out.splitlines()) == sorted(f"line {n}" for n in range(60))


def test_nothing_is_left_in_the_working_directory(script: RunScript) -> None:
    """Neither files nor folders are made where the program runs."""
    source = """
import os
from parmap import pmap
before = set(os.listdir())
pmap(lambda x: bytes(1_000_000), range(8), backend="process", workers=2)
print(set(os.listdir()) - before)
"""
    assert script(source).check() == "set()\n"
