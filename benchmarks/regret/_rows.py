"""The kinds of work. Each row is a function that makes its items; its docstring is its title.

Large items are objects of their own: of one that comes again, pickle sends only the first in each chunk.
"""

import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from _work import nap, spin, trivial

from regret import _functions as work

SERVER = Path(__file__).with_name("_server.py")


@dataclass(frozen=True, slots=True)
class Workload:
    """A function and its items; `unknown_length` hands them out by a generator."""

    func: Callable[[Any], Any]
    items: Sequence[Any]
    unknown_length: bool = False

    def fresh_items(self) -> Iterable[Any]:
        """Return the items for one call."""
        return (item for item in self.items) if self.unknown_length else self.items


@dataclass(frozen=True, slots=True)
class Setting:
    """How large the work is to be, and what closes what it needs."""

    quick: bool
    closing: ExitStack

    def count(self, number: int) -> int:
        """Return a number of items, or a twentieth of it."""
        return max(2, number // 20) if self.quick else number

    def spins(self, costs: Iterable[float]) -> list[int]:
        """Return items for `spin` that take so many seconds each, or a tenth; no two neighbours are equal."""
        share = 0.1 if self.quick else 1.0
        return [work.rounds(cost * share) + index % 3 for index, cost in enumerate(costs)]


ROWS: dict[str, Callable[[Setting], Workload]] = {}


def row(make: Callable[[Setting], Workload]) -> Callable[[Setting], Workload]:
    """Enter a row under the name of its function."""
    ROWS[make.__name__.replace("_", "-")] = make
    return make


def title(name: str) -> str:
    """Return a row's docstring without its full stop."""
    return (ROWS[name].__doc__ or name).rstrip(".")


# ------------------------------------------------------------------------------------------------------ pure Python


@row
def tiny(_: Setting) -> Workload:
    """10 trivial items."""
    return Workload(trivial, range(10))


@row
def million(setting: Setting) -> Workload:
    """10⁶ trivial items."""
    return Workload(trivial, range(setting.count(1_000_000)))


@row
def spins_5us(setting: Setting) -> Workload:
    """100 000 × 5 µs of pure Python."""
    return Workload(spin, setting.spins([5e-6] * setting.count(100_000)))


@row
def spins_50us(setting: Setting) -> Workload:
    """20 000 × 50 µs of pure Python."""
    return Workload(spin, setting.spins([50e-6] * setting.count(20_000)))


@row
def spins_1ms(setting: Setting) -> Workload:
    """1000 × 1 ms of pure Python."""
    return Workload(spin, setting.spins([1e-3] * setting.count(1000)))


@row
def spins_100ms(setting: Setting) -> Workload:
    """16 × 100 ms of pure Python."""
    return Workload(spin, setting.spins([0.1] * setting.count(16)))


@row
def spins_1s(setting: Setting) -> Workload:
    """2 × 1 s of pure Python."""
    return Workload(spin, setting.spins([1.0] * 2))


@row
def rising(setting: Setting) -> Workload:
    """500 items that rise to 4 ms."""
    count = setting.count(500)
    return Workload(spin, setting.spins(4e-3 * index / count for index in range(count)))


@row
def falling(setting: Setting) -> Workload:
    """500 items that fall from 4 ms."""
    count = setting.count(500)
    return Workload(spin, setting.spins(4e-3 * (count - index) / count for index in range(count)))


@row
def straggler(setting: Setting) -> Workload:
    """400 × 1 ms, one of them 400 ms."""
    costs = [1e-3] * setting.count(400)
    costs[len(costs) * 3 // 4] = 0.4
    return Workload(spin, setting.spins(costs))


@row
def heavy_tail(setting: Setting) -> Workload:
    """200 items of random cost, a few of 100 ms."""
    draw = random.Random(1)
    return Workload(spin, setting.spins(min(0.1, 5e-4 * draw.paretovariate(0.8)) for _ in range(setting.count(200))))


@row
def turns_heavy(setting: Setting) -> Workload:
    """20 000 × 10 µs, then 300 × 2 ms."""
    return Workload(spin, setting.spins([1e-5] * setting.count(20_000) + [2e-3] * setting.count(300)))


@row
def generator(setting: Setting) -> Workload:
    """500 × 2 ms from a generator."""
    return Workload(spin, setting.spins([2e-3] * setting.count(500)), unknown_length=True)


@row
def slow_first(setting: Setting) -> Workload:
    """200 000 trivial items, 200 ms before the first."""
    return Workload(work.look_up, range(setting.count(200_000)))


@row
def lock(setting: Setting) -> Workload:
    """2000 × 0.2 ms under one lock."""
    return Workload(work.locked_spin, setting.spins([2e-4] * setting.count(2000)))


# ---------------------------------------------------------------------------------------------------------- waiting


@row
def naps_50ms(setting: Setting) -> Workload:
    """200 waits of 50 ms."""
    return Workload(nap, range(setting.count(200)))


@row
def naps_1ms(setting: Setting) -> Workload:
    """2000 waits of 1 ms."""
    return Workload(work.short_nap, range(setting.count(2000)))


@row
def mixed(setting: Setting) -> Workload:
    """300 × 5 ms of waiting and 1 ms of Python."""
    return Workload(work.nap_and_spin, setting.spins([1e-3] * setting.count(300)))


@row
def sockets(setting: Setting) -> Workload:
    """100 requests to a server, 20 ms each."""
    server = subprocess.Popen([sys.executable, str(SERVER)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    setting.closing.enter_context(server)  # waits for its end, which comes with the end of its input
    port = int(server.stdout.readline())
    return Workload(work.fetch, [f"127.0.0.1:{port}/{number}" for number in range(setting.count(100))])


@row
def files(setting: Setting) -> Workload:
    """10 000 small files."""
    # In memory, where there is a place for that: a disk's own rhythm makes the same loop take 0.03 or 0.8 s.
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = setting.closing.enter_context(tempfile.TemporaryDirectory(prefix="regret-", dir=memory))
    return Workload(work.write, [f"{folder}/{number}" for number in range(setting.count(10_000))])


@row
def commands(setting: Setting) -> Workload:
    """200 short commands."""
    return Workload(work.command, [f"word {number}" for number in range(setting.count(200))])


# ----------------------------------------------------------------------------------------------------- C and arrays


@row
def sha256(setting: Setting) -> Workload:
    """SHA-256 of 60 buffers of 1 to 8 MB."""
    return Workload(work.digest, [bytes([n]) * ((n % 8 + 1) * 1_000_000) for n in range(setting.count(60))])


@row
def zlib(setting: Setting) -> Workload:
    """Compression of 60 texts of 200 kB."""
    return Workload(work.compress, [prose(number, 200_000).encode() for number in range(setting.count(60))])


@row
def json(setting: Setting) -> Workload:
    """300 × JSON of 50 kB, in and out."""
    record = '{{"id": {0}, "name": "item {0}", "price": {0}.5, "tags": ["a", "b", "c"], "open": true}}'
    count = setting.count(300)
    texts = [f"[{', '.join(record.format(start + index) for index in range(600))}]" for start in range(count)]
    return Workload(work.rewrite, texts)


@row
def regex(setting: Setting) -> Workload:
    """A regular expression over 300 texts of 20 kB."""
    return Workload(work.find_words, [prose(number, 20_000) for number in range(setting.count(300))])


@row
def ufuncs(setting: Setting) -> Workload:
    """200 × NumPy functions of 100 000 elements."""
    from regret import _arrays

    return Workload(_arrays.wave, range(setting.count(200)))


@row
def small_arrays(setting: Setting) -> Workload:
    """50 000 × NumPy steps on 10 elements."""
    from regret import _arrays

    return Workload(_arrays.small_steps, range(setting.count(50_000)))


@row
def matmul(setting: Setting) -> Workload:
    """20 products of matrices, BLAS with its threads."""
    from regret import _arrays

    return Workload(_arrays.multiply, range(setting.count(20)))


@row
def big_arguments(setting: Setting) -> Workload:
    """40 arrays of 10 MB, 20 ms of Python on each."""
    from regret import _arrays

    return Workload(_arrays.scan, _arrays.large_arrays(setting.count(40), 10_000_000))


@row
def big_results(setting: Setting) -> Workload:
    """60 results of 4 MB after 10 ms of Python."""
    from regret import _arrays

    return Workload(_arrays.make, range(setting.count(60)))


@row
def array_sums(setting: Setting) -> Workload:
    """40 sums of arrays of 10 MB."""
    from regret import _arrays

    return Workload(_arrays.add_up, _arrays.large_arrays(setting.count(40), 10_000_000))


@row
def byte_counts(setting: Setting) -> Workload:
    """A byte counted in 200 buffers of 1 MB."""
    return Workload(work.count_byte, [bytes([number]) * 1_000_000 for number in range(setting.count(200))])


def prose(seed: int, length: int) -> str:
    """Make a text of so many characters: words, numbers and full stops."""
    draw = random.Random(seed)
    words = ["running", "the", "slow", "thing", "a", "being", "house", "of", "seeing", "river", "17", "2043", "end."]
    return " ".join(draw.choices(words, k=length // 4))[:length]
