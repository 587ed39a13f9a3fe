"""Taking the samples: rounds over the contenders of a row, each in a fresh interpreter."""

import json
import os
import signal
import statistics
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from _work import calibrate

from regret._contenders import LOOP, PARMAP
from regret._functions import PACE
from regret._quiet import wait_for_quiet

Kind: TypeAlias = Literal["cold", "warm"]
KINDS: tuple[Kind, ...] = ("cold", "warm")

ANSWER_SECONDS = 120.0
# A contender this many times slower than the fastest, cold and warm and at its best, is not sampled again: it cannot
# become the best of the row, and its own regret is clear enough.
HOPELESS = 1.5
CALIBRATION_SECONDS = 0.001


@dataclass(slots=True)
class Times:
    """The samples of one contender in one row, in seconds; `error` tells why there are none."""

    cold: list[float] = field(default_factory=list)
    warm: list[float] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    error: str = ""

    def of(self, kind: Kind) -> list[float]:
        """Return the samples of one kind; none of a contender that failed."""
        return [] if self.error else self.cold if kind == "cold" else self.warm

    def median(self, kind: Kind) -> float:
        """The middle sample; not a number if there is none."""
        return statistics.median(self.of(kind) or [float("nan")])

    def least(self, kind: Kind) -> float:
        """The smallest sample; not a number if there is none."""
        return min(self.of(kind), default=float("nan"))

    def fastest(self) -> "Times":
        """Return the smallest cold sample and the smallest warm one."""
        return Times([self.least("cold")], [self.least("warm")], self.digests, self.error)


Row: TypeAlias = dict[str, Times]


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is to be measured; `patience` in seconds, see `wait_for_quiet`."""

    rounds: int
    quick: bool
    patience: float


def environment() -> dict[str, str]:
    """Return the variables for the interpreters: where this package is, and how fast the machine spins."""
    home = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [home, os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path, PACE: str(calibrate(CALIBRATION_SECONDS) / CALIBRATION_SECONDS)}


def sample(row: str, contender: str, quick: bool, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return what a fresh interpreter answers; it is killed with its children if it does not."""
    command = [sys.executable, "-m", "regret._far_end", row, contender, *(["quick"] if quick else [])]
    process = subprocess.Popen(
        command, env=variables, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        answer, _ = process.communicate(timeout=ANSWER_SECONDS)
        found: dict[str, Any] = json.loads(answer or '{"error": "the interpreter ended without an answer"}')
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # its session is its own: nobody else is in this group
        process.communicate()
        return {"error": f"no answer within {ANSWER_SECONDS:.0f} s"}
    return found


def measure(row: str, contenders: Sequence[str], effort: Effort, variables: Mapping[str, str]) -> Row:
    """Take the samples of a row, round by round."""
    found = {name: Times() for name in contenders}
    left = list(contenders)
    for turn in range(effort.rounds):
        first = turn % len(left)
        for name in (*left[first:], *left[:first]):
            wait_for_quiet(effort.patience)
            note(found[name], sample(row, name, effort.quick, variables))
        left = [name for name in left if not found[name].error and (name == PARMAP or not hopeless(name, found))]
    compare(found)
    return found


def note(times: Times, answer: Mapping[str, Any]) -> None:
    """Add the samples of one interpreter."""
    times.error = times.error or answer.get("error", "")
    if not times.error:
        times.cold.append(answer["cold"])
        times.warm.extend(answer["warm"])
        times.digests.append(answer["digest"])


def hopeless(name: str, row: Row) -> bool:
    """Tell whether a contender is out of the race for the best."""
    return all(row[name].least(kind) > HOPELESS * min(times_of(row, kind)) for kind in KINDS)


def times_of(row: Row, kind: Kind) -> list[float]:
    """Return the smallest samples of all contenders that have any."""
    return [times.least(kind) for times in row.values() if times.of(kind)]


def compare(row: Row) -> None:
    """Compare all answers with the loop's."""
    expected = row[LOOP].digests[:1]
    for times in row.values():
        if not times.error and set(times.digests) != set(expected):
            times.error = "gave another answer than the loop"


def write_json(file: Path, machine: str, rows: Mapping[str, Row]) -> None:
    """Write all samples."""
    found = {name: {contender: asdict(times) for contender, times in row.items()} for name, row in rows.items()}
    file.write_text(json.dumps({"machine": machine, "rows": found}, indent=1) + "\n")


def fastest(rows: Mapping[str, Row]) -> dict[str, Row]:
    """Keep of all samples only the smallest: what there is to see where other programs disturbed the others."""
    return {name: {contender: times.fastest() for contender, times in row.items()} for name, row in rows.items()}


def read_json(files: Iterable[Path]) -> tuple[str, dict[str, Row]]:
    """Read samples; a row that is in several files is taken from the last."""
    machine, rows = "", dict[str, Row]()
    for file in files:
        found = json.loads(file.read_text())
        machine = found["machine"]
        rows |= {row: {name: Times(**times) for name, times in each.items()} for row, each in found["rows"].items()}
    return machine, rows
