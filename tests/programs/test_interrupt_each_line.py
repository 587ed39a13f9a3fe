"""An interrupt between any two lines: it comes out, nothing is left, and the next call works.

A handler of a signal may raise wherever the interpreter looks for signals: at calls and when it jumps back. Here a trace
function raises instead, at one line after the other that the calling thread runs in parmap, but not where signals are
held off, nor in a finalizer, where the interpreter drops what is raised, nor at what runs no code by itself: a bare
``try:``, ``finally:`` or ``pass``, and the line of a ``with`` that is left.
"""

import pytest

from tests.scripts import RunScript

PROGRAM = """
import gc, linecache, os, signal, sys, threading, time
import parmap, psutil
from parmap import pimap, pmap, shutdown
from parmap._learned import learned

HERE = os.path.dirname(parmap.__file__)

class Stop(KeyboardInterrupt):
    pass

class Tracer:
    def __init__(self, at):
        self.left = at

    def __call__(self, frame, event, argument):
        return self.line if frame.f_code.co_filename.startswith(HERE) else None

    def line(self, frame, event, argument):
        if event == "line" and self.counts(frame):
            self.left -= 1
            if self.left <= 0 and signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
                sys.settrace(None)
                raise Stop
        return self.line

    def counts(self, frame):
        words = linecache.getline(frame.f_code.co_filename, frame.f_lineno).strip()
        if words.startswith("with "):  # it comes again when the block is left
            begins = min(start for start, _, line in frame.f_code.co_lines() if line == frame.f_lineno)
            return frame.f_lasti == begins
        return words not in ("try:", "finally:", "pass") and not is_final(frame)

def is_final(frame):
    return frame is not None and (frame.f_code.co_name == "__del__" or is_final(frame.f_back))

def work(item):
    return item

def wait(item):
    time.sleep(0.01)
    return item

CALLS = {
    "threads": lambda: pmap(work, range(6), backend="thread", workers=2),
    "processes": lambda: pmap(work, range(6), backend="process", workers=2),
    "cold processes": lambda: (shutdown(), pmap(work, range(6), backend="process", workers=2))[1],
    "lazily": lambda: list(pimap(work, range(6), backend="process", workers=2)),
    "watched": lambda: pmap(wait, range(6)),
    "watched lazily": lambda: list(pimap(wait, range(6))),
}

def left():
    return psutil.Process().children(), len(os.listdir("/proc/self/fd")) - descriptors, threading.active_count() - 1

def settle():
    shutdown()
    gc.collect()
    deadline = time.monotonic() + 10
    while left() != ([], 0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left()

call, step = CALLS[KIND], STEP
said = []
sys.unraisablehook = threading.excepthook = said.append
assert call() == call() == list(range(6))
shutdown()
time.sleep(0.2)
descriptors = len(os.listdir("/proc/self/fd"))
at, stopped = 1, 0
while True:
    learned.__init__()
    sys.settrace(Tracer(at))
    try:
        call()
        break
    except Stop:
        stopped += 1
    finally:
        sys.settrace(None)
    assert call() == list(range(6)), at
    at += step
print(at > 150, stopped == (at - 1) // step, settle(), said)
"""


@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("threads", 1),
        ("processes", 1),
        ("cold processes", 14),
        ("lazily", 2),
        ("watched", 8),
        ("watched lazily", 8),
    ],
)
def test_interrupts_between_any_two_lines(script: RunScript, kind: str, step: int) -> None:
    """Of every line, or every so many of them: workers, threads and descriptors are given back."""
    done = script(f"KIND, STEP = {kind!r}, {step}\n" + PROGRAM, timeout=120)
    assert done.check() == "True True ([], 0, 0) []\n"
