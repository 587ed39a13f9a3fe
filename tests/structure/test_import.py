"""`import parmap` is light and starts nothing; how long it takes is measured in `benchmarks/`."""

import json
from fnmatch import fnmatchcase
from textwrap import dedent

import pytest

from tests.scripts import RunScript

HEAVY = frozenset(
    "numpy pandas multiprocessing asyncio tqdm cloudpickle concurrent dataclasses inspect socket subprocess "
    "typing_extensions".split()
)

# What `import parmap` may load of itself: the front and all that the plain loop needs, so that the first call of a
# program costs no more than the next one. Threads, processes and transport come with the first call that needs them.
EAGER = (
    "parmap",
    "parmap._api",
    "parmap._backends",
    "parmap._backends._base",
    "parmap._backends._serial",
    "parmap._call",
    "parmap._chunks",
    "parmap._cores",
    "parmap._errors",
    "parmap._handover",
    "parmap._judge",
    "parmap._learned",
    "parmap._merge",
    "parmap._nesting",
    "parmap._observe",
    "parmap._options",
    "parmap._pilot",
    "parmap._prospect",
    "parmap._random",
    "parmap._records",
    "parmap._run",
    "parmap._settings",
    "parmap._source",
    "parmap._strategy",
    "parmap._tuning",
    "parmap._typing",
    "parmap._worker",
)

# Prints what an import brought, as JSON; the lists are taken before anything else is loaded.
LOOK = """
import sys
before = set(sys.modules)
import {module}
modules = sorted(set(sys.modules) - before)
import json, os
folders = {{"threads": "/proc/self/task", "descriptors": "/proc/self/fd"}}
found = {{name: len(os.listdir(folder)) for name, folder in folders.items()}}
import psutil, threading
found["python_threads"] = threading.active_count()
found["children"] = len(psutil.Process().children(recursive=True))
print(json.dumps({{"modules": modules, **found}}))
"""


def look(script: RunScript, module: str) -> dict[str, object]:
    """What importing `module` in a fresh interpreter loads and starts."""
    found: dict[str, object] = json.loads(script(LOOK.format(module=module)).check())
    return found


def heavy_modules(modules: object) -> list[str]:
    """Those of the modules that a light import must not load."""
    assert isinstance(modules, list)
    return sorted({name.split(".")[0] for name in modules} & HEAVY)


def late_modules(modules: object) -> list[str]:
    """Those of parmap's own modules that should have waited for the first call."""
    assert isinstance(modules, list)
    own = [name for name in modules if name.split(".")[0] == "parmap"]
    return [name for name in own if not any(fnmatchcase(name, pattern) for pattern in EAGER)]


def test_import_is_light(script: RunScript) -> None:
    """None of the heavy modules is loaded, and of parmap's own only what the plain loop needs."""
    found = look(script, "parmap")
    assert heavy_modules(found["modules"]) == []
    assert late_modules(found["modules"]) == []


def test_import_starts_nothing(script: RunScript) -> None:
    """No thread, no process, and no descriptor more than after importing nothing."""
    found, nothing = look(script, "parmap"), look(script, "sys")
    assert {**found, "modules": []} == {**nothing, "modules": []}
    assert (found["threads"], found["python_threads"], found["children"]) == (1, 1, 0)


@pytest.mark.parametrize("module", ["asyncio", "multiprocessing.pool", "concurrent.futures"])
def test_a_heavy_import_is_caught(script: RunScript, module: str) -> None:
    """A module that loads something heavy is found."""
    assert module.split(".")[0] in heavy_modules(look(script, module)["modules"])


def test_a_late_module_is_caught() -> None:
    """An engine among the loaded modules is found."""
    assert late_modules(["parmap", "parmap._api", "parmap._backends._threads", "os"]) == ["parmap._backends._threads"]


def test_an_import_that_starts_a_thread_is_caught(script: RunScript) -> None:
    """The look at threads, processes and descriptors sees what is started."""
    source = """
        import os, subprocess, sys, threading
        stop = threading.Event()
        threading.Thread(target=stop.wait, daemon=True).start()
        child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
        """
    found = json.loads(script(dedent(source) + LOOK.format(module="os") + "child.communicate()").check())
    assert (found["threads"], found["python_threads"], found["children"]) == (2, 2, 1)
    assert found["descriptors"] == 1 + look(script, "sys")["descriptors"]  # type: ignore[operator]
