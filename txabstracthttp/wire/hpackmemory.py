"""HPACK (RFC 7541) for field sections that come again.

What a section is in octets, and what octets are as a section, depends on nothing but the dynamic table.  Most
sections leave that as it is, so what was worked out once holds until one comes that does not.
"""

from __future__ import annotations

__all__ = ["LARGEST", "MOST", "RememberingDecoder", "RememberingEncoder"]

from collections.abc import Iterable
from typing import Any

from hpack import Decoder, Encoder
from hpack.table import HeaderTable

#: Fields of a section that is remembered, octets of it, and how many sections are, each way.
MOST_FIELDS, LARGEST, MOST = 32, 512, 16
#: Where the first octet of a block is less, and not less than half of it, it changes the table's size.
SIZE_UPDATES = 0x40


class _Memory(dict[Any, Any]):
    """What holds while a dynamic table stays as it is."""

    def __init__(self, table: HeaderTable) -> None:
        super().__init__()
        self._table = table
        self._newest: object = None
        self._count = self._size = -1
        self.isOutdated()

    def isOutdated(self) -> bool:
        """Forget all if the table has changed; whether it has."""
        table = self._table
        entries = table.dynamic_entries
        newest = entries[0] if entries else None
        # The newest entry is an object of its own, whatever it says.
        if newest is self._newest and len(entries) == self._count and table.maxsize == self._size:
            return False
        self._newest, self._count, self._size = newest, len(entries), table.maxsize
        self.clear()
        return True

    def keep(self, key: Any, value: Any) -> None:
        """Remember `value`; the oldest is forgotten for it."""
        if len(self) >= MOST:
            del self[next(iter(self))]
        self[key] = value


class RememberingEncoder(Encoder):
    """Encodes the field sections of responses."""

    def __init__(self, huffman: bool) -> None:
        """
        :param huffman: whether fields are Huffman-coded (section 5.2).
        """
        super().__init__()
        self._huffman = huffman
        self._memory = _Memory(self.header_table)

    def encode(self, headers: Iterable[Any], huffman: bool = True) -> bytes:
        """The octets of a section; `huffman` is what was said at first."""
        section = tuple(headers)
        # The table's new size is said in front of the next section, and only there.
        saysSize = self.header_table.resized
        known: bytes | None = None if saysSize else self._memory.get(section)
        if known is not None:
            return known
        octets: bytes = super().encode(section, self._huffman)
        if not (self._memory.isOutdated() or saysSize) and len(octets) <= LARGEST:
            self._memory.keep(section, octets)
        return octets


class RememberingDecoder(Decoder):
    """Decodes the field sections of requests."""

    def __init__(self) -> None:
        super().__init__()
        self._memory = _Memory(self.header_table)

    def decode(self, data: bytes, raw: bool = False) -> Any:
        """The section that `data` stand for, as octets; it must not be changed.

        :raises hpack.HPACKError: they stand for none, or for too much.
        """
        known = self._memory.get(data)
        if known is not None:
            return known
        section = super().decode(data, raw=True)
        if not self._memory.isOutdated() and self._isWorthIt(data, section):
            self._memory.keep(bytes(data), section)
        return section

    def _isWorthIt(self, data: bytes, section: Any) -> bool:
        changesSize = SIZE_UPDATES // 2 <= data[0] < SIZE_UPDATES if data else True
        return not changesSize and len(data) <= LARGEST and len(section) <= MOST_FIELDS
