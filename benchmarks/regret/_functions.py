"""What the rows run: item functions of the standard library alone, in a module, so that every pool can send them."""

import functools
import hashlib
import json
import os
import re
import socket
import subprocess
import threading
import time
import zlib
from pathlib import Path

from _work import spin

PACE = "REGRET_ROUNDS_PER_SECOND"  # the variable that tells every process how fast this machine spins
LONG_WAIT, SHORT_WAIT, MIXED_WAIT = 0.05, 0.001, 0.005
SETUP_SECONDS = 0.2
SMALL_FILE = b"parmap" * 700
LOCK = threading.Lock()
WORD = re.compile(r"\b(\w+)ing\b[^.]*?\b(\d+)\b")


def rounds(seconds: float) -> int:
    """Return the rounds of `spin` that take about so many seconds, as measured once for the whole run."""
    return max(1, round(seconds * float(os.environ[PACE])))


def short_nap(number: int) -> int:
    """Wait for a millisecond."""
    time.sleep(SHORT_WAIT)
    return number


def nap_and_spin(work: int) -> int:
    """Wait for 5 ms, then compute."""
    time.sleep(MIXED_WAIT)
    return spin(work)


def fetch(address: str) -> str:
    """Ask a server that takes 20 ms to answer; the address is `host:port/path`."""
    place, _, path = address.partition("/")
    host, _, port = place.partition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(path.encode() + b"\n")
        with connection.makefile() as answer:
            return answer.readline()


def write(path: str) -> int:
    """Write a file of 4 kB."""
    return Path(path).write_bytes(SMALL_FILE)


def command(word: str) -> str:
    """Run a program that prints a word."""
    return subprocess.run(["echo", word], check=True, stdout=subprocess.PIPE, text=True).stdout


def digest(content: bytes) -> str:
    """Hash a large buffer, which leaves the GIL free."""
    return hashlib.sha256(content).hexdigest()


def compress(content: bytes) -> int:
    """Compress a buffer, which leaves the GIL free."""
    return len(zlib.compress(content))


def count_byte(content: bytes) -> int:
    """Count a byte in a large object: far cheaper than sending the object anywhere."""
    return content.count(b"x")


def rewrite(text: str) -> str:
    """Parse JSON, change it, write it."""
    records = json.loads(text)
    return json.dumps([record | {"seen": True} for record in records], sort_keys=True)[:100]


def find_words(text: str) -> int:
    """Search a text with a regular expression that has to try."""
    return sum(len(word) + int(number) for word, number in WORD.findall(text))


@functools.cache
def setup() -> int:
    """Do what is done once a process: 0.2 s."""
    return spin(rounds(SETUP_SECONDS)) % 7


def look_up(number: int) -> int:
    """Do next to nothing, but for the first time."""
    return number + setup()


def locked_spin(work: int) -> int:
    """Compute under a lock that all items of the process share."""
    with LOCK:
        return spin(work)
