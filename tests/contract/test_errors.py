"""Errors come out as the loop's would: same type, same arguments, in the same place; and they say which item failed."""

import re
import time
import traceback
from typing import Any

import pytest

from parmap import pimap, pmap
from tests.contract.conftest import Mapper
from tests.contract.helpers import Ledger, notes, said


class AppError(Exception):
    """An application's error with a field of its own."""

    def __init__(self, text: str, code: int = 0) -> None:
        super().__init__(text)
        self.code = code


def helper_that_raises(item: int) -> int:
    """A function of the user's, deeper than the one that is mapped."""
    if item == 5:
        error = AppError("five is bad", 42)
        error.add_note("a note of the user's")
        raise error
    return item


def fails_at_five(item: int) -> int:
    """Fails one call deeper."""
    return helper_that_raises(item)


def test_type_arguments_and_fields(backend: str, mapper: Mapper) -> None:
    """The error has the type, arguments and attributes it was raised with."""
    with pytest.raises(AppError) as caught:
        mapper(fails_at_five, range(20), backend=backend, workers=2)
    assert type(caught.value) is AppError
    assert caught.value.args == ("five is bad",)


def test_fields_set_after_construction(backend: str, mapper: Mapper) -> None:
    """Attributes that were set on the error object are kept."""

    def fail(item: int) -> int:
        error = ValueError("text")
        error.code = 28  # type: ignore[attr-defined]
        raise error

    with pytest.raises(ValueError, match="text") as caught:
        mapper(fail, range(3), backend=backend, workers=2)
    assert caught.value.code == 28  # type: ignore[attr-defined]


@pytest.mark.parametrize("cause", [KeyError("missing"), OSError(2, "no such file"), AppError("below", 3)])
def test_cause_is_kept(backend: str, mapper: Mapper, cause: Exception) -> None:
    """``raise … from …`` keeps its cause."""

    def fail(item: int) -> int:
        if item == 5:
            raise AppError("wrapped", 7) from cause
        return item

    with pytest.raises(AppError) as caught:
        mapper(fail, range(20), backend=backend, workers=2)
    found = caught.value.__cause__
    assert found is not None
    assert (type(found), found.args) == (type(cause), cause.args)


def test_notes_of_the_user_are_kept(backend: str, mapper: Mapper) -> None:
    """The user's own notes come first and unchanged."""
    with pytest.raises(AppError) as caught:
        mapper(fails_at_five, range(20), backend=backend, workers=2)
    assert notes(caught.value)[0] == "a note of the user's"


def test_note_names_item_arguments_and_worker(backend: str, mapper: Mapper) -> None:
    """Exactly one note says the index, the arguments, and who ran the item."""

    def fail(word: str) -> str:
        if word == "word 5":
            raise AppError("bad word")
        return word

    with pytest.raises(AppError) as caught:
        mapper(fail, [f"word {n}" for n in range(20)], backend=backend, workers=2)
    [note] = [each for each in notes(caught.value) if "item 5" in each]
    assert "'word 5'" in note
    assert re.search(r"(?i)worker|process|thread|caller", note.replace("'word 5'", ""))


def test_note_shows_all_arguments(backend: str, mapper: Mapper) -> None:
    """With several iterables the note shows each argument."""

    def fail(number: int, word: str) -> None:
        raise AppError("bad pair")

    with pytest.raises(AppError) as caught:
        mapper(fail, [12345], ["some word"], backend=backend, workers=2)
    [note] = [each for each in notes(caught.value) if "item 0" in each]
    assert "12345" in note
    assert "'some word'" in note


@pytest.mark.parametrize("item", ["x" * 1_000_000, list(range(200_000)), {"key": b"y" * 1_000_000}])
def test_note_is_short(backend: str, item: object) -> None:
    """However long the arguments are, the note is not."""

    def fail(item: object) -> None:
        raise AppError("too much")

    with pytest.raises(AppError) as caught:
        pmap(fail, [item], backend=backend, workers=2)
    assert "item 0" in "".join(notes(caught.value))
    assert len("".join(notes(caught.value))) < 2000


class BadRepr:
    """An item whose ``repr`` raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def test_item_whose_repr_raises(backend: str, mapper: Mapper) -> None:
    """A broken ``repr`` does not hide the error."""

    def fail(item: object) -> None:
        raise AppError("the real error")

    with pytest.raises(AppError, match="the real error") as caught:
        mapper(fail, [BadRepr()], backend=backend, workers=2)
    assert "item 0" in "".join(notes(caught.value))


def test_the_items_repr_is_not_taken_after_success(backend: str, mapper: Mapper) -> None:
    """Nobody asks for the ``repr`` of items that went well."""
    assert mapper(type, [BadRepr()] * 3, backend=backend, workers=2) == [BadRepr] * 3


def test_traceback_leads_to_the_users_line(backend: str, mapper: Mapper) -> None:
    """The printed traceback names the function of the user's that raised, wherever it ran."""
    with pytest.raises(AppError) as caught:
        mapper(fails_at_five, range(20), backend=backend, workers=2)
    printed = "".join(traceback.format_exception(caught.value))
    assert "helper_that_raises" in printed
    assert "raise error" in printed


def test_the_first_item_in_input_order_wins(backend: str, mapper: Mapper) -> None:
    """When a later item fails sooner, the error is still the one that the loop would have raised."""

    def fail(item: int) -> int:
        if item == 2:
            time.sleep(0.3)
            raise ValueError("the loop's error")
        if item == 3:
            raise KeyError("a later item")
        return item

    with pytest.raises(ValueError, match="the loop's error"):
        mapper(fail, range(10), backend=backend, workers=2, chunksize=1)


@pytest.mark.parametrize("chunksize", [None, 1])
@pytest.mark.parametrize("workers", [2, 16])
def test_the_first_item_in_input_order_wins_every_time(backend: str, workers: int, chunksize: int | None) -> None:
    """Items before the one that failed are still run to their end, also those that were only dealt out by then."""

    def fail(item: int) -> int:
        if item in (3, 17, 20, 23, 26, 29):
            raise ValueError(item)
        return item

    first = set()
    for _ in range(100):
        with pytest.raises(ValueError, match=r"^\d+") as caught:
            pmap(fail, range(31), backend=backend, workers=workers, chunksize=chunksize)
        first.add(caught.value.args)
    assert first == {(3,)}


@pytest.mark.parametrize("chunksize", [None, 1, 1000])
def test_first_error_stops_new_items(backend: str, mapper: Mapper, chunksize: int | None, ledger: Ledger) -> None:
    """After the first error no new item is started, not even in the chunks that were dealt out."""

    def work(item: int) -> int:
        ledger.write(item)
        if item == 5:
            raise AppError("stop")
        time.sleep(0.005)
        return item

    with pytest.raises(AppError):
        mapper(work, range(1000), backend=backend, workers=2, chunksize=chunksize)
    started = len(ledger.lines())
    assert started < 200
    assert pmap(abs, range(50), backend=backend, workers=2) == list(range(50))
    assert len(ledger.lines()) <= started + 2


def test_error_does_not_wait_for_long_items_of_other_processes() -> None:
    """The error of item 0 comes out although item 1 would run for minutes."""

    def work(item: int) -> int:
        if item == 0:
            raise AppError("at once")
        time.sleep(300)
        return item

    started = time.monotonic()
    with pytest.raises(AppError):
        pmap(work, range(4), backend="process", workers=2, chunksize=1)
    assert time.monotonic() - started < 30


def test_pimap_yields_what_comes_before_the_error(backend: str) -> None:
    """The results of the earlier items come first, then the error, then the end."""
    results = pimap(fails_at_five, range(20), backend=backend, workers=2)
    assert [next(results) for _ in range(5)] == list(range(5))
    with pytest.raises(AppError):
        next(results)
    assert list(results) == []


@pytest.mark.parametrize("chunksize", [None, 1, 4])
def test_return_exceptions_keeps_places(backend: str, mapper: Mapper, chunksize: int | None) -> None:
    """The failure takes its item's place, and all the others are kept."""

    def invert(item: int) -> float:
        return 1 / (item % 7)

    results = mapper(invert, range(100), backend=backend, workers=2, chunksize=chunksize, return_exceptions=True)
    assert len(results) == 100
    for item, result in enumerate(results):
        if item % 7 == 0:
            assert type(result) is ZeroDivisionError
            assert result.args == ("division by zero",)
        else:
            assert result == 1 / (item % 7)


def test_return_exceptions_all_fail(backend: str, mapper: Mapper) -> None:
    """All items may fail."""

    def fail(item: int) -> None:
        raise AppError(f"no {item}", item)

    results = mapper(fail, range(30), backend=backend, workers=2, return_exceptions=True)
    assert [result.args for result in results] == [(f"no {item}",) for item in range(30)]


def test_the_next_call_works(backend: str, mapper: Mapper) -> None:
    """After errors, again and again, the next call is as good as new."""
    for _ in range(5):
        with pytest.raises(AppError):
            mapper(fails_at_five, range(20), backend=backend, workers=2)
        assert mapper(abs, range(-10, 0), backend=backend, workers=2) == list(range(10, 0, -1))


class AppBaseError(BaseException):
    """Not an ``Exception``."""


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit, AppBaseError])
def test_base_exceptions_of_an_item(backend: str, mapper: Mapper, kind: type[BaseException]) -> None:
    """What ends a loop ends a map: these too come out with their type and arguments."""

    def fail(item: int) -> int:
        if item == 5:
            raise kind("from item")
        return item

    with pytest.raises(kind) as caught:
        mapper(fail, range(20), backend=backend, workers=2)
    assert type(caught.value) is kind
    assert caught.value.args == ("from item",)
    assert mapper(abs, range(10), backend=backend, workers=2) == list(range(10))


ERRORS: list[Exception] = [
    StopAsyncIteration(),
    OSError(2, "no such file", "name"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad byte"),
    RecursionError("deep"),
    MemoryError(),
    AssertionError(),
    Exception(),
    ImportError("no module", name="nothing"),
    TimeoutError("slow"),
    EOFError("end"),
    BrokenPipeError(32, "pipe"),
    ConnectionResetError(104, "reset"),
]


def test_errors_of_every_kind(backend: str) -> None:
    """Errors that a library may be tempted to take for its own come out as the item's."""
    for error in ERRORS:

        def fail(item: int, error: Exception = error) -> int:
            if item == 1:
                raise error
            return item

        with pytest.raises(type(error)) as caught:
            pmap(fail, range(3), backend=backend, workers=2)
        assert type(caught.value) is type(error)
        assert (caught.value.args, str(caught.value)) == (error.args, str(error))
        assert any("item 1" in note for note in notes(caught.value))


def test_endless_recursion(backend: str, mapper: Mapper) -> None:
    """A recursion that never ends is a ``RecursionError``."""

    def recurse(item: int) -> int:
        return recurse(item) + 1

    with pytest.raises(RecursionError):
        mapper(recurse, range(3), backend=backend, workers=2)


def test_exception_group(backend: str, mapper: Mapper) -> None:
    """A group keeps its members and theirs."""

    def fail(item: int) -> int:
        raise ExceptionGroup("several", [ValueError(1), ExceptionGroup("inner", [KeyError(2)])])

    with pytest.raises(ExceptionGroup) as caught:
        mapper(fail, range(3), backend=backend, workers=2)
    group: ExceptionGroup[Any] = caught.value
    first, inner = group.exceptions
    assert (type(first), first.args) == (ValueError, (1,))
    assert isinstance(inner, ExceptionGroup)
    assert inner.exceptions[0].args == (2,)


# --- StopIteration ---


def stop_at_five(item: int) -> int:
    """Raises ``StopIteration``, as a careless ``next()`` does."""
    return next(iter([])) if item == 5 else item


def test_stop_iteration_from_pmap(backend: str) -> None:
    """``pmap`` lets it out, as a list comprehension does; the list is never cut short."""
    with pytest.raises(StopIteration):
        pmap(stop_at_five, range(20), backend=backend, workers=2)


@pytest.mark.parametrize("ordered", [True, False])
def test_stop_iteration_from_pimap(backend: str, ordered: bool) -> None:
    """``pimap`` turns it into ``RuntimeError``, as a generator expression does; the results are never cut short."""
    with pytest.raises(RuntimeError) as caught:
        list(pimap(stop_at_five, range(20), backend=backend, workers=2, ordered=ordered))
    assert isinstance(caught.value.__cause__, StopIteration)


def test_stop_iteration_with_return_exceptions(backend: str, mapper: Mapper) -> None:
    """Among the results it is an error like others."""
    results = mapper(stop_at_five, range(10), backend=backend, workers=2, return_exceptions=True)
    assert [type(result) for result in results] == [StopIteration if n == 5 else int for n in range(10)]


def test_error_says_its_reason_and_its_item(backend: str) -> None:
    """What a user reads holds the text of the error and the item."""
    with pytest.raises(AppError) as caught:
        pmap(fails_at_five, range(20), backend=backend, workers=2)
    assert "five is bad" in said(caught.value)
    assert "item 5" in said(caught.value)
