"""The project's sources as syntax trees, for the checks of this folder.

Every check is a function from a root folder to a list of violations, so that it can be shown to catch one: its own test
writes a small tree with `write_tree` and expects to be told.
"""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = ROOT / "parmap"

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Module:
    """One parsed source file."""

    name: str  # dotted, from the root folder's name on
    path: Path
    text: str
    tree: ast.Module

    @property
    def is_package(self) -> bool:
        """Whether this is the `__init__.py` of its folder."""
        return self.path.name == "__init__.py"

    def at(self, node: ast.expr | ast.stmt) -> str:
        """Where a node stands, for a message."""
        return f"{self.name}:{node.lineno}"


def read_modules(root: Path) -> dict[str, Module]:
    """All Python files under `root`, by dotted name; `root` itself is the package."""
    found = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        text = path.read_text(encoding="utf-8")
        found[name] = Module(name, path, text, ast.parse(text, filename=str(path)))
    return found


def write_tree(folder: Path, files: Mapping[str, str], name: str = "parmap") -> Path:
    """Writes a synthetic package and returns its root folder."""
    root = folder / name
    for relative, text in {"__init__.py": "", **files}.items():
        path = root / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), encoding="utf-8")
    return root


def assert_none(violations: list[str]) -> None:
    """Fails with one violation a line."""
    assert not violations, "\n  ".join([f"{len(violations)} found", *violations])


def functions(module: Module) -> Iterator[tuple[str, Function]]:
    """Every function of a module with its qualified name, nested ones and methods included."""
    yield from _functions(module.tree, "")


def _functions(node: ast.AST, prefix: str) -> Iterator[tuple[str, Function]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield prefix + child.name, child
        inner = f"{prefix}{child.name}." if isinstance(child, Function | ast.ClassDef) else prefix
        yield from _functions(child, inner)
