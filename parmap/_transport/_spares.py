"""Memory files that are filled again and again.

Of the 4 ms that it takes to put 10 MB into a fresh memory file, 3 go into making its pages. So when a worker answers it
says whether it has closed its view of the file that the items came in, and if so the file is free for the next chunk.
"""

import os
from contextlib import suppress

from parmap._transport import _memory
from parmap._transport._links import Parcel, Payload, pack
from parmap._tuning import SPARE_BYTES, SPARE_FILES


class Spares:
    """The memory files of one call's chunks. Owned by one thread at a time."""

    def __init__(self) -> None:
        self._free: list[int] = []
        self._lent: dict[object, int] = {}

    def pack(self, payload: Payload) -> Parcel:
        """Packs a payload for a worker, into a file that was used before if there is one."""
        return pack(payload, self._open)

    def _open(self, size: int) -> int:
        if not self._free:
            return _memory.create(size)
        descriptor = self._free.pop()
        if os.fstat(descriptor).st_size < size:
            os.close(descriptor)  # it grows no faster than a fresh one
            return _memory.create(size)
        return descriptor

    def sent(self, parcel: Parcel, key: object) -> None:
        """Keeps the file of a parcel that was sent, unless it is very large, until it is given back."""
        if parcel.descriptor is None or parcel.layout is None or parcel.layout.size > SPARE_BYTES:
            parcel.close()
        else:
            self._lent[key] = parcel.descriptor

    def back(self, key: object, in_use: bool) -> None:
        """Takes the file of an answered parcel back; ``in_use``: its receiver still looks at it."""
        descriptor = self._lent.pop(key, None)
        if descriptor is None:
            return
        if len(self._free) < SPARE_FILES and not in_use:
            self._free.append(descriptor)
        else:
            os.close(descriptor)

    def close(self) -> None:
        """Gives all memory back; receivers that still read have the file until they have. May be called twice."""
        while self._lent:
            self._free.append(self._lent.popitem()[1])
        while self._free:
            with suppress(OSError):
                os.close(self._free.pop())
