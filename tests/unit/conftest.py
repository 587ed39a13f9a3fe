"""What the tests of the pilot share, and those of links."""

from collections.abc import Iterator

import pytest

from parmap._transport._links import Link, pair
from tests.unit.stage import Stage


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A plan, and an engine that works."""
    return Stage(monkeypatch)


@pytest.fixture
def ends() -> Iterator[tuple[Link, Link]]:
    """Two ends of one link."""
    ours, theirs = pair()
    other = Link(theirs)
    yield ours, other
    ours.close()
    other.close()
