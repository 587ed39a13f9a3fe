"""Exceptions taken apart and put together again: nothing is lost on the way, and nothing raises."""

import pickle
import threading
from typing import Any

import numpy as np
import pytest

from parmap._errors import SerializationError
from parmap._transport._exceptions import pack_error, unpack_error
from parmap._transport._messages import PackedError


class AppError(Exception):
    """With fields of its own."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text, code)
        self.code = code


class ForgetfulError(Exception):
    """Its constructor wants what its arguments do not say."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


class OtherError(Exception):
    """Comes back as another type."""

    def __reduce__(self) -> tuple[Any, ...]:
        return ValueError, ("not me",)


class MuteError(Exception):
    """Its text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __reduce__(self) -> tuple[Any, ...]:
        raise RuntimeError("no pickle")


def raised(error: BaseException, cause: BaseException | None = None) -> BaseException:
    """The error, with a traceback and perhaps a cause."""
    try:
        if cause is not None:
            raise error from cause
        raise error
    except BaseException as caught:
        return caught


def travel(error: BaseException) -> BaseException:
    """What arrives on the other side, through bytes."""
    packed = pickle.loads(pickle.dumps(pack_error(error), 5))
    assert all(isinstance(each, PackedError) for each in packed)
    return unpack_error(packed, "the error of item 3")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("text"),
        AppError("text", 42),
        OSError(2, "no such file", "name"),
        KeyboardInterrupt("now"),
        SystemExit(3),
        StopIteration(7),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad byte"),
        ExceptionGroup("several", [ValueError(1), KeyError(2)]),
        Exception(),
    ],
    ids=repr,
)
def test_what_arrives(error: BaseException) -> None:
    """Type, arguments, fields and text."""
    found = travel(raised(error))
    assert type(found) is type(error)
    assert (repr(found), str(found), vars(found)) == (repr(error), str(error), vars(error))
    assert found.__cause__ is None


def test_fields_set_later() -> None:
    """They are part of the error."""
    error: Any = ValueError("text")
    error.code = 28
    assert vars(travel(error)) == {"code": 28}


def test_notes() -> None:
    """Once each, in order."""
    error = raised(ValueError("text"))
    error.add_note("first")
    error.add_note("second")
    assert travel(error).__notes__ == ["first", "second"]


def test_cause() -> None:
    """Down to the first."""
    error = raised(ValueError("top"), raised(AppError("middle", 1), OSError(2, "bottom")))
    found = travel(error)
    assert isinstance(found.__cause__, AppError)
    assert found.__cause__.code == 1
    assert isinstance(found.__cause__.__cause__, FileNotFoundError)
    assert found.__suppress_context__


def test_context() -> None:
    """What was being handled, shown or not."""
    try:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second")  # noqa: B904
    except ValueError as error:
        found = travel(error)
    assert found.__cause__ is None
    assert isinstance(found.__context__, KeyError)
    assert not found.__suppress_context__


def test_context_that_is_not_shown() -> None:
    """``raise … from None`` stays so."""
    try:
        try:
            raise KeyError("first")
        except KeyError:
            raise ValueError("second") from None
    except ValueError as error:
        found = travel(error)
    assert found.__suppress_context__
    assert found.__cause__ is None
    assert isinstance(found.__context__, KeyError)


def test_cause_and_context_apart() -> None:
    """Where they are two errors, both arrive."""
    try:
        try:
            raise KeyError("context")
        except KeyError:
            raise ValueError("top") from OSError("cause")
    except ValueError as error:
        found = travel(error)
    assert isinstance(found.__cause__, OSError)
    assert isinstance(found.__context__, KeyError)


def test_chains_that_bite_their_tail() -> None:
    """A cycle is cut."""
    one, two = ValueError("one"), KeyError("two")
    one.__cause__, two.__cause__ = two, one
    found = travel(one)
    assert isinstance(found, ValueError)
    assert isinstance(found.__cause__, KeyError)
    assert found.__cause__.__cause__ is None
    one.__cause__, one.__context__ = None, one
    assert travel(one).__context__ is None


def test_long_chains() -> None:
    """An error at every level of a deep recursion: the error arrives, and at least the nearest of the others."""
    error: BaseException = ValueError("first")
    for number in range(5000):
        following = KeyError(number)
        following.__context__ = error
        error = following
    found = travel(error)
    assert found.args == (4999,)
    assert found.__context__ is not None
    assert found.__context__.args == (4998,)


def test_branching_chains() -> None:
    """An error that is reached by many paths is packed once, or so: not once for each path."""
    error: BaseException = ValueError("first")
    for number in range(10):
        cause, context, following = KeyError(number), OSError(number), ValueError(number)
        cause.__context__ = context.__context__ = error
        following.__cause__, following.__context__ = cause, context
        error = following
    assert len(pickle.dumps(pack_error(error), 5)) < 40_000


@pytest.mark.parametrize(
    "error",
    [
        AppError("a lock", threading.Lock()),  # type: ignore[arg-type]
        ForgetfulError(1, 2),
        OtherError("it is me"),
        MuteError("hidden"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_that_cannot_travel(error: Exception) -> None:
    """Type, text and traceback arrive in words; notes and cause as they are."""
    error.add_note("a note")
    found = travel(raised(error, KeyError("cause")))
    assert isinstance(found, SerializationError)
    assert found.what == "the error of item 3"
    assert type(error).__name__ in found.reason
    assert "in raised" in found.reason
    assert found.__notes__ == ["a note"]
    assert isinstance(found.__cause__, KeyError)


def test_the_text_of_errors_that_cannot_travel() -> None:
    """It is told."""
    assert "1 and 2" in str(travel(ForgetfulError(1, 2)))


def test_local_errors_travel_by_value() -> None:
    """A class that is defined in a function is not found by its name."""

    class Local(Exception):
        pass

    found = travel(Local("text"))
    assert type(found).__name__ == "Local"
    assert found.args == ("text",)


def test_errors_that_hold_a_large_array() -> None:
    """They keep their type: an array is no reason to lose it."""
    found = travel(AppError("array", np.arange(100_000)))  # type: ignore[arg-type]
    assert type(found) is AppError
    assert np.array_equal(found.code, np.arange(100_000))


@pytest.mark.parametrize("notes", [5, None, ("a tuple",), "text"], ids=repr)
def test_odd_notes(notes: Any) -> None:
    """Packing never raises."""
    error = ValueError("text")
    error.__notes__ = notes
    assert isinstance(travel(error), ValueError | SerializationError)


def test_the_traceback_is_the_users() -> None:
    """As text, without the notes, which travel by themselves."""
    error = raised(ValueError("text"))
    error.add_note("a note")
    packed, *_ = pack_error(error)
    assert "in raised" in packed.traceback
    assert packed.traceback.endswith("ValueError: text")
    assert "a note" not in packed.traceback
