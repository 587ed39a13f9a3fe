"""What travels by name and what by value, and what is refused with the path to it."""

import abc
import dataclasses
import enum
import functools
import io
import operator
import pickle
import sys
import threading
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from parmap._errors import SerializationError
from parmap._transport import _definitions
from parmap._transport._definitions import dump_by_value, dump_definition
from parmap._transport._exceptions import pack_error
from parmap._transport._pickling import split_buffers
from parmap._transport._tasks import look_up, make_definition
from parmap._tuning import BUFFER_LIMIT
from tests.unit import travelling
from tests.unit.fakes import make_task as task


def by_value(value: Any) -> bytes:
    """The pickle of a value that does not go by name."""
    return bytes(dump_by_value(value, *split_buffers(), back=True).body)


def travel(value: Any) -> Any:
    """What arrives of a value."""
    buffers: list[memoryview] = []
    payload = dump_by_value(value, split_buffers()[0], buffers, back=True)
    return pickle.loads(payload.body, buffers=payload.buffers)


def modules(value: Any) -> set[str]:
    """The modules that a value needs."""
    return dump_definition(value, *split_buffers())[1]


# --- by name ---


@pytest.mark.parametrize("func", [travelling.by_name, travelling.Holder, travelling.Holder.build, travelling.cached])
def test_what_can_be_imported_goes_by_name(func: Callable[..., Any]) -> None:
    """A few bytes, with a key, so that a worker that knows it gets nothing at all."""
    first, second = make_definition(task(func)), make_definition(task(func))
    assert first.key is not None
    assert first.key == second.key
    assert len(first.key) < 200
    assert first.modules == ()  # no installed one, and only those are imported ahead
    assert set(first.stamps) == {travelling.__name__}
    assert pickle.loads(first.parcel.body) == (func, None)


def test_builtins_go_by_name() -> None:
    """They too."""
    assert make_definition(task(abs)).key is not None
    assert make_definition(task(operator.neg)).key is not None


def test_different_functions_have_different_keys() -> None:
    """So that no worker takes one for the other."""
    assert make_definition(task(abs)).key != make_definition(task(len)).key


def test_an_initializer_makes_a_definition_of_its_own() -> None:
    """It must be called for every call, so no worker may take the definition for one that it knows."""
    made = make_definition(task(travelling.by_name, initializer=travelling.initialize))
    assert made.key is None
    assert pickle.loads(made.parcel.body) == (travelling.by_name, travelling.initialize)


def make_adder(step: int) -> Callable[[int], int]:
    """A closure."""
    return lambda item: item + step


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_adder(1),
        lambda: functools.partial(travelling.by_name),
        lambda: functools.partial(make_adder(0), 2),
        lambda: travelling.Holder(3).method,
        lambda: operator.methodcaller("bit_length"),
    ],
)
def test_what_holds_values_has_no_key(make: Callable[[], Callable[..., Any]]) -> None:
    """A worker must not take one closure for another that looks like it; each has its own values."""
    func = make()
    made = make_definition(task(func))
    found, initializer = pickle.loads(made.parcel.body)
    assert initializer is None
    if made.key is not None:
        assert made.key != make_definition(task(travelling.Holder(4).method)).key
    if not isinstance(func, types.MethodType | operator.methodcaller):
        assert found(5) == func(5) if not getattr(func, "args", ()) else found() == func()


def test_two_closures_of_one_function() -> None:
    """They differ in their values alone."""
    one, two = (pickle.loads(make_definition(task(make_adder(step))).parcel.body)[0] for step in (1, 2))
    assert (one(10), two(10)) == (11, 12)


def test_functions_of_a_module_that_is_being_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that imported it would begin the import anew, and meet the same call again."""
    monkeypatch.setattr(travelling.__spec__, "_initializing", True, raising=False)
    made = make_definition(task(travelling.by_name))
    assert made.key is None
    assert travelling.__name__ not in made.modules
    assert pickle.loads(made.parcel.body)[0](1) == 2


def test_modules_that_are_needed() -> None:
    """Those of the functions and classes it refers to, and those that it uses as modules."""
    assert travelling.__name__ in modules(lambda: travelling.by_name(1))
    assert "numpy" in modules(lambda: np.zeros(3))
    assert modules(lambda: 1) <= {"builtins", "types", "cloudpickle.cloudpickle", "parmap._transport._definitions"}


def test_a_function_without_a_module() -> None:
    """As ``exec`` in a bare namespace makes them: nothing can be said of its module."""
    namespace: dict[str, Any] = {}
    exec("def bare(item): return item + 1", namespace)
    namespace["bare"].__module__ = None
    made = make_definition(task(namespace["bare"]))
    assert all(isinstance(each, str) for each in made.modules)
    assert pickle.loads(made.parcel.body)[0](1) == 2


def test_a_definition_that_is_large_goes_out_of_band() -> None:
    """A closure over an array does not copy it into the pickle."""
    array = np.arange(BUFFER_LIMIT)
    made = make_definition(task(lambda item: array[item]))
    assert made.parcel.descriptor is not None
    assert made.parcel.layout is not None
    assert len(made.parcel.layout.parts) == 2
    made.parcel.close()


# --- by value ---


def test_caches_travel_with_their_function() -> None:
    """As caches of their own, empty, with the same size; one that can be imported stays itself."""

    @functools.lru_cache(maxsize=3, typed=True)
    def local(item: int) -> int:
        return item * 2

    local(1)
    found = travel(local)
    assert found(4) == 8
    assert found.cache_parameters() == {"maxsize": 3, "typed": True}
    assert found.cache_info().misses == 1
    assert (found.__name__, found.__wrapped__(3)) == ("local", 6)
    assert travel(travelling.cached) is travelling.cached
    assert travel(lambda item: local(item) + 1)(4) == 9


def test_caches_that_call_themselves() -> None:
    """Through a closure over the cache itself."""

    @functools.cache
    def fibonacci(n: int) -> int:
        return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)

    found = travel(fibonacci)
    assert found(60) == 1548008755920
    assert found.cache_info().currsize == 61


def test_dispatch_travels_with_its_functions() -> None:
    """All that are registered, by the types they are registered for."""

    @functools.singledispatch
    def local(item: object) -> str:
        return "object"

    @local.register
    def _(item: int) -> str:
        return "int"

    @local.register(list)
    def _(item: list[Any]) -> str:
        return f"list of {', '.join(map(local, item))}"

    found = travel(local)
    assert found([1, "x", [2]]) == "list of int, object, list of int"
    assert found.dispatch(bool)(True) == "int"
    assert (found.__name__, local([1])) == ("local", "list of int")
    assert travel(travelling.described) is travelling.described


def test_cached_properties() -> None:
    """They work in the class that arrives."""

    class Table:
        def __init__(self, size: int) -> None:
            self.size = size

        @functools.cached_property
        def total(self) -> int:
            return sum(range(self.size))

    found = pickle.loads(by_value(Table(5)))
    assert (found.total, vars(found)) == (10, {"size": 5, "total": 10})


def test_slots() -> None:
    """Classes with slots have them on the other side, with their values."""

    class Slotted:
        __slots__ = ("left", "right")

    class Named(NamedTuple):
        x: int

    @dataclasses.dataclass(frozen=True, slots=True)
    class Frozen:
        x: int
        y: str = "y"

    value = Slotted()
    value.left = 1  # type: ignore[attr-defined]
    found = travel(value)
    assert found.left == 1
    assert not hasattr(found, "right")
    assert not hasattr(found, "__dict__")
    assert travel(Named(3)) == Named(3)
    assert travel(Frozen(3)) == Frozen(3)


def test_classes_of_many_kinds() -> None:
    """Enums, abstract classes, metaclasses, and ``super()``."""

    class Colour(enum.Enum):
        RED = 1

    class Base(abc.ABC):
        @abc.abstractmethod
        def name(self) -> str:
            return type(self).__name__

    class Leaf(Base):
        def name(self) -> str:
            return f"{super().name()} {Colour.RED.name}"

    assert travel(Colour.RED) is Colour.RED
    assert travel(Leaf)().name() == "Leaf RED"
    assert isinstance(travel(Leaf()), Base)


def test_the_namespace_of_main_is_the_receivers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Functions of ``__main__`` share it, as they share the script's at home."""
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    exec("def look():\n    return setting\ndef change(value):\n    global setting\n    setting = value", main.__dict__)
    pickled = by_value([main.look, main.change])
    elsewhere = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", elsewhere)
    look, change = pickle.loads(pickled)
    change(7)
    assert look() == 7
    assert vars(elsewhere)["setting"] == 7
    assert not hasattr(main, "setting")


def test_names_of_main_are_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """With dots, as pickles have them; what is not there is ``None``."""
    main = types.ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", main)
    exec("class Outer:\n    class Inner:\n        pass", main.__dict__)
    payload = look_up("Outer.Inner")
    assert payload is not None
    assert pickle.loads(payload.body).__qualname__ == "Outer.Inner"
    assert look_up("Outer.Missing") is None
    assert look_up("Missing") is None


def test_errors_of_a_class_that_came_from_the_caller() -> None:
    """In a worker, an error of a local class that it was sent goes back as itself, and not in words."""

    class Local(Exception):
        pass

    tag = 1, 10**9  # as in a worker: it is the caller's
    _definitions._came[Local] = tag
    _definitions._tagged[tag] = Local
    assert pack_error(Local("text"))[0].pickled is not None


# --- what is refused ---


def captures(part: Any) -> Callable[[int], object]:
    """A function that closes over a value."""

    def work(item: int) -> object:
        return part

    return work


def refusal(func: Callable[..., Any]) -> SerializationError:
    """Why a function cannot travel."""
    with pytest.raises(SerializationError) as caught:
        make_definition(task(func))
    return caught.value


def test_a_closure_over_a_lock_is_named() -> None:
    """By the variable that holds it."""
    error = refusal(captures(threading.Lock()))
    assert error.what == f"the function {captures.__name__}.<locals>.work"
    assert "func.<closure 'part'>" in error.reason
    assert "lock" in error.reason
    assert isinstance(error.__cause__, TypeError)


def test_a_lock_deep_inside_is_named() -> None:
    """The path leads through attributes, keys and positions."""
    holder = travelling.Holder({"tools": [1, threading.Lock()]})
    error = refusal(captures(holder))
    assert "func.<closure 'part'>.part['tools'][1]: TypeError" in error.reason


def test_a_method_of_an_object_with_a_lock() -> None:
    """The object is what cannot travel."""
    assert "func.__self__.part: TypeError" in refusal(travelling.Holder(threading.Lock()).method).reason


def test_a_partial_with_a_lock() -> None:
    """By position or by name."""
    assert "func.args[0]: TypeError" in refusal(functools.partial(print, threading.Lock())).reason
    assert "func.keywords['item']" in refusal(functools.partial(dict, item=threading.Lock())).reason


def test_an_open_file_is_refused(tmp_path: Path) -> None:
    """It is not read and sent as a copy; the message says what to do."""
    with (tmp_path / "data.txt").open("w", encoding="utf-8") as file:
        error = refusal(captures(file))
    assert "func.<closure 'part'>" in error.reason
    assert "data.txt" in error.reason
    assert "open it inside the function" in error.reason


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    """This one too."""
    with (tmp_path / "data.bin").open("wb") as file:
        assert "func.<closure 'part'>" in refusal(captures(file)).reason


def test_standard_streams_are_the_receivers(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is printed there comes out there."""
    stream = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", stream)
    pickled = by_value(captures(stream))
    other = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", other)
    assert pickle.loads(pickled)(1) is other


def test_an_initializer_that_cannot_travel_is_named() -> None:
    """The message does not blame the function."""
    lock = threading.Lock()
    with pytest.raises(SerializationError) as caught:
        make_definition(task(travelling.by_name, initializer=lambda: lock))
    assert "<closure 'lock'>" in caught.value.reason
    assert "initializer" in str(caught.value)
