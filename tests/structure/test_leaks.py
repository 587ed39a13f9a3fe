"""The leak check and the `script` fixture catch what they are for."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from tests.leaks import MARK_NAME, snapshot, wait_for_leaks
from tests.scripts import HOWS, How, RunScript

BRIEF = 0.05  # seconds to wait for what will not go away

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and memory files")

WAIT = [sys.executable, "-c", "import sys; sys.stdin.read()"]

ORPHAN = """
    import subprocess, sys
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(child.pid)
    child.returncode = 0
    """

LEAKING_TESTS = """
    import threading
    import tests.leaks

    tests.leaks.wait_for_leaks.__defaults__ = (0.05,)
    stop = threading.Event()

    def leave_a_thread():
        threading.Thread(target=stop.wait, name="left over").start()

    def test_fine(): pass
    def test_leaks(): leave_a_thread()
    def test_fails():
        leave_a_thread()
        assert False
    def teardown_module(): stop.set()
    """


def test_nothing_is_nothing() -> None:
    """Two looks at an idle process are the same."""
    assert wait_for_leaks(snapshot(), BRIEF) == []


def test_a_child_is_caught() -> None:
    """A running child process is named with its state and command, and so is its zombie."""
    before = snapshot()
    with subprocess.Popen(WAIT, stdin=subprocess.PIPE) as child:
        assert any(f"process {child.pid} (" in line and "sys.stdin" in line for line in wait_for_leaks(before, BRIEF))
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert any(f"process {child.pid} (zombie" in line for line in wait_for_leaks(before, BRIEF))
    assert wait_for_leaks(before) == []


@linux
def test_an_orphan_is_caught(script: RunScript) -> None:
    """A process whose parent is gone is still one of this run."""
    before = snapshot()
    orphan = psutil.Process(int(script(ORPHAN).check()))
    try:
        assert any(f"process {orphan.pid} (" in line for line in wait_for_leaks(before, BRIEF))
    finally:
        orphan.kill()
    assert wait_for_leaks(before) == []


def test_a_thread_is_caught() -> None:
    """A thread is named, with the place where it is."""
    before, stop = snapshot(), threading.Event()
    thread = threading.Thread(target=stop.wait, name="left over")
    thread.start()
    try:
        (line,) = wait_for_leaks(before, BRIEF)
        assert line.startswith("thread 'left over' at ")
        assert "threading.py:" in line
    finally:
        stop.set()
        thread.join()
    assert wait_for_leaks(before) == []


@linux
def test_a_descriptor_and_a_memory_file_are_caught() -> None:
    """Descriptors are named with what they point to; a second one to the same file counts."""
    before = snapshot()
    pipe, memory = os.pipe(), os.memfd_create("left-over")
    again = os.dup(memory)
    lines = wait_for_leaks(before, BRIEF)
    assert len([line for line in lines if " -> pipe:[" in line]) == len(pipe)
    assert len([line for line in lines if " -> /memfd:left-over (deleted)" in line]) == 2
    for each in (*pipe, memory, again):
        os.close(each)
    assert wait_for_leaks(before) == []


@linux
def test_shared_memory_is_caught(script: RunScript) -> None:
    """A name in /dev/shm is a leak, unless a process that is none of ours has it open."""
    before = snapshot()
    source = """
        from multiprocessing import resource_tracker, shared_memory
        memory = shared_memory.SharedMemory(create=True, size=8)
        resource_tracker.unregister(memory._name, "shared_memory")
        print(memory.name)
        """
    name = script(source).check().strip()
    try:
        assert wait_for_leaks(before, BRIEF) == [f"memory file /dev/shm/{name}"]
        # An orphan without this run's mark is anybody's.
        start = f"sleep 60 < /dev/shm/{name} > /dev/null & echo $!"
        environ = {key: value for key, value in os.environ.items() if key != MARK_NAME}
        shell = subprocess.run(["sh", "-c", start], env=environ, stdout=subprocess.PIPE, check=True)
        assert wait_for_leaks(before, BRIEF) == []
        psutil.Process(int(shell.stdout)).kill()
    finally:
        os.unlink(f"/dev/shm/{name}")
    assert wait_for_leaks(before) == []


def test_what_ends_by_itself_is_waited_for() -> None:
    """A thread that is about to end is not a leak."""
    before, stop = snapshot(), threading.Event()
    timer = threading.Timer(0.2, stop.set)
    timer.start()
    assert wait_for_leaks(before) == []
    assert stop.is_set()
    timer.join()


def test_a_leaking_test_fails(script: RunScript, tmp_path: Path) -> None:
    """The fixture is on for every test, fails the one that leaks, and spares one that has failed already."""
    (tmp_path / "conftest.py").write_text("from tests.conftest import *\n")
    (tmp_path / "test_it.py").write_text(dedent(LEAKING_TESTS))
    source = "import pytest; pytest.main(['-q', '-p', 'no:cacheprovider', 'test_it.py'])"
    report = script(source).stdout
    assert "1 failed, 2 passed, 1 error in" in report
    assert "ERROR test_it.py::test_leaks - Failed: left behind:" in report
    assert "thread 'left over' at " in report
    assert "FAILED test_it.py::test_fails" in report


@pytest.mark.parametrize("how", HOWS)
def test_a_script_runs(script: RunScript, how: How) -> None:
    """Each way of running a script sees its arguments and finds parmap, outside the repository."""
    source = """
        import os, sys
        import parmap
        print(sys.argv[1:], os.path.exists("pyproject.toml"), __name__)
        """
    result = script(source, "x", "y", how=how)
    assert result.stdout.strip() == "['x', 'y'] False __main__"
    assert result.returncode == 0
    assert "Error" not in result.stderr


@pytest.mark.parametrize("how", [how for how in HOWS if how != "-i"])
def test_a_script_fails_on_warnings(script: RunScript, how: How) -> None:
    """A warning is an error, unless the caller says otherwise."""
    source = "import warnings; warnings.warn('careful')"
    assert "UserWarning: careful" in script(source, how=how).stderr
    assert script(source, how=how).returncode == 1
    assert script(source, how=how, python_flags=["-W", "ignore"]).check() == ""


def test_a_script_has_the_variables_it_is_given(script: RunScript) -> None:
    """Variables come on top of this process's, `None` removes one."""
    os.environ["NOT_FOR_THE_SCRIPT"] = "1"
    source = "import os; print(os.environ.get('ADDED'), os.environ.get('NOT_FOR_THE_SCRIPT'), 'PATH' in os.environ)"
    try:
        assert script(source, env={"ADDED": "yes", "NOT_FOR_THE_SCRIPT": None}).check() == "yes None True\n"
    finally:
        del os.environ["NOT_FOR_THE_SCRIPT"]


def test_a_script_that_hangs_is_ended(script: RunScript) -> None:
    """After the timeout the stacks are dumped, the script and its children are gone, and the test fails."""
    source = """
        import subprocess, sys
        def hang(): subprocess.run([sys.executable, "-c", "import time; time.sleep(60)"])
        print("started", flush=True)
        hang()
        """
    with pytest.raises(pytest.fail.Exception, match=r"(?s)did not end in 1 s.*started.*Fatal Python error.*in hang"):
        script(source, timeout=1)
