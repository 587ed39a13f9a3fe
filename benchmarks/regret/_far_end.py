"""A fresh interpreter that takes the samples of one contender in one row: the far end of `_measure.sample`.

    python -m regret._far_end ROW CONTENDER [quick]

It prints one line of JSON: `{"cold", "warm", "digest"}` or `{"error"}`.
"""

import gc
import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

from _engines import Run

from regret._contenders import CONTENDERS, Contender
from regret._rows import ROWS, Setting, Workload

WARM_SAMPLES = 5  # at most,
WARM_SECONDS = 0.8  # and as many as begin within this time, but at least one
COLD_SECONDS = 4.0  # A cold call that takes longer stands for a warm one too: what a start costs does not show in it.
CALLS, CALLS_SECONDS = 200, 0.005  # short calls are repeated until a sample is that long


class Bench:
    """One contender and its work."""

    def __init__(self, contender: Contender, workload: Workload) -> None:
        """Import the contender and open nothing."""
        self.contender = contender
        self.workload = workload
        self.opener = contender.prepare()
        self.digest = ""

    def cold(self, closing: ExitStack) -> tuple[Run, float]:
        """Open the contender and make the first call."""
        items = self.workload.fresh_items()
        gc.collect()
        start = time.perf_counter()
        run = closing.enter_context(self.opener())
        result = self.contender.call(run, self.workload.func, items)
        seconds = time.perf_counter() - start
        self.check(result)
        return run, seconds

    def warm(self, run: Run, calls: int) -> float:
        """Return the seconds of a later call."""
        inputs = [self.workload.fresh_items() for _ in range(calls)]
        gc.collect()
        start = time.perf_counter()
        for items in inputs:
            result = self.contender.call(run, self.workload.func, items)
        seconds = (time.perf_counter() - start) / calls
        self.check(result)
        return seconds

    def check(self, result: list[Any]) -> None:
        """Note the digest of an answer, which must be that of the answers before it."""
        digest = digest_of(result)
        if self.digest not in ("", digest):
            raise AssertionError("two calls gave two answers")
        self.digest = digest


def digest_of(results: Iterable[Any]) -> str:
    """Hash an answer, whatever process it comes from; arrays by their bytes."""
    results = list(results)
    found = hashlib.sha256()
    if results and hasattr(results[0], "tobytes"):
        for array in results:
            found.update(f"{array.dtype} {array.shape}".encode())
            found.update(array)
    else:
        found.update(repr(results).encode())
    return found.hexdigest()


def measure(row: str, contender: str, quick: bool) -> dict[str, Any]:
    """Take the cold sample and some warm ones."""
    with ExitStack() as closing:
        bench = Bench(CONTENDERS[contender], ROWS[row](Setting(quick, closing)))
        run, cold = bench.cold(closing)
        if cold > COLD_SECONDS:
            return {"cold": cold, "warm": [cold], "digest": bench.digest}
        first = bench.warm(run, 1)
        calls = min(CALLS, int(CALLS_SECONDS / first) + 1)
        warm = [first] if calls == 1 else []
        end = time.perf_counter() + WARM_SECONDS - sum(warm)
        while not warm or (len(warm) < WARM_SAMPLES and time.perf_counter() < end and not quick):
            warm.append(bench.warm(run, calls))
        return {"cold": cold, "warm": warm, "digest": bench.digest}


def main(row: str, contender: str, quick: str = "") -> None:
    """Answer and leave; what a contender prints does not mix with the answer."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    try:
        found = measure(row, contender, bool(quick))
    except Exception as error:  # whatever a contender raises is a finding for the table
        found = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(found), file=answer, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
