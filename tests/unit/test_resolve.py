"""Where options come from: an explicit argument, then ``options(...)``, then the environment, then the default."""

import itertools
import threading
from contextlib import ExitStack
from contextvars import copy_context
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parmap._options import check_chunks, check_iterables, check_merge, default, options, resolve
from parmap._records import Options

DEFAULTS = Options(
    backend="auto",
    workers=None,
    chunksize=None,
    timeout=None,
    retries=0,
    seed=None,
    return_exceptions=False,
    initializer=None,
    strict=False,
    ordered=True,
    buffersize=None,
)
# The parameters of a call to which nothing was given.
NOTHING_GIVEN: dict[str, Any] = {name: default(value) for name, value in DEFAULTS._asdict().items()}


def given_only(**given: Any) -> dict[str, Any]:
    """The parameters of a call to which some were given."""
    return {**NOTHING_GIVEN, **given}


def test_defaults() -> None:
    """Nothing was given anywhere."""
    assert resolve(NOTHING_GIVEN, {}) == DEFAULTS


SOURCES = list(itertools.product([False, True], repeat=3))


@pytest.mark.parametrize(("explicit", "block", "environment"), SOURCES)
@pytest.mark.parametrize(
    ("name", "variable", "texts", "values"),
    [
        ("backend", "PARMAP_BACKEND", "process", ("serial", "thread", "process", "auto")),
        ("workers", "PARMAP_WORKERS", "5", (3, 4, 5, None)),
    ],
)
def test_who_wins(
    *, explicit: bool, block: bool, environment: bool, name: str, variable: str, texts: str, values: tuple[Any, ...]
) -> None:
    """The first of those who said something, in the order of the title."""
    said = (explicit, block, environment, True)
    with ExitStack() as stack:
        if block:
            stack.enter_context(options(**{name: values[1]}))
        given = given_only(**({name: values[0]} if explicit else {}))
        found = resolve(given, {variable: texts} if environment else {})
    assert getattr(found, name) == values[said.index(True)]
    assert resolve(NOTHING_GIVEN, {}) == DEFAULTS


@pytest.mark.parametrize(
    ("name", "value"),
    [("backend", "auto"), ("workers", None), ("ordered", True), ("return_exceptions", False), ("buffersize", None)],
)
def test_an_explicit_default_is_explicit(name: str, value: object) -> None:
    """It wins over a block that says something else."""
    other = {"backend": "thread", "workers": 7, "ordered": False, "return_exceptions": True, "buffersize": 9}[name]
    with options(**{name: other}):
        assert getattr(resolve(given_only(**{name: value}), {}), name) == value
        assert getattr(resolve(NOTHING_GIVEN, {}), name) == other


def test_a_block_may_ask_for_the_default() -> None:
    """It wins over the environment."""
    with options(workers=None, backend="auto"):
        assert resolve(NOTHING_GIVEN, {"PARMAP_WORKERS": "3", "PARMAP_BACKEND": "thread"}) == DEFAULTS


def test_parameters_that_a_map_does_not_have() -> None:
    """``pmap`` has no ``buffersize``: a block's is taken all the same, and nothing is missing."""
    with options(buffersize=3):
        assert resolve({"backend": "serial"}, {}) == DEFAULTS._replace(backend="serial", buffersize=3)


def test_blocks_nest() -> None:
    """The innermost wins, the others shine through, and each ends with its block, by an error too."""
    with options(workers=2, backend="thread"):
        with pytest.raises(KeyError), options(workers=3, chunksize=5):
            assert resolve(NOTHING_GIVEN, {}) == DEFAULTS._replace(workers=3, chunksize=5, backend="thread")
            raise KeyError
        assert resolve(NOTHING_GIVEN, {}) == DEFAULTS._replace(workers=2, backend="thread")
    assert resolve(NOTHING_GIVEN, {}) == DEFAULTS


def test_blocks_are_of_one_thread() -> None:
    """Another thread does not see them; a copy of the context does."""
    found: list[Options] = []
    with options(workers=2):
        thread = threading.Thread(target=lambda: found.append(resolve(NOTHING_GIVEN, {})))
        thread.start()
        thread.join()
        context = copy_context()
    assert found == [DEFAULTS]
    assert context.run(resolve, NOTHING_GIVEN, {}) == DEFAULTS._replace(workers=2)


def test_a_block_that_is_refused_changes_nothing() -> None:
    """Not even the options before the wrong one."""
    with pytest.raises(ValueError, match="workers=0"), options(backend="thread", workers=0):
        pass
    assert resolve(NOTHING_GIVEN, {}) == DEFAULTS


@given(st.integers(1, 10**6), st.sampled_from(["", " ", "\n"]))
def test_numbers_of_the_environment(workers: int, space: str) -> None:
    """Any whole number, with space around it."""
    assert resolve(NOTHING_GIVEN, {"PARMAP_WORKERS": f"{space}{workers}{space}"}).workers == workers


@pytest.mark.parametrize("value", ["0", "-1", "2.5", "many", "1e3", "0x2", "²", "None"])
def test_numbers_that_the_environment_may_not_say(value: str) -> None:
    """The message names the variable and its value."""
    with pytest.raises(ValueError, match="PARMAP_WORKERS=") as caught:
        resolve(NOTHING_GIVEN, {"PARMAP_WORKERS": value})
    assert value in str(caught.value)


def test_an_empty_variable_says_nothing() -> None:
    """As one that is not set."""
    assert resolve(NOTHING_GIVEN, {"PARMAP_WORKERS": "", "PARMAP_BACKEND": ""}) == DEFAULTS


def test_a_backend_that_the_environment_may_not_say() -> None:
    """The message names the variable, its value, what is allowed, and what is near."""
    with pytest.raises(ValueError, match=r"PARMAP_BACKEND='threads'.*'serial'.*did you mean 'thread'"):
        resolve(NOTHING_GIVEN, {"PARMAP_BACKEND": "threads"})


def test_an_unknown_option() -> None:
    """The message lists all that there are, and the nearest."""
    with pytest.raises(TypeError, match=r"'worker'.*backend, workers, .*did you mean 'workers'"), options(worker=3):
        pass


class Index:
    """A whole number of a foreign kind, as NumPy's are."""

    def __index__(self) -> int:
        return 4


@pytest.mark.parametrize("name", ["workers", "chunksize", "buffersize"])
def test_foreign_whole_numbers(name: str) -> None:
    """What can be an index can be a count, and is a plain ``int`` afterwards."""
    found = getattr(resolve(given_only(**{name: Index()}), {}), name)
    assert (type(found), found) == (int, 4)


@pytest.mark.parametrize("name", ["workers", "chunksize", "buffersize"])
@pytest.mark.parametrize("value", [0, -1, 2.5, 2.0, "2", True, False, [], object()], ids=repr)
def test_what_is_no_count(name: str, value: object) -> None:
    """The message names the option, what was given, and what is allowed."""
    with pytest.raises(ValueError, match=f"{name}=.*whole number of at least 1"):
        resolve(given_only(**{name: value}), {})


@pytest.mark.parametrize("name", ["return_exceptions", "strict", "ordered"])
@pytest.mark.parametrize("value", [0, 1, None, "yes"])
def test_what_is_no_flag(name: str, value: object) -> None:
    """Flags are True or False, so that a forgotten comma does not turn one on."""
    with pytest.raises(TypeError, match=f"{name}=.*True or False"):
        resolve(given_only(**{name: value}), {})


def test_the_marked_default_shows_as_the_default() -> None:
    """As ``help()`` and editors print it."""
    assert repr(default("auto")) == "'auto'"


def test_chunks() -> None:
    """``pchunked``'s own option is checked alike."""
    assert check_chunks(default(None)) is None
    assert check_chunks(None) is None
    assert check_chunks(3) == 3
    with pytest.raises(ValueError, match="chunks=0"):
        check_chunks(0)


@pytest.mark.parametrize("merge", [None, "auto", sum])
def test_ways_to_merge(merge: object) -> None:
    """What is allowed."""
    check_merge(merge)


@pytest.mark.parametrize(("merge", "kind"), [("sum", ValueError), (3, TypeError)])
def test_no_way_to_merge(merge: object, kind: type[Exception]) -> None:
    """What is not."""
    with pytest.raises(kind, match="merge="):
        check_merge(merge)


def test_iterables() -> None:
    """One that cannot be iterated over is named by its place; lengths count under ``strict`` alone."""
    with pytest.raises(TypeError, match="iterable 2 is 5"):
        check_iterables(([1], 5), strict=False)
    check_iterables(([1], [1, 2]), strict=False)
    check_iterables(([1], iter([1, 2])), strict=True)
    with pytest.raises(ValueError, match="1, 2"):
        check_iterables(([1], [1, 2]), strict=True)
