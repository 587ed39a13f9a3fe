"""Every mark that parmap promises to meet, measured here and now beside the standard library's pools.

    python benchmarks/marks.py                          # all rows, a few minutes
    python benchmarks/marks.py import cold              # some rows
    python benchmarks/marks.py --repeat 31 --json marks.json
    python benchmarks/marks.py --quick                  # does it work? few turns, small inputs: no numbers to quote
    python benchmarks/marks.py --peers                  # with joblib and mpire, where they are installed

Each row prints a table and its marks, with "pass" or "FAIL"; a summary ends the run. The exit code is 0 either way, for
a busy machine is not an error: read the ratios, and the load in the first line. The loop is a plain list comprehension.
Candidates run in interpreters of their own, except where a row compares parmap with the loop within a few percent, or
one object with another (the rows of shared state).
"Cold" is the first call of a fresh interpreter, from the moment when its imports are done; "warm" are later calls.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from _engines import importable
from _harness import (
    Mark,
    Row,
    Sampler,
    Samples,
    Settings,
    byte_code,
    interleave,
    machine,
    print_row,
    run_fresh,
    show,
    write_json,
)
from _lanes import Lane, cold, warm
from _large import large_arguments, large_constant, large_results, later_workers
from _memory import Footprint, available, footprint
from _shared import alone, contended, values
from _work import calibrate

MEGABYTE = 1_000_000
HEAVY_MODULES = ("asyncio", "cloudpickle", "multiprocessing", "numpy", "tqdm")
CHUNK_SIZES = (1000, 5000, 20_000, 50_000, 125_000, 250_000, 500_000)
SPIN_SECONDS = 0.001
SMALL_SPIN_SECONDS = 5e-6
MILLION = 1_000_000


def import_time(settings: Settings) -> Row:
    """Measure what `import parmap` adds to a bare interpreter."""
    imports = {"import parmap": "import parmap", "import multiprocessing.pool": "import multiprocessing.pool"}
    imports |= {"import concurrent.futures.process": "import concurrent.futures.process"}
    imports |= {f"import {name}": f"import {name}" for name in settings.peers}
    programs = {"bare interpreter": "pass"} | imports
    for code in programs.values():  # writes the byte code
        run_fresh(code)
    candidates = {name: _fresh(code) for name, code in programs.items()}
    samples = interleave(candidates, settings.pick(max(15, settings.repeat), 3))
    row = Row("import parmap, in fresh interpreters", samples, "bare interpreter", ())
    added = row["import parmap"].above(row["bare interpreter"])
    heavy = _heavy_modules()
    marks = (
        Mark("what import parmap adds to a bare interpreter", added * 1e3, 15, "ms"),
        Mark(f"heavy modules that it loads ({', '.join(heavy) or 'none'})", len(heavy), 0, ""),
    )
    return Row(row.title, samples, row.reference, marks)


def _fresh(code: str) -> Sampler:
    return lambda: run_fresh(code)


def _heavy_modules() -> list[str]:
    """List the heavy modules that `import parmap` loads and a bare interpreter does not."""
    code = "import sys; old = set(sys.modules); import parmap; print(*(set(sys.modules) - old))"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return sorted(set(HEAVY_MODULES).intersection(run.stdout.split()))


def ten_items(settings: Settings) -> Row:
    """Compare `pmap` of ten trivial items with the loop."""
    with Lane("trivial", 10, "loop", "pmap") as lane:
        candidates = {name: lane.sampler(name, calls=200) for name in ("loop", "pmap")}
        samples = interleave(candidates, settings.repeat) + interleave(
            {"pmap, first call": cold("trivial", 10, "pmap")}, settings.repeat
        )
    row = Row("10 trivial items, auto: the fixed cost of a call", samples, "loop", ())
    added = row["pmap"].above(row["loop"])
    return Row(row.title, samples, "loop", (Mark("more than the loop", added * 1e6, 100, "µs"),))


def million_auto(settings: Settings) -> Row:
    """Compare `pmap` of a million trivial items with the loop."""
    size = settings.pick(MILLION, 20_000)
    with Lane("trivial", size, "loop", "pmap") as lane:
        samples = interleave({name: lane.sampler(name) for name in ("loop", "pmap")}, settings.repeat)
    row = Row(f"{size:,} trivial items, auto", samples, "loop", ())
    mark = Mark("time of the loop", row["pmap"].ratio(row["loop"]), 1.1, "x")
    return Row(row.title, samples, "loop", (mark,))


def serial_overhead(settings: Settings) -> Row:
    """Compare `backend="serial"` with the loop on items of 5 µs."""
    with Lane("spin-20000", calibrate(SMALL_SPIN_SECONDS), "loop", "pmap serial") as lane:
        samples = interleave({name: lane.sampler(name) for name in ("loop", "pmap serial")}, settings.repeat)
    row = Row("20,000 items of 5 µs, serial", samples, "loop", ())
    mark = Mark("time of the loop", row["pmap serial"].ratio(row["loop"]), 1.05, "x")
    return Row(row.title, samples, "loop", (mark,))


POOLS = ("pmap process", "mp.Pool fork", "mp.Pool spawn", "ProcessPoolExecutor")


def ten_warm(settings: Settings) -> Row:
    """Compare a warm process map of ten trivial items with warm pools."""
    calls = settings.pick(50, 5)
    with warm("trivial", 10, (*POOLS, *settings.peers), calls=calls) as candidates:
        samples = interleave(candidates, settings.repeat)
    row = Row("10 trivial items, warm processes, a function of a module", samples, "mp.Pool fork", ())
    mark = Mark("time of mp.Pool.map", row["pmap process"].ratio(row["mp.Pool fork"]), 1.0, "x")
    return Row(row.title, samples, "mp.Pool fork", (mark,))


def ten_warm_lambda(settings: Settings) -> Row:
    """Show the same with a lambda, which the standard pools cannot send."""
    calls = settings.pick(50, 5)
    with warm("lambda", 10, (*POOLS, *settings.peers), calls=calls) as candidates:
        samples = interleave(candidates, settings.repeat)
    return Row("10 trivial items, warm processes, a lambda (no mark)", samples, "pmap process", ())


def million_process(settings: Settings) -> Row:
    """Compare a process map of a million trivial items with pools at their best chunk size."""
    size, pools = settings.pick(MILLION, 20_000), POOLS[1:]
    chunks = {name: best_chunk(name, size) for name in pools}
    with warm("trivial", size, ("loop", *POOLS, *settings.peers), chunks=chunks) as candidates:
        samples = interleave(candidates, settings.few)
    row = Row(f"{size:,} trivial items, warm processes, pools with their best chunk size", samples, "mp.Pool fork", ())
    best = min((row[name] for name in ("mp.Pool fork", "mp.Pool spawn")), key=lambda pool: pool.median)
    mark = Mark(f"time of {best.name}, the better of the two", row["pmap process"].ratio(best), 1.0, "x")
    note = "chunk sizes: " + ", ".join(f"{name} {chunk:,}" for name, chunk in chunks.items())
    return Row(row.title, samples, row.reference, (mark,), (note,))


def best_chunk(engine: str, size: int) -> int:
    """Try chunk sizes and return the one with the lowest median."""
    with Lane("trivial", size, engine) as lane:
        candidates = {str(chunk): lane.sampler(engine, chunksize=chunk) for chunk in CHUNK_SIZES if chunk < size}
        return int(min(interleave(candidates, 5), key=lambda sample: sample.median).name)


def cold_start(settings: Settings) -> Row:
    """Measure from "imports done" to the first ten results of processes, in fresh interpreters."""
    candidates = {name: cold("trivial", 10, name) for name in (*POOLS, *settings.peers)}
    candidates["pmap process, lambda"] = cold("lambda", 10, "pmap process")
    samples = interleave(candidates, settings.repeat)
    row = Row("cold start: imports done to the first 10 results", samples, "mp.Pool spawn", ())
    names = ("pmap process", "pmap process, lambda")
    marks = tuple(Mark(name, row[name].median * 1e3, 60, "ms") for name in names)
    return Row(row.title, samples, row.reference, marks)


def sleeps(settings: Settings) -> Row:
    """Measure 200 waits of 50 ms under `auto`."""
    title = "200 items that wait 50 ms, auto (the loop takes 10 s)"
    others = ("ThreadPoolExecutor", "ThreadPoolExecutor(64)")
    with warm("naps", 200, ("pmap", *others)) as candidates:
        samples = interleave({"pmap, first call": cold("naps", 200, "pmap"), **candidates}, settings.few)
    row = Row(title, samples, "ThreadPoolExecutor(64)", ())
    marks = tuple(Mark(name, row[name].median, 0.35, "s") for name in ("pmap, first call", "pmap"))
    return Row(title, samples, row.reference, marks)


def milliseconds(settings: Settings) -> Row:
    """Compare 1000 items of 1 ms of pure Python under `auto` with the loop."""
    rounds = calibrate(SPIN_SECONDS)
    return _against_loop("1000 items of 1 ms of pure Python, auto", "spin-1000", rounds, 1.6, settings)


def factors(settings: Settings) -> Row:
    """Compare factorising every integer below 200 000 under `auto` with the loop."""
    size = settings.pick(200_000, 20_000)
    return _against_loop(f"the factors of every integer below {size:,}, auto", "factors", size, 1.4, settings)


def _against_loop(title: str, workload: str, size: int, speedup: float, settings: Settings) -> Row:
    """Measure how many times faster than the loop `pmap` is, at its first call and later."""
    pools = ("mp.Pool fork", "ProcessPoolExecutor", "ThreadPoolExecutor", *settings.peers)
    chunks = {"ProcessPoolExecutor": 250 if workload == "factors" else 10}
    with warm(workload, size, ("loop", "pmap", *pools), chunks=chunks) as candidates:
        samples = interleave({"pmap, first call": cold(workload, size, "pmap"), **candidates}, settings.few)
    row = Row(title, samples, "loop", ())
    marks = tuple(
        Mark(f"{name}: faster than the loop", 1 / row[name].ratio(row["loop"]), speedup, "x", at_least=True)
        for name in ("pmap, first call", "pmap")
    )
    note = f"all answers were compared with the loop's; ProcessPoolExecutor: chunks of {chunks['ProcessPoolExecutor']}"
    return Row(title, samples, "loop", marks, (note,))


def memory(settings: Settings) -> Row:
    """Measure the peak memory of `pimap` over 200 kB results with a slow consumer, all processes together."""
    size, few = settings.pick(100_000, 5000), 2000
    title = f"peak extra memory: {size:,} results of 200 kB, a slow consumer"
    if not available():
        return Row(title, (Samples("pimap", (), "MB", "needs Linux's /proc"),), "pimap", ())
    sizes = dict.fromkeys(("pimap process", "pimap thread", "pimap"), size) | {"mp.Pool.imap": few}
    peaks = {name: peak_memory(name, count) for name, count in sizes.items()}
    samples = tuple(Samples(name, (peak.rss / MEGABYTE,), "MB") for name, (peak, _) in peaks.items())
    notes = [_memory_note(name, sizes[name], *peak) for name, peak in peaks.items()]
    marks = tuple(Mark(sample.name, sample.median, 60, "MB") for sample in samples if sample.name != "mp.Pool.imap")
    return Row(title, samples, "pimap process", marks, tuple(notes))


def _memory_note(name: str, size: int, peak: Footprint, seconds: float) -> str:
    shared = f"{show(peak.pss / MEGABYTE, 'MB')} with shared pages counted once"
    return f"{name}: {size:,} results in {show(seconds, 's')}, {peak.processes} more processes, {shared}"


def peak_memory(engine: str, size: int) -> tuple[Footprint, float]:
    """Return an engine's highest footprint over that of its interpreter before the call, and the seconds it took."""
    with Lane("pages", size, engine) as lane:
        base = footprint(lane.process.pid)
        peak = Footprint()

        def look() -> None:
            nonlocal peak
            peak = peak.highest(footprint(lane.process.pid).over(base))

        seconds = lane.sample(engine, tick=look)
    return peak, seconds


def shared_alone(settings: Settings) -> Row:
    """Compare a locked increment of a shared number with multiprocessing's, nobody contending."""
    times = settings.pick(100_000, 2000)
    samples = interleave({name: alone(value, times) for name, value in values().items()}, settings.repeat)
    return _against_multiprocessing("lock, increment, unlock of a Value, uncontended", samples, 4.0)


def shared_contended(settings: Settings) -> Row:
    """Show the same with two processes that do nothing else."""
    times = settings.pick(100_000, 2000)
    samples = interleave({name: contended(value, times) for name, value in values().items()}, settings.repeat)
    return _against_multiprocessing("lock, increment, unlock of a Value, two processes contending", samples, 2.0)


def _against_multiprocessing(title: str, samples: tuple[Samples, ...], limit: float) -> Row:
    row = Row(title, samples, "multiprocessing.Value", ())
    ratio = row["parmap.Value"].ratio(row["multiprocessing.Value"])
    return Row(title, samples, row.reference, (Mark("time of multiprocessing.Value", ratio, limit, "x"),))


ROWS: dict[str, Callable[[Settings], Row]] = {
    "import": import_time,
    "ten": ten_items,
    "million": million_auto,
    "serial": serial_overhead,
    "ten-warm": ten_warm,
    "ten-warm-lambda": ten_warm_lambda,
    "million-process": million_process,
    "cold": cold_start,
    "sleeps": sleeps,
    "milliseconds": milliseconds,
    "factors": factors,
    "large-arguments": large_arguments,
    "large-results": large_results,
    "large-constant": large_constant,
    "later-workers": later_workers,
    "memory": memory,
    "shared": shared_alone,
    "shared-contended": shared_contended,
}


def summarise(rows: Sequence[Row]) -> None:
    """Print how many marks are met, and every one that is not."""
    marks = [(row, mark) for row in rows for mark in row.marks]
    missed = [(row, mark) for row, mark in marks if not mark.passed]
    print(f"\n{len(marks) - len(missed)} of {len(marks)} marks met")
    for row, mark in missed:
        print(f"  {mark}   [{row.title}]")


def main() -> None:
    """Run the rows that the command line names."""
    parser = argparse.ArgumentParser(description="Measure parmap's marks beside the standard library's pools.")
    parser.add_argument("rows", nargs="*", metavar="row", help=f"any of: {', '.join(ROWS)} (default: all)")
    parser.add_argument("--repeat", type=int, default=15, metavar="N", help="turns a row; a third where runs are long")
    parser.add_argument("--quick", action="store_true", help="small inputs, three turns: only to see that it works")
    parser.add_argument("--peers", action="store_true", help="add joblib and mpire where they are installed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples to a file")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.rows if name not in ROWS]:
        parser.error(f"no row {', '.join(unknown)}: the rows are {', '.join(ROWS)}")
    peers = tuple(importable(("joblib", "mpire"))) if arguments.peers else ()
    settings = Settings(3 if arguments.quick else max(1, arguments.repeat), arguments.quick, peers)
    print(f"{machine()}{' (quick: small inputs)' if arguments.quick else ''}")
    rows = {}
    with byte_code():
        for name in arguments.rows or ROWS:
            rows[name] = ROWS[name](settings)
            print_row(rows[name])
    summarise(list(rows.values()))
    if arguments.json:
        write_json(arguments.json, rows)


if __name__ == "__main__":
    main()
