"""Memory files, with the system's own and without."""

import mmap
import os
import resource
import sys
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


@pytest.mark.parametrize("limit", [0, 10_000])
def test_a_private_view(descriptor: int, limit: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can be written to, and nobody else sees that; beyond the limit it is a copy, which looks the same."""
    if limit == 0:
        monkeypatch.setattr(_memory, "_view_private", _no_more_views)
    _memory.write(descriptor, [(0, memoryview(b"abc"))])
    one, two = (_memory.map_private(descriptor, 10_000) for _ in range(2))
    assert isinstance(one, mmap.mmap if limit else bytearray)
    assert len(one) == 10_000
    one[:3] = b"xyz"
    assert two[:3] == os.pread(descriptor, 3, 0) == b"abc"
    assert one[:3] == b"xyz"


def _no_more_views(descriptor: int, size: int) -> mmap.mmap:
    raise OSError


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="views keep no descriptor")
def test_views_do_not_take_all_descriptors(descriptor: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From a share of them on, what arrives is copied."""
    monkeypatch.setattr(resource, "getrlimit", lambda _: (2 * (descriptor + 10), -1))
    views = [_memory.map_private(descriptor, 100) for _ in range(40)]
    mapped = [isinstance(view, mmap.mmap) for view in views]
    assert mapped == sorted(mapped, reverse=True)
    assert 0 < mapped.count(True) <= 10


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
