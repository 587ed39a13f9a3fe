"""Imports go one way: the table of who may import whom.

Words <- policy <- hands <- engines <- the loop <- `_api` <- `__init__`. Type-only imports, imports inside functions and
`import_module("...")` with a literal name count as imports.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.structure.source import PACKAGE, Module, assert_none, read_modules, write_tree

# ------------------------------------------------------------------------------------------------------- the table
# Names are relative to the package; a pattern is as in fnmatch. A row: module pattern -> what it may import. The first
# row that matches a module counts, so the special ones come first.

Patterns = tuple[str, ...]

WORDS: Patterns = ("_errors", "_records", "_typing", "_tuning")
POLICY: Patterns = ("_options", "_strategy", "_chunks", "_window", "_merge", "_parts", "_source")
HANDS: Patterns = (
    "_observe",
    "_programs",
    "_cores",
    "_blas",
    "_companion",
    "_kept",
    "_interrupts",
    "_learned",
    "_nesting",
    "_random",
    "_settings",
    "_worker",
    "_transport",
    "_transport.*",
)
ENGINES: Patterns = (
    "_backends",
    "_backends._base",
    "_backends._serial",
    "_backends._threads",
    "_backends._processes",
    "_backends._executor",
)
LOOP: Patterns = ("_call", "_handover", "_judge", "_run", "_prospect", "_pilot")

TABLE: dict[str, Patterns] = {
    # words: the standard library and each other
    "_errors": WORDS,
    "_records": WORDS,
    "_typing": WORDS,
    "_tuning": WORDS,
    # policy: words; never each other, unless it says so here
    "_options": WORDS,
    "_strategy": WORDS,
    "_chunks": WORDS,
    "_window": WORDS,
    "_merge": WORDS,
    "_parts": WORDS,
    "_source": WORDS,
    # hands: words, and each other where it says so
    "_programs": WORDS,
    "_observe": (*WORDS, "_programs"),
    "_cores": WORDS,
    "_random": WORDS,
    "_worker": (*WORDS, "_random"),
    "_blas": WORDS,
    "_companion": (*WORDS, "_kept", "_observe"),
    "_interrupts": WORDS,
    "_kept": (*WORDS, "_interrupts"),
    "_learned": WORDS,
    "_nesting": WORDS,
    "_settings": (*WORDS, "_blas", "_nesting", "_transport.*"),
    "_transport": (*WORDS, "_transport.*"),
    "_transport.*": (*WORDS, "_transport", "_transport.*"),
    # engines: words, hands, their own folder
    "_backends._base": WORDS,
    "_backends._processes": (*WORDS, *HANDS, "_backends._base", "_backends._processes.*"),
    "_backends._processes.*": (*WORDS, *HANDS, "_backends._base", "_backends._processes", "_backends._processes.*"),
    "_backends._executor": (*WORDS, *HANDS, "_backends._base", "_backends._executor.*"),
    "_backends._executor.*": (*WORDS, *HANDS, "_backends._base", "_backends._executor", "_backends._executor.*"),
    "_backends": (*WORDS, "_backends.*"),  # picks the engine, on first use
    "_backends.*": (*WORDS, *HANDS, "_backends._base"),
    # the loop: everything below, of an engine only its front
    "_call": (*WORDS, *POLICY),
    "_handover": WORDS,
    "_judge": (*WORDS, "_strategy", "_observe"),
    "_run": (*WORDS, *POLICY, *HANDS, *ENGINES, *LOOP),
    "_prospect": (*WORDS, *POLICY, *HANDS, "_call"),
    "_pilot": (*WORDS, *POLICY, *HANDS, *ENGINES, *LOOP),
    # the front
    "shared": (*WORDS, *HANDS),
    "_api": (*WORDS, *POLICY, *HANDS, *LOOP),
    "__init__": (*WORDS, *HANDS, "_options", "_api", "shared"),
}

# Policy is pure: no clock, no operating system, no threads, no processes.
IMPURE = frozenset(
    "_thread asyncio concurrent ctypes fcntl mmap multiprocessing os pathlib platform queue random resource select "
    "selectors shutil signal socket subprocess tempfile threading time uuid".split()
)
PURE: Patterns = POLICY

# Packages that are not in the standard library are imported on first use: inside a function, or for types only. These
# modules are themselves imported on first use and may have them at the top.
MAY_IMPORT_PACKAGES: Patterns = ("_transport.*", "_backends.*")

# ------------------------------------------------------------------------------------------------------ the checks


def imported_names(module: Module) -> Iterator[tuple[ast.stmt | ast.expr, str, tuple[str, ...]]]:
    """Every import of a module: the node, the absolute module name, and the names taken from it."""
    package = module.name if module.is_package else module.name.rpartition(".")[0]
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name, ()
        elif isinstance(node, ast.ImportFrom):
            base = absolute("." * node.level + (node.module or ""), package)
            yield node, base, tuple(alias.name for alias in node.names)
        elif isinstance(node, ast.Call) and called_name(node) in {"import_module", "__import__"} and node.args:
            match node.args[0]:
                case ast.Constant(value=str(name)):
                    yield node, absolute(name, package), ()


def called_name(node: ast.Call) -> str:
    """The last part of the name of what is called."""
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def absolute(name: str, package: str) -> str:
    """A possibly relative module name, seen from `package`."""
    dots = len(name) - len(name.lstrip("."))
    if not dots:
        return name
    parents = package.split(".")
    return ".".join([*parents[: len(parents) - dots + 1], *filter(None, [name[dots:]])])


def import_graph(modules: Mapping[str, Module], package: str) -> dict[str, dict[str, int]]:
    """Who imports whom inside the package: importer -> imported -> line."""
    graph: dict[str, dict[str, int]] = {name: {} for name in modules}
    for module in modules.values():
        for node, base, names in imported_names(module):
            if base.split(".")[0] != package:
                continue
            targets = {f"{base}.{name}" if f"{base}.{name}" in modules else base for name in names} or {base}
            for target in targets - {module.name}:
                graph[module.name].setdefault(target, node.lineno)
    return graph


def short(name: str, package: str) -> str:
    """A module's name as the table has it."""
    return "__init__" if name == package else name.removeprefix(f"{package}.")


def matches(name: str, patterns: Patterns) -> bool:
    """Whether any of the patterns fits."""
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def layer_violations(root: Path, table: Mapping[str, Patterns] = TABLE) -> list[str]:
    """Imports that the table does not allow, modules that it does not know, and cycles."""
    modules = read_modules(root)
    graph = import_graph(modules, root.name)
    found = []
    for importer, imports in graph.items():
        name = short(importer, root.name)
        row = next((allowed for pattern, allowed in table.items() if fnmatchcase(name, pattern)), None)
        if row is None:
            found.append(f"{name}: not in the table; add a row for it to TABLE in {Path(__file__).name}")
            continue
        found += [
            f"{name}:{line} imports {short(target, root.name)}, which its layer may not"
            for target, line in imports.items()
            if not matches(short(target, root.name), row)
        ]
        found += [
            f"{name}:{line} imports {target}, which is not there"
            for target, line in imports.items()
            if target not in modules
        ]
    return found + cycles(graph)


def cycles(graph: Mapping[str, Mapping[str, int]]) -> list[str]:
    """The first cycle of imports, if there is one."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return ["cycle: " + " imports ".join(reversed(error.args[1]))]
    return []


def purity_violations(root: Path) -> list[str]:
    """Policy that can look at the world."""
    return [
        f"{module.at(node)} imports {base}, but policy is pure"
        for name, module in read_modules(root).items()
        if matches(short(name, root.name), PURE)
        for node, base, _ in imported_names(module)
        if base.split(".")[0] in IMPURE
    ]


def package_violations(root: Path) -> list[str]:
    """Packages outside the standard library that a module loads as soon as it is imported itself."""
    return [
        f"{module.at(node)} imports {base} at once; do it inside the function that needs it"
        for name, module in read_modules(root).items()
        if not matches(short(name, root.name), MAY_IMPORT_PACKAGES)
        for node, base, _ in imported_names(module)
        if base.split(".")[0] not in {*sys.stdlib_module_names, root.name}
        if node in at_import_time(module.tree)
    ]


def at_import_time(tree: ast.AST) -> set[ast.AST]:
    """The nodes that run when a module is imported: all but function bodies and `if TYPE_CHECKING` blocks."""
    found = set()
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"):
            continue
        found |= {child, *at_import_time(child)}
    return found


# ------------------------------------------------------------------------------------------------------- the tests


def test_imports_follow_the_table() -> None:
    """No module imports a layer above its own, none is unknown, and there is no cycle."""
    assert_none(layer_violations(PACKAGE))


def test_policy_is_pure() -> None:
    """Policy modules import no clock, no operating system, no threads and no processes."""
    assert_none(purity_violations(PACKAGE))


def test_packages_are_imported_on_first_use() -> None:
    """Only modules that are themselves loaded on first use have other packages' imports at the top."""
    assert_none(package_violations(PACKAGE))


@pytest.mark.parametrize(
    "line",
    [
        "import parmap._run",
        "from parmap import _run",
        "from parmap._run import run",
        "from . import _run",
        "from ._run import run",
        "if TYPE_CHECKING:\n    from parmap._run import Run",
        "def f():\n    from parmap._run import run",
        "def f():\n    return importlib.import_module('parmap._run')",
        "def f():\n    return import_module('._run', __package__)",
    ],
)
def test_an_upward_import_is_caught(tmp_path: Path, line: str) -> None:
    """Each way of writing an import from policy to the loop is found, with its place."""
    root = write_tree(tmp_path, {"_chunks.py": line, "_run.py": ""})
    assert layer_violations(root) == [f"_chunks:{1 + line.count(chr(10))} imports _run, which its layer may not"]


def test_an_engine_that_imports_another_is_caught(tmp_path: Path) -> None:
    """Engines know their base and their own folder only."""
    files = {
        "_backends/__init__.py": "def pick(): from parmap._backends import _serial",
        "_backends/_base.py": "",
        "_backends/_serial.py": "from parmap._backends._base import Backend",
        "_backends/_threads.py": "from . import _serial",
        "_backends/_processes/__init__.py": "from ._pool import Pool",
        "_backends/_processes/_pool.py": "from .. import _threads\nfrom .._base import Backend\nfrom ._worker import x",
        "_backends/_processes/_worker.py": "from parmap._strategy import plan",
        "_strategy.py": "",
    }
    assert layer_violations(write_tree(tmp_path, files)) == [
        "_backends._processes._pool:1 imports _backends._threads, which its layer may not",
        "_backends._processes._worker:1 imports _strategy, which its layer may not",
        "_backends._threads:1 imports _backends._serial, which its layer may not",
    ]


def test_an_unknown_module_is_caught(tmp_path: Path) -> None:
    """A module without a row fails until somebody decides on its layer."""
    assert layer_violations(write_tree(tmp_path, {"_new.py": ""})) == [
        "_new: not in the table; add a row for it to TABLE in test_layers.py"
    ]


def test_a_module_that_is_not_there_is_caught(tmp_path: Path) -> None:
    """An import of a module of the package that was renamed or removed is found, even inside a function."""
    root = write_tree(tmp_path, {"_run.py": "def f(): import parmap._window"})
    assert layer_violations(root) == ["_run:1 imports parmap._window, which is not there"]


def test_a_cycle_is_caught(tmp_path: Path) -> None:
    """Two modules of one layer that import each other are found, lazily or not."""
    files = {"_errors.py": "from parmap._records import Options", "_records.py": "def f(): import parmap._errors"}
    assert layer_violations(write_tree(tmp_path, files)) == [
        "cycle: parmap._errors imports parmap._records imports parmap._errors"
    ]


def test_impure_policy_is_caught(tmp_path: Path) -> None:
    """A clock in a policy module is found, also when it is imported inside a function or for types only."""
    files = {
        "_merge.py": "def f(): import os.path\n",
        "_window.py": "from threading import Lock",
        "_cores.py": "import os",
    }
    assert purity_violations(write_tree(tmp_path, files)) == [
        "parmap._merge:1 imports os.path, but policy is pure",
        "parmap._window:1 imports threading, but policy is pure",
    ]


def test_an_eager_package_is_caught(tmp_path: Path) -> None:
    """NumPy at the top of a module that `import parmap` may load is found; inside a function it is fine."""
    files = {
        "_merge.py": "try:\n    import numpy\nexcept ImportError:\n    pass",
        "_parts.py": "if TYPE_CHECKING:\n    import numpy\ndef f(): import pandas",
        "_transport/_frames.py": "import cloudpickle",
    }
    assert package_violations(write_tree(tmp_path, files)) == [
        "parmap._merge:2 imports numpy at once; do it inside the function that needs it"
    ]
