"""Small pieces: files, functions and classes that fit in a head."""

import ast
import io
import statistics
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.structure.source import PACKAGE, ROOT, Function, Module, assert_none, functions, read_modules, write_tree

FILE_LINES = 400
FUNCTION_LINES = 60  # without the docstring
P90_LINES = 30
ATTRIBUTES = 12

FOLDERS = [each for each in (PACKAGE, ROOT / "tests", ROOT / "examples", ROOT / "benchmarks") if each.is_dir()]

each_folder = pytest.mark.parametrize("root", FOLDERS, ids=lambda root: root.name)
# A fake in a test may have to be a subclass of a foreign type, with that type's habits.
each_program = pytest.mark.parametrize(
    "root", [each for each in FOLDERS if each.name != "tests"], ids=lambda root: root.name
)

# ------------------------------------------------------------------------------------------------------ the checks


def long_files(root: Path) -> list[str]:
    """Files over the limit."""
    return [
        f"{name}: {lines} lines, at most {FILE_LINES}"
        for name, module in read_modules(root).items()
        if (lines := module.text.count("\n")) > FILE_LINES
    ]


def function_lines(function: Function) -> int:
    """How many lines a function has, decorators and docstring aside."""
    lines = (function.end_lineno or function.lineno) - function.lineno + 1
    match function.body[0]:
        case ast.Expr(value=ast.Constant(value=str()) as docstring):
            lines -= (docstring.end_lineno or docstring.lineno) - docstring.lineno + 1
    return lines


def long_functions(root: Path) -> list[str]:
    """Functions over the limit."""
    return [
        f"{module.at(function)} {name}: {lines} lines, at most {FUNCTION_LINES}"
        for module in read_modules(root).values()
        for name, function in functions(module)
        if (lines := function_lines(function)) > FUNCTION_LINES
    ]


def p90_function_lines(root: Path) -> float:
    """The length that nine functions of ten do not exceed."""
    lines = [function_lines(each) for module in read_modules(root).values() for _, each in functions(module)]
    return statistics.quantiles(lines, n=10, method="inclusive")[-1] if len(lines) > 1 else sum(lines)


def class_violations(root: Path) -> list[str]:
    """Classes with too many attributes, or with attributes that are born outside `__init__`."""
    modules = read_modules(root)
    known = {each.name: each for module in modules.values() for each in classes(module)}
    found = []
    for module in modules.values():
        for each in classes(module):
            if is_record(each):
                continue
            everywhere = attributes(each)
            late = sorted(set(everywhere) - born_in_init(each, known))
            found += [
                f"{module.name} {each.name}.{name}: not born in __init__ (line {everywhere[name]})" for name in late
            ]
            if len(everywhere) > ATTRIBUTES:
                found.append(f"{module.name} {each.name}: {len(everywhere)} attributes, at most {ATTRIBUTES}")
    return found


def classes(module: Module) -> Iterator[ast.ClassDef]:
    """All classes of a module, nested ones too."""
    return (node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef))


def is_record(each: ast.ClassDef) -> bool:
    """Whether a class gets its `__init__` from its fields: a dataclass or a named tuple."""
    marks = [*each.decorator_list, *each.bases]
    return any("dataclass" in ast.unparse(mark) or "NamedTuple" in ast.unparse(mark) for mark in marks)


def attributes(each: ast.ClassDef, method: str | None = None) -> dict[str, int]:
    """The attributes that a class's methods (or one of them) assign on `self`, with the line of the first time."""
    found: dict[str, int] = {}
    for function in each.body:
        if not isinstance(function, Function) or method not in (None, function.name):
            continue
        owner = next((argument.arg for argument in [*function.args.posonlyargs, *function.args.args]), None)
        for node in ast.walk(function):
            match node:
                case ast.Attribute(value=ast.Name(id=name), attr=attribute, ctx=ast.Store()) if name == owner:
                    found.setdefault(attribute, node.lineno)
    return found


def born_in_init(each: ast.ClassDef, known: dict[str, ast.ClassDef]) -> set[str]:
    """The attributes that exist once `__init__` has run, those of the base classes included."""
    inherited = [known[name] for base in each.bases if (name := ast.unparse(base).split("[")[0]) in known]
    born = set(attributes(each, "__init__"))
    return born.union(*(born_in_init(base, known) for base in inherited if base is not each))


def forbidden_words(root: Path) -> list[str]:
    """Calls of `print` and `time.sleep`, and notes to oneself, in the library."""
    found = []
    for module in read_modules(root).values():
        for node in ast.walk(module.tree):
            match node:
                case ast.Call(func=ast.Name(id="print")):
                    found.append(f"{module.at(node)}: print(")
                case ast.Attribute(value=ast.Name(id="time"), attr="sleep"):
                    found.append(f"{module.at(node)}: time.sleep; wait on a handle or a condition")
                case ast.ImportFrom(module="time", names=names) if any(alias.name == "sleep" for alias in names):
                    found.append(f"{module.at(node)}: time.sleep; wait on a handle or a condition")
        found += [
            f"{module.name}:{token.start[0]}: {token.string}"
            for token in tokenize.generate_tokens(io.StringIO(module.text).readline)
            if token.type == tokenize.COMMENT and any(word in token.string for word in ("TODO", "FIXME", "XXX"))
        ]
    return sorted(found)


# ------------------------------------------------------------------------------------------------------- the tests


@each_folder
def test_files_are_short(root: Path) -> None:
    """No file is over 400 lines."""
    assert_none(long_files(root))


@each_folder
def test_functions_are_short(root: Path) -> None:
    """No function is over 60 lines without its docstring."""
    assert_none(long_functions(root))


def test_most_functions_are_under_thirty_lines(record_property: Callable[[str, object], None]) -> None:
    """Nine functions of ten have at most 30 lines."""
    p90 = p90_function_lines(PACKAGE)
    record_property("p90_function_lines", p90)
    assert p90 <= P90_LINES


@each_program
def test_classes_are_small_and_born_whole(root: Path) -> None:
    """No class has more than 12 attributes, and all are assigned in `__init__`."""
    assert_none(class_violations(root))


def test_the_library_does_not_print_sleep_or_defer() -> None:
    """The package has no `print(`, no `time.sleep` and no TODO."""
    assert_none(forbidden_words(PACKAGE))


def test_a_long_file_is_caught(tmp_path: Path) -> None:
    """A file of 401 lines is found, one of 400 is not."""
    root = write_tree(tmp_path, {"_long.py": "x = 1\n" * 401, "_fits.py": "x = 1\n" * 400})
    assert long_files(root) == ["parmap._long: 401 lines, at most 400"]


def test_a_long_function_is_caught(tmp_path: Path) -> None:
    """A method of 61 lines is found, one of 60 with a docstring on top is not."""
    fits = 'def fits():\n    """A\n    B\n    """\n' + "    x = 1\n" * 59
    long = "class C:\n    def long(self):\n" + "        x = 1\n" * 60
    root = write_tree(tmp_path, {"_a.py": fits + long})
    assert long_functions(root) == ["parmap._a:65 C.long: 61 lines, at most 60"]


def test_the_ninetieth_percentile_is_counted(tmp_path: Path) -> None:
    """The p90 of ten functions of 2 lines and ten of 41 is 41."""
    short = "".join(f"def s{n}():\n    x = 1\n" for n in range(10))
    long = "".join(f"def l{n}():\n" + "    x = 1\n" * 40 for n in range(10))
    assert p90_function_lines(write_tree(tmp_path, {"_a.py": short + long})) == 41


def test_a_late_attribute_is_caught(tmp_path: Path) -> None:
    """An attribute that only another method assigns is found; one of a base class in another file is not."""
    files = {
        "_base.py": """
            class Base:
                def __init__(self):
                    self.known = 1
            """,
        "_a.py": """
            class A(Base):
                def __init__(self):
                    super().__init__()
                    self.x, self.y = 1, 2
                def later(self, other):
                    self.known = other.field = self.x = 2
                    with open("f") as self.file:
                        self.z += 1
            @dataclass
            class Record:
                def f(self):
                    self.cache = 1
            """,
    }
    assert class_violations(write_tree(tmp_path, files)) == [
        "parmap._a A.file: not born in __init__ (line 8)",
        "parmap._a A.z: not born in __init__ (line 9)",
    ]


def test_a_big_class_is_caught(tmp_path: Path) -> None:
    """A class with 13 attributes is found."""
    body = "".join(f"        self.a{n} = {n}\n" for n in range(13))
    root = write_tree(tmp_path, {"_a.py": "class Big:\n    def __init__(self):\n" + body})
    assert class_violations(root) == ["parmap._a Big: 13 attributes, at most 12"]


def test_forbidden_words_are_caught(tmp_path: Path) -> None:
    """Printing, sleeping and notes to oneself are found in code and comments, not in docstrings."""
    text = '"""print(1), time.sleep(2), TODO"""\nprint(1)\ntime.sleep(2)\nfrom time import sleep\nx = 1  # TODO: y\n'
    assert forbidden_words(write_tree(tmp_path, {"_a.py": text})) == [
        "parmap._a:2: print(",
        "parmap._a:3: time.sleep; wait on a handle or a condition",
        "parmap._a:4: time.sleep; wait on a handle or a condition",
        "parmap._a:5: # TODO: y",
    ]
