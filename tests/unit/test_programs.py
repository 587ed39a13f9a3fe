"""The CPU time of programs, as the system tells it."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from parmap._programs import ended_seconds, program_seconds

SPIN = "import sys; print(flush=True)\nwhile True: pass"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems tell of programs that have ended only")


@contextmanager
def spinning(*command: str) -> Iterator[None]:
    """A program that computes, and says when it has begun."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as program:
        assert program.stdout is not None
        program.stdout.readline()
        try:
            yield
        finally:
            os.killpg(program.pid, signal.SIGKILL)


def grows(by: float, native: int) -> bool:
    """Whether the time grows by so many seconds, within some of them."""
    begin, deadline = program_seconds(native, 0.0), time.monotonic() + 30
    while program_seconds(native, 0.0) < begin + by and time.monotonic() < deadline:
        time.sleep(0.01)
    return program_seconds(native, 0.0) >= begin + by


@pytest.mark.parametrize("shell", [False, True])
def test_a_program_that_runs_counts(shell: bool) -> None:
    """Also one that another one has started."""
    command = [sys.executable, "-S", "-c", SPIN]
    if shell:
        command = ["sh", "-c", '"$@"; true', "sh", *command]
    with spinning(*command):
        assert grows(0.05, threading.get_native_id())


def test_a_program_that_has_ended_counts_with_what_it_computed() -> None:
    """That is known to the end; what it waited for a core is not."""
    before = program_seconds(threading.get_native_id(), 0.0)
    spin = "import time\nwhile time.process_time() < 0.2: pass"
    subprocess.run([sys.executable, "-S", "-c", spin], check=True)
    assert program_seconds(threading.get_native_id(), 0.0) - before >= 0.15


def test_programs_of_other_threads_do_not_count_while_they_run() -> None:
    """The thread does not wait for them."""
    begun, done = threading.Event(), threading.Event()
    other: list[int] = []

    def start() -> None:
        with spinning(sys.executable, "-S", "-c", SPIN):
            other.append(threading.get_native_id())
            begun.set()
            done.wait()

    with ThreadPoolExecutor(1) as executor:
        executor.submit(start)
        begun.wait()
        before = program_seconds(threading.get_native_id(), 0.0)
        assert grows(0.05, other[0])
        assert program_seconds(threading.get_native_id(), 0.0) == before
        done.set()


def test_a_thread_without_programs() -> None:
    """Nothing is running, and nothing fails if the thread is gone."""
    begin = program_seconds(1 << 30, 0.0)
    assert begin == program_seconds(threading.get_native_id(), 0.0)


def test_programs_that_were_there_before_do_not_count() -> None:
    """A server that the script has started for its items to ask, say."""
    native = threading.get_native_id()
    with spinning(sys.executable, "-S", "-c", SPIN):
        time.sleep(0.05)  # some ticks of the system's clock
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        assert grows(0.05, native)
        assert program_seconds(native, now) == ended_seconds()
        with spinning(sys.executable, "-S", "-c", SPIN):
            time.sleep(0.05)
            assert program_seconds(native, now) > ended_seconds()
