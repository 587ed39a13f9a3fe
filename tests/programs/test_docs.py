"""Every Python block of the README and the documentation runs, in the order of its page.

A page is one program: its blocks share a namespace and run as an unguarded script, from the first to the last. Blocks
of other languages (``console``, ``text``, ``pycon``, …) are not run.
"""

import re
from pathlib import Path

import pytest

from tests.scripts import ROOT, RunScript

PAGES = [path for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if path.exists()]
FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,}) *(?P<language>[\w+-]*).*$")


def program(page: str) -> str:
    """The Python blocks of a page, each line in the place where it stands there, so that tracebacks name it."""
    lines: list[str] = []
    inside: re.Match[str] | None = None
    for line in page.splitlines():
        found = FENCE.match(line)
        if inside is None and found:
            inside = found
            lines.append("")
        elif inside is not None and line.strip() == inside["fence"]:
            inside = None
            lines.append("")
        else:
            kept = inside is not None and inside["language"] == "python"
            lines.append(line.removeprefix(inside["indent"]) if kept and inside is not None else "")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_page(script: RunScript, path: Path) -> None:
    """The page's program ends well."""
    source = program(path.read_text(encoding="utf-8"))
    if not source.strip():
        return
    result = script("# " + source if source[0] == "\n" else source, timeout=110)
    assert result.returncode == 0, result.stderr


def test_blocks_keep_their_lines() -> None:
    """Blocks of other languages and prose become empty lines; indented blocks lose their indent."""
    page = "# Title\n\n```python\nx = 1\n```\n\n- item\n\n  ```python\n  y = x\n  ```\n\n```console\n$ ls\n```\n"
    assert program(page).splitlines() == ["", "", "", "x = 1", *[""] * 5, "y = x", *[""] * 5][: len(page.splitlines())]
