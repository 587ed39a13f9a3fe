"""The annotations of the public names, checked by mypy as a user's checker would see them."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def mypy(path: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    """Runs `mypy --strict` on one file; what it imports is looked at, and not reported on."""
    flags = ["--strict", "--follow-imports=silent", f"--cache-dir={cache}"]
    command = [sys.executable, "-m", "mypy", *flags, str(path)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where mypy keeps what it knows of the standard library, from the first test to the next."""
    return tmp_path_factory.mktemp("mypy")


def test_the_public_names_are_typed(cache: Path) -> None:
    """`api.py` holds: every `assert_type`, and every line that must be refused."""
    pytest.importorskip("mypy")
    result = mypy(HERE / "api.py", cache)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_wrong_type_is_caught(cache: Path, tmp_path: Path) -> None:
    """A claim that does not hold is reported, so the check above can fail."""
    pytest.importorskip("mypy")
    wrong = tmp_path / "wrong.py"
    wrong.write_text(
        "from typing import assert_type\n\nfrom parmap import pmap\n\nassert_type(pmap(str, [1]), list[int])\n"
    )
    result = mypy(wrong, cache)
    assert result.returncode == 1
    assert '"list[str]", not "list[int]"' in result.stdout
