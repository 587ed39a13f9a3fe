"""Kinds of real work, for `test_kinds`: a function, its items, and the engines that suit it."""

import hashlib
import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tests.contract.helpers import busy


@dataclass(frozen=True)
class Kind:
    """One kind of work.

    Attributes:
        func: What is done with an item.
        items: Makes the items.
        engines: Which engines are right; ``"loop"``: none.
    """

    func: Callable[[Any], Any]
    items: Callable[[], Iterable[Any]]
    engines: tuple[str, ...]


def sleep(item: int) -> int:
    """Waits by itself."""
    time.sleep(0.005)
    return item


_server: list[tuple[str, int]] = []


def ask(item: int) -> bytes:
    """Waits for an answer over a socket."""
    with socket.create_connection(_server[0]) as connection:
        connection.sendall(b"%d\n" % item)
        return connection.recv(64)


def serve() -> socket.socket:
    """A server that answers after 10 ms, each client in a thread of its own; close it to end it."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=128)
    _server[:] = [listening.getsockname()]

    def answer(connection: socket.socket) -> None:
        with connection:
            asked = connection.recv(64)
            time.sleep(0.01)
            connection.sendall(asked)

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,)).start()

    threading.Thread(target=accept).start()
    return listening


def stop(listening: socket.socket) -> None:
    """Ends a server."""
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()


def write_file(item: int) -> int:
    """Writes a file, and waits until it is on the disk or not, as the system likes."""
    with tempfile.TemporaryFile() as file:
        return file.write(b"x" * 200_000)


def run_program(item: int) -> int:
    """Waits for a program."""
    return subprocess.run([sys.executable, "-S", "-c", "pass"], check=False).returncode


def digest(item: bytes) -> str:
    """Computes in C without the GIL."""
    return hashlib.sha256(item).hexdigest()


def compress(item: bytes) -> int:
    """Likewise."""
    return len(zlib.compress(item, 6))


def sines(item: Any) -> float:
    """Computes in NumPy without the GIL."""
    return float(np.sin(item).sum())


def sort(item: list[int]) -> int:
    """Computes in C with the GIL, on items that take as long to send as to sort."""
    ordered = list(item)
    ordered.sort(key=float)
    return ordered[0]


def multiply(item: Any) -> float:
    """Uses all cores by itself."""
    return float((item @ item)[0, 0])


def count(item: int) -> int:
    """Pure Python."""
    total = 0
    for number in range(item):
        total += number & 3
    return total


DOCUMENT = json.dumps([{"name": f"n{number}", "values": list(range(20))} for number in range(150)])


def parse(item: int) -> int:
    """Computes in C with the GIL."""
    return sum(len(json.loads(DOCUMENT)) for _ in range(3))


TEXT = "abc 123 def 4567 " * 400
WORD = re.compile(r"(\w+)\s(\d+)")


def search(item: int) -> int:
    """Likewise."""
    return sum(len(WORD.findall(TEXT)) for _ in range(5))


def wait_and_compute(item: int) -> int:
    """A request and what is made of its answer."""
    time.sleep(0.008)
    busy(0.001)
    return item


_lock = threading.Lock()


def under_a_lock(item: int) -> int:
    """Of which only one can run at a time, wherever it is."""
    with _lock:
        time.sleep(0.002)
        return item


def call_c(item: int) -> int:
    """A single long computation in C that holds the GIL, small in its arguments."""
    power: int = 3**item
    return power.bit_length()


def _bytes(size: int, number: int) -> list[bytes]:
    return [bytes([index % 251]) * size for index in range(number)]


def _arrays(size: int, number: int) -> list[Any]:
    return [np.full(size, float(index)) for index in range(number)]


KINDS = {
    "sleep": Kind(sleep, lambda: range(150), ("thread",)),
    "sockets": Kind(ask, lambda: range(80), ("thread",)),
    "file writes": Kind(write_file, lambda: range(400), ("thread", "process", "loop")),
    "programs": Kind(run_program, lambda: range(40), ("thread",)),
    "sha256": Kind(digest, lambda: _bytes(2_000_000, 150), ("thread",)),
    "zlib": Kind(compress, lambda: _bytes(1_000_000, 150), ("thread",)),
    "ufuncs": Kind(sines, lambda: _arrays(200_000, 150), ("thread",)),
    "sort": Kind(sort, lambda: [list(range(20_000, 0, -1)) for _ in range(100)], ("process", "loop")),
    "matmul": Kind(multiply, lambda: [np.ones((500, 500)) for _ in range(60)], ("thread", "loop")),
    "small Python": Kind(count, lambda: [10] * 500, ("loop",)),
    "large Python": Kind(count, lambda: [100_000] * 400, ("process",)),
    "long items": Kind(count, lambda: [8_000_000] * 3, ("process",)),
    "json": Kind(parse, lambda: range(1500), ("process",)),
    "regex": Kind(search, lambda: range(900), ("process",)),
    "big numbers": Kind(call_c, lambda: [150_000] * 300, ("process",)),
    "wait and compute": Kind(wait_and_compute, lambda: range(120), ("thread",)),
    "a generator": Kind(count, lambda: (100_000 for _ in range(120)), ("process",)),
    "a lock": Kind(under_a_lock, lambda: range(150), ("thread",)),
}
