"""Arenas on their way: collected while something is pickled, sent as descriptors, adopted on the other side."""

import os
import pickle
import socket
from typing import Any

import pytest

from parmap import Lock, SerializationError, Value
from parmap._transport import _arena
from parmap._transport._beside import collecting
from parmap._transport._exceptions import pack_error, unpack_error
from parmap._transport._links import Link, Payload, pack, pair
from parmap._transport._messages import Hello, Undefined, Work
from parmap._transport._pickling import dump, load
from parmap._tuning import ARENA_CELLS, ARENAS_MOST


def several_arenas(count: int) -> list[Lock]:
    """Locks of so many arenas."""
    return [Lock() for _ in range(ARENA_CELLS * count)][::ARENA_CELLS]


def test_collected_once_each() -> None:
    """Whatever their number and place, an arena is listed once, and nothing else is."""
    locks = several_arenas(3)
    payload = dump({"deep": [locks, locks[0]], "other": 3})
    assert len(payload.arenas) == 3
    assert dump([1, 2]).arenas == []


def test_collecting_ends_with_its_block() -> None:
    """Also where it is nested, and where pickling fails."""
    lock = Lock()
    with collecting() as outer:
        with pytest.raises(ZeroDivisionError), collecting() as inner:
            pickle.dumps(lock)
            raise ZeroDivisionError
        assert len(inner) == 1
        assert outer == []
        pickle.dumps(lock)
        assert len(outer) == 1
    with pytest.raises(SerializationError):
        pickle.dumps(lock)


def test_what_plain_pickle_refuses() -> None:
    """It goes by value, with the arenas of the second attempt."""
    lock = Lock()
    payload = dump([lock, lambda: lock])
    assert len(payload.arenas) == 1
    again, func = load(payload)
    assert again is func() is lock


def test_too_many() -> None:
    """More arenas than descriptors can go with a message are refused in words."""
    locks = several_arenas(ARENAS_MOST + 1)
    assert len(dump(locks[:-1]).arenas) == ARENAS_MOST
    with pytest.raises(SerializationError, match=f"more than {ARENAS_MOST} arenas"):
        dump(locks)


@pytest.mark.parametrize("size", [0, 100_000], ids=["in the frame", "in a memory file"])
@pytest.mark.parametrize("count", [1, 5, 200])
def test_over_a_link(ends: tuple[Link, Link], size: int, count: int) -> None:
    """They arrive with their frame, after others that were held back, and belong to the receiver."""
    ours, other = ends
    before = len(os.listdir("/proc/self/fd"))
    locks = several_arenas(count)
    ours.hold(Hello(1))
    parcel = pack(dump([locks, bytes(size)]))
    ours.hold(Work(1, 2, 3), parcel)
    parcel.close()
    ours.send(Hello(2))
    frames: list[Any] = []
    while len(frames) < 3:
        frames += other.receive(socket.MSG_DONTWAIT) or ()
    assert [frame.message for frame in frames] == [Hello(1), Work(1, 2, 3), Hello(2)]
    found, content = load(frames[1].payload)
    assert len(content) == size
    assert all(one is two for one, two in zip(found, locks, strict=True))
    del frames, found, content, locks, parcel
    assert len(os.listdir("/proc/self/fd")) == before


def test_unread_frames_leave_nothing(ends: tuple[Link, Link]) -> None:
    """Neither one that was read and not unpickled, nor one that was not read."""
    ours, other = ends
    before = len(os.listdir("/proc/self/fd"))
    lock = Lock()
    for _ in range(2):
        ours.send(Work(1, 2, 3), pack(dump(lock)))
    assert other.receive(socket.MSG_DONTWAIT)
    del lock
    other.close()
    ours.close()
    assert len(os.listdir("/proc/self/fd")) == before - 2


def test_errors_over_a_link(ends: tuple[Link, Link]) -> None:
    """The arenas of an exception go with the message that it is part of."""
    ours, other = ends
    value = Value("i", 7)
    ours.send(Undefined(1, "why", pack_error(ValueError(value))))
    frames: Any = other.receive()
    assert unpack_error(frames[0].message.error, "it").args[0] is value


def test_a_stranger_is_mapped() -> None:
    """An arena that this process does not know is mapped; what is in it is seen on both sides."""
    value = Value("i", 7)
    cell = value.get_lock()._cell
    known = _arena._state.known.pop(cell.arena.token)  # as in another process
    try:
        stranger = _arena.adopt(os.dup(cell.arena.descriptor))
        assert stranger is not cell.arena
        number = _arena.Cell(stranger, cell.number).value.cast("i")
        assert number[0] == 7
        number[0] = 8
        assert value.value == 8
        del number, stranger
    finally:
        _arena._state.known[known.token] = known


def test_lost_descriptors(ends: tuple[Link, Link]) -> None:
    """A process that may not open more files learns why its frame cannot be read."""
    ours, other = ends
    ours.send(Work(1, 2, 3), pack(Payload(b"x", [], dump(Lock()).arenas)))
    data, _, _, _ = other.socket.recvmsg(10_000)  # without room for descriptors
    again, theirs = pair()
    late = Link(theirs)
    again.socket.send(data)
    with pytest.raises(OSError, match="too many open files"):
        late.receive()
    late.close()
    again.close()
