"""What `parmap` shows: exactly the names of the design."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

import parmap
from tests.structure.source import PACKAGE, assert_none, read_modules, write_tree

# All the names that there will ever be; an issue adds those that it builds.
DESIGNED = frozenset(
    "pmap pimap pchunked Value Lock options trace cpu_count shutdown "
    "ParmapError WorkerCrashError ItemTimeoutError SerializationError FallbackWarning".split()
)
PUBLIC_MODULES = frozenset({"shared"})

# ------------------------------------------------------------------------------------------------------ the checks


def name_violations(package: ModuleType) -> list[str]:
    """Differences between `__all__`, the names that the package shows and the names of the design."""
    listed = list(package.__all__)
    shown = {name for name in dir(package) if not name.startswith("_")} - PUBLIC_MODULES
    found = [] if listed == sorted(set(listed)) else ["__all__ is not sorted, or has a name twice"]
    found += [f"{name}: shown, but not in __all__" for name in sorted(shown - set(listed))]
    found += [f"{name}: in __all__, but not there" for name in listed if not hasattr(package, name)]
    found += [
        f"{name}: in __all__, but not in dir()" for name in listed if hasattr(package, name) and name not in shown
    ]
    return found + [f"{name}: not a name of the design" for name in listed if name not in DESIGNED]


def object_violations(package: ModuleType) -> list[str]:
    """Public objects that say another home than the package, are not found there, or are not documented."""
    found = []
    for name in package.__all__:
        each = getattr(package, name, None)
        if each is None:
            continue
        if each.__module__ != package.__name__:
            found.append(f"{name}: __module__ is {each.__module__!r}")
        if getattr(package, each.__qualname__, None) is not each:
            found.append(f"{name}: cannot be found by its __qualname__ {each.__qualname__!r}")
        if not (each.__doc__ or "").strip():
            found.append(f"{name}: has no docstring")
    return found


def module_violations(root: Path) -> list[str]:
    """Modules that are neither private nor listed as public."""
    parts = {part for name in read_modules(root) for part in name.split(".")[1:]}
    return sorted(part for part in parts if not part.startswith("_") and part not in PUBLIC_MODULES)


# ------------------------------------------------------------------------------------------------------- the tests


def test_names_are_those_of_the_design() -> None:
    """`__all__` is sorted and equals the public names of `dir(parmap)`, all of them designed."""
    assert_none(name_violations(parmap))


def test_public_objects_live_in_parmap() -> None:
    """Every public object says `__module__ == "parmap"`, is found there by its name, and has a docstring."""
    assert_none(object_violations(parmap))


def test_other_modules_are_private() -> None:
    """Every module but `shared` starts with an underscore."""
    assert_none(module_violations(PACKAGE))


def test_star_import_gives_the_surface() -> None:
    """`from parmap import *` brings exactly `__all__`."""
    namespace: dict[str, object] = {}
    exec("from parmap import *", namespace)
    assert sorted(namespace.keys() - {"__builtins__"}) == parmap.__all__


def test_package_is_marked_as_typed() -> None:
    """`py.typed` is shipped beside the modules."""
    assert (PACKAGE / "py.typed").is_file()


@pytest.fixture
def crooked(tmp_path: Path) -> ModuleType:
    """A package whose surface is wrong in every way that the checks know."""
    text = '''
        import os
        from collections import OrderedDict

        __all__ = ["pmap", "options", "missing", "trace"]

        def pmap(): ...
        def _made():
            def inner():
                """Documented."""
            return inner
        options = _made()
        class trace:
            """Documented."""
            __module__ = "elsewhere"
        '''
    path = write_tree(tmp_path, {"__init__.py": text}, name="crooked") / "__init__.py"
    spec = importlib.util.spec_from_file_location("crooked", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert "crooked" not in sys.modules
    return module


def test_wrong_names_are_caught(crooked: ModuleType) -> None:
    """An unsorted list, stray names, a missing one and one that was never designed are found."""
    assert name_violations(crooked) == [
        "__all__ is not sorted, or has a name twice",
        "OrderedDict: shown, but not in __all__",
        "os: shown, but not in __all__",
        "missing: in __all__, but not there",
        "missing: not a name of the design",
    ]


def test_wrong_objects_are_caught(crooked: ModuleType) -> None:
    """An object of another module, one under another name and one without docstring are found."""
    assert object_violations(crooked) == [
        "pmap: has no docstring",
        "options: cannot be found by its __qualname__ '_made.<locals>.inner'",
        "trace: __module__ is 'elsewhere'",
    ]


def test_a_public_module_is_caught(tmp_path: Path) -> None:
    """A module without underscore is found, in any folder."""
    root = write_tree(tmp_path, {"_a/helpers.py": "", "shared.py": "", "tools/__init__.py": "", "_b.py": ""})
    assert module_violations(root) == ["helpers", "tools"]
