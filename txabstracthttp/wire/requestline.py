"""The first line of a request (RFC 9112 section 3), and the refusals that need no more than that line."""

from __future__ import annotations

__all__ = ["RequestLine", "readRequestLine"]

import re

from ..errors import HttpError
from .target import checkTarget

#: Section 3: one space between the parts, and a target of visible ASCII without a fragment.
_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21\x22\x24-\x7e]+) HTTP/([0-9]\.[0-9])\r\n")
#: What a request line may look like as far as it came.
_PRINTABLE = re.compile(rb"[\x20-\x7e]*\r?\n?")
_VERSIONS = {b"1.1": "1.1", b"1.0": "1.0"}

#: What a request line takes beside its target: method, spaces, version, line end.
OVERHEAD = 64

#: Method, target, version, and where the line ends in the octets it was read from.
RequestLine = tuple[str, bytes, str, int]


def readRequestLine(octets: bytes, limit: int | None) -> RequestLine | None:
    """Read the line that `octets` begin with; None if it has not ended and nothing is wrong so far.

    :param limit: how long the target may be.
    :raises HttpError: 400 for a malformed line, 414 for one too long, 505 for a version not spoken here.
    """
    line = _REQUEST_LINE.match(octets)
    if line is None or (limit is not None and line.end() > limit):
        _checkLine(octets, limit)
        if line is None:
            return None
    method, target, version = line.groups()
    spoken = _VERSIONS.get(version)
    if spoken is None:
        raise HttpError(400 if version[:1] in b"02" else 505, "version not supported")
    if target[0] != 47 or method == b"CONNECT" or b"%00" in target:
        checkTarget(method.decode("ascii"), target)
    return method.decode("ascii"), target, spoken, line.end()


def _checkLine(octets: bytes, limit: int | None) -> None:
    """Refuse a line, whole or not, that is malformed or too long; in that order, up to the limit."""
    line = octets[: octets.find(b"\n") + 1] or octets
    bound = len(line) if limit is None else limit + OVERHEAD
    if not _PRINTABLE.fullmatch(line[:bound]):
        raise HttpError(400, "malformed request line")
    if len(line) > bound:
        raise HttpError(414, "request line too long")
    if line.endswith(b"\n"):
        whole = _REQUEST_LINE.fullmatch(line)
        if whole is None:
            raise HttpError(400, "malformed request line")
        if limit is not None and len(whole[2]) > limit:
            raise HttpError(414, "request target too long")
