"""Shared state in programs of its own: Ctrl-C while a lock is waited for, the end of the program, a parent that is killed."""

import signal
from pathlib import Path

import pytest

from tests.programs.live import live
from tests.scripts import RunScript

BACKENDS = ("thread", "process", "auto")
PROMPT = 15.0  # seconds; about 0.5 on a quiet machine

# A child holds the lock, until it is killed.
HELD = """
import signal, threading
from parmap import Lock, Value
lock = Lock()
ready, told = os.pipe()
child = os.fork()
if child == 0:
    with lock:
        os.write(told, b"1")
        signal.pause()
os.read(ready, 1)
"""


@pytest.mark.parametrize("group", [False, True], ids=["process", "terminal"])
def test_interrupt_while_waiting(tmp_path: Path, group: bool) -> None:
    """Ctrl-C ends the wait within a second, and the lock is not taken afterwards."""
    source = (
        HELD
        + """
try:
    say("waiting")
    lock.acquire()
except KeyboardInterrupt:
    say("interrupted")
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    taker = threading.Thread(target=lambda: say(lock.acquire(timeout=10)))
    taker.start()
    taker.join()
"""
    )
    if group:
        source = source.replace("signal.pause()", "signal.signal(signal.SIGINT, signal.SIG_IGN); signal.pause()")
    with live(tmp_path, source, "") as running:
        assert running.hear() == "waiting"
        running.interrupt(group)
        assert running.hear() == "interrupted"
        assert running.hear() == "True"
        assert running.wait(PROMPT) == 0, running.stderr()


@pytest.mark.parametrize("backend", BACKENDS)
def test_interrupt_of_a_map_whose_items_wait(tmp_path: Path, backend: str) -> None:
    """A map whose workers wait for a lock ends at the first Ctrl-C too."""
    source = """
from parmap import Lock
lock = Lock()
def work(item):
    if item == 0:
        lock.acquire()
        say("held")
        for _ in range(6000):
            time.sleep(0.05)
    with lock:
        pass
try:
    pmap(work, range(8), backend=BACKEND, workers=4, chunksize=1)
except KeyboardInterrupt:
    say("interrupted")
    os._exit(0)
"""
    with live(tmp_path, source, backend) as running:
        assert running.hear() == "held"
        running.interrupt(group=True)
        assert running.hear() == "interrupted"
        assert running.wait(PROMPT) == 0, running.stderr()


def test_interrupt_at_the_moment_of_the_release(script: RunScript) -> None:
    """A wait that is interrupted just as it succeeds leaves the lock free."""
    source = """
    import signal, threading, time
    from parmap import Lock
    lock = Lock()
    main = threading.main_thread().ident
    def hold(taken, go):
        with lock:
            taken.set()
            go.wait()
            time.sleep(0.003)  # the other one waits by now
            signal.pthread_kill(main, signal.SIGINT)
    for _ in range(100):
        taken, go = threading.Event(), threading.Event()
        holder = threading.Thread(target=hold, args=(taken, go))
        holder.start()
        taken.wait()
        try:
            go.set()
            lock.acquire(timeout=10)
            raise AssertionError("was not interrupted")
        except KeyboardInterrupt:
            pass
        holder.join()
        assert lock.acquire(timeout=10)
        lock.release()
    """
    script(source).check()


@pytest.mark.parametrize("end", ["sys.exit(0)", "raise SystemExit", "os._exit(0)", "os.kill(os.getpid(), 9)"])
def test_a_program_that_ends_with_it(tmp_path: Path, end: str) -> None:
    """However a process ends that holds a lock, the others have it within a second."""
    source = f"""
import signal, threading
from parmap import Lock, Value
lock = Lock()
ready, told = os.pipe()
if os.fork() == 0:
    lock.acquire()
    os.write(told, b"1")
    {end}
os.read(ready, 1)
start = time.monotonic()
assert lock.acquire(timeout=20)
assert time.monotonic() - start < 1
os.wait()
"""
    with live(tmp_path, source, "") as running:
        assert running.wait(PROMPT) == 0, running.stderr()


def test_a_parent_that_is_killed(tmp_path: Path) -> None:
    """With `kill -9` of the caller while a worker waits for a lock, everyone ends."""
    source = """
from parmap import Lock
lock = Lock()
def work(item):
    say("waiting")
    lock.acquire()
lock.acquire()
pmap(work, range(2), backend="process", workers=2, chunksize=1)
"""
    with live(tmp_path, source, "") as running:
        running.hear()
        running.hear()
        family = running.family()
        running.process.send_signal(signal.SIGKILL)
        for each in family:
            each.wait(PROMPT)
