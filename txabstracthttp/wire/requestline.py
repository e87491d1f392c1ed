"""The first line of a request (RFC 9112 section 3), and the refusals that need no more than that line."""

from __future__ import annotations

__all__ = ["RequestLine", "checkBeginning", "readRequestLine"]

import re

from ..errors import HttpError
from .target import checkTarget

_METHOD = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,40}"
#: Section 3: one space between the parts, and a target of visible ASCII without a fragment.
_REQUEST_LINE = re.compile(rb"(%b) ([\x21\x22\x24-\x7e]+) HTTP/1\.([01])\r\n" % _METHOD)
_LONG_METHOD = re.compile(rb"[^ ]{41,} [\x21\x22\x24-\x7e]+ HTTP/1\.[01]\r\n")
_OTHER_VERSION = re.compile(rb"%b [\x21\x22\x24-\x7e]+ HTTP/([0-9])\.[0-9]\r\n" % _METHOD)
#: What a request line may look like as far as it came.
_PRINTABLE = re.compile(rb"[\x20-\x7e]*\r?\n?")

_METHODS = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}

#: What a request line takes beside its target, at most: method, spaces, version, line end.
_OVERHEAD = 64

#: Method, target and version.
RequestLine = tuple[str, bytes, str]


def readRequestLine(octets: bytes, limit: int | None) -> RequestLine | None:
    """Read the line that `octets` begin with; None if it has not ended and nothing is wrong so far.

    :param limit: how long the target may be.
    :raises HttpError: 400 for a malformed line, 414 for one too long, 505 for a version not spoken here.
    """
    line = _REQUEST_LINE.match(octets)
    if line is None:
        _refuseUnlessIncomplete(octets, limit)
        return None
    name, target, minor = line.groups()
    if limit is not None and len(target) > limit:
        raise HttpError(414, "request target too long")
    method = _METHODS.get(name) or name.decode("ascii")
    if target[0] != 47 or (37 in target and b"%00" in target) or method == "CONNECT":
        checkTarget(method, target)
    return method, target, "1.1" if minor == b"1" else "1.0"


def checkBeginning(octets: bytes, start: int, limit: int | None) -> None:
    """Look at a line that has not ended, from `start` on, for what can only get worse.

    :raises HttpError: 400, 414.
    """
    bound = len(octets) if limit is None else limit + _OVERHEAD
    if not _PRINTABLE.fullmatch(octets, start, max(start, min(bound, len(octets)))):
        raise HttpError(400, "malformed request line")
    if len(octets) > bound:
        raise HttpError(414, "request line too long")


def _refuseUnlessIncomplete(octets: bytes, limit: int | None) -> None:
    """Look at a line, whole or not, as far as it may reach: what is wrong first is what counts."""
    line = octets[: octets.find(b"\n") + 1] or octets
    checkBeginning(line, 0, limit)
    if line.endswith(b"\n"):
        other = _OTHER_VERSION.fullmatch(line)
        if other is not None and other[1] not in b"02":
            raise HttpError(505, "version not supported")
        if _LONG_METHOD.fullmatch(line):
            raise HttpError(501, "unknown method")
        raise HttpError(400, "malformed request line")
