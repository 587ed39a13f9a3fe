"""The examples in the docstrings of the public objects run and give what they say."""

import doctest
from typing import Any

import pytest

import parmap

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


def examples_of(name: str) -> list[doctest.DocTest]:
    """The doctests of a public object and of its methods."""
    unbound: Any = False  # the objects say that they are of `parmap`, so the finder is not to compare modules
    found = doctest.DocTestFinder().find(getattr(parmap, name), name, module=unbound, globs={})
    return [test for test in found if test.examples]


@pytest.mark.parametrize("name", sorted(parmap.__all__))
def test_docstring(name: str) -> None:
    """Every example runs by itself: it imports what it uses."""
    for test in examples_of(name):
        runner = doctest.DocTestRunner(optionflags=FLAGS)
        report: list[str] = []
        runner.run(test, out=report.append)
        assert runner.failures == 0, "".join(report)


@pytest.mark.parametrize("name", ["pmap", "pimap", "pchunked", "options", "cpu_count"])
def test_docstring_has_an_example(name: str) -> None:
    """What a newcomer looks up shows how it is used."""
    assert examples_of(name)


def test_package_docstring() -> None:
    """So does the package itself, if it shows anything."""
    result = doctest.testmod(parmap, optionflags=FLAGS)
    assert result.failed == 0
