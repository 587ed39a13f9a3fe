"""Where an option's value comes from: the argument, then ``options(...)``, then the environment, then the default."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from parmap import options, pchunked, pimap, pmap
from tests.contract.helpers import here

ENVIRONMENT = ("PARMAP_BACKEND", "PARMAP_WORKERS")


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of whoever runs the tests are not there."""
    for name in ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)


def engine(**given: Any) -> str:
    """The engine that a call with these options runs on, as the items see it."""
    mine = here()
    caller, _ = mine.split("-")
    workers = set(pmap(lambda item: here(), range(4), **given))
    if workers == {mine}:
        return "serial"
    return "thread" if {each.split("-")[0] for each in workers} == {caller} else "process"


def chunks(**given: Any) -> int:
    """The number of chunks ``pchunked`` makes by itself: the number of workers."""
    return len(pchunked(len, range(120), merge=None, **given))


@pytest.mark.parametrize("name", ["serial", "thread", "process"])
def test_options_set_the_default(name: str) -> None:
    """A call inside the block runs as the block says."""
    with options(backend=name, workers=2):
        assert engine() == name
    with options(backend=name), options(workers=2):
        assert engine() == name


def test_options_end_with_the_block() -> None:
    """After the block, an error included, the defaults are as before."""
    before = chunks(backend="thread")
    with pytest.raises(KeyError), options(workers=before + 1):
        assert chunks(backend="thread") == before + 1
        raise KeyError
    assert chunks(backend="thread") == before


def test_blocks_nest() -> None:
    """The innermost block wins; what it does not name is the outer one's."""
    with options(backend="thread", workers=3):
        with options(workers=5):
            assert (engine(), chunks()) == ("thread", 5)
            with options(backend="serial"):
                assert (engine(), chunks()) == ("serial", 5)
        assert (engine(), chunks()) == ("thread", 3)


def test_argument_wins_over_options() -> None:
    """What the call says counts."""
    with options(backend="process", workers=3):
        assert engine(backend="serial") == "serial"
        assert chunks(backend="thread", workers=4) == 4


def test_argument_equal_to_the_default_wins() -> None:
    """An argument wins also when it is the value that would be taken without it."""
    with options(return_exceptions=True):
        results: list[object] = [*pmap(lambda n: 1 // n, [0], backend="serial")]
        assert type(results[0]) is ZeroDivisionError
        with pytest.raises(ZeroDivisionError):
            pmap(lambda n: 1 // n, [0], backend="serial", return_exceptions=False)


def test_options_reach_pimap_at_the_call() -> None:
    """``pimap`` takes the defaults of where it was called, not of where it is read."""
    mine = here()
    with options(backend="serial"):
        inside = pimap(lambda item: here(), range(3))
    with options(backend="thread", workers=2):
        assert set(inside) == {mine}


def test_options_reach_what_is_called_below() -> None:
    """A library that calls ``pmap`` somewhere below runs as the application says."""

    def library() -> str:
        return engine()

    with options(backend="thread", workers=2):
        assert library() == "thread"


def test_options_are_of_one_thread() -> None:
    """A block holds for its own thread: two threads in two blocks do not meet."""
    inside = threading.Barrier(2)

    def caller(workers: int) -> int:
        with options(backend="thread", workers=workers):
            inside.wait(60)
            found = chunks()
            inside.wait(60)
        return found

    with options(workers=7), ThreadPoolExecutor(2) as pool:
        assert list(pool.map(caller, [3, 4])) == [3, 4]
        assert chunks() == 7


def test_every_option_can_have_a_default() -> None:
    """Every option of the three maps that has a meaning for later calls is taken."""
    with options(
        backend="thread", workers=2, chunksize=3, return_exceptions=True, strict=True, initializer=int, buffersize=8
    ):
        assert pmap(abs, range(-4, 0)) == [4, 3, 2, 1]
        assert list(pimap(abs, range(-4, 0))) == [4, 3, 2, 1]


def test_unknown_option() -> None:
    """An unknown option is a ``TypeError`` that names it and the known ones."""
    loose: Any = options
    with pytest.raises(TypeError) as caught, loose(wrokers=2):
        pass
    assert "wrokers" in str(caught.value)
    assert "workers" in str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"workers": 0}, ["workers", "0", "1"]),
        ({"chunksize": -3}, ["chunksize", "-3", "1"]),
        ({"backend": "tread"}, ["backend", "'tread'", "thread", "process", "serial", "auto"]),
    ],
)
def test_bad_option(given: dict[str, Any], words: list[str]) -> None:
    """A bad value is found where it is given, not at the calls."""
    loose: Any = options
    with pytest.raises(ValueError, match=words[0]) as caught, loose(**given):
        pytest.fail("the block was entered")
    for word in words:
        assert word in str(caught.value)


# --- the environment ---


@pytest.mark.parametrize("name", ["serial", "thread", "process"])
def test_environment_sets_the_backend(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """``PARMAP_BACKEND`` is the default where nobody says more."""
    monkeypatch.setenv("PARMAP_BACKEND", name)
    assert engine(workers=2) == name


def test_environment_sets_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """``PARMAP_WORKERS`` is the default where nobody says more."""
    monkeypatch.setenv("PARMAP_WORKERS", "5")
    assert chunks(backend="thread") == 5


def test_argument_and_options_win_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment comes last."""
    monkeypatch.setenv("PARMAP_BACKEND", "process")
    monkeypatch.setenv("PARMAP_WORKERS", "5")
    with options(backend="thread", workers=3):
        assert (engine(), chunks()) == ("thread", 3)
        assert (engine(backend="serial"), chunks(workers=2)) == ("serial", 2)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PARMAP_BACKEND", "tread", ["PARMAP_BACKEND", "'tread'", "thread", "process", "serial", "auto"]),
        ("PARMAP_WORKERS", "0", ["PARMAP_WORKERS", "0", "1"]),
        ("PARMAP_WORKERS", "-2", ["PARMAP_WORKERS", "-2", "1"]),
        ("PARMAP_WORKERS", "many", ["PARMAP_WORKERS", "many", "1"]),
        ("PARMAP_WORKERS", "2.5", ["PARMAP_WORKERS", "2.5", "1"]),
    ],
)
def test_bad_environment(monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: list[str]) -> None:
    """A bad value is a ``ValueError`` that names the variable, and nothing runs."""
    monkeypatch.setenv(name, value)
    ran: list[int] = []
    for call in (pmap, pimap, pchunked):
        loose: Any = call
        with pytest.raises(ValueError, match=name) as caught:
            loose(ran.append, range(3))
        for word in words:
            assert word in str(caught.value)
    assert ran == []


def test_processes_inherit_the_environment() -> None:
    """A variable set before the first call is seen in the workers."""
    os.environ["PARMAP_TEST_WORD"] = "seen"
    try:
        assert pmap(os.getenv, ["PARMAP_TEST_WORD"] * 3, backend="process", workers=2) == ["seen"] * 3
    finally:
        del os.environ["PARMAP_TEST_WORD"]
