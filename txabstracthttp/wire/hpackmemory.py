"""HPACK (RFC 7541) for field sections that come again.

What a section is in octets, and what octets are as a section, depends on nothing but the dynamic table.  Most
sections leave that as it is, so what was worked out once holds until one comes that does not.
"""

from __future__ import annotations

__all__ = ["LARGEST", "MOST", "RememberingDecoder", "RememberingEncoder"]

from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
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

    @contextmanager
    def unlessItFails(self) -> Iterator[None]:
        """Nobody knows what the table is behind an exception."""
        try:
            yield
        except BaseException:
            self.clear()
            raise

    def keep(self, key: Any, value: Any) -> None:
        """Remember `value`; the oldest is forgotten for it."""
        if len(self) >= MOST:
            del self[next(iter(self))]
        self[key] = value


class _Remembering:
    """What an encoder and a decoder have in common; in front of hpack's own."""

    header_table: HeaderTable

    def __init__(self) -> None:
        super().__init__()
        self._memory = _Memory(self.header_table)

    @property
    def header_table_size(self) -> int:
        """Octets that the table has room for."""
        return int(self.header_table.maxsize)

    @header_table_size.setter
    def header_table_size(self, size: int) -> None:
        self._memory.clear()
        table: Any = super(_Remembering, type(self))
        table.header_table_size.fset(self, size)


class RememberingEncoder(_Remembering, Encoder):
    """Encodes the field sections of responses.

    Their fields are plain pairs: one that hpack is told never to index equals one that it may.
    """

    def __init__(self, huffman: bool) -> None:
        """
        :param huffman: whether fields are Huffman-coded (section 5.2).
        """
        super().__init__()
        self._huffman = huffman

    def known(self, section: tuple[Any, ...]) -> bytes | None:
        """The octets of a section, if they are known; then the table stays as it is."""
        # The table's new size is said in front of the next section, and only there.
        return None if self.header_table.resized else self._memory.get(section)

    def encode(self, headers: Iterable[Any], huffman: bool = True) -> bytes:
        """The octets of a section; `huffman` is what was said at first."""
        section = tuple(headers)
        known = self.known(section)
        if known is not None:
            return known
        saysSize = self.header_table.resized
        with self._memory.unlessItFails():
            octets: bytes = super().encode(section, self._huffman)
        if not (self._memory.isOutdated() or saysSize) and _isSmall(octets, section):
            self._memory.keep(section, octets)
        return octets


class RememberingDecoder(_Remembering, Decoder):
    """Decodes the field sections of requests, within bounds that stay as they are."""

    def known(self, data: bytes) -> Any:
        """The section that `data` stand for, if that is known; then the table stays as it is."""
        return self._memory.get(data)

    def decode(self, data: bytes, raw: bool = False) -> Any:
        """The section that `data` stand for, as octets; it must not be changed.

        :raises hpack.HPACKError: they stand for none, or for too much.
        """
        known = self._memory.get(data)
        if known is not None:
            return known
        with self._memory.unlessItFails():
            section: Any = super().decode(data, raw=True)
        # What changes the table's size comes in front, and is no part of the section.
        changesSize = not data or SIZE_UPDATES // 2 <= data[0] < SIZE_UPDATES
        if not (self._memory.isOutdated() or changesSize) and _isSmall(data, section):
            self._memory.keep(bytes(data), section)
        return section


def _isSmall(octets: bytes, section: Sized) -> bool:
    return len(octets) <= LARGEST and len(section) <= MOST_FIELDS
