"""Interpreters of their own for what is measured: one lane does not see what another has imported, started or leaked.

`cold` gives a candidate that runs once in a fresh interpreter; `warm` gives candidates that keep theirs from turn to
turn. The far end of a lane is `_lane_main.py`.
"""

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType

from _harness import SampleError, Sampler

MAIN = Path(__file__).with_name("_lane_main.py")
ANSWER_SECONDS = 180.0
LEAVE_SECONDS = 10.0
TICK_SECONDS = 0.01


class Lane(AbstractContextManager["Lane"]):
    """An interpreter of its own for one workload and some engines, which runs a sample when asked."""

    def __init__(self, workload: str, size: int, *engines: str) -> None:
        """Start the interpreter and wait until its imports are done."""
        command = [sys.executable, str(MAIN), workload, str(size), *engines]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
        )
        self.received = b""
        self.broken = ""
        try:
            self._read_line(None)
        except SampleError:
            self.close(patience=0)
            raise

    def sample(
        self, engine: str, *, chunksize: int | None = None, calls: int = 1, tick: Callable[[], None] | None = None
    ) -> float:
        """Return the seconds of one call; `tick` is called every 10 ms or so in the meantime."""
        self._write_line(json.dumps({"engine": engine, "chunksize": chunksize, "calls": calls}))
        reply = json.loads(self._read_line(tick))
        if "error" in reply:
            raise SampleError(reply["error"])
        return float(reply["seconds"])

    def sampler(self, engine: str, *, chunksize: int | None = None, calls: int = 1) -> Sampler:
        """Return a candidate for `interleave`: warm, for the cold start is taken here and dropped."""
        with suppress(SampleError):  # it comes again in the first turn, and is reported there
            self.sample(engine, chunksize=chunksize)
        return lambda: self.sample(engine, chunksize=chunksize, calls=calls)

    def close(self, patience: float = LEAVE_SECONDS) -> None:
        """End the interpreter: it leaves when its input ends; one that does not is killed with its children."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)  # its session is its own: nobody else is in this group
            self.process.wait()
        self.process.stdout.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the lane, without patience where it has failed to answer."""
        self.close(0 if self.broken else LEAVE_SECONDS)

    def _write_line(self, line: str) -> None:
        assert self.process.stdin is not None
        if self.broken:  # what a broken lane still says belongs to an earlier question
            raise SampleError(self.broken)
        try:
            self.process.stdin.write(line.encode() + b"\n")
        except OSError:
            raise self._break("the interpreter ended") from None

    def _read_line(self, tick: Callable[[], None] | None) -> bytes:
        """Wait for a whole line; a lane that ends or stays silent too long is broken."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + ANSWER_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in self.received:
                if selector.select(TICK_SECONDS if tick else ANSWER_SECONDS):
                    self._receive()
                elif time.monotonic() > deadline:
                    raise self._break(f"no answer within {ANSWER_SECONDS:.0f} s")
                if tick:
                    tick()
        line, _, self.received = self.received.partition(b"\n")
        return line

    def _receive(self) -> None:
        assert self.process.stdout is not None
        received = os.read(self.process.stdout.fileno(), 65536)
        if not received:
            raise self._break("the interpreter ended")
        self.received += received

    def _break(self, reason: str) -> SampleError:
        self.broken = reason
        return SampleError(reason)


def cold(workload: str, size: int, engine: str) -> Sampler:
    """Return a candidate for `interleave` that runs once in a fresh interpreter, measured after the imports.

    One sample is taken here and dropped, so that the byte code of what it imports is there for the others.
    """

    def sample() -> float:
        with Lane(workload, size, engine) as lane:
            return lane.sample(engine)

    with suppress(SampleError):  # it comes again in the first turn, and is reported there
        sample()
    return sample


@contextmanager
def warm(
    workload: str, size: int, engines: Sequence[str], *, calls: int = 1, chunks: Mapping[str, int] | None = None
) -> Iterator[dict[str, Sampler]]:
    """Open a warm lane for each engine and give their candidates by name; `chunks` holds chunk sizes by engine."""
    sizes = chunks or {}
    with ExitStack() as lanes:
        opened = {engine: lanes.enter_context(Lane(workload, size, engine)) for engine in engines}
        yield {name: lane.sampler(name, chunksize=sizes.get(name), calls=calls) for name, lane in opened.items()}
