"""A link: frames and descriptors over one end of a socket pair.

A frame is a header of fixed size, a message (a pickled record of `_messages`) and, for some messages, a payload: the
pickle of the user's objects. Payloads of more than `FRAME_LIMIT` bytes travel in a memory file whose descriptor goes
with the frame, and with them the buffers that pickle protocol 5 kept out of band. The arenas of `Value`s and `Lock`s
in the message or the payload go as descriptors too.

Why two ends cannot block on each other: a worker has at most two chunks, one definition and one setting unread, each
of at most `FRAME_LIMIT` bytes, which fit its socket's buffer together. So the caller's side never blocks in `send`
and always comes back to reading; a worker that blocks in `send` waits only for that.
"""

import array
import errno
import mmap
import os
import pickle
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from parmap._transport import _memory
from parmap._transport._beside import SharedMemory, collecting
from parmap._tuning import BUFFER_ALIGN, FRAME_LIMIT, READ_SIZE, SOCKET_BUFFER

# Bytes of message and payload in the frame; how many descriptors go with it, and how many of arenas after them.
_HEADER = struct.Struct("<IIBB")
_CLOSE_ON_EXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
_ANCILLARY = getattr(socket, "CMSG_SPACE", int)(253 * array.array("i").itemsize)  # as many as the kernel takes at once


class Payload(NamedTuple):
    """The user's objects as bytes: a pickle and the buffers that belong to it."""

    body: bytes | memoryview
    buffers: list[memoryview]
    arenas: Sequence[SharedMemory] = ()  # that the pickle names
    view: mmap.mmap | None = None  # of the memory file that it came in

    def release(self) -> bool:
        """Closes the view that it came in; false: what was made of it still uses that."""
        if self.view is None:
            return True
        self.buffers.clear()
        try:
            if isinstance(self.body, memoryview):
                self.body.release()
            self.view.close()
        except BufferError:
            return False
        return True

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
    arenas: Sequence[SharedMemory] = ()

    @property
    def is_alone(self) -> bool:
        """Whether no descriptor goes with it."""
        return self.descriptor is None and not self.arenas

    def close(self) -> None:
        """Gives the memory file back; the receivers keep it while they use it."""
        if self.descriptor is not None:
            os.close(self.descriptor)


class Frame(NamedTuple):
    """A message that arrived, with what came with it."""

    message: Any
    payload: Payload | None
    descriptors: list[int]


def pack(payload: Payload, create: Callable[[int], int] | None = None) -> Parcel:
    """Puts a payload into a memory file if it is large.

    Args:
        payload: What to pack.
        create: Gives a memory file of a size, as a descriptor, which stays its own; ``None``: a fresh one.
    """
    if not payload.buffers and len(payload.body) <= FRAME_LIMIT:
        return Parcel(payload.body, None, None, payload.arenas)
    parts, end = [], 0
    pieces = [memoryview(payload.body), *payload.buffers]
    for piece in pieces:
        begin = -(-end // BUFFER_ALIGN) * BUFFER_ALIGN
        end = begin + len(piece)
        parts.append((begin, len(piece)))
    descriptor = (create or _memory.create)(end)
    try:
        _memory.write(descriptor, zip((begin for begin, _ in parts), pieces, strict=True))
    except BaseException:
        if create is None:
            os.close(descriptor)
        raise
    return Parcel(b"", Layout(parts, end), descriptor, payload.arenas)


def _unpack(layout: Layout, descriptor: int, arenas: Sequence[SharedMemory]) -> Payload:
    view = _memory.map_private(descriptor, layout.size)
    whole = memoryview(view)
    body, *buffers = (whole[begin : begin + length] for begin, length in layout.parts)
    return Payload(body, buffers, arenas, None if isinstance(view, bytearray) else view)


def _frame(
    message: Any, parcel: Parcel | None, descriptors: tuple[int, ...]
) -> tuple[tuple[bytes, bytes | memoryview], list[int]]:
    """The bytes of a frame and the descriptors that go with it."""
    with collecting() as arenas:  # of errors, which are part of the message
        head = pickle.dumps((message, None if parcel is None else (parcel.layout,)), 5)
    body: bytes | memoryview = b""
    if parcel is not None:
        body = parcel.body
        arenas += [each for each in parcel.arenas if each not in arenas]
        if parcel.descriptor is not None:
            descriptors = (parcel.descriptor, *descriptors)
    header = _HEADER.pack(len(head), len(body), len(descriptors), len(arenas))
    return (header + head, body), [*(each.descriptor for each in arenas), *descriptors]


def _adopt(descriptor: int) -> SharedMemory:
    from parmap._transport._arena import adopt  # needs ctypes, and most calls do not

    return adopt(descriptor)


class Link:
    """One end of a socket pair. Owned by one thread at a time.

    Attributes:
        torn: Whether an interrupt or an error came in the middle of a message, after which nothing makes sense here.
    """

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self.torn = False
        self._read = bytearray()
        self._descriptors: deque[int] = deque()
        self._held: list[bytes | memoryview] = []  # frames that go with the next one

    def fileno(self) -> int:
        return self.socket.fileno()

    def hold(self, message: Any, parcel: Parcel | None = None) -> None:
        """Keeps a frame to be sent together with the next one: one wake-up of the other end instead of two."""
        if parcel is not None and not parcel.is_alone:
            self.send(message, parcel)
        else:
            self._held += _frame(message, parcel, ())[0]

    def send(self, message: Any, parcel: Parcel | None = None, descriptors: tuple[int, ...] = ()) -> None:
        """Sends one frame.

        Raises:
            OSError: The other end is gone.
        """
        frame, beside = _frame(message, parcel, descriptors)
        self._held += frame
        self._send_held(beside)

    def flush(self) -> None:
        """Sends what is held without waiting for another frame.

        Raises:
            OSError: The other end is gone.
        """
        if self._held:
            self._send_held([])

    def _send_held(self, beside: list[int]) -> None:
        self.torn = True
        pieces = self._held.copy()
        self._held.clear()
        control = []
        if beside:
            control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", beside))]
        sent = self.socket.sendmsg(pieces, control)
        if sent < sum(map(len, pieces)):  # a signal came in between
            self.socket.sendall(b"".join(pieces)[sent:])
        self.torn = False

    def receive(self, flags: int = 0) -> list[Frame] | None:
        """The frames that have arrived, possibly none yet; ``None``: the other end is gone.

        Blocks until something arrives unless ``flags`` has ``MSG_DONTWAIT``.
        """
        self.torn = True
        try:
            data, ancillary, _, _ = self.socket.recvmsg(READ_SIZE, _ANCILLARY, flags | _CLOSE_ON_EXEC)
        except BlockingIOError:
            self.torn = False
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
        self.torn = False
        return frames

    def _next(self) -> Frame | None:
        read = self._read
        if len(read) < _HEADER.size:
            return None
        head, body, count, arena_count = _HEADER.unpack_from(read)
        begin = _HEADER.size + head
        end = begin + body
        if len(read) < end:
            return None
        if len(self._descriptors) < count + arena_count:
            raise OSError(errno.EMFILE, "too many open files: the memory that a message came in could not be opened")
        arenas = [_adopt(self._descriptors.popleft()) for _ in range(arena_count)]
        message, envelope = pickle.loads(memoryview(read)[_HEADER.size : begin])
        payload = None
        if envelope is not None:
            (layout,) = envelope
            if layout is None:
                payload = Payload(bytes(memoryview(read)[begin:end]), [], arenas)
            else:
                try:
                    payload = _unpack(layout, self._descriptors[0], arenas)
                finally:
                    os.close(self._descriptors.popleft())
                count -= 1
        del read[:end]
        return Frame(message, payload, [self._descriptors.popleft() for _ in range(count)])

    def close(self) -> None:
        """Closes this end; the other end reads that it is gone. May be called twice."""
        self.socket.close()
        while self._descriptors:
            os.close(self._descriptors.pop())


def pair() -> tuple[Link, socket.socket]:
    """Two connected ends: one for this process, one to be given away."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        for buffer in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            if end.getsockopt(socket.SOL_SOCKET, buffer) < SOCKET_BUFFER:  # 8 kB on macOS
                end.setsockopt(socket.SOL_SOCKET, buffer, SOCKET_BUFFER)
    return Link(ours), theirs
