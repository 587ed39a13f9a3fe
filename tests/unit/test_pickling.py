"""Items and results to bytes and back."""

import functools
import math
import pickle
import threading
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parmap._transport._links import Payload
from parmap._transport._pickling import dump, explain, load, weigh
from parmap._tuning import BUFFER_LIMIT, COPY_BYTE
from tests.unit import travelling


class Point:
    """Goes by its name."""

    def __init__(self, x: int) -> None:
        self.x = x


class OfMain:
    """Stands for a class of the user's script."""


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)


@given(VALUES)
def test_values_come_back(value: object) -> None:
    """Equal, without any buffer beside the pickle."""
    payload = dump(value)
    assert payload.buffers == []
    assert load(payload) == value


def test_large_buffers_stay_where_they_are() -> None:
    """Small ones go with the pickle; large ones are listed, not copied."""
    small, large = np.zeros(BUFFER_LIMIT - 1, "u1"), np.zeros(BUFFER_LIMIT, "u1")
    payload = dump([small, large])
    assert [each.nbytes for each in payload.buffers] == [BUFFER_LIMIT]
    assert np.shares_memory(np.frombuffer(payload.buffers[0], "u1"), large)
    assert len(payload.body) > BUFFER_LIMIT - 1
    assert payload.size == len(payload.body) + BUFFER_LIMIT
    assert [each.nbytes for each in load(payload)] == [BUFFER_LIMIT - 1, BUFFER_LIMIT]


def test_what_occurs_twice_is_sent_once() -> None:
    """And is one object on the other side."""
    array = np.zeros(BUFFER_LIMIT)
    payload = dump([array, array])
    assert len(payload.buffers) == 1
    first, second = load(payload)
    assert first is second


def test_what_plain_pickle_refuses_goes_by_value() -> None:
    """Lambdas and local classes; the buffers of the first try are not sent."""

    class Local:
        def __init__(self, array: Any) -> None:
            self.array = array

    payload = dump([np.zeros(BUFFER_LIMIT), Local(np.ones(BUFFER_LIMIT)), lambda item: item + 1])
    assert len(payload.buffers) == 2
    zeros, local, add = load(payload)
    assert not zeros.any()
    assert local.array.all()
    assert add(1) == 2


def test_what_cannot_be_pickled() -> None:
    """The reducers' own errors come out."""
    with pytest.raises(TypeError, match="lock"):
        dump([threading.Lock()])


def test_names_of_main_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what is of ``__main__`` is asked for, by its name, with dots."""
    asked: list[str] = []

    def find(name: str) -> Any:
        asked.append(name)
        return Point

    pickled = pickle.dumps([Point(3), abs, 1.5], 4).replace(Point.__module__.encode(), b"__main__")
    pickled = pickled.replace(bytes([0x8C, len(Point.__module__)]) + b"__main__", bytes([0x8C, 8]) + b"__main__")
    pickled = pickled[:2] + pickled[11:]  # the frame has another length now
    point, function, number = load(Payload(pickled, []), find)
    assert (type(point), point.x, function, number) == (Point, 3, abs, 1.5)
    assert asked == ["Point"]


def test_what_is_not_of_main_is_not_asked_for() -> None:
    """It is imported."""

    def find(name: str) -> Any:
        raise AssertionError(name)

    assert isinstance(load(dump(Point(3)), find), Point)


def test_buffers_with_find() -> None:
    """They arrive this way too."""
    assert load(dump(np.arange(BUFFER_LIMIT)), find=lambda name: None)[-1] == BUFFER_LIMIT - 1


def test_main_is_there_without_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the caller's own process the names are what they are."""
    main = types.ModuleType("__main__")
    main.OfMain = OfMain  # type: ignore[attr-defined]
    monkeypatch.setitem(__import__("sys").modules, "__main__", main)
    monkeypatch.setattr(OfMain, "__module__", "__main__")
    payload = dump(OfMain())
    assert b"__main__" in payload.body
    assert isinstance(load(payload), OfMain)


# --- explaining ---


def lock() -> Any:
    """What cannot be pickled."""
    return threading.Lock()


def function_with_default(item: int, tool: Any = lock()) -> int:  # noqa: B008
    """Its default is the trouble."""
    return item


def closure(tool: Any) -> Callable[[], Any]:
    """Its variable is the trouble."""
    return lambda: tool


TOOL = lock()


def uses_global() -> Any:
    """Its global is the trouble."""
    return TOOL


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lock, "x"),
        (lambda: [1, lock()], "x[1]"),
        (lambda: (1, 2, lock()), "x[2]"),
        (lambda: {"a": 1, "b": lock()}, "x['b']"),
        (lambda: {3: [lock()]}, "x[3][0]"),
        (lambda: travelling.Holder(lock()), "x.part"),
        (lambda: travelling.Holder([travelling.Holder(lock())]), "x.part[0].part"),
        (lambda: travelling.Holder(lock()).method, "x.__self__.part"),
        (lambda: functools.partial(print, 1, lock()), "x.args[1]"),
        (lambda: functools.partial(print, end=lock()), "x.keywords['end']"),
        (lambda: closure(lock()), "x.<closure 'tool'>"),
        (lambda: lambda tool=lock(): tool, "x.<default 0>"),  # noqa: B008
        (lambda: type("Local", (), {"tool": lock()}), "x.tool"),
        (lambda: (item for item in "ab"), "x"),
    ],
)
def test_the_path_to_the_part(make: Callable[[], Any], path: str) -> None:
    """Through containers, attributes, closures, defaults, partials, methods and classes."""
    value = make()
    with pytest.raises((TypeError, pickle.PicklingError)) as caught:
        dump(value)
    assert explain(value, "x", caught.value).startswith(f"{path}: TypeError: cannot pickle")


def test_cycles_end() -> None:
    """A structure that contains itself is searched once."""
    value: list[Any] = []
    holder = travelling.Holder(value)
    value += [value, holder, lock()]
    with pytest.raises(TypeError) as caught:
        dump(value)
    assert "x" in explain(value, "x", caught.value)


def test_depth_is_bounded() -> None:
    """Very deep down, the path leads at least part of the way."""
    value = lock()
    for _ in range(50):
        value = [value]
    assert explain(value, "x", TypeError("cannot pickle")).startswith("x[0][0][0]")


class Explodes:
    """Refuses in its own way."""

    def __reduce__(self) -> str:
        raise RuntimeError("not me")


def test_errors_of_reducers_are_told() -> None:
    """With their type and text."""
    with pytest.raises(RuntimeError) as caught:
        dump([Explodes()])
    assert explain([Explodes()], "x", caught.value) == "x[0]: RuntimeError: not me"


def test_slots_are_looked_into() -> None:
    """A part that is kept in a slot is named like any other."""
    value = Slotted(lock())
    with pytest.raises(TypeError) as caught:
        dump(value)
    assert explain(value, "x", caught.value).startswith("x.tool: TypeError")


class Slotted:
    """Has no ``__dict__``."""

    __slots__ = ("tool",)

    def __init__(self, tool: Any) -> None:
        self.tool = tool


# --- weighing ---


def test_weighing_counts_bytes_and_time() -> None:
    """Buffers that stay beside the pickle are counted too, and nothing is copied."""
    light, heavy = weigh(1, 1.0), weigh(bytearray(10_000_000), 1.0)
    assert 0 <= light < 0.01
    assert heavy >= 10_000_000 * COPY_BYTE


def test_weighing_ends_at_its_limit() -> None:
    """What takes longer is too heavy, whatever it weighs."""
    assert weigh([[number] for number in range(300_000)], 0.0) == math.inf


def test_weighing_by_value() -> None:
    """What goes by cloudpickle can be weighed."""
    assert weigh(lambda: None, 1.0) < math.inf


def test_weighing_what_cannot_travel() -> None:
    """It says so as pickling does."""
    with pytest.raises(TypeError, match="pickle"):
        weigh(threading.Lock(), 1.0)
