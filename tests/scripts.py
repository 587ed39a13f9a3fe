"""Runs a Python source as a stranger would: in a fresh interpreter, from a folder that is not the repository."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, Protocol

import psutil
import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULE = "stranger"  # the name of a script's file and module

How = Literal["file", "-c", "stdin", "-m", "-i"]

HOWS: tuple[How, ...] = ("file", "-c", "stdin", "-m", "-i")


@dataclass(frozen=True, slots=True)
class ScriptResult:
    """How a script ended, and what it wrote."""

    returncode: int
    stdout: str
    stderr: str

    def check(self) -> str:
        """What it printed, after asserting that it succeeded and wrote nothing to stderr."""
        assert (self.returncode, self.stderr) == (0, ""), f"exit {self.returncode}\n{self.stdout}\n{self.stderr}"
        return self.stdout


class RunScript(Protocol):
    """The signature of the `script` fixture."""

    def __call__(
        self,
        source: str,
        *args: str,
        how: How = "file",
        python_flags: Sequence[str] = (),
        env: Mapping[str, str | None] | None = None,
        timeout: float = 60,
    ) -> ScriptResult:
        """Runs `source`; see `run_script`."""
        ...


def run_script(
    folder: Path,
    source: str,
    *args: str,
    how: How = "file",
    python_flags: Sequence[str] = (),
    env: Mapping[str, str | None] | None = None,
    timeout: float = 60,
) -> ScriptResult:
    """Runs `source` in a fresh interpreter, in `folder`, with warnings as errors.

    Args:
        folder: The working directory; the script's file, where it has one, is `stranger.py` in it.
        source: Python, indented as a whole or not. Under `"-i"` it is typed at the prompt: an empty line ends a block,
            an error does not end the session, and the exit code is 0.
        *args: The script's `sys.argv[1:]`.
        how: As a file, with `-c`, on standard input, as a module with `-m`, or typed at the interactive prompt.
        python_flags: More flags for the interpreter; a `-W` in them wins over `-W error`.
        env: Variables on top of this process's; `None` removes one.
        timeout: Seconds, after which every thread's stack is dumped, the script is killed and the test fails.
    """
    text = textwrap.dedent(source).lstrip("\n")
    command = [sys.executable, "-X", "faulthandler", "-W", "error", *python_flags]
    typed = ""
    if how == "-c":
        command += ["-c", text]
    elif how == "stdin":
        command += ["-"]
        typed = text
    elif how == "-i":
        command += ["-q", "-i", "-"]
        typed = text + "\n"
    else:
        (folder / f"{MODULE}.py").write_text(text, encoding="utf-8")
        command += ["-m", MODULE] if how == "-m" else [f"{MODULE}.py"]
    return _run([*command, *args], typed, folder, _environment(env or {}), timeout)


def _environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    merged = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))}
    merged.update({name: value for name, value in changes.items() if value is not None})
    return {name: value for name, value in merged.items() if changes.get(name, value) is not None}


def _run(command: list[str], typed: str, folder: Path, env: dict[str, str], timeout: float) -> ScriptResult:
    """Runs a command to its end; files rather than pipes, so that a process left behind holds up nobody."""
    with (
        (folder / "stdin.txt").open("w+b") as stdin,
        (folder / "stdout.txt").open("w+b") as stdout,
        (folder / "stderr.txt").open("w+b") as stderr,
    ):
        stdin.write(typed.encode())
        stdin.seek(0)
        with subprocess.Popen(
            command, stdin=stdin, stdout=stdout, stderr=stderr, cwd=folder, env=env, start_new_session=True
        ) as process:
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                _end(process)
                pytest.fail(f"the script did not end in {timeout} s\n{_text(stdout)}\n{_text(stderr)}")
        return ScriptResult(process.returncode, _text(stdout), _text(stderr))


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a script and all its children; SIGABRT makes the script's faulthandler dump its stacks first."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGABRT)
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
    for child in children:
        if child.is_running():
            child.kill()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
