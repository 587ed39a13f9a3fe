"""What is logged and warned of by items reaches the caller as from the loop: once, by its handlers and filters."""

import io
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from parmap import WorkerCrashError, pmap
from tests.contract.helpers import said

log = logging.getLogger("tests.reports")


class Kept(logging.Handler):
    """Keeps the records that it gets."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keeps one."""
        self.records.append(record)

    def texts(self) -> list[str]:
        """What they say, in order of the alphabet."""
        return sorted(record.getMessage() for record in self.records)


@pytest.fixture
def kept() -> Iterator[Kept]:
    """A handler of the logger above."""
    handler = Kept()
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler
    log.removeHandler(handler)
    log.setLevel(logging.NOTSET)


def note(item: int) -> int:
    """Logs at three levels."""
    log.debug("debug %d", item)
    log.info("info %d", item, extra={"item": item, "lock": _Stubborn()})
    logging.getLogger("tests.reports.child").warning("child %d", item)
    return item


class _Stubborn:
    def __reduce__(self) -> Any:
        raise TypeError("not to be pickled")

    def __str__(self) -> str:
        return "stubborn"


def test_records_arrive_once_at_the_callers_level(backend: str, kept: Kept) -> None:
    """Nothing twice, nothing below the level, children through their parents; fields that cannot travel as text."""
    assert pmap(note, range(5), backend=backend, workers=2) == list(range(5))
    expected = [f"child {n}" for n in range(5)] + [f"info {n}" for n in range(5)]
    assert kept.texts() == expected
    infos = [record for record in kept.records if record.levelno == logging.INFO]
    assert sorted(vars(record)["item"] for record in infos) == list(range(5))
    assert {str(vars(record)["lock"]) for record in infos} == {"stubborn"}
    assert {record.name for record in infos} == {"tests.reports"}
    assert {record.filename for record in kept.records} == {"test_reports.py"}


def test_a_level_that_changes_is_followed(backend: str, kept: Kept) -> None:
    """By workers that are warm, in both directions."""
    for level, count in [(logging.DEBUG, 6), (logging.WARNING, 2), (logging.NOTSET, 2), (logging.INFO, 4)]:
        log.setLevel(level)
        kept.records.clear()
        pmap(note, range(2), backend=backend, workers=2)
        assert len(kept.records) == count
    logging.disable(logging.CRITICAL)
    try:
        kept.records.clear()
        pmap(note, range(2), backend=backend, workers=2)
        assert not kept.records
    finally:
        logging.disable(logging.NOTSET)


def fail_and_log(item: int) -> int:
    """Logs an exception with its traceback."""
    try:
        return 1 // (item - item)
    except ZeroDivisionError:
        log.exception("oops")
        return item


def test_a_traceback_is_logged(backend: str, kept: Kept) -> None:
    """As text, where the exception cannot be there itself."""
    pmap(fail_and_log, [1], backend=backend)
    (record,) = kept.records
    text = logging.Formatter().format(record)
    assert "ZeroDivisionError" in text
    assert "fail_and_log" in text


def log_from_a_fork(item: int) -> int:
    """Logs from a process that is not the worker."""
    child = os.fork()
    if not child:
        logging.getLogger("tests.reports").warning("from the fork")
        os._exit(0)
    os.waitpid(child, 0)
    return item


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing can be forked here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_of_a_worker_does_not_use_its_link() -> None:
    """The call is right, whatever becomes of the record."""
    assert pmap(log_from_a_fork, range(4), backend="process", workers=2) == list(range(4))


def test_records_of_nested_workers(kept: Kept) -> None:
    """They come up through the worker that they work for."""
    assert pmap(_nested, range(2), backend="process", workers=2) == [[0, 1], [0, 1]]
    assert kept.texts() == sorted(["child 0", "child 1", "info 0", "info 1"] * 2)


def _nested(item: int) -> list[int]:
    return pmap(note, range(2), backend="process", workers=1)


# --- warnings ---


def warn(item: int) -> int:
    """Warns."""
    warnings.warn("it is old", DeprecationWarning, stacklevel=1)
    return item


class CustomWarning(UserWarning):
    """A warning of the user's own."""


def warn_custom(item: int) -> int:
    """Warns with a class of its own, another text for each item."""
    warnings.warn(CustomWarning(f"item {item}"), stacklevel=1)
    return item


@pytest.mark.parametrize(("action", "count"), [("ignore", 0), ("default", 1), ("once", 1), ("always", 12)])
def test_warnings_obey_the_callers_filters(backend: str, action: Any, count: int) -> None:
    """As many as from the loop, however many workers there are; also the second time."""
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter(action)
            assert pmap(warn, range(12), backend=backend, workers=2, chunksize=1) == list(range(12))
        assert [str(each.message) for each in caught] == ["it is old"] * count
        assert {each.category for each in caught} <= {DeprecationWarning}
        assert {os.path.basename(each.filename) for each in caught} <= {"test_reports.py"}


def test_an_error_by_the_filters_is_one_of_the_item(backend: str) -> None:
    """It is raised where the loop would raise it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DeprecationWarning, match="it is old"):
            pmap(warn, range(3), backend=backend, workers=2)


def test_a_class_of_the_users_own(backend: str) -> None:
    """It arrives as what it is."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        pmap(warn_custom, range(3), backend=backend, workers=2)
    assert sorted(str(each.message) for each in caught) == ["item 0", "item 1", "item 2"]
    assert {each.category for each in caught} == {CustomWarning}


def test_pytest_sees_them(backend: str) -> None:
    """A test tool that takes the place of the warning's printer gets them."""
    with pytest.warns(CustomWarning, match="item 1"):
        pmap(warn_custom, [1], backend=backend)


# --- a worker that dies while it is starting ---


class DiesWhenRebuilt:
    """Ends the process that rebuilds it, with words from Python and from below it."""

    def __reduce__(self) -> Any:
        return exec, ("import os, sys; print('last words', file=sys.stderr); os.write(2, b'from C\\n'); os._exit(4)",)


def test_a_worker_that_dies_while_starting_shows_what_it_wrote(capfd: pytest.CaptureFixture[str]) -> None:
    """Five deaths in a row are an error, not a loop."""
    trap = DiesWhenRebuilt()
    with pytest.raises(WorkerCrashError) as caught:
        pmap(lambda item: (item, trap), [1], backend="process", workers=1)
    assert caught.value.index is None
    assert caught.value.exitcode == 4
    assert "last words" in caught.value.stderr
    assert "from C" in caught.value.stderr
    assert "exited with code 4 while it was starting" in said(caught.value)


class Mutters:
    """Writes to the standard error of the process that rebuilds it, and goes on."""

    def __reduce__(self) -> Any:
        return eval, ("__import__('os').write(2, b'muttered below Python\\n') and None",)


def test_what_a_starting_worker_writes_is_not_lost(capfd: pytest.CaptureFixture[str]) -> None:
    """When it has started, it is said where it should have been."""
    from parmap import shutdown

    shutdown()
    muttering = Mutters()
    got: list[Any] = pmap(lambda item: (item, muttering), [1], backend="process", workers=1)
    assert got == [(1, None)]
    shutdown()
    assert "muttered below Python" in capfd.readouterr().err


def test_streams_that_were_replaced_get_what_workers_print(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a file in memory."""
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    import sys

    pmap(lambda item: print("to stderr", item, file=sys.stderr), range(2), backend="process", workers=1)
    assert stream.getvalue().splitlines() == ["to stderr 0", "to stderr 1"]
