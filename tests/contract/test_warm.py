"""What a warm worker keeps from one call to the next, and what it must not."""

import contextlib
import importlib
import io
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from parmap import cpu_count, pmap

MEGABYTE = 1 << 20


@pytest.fixture
def module_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for modules that a test writes and changes."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


@pytest.mark.parametrize("by_value", [False, True])
def test_reloaded_code_is_the_code_that_runs(module_folder: Path, by_value: bool) -> None:
    """After an edit and a reload, no worker answers with what the module was before."""
    source = module_folder / "edited_module.py"
    source.write_text("def f(x):\n    return x + 1\n")
    module = importlib.import_module("edited_module")
    try:
        for step in (1, 100, 20_000):
            source.write_text(f"def f(x):\n    return x + {step}\n")
            importlib.reload(module)
            func = (lambda x: module.f(x)) if by_value else module.f
            assert pmap(func, range(6), backend="process", workers=2) == [x + step for x in range(6)]
    finally:
        del sys.modules["edited_module"]


def written_memory(process: int) -> int:
    """Bytes that a process has written to and shares with nobody; pages that it only reads do not count."""
    rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    [kilobytes] = [line.split()[1] for line in rollup.splitlines() if line.startswith("Private_Dirty:")]
    return int(kilobytes) * 1024


def mapped_memory() -> int:
    """Bytes of memory files that workers have mapped."""
    processes = psutil.Process().children(recursive=True)
    return sum(
        each.size for process in processes for each in process.memory_maps(grouped=False) if "memfd" in each.path
    )


def test_a_large_constant_is_let_go() -> None:
    """Workers share it while the call runs, and keep nothing of it after."""
    constant = np.ones(100 * MEGABYTE // 8)

    def look(x: int) -> tuple[float, int]:
        return float(constant[:: 1 << 12].sum()), os.getpid()

    def measure(x: int) -> int:
        return int(constant[0]) and written_memory(os.getpid())

    results = pmap(look, range(4), backend="process", workers=2)
    assert {total for total, _ in results} == {float(constant[:: 1 << 12].sum())}
    assert max(pmap(measure, range(4), backend="process", workers=2)) < 60 * MEGABYTE
    deadline = time.monotonic() + 10
    while mapped_memory() > MEGABYTE and time.monotonic() < deadline:
        time.sleep(0.01)  # the workers let go of it after the call, by themselves
    assert mapped_memory() < MEGABYTE


def test_output_goes_where_the_caller_sends_it() -> None:
    """What items print is in the caller's redirection, in whole lines, when the call returns."""

    def speak(x: int) -> None:
        for word in ("item", str(x), "\n"):
            print(word, end=" " if word != "\n" else "")
            print(word, end="", file=sys.stderr)

    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        pmap(speak, range(50), backend="process", workers=2)
    assert sorted(out.getvalue().splitlines()) == sorted(f"item {x} " for x in range(50))
    assert sorted(err.getvalue().splitlines()) == sorted(f"item{x}" for x in range(50))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing can be forked here")
def test_a_process_forked_by_an_item_does_not_speak_on_its_behalf(capfd: pytest.CaptureFixture[str]) -> None:
    """It prints to the descriptor that it has, and the worker's link stays the worker's."""

    def fork(x: int) -> int:
        child = os.fork()
        if child == 0:
            sys.stdout.write("grandchild\n")  # in one piece: two of them share the descriptor
            sys.stdout.flush()
            os._exit(0)
        os.waitpid(child, 0)
        return x

    assert pmap(fork, range(6), backend="process", workers=2, chunksize=1) == list(range(6))
    assert capfd.readouterr().out.split() == ["grandchild"] * 6


def test_workers_know_their_share() -> None:
    """A worker may use its part of the cores, so that a nested call divides and does not multiply them."""
    shares = pmap(lambda _: cpu_count(), range(8), backend="process", workers=cpu_count(), chunksize=1)
    assert set(shares) == {1}


def test_classes_pass_through_a_worker_to_its_own_workers() -> None:
    """An instance of a local class comes back as one, also from two processes down."""

    class Box:
        def __init__(self, content: int) -> None:
            self.content = content

    def nested(n: int) -> list[Box]:
        return pmap(lambda i: Box(i + n), range(3), backend="process", workers=1)

    boxes = pmap(nested, range(2), backend="process", workers=2)
    assert [[type(box) is Box and box.content for box in row] for row in boxes] == [[0, 1, 2], [1, 2, 3]]


def test_workers_do_not_share_a_random_stream() -> None:
    """Not NumPy's either, which the zygote has imported before it forked them."""
    pmap(np.sqrt, range(4), backend="process", workers=2)
    drawn = pmap(lambda _: float(np.random.random()), range(40), backend="process", workers=4, chunksize=1)
    assert len(set(drawn)) == 40


def test_a_system_that_gives_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The threads that there are do the work."""
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def limited(thread: threading.Thread) -> None:
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", limited)
    assert pmap(abs, range(-50, 0), backend="thread", workers=8, chunksize=1) == list(range(50, 0, -1))
    assert len(started) == 3


def test_nothing_waits_behind_a_long_item() -> None:
    """A worker that is inside a long item holds no other one that an idle worker could run."""

    def work(item: int) -> int:
        time.sleep(0.1 if item else 1.5)
        return os.getpid()

    first, *others = pmap(work, range(6), backend="process", workers=2, chunksize=1)
    assert first not in others
