"""Exceptions on their way between processes: with type, fields, notes, cause, context and the text of the traceback.

An exception is rebuilt once in the process that sends it. One that cannot be arrives as a `SerializationError` that
says its type, text and traceback, so that nothing is found out too late and nothing is lost.
"""

import pickle
import traceback
from types import TracebackType

from parmap._errors import SerializationError
from parmap._transport._messages import PackedError
from parmap._transport._pickling import dump

_PACKAGE = __name__.partition(".")[0]


def pack_error(error: BaseException, seen: frozenset[int] = frozenset()) -> PackedError:
    """Takes an exception and those that it came from apart. Never raises."""
    seen |= {id(error)}
    cause, context = error.__cause__, error.__context__
    return PackedError(
        _pickle_checked(error),
        type(error).__qualname__,
        _text(error),
        _trace(error),
        tuple(map(str, getattr(error, "__notes__", ()))),
        pack_error(cause, seen) if cause is not None and id(cause) not in seen else None,
        pack_error(context, seen) if context is not None and id(context) not in seen | {id(cause)} else None,
        error.__suppress_context__,
    )


def unpack_error(packed: PackedError, what: str) -> BaseException:
    """Rebuilds an exception; ``what`` it was, e.g. "the error of item 3", is told when it could not travel."""
    error = _load(packed)
    if error is None:
        reason = f"{packed.type_name}: {packed.text}\n{packed.traceback}"
        error = SerializationError(what, reason)
    if not getattr(error, "__notes__", ()):
        for note in packed.notes:
            error.add_note(note)
    error.__cause__ = unpack_error(packed.cause, "its cause") if packed.cause else None
    error.__context__ = unpack_error(packed.context, "its context") if packed.context else error.__cause__
    error.__suppress_context__ = packed.suppress_context
    return error


def _trace(error: BaseException) -> str:
    """The traceback as text, without the notes, which travel by themselves."""
    lines = traceback.format_tb(_user_part(error.__traceback__))
    return "".join(lines) + f"{type(error).__qualname__}: {_text(error)}"


def _pickle_checked(error: BaseException) -> bytes | None:
    try:
        payload = dump(error)
        pickled = bytes(payload.body)
        rebuilt = pickle.loads(pickled, buffers=payload.buffers)
    except Exception:
        return None
    return pickled if type(rebuilt) is type(error) and not payload.buffers else None


def _load(packed: PackedError) -> BaseException | None:
    if packed.pickled is None:
        return None
    try:
        error = pickle.loads(packed.pickled)
    except Exception:
        return None
    return error if isinstance(error, BaseException) else None


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:
        return "<its str() raised>"


def _user_part(trace: TracebackType | None) -> TracebackType | None:
    """The traceback without the library's own frames at its top."""
    part = trace
    while part is not None and part.tb_frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        part = part.tb_next
    return part
