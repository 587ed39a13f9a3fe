"""Memory files, with the system's own and without."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from parmap._transport import _memory


@pytest.fixture(params=["memfd", "temporary file"])
def descriptor(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A memory file of 10 000 bytes."""
    if request.param == "temporary file":
        monkeypatch.delattr(os, "memfd_create", raising=False)
    elif not hasattr(os, "memfd_create"):
        pytest.skip("this system has no memfd_create")
    found = _memory.create(10_000)
    yield found
    os.close(found)


def test_new_files(descriptor: int) -> None:
    """They have their size, are zero, have no name, and are not inherited."""
    found = os.fstat(descriptor)
    assert found.st_size == 10_000
    assert found.st_nlink == 0
    assert not os.get_inheritable(descriptor)
    assert os.pread(descriptor, 10_000, 0) == bytes(10_000)


def test_writing(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each piece goes to its place, however little one call to write takes."""
    monkeypatch.setattr(_memory, "_WRITE_MOST", 7)
    _memory.write(descriptor, [(0, memoryview(b"a" * 20)), (64, memoryview(b"b" * 14)), (100, memoryview(b""))])
    assert os.pread(descriptor, 128, 0) == b"a" * 20 + bytes(44) + b"b" * 14 + bytes(50)
    assert os.fstat(descriptor).st_size == 10_000


def test_a_private_view(descriptor: int) -> None:
    """It can be written to, and nobody else sees that; it outlives the descriptor."""
    _memory.write(descriptor, [(0, memoryview(b"abc"))])
    one, two = (_memory.map_private(descriptor, 10_000) for _ in range(2))
    one[:3] = b"xyz"
    assert two[:3] == os.pread(descriptor, 3, 0) == b"abc"
    assert one[:3] == b"xyz"
    one.close()
    two.close()


def test_a_shared_view(descriptor: int) -> None:
    """Everyone sees the same."""
    one, two = (_memory.map_shared(descriptor, 10_000) for _ in range(2))
    one[:3] = b"xyz"
    assert two[:3] == os.pread(descriptor, 3, 0) == b"xyz"
    one.close()
    two.close()


def test_a_view_outlives_the_descriptor() -> None:
    """The memory goes with the last that uses it."""
    found = _memory.create(100)
    _memory.write(found, [(0, memoryview(b"abc"))])
    view = _memory.map_private(found, 100)
    os.close(found)
    assert view[:3] == b"abc"
    view.close()


def test_without_memfd_nothing_stays_in_a_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not even for the time of its use."""
    monkeypatch.delattr(os, "memfd_create", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    found = _memory.create(100)
    assert list(tmp_path.iterdir()) == []
    os.close(found)


def test_a_size_that_cannot_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """The descriptor is closed again."""
    opened: list[int] = []

    def refuse(descriptor: int, size: int) -> None:
        opened.append(descriptor)
        raise OSError("too large")

    monkeypatch.setattr(os, "ftruncate", refuse)
    with pytest.raises(OSError, match="too large"):
        _memory.create(1 << 60)
    with pytest.raises(OSError, match=r"."):
        os.fstat(opened[0])
