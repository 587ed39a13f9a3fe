"""What workers log and what they warn of, to the caller's handlers and filters.

A log record is handled where its reader is: in the caller's process, once, by the handlers and filters there. Handlers
that a worker gets while it imports the user's modules are those of the caller again, so they are not asked.

A warning passes the filters twice: in the worker, which has those of the caller, so that an error is one there; and
in the caller's process, where it is known what has been shown before, by the caller itself or by another worker.
"""

import os
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from parmap._transport._messages import Logged, LogLevels, Output, Warned
from parmap._transport._output import speak

if TYPE_CHECKING:
    from logging import Logger, LogRecord

Report = Output | Logged | Warned


class Reporter:
    """A worker's side: takes the place of what would log and warn in this process.

    In a process that the user's code forks off, everything is as it was: the link is the worker's alone.
    """

    def __init__(self, send: Callable[[Report], None]) -> None:
        self._send = send
        self._process = os.getpid()
        self._show = warnings.showwarning
        self._call_handlers: Any = None
        self._levels: Mapping[str, int] = {}
        warnings.showwarning = self._warn  # type: ignore[assignment]

    def log_at(self, levels: LogLevels) -> None:
        """Logs what the caller would, from now on."""
        import logging

        if self._call_handlers is None:
            loggers: Any = logging.Logger
            self._call_handlers = loggers.callHandlers

            def call_handlers(logger: logging.Logger, record: logging.LogRecord) -> None:
                self._log(logger, record)

            loggers.callHandlers = call_handlers
        logging.disable(levels.disabled)
        for name in self._levels.keys() - levels.loggers.keys():
            logging.getLogger(name).setLevel(logging.NOTSET)
        for name, level in levels.loggers.items():
            logging.getLogger(name).setLevel(level)
        self._levels = levels.loggers

    def _log(self, logger: "Logger", record: "LogRecord") -> None:
        if os.getpid() == self._process:
            self._send(Logged(_plain(record)))
        else:
            self._call_handlers(logger, record)

    def _warn(
        self, message: Warning | str, category: type[Warning], filename: str, lineno: int, *file_and_line: Any
    ) -> None:
        if os.getpid() != self._process or any(file_and_line):
            self._show(message, category, filename, lineno, *file_and_line)
            return
        self._send(Warned(_travelling(message, category), filename, lineno, _module(filename, lineno)))


def forget_warnings() -> None:
    """Lets a warning that was shown once be shown again, for the caller to judge."""
    set_filters(list(warnings.filters))


def set_filters(filters: list[Any]) -> None:
    """Sets the filters of warnings."""
    warnings.resetwarnings()  # which also tells every module that what it remembers is out of date
    warnings.filters[:] = filters  # type: ignore[index]


def log_levels() -> LogLevels | None:
    """The levels that are set in this process; ``None``: it does not log."""
    logging = sys.modules.get("logging")
    if logging is None:
        return None
    loggers = {"": logging.root.level}
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if getattr(logger, "level", 0):  # a placeholder has none
            loggers[name] = logger.level
    return LogLevels(logging.root.manager.disable, loggers)


def relay(report: Report) -> None:
    """In the caller's process: does with a worker's report what the worker would have done here."""
    if isinstance(report, Output):
        speak(report)
    elif isinstance(report, Logged):
        import logging

        record = logging.makeLogRecord(dict(report.fields))
        logging.getLogger(record.name).handle(record)
    else:
        _warn_here(report)


def _warn_here(warned: Warned) -> None:
    module = sys.modules.get(warned.module)
    registry = {} if module is None else vars(module).setdefault("__warningregistry__", {})
    category = type(warned.warning)
    try:
        warnings.warn_explicit(
            warned.warning, category, warned.filename, warned.lineno, warned.module or None, registry
        )
    except Warning:  # an error by filters that were changed since: there is no item left to raise it in
        warnings.showwarning(warned.warning, category, warned.filename, warned.lineno)


def _plain(record: "LogRecord") -> Mapping[str, Any]:
    """The fields of a record, as they travel: the text made, the traceback in words."""
    import logging
    import pickle

    fields = dict(vars(record))
    fields["msg"], fields["args"] = record.getMessage(), None
    if record.exc_info:
        fields["exc_text"] = record.exc_text or logging.Formatter().formatException(record.exc_info)
        fields["exc_info"] = None
    for name, value in fields.items():
        try:
            pickle.dumps(value)
        except Exception:
            fields[name] = str(value)
    return fields


def _travelling(message: Warning | str, category: type[Warning]) -> Warning:
    """The warning itself, or one of the nearest class that can be rebuilt."""
    import pickle

    warning = message if isinstance(message, Warning) else category(message)
    try:
        pickle.loads(pickle.dumps(warning))
    except Exception:
        nearest: type[Warning] = next(base for base in category.__mro__ if base.__module__ == "builtins")
        return nearest(str(warning))
    return warning


def _module(filename: str, lineno: int) -> str:
    """The name of the module that a warning is for, which is somewhere up the stack; empty: it cannot be told."""
    import traceback  # costs 2 ms, and only warnings need it

    for frame, line in traceback.walk_stack(None):
        if frame.f_code.co_filename == filename and line == lineno:
            return str(frame.f_globals.get("__name__", ""))
    return ""
