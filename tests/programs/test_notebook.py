"""In a notebook: cells run in a kernel, functions live in ``__main__``, an interrupt comes from the menu."""

import importlib
import importlib.util
from collections.abc import Iterator
from queue import Empty
from typing import Any

import pytest

MISSING = [name for name in ("ipykernel", "jupyter_client") if importlib.util.find_spec(name) is None]

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

LIMIT = 60


@pytest.fixture(scope="module")
def one_kernel() -> Iterator[Any]:
    """A kernel that has imported parmap; one for all tests, as the client keeps an event loop for good."""
    manager, client = importlib.import_module("jupyter_client.manager").start_new_kernel(kernel_name="python3")
    try:
        assert run(client, "import time, parmap\nfrom parmap import pmap") == ("", "")
        yield manager, client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


@pytest.fixture
def kernel(one_kernel: Any) -> Iterator[Any]:
    """The kernel, without warm workers at the end."""
    yield one_kernel
    run(one_kernel[1], "parmap.shutdown()")


def run(client: Any, cell: str) -> tuple[str, str]:
    """Runs a cell; what it printed, and the name of its error."""
    return finish(client, client.execute(cell))


def finish(client: Any, sent: str) -> tuple[str, str]:
    """Reads what a cell prints until the kernel is idle again."""
    printed, error = "", ""
    while True:
        try:
            message = client.get_iopub_msg(timeout=LIMIT)
        except Empty:
            raise AssertionError(f"the cell does not end; it printed {printed!r}") from None
        if message["parent_header"].get("msg_id") != sent:
            continue
        content = message["content"]
        if message["msg_type"] == "stream":
            printed += content["text"]
        elif message["msg_type"] == "error":
            error = content["ename"]
        elif message["msg_type"] == "status" and content["execution_state"] == "idle":
            return printed, error


@pytest.mark.parametrize("backend", ["serial", "thread", "process", "auto"])
def test_cells(kernel: Any, backend: str) -> None:
    """Functions and classes of cells, defined again in later cells, inside the kernel's running event loop."""
    _, client = kernel
    cells = [
        "class Point:\n    def __init__(self, x):\n        self.x = x\n",
        "def f(p):\n    time.sleep(0.001)\n    return Point(p.x + step)\n",
        "step = 1",
        f"got = pmap(f, [Point(n) for n in range(50)], backend={backend!r}, workers=2)",
        "print(all(type(p) is Point for p in got), [p.x for p in got] == list(range(1, 51)))",
        "step = 2",
        f"print([p.x for p in pmap(f, [Point(1), Point(2)], backend={backend!r}, workers=2)])",
        f"print(pmap(lambda x: x + step, range(3), backend={backend!r}, workers=2))",
    ]
    printed = ""
    for cell in cells:
        text, error = run(client, cell)
        assert error == "", cell
        printed += text
    assert printed == "True True\n[3, 4]\n[2, 3, 4]\n"


@pytest.mark.parametrize("backend", ["serial", "thread", "process", "auto"])
def test_interrupt(kernel: Any, backend: str) -> None:
    """One interrupt of the kernel ends the cell, and the next cell works."""
    manager, client = kernel
    # The word comes from inside the call: between two statements an interrupt may fall to the kernel itself.
    run(client, "def items():\n    yield 0\n    print('begun', flush=True)\n    yield from range(100_000)\n")
    begun = client.execute(f"pmap(lambda n: time.sleep(0.05), items(), backend={backend!r}, workers=2)")
    while True:
        message = client.get_iopub_msg(timeout=LIMIT)
        if message["msg_type"] == "stream" and "begun" in message["content"]["text"]:
            break
    manager.interrupt_kernel()
    assert finish(client, begun)[1] == "KeyboardInterrupt"
    assert run(client, f"print(pmap(abs, range(-3, 0), backend={backend!r}, workers=2))") == ("[3, 2, 1]\n", "")
