"""``kill -9`` of a program leaves no process two seconds later, whatever its workers are doing."""

import signal
from pathlib import Path

import psutil
import pytest

from tests.programs.live import live, remaining

SOON = 2.0  # seconds

DOING = {
    "sleeping": "time.sleep(600)",
    "in C code that keeps the GIL": "ctypes.PyDLL(None).sleep(600)",
    "ignoring signals": """
    for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGIO):
        signal.signal(signum, signal.SIG_IGN)
    while True:
        try:
            time.sleep(600)
        except BaseException:
            pass
""",
    "printing what nobody reads": "print('x' * 50_000_000)",
    "with threads": """
    threading.Thread(target=time.sleep, args=(600,)).start()
    threading.Event().wait()
""",
    "nested": """
    def inner(number):
        say(os.getpid())
        time.sleep(600)
    pmap(inner, range(1), backend="process", workers=1)
""",
}


@pytest.mark.parametrize("doing", DOING)
def test_nobody_is_left(tmp_path: Path, doing: str) -> None:
    """Workers, their zygote, and the workers of workers."""
    body = DOING[doing] if DOING[doing].startswith("\n") else f"\n    {DOING[doing]}\n"
    source = f"""
import ctypes, signal, threading
def work(item):
    if item < 1:
        return item
    say(os.getpid()){body}
results = pimap(work, range(9), backend="process", workers=3, chunksize=1)
next(results)
signal.pause()
"""
    with live(tmp_path, source, "process") as running:
        heard = {int(running.hear()) for _ in range(4 if doing == "nested" else 2)}
        family = running.family()
        assert heard <= {each.pid for each in family}
        running.process.send_signal(signal.SIGKILL)
        running.wait(10)
        left = remaining(family, SOON)
        assert [each for each in left if each.status() != psutil.STATUS_ZOMBIE] == []
        assert running.stderr() == ""
