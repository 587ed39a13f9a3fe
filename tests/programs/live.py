"""Scripts that are watched while they run: started, heard through a pipe, signalled, and seen to leave nobody behind."""

import os
import select
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.scripts import ROOT

# A script under test begins with this. `say` speaks to the test from any process of the script.
PRELUDE = """
import sys, os, time
from parmap import pmap, pimap
PIPE, BACKEND = sys.argv[1:3]
def say(word):
    descriptor = os.open(PIPE, os.O_WRONLY)
    os.write(descriptor, (str(word) + "\\n").encode())
    os.close(descriptor)
"""

PATIENCE = 60.0  # seconds for what takes a moment on a quiet machine


@dataclass
class Live:
    """A script that runs."""

    process: subprocess.Popen[bytes]
    pipe: int
    folder: Path
    heard: bytes = b""

    def hear(self) -> str:
        """The next word that the script says, from whichever of its processes."""
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self.heard:
            ready, _, _ = select.select([self.pipe], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"the script says nothing\n{self.stderr()}"
            self.heard += os.read(self.pipe, 4096)
        word, _, self.heard = self.heard.partition(b"\n")
        return word.decode()

    def family(self) -> list[psutil.Process]:
        """The processes that the script has started, at this moment."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def interrupt(self, group: bool) -> None:
        """Ctrl-C: to the process alone (as a notebook does) or to its group (as a terminal does)."""
        if group:
            os.killpg(self.process.pid, signal.SIGINT)
        else:
            self.process.send_signal(signal.SIGINT)

    def wait(self, limit: float) -> int:
        """The exit code, once the script has ended by itself within ``limit`` seconds."""
        try:
            return self.process.wait(limit)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # faulthandler writes where every thread is
            self.process.wait()
            raise AssertionError(f"the script still runs after {limit} s\n{self.stderr()}") from None

    def stdout(self) -> str:
        """What it has written to standard output."""
        return (self.folder / "live.out").read_text()

    def stderr(self) -> str:
        """What it has written to standard error."""
        return (self.folder / "live.err").read_text()


@contextmanager
def live(folder: Path, source: str, *args: str, python_flags: tuple[str, ...] = ()) -> Iterator[Live]:
    """Starts ``PRELUDE + source`` as a file in its own process group; whatever is left of it is killed at the end."""
    path, pipe = folder / "live.py", folder / "live.pipe"
    path.write_text(PRELUDE + textwrap.dedent(source))
    os.mkfifo(pipe)
    # Opened for both directions, so that neither end ever waits for the other to open.
    descriptor = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
    before = {"PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    with (folder / "live.out").open("wb") as out, (folder / "live.err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-X", "faulthandler", "-W", "error", *python_flags, str(path), str(pipe), *args],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=folder,
            env={**os.environ, **before},
            start_new_session=True,
        )
    family: list[psutil.Process] = []
    try:
        yield Live(process, descriptor, folder)
    finally:
        with suppress(psutil.NoSuchProcess):
            family = psutil.Process(process.pid).children(recursive=True)
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.kill()
        process.wait()
        os.close(descriptor)


def remaining(processes: list[psutil.Process], limit: float) -> list[psutil.Process]:
    """Those of the processes that still run after ``limit`` seconds; one that nobody has reaped does not run."""
    deadline = time.monotonic() + limit
    return [each for each in processes if not _ended(each, deadline)]


def _ended(process: psutil.Process, deadline: float) -> bool:
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return True
    try:
        if not process.is_running():
            return True
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        return bool(ready)
    finally:
        os.close(descriptor)
