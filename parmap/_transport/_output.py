"""What workers print, to the caller's own `sys.stdout` and `sys.stderr`: in whole lines, wherever those lead.

A file descriptor would be shared by all workers, whose lines would mix, and would miss what is behind the caller's
streams: a notebook cell, a test's capture, a redirection.
"""

import io
import os
import sys
from collections.abc import Callable
from typing import Any, TextIO

from parmap._transport._messages import Output


class Speaker(io.TextIOBase):
    """A worker's standard stream: sends each line as it is completed, and the rest when it is flushed out.

    What is not text goes to the real stream, as does everything in a process that the user's code forks off: the link
    to the caller is the worker's alone.
    """

    def __init__(self, stream: str, send: Callable[[Output], None]) -> None:
        super().__init__()
        self._stream = stream
        self._send: Callable[[Output], None] | None = send
        self._real: TextIO = getattr(sys, stream)
        self._line = ""

    @property
    def buffer(self) -> Any:
        """The binary stream below the real one."""
        return self._real.buffer

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the real stream."""
        return self._real.encoding

    def fileno(self) -> int:
        """The descriptor of the real stream."""
        return self._real.fileno()

    def isatty(self) -> bool:
        """Whether the real stream is a terminal."""
        return self._real.isatty()

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, text: str) -> int:
        """Takes text and sends the lines that it completes."""
        if self._send is None:
            return self._real.write(text)
        lines, newline, self._line = (self._line + text).rpartition("\n")
        if newline:
            self._send(Output(self._stream, lines + newline))
        return len(text)

    def flush(self) -> None:
        """Nothing waits that could be sent: a line is sent when it is whole, or by `finish`."""
        if self._send is None:
            self._real.flush()

    def finish(self) -> None:
        """Sends the beginning of a line that nobody has ended."""
        if self._line and self._send is not None:
            line, self._line = self._line, ""
            self._send(Output(self._stream, line))

    def stay_behind(self) -> None:
        """In a process that was forked off the worker: writes to the real stream from now on."""
        self._send, self._line = None, ""


def speakers(send: Callable[[Output], None]) -> list[Speaker]:
    """Puts speakers in the place of the standard streams of this process."""
    made = []
    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is not None:
            speaker = Speaker(stream, send)
            setattr(sys, stream, speaker)
            if hasattr(os, "register_at_fork"):
                os.register_at_fork(after_in_child=speaker.stay_behind)
            made.append(speaker)
    return made


def speak(output: Output) -> None:
    """In the caller's process: writes what a worker has printed."""
    stream: TextIO | None = getattr(sys, output.stream)
    if stream is not None:
        stream.write(output.text)
        stream.flush()
