"""Every number the library was tuned with is in `_tuning.py`, with its unit."""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from tests.structure.source import PACKAGE, Module, assert_none, read_modules, write_tree

# Numbers that are not tuned (patterns): they are part of a format or of an interface of the system.
NOT_TUNED = (
    "_backends._processes._page.*",  # the places of the fields in the progress page
    "_transport._arena._*",  # the layout of a cell
    "_transport._lifeline._F_SETSIG",  # from the kernel's headers
    "_transport._memory._WRITE_MOST",  # the kernel's limit
    "_transport._mutex.*",  # from the C library's headers
)

# A constant's comment, or the `# --- section (unit) ---` line that it stands under, names one of these.
UNITS = (
    "seconds? milliseconds? microseconds? ms us µs bytes? kB MB count counts items? chunks? workers? characters? "
    "share factor multiple ratio percent frames? lines? alignment"
).split()
UNIT = re.compile(rf"\b({'|'.join(UNITS)})\b", re.IGNORECASE)

CONSTANT = re.compile(r"_?[A-Z][A-Z0-9_]*")
SECTION = re.compile(r"# --- .* ---")

# ------------------------------------------------------------------------------------------------------ the checks


def numeric_constants(module: Module) -> Iterator[tuple[str, int]]:
    """The UPPER_CASE names that a module binds to a number at its top level, with their lines."""
    for node in module.tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                pass
            case _:
                continue
        if CONSTANT.fullmatch(name) and is_number(value):
            yield name, node.lineno


def is_number(value: ast.expr) -> bool:
    """Whether an expression is arithmetic on number literals."""
    match value:
        case ast.Constant(value=number):
            return isinstance(number, int | float) and not isinstance(number, bool)
        case ast.UnaryOp(operand=operand):
            return is_number(operand)
        case ast.BinOp(left=left, right=right):
            return is_number(left) and is_number(right)
    return False


def stray_constants(root: Path, not_tuned: tuple[str, ...] = NOT_TUNED) -> list[str]:
    """Numbers that were named outside `_tuning.py`."""
    return [
        f"{module.name}:{line} {name}: belongs in _tuning.py"
        for module in read_modules(root).values()
        if module.name != f"{root.name}._tuning"
        for name, line in numeric_constants(module)
        if not any(fnmatchcase(f"{module.name}.{name}", f"{root.name}.{pattern}") for pattern in not_tuned)
    ]


def unexplained_constants(root: Path) -> list[str]:
    """Constants of `_tuning.py` without a comment block above them, or whose comments name no unit."""
    module = read_modules(root)[f"{root.name}._tuning"]
    lines = module.text.splitlines()
    found = []
    for name, line in numeric_constants(module):
        comment = comment_above(lines, line - 1)
        section = next((each for each in reversed(lines[: line - 1]) if SECTION.fullmatch(each)), "")
        if not comment:
            found.append(f"{name}: no comment above it")
        elif not UNIT.search(comment + section):
            found.append(f"{name}: its comment names no unit ({', '.join(UNITS)})")
    return found


def comment_above(lines: list[str], index: int) -> str:
    """The comment block above a line; constants that follow each other directly share theirs."""
    while index > 0 and re.match(r"_?[A-Z]", lines[index - 1]):
        index -= 1
    start = index
    while start > 0 and lines[start - 1].startswith("#") and not SECTION.fullmatch(lines[start - 1]):
        start -= 1
    return "\n".join(lines[start:index])


# ------------------------------------------------------------------------------------------------------- the tests


def test_numbers_live_in_tuning() -> None:
    """No module but `_tuning` names a number."""
    assert_none(stray_constants(PACKAGE))


def test_numbers_are_explained() -> None:
    """Every constant of `_tuning` has a comment above it that names its unit."""
    assert_none(unexplained_constants(PACKAGE))


def test_a_stray_number_is_caught(tmp_path: Path) -> None:
    """Plain, annotated, private and computed constants are found; text, flags and allowed numbers are not."""
    text = """
        A = 5
        B: Final = 64 * 1024
        _C: Final[float] = -0.5
        D = "text"
        E = True
        HEADER_SIZE = 8
        lower = 3
        F = len("abc")
        """
    root = write_tree(tmp_path, {"_run.py": text, "_tuning.py": "X = 1"})
    assert stray_constants(root, ("_run.HEADER_*",)) == [
        "parmap._run:2 A: belongs in _tuning.py",
        "parmap._run:3 B: belongs in _tuning.py",
        "parmap._run:4 _C: belongs in _tuning.py",
    ]


def test_an_unexplained_number_is_caught(tmp_path: Path) -> None:
    """A constant without a comment, or with one that names no unit, is found; a section may name the unit for all."""
    text = """
        # --- first ---

        # Seconds to wait.
        GOOD = 1
        ALSO_GOOD = 2

        # Nobody knows of what.
        BAD = 3

        BARE = 4

        # --- second (bytes) ---

        BARE_HERE = 5

        # Large enough.
        FINE = 6
        """
    found = unexplained_constants(write_tree(tmp_path, {"_tuning.py": text}))
    assert [each.split(":")[0] for each in found] == ["BAD", "BARE", "BARE_HERE"]
