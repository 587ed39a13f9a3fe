"""Ctrl-C: one is enough; one traceback; nobody is left."""

from pathlib import Path

import pytest

from tests.programs.live import live, remaining

BACKENDS = ("serial", "thread", "process", "auto")

# Each item speaks once and then takes far longer than anybody would wait; a thread in it cannot be ended. It sleeps in
# short naps: Python itself may miss a signal that arrives in the instant before a sleep begins, until that sleep ends.
ITEM = """
def work(item):
    say(item)
    for _ in range(6000):
        time.sleep(0.05)
"""

CALLS = {
    "pmap": "pmap(work, range(2000), backend=BACKEND, workers=2, chunksize=1)",
    "pimap": "for _ in pimap(work, range(2000), backend=BACKEND, workers=2, chunksize=1): pass",
}

ENDED_BY_INTERRUPT = (-2, 130)
PROMPT = 15.0  # seconds; about 0.2 on a quiet machine


@pytest.mark.parametrize("group", [False, True], ids=["process", "terminal"])
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_one_interrupt_ends_it(tmp_path: Path, backend: str, call: str, group: bool) -> None:
    """A running map ends at the first Ctrl-C, with the one traceback that the loop would have, and no processes."""
    with live(tmp_path, ITEM + CALLS[call] + "\n", backend) as running:
        running.hear()
        family = running.family()
        running.interrupt(group)
        assert running.wait(PROMPT) in ENDED_BY_INTERRUPT
        assert remaining(family, 5) == []
        err = running.stderr()
    assert err.count("Traceback (most recent call last)") == 1, err
    assert "\nKeyboardInterrupt\n" in err, err


@pytest.mark.parametrize("group", [False, True], ids=["process", "terminal"])
def test_computing_workers(tmp_path: Path, group: bool) -> None:
    """Workers that compute and would never notice a signal by themselves end too."""
    source = """
def work(item):
    say(item)
    while True:
        pass
pmap(work, range(100), backend="process", workers=2, chunksize=1)
"""
    with live(tmp_path, source, "process") as running:
        running.hear()
        running.hear()
        family = running.family()
        running.interrupt(group)
        assert running.wait(PROMPT) in ENDED_BY_INTERRUPT
        assert remaining(family, 5) == []
        assert running.stderr().count("Traceback (most recent call last)") == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_interrupt_that_is_caught(tmp_path: Path, backend: str) -> None:
    """A program that catches ``KeyboardInterrupt`` goes on, and its next map works."""
    source = (
        ITEM
        + """
try:
    pmap(work, range(2000), backend=BACKEND, workers=2, chunksize=1)
except KeyboardInterrupt:
    print("caught")
print(pmap(abs, range(-5, 0), backend=BACKEND, workers=2))
"""
    )
    with live(tmp_path, source, backend) as running:
        running.hear()
        running.interrupt(group=True)
        assert running.wait(PROMPT) == 0
        assert running.stdout() == "caught\n[5, 4, 3, 2, 1]\n"
        assert running.stderr() == ""


@pytest.mark.parametrize("backend", BACKENDS)
def test_interrupt_with_idle_workers(tmp_path: Path, backend: str) -> None:
    """Ctrl-C between two maps ends the program as it would without parmap; idle workers are not disturbed."""
    source = """
assert pmap(abs, range(-5, 0), backend=BACKEND, workers=2) == [5, 4, 3, 2, 1]
try:
    say("idle")
    for _ in range(6000):
        time.sleep(0.05)
except KeyboardInterrupt:
    print(pmap(abs, range(-5, 0), backend=BACKEND, workers=2))
"""
    with live(tmp_path, source, backend) as running:
        running.hear()
        running.interrupt(group=True)
        assert running.wait(PROMPT) == 0
        assert running.stdout() == "[5, 4, 3, 2, 1]\n"
        assert running.stderr() == ""
