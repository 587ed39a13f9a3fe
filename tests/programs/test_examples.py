"""The examples run as a newcomer would run them, and tell that their results are the loop's."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.scripts import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path: Path, tmp_path: Path) -> None:
    """``--quick`` ends well and says that the results are identical."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path), "--quick"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "identical" in done.stdout.lower()


def test_there_are_examples() -> None:
    """There is one for each kind of work: computing, and waiting."""
    assert len(EXAMPLES) >= 2
