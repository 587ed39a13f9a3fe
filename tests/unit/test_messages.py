"""The errors and their texts: they survive pickling, and say what was given, what happened and what to do."""

import copy
import pickle
import signal
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parmap import _errors
from parmap._errors import (
    FallbackWarning,
    ItemTimeoutError,
    ParmapError,
    SerializationError,
    WorkerCrashError,
    describe_exit,
    note_item,
    shorten,
    show_arguments,
)
from parmap._records import Failure
from parmap._tuning import REPR_LIMIT

ERRORS: list[Exception] = [
    ParmapError("text"),
    WorkerCrashError(3, "'x'", -9),
    WorkerCrashError(3, "'x'", 3),
    WorkerCrashError(3, "'x'", None),
    WorkerCrashError(None, "", 1, "ModuleNotFoundError: no module"),
    ItemTimeoutError(3, "'x'", 1.5),
    SerializationError("the result of item 3", "TypeError: cannot pickle 'generator' object"),
    FallbackWarning("this call runs as a plain loop"),
]


def test_no_error_is_missing_here() -> None:
    """Every class of the module is in the list above."""
    classes = {
        each for each in vars(_errors).values() if isinstance(each, type) and each.__module__ == _errors.__name__
    }
    public = {each for each in vars(_errors).values() if isinstance(each, type) and issubclass(each, BaseException)}
    assert classes | public == {type(error) for error in ERRORS}


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_errors_survive_pickling(error: Exception, protocol: int) -> None:
    """With type, text, arguments, fields and notes."""
    original = copy.copy(error)
    original.add_note("a note")
    found = pickle.loads(pickle.dumps(original, protocol))
    assert type(found) is type(error)
    assert (str(found), found.args, vars(found)) == (str(error), error.args, vars(original))


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_errors_survive_copying(error: Exception) -> None:
    """As some frameworks do before they raise again."""
    found = copy.deepcopy(error)
    assert (type(found), str(found), vars(found)) == (type(error), str(error), vars(error))


def test_the_tree() -> None:
    """What ``except`` clauses rely on."""
    assert issubclass(WorkerCrashError, ParmapError)
    assert issubclass(SerializationError, ParmapError)
    assert issubclass(ItemTimeoutError, ParmapError)
    assert issubclass(ItemTimeoutError, TimeoutError)
    assert issubclass(FallbackWarning, RuntimeWarning)


def test_a_timeout_is_no_failed_system_call() -> None:
    """``TimeoutError`` is an ``OSError``; the item's number is not taken for an ``errno``, nor the limit for a file."""
    error: Any = ItemTimeoutError(4, "'x'", 1.5)
    assert error.errno is None
    assert error.filename is None
    assert error.args == (4, "'x'", 1.5)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (WorkerCrashError(3, "'x'", -9), ["item 3 ('x')", "SIGKILL", "out-of-memory", "return_exceptions=True"]),
        (WorkerCrashError(3, "'x'", -11), ["SIGSEGV", "C code"]),
        (WorkerCrashError(3, "'x'", -6), ["SIGABRT", "abort()"]),
        (WorkerCrashError(3, "'x'", -15), ["SIGTERM", "signal from outside"]),
        (WorkerCrashError(3, "'x'", 7), ["exited with code 7", "os._exit()"]),
        (WorkerCrashError(3, "'x'", 0), ["exited with code 0", "os._exit()"]),
        (WorkerCrashError(3, "'x'", None), ["ended in an unknown way", "a crash"]),
        (WorkerCrashError(None, "", 1), ["exited with code 1 while it was starting"]),
        (WorkerCrashError(None, "", 1, "no module"), ["while it was starting; it wrote:\nno module"]),
        (ItemTimeoutError(3, "'x'", 1.5), ["item 3 ('x')", "timeout=1.5 seconds"]),
        (ItemTimeoutError(3, "'x'", 60.0), ["timeout=60 seconds"]),
        (SerializationError("the function f", "func.<closure 'lock'>"), ["the function f", "func.<closure 'lock'>"]),
    ],
    ids=str,
)
def test_what_errors_say(error: Exception, words: list[str]) -> None:
    """Which item, what happened, and what to do."""
    for word in words:
        assert word in str(error)


@given(st.none() | st.integers(-300, 300))
def test_any_exit_can_be_described(exitcode: int | None) -> None:
    """Also by signals that have no name."""
    text = describe_exit(exitcode)
    assert text
    if exitcode in (-signal.SIGTERM, -signal.SIGKILL):
        assert signal.Signals(-exitcode).name in text
    assert str(WorkerCrashError(0, "", exitcode))


# --- arguments ---


@given(st.text(max_size=20) | st.integers() | st.lists(st.integers(), max_size=4) | st.none() | st.booleans())
def test_small_values_show_as_they_are(value: object) -> None:
    """As in a traceback."""
    if "  " not in repr(value):  # white space is brought to one line
        assert shorten(value) == repr(value)


@given(
    st.recursive(
        st.text() | st.integers() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    )
)
def test_shown_values_are_short(value: object) -> None:
    """And on one line."""
    shown = shorten(value)
    assert len(shown) <= REPR_LIMIT
    assert "\n" not in shown


class Odd:
    """Its ``repr`` is what it was made with."""

    def __init__(self, represent: Callable[[], Any]) -> None:
        self.represent = represent

    def __repr__(self) -> str:
        return self.represent()  # type: ignore[no-any-return]


def explode() -> str:
    """A ``repr`` that raises."""
    raise ValueError("no repr")


@pytest.mark.parametrize("value", [Odd(explode), Odd(lambda: 3), [Odd(explode)], 10**5000], ids=lambda _: "")
def test_values_that_cannot_be_shown(value: object) -> None:
    """Something is said of them."""
    assert 0 < len(shorten(value)) <= REPR_LIMIT


def test_long_and_many_lined() -> None:
    """Both ends of a long text are shown; lines are joined."""
    assert shorten("x" * 10_000 + "end").endswith("end'")
    assert shorten(Odd(lambda: "a\n   b")) == "a b"
    assert shorten(Odd(lambda: "x" * 1000)).startswith("xxx")


def test_arguments() -> None:
    """Several iterables make several arguments; a tuple among the items stays one."""
    assert show_arguments((3, "a"), packed=True) == "3, 'a'"
    assert show_arguments((3, "a"), packed=False) == "(3, 'a')"
    assert show_arguments(3, packed=False) == "3"


def test_the_note() -> None:
    """Which item, with which arguments, and where."""
    error = ValueError()
    note_item(Failure(7, error, "worker 2 (process 99)"), "'x'")
    assert error.__notes__ == ["parmap: item 7 ('x') in worker 2 (process 99)"]
