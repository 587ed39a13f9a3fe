"""What the marks run: item functions that any pool can import by name, and the workloads made of them."""

import functools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

NAP_SECONDS = 0.05
PAGE_BYTES = 200_000
ARRAY_BYTES = 10_000_000
CONSTANT_BYTES = 200_000_000


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


def sum_of(array: Any, rounds: int) -> float:
    """Keep a core busy beside a large argument."""
    spin(rounds)
    return float(array[0] + array[-1])


def array_of(number: int, rounds: int) -> Any:
    """Keep a core busy and make a large result."""
    import numpy as np

    spin(rounds)
    return np.full(ARRAY_BYTES // 8, float(number))


def with_constant(rounds: int) -> Callable[[int], float]:
    """Make a function that has a large array in its closure."""
    import numpy as np

    constant = np.ones(CONSTANT_BYTES // 8)

    def look(number: int) -> float:
        spin(rounds)
        return float(constant[number]) + number

    return look


def arrays(count: int) -> list[Any]:
    """Make large arrays that tell their number."""
    import numpy as np

    return [np.full(ARRAY_BYTES // 8, float(number)) for number in range(count)]


def root(number: float) -> float:
    """Do next to nothing, with NumPy."""
    import numpy as np

    return float(np.sqrt(number))


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

    def accepts(self, result: list[Any], expected: list[Any]) -> bool:
        """Compare two answers, of which NumPy's arrays are compared by their ends."""
        return [_seen(each) for each in result] == [_seen(each) for each in expected]


def _seen(value: Any) -> Any:
    return (len(value), value[0], value[-1]) if type(value).__name__ == "ndarray" else value


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
        "arrays-in": lambda: Workload(functools.partial(sum_of, rounds=size), arrays(50)),
        "arrays-out": lambda: Workload(functools.partial(array_of, rounds=size), range(50)),
        "constant": lambda: Workload(with_constant(size), range(200)),
    }
    return makers[name]()
