"""Programs that define things in ``__main__``, and what makes a run of one right."""

from tests.scripts import RunScript

PARALLEL = ("process", "auto")

# Under `auto` the items must be worth processes, so each of them computes for a while: half a second in all.
_BEGIN = """
import sys, time
from parmap import pmap, pimap, pchunked
BACKEND = sys.argv[1]
N = 50
def spend(seconds=0.01):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass
def run(function, items=range(N), **options):
    items = list(items)
    results = pmap(function, items, backend=BACKEND, workers=2, **options)
    assert len(results) == len(items)
    return results
"""


def check_program(script: RunScript, backend: str, body: str) -> None:
    """The program's own asserts hold, and it runs without a warning: nothing fell back to another engine."""
    future = "from __future__ import annotations\n"
    source = future + _BEGIN + body.replace(future, "") if future in body else _BEGIN + body
    assert script(source + "print('ok')\n", backend).check() == "ok\n"
