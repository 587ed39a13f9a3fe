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
    """The memory files of one call's chunks. Owned by one thread at a time.

    Each is in one of its two collections from its making to its closing, so that an interrupt loses none.
    """

    def __init__(self) -> None:
        self._free: list[int] = []  # the last one may be being filled
        self._lent: dict[object, int] = {}

    def pack(self, payload: Payload) -> Parcel:
        """Packs a payload for a worker, into a file that was used before if there is one. Say when it is `sent`."""
        return pack(payload, self._find)

    def _find(self, size: int) -> int:
        while self._free and os.fstat(self._free[-1]).st_size < size:
            os.close(self._free.pop())  # it grows no faster than a fresh one
        if not self._free:
            self._free.append(_memory.create(size))
        return self._free[-1]

    def sent(self, parcel: Parcel, key: object) -> None:
        """Keeps the file of the last parcel, unless it is very large, until it is given back."""
        if parcel.layout is None:
            return
        if parcel.layout.size > SPARE_BYTES:
            os.close(self._free.pop())
        else:
            self._lent[key] = self._free.pop()

    def back(self, key: object, in_use: bool) -> None:
        """Takes the file of an answered parcel back; ``in_use``: its receiver still looks at it."""
        if key not in self._lent:
            return
        if len(self._free) < SPARE_FILES and not in_use:
            self._free.append(self._lent.pop(key))
        else:
            os.close(self._lent.pop(key))

    def close(self) -> None:
        """Gives all memory back; receivers that still read have the file until they have. May be called twice."""
        while self._lent:
            self._free.append(self._lent.popitem()[1])
        while self._free:
            with suppress(OSError):
                os.close(self._free.pop())
