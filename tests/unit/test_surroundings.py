"""What this machine and this program can do, and what a worker would have to import."""

import functools
import os
import re
import socket
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from parmap import _observe
from parmap._observe import Meter, check_processes, is_posix, may_fork
from parmap._prospect import import_seconds
from parmap._tuning import IMPORT_SECONDS


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("frozen", True, "frozen executable"), ("executable", "", "sys.executable is empty")],
)
def test_why_there_are_no_processes(monkeypatch: pytest.MonkeyPatch, name: str, value: object, words: str) -> None:
    """In words, for the warning."""
    check_processes()
    monkeypatch.setattr(sys, name, value, raising=False)
    with pytest.raises(OSError, match=re.escape(words)):
        check_processes()


def test_no_processes_on_this_platform(monkeypatch: pytest.MonkeyPatch) -> None:
    """The platform is named."""
    monkeypatch.setattr(sys, "platform", "emscripten")
    with pytest.raises(OSError, match="emscripten"):
        check_processes()


def test_a_standalone_program_of_nuitka_is_frozen_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its modules are marked, and only those of a program that has no interpreter."""
    monkeypatch.setattr(_observe, "__compiled__", SimpleNamespace(standalone=False), raising=False)
    check_processes()
    monkeypatch.setattr(_observe, "__compiled__", SimpleNamespace(standalone=True))
    with pytest.raises(OSError, match="frozen executable"):
        check_processes()


def in_main(func: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function of the program's script."""
    func.__module__ = "__main__"
    return func


def test_what_a_worker_has_to_import(monkeypatch: pytest.MonkeyPatch) -> None:
    """The packages that the function's module stands on count, not the standard library, not what is there anyway."""
    package, user = ModuleType("heavy"), ModuleType("user")
    user.__dict__.update({"__loader__": pytest.Item, "@added": pytest.Item})
    user.__dict__.update(heavy=package, os=os, meter=Meter, func=lambda item: item)
    user.func.__module__ = "user"
    for name in ("heavy", "heavy.a", "heavy.a.b", "heavier", "user"):
        monkeypatch.setitem(sys.modules, name, {"heavy": package, "user": user}.get(name, ModuleType(name)))
    assert import_seconds(user.func) == pytest.approx(3 * IMPORT_SECONDS)
    monkeypatch.setitem(vars(sys.modules["__main__"]), "heavy", package)
    assert import_seconds(in_main(lambda item: item)) == 0.0
    assert import_seconds(in_main(lambda item: heavy.func(item))) == pytest.approx(3 * IMPORT_SECONDS)  # type: ignore[name-defined] # noqa: F821
    assert import_seconds(len) == 0.0
    assert import_seconds(functools.partial(user.func)) == 0.0


def test_where_a_process_may_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not on macOS, nor where there is no fork."""
    assert may_fork()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "platform", "darwin")
        assert not may_fork()
    monkeypatch.delattr(os, "fork")
    assert not may_fork()


def test_what_is_posix(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starting programs, and sending descriptors to them."""
    assert is_posix()
    with monkeypatch.context() as patch:
        patch.delattr(socket, "AF_UNIX")
        assert not is_posix()
    monkeypatch.delattr(os, "posix_spawn")
    assert not is_posix()
