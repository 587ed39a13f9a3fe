"""What the tests of the pilot share."""

import pytest

from tests.unit.stage import Stage


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    """A plan, and an engine that works."""
    return Stage(monkeypatch)
