"""Programs without an interpreter to start: a call never starts the program again, and says once what it does instead.

The real ones are built with PyInstaller, where it is installed (extra ``dev``); the others only say that they are.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.platforms import NO_POSIX, lacking
from tests.scripts import ROOT, RunScript

SOURCE = """
import os, sys, time, warnings
{frozen}
descriptor = os.open("starts", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
os.write(descriptor, b"started ")
os.close(descriptor)

from parmap import pmap, pimap

class Point:
    def __init__(self, x):
        self.x = x

def heavy(item):
    end = time.perf_counter() + 0.01
    while time.perf_counter() < end:
        pass
    return Point(item)

def wait(item):
    time.sleep(0.01)
    return Point(item)

for backend in ("auto", "process", "thread", "serial"):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        for _ in range(2):
            results = pmap(heavy, range(40), backend=backend, workers=2)
            assert [point.x for point in results] == list(range(40))
            assert [point.x for point in pimap(wait, range(4), backend="thread")] == list(range(4))
    print(backend, [each.category.__name__ for each in caught], "frozen" in " ".join(str(each.message) for each in caught))
"""

EXPECTED = """\
auto ['FallbackWarning'] True
process ['FallbackWarning'] True
thread [] False
serial [] False
"""


@pytest.mark.parametrize("parts", ["", NO_POSIX], ids=["posix", "no posix"])
def test_a_program_that_says_it_is_frozen(script: RunScript, tmp_path: Path, parts: str) -> None:
    """It is started once, each call gives the loop's answer, and a call for processes one warning a place."""
    source = SOURCE.format(frozen="sys.frozen = True")
    assert script(source, env=lacking(parts)).check() == EXPECTED
    assert (tmp_path / "starts").read_text() == "started "


@pytest.mark.skipif(importlib.util.find_spec("PyInstaller") is None, reason="PyInstaller is not installed")
@pytest.mark.parametrize("form", ["--onedir", "--onefile"])
def test_a_program_of_pyinstaller(tmp_path: Path, form: str) -> None:
    """A real one, without a guard, in a folder that has nothing of the source."""
    (tmp_path / "app.py").write_text(SOURCE.format(frozen=""))
    build = [sys.executable, "-m", "PyInstaller", form, "--noconfirm", "--log-level=ERROR", f"--paths={ROOT}"]
    build += ["--exclude-module=numpy", "--exclude-module=pandas", "app.py"]  # which would only make it slow
    subprocess.run(build, cwd=tmp_path, check=True, timeout=100)
    program = tmp_path / "dist" / ("app/app" if form == "--onedir" else "app")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [program], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, EXPECTED, "")
    assert (tmp_path / "starts").read_text() == "started "
