"""The chunked transfer coding (RFC 9112 section 7.1), read strictly.

Ours and not llhttp's, because the end of a message must be known to the octet: what stands behind it may
belong to another request, or to another protocol.  Tests hold it against llhttp and h11.
"""

from __future__ import annotations

__all__ = ["ChunkedReader"]

import re

from .._events import Fields
from ..errors import HttpError
from .fields import FieldSection

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
_EXTENSION = rb"[ \t]*;[ \t]*%b(?:[ \t]*=[ \t]*(?:%b|%b))?" % (_TOKEN, _TOKEN, _QUOTED)

#: Section 7.1: up to 16 digits, since no content is longer than 2**64 octets, and extensions.
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})((?:%b)*)\r\n" % _EXTENSION)

#: Octets of chunk extensions that are read and ignored (section 7.1.1 asks for a limit).
LINE_LIMIT = 4096
BODY_LIMIT = 65536


class ChunkedReader:
    """Takes the octets of one chunked body, and tells where it ends.

    :ivar trailers: the trailer section once the body is complete, None before.
    """

    __slots__ = ("_extensions", "_fed", "_left", "_section", "_step", "trailers")

    def __init__(self, section: FieldSection) -> None:
        self._section = section
        self._extensions = 0
        self._left = 0
        self._fed = 0
        self._step = self._readLine
        self.trailers: Fields | None = None

    def read(self, data: bytes, pieces: list[bytes]) -> int:
        """Read `data`, which starts where the last call stopped; add the content in it to `pieces`.

        :return: how many octets of it were used.
        :raises HttpError: 400 for anything that is not the chunked coding, 431 for trailers over a limit.
        """
        position = 0
        while self.trailers is None:
            used = self._step(data, position, pieces)
            if used < 0:
                break
            position = used
        return position

    # Each step returns the position behind what it used, or -1 when it needs more octets.

    def _readLine(self, data: bytes, start: int, pieces: list[bytes]) -> int:
        stop = data.find(b"\n", start, start + 18 + LINE_LIMIT) + 1
        if not stop:
            if len(data) - start >= 18 + LINE_LIMIT:
                raise HttpError(400, "chunk line too long")
            return -1
        match = CHUNK_LINE.fullmatch(data, start, stop)
        if match is None:
            raise HttpError(400, "malformed chunk line")
        self._countExtensions(len(match[2]))
        self._beginChunk(int(match[1], 16))
        return stop

    def _countExtensions(self, size: int) -> None:
        self._extensions += size
        if size > LINE_LIMIT or self._extensions > BODY_LIMIT:
            raise HttpError(400, "too many chunk extensions")

    def _beginChunk(self, size: int) -> None:
        self._left = size
        if size:
            self._step = self._readData
        else:
            self._section.restartForTrailers()
            self._step = self._readTrailers

    def _readData(self, data: bytes, start: int, pieces: list[bytes]) -> int:
        piece = data[start : start + self._left]
        if not piece:
            return -1
        pieces.append(piece)
        self._left -= len(piece)
        if not self._left:
            self._step = self._readDataEnd
        return start + len(piece)

    def _readDataEnd(self, data: bytes, start: int, pieces: list[bytes]) -> int:
        end = data[start : start + 2]
        if not b"\r\n".startswith(end):
            raise HttpError(400, "chunk data without its line end")
        if len(end) < 2:
            return -1
        self._step = self._readLine
        return start + 2

    def _readTrailers(self, data: bytes, start: int, pieces: list[bytes]) -> int:
        stop = data.find(b"\n", start) + 1
        limit = self._section.rawLimit
        if limit is not None and self._fed + (stop or len(data)) - start > limit:
            raise HttpError(431, "trailer section too large")
        if not stop:
            return -1
        self._fed += stop - start
        self._section.feed(data[start:stop])
        if self._section.complete:
            self.trailers = self._section.trailers()
        return stop
