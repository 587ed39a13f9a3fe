"""The regret benchmark works: it measures, compares answers, writes, and reports what it has written."""

import json
import subprocess
import sys
from pathlib import Path

from tests.scripts import ROOT


def regret(*arguments: str, folder: Path) -> str:
    """What the benchmark prints; it must write nothing to stderr."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "benchmarks" / "regret"), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_measures_and_reports(tmp_path: Path) -> None:
    """All samples are there and right, and a report of them has the same rows and marks."""
    rows, contenders = ["spins-50us", "generator", "files"], ["loop", "threads-16", "executor", "parmap"]
    chosen = ("--rows", ",".join(rows), "--contenders", ",".join(contenders))
    printed = regret("--quick", *chosen, "--json", "found.json", folder=tmp_path)
    found = json.loads((tmp_path / "found.json").read_text())["rows"]
    assert list(found) == rows
    for row in found.values():
        assert list(row) == contenders
        assert all(times["cold"] and times["warm"] and not times["error"] for times in row.values())
    assert "of 5 marks met, 3 kinds of work" in printed
    assert regret("--report", "found.json", folder=tmp_path) == printed


def test_unknown_row(tmp_path: Path) -> None:
    """A name that is not there is refused, with the name."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / "regret"), "--rows", "tiny,nothing"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "there is no nothing" in done.stderr
