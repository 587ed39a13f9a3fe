"""The engines and the maps that every contract test runs on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from parmap import pimap, pmap
from tests.contract.helpers import BACKENDS, Ledger

Mapper: TypeAlias = Callable[..., list[Any]]


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    """Each engine that the library has today."""
    return str(request.param)


def listed_pimap(*args: Any, **options: Any) -> list[Any]:
    """All that ``pimap`` yields, as a list."""
    return list(pimap(*args, **options))


MAPPERS: tuple[Mapper, ...] = (pmap, listed_pimap)


@pytest.fixture(params=MAPPERS, ids=["pmap", "pimap"])
def mapper(request: pytest.FixtureRequest) -> Mapper:
    """``pmap``, or ``pimap`` read to its end: both are to give what the loop gives."""
    found: Mapper = request.param
    return found


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """An empty ledger, to count executions wherever they happen."""
    return Ledger(str(tmp_path / "ledger"))
