"""Exceptions on their way between processes: with type, fields, notes, cause, context and the text of the traceback.

An exception is rebuilt once in the process that sends it. One that cannot be arrives as a `SerializationError` that
says its type, text and traceback, so that nothing is found out too late and nothing is lost.
"""

import pickle
from types import TracebackType

from parmap._errors import SerializationError, add_note
from parmap._transport._beside import collecting
from parmap._transport._links import Payload
from parmap._transport._messages import PackedError, PackedErrors
from parmap._tuning import CHAIN_LIMIT

_PACKAGE = __name__.partition(".")[0]


def pack_error(error: BaseException) -> PackedErrors:
    """Takes an exception and those that it came from apart, the nearest ones first. Never raises."""
    found = [error]
    for each in found:  # which grows
        near = (each.__cause__, each.__context__)
        found += [one for one in near if one is not None and not _place(one, found)][: CHAIN_LIMIT - len(found)]
    return tuple(_pack_one(each, found) for each in found)


def _pack_one(error: BaseException, found: list[BaseException]) -> PackedError:
    payload = _pickle_checked(error)
    return PackedError(
        None if payload is None else bytes(payload.body),
        type(error).__qualname__,
        _text(error),
        _trace(error),
        _notes(error),
        _place(error.__cause__, found),
        _place(error.__context__, found),
        error.__suppress_context__,
        () if payload is None else payload.arenas,
    )


def _place(error: BaseException | None, found: list[BaseException]) -> int:
    """Where an exception is among those found; 0: it is not, or it is the first, which none comes from."""
    return next((place for place, each in enumerate(found) if each is error), 0)


def unpack_error(packed: PackedErrors, what: str) -> BaseException:
    """Rebuilds an exception; ``what`` it was, e.g. "the error of item 3", is told when it could not travel."""
    found = [_load(each) or _in_words(each, what) for each in packed]
    for each, error in zip(packed, found, strict=True):
        if not _notes(error):
            for note in each.notes:
                add_note(error, note)
        error.__cause__ = found[each.cause] if each.cause else None
        error.__context__ = found[each.context] if each.context else None
        error.__suppress_context__ = each.suppress_context
    return found[0]


def _in_words(packed: PackedError, what: str) -> BaseException:
    return SerializationError(what, f"{packed.type_name}: {packed.text}\n{packed.traceback}")


def _notes(error: BaseException) -> tuple[str, ...]:
    notes = getattr(error, "__notes__", ())
    return tuple(map(str, notes)) if isinstance(notes, list | tuple) else ()


def _pickle_checked(error: BaseException) -> Payload | None:
    """The pickle of an exception that can be rebuilt from it, large arrays and all."""
    try:
        try:
            with collecting() as arenas:
                payload = Payload(pickle.dumps(error, 5), [], arenas)
        except Exception:
            from parmap._transport._definitions import dump_by_value

            payload = dump_by_value(error, lambda _: True, [], back=True)
        return payload if type(pickle.loads(payload.body)) is type(error) else None
    except Exception:
        return None


def _trace(error: BaseException) -> str:
    """The traceback as text, without the notes, which travel by themselves."""
    import traceback  # costs 2 ms, and only errors need it

    lines = traceback.format_tb(_user_part(error.__traceback__))
    return "".join(lines) + f"{type(error).__qualname__}: {_text(error)}"


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
