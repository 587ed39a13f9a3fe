"""Errors of the input come out as the loop's would: the same object, after the results of the items before it."""

import itertools
import threading
from collections.abc import Iterable, Iterator

import pytest

from parmap import pimap, pmap
from tests.contract.conftest import Mapper
from tests.contract.helpers import notes


class InputError(Exception):
    """An error of the input, with an identity to check."""


def failing_input(good: int, error: BaseException) -> Iterator[int]:
    """Gives ``good`` items and then fails."""
    yield from range(good)
    raise error


INPUT_SIZES = [0, 1, 50, 3000]


@pytest.mark.parametrize("good", INPUT_SIZES)
@pytest.mark.parametrize("return_exceptions", [False, True])
def test_input_error_from_pmap(backend: str, good: int, return_exceptions: bool) -> None:
    """``pmap`` raises the input's own error object, and never gives a shorter list."""
    error = InputError("input broke")
    with pytest.raises(InputError) as caught:
        pmap(abs, failing_input(good, error), backend=backend, workers=2, return_exceptions=return_exceptions)
    assert caught.value is error
    assert not any("item" in note for note in notes(error))


@pytest.mark.parametrize("good", INPUT_SIZES)
@pytest.mark.parametrize("chunksize", [None, 7])
def test_input_error_from_pimap(backend: str, good: int, chunksize: int | None) -> None:
    """``pimap`` yields the results of all the items there were, then raises the input's own error."""
    error = InputError("input broke")
    results = pimap(abs, failing_input(good, error), backend=backend, workers=2, chunksize=chunksize)
    assert list(itertools.islice(results, good)) == list(range(good))
    with pytest.raises(InputError) as caught:
        next(results)
    assert caught.value is error


def test_input_error_from_unordered_pimap(backend: str) -> None:
    """Without order too, all the results come before the input's error."""
    results = pimap(abs, failing_input(50, InputError()), backend=backend, workers=2, ordered=False)
    assert sorted(itertools.islice(results, 50)) == list(range(50))
    with pytest.raises(InputError):
        next(results)


def test_item_error_before_the_inputs(backend: str, mapper: Mapper) -> None:
    """When an item fails and the input fails after it, the item's error comes out, as in the loop."""

    def fail(item: int) -> int:
        if item == 5:
            raise KeyError("five is bad")
        return item

    with pytest.raises(KeyError, match="five is bad") as caught:
        mapper(fail, failing_input(8, InputError()), backend=backend, workers=2)
    assert type(caught.value) is KeyError


def test_keyboard_interrupt_in_the_input(backend: str, mapper: Mapper) -> None:
    """An input that raises what is not an ``Exception`` is no exception."""
    with pytest.raises(KeyboardInterrupt):
        mapper(abs, failing_input(5, KeyboardInterrupt()), backend=backend, workers=2)


class BadIter:
    """An iterable that cannot be started."""

    def __iter__(self) -> Iterator[int]:
        raise InputError("cannot start")


def test_iterable_that_cannot_be_started(backend: str, mapper: Mapper) -> None:
    """The error of ``iter()`` comes out."""
    with pytest.raises(InputError, match="cannot start"):
        mapper(abs, BadIter(), backend=backend, workers=2)


class BadLength:
    """An iterable whose ``__len__`` raises."""

    def __len__(self) -> int:
        raise InputError("no length")

    def __iter__(self) -> Iterator[int]:
        return iter(range(5))


@pytest.mark.parametrize("second", [False, True])
def test_iterable_whose_len_raises(backend: str, mapper: Mapper, second: bool) -> None:
    """A loop never asks for the length, so a broken one does not matter."""
    items: tuple[Iterable[int], ...] = (range(5), BadLength()) if second else (BadLength(),)
    assert mapper(max, *items, [0] * 5, backend=backend, workers=2) == list(range(5))


def test_input_is_drawn_by_one_thread(backend: str, mapper: Mapper) -> None:
    """A generator is never entered twice at once, and is entered from the caller's thread, as in the loop."""

    def thread_bound() -> Iterator[int]:
        home = threading.get_ident()
        for item in range(300):
            assert threading.get_ident() == home
            yield item

    assert mapper(abs, thread_bound(), backend=backend, workers=2) == list(range(300))
