"""Frames over a socket: in pieces, several at once, with descriptors, with large payloads beside them."""

import os
import socket
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parmap._transport import _links, _memory
from parmap._transport._links import Frame, Link, Payload, pack, pair
from parmap._transport._messages import Hello, Start, Work
from parmap._tuning import BUFFER_ALIGN, FRAME_LIMIT, SOCKET_BUFFER


def frames(link: Link) -> list[Frame]:
    """What has arrived; there must be something to read."""
    found = link.receive(socket.MSG_DONTWAIT)
    assert found is not None
    return found


def messages(link: Link) -> list[Any]:
    """The messages that have arrived."""
    return [frame.message for frame in frames(link)]


def is_open(descriptor: int) -> bool:
    """Whether a descriptor is one of this process."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def body(frame: Frame) -> bytes:
    """The body of the payload that came with a frame."""
    assert frame.payload is not None
    return bytes(frame.payload.body)


def bytes_of(*sent: tuple[Any, bytes | None]) -> bytes:
    """What goes through the socket for some messages with their payloads."""
    ours, theirs = pair()
    with theirs:
        for message, content in sent:
            ours.send(message, None if content is None else pack(Payload(content, [])))
        ours.close()
        found = b""
        while part := theirs.recv(1 << 16):
            found += part
        return found


def test_a_message(ends: tuple[Link, Link]) -> None:
    """It arrives as it was, in both directions, without a payload."""
    ours, other = ends
    ours.send(Hello(17))
    assert frames(other) == [Frame(Hello(17), None, [])]
    other.send(Start(3))
    assert frames(ours) == [Frame(Start(3), None, [])]


def test_nothing_yet(ends: tuple[Link, Link]) -> None:
    """Nothing has arrived, which is not the end."""
    assert ends[0].receive(socket.MSG_DONTWAIT) == []


def test_the_other_end_is_gone(ends: tuple[Link, Link]) -> None:
    """What it sent before is read first; closing twice does no harm."""
    ours, other = ends
    ours.send(Hello(1))
    ours.close()
    ours.close()
    assert messages(other) == [Hello(1)]
    assert other.receive() is None
    assert other.receive() is None
    with pytest.raises(OSError, match=r"."):
        other.send(Hello(2))


def test_an_end_that_left_news_unread(ends: tuple[Link, Link]) -> None:
    """The kernel then calls it a reset; it is the same: gone."""
    ours, other = ends
    ours.send(Hello(1))
    other.close()
    assert ours.receive() is None


def test_several_frames_in_one_read(ends: tuple[Link, Link]) -> None:
    """All of them, in order."""
    ours, other = ends
    for number in range(20):
        ours.send(Work(1, number, 5), pack(Payload(b"x" * number, [])))
    found = frames(other)
    assert [frame.message.number for frame in found] == list(range(20))
    assert [body(frame) for frame in found] == [b"x" * number for number in range(20)]


CONTENTS = st.lists(st.none() | st.binary(max_size=300), max_size=6)


@settings(max_examples=50)
@given(CONTENTS, st.lists(st.integers(1, 200), max_size=30))
def test_frames_in_pieces(contents: list[bytes | None], cuts: list[int]) -> None:
    """However the bytes are cut, the frames come out whole, in order, none early."""
    stream = bytes_of(*((Hello(number), content) for number, content in enumerate(contents)))
    raw, theirs = socket.socketpair()
    link = Link(theirs)
    found: list[Frame] = []
    try:
        sizes = iter(cuts)
        while stream:
            size = next(sizes, len(stream))
            raw.send(stream[:size])
            stream = stream[size:]
            found += frames(link)
    finally:
        raw.close()
        link.close()
    assert [frame.message for frame in found] == [Hello(number) for number in range(len(contents))]
    assert [None if frame.payload is None else body(frame) for frame in found] == contents


def test_byte_by_byte(ends: tuple[Link, Link]) -> None:
    """No frame is there before its last byte."""
    ours, other = ends
    *most, last = bytes_of((Hello(1), b"content"))
    for byte in most:
        ours.socket.send(bytes([byte]))
        assert frames(other) == []
    ours.socket.send(bytes([last]))
    assert [body(frame) for frame in frames(other)] == [b"content"]


def test_held_frames_go_with_the_next_one(ends: tuple[Link, Link]) -> None:
    """Nothing is sent before; then all in order, once."""
    ours, other = ends
    ours.hold(Hello(1))
    ours.hold(Hello(2), pack(Payload(b"small", [])))
    assert frames(other) == []
    ours.send(Hello(3))
    found = frames(other)
    assert [frame.message for frame in found] == [Hello(1), Hello(2), Hello(3)]
    assert body(found[1]) == b"small"
    ours.send(Hello(4))
    assert messages(other) == [Hello(4)]


def test_a_held_frame_with_a_memory_file_goes_at_once(ends: tuple[Link, Link]) -> None:
    """Its descriptor may be closed by the holder afterwards; what was held before it still goes before it."""
    ours, other = ends
    parcel = pack(Payload(b"x" * (FRAME_LIMIT + 1), []))
    ours.hold(Hello(1))
    ours.hold(Hello(2), parcel)
    parcel.close()
    found = frames(other)
    assert [frame.message for frame in found] == [Hello(1), Hello(2)]
    assert body(found[1]) == b"x" * (FRAME_LIMIT + 1)
    ours.send(Hello(3))
    assert messages(other) == [Hello(3)]


def test_descriptors_go_with_their_frame(ends: tuple[Link, Link]) -> None:
    """Each frame has its own, also where one read finds several frames, and they work."""
    ours, other = ends
    pipes = [os.pipe() for _ in range(3)]
    ours.send(Start(0), descriptors=(pipes[0][1],))
    ours.send(Start(1))
    ours.send(Start(2), descriptors=(pipes[1][1], pipes[2][1]))
    for _, writing in pipes:
        os.close(writing)
    found: list[Frame] = []
    while len(found) < 3:
        found += frames(other)
    assert [len(frame.descriptors) for frame in found] == [1, 0, 2]
    for name, descriptor in enumerate(descriptor for frame in found for descriptor in frame.descriptors):
        assert not os.get_inheritable(descriptor)
        os.write(descriptor, b"%d" % name)
        os.close(descriptor)
    for name, (reading, _) in enumerate(pipes):
        assert os.read(reading, 9) == b"%d" % name
        os.close(reading)


def test_descriptors_with_a_payload_in_a_memory_file(ends: tuple[Link, Link]) -> None:
    """The payload's own is used up; the others are left to the receiver."""
    ours, other = ends
    reading, writing = os.pipe()
    parcel = pack(Payload(b"x" * FRAME_LIMIT * 2, []))
    ours.send(Start(0), parcel, (writing,))
    parcel.close()
    os.close(writing)
    (frame,) = frames(other)
    assert body(frame) == b"x" * FRAME_LIMIT * 2
    (descriptor,) = frame.descriptors
    os.close(descriptor)
    assert os.read(reading, 1) == b""
    os.close(reading)


def test_descriptors_that_came_before_their_frame_are_closed(ends: tuple[Link, Link]) -> None:
    """A sender that dies half-way leaves nothing behind."""
    ours, other = ends
    reading, writing = os.pipe()
    stream = bytes_of((Hello(1), None))
    socket.send_fds(ours.socket, [stream[:5]], [writing])
    os.close(writing)
    assert frames(other) == []
    other.close()
    assert os.read(reading, 1) == b""
    os.close(reading)


@pytest.mark.parametrize("size", [0, 1, FRAME_LIMIT, FRAME_LIMIT + 1, 3_000_000])
def test_payloads_of_every_size(ends: tuple[Link, Link], size: int) -> None:
    """Small ones in the frame, others in a memory file: the receiver need not care."""
    ours, other = ends
    content = bytes(range(256)) * (size // 256 + 1)
    parcel = pack(Payload(content[:size], []))
    assert (parcel.descriptor is not None) == (size > FRAME_LIMIT)
    ours.send(Hello(1), parcel)
    parcel.close()
    (frame,) = frames(other)
    assert body(frame) == content[:size]
    assert frame.descriptors == []


def test_a_large_payload_is_writable_and_private(ends: tuple[Link, Link]) -> None:
    """Buffers arrive apart, aligned, in order; what one receiver writes no one else sees, nor the sender."""
    ours, other = ends
    first, second = bytearray(b"a" * 70_001), bytearray(b"b" * 70_000)
    payload = Payload(b"pickle", [memoryview(first), memoryview(second)])
    parcel = pack(payload)
    ours.send(Hello(1), parcel)
    ours.send(Hello(2), parcel)
    parcel.close()
    assert parcel.layout is not None
    assert all(begin % BUFFER_ALIGN == 0 for begin, _ in parcel.layout.parts)
    received: list[Frame] = []
    while len(received) < 2:
        received += frames(other)
    one, two = (frame.payload for frame in received)
    assert one is not None
    assert two is not None
    assert one.size == payload.size == 6 + 70_001 + 70_000
    assert [bytes(each) for each in one.buffers] == [bytes(first), bytes(second)]
    one.buffers[0][:] = b"c" * 70_001
    assert bytes(two.buffers[0]) == bytes(first) == b"a" * 70_001
    assert bytes(one.buffers[1]) == b"b" * 70_000


@pytest.mark.parametrize("kept", [False, True])
def test_memory_is_let_go_when_nobody_looks_at_it(ends: tuple[Link, Link], kept: bool) -> None:
    """The receiver says whether what it has made of a payload still uses the file."""
    ours, other = ends
    parcel = pack(Payload(b"", [memoryview(b"x" * 70_000)]))
    ours.send(Hello(1), parcel)
    parcel.close()
    (frame,) = frames(other)
    assert frame.payload is not None
    taken = [frame.payload.buffers[0]] if kept else []
    assert frame.payload.release() is not kept
    assert [bytes(each[:2]) for each in taken] == [b"xx"] * kept


def test_what_came_in_the_frame_has_no_memory_to_let_go(ends: tuple[Link, Link]) -> None:
    """It is a copy."""
    ours, other = ends
    ours.send(Hello(1), pack(Payload(b"small", [])))
    (frame,) = frames(other)
    assert frame.payload is not None
    assert frame.payload.release()
    assert frame.payload.body == b"small"


def test_a_parcel_outlives_its_origin(ends: tuple[Link, Link]) -> None:
    """What is changed after packing is not sent."""
    ours, other = ends
    content = bytearray(b"x" * 70_000)
    parcel = pack(Payload(b"", [memoryview(content)]))
    content[:] = b"y" * 70_000
    ours.send(Hello(1), parcel)
    parcel.close()
    (frame,) = frames(other)
    assert frame.payload is not None
    assert bytes(frame.payload.buffers[0]) == b"x" * 70_000


def test_packing_that_fails_leaves_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full, say: the descriptor is closed again."""
    opened: list[int] = []
    create = _memory.create

    def noting(size: int) -> int:
        opened.append(create(size))
        return opened[-1]

    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(_memory, "create", noting)
    monkeypatch.setattr(_memory, "write", full)
    with pytest.raises(OSError, match="no space"):
        pack(Payload(b"x" * 100_000, []))
    assert len(opened) == 1
    assert not is_open(opened[0])


def test_a_mapping_that_fails_leaves_no_descriptor(ends: tuple[Link, Link], monkeypatch: pytest.MonkeyPatch) -> None:
    """No memory is left to map it: what came with the frame is closed."""
    ours, other = ends
    seen: list[int] = []

    def fail(descriptor: int, size: int) -> None:
        seen.append(descriptor)
        raise OSError("cannot map")

    monkeypatch.setattr(_memory, "map_private", fail)
    parcel = pack(Payload(b"x" * 100_000, []))
    ours.send(Hello(1), parcel)
    parcel.close()
    with pytest.raises(OSError, match="cannot map"):
        other.receive()
    assert not is_open(seen[0])


def test_a_short_write_is_completed() -> None:
    """A signal may come in between: the rest follows, and nothing is sent twice."""
    ours, theirs = pair()
    end = ours.socket
    other = Link(theirs)

    class Short:
        """A socket that sends a few bytes of the first message only."""

        def sendmsg(self, pieces: list[bytes], control: list[Any]) -> int:
            return end.sendmsg([b"".join(pieces)[:7]], control)

        def sendall(self, data: bytes) -> None:
            end.sendall(data)

    ours.socket = Short()  # type: ignore[assignment]
    ours.hold(Hello(1))
    ours.send(Hello(2), pack(Payload(b"content", [])))
    found: list[Frame] = []
    while len(found) < 2:
        found += frames(other)
    assert [frame.message for frame in found] == [Hello(1), Hello(2)]
    assert body(found[1]) == b"content"
    end.close()
    other.close()


def test_small_buffers_are_made_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a system whose sockets hold less than what may be unread, which would let both ends block."""
    wanted = 2 * SOCKET_BUFFER
    monkeypatch.setattr(_links, "SOCKET_BUFFER", wanted)
    link, theirs = _links.pair()
    for end in (link.socket, theirs):
        assert end.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= wanted
        assert end.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= wanted
        end.close()
