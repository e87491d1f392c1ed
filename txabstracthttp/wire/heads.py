"""Response heads as octets (RFC 9112 sections 4 and 5)."""

from __future__ import annotations

__all__ = ["encodeFields", "encodeHead", "rememberedHead"]

from functools import lru_cache

from .._events import FieldPairs
from .._status import reasonPhrase


def encodeHead(status: int, fields: FieldPairs) -> bytes:
    """Status line and fields."""
    return _statusLine(status) + encodeFields(fields)


def encodeFields(fields: FieldPairs) -> bytes:
    """Field lines."""
    return b"".join([b"%b: %b\r\n" % field for field in fields])


@lru_cache(maxsize=128)
def _statusLine(status: int) -> bytes:
    return b"HTTP/1.1 %d %b\r\n" % (status, reasonPhrase(status).encode("ascii"))


@lru_cache(maxsize=128)
def rememberedHead(status: int, fields: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """The same, for fields that come again and again within a second: those are a tuple."""
    return _statusLine(status) + encodeFields(fields)
