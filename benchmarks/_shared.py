"""Locked increments of a shared number: parmap's `Value` and multiprocessing's, alone and against another process."""

import multiprocessing
import time
from typing import Any, Protocol

from _harness import SampleError, Sampler

from parmap import Value

FORK = multiprocessing.get_context("fork")


class Shared(Protocol):
    """What both kinds of value have."""

    value: int

    def get_lock(self) -> Any:
        """Return the lock that belongs to the value."""
        ...


def values() -> dict[str, Shared]:
    """Return a fresh value of each kind."""
    return {"parmap.Value": Value("q"), "multiprocessing.Value": FORK.Value("q")}


def add(value: Shared, times: int) -> None:
    """Add one, under the value's lock, so many times."""
    for _ in range(times):
        with value.get_lock():
            value.value += 1


def alone(value: Shared, times: int) -> Sampler:
    """Return a sampler of the seconds that an increment takes which nobody contends for."""

    def sample() -> float:
        start = time.perf_counter()
        add(value, times)
        return (time.perf_counter() - start) / times

    return sample


def contended(value: Shared, times: int) -> Sampler:
    """Return a sampler of the seconds an increment while two processes increment, from their common start to the end."""

    def sample() -> float:
        value.value = 0
        start_line = FORK.Barrier(3)
        processes = [FORK.Process(target=_race, args=(start_line, value, times)) for _ in range(2)]
        for process in processes:
            process.start()
        start_line.wait()
        start = time.perf_counter()
        for process in processes:
            process.join()
        seconds = time.perf_counter() - start
        if value.value != 2 * times:
            raise SampleError(f"{value.value} after {2 * times} increments")
        return seconds / (2 * times)

    return sample


def _race(start_line: Any, value: Shared, times: int) -> None:
    start_line.wait()
    add(value, times)
