"""How fast the loop goes, from what was started in each window."""

import pytest

from parmap._observe import Pace


def pace(*windows: tuple[int, float]) -> Pace:
    """What is known after windows: items started by their end, and seconds inside items."""
    found = Pace(0)
    for started, seconds in windows:
        found.note(started, seconds)
    return found


@pytest.mark.parametrize(
    ("windows", "expected"),
    [
        ([(11, 0.02)], (0.02, 10, 0.002, 0.0)),
        ([(1, 0.02)], (0.02, 0, 0.0, 0.02)),  # the first item is long
        ([(1, 0.02), (1, 0.03)], (0.05, 0, 0.0, 0.05)),
        ([(11, 0.02), (12, 0.02)], (0.04, 11, 0.02, 0.0)),  # costs rise
        ([(11, 0.02), (11, 0.02)], (0.04, 10, 0.0, 0.02)),
        ([(1, 0.02), (2, 0.02), (2, 0.02)], (0.06, 1, 0.0, 0.02)),  # all are long
        ([(1, 0.02), (500, 0.02)], (0.0, 0, 0.0, 0.0)),  # only one was
        ([(1, 0.02), (500, 0.02), (1500, 0.02)], (0.02, 1000, 2e-5, 0.0)),
    ],
    ids=str,
)
def test_pace(windows: list[tuple[int, float]], expected: tuple[float, int, float, float]) -> None:
    """Seconds in items, how many ended, seconds an item of late, seconds of the one that is being run."""
    found = pace(*windows)
    assert (found.busy, found.done, found.recent, found.current) == pytest.approx(expected)
