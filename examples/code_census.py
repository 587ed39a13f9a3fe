"""A census of Python's own standard library: CPU-bound work over files that every machine has.

Every source file is tokenized and parsed; the report counts functions and branches and names the longest function of
each package. The same work runs twice, as a loop and as `pmap`, and both must give the same answer.

There is no `if __name__ == "__main__"` guard here, and none is needed: parmap never imports your script again.

Run it:

    python examples/code_census.py            # the whole library, several seconds
    python examples/code_census.py --quick    # a sample, about a second
    python examples/code_census.py --tests    # with the test folders
"""

import argparse
import ast
import platform
import sys
import sysconfig
import time
import tokenize
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from parmap import pmap

STDLIB = Path(sysconfig.get_paths()["stdlib"])
QUICK_LIMIT = 80
PACKAGES_SHOWN = 12
TEST_FOLDERS = frozenset({"test", "tests", "idle_test"})
BRANCHES = (ast.If, ast.IfExp, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.match_case, ast.comprehension)


@dataclass(frozen=True, slots=True)
class FileCensus:
    """What one source file holds; `error` tells why a file could not be read."""

    package: str
    lines: int = 0
    comments: int = 0
    functions: int = 0
    branches: int = 0
    longest: int = 0
    longest_name: str = ""
    error: str = ""


def package_of(path: Path) -> str:
    """Name the top-level package that a file belongs to."""
    parts = path.relative_to(STDLIB).parts
    return parts[0] if len(parts) > 1 else "(single modules)"


def count_comments(path: Path) -> int:
    """Count the comments of a file, from its tokens."""
    with path.open("rb") as file:
        return sum(token.type == tokenize.COMMENT for token in tokenize.tokenize(file.readline))


def longest_function(functions: Iterable[ast.FunctionDef | ast.AsyncFunctionDef]) -> tuple[int, str]:
    """Return the line count and the name of the longest function, the first in name order where lengths are equal."""
    sizes = [((node.end_lineno or node.lineno) - node.lineno + 1, node.name) for node in functions]
    return min(sizes, key=lambda size: (-size[0], size[1]), default=(0, ""))


def take_census(path: Path) -> FileCensus:
    """Read one file and count: this is the body of the loop."""
    package = package_of(path)
    try:
        source = path.read_bytes()
        nodes = list(ast.walk(ast.parse(source)))
        comments = count_comments(path)
    except (SyntaxError, ValueError, tokenize.TokenError) as error:
        return FileCensus(package, error=type(error).__name__)
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    longest, name = longest_function(functions)
    return FileCensus(
        package=package,
        lines=source.count(b"\n"),
        comments=comments,
        functions=len(functions),
        branches=sum(isinstance(node, BRANCHES) for node in nodes),
        longest=longest,
        longest_name=f"{path.name}:{name}" if name else "",
    )


def find_sources(*, with_tests: bool, limit: int | None) -> list[Path]:
    """List the library's source files in a stable order; a limit takes them evenly from the whole list."""
    skipped = {"site-packages", "dist-packages", "__pycache__"} | (frozenset() if with_tests else TEST_FOLDERS)
    found = sorted(path for path in STDLIB.rglob("*.py") if skipped.isdisjoint(path.relative_to(STDLIB).parts))
    if limit is None or limit >= len(found):
        return found
    return [found[index * len(found) // limit] for index in range(limit)]


def print_census(results: Sequence[FileCensus]) -> None:
    """Print one line for each of the biggest packages, then the totals."""
    packages: defaultdict[str, list[FileCensus]] = defaultdict(list)
    for result in results:
        packages[result.package].append(result)
    biggest = sorted(packages, key=lambda name: -sum(file.functions for file in packages[name]))
    print(f"{'package':<18}{'files':>6}{'lines':>9}{'comments':>10}{'functions':>11}{'branches':>10}  longest function")
    for name in biggest[:PACKAGES_SHOWN]:
        print_line(name, packages[name])
    if len(biggest) > PACKAGES_SHOWN:
        rest = biggest[PACKAGES_SHOWN:]
        print_line(f"{len(rest)} more", [file for name in rest for file in packages[name]])
    print_line("total", results)
    unreadable = sum(bool(result.error) for result in results)
    print(f"{unreadable} files could not be parsed" if unreadable else "every file could be parsed")


def print_line(name: str, files: Sequence[FileCensus]) -> None:
    """Print the sums of some files and their longest function."""
    lines, comments = sum(file.lines for file in files), sum(file.comments for file in files)
    functions, branches = sum(file.functions for file in files), sum(file.branches for file in files)
    top = max(files, key=lambda file: file.longest)
    longest = f"{top.longest_name} ({top.longest} lines)" if top.longest else "-"
    print(f"{name:<18}{len(files):>6}{lines:>9,}{comments:>10,}{functions:>11,}{branches:>10,}  {longest}")


def timed(job: Callable[[], list[FileCensus]]) -> tuple[list[FileCensus], float]:
    """Run a job and return its result with the seconds that it took."""
    start = time.perf_counter()
    result = job()
    return result, time.perf_counter() - start


parser = argparse.ArgumentParser(description="Count what the standard library is made of, as a loop and as pmap.")
parser.add_argument("--limit", type=int, metavar="N", help="read only N files, spread over the library")
parser.add_argument("--quick", action="store_true", help=f"the same as --limit {QUICK_LIMIT}")
parser.add_argument("--tests", action="store_true", help="read the test folders, too")
arguments = parser.parse_args()
if arguments.limit is not None and arguments.limit < 1:
    parser.error(f"--limit is {arguments.limit}: it must be at least 1")

paths = find_sources(with_tests=arguments.tests, limit=arguments.limit or (QUICK_LIMIT if arguments.quick else None))
megabytes = sum(len(path.read_bytes()) for path in paths) / 1e6  # this also fills the file cache, for both runs
print(f"{platform.python_implementation()} {platform.python_version()}: {len(paths)} files, {megabytes:.1f} MB\n")

expected, loop_seconds = timed(lambda: [take_census(path) for path in paths])
results, pmap_seconds = timed(lambda: pmap(take_census, paths))

print_census(results)
print(f"\nloop       {loop_seconds:7.2f} s")
print(f"pmap       {pmap_seconds:7.2f} s")
print(f"speed-up   {loop_seconds / pmap_seconds:7.2f} x")
print(f"identical  {'yes' if results == expected else 'NO':>7}")
sys.exit(0 if results == expected else 1)
