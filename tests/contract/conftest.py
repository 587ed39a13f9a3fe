"""The engines and the maps that every contract test runs on."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from parmap import pimap, pmap
from tests.contract.helpers import BACKENDS, Ledger

Mapper: TypeAlias = Callable[..., list[Any]]

# What the engine without POSIX does not promise: test or module, and reason (see `parmap/_backends/_executor`).
WITHOUT_POSIX = {
    "test_a_large_constant_is_let_go": "each worker has a copy of a constant",
    "test_timeouts": "no worker can be ended inside an item",
    "test_with_a_timeout": "no worker can be ended inside an item",
    "test_one_item_that_cannot_be_sent_ends_the_sending": "no worker can be ended inside an item",
    "test_items_that_wait_under_a_timeout_get_more_processes": "no worker can be ended inside an item",
    "test_shared": "there are no descriptors to send",
    "test_transport": "everything goes through pipes, pickled",
    "test_deaths": "tests/platforms/test_executor.py has the deaths there",
    "test_sharing": "workers live for one call",
    "test_the_second_call_begins_where_the_first_one_ended": "workers live for one call, and the loop runs meanwhile",
    "test_what_no_longer_fits_is_forgotten": "workers live for one call, and the loop runs meanwhile",
    "test_a_worker_that_dies_while_starting_shows_what_it_wrote": "what it writes is not kept apart",
    "test_workers_are_kept_for_the_next_call": "workers live for one call",
    "test_shutdown_leaves_no_process_and_may_be_repeated": "on POSIX multiprocessing keeps a process of its own",
}
# What these tests look at is not there without a fork, or without memory files; what they promise is kept.
WITHOUT_FORK = {
    "test_zygote_killed_in_a_call": "there is no zygote",
    "test_zygote_and_worker_killed_in_a_call": "there is no zygote",
    "test_zygote_killed_while_items_hang": "there is no zygote",
    "test_a_call_does_not_suffer_from_the_zygote_of_another": "there is no zygote",
    "test_a_fork_has_a_pool_of_its_own": "nothing can be forked here",
    "test_what_a_child_of_a_worker_looks_at_does_not_change": "nothing can be forked here",
    "test_a_copy_of_an_iterator_does_not_hang": "nothing can be forked here",
}
WITHOUT_MEMORY_FILES = {
    "test_the_memory_of_a_result_is_returned_when_it_dies": "it looks for memory files",
    "test_a_constant_crosses_once_and_is_shared": "the system counts the pages of a file as private",
}
LOST = {"posix_spawn": WITHOUT_POSIX, "fork": WITHOUT_FORK, "memfd_create": WITHOUT_MEMORY_FILES}


@pytest.fixture(autouse=True)
def promised(request: pytest.FixtureRequest) -> None:
    """Skips a test of what is not promised on this platform."""
    for part, lost in LOST.items():
        for name in (request.path.stem, request.node.name.partition("[")[0]):
            if name in lost and not hasattr(os, part):
                pytest.skip(lost[name])


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
