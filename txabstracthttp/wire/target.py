"""Request targets and authorities (RFC 9112 section 3.2, RFC 9110 section 4.2): what either wire accepts."""

from __future__ import annotations

__all__ = ["checkTarget", "isAuthority", "splitTarget"]

import re
from functools import lru_cache
from ipaddress import IPv6Address

from ..errors import HttpError

_AUTHORITY = re.compile(
    rb"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+))"
    rb"(?::(?P<port>[0-9]{0,5}))?"
)
_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?]*)(.*)")
#: 255 octets, three characters each, and a port.
LONGEST = 771
_MALFORMED_ZERO = re.compile(rb"[^?]*%00")


@lru_cache(maxsize=32)  # a peer may fill it with values as large as a field
def isAuthority(value: bytes) -> bool:
    """Whether `value` is ``uri-host [ ":" port ]`` (RFC 9110 section 7.2), without any userinfo.

    Not longer than a name can be (RFC 1035 section 2.3.4), even if every octet is percent-encoded.
    """
    if len(value) > LONGEST:
        return False
    match = _AUTHORITY.fullmatch(value)
    if match is None or int(match["port"] or 0) > 65535:
        return False
    return match["v6"] is None or _isV6(match["v6"])


def _isV6(literal: bytes) -> bool:
    try:
        IPv6Address(literal.decode("ascii"))
    except ValueError:
        return False
    return True


def splitTarget(method: str, target: bytes) -> tuple[bytes | None, bytes]:
    """The authority that stands in the target, if any, and the path with its query."""
    if method == "CONNECT":
        return target, b""
    if target[0] == 47:
        return None, target
    match = _ABSOLUTE.fullmatch(target)
    if match is None:
        return None, target
    rest = match[2]
    if not rest and method == "OPTIONS":
        return match[1], b"*"  # RFC 9112 section 3.2.4
    return match[1], rest if rest.startswith(b"/") else b"/" + rest


def checkTarget(method: str, target: bytes) -> None:
    """Refuse a target that is none of the four forms, or not one that its method may have.

    :raises HttpError: 400.
    """
    if b"%00" in target and _MALFORMED_ZERO.match(target):
        raise HttpError(400, "NUL in the path")
    if target.startswith(b"/") and method != "CONNECT":
        return
    if method == "CONNECT":
        host, _, port = target.rpartition(b":")
        if not host or not port.isdigit() or not isAuthority(target):
            raise HttpError(400, "CONNECT wants host:port")
    elif target == b"*":
        if method != "OPTIONS":
            raise HttpError(400, "only OPTIONS may ask for *")
    else:
        authority, _ = splitTarget(method, target)
        if authority is None or not isAuthority(authority):
            raise HttpError(400, "malformed request target")
