"""Measuring side by side: samples taken in turn, their medians and ratios, plain tables, marks.

The runs of all candidates alternate (A B C, B C A, ...), so that what else the machine does falls on all of them, and a
ratio is the median of the ratios within each turn. A candidate is any function that returns a number; `run_fresh` here
and `_lanes` give such functions for work in an interpreter of its own, cold or warm.
"""

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

from _engines import cores

Sampler: TypeAlias = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line asks for."""

    repeat: int
    quick: bool
    peers: tuple[str, ...]

    @property
    def few(self) -> int:
        """The turns of a row whose samples are long."""
        return max(3, self.repeat // 3)

    def pick(self, size: int, quick_size: int) -> int:
        """Choose between the real input and the small one."""
        return quick_size if self.quick else size


class SampleError(Exception):
    """A candidate could not give a sample: it raised, answered wrongly, or took too long."""


@dataclass(frozen=True, slots=True)
class Samples:
    """The measured values of one candidate, in turn order; `error` tells why there are none."""

    name: str
    values: tuple[float, ...]
    unit: str = "s"
    error: str = ""

    @property
    def median(self) -> float:
        """The middle value; not a number if there is none."""
        return statistics.median(self.values) if self.values else float("nan")

    def ratio(self, reference: "Samples") -> float:
        """The median of the ratios to another candidate, turn by turn."""
        return _median(mine / other for mine, other in zip(self.values, reference.values, strict=False))

    def above(self, reference: "Samples") -> float:
        """The median of the differences to another candidate, turn by turn."""
        return _median(mine - other for mine, other in zip(self.values, reference.values, strict=False))


def _median(values: Iterator[float]) -> float:
    found = list(values)
    return statistics.median(found) if found else float("nan")


@dataclass(frozen=True, slots=True)
class Mark:
    """A promise with a number: the measured value must be at most, or at least, the limit."""

    text: str
    value: float
    limit: float
    unit: str
    at_least: bool = False

    @property
    def passed(self) -> bool:
        """Whether the promise is kept; a value that could not be measured keeps none."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        """Show the value, the limit and the verdict on one line."""
        bound = "at least" if self.at_least else "at most"
        verdict = "pass" if self.passed else "FAIL"
        return f"{verdict}  {self.text}: {show(self.value, self.unit)} ({bound} {show(self.limit, self.unit)})"


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement side by side, with the marks that it decides."""

    title: str
    samples: tuple[Samples, ...]
    reference: str
    marks: tuple[Mark, ...]
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> Samples:
        """Return the samples of a candidate."""
        return find(self.samples, name)


def find(samples: Sequence[Samples], name: str) -> Samples:
    """Return the samples of a candidate by its name."""
    return next(sample for sample in samples if sample.name == name)


def interleave(candidates: Mapping[str, Sampler], repeat: int) -> tuple[Samples, ...]:
    """Take samples of all candidates in turn; one that fails is left out of later turns."""
    values: dict[str, list[float]] = {name: [] for name in candidates}
    errors: dict[str, str] = {}
    names = list(candidates)
    for turn in range(repeat):
        first = turn % len(names)
        for name in (*names[first:], *names[:first]):
            if name not in errors:
                try:
                    values[name].append(candidates[name]())
                except SampleError as error:
                    errors[name], values[name] = str(error), []
    return tuple(Samples(name, tuple(values[name]), "s", errors.get(name, "")) for name in names)


@contextmanager
def byte_code() -> Iterator[None]:
    """Let the interpreters started inside keep byte code, in a folder that goes away, whatever the environment says.

    An installed package has its byte code; a checkout under `PYTHONDONTWRITEBYTECODE` compiles itself at each import.
    """
    names = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
    before = {name: os.environ[name] for name in names if name in os.environ}
    with tempfile.TemporaryDirectory(prefix="parmap-marks-", ignore_cleanup_errors=True) as folder:
        os.environ.pop(names[0], None)
        os.environ[names[1]] = folder
        try:
            yield
        finally:
            del os.environ[names[1]]
            os.environ.update(before)


def run_fresh(code: str) -> float:
    """Return the seconds that a fresh interpreter takes to run some code, start and end included."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - start


def show(value: float, unit: str) -> str:
    """Write a value with three digits and its unit; seconds in the unit that fits."""
    if unit == "s":
        scale, unit = next(((s, u) for s, u in ((1.0, "s"), (1e-3, "ms")) if abs(value) >= s), (1e-6, "µs"))
        value /= scale
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:.{digits}f} {unit}".rstrip()


def table(row: Row) -> list[str]:
    """Lay out a row's samples in aligned columns."""
    reference = row[row.reference]
    width = max(len(sample.name) for sample in row.samples)
    lines = [f"{'':{width}}  {'median':>9}  {'min':>9}  {'max':>9}  ratio to {row.reference}"]
    for sample in row.samples:
        if sample.values:
            shown = (show(value, sample.unit) for value in (sample.median, min(sample.values), max(sample.values)))
            cells = "  ".join(f"{cell:>9}" for cell in shown)
            lines.append(f"{sample.name:{width}}  {cells}  {sample.ratio(reference):8.2f}")
        else:
            lines.append(f"{sample.name:{width}}  cannot: {sample.error[:90]}")
    return lines


def print_row(row: Row) -> None:
    """Print a row: title, table, notes, marks."""
    print(f"\n{row.title}")
    for line in (*table(row), *row.notes, *map(str, row.marks)):
        print(f"  {line}", flush=True)


def machine() -> str:
    """Describe the machine and how busy it is."""
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    version = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{version}, {cores()} cores, {platform.system()} {platform.machine()}{load}"


def _plain(mark: Mark) -> dict[str, object]:
    """Turn a mark into a JSON object; a value that could not be measured is null, for JSON knows no "not a number"."""
    return asdict(mark) | {"value": None if math.isnan(mark.value) else mark.value, "passed": mark.passed}


def write_json(file: Path, rows: Mapping[str, Row]) -> None:
    """Write all samples and marks for other programs."""
    found = {name: asdict(row) | {"marks": [_plain(mark) for mark in row.marks]} for name, row in rows.items()}
    file.write_text(json.dumps({"machine": machine(), "rows": found}, indent=1) + "\n")
