"""Values in one process: what they hold, and what they refuse."""

import ctypes
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parmap import Value

CODES = "bBhHiIlLqQfd?"
WHOLE = "bBhHiIlLqQ"


def limits(code: str) -> tuple[int, int]:
    """The least and the largest number of a typecode."""
    bits = 8 * memoryview(bytearray(8)).cast("B").cast(code).itemsize  # type: ignore[call-overload]
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if code.islower() else (0, 2**bits - 1)


@pytest.mark.parametrize("code", CODES)
def test_typecodes(code: str) -> None:
    """Each starts at zero, takes an initial number, and shows itself."""
    zero: Any = Value(code)  # type: ignore[call-overload]
    assert zero.value == 0
    zero.value = 1
    assert repr(zero) == f"Value({code!r}, {zero.value!r})"
    one: Any = Value(code, 1)  # type: ignore[call-overload]
    assert one.value == 1
    assert type(one.value) is (bool if code == "?" else float if code in "fd" else int)


@pytest.mark.parametrize("code", WHOLE)
def test_limits(code: str) -> None:
    """The least and the largest number fit; one beyond is refused by its value, and changes nothing."""
    value: Any = Value(code)  # type: ignore[call-overload]
    least, most = limits(code)
    for number in (least, most, 0):
        value.value = number
        assert value.value == number
    for number in (least - 1, most + 1, 10**30):
        with pytest.raises(OverflowError, match=f"holds {least} to {most}"):
            value.value = number
        with pytest.raises(OverflowError):
            Value(code, number)  # type: ignore[call-overload]
    assert value.value == 0


@pytest.mark.parametrize("code", WHOLE)
@pytest.mark.parametrize("wrong", [1.5, "1", None, b"1"])
def test_wrong_types(code: str, wrong: Any) -> None:
    """What is no whole number is refused, as by ctypes."""
    value: Any = Value(code)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="holds an int, not"):
        value.value = wrong


@pytest.mark.parametrize("code", "fd")
def test_floats(code: str) -> None:
    """Whole numbers become floats; infinity and not-a-number are kept; what is too large is refused."""
    value: Any = Value(code, 3)  # type: ignore[call-overload]
    assert value.value == 3.0
    value.value = math.inf
    assert value.value == math.inf
    value.value = math.nan
    assert math.isnan(value.value)
    with pytest.raises(TypeError, match="holds a number"):
        value.value = "1"
    with pytest.raises(OverflowError):
        value.value = 10**400
    if code == "f":
        with pytest.raises(OverflowError, match="too large"):
            value.value = 1e39


@given(st.floats(width=64))
def test_doubles_are_exact(number: float) -> None:
    """Every float comes back as it is."""
    value = Value("d", number)
    assert value.value == number or math.isnan(number)


TYPES = "byte ubyte short ushort int uint long ulong longlong ulonglong float double bool size_t int16 uint64".split()


@pytest.mark.parametrize("name", TYPES)
def test_ctypes(name: str) -> None:
    """The types of ctypes stand for their codes."""
    kind = getattr(ctypes, f"c_{name}")
    value: Any = Value(kind, 1)
    assert value.value == 1
    assert repr(value).startswith(f"Value({kind._type_!r}, ")


@pytest.mark.parametrize(
    "wrong", ["x", "", "ii", "c", "u", "n", "P", None, 3, int, ctypes.c_char, ctypes.c_int * 3, []]
)
def test_wrong_typecodes(wrong: Any) -> None:
    """Anything else is refused with the list of what there is."""
    with pytest.raises(ValueError if isinstance(wrong, str) else TypeError) as caught:
        Value(wrong)
    for code in CODES:
        assert repr(code) in str(caught.value)
    assert "c_double" in str(caught.value)


def test_values_do_not_touch() -> None:
    """Neighbours in memory keep their numbers, over more than one arena."""
    values = [Value("Q", number) for number in range(1000)]
    for each in values[::2]:
        each.value = 2**64 - 1
    assert [each.value for each in values[1::2]] == list(range(1, 1000, 2))
