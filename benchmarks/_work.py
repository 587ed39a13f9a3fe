"""What the marks run: item functions that any pool can import by name, and the workloads made of them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

NAP_SECONDS = 0.05
PAGE_BYTES = 200_000


def trivial(number: int) -> int:
    """Do next to nothing."""
    return number + 1


def spin(rounds: int) -> int:
    """Keep a core busy in pure Python, for a time in proportion to the rounds."""
    total = 0
    for value in range(rounds):
        total += value * value % 7
    return total


def nap(number: int) -> int:
    """Wait as a request does."""
    time.sleep(NAP_SECONDS)
    return number


def factorise(number: int) -> list[int]:
    """Return the prime factors of a number in rising order, by trial division with every integer."""
    factors = []
    divisor = 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            factors.append(divisor)
            number //= divisor
        divisor += 1
    if number > 1:
        factors.append(number)
    return factors


def page(number: int) -> bytes:
    """Make a result of 200 kB that tells its number."""
    return number.to_bytes(8, "little") * (PAGE_BYTES // 8)


def calibrate(seconds: float) -> int:
    """Return the rounds of `spin` that take about so many seconds when nobody disturbs."""
    rounds = 1000
    for _ in range(2):
        rounds = max(1, round(rounds * seconds / _fastest_spin(rounds)))
    return rounds


def _fastest_spin(rounds: int) -> float:
    calls = max(1, 100_000 // rounds)
    best = float("inf")
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(calls):
            spin(rounds)
        best = min(best, (time.perf_counter() - start) / calls)
    return best


@dataclass(frozen=True, slots=True)
class Workload:
    """A function, its items, and the answer that every engine must give."""

    func: Callable[[Any], Any]
    items: Sequence[Any]
    known: list[Any] | None = None

    def answer(self) -> list[Any]:
        """Return the expected results: the known ones, else those of the loop."""
        return [self.func(item) for item in self.items] if self.known is None else self.known


def load(name: str, size: int) -> Workload:
    """Make a workload by name; its size is a number of items or, for `spin`, of rounds per item."""
    makers: dict[str, Callable[[], Workload]] = {
        "trivial": lambda: Workload(trivial, range(size)),
        "lambda": lambda: Workload(lambda number: number + 1, range(size)),
        "spin-1000": lambda: Workload(spin, [size] * 1000),
        "spin-20000": lambda: Workload(spin, [size] * 20_000),
        "naps": lambda: Workload(nap, range(size), known=list(range(size))),
        "factors": lambda: Workload(factorise, range(size)),
        "pages": lambda: Workload(page, range(size), known=[]),
    }
    return makers[name]()
