"""A link: frames and descriptors over one end of a socket pair.

A frame is a header of fixed size, a message (a pickled record of `_messages`) and, for some messages, a payload: the
pickle of the user's objects. Payloads of more than `FRAME_LIMIT` bytes travel in a memory file whose descriptor goes
with the frame, and with them the buffers that pickle protocol 5 kept out of band.

Why two ends cannot block on each other: a worker has at most two chunks, one definition and one setting unread, each
of at most `FRAME_LIMIT` bytes, which fit its socket's buffer together. So the caller's side never blocks in `send`
and always comes back to reading; a worker that blocks in `send` waits only for that.
"""

import array
import errno
import os
import pickle
import socket
import struct
from collections import deque
from typing import Any, NamedTuple

from parmap._transport import _memory
from parmap._tuning import BUFFER_ALIGN, FRAME_LIMIT, READ_SIZE

_HEADER = struct.Struct("<IIB")  # bytes of message and payload in the frame; how many descriptors go with it
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
_ANCILLARY = socket.CMSG_SPACE(4 * array.array("i").itemsize)  # more descriptors than any message has


class Payload(NamedTuple):
    """The user's objects as bytes: a pickle and the buffers that belong to it."""

    body: bytes | memoryview
    buffers: list[memoryview]

    @property
    def size(self) -> int:
        return len(self.body) + sum(len(each) for each in self.buffers)


class Layout(NamedTuple):
    """Where the parts of a payload are in its memory file: offsets and lengths, the body first."""

    parts: list[tuple[int, int]]
    size: int


class Parcel(NamedTuple):
    """A payload ready to be sent, any number of times. It lives in the frame, or in a memory file."""

    body: bytes | memoryview
    layout: Layout | None
    descriptor: int | None

    def close(self) -> None:
        """Gives the memory file back; the receivers keep it while they use it."""
        if self.descriptor is not None:
            os.close(self.descriptor)


class Frame(NamedTuple):
    """A message that arrived, with what came with it."""

    message: Any
    payload: Payload | None
    descriptors: list[int]


def pack(payload: Payload) -> Parcel:
    """Puts a payload into a memory file if it is large."""
    if not payload.buffers and len(payload.body) <= FRAME_LIMIT:
        return Parcel(payload.body, None, None)
    parts, end = [], 0
    pieces = [memoryview(payload.body), *payload.buffers]
    for piece in pieces:
        begin = -(-end // BUFFER_ALIGN) * BUFFER_ALIGN
        end = begin + len(piece)
        parts.append((begin, len(piece)))
    descriptor = _memory.create(end)
    try:
        _memory.write(descriptor, zip((begin for begin, _ in parts), pieces, strict=True))
    except BaseException:
        os.close(descriptor)
        raise
    return Parcel(b"", Layout(parts, end), descriptor)


def _unpack(layout: Layout, descriptor: int) -> Payload:
    try:
        whole = memoryview(_memory.map_private(descriptor, layout.size))
    finally:
        os.close(descriptor)
    body, *buffers = (whole[begin : begin + length] for begin, length in layout.parts)
    return Payload(body, buffers)


def _frame(message: Any, parcel: Parcel | None, descriptors: int) -> tuple[bytes, bytes | memoryview]:
    head = pickle.dumps((message, None if parcel is None else (parcel.layout,)), 5)
    body = b"" if parcel is None else parcel.body
    return _HEADER.pack(len(head), len(body), descriptors) + head, body


class Link:
    """One end of a socket pair. Owned by one thread at a time."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self._read = bytearray()
        self._descriptors: deque[int] = deque()
        self._held: list[bytes | memoryview] = []  # frames that go with the next one

    def fileno(self) -> int:
        return self.socket.fileno()

    def hold(self, message: Any, parcel: Parcel | None = None) -> None:
        """Keeps a frame to be sent together with the next one: one wake-up of the other end instead of two."""
        if parcel is not None and parcel.descriptor is not None:
            self.send(message, parcel)
        else:
            head, body = _frame(message, parcel, 0)
            self._held += (head, body)

    def send(self, message: Any, parcel: Parcel | None = None, descriptors: tuple[int, ...] = ()) -> None:
        """Sends one frame.

        Raises:
            OSError: The other end is gone.
        """
        if parcel is not None and parcel.descriptor is not None:
            descriptors = (parcel.descriptor, *descriptors)
        pieces = [*self._held, *_frame(message, parcel, len(descriptors))]
        self._held.clear()
        control = []
        if descriptors:
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        sent = self.socket.sendmsg(pieces, control)
        if sent < sum(map(len, pieces)):  # a signal came in between
            self.socket.sendall(b"".join(pieces)[sent:])

    def receive(self, flags: int = 0) -> list[Frame] | None:
        """The frames that have arrived, possibly none yet; ``None``: the other end is gone.

        Blocks until something arrives unless ``flags`` has ``MSG_DONTWAIT``.
        """
        try:
            data, ancillary, _, _ = self.socket.recvmsg(READ_SIZE, _ANCILLARY, flags | _CLOSE_ON_EXEC)
        except BlockingIOError:
            return []
        except ConnectionError:
            return None
        for _, _, found in ancillary:
            self._descriptors.extend(array.array("i", found[: len(found) // 4 * 4]))
        if not data:
            return None
        self._read += data
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        read = self._read
        if len(read) < _HEADER.size:
            return None
        head, body, count = _HEADER.unpack_from(read)
        begin = _HEADER.size + head
        end = begin + body
        if len(read) < end:
            return None
        message, envelope = pickle.loads(memoryview(read)[_HEADER.size : begin])
        if len(self._descriptors) < count:
            raise OSError(errno.EMFILE, "too many open files: the memory that a message came in could not be opened")
        descriptors = [self._descriptors.popleft() for _ in range(count)]
        payload = None
        if envelope is not None:
            (layout,) = envelope
            payload = Payload(bytes(memoryview(read)[begin:end]), [])
            if layout is not None:
                payload = _unpack(layout, descriptors.pop(0))
        del read[:end]
        return Frame(message, payload, descriptors)

    def close(self) -> None:
        """Closes this end; the other end reads that it is gone. May be called twice."""
        self.socket.close()
        while self._descriptors:
            os.close(self._descriptors.pop())


def pair() -> tuple[Link, socket.socket]:
    """Two connected ends: one for this process, one to be given away."""
    ours, theirs = socket.socketpair()
    return Link(ours), theirs
