"""The sizes of chunks and of the window: what they never exceed, and how they follow the cost of the items."""

import math

from hypothesis import given
from hypothesis import strategies as st

from parmap._chunks import Sizer
from parmap._source import Source
from parmap._tuning import (
    CHUNK_BYTES,
    CHUNK_GROWTH,
    CHUNK_TARGET,
    IN_FLIGHT,
    LEAST_CHUNK,
    MAX_CHUNK,
    MAX_WINDOW,
    WINDOW_BYTES,
    WINDOW_PER_WORKER,
)

WORKERS = st.integers(1, 64)
LENGTHS = st.integers(0, 3000)
# Seconds and bytes of one item: nothing, a trifle, or much.
SECONDS = st.sampled_from([0.0, 1e-9, 1e-6, 1e-3, 0.1, 1.0, 1e4])
BYTES = st.sampled_from([0, 1, 100, 10_000, 1 << 20, 1 << 30])
# What is said of each dispatch: which part of it was done, seconds and bytes an item.
HISTORY = st.lists(st.tuples(st.floats(0, 1), SECONDS, BYTES), max_size=40)


@given(LENGTHS, WORKERS, st.integers(1, 64), st.booleans(), HISTORY)
def test_chunks_cover_the_input_once_in_order(
    length: int, workers: int, first: int, known: bool, history: list[tuple[float, float, int]]
) -> None:
    """Whatever is observed between two chunks, strung together they are the input, and none is empty."""
    items = list(range(length))
    source = Source((items if known else iter(items),))
    sizer = Sizer(None, workers, first, source.left)
    told = iter(history)
    covered: list[int] = []
    while (chunk := source.take(sizer.size(source.left))) is not None:
        assert chunk.start == len(covered)
        assert chunk.items
        covered += chunk.items
        share, seconds, size = next(told, (1.0, 1e-6, 0))
        ran = int(share * len(chunk.items))
        sizer.observe(ran, ran * seconds, ran * size)
    assert covered == items
    assert source.drawn == length


@given(st.integers(1, 10_000), WORKERS, HISTORY, st.none() | LENGTHS)
def test_a_fixed_size_is_kept(
    fixed: int, workers: int, history: list[tuple[float, float, int]], left: int | None
) -> None:
    """A size that the caller gave does not change, whatever is seen."""
    sizer = Sizer(fixed, workers, 32, left)
    for items, (_, seconds, size) in enumerate(history):
        sizer.observe(items, items * seconds, items * size)
        assert sizer.size(left) == fixed


@given(WORKERS, st.integers(1, 64), st.none() | LENGTHS, HISTORY)
def test_sizes_are_at_least_one_and_grow_step_by_step(
    workers: int, first: int, left: int | None, history: list[tuple[float, float, int]]
) -> None:
    """A size is never zero, and at most `CHUNK_GROWTH` times what has been seen to run, and `MAX_CHUNK`."""
    sizer = Sizer(None, workers, first, left)
    most = first
    for _, seconds, size in history:
        chosen = sizer.size(left)
        assert 1 <= chosen <= min(most, MAX_CHUNK)
        sizer.observe(chosen, chosen * seconds, chosen * size)
        most = max(most, chosen * CHUNK_GROWTH)


@given(
    workers=WORKERS,
    first=st.integers(1, 1000),
    items=st.integers(1, 10**6),
    seconds=SECONDS,
    size=BYTES,
    left=st.none() | st.integers(0, 10**7),
)
def test_sizes_aim_at_time_and_bytes(
    *, workers: int, first: int, items: int, seconds: float, size: int, left: int | None
) -> None:
    """A chunk of more than one item holds no more than the seconds and the bytes that are aimed at."""
    sizer = Sizer(None, workers, first, None)
    sizer.observe(items, items * seconds, items * size)
    chosen = sizer.size(left)
    assert chosen == 1 or chosen * seconds <= CHUNK_TARGET * 1.001
    assert chosen == 1 or chosen * size <= CHUNK_BYTES * 1.001


@given(st.integers(2, 64), st.integers(0, 10**6), st.sampled_from([1e-5, 1e-4, 1e-2]))
def test_sizes_shrink_towards_the_end(workers: int, left: int, seconds: float) -> None:
    """Each worker has two chunks to come, at least, until a chunk is no longer worth a dispatch."""
    sizer = Sizer(None, workers, 32, None)
    sizer.observe(MAX_CHUNK, MAX_CHUNK * seconds, 0)
    share = max(math.ceil(left / (workers * IN_FLIGHT)), LEAST_CHUNK / seconds)
    assert sizer.size(left) == max(1, int(min(CHUNK_TARGET / seconds, share)))
    assert sizer.size(None) == max(1, int(CHUNK_TARGET / seconds))


def test_one_worker_needs_no_end() -> None:
    """There is nobody who would wait for it."""
    sizer = Sizer(None, 1, 32, None)
    sizer.observe(1000, 1000 * 1e-4, 0)
    assert sizer.size(3) == sizer.size(None) == CHUNK_TARGET / 1e-4


@given(st.integers(1, 1000), HISTORY)
def test_a_bound_that_was_given(most: int, history: list[tuple[float, float, int]]) -> None:
    """Sizes do not grow beyond it."""
    sizer = Sizer(None, 1, 1, None, most=most)
    for items, (_, seconds, size) in enumerate(history, 1):
        sizer.observe(items, items * seconds, items * size)
        assert sizer.size(None) <= most


def test_what_is_known_of_the_function_counts_from_the_start() -> None:
    """Items that were long the last time are dispatched one by one; short ones are not spread thin at first."""
    assert Sizer(None, 2, 32, 100, seconds=1.0).size(100) == 1
    assert Sizer(None, 64, 32, 100, seconds=1e-6).size(100) == 32


def test_chunks_take_what_is_aimed_at() -> None:
    """Less for threads than for processes."""
    assert Sizer(None, 2, 1000, None, seconds=0.001, target=0.005).size(None) == 5


@given(WORKERS, st.integers(1, 1000), LENGTHS)
def test_the_first_chunks_leave_some_for_every_worker(workers: int, first: int, length: int) -> None:
    """Of a short input the first worker does not get all."""
    assert Sizer(None, workers, first, length).size(length) == max(1, min(first, math.ceil(length / workers)))


def test_costs_that_rise_count_at_once() -> None:
    """One slow chunk makes the next one small; one fast chunk after it does not make it large again."""
    sizer = Sizer(None, 2, 32, None)
    sizer.observe(1000, 1000 * 1e-5, 0)
    assert sizer.size(None) == CHUNK_TARGET / 1e-5
    sizer.observe(1000, 1000 * 1e-3, 0)
    assert sizer.size(None) == CHUNK_TARGET / 1e-3
    sizer.observe(1000, 0.0, 0)
    assert sizer.size(None) == CHUNK_TARGET / 0.5e-3


def test_the_largest_items_count() -> None:
    """Bytes are bounded by the worst that was seen, since the next items may be like it."""
    sizer = Sizer(None, 2, 1000, None)
    sizer.observe(10, 1e-6, 10 * CHUNK_BYTES // 20)
    sizer.observe(1000, 1e-6, 1000)
    assert sizer.size(None) == 20


@given(st.integers(1, 10**6), WORKERS, HISTORY)
def test_a_window_that_was_given_is_kept(
    buffersize: int, workers: int, history: list[tuple[float, float, int]]
) -> None:
    """``buffersize`` is the window."""
    sizer = Sizer(None, workers, 32, None)
    for items, (_, seconds, size) in enumerate(history):
        sizer.observe(items, items * seconds, items * size)
        assert sizer.window(buffersize) == buffersize


@given(WORKERS, st.none() | st.integers(1, 10**5), st.integers(1, 64), HISTORY)
def test_the_window_is_bounded(
    workers: int, fixed: int | None, first: int, history: list[tuple[float, float, int]]
) -> None:
    """There are two items a worker, at least; beyond that neither too many nor too large."""
    sizer = Sizer(fixed, workers, first, None)
    least = WINDOW_PER_WORKER * workers
    largest = 0.0
    for items, (_, seconds, size) in enumerate(history):
        sizer.observe(items, items * seconds, items * size)
        largest = max(largest, size) if items else largest
        window = sizer.window(None)
        assert least <= window <= max(least, MAX_WINDOW)
        assert window == least or window * largest <= WINDOW_BYTES
