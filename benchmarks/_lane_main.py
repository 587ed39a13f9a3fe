"""A fresh interpreter that holds one workload and some engines, and runs them when told: the far end of `_lanes.Lane`.

    python _lane_main.py WORKLOAD SIZE ENGINE...

It imports what the engines need, prints a line, and then answers each line of JSON `{"engine", "chunksize", "calls"}`
with `{"seconds"}` a call or `{"error"}`. An engine is opened inside the measured time of its first sample: that sample
is the cold start, all later ones are warm.
"""

import gc
import json
import sys
import time
from contextlib import ExitStack
from typing import Any

from _engines import ENGINES, Opener, Run
from _work import load


class Bench:
    """The engines of this interpreter and the answer that they must give."""

    def __init__(self, workload: str, size: int, engines: list[str], closing: ExitStack) -> None:
        """Import the engines; open none."""
        self.workload = load(workload, size)
        self.openers: dict[str, Opener] = {name: ENGINES[name]() for name in engines}
        self.running: dict[str, Run] = {}
        self.expected: list[Any] | None = None
        self.closing = closing

    def run(self, engine: str) -> Run:
        """Return an open engine."""
        if engine not in self.running:
            self.running[engine] = self.closing.enter_context(self.openers[engine]())
        return self.running[engine]

    def sample(self, engine: str, chunksize: int | None, calls: int) -> float:
        """Measure the seconds of one call and check its answer."""
        func, items = self.workload.func, self.workload.items
        gc.collect()
        start = time.perf_counter()
        run = self.run(engine)
        for _ in range(calls):
            result = run(func, items, chunksize)
        seconds = (time.perf_counter() - start) / calls
        if self.expected is None:  # after the first sample, so that the loop warms nothing up for it
            self.expected = self.workload.answer()
        if not self.workload.accepts(result, self.expected):
            raise AssertionError(f"{engine} gave another answer than the loop")
        return seconds


def reply(bench: Bench, line: str) -> dict[str, float | str]:
    """Obey one line."""
    try:
        return {"seconds": bench.sample(**json.loads(line))}
    except Exception as error:  # whatever an engine raises is a finding for the table
        return {"error": f"{type(error).__name__}: {error}"}


def main(workload: str, size: str, *engines: str) -> None:
    """Answer until the input ends."""
    with ExitStack() as closing:
        bench = Bench(workload, int(size), list(engines), closing)
        print("ready", flush=True)
        while line := sys.stdin.readline():
            print(json.dumps(reply(bench, line)), flush=True)


if __name__ == "__main__":  # for the spawn pools beside us, which import this file again
    main(*sys.argv[1:])
