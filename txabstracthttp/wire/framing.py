"""What the fields of an HTTP/1 request say of framing and connection (RFC 9112 sections 3.2, 6, 9)."""

from __future__ import annotations

__all__ = ["Framing", "frame"]

import re
from typing import NamedTuple

from .._events import Fields
from ..errors import HttpError
from .fields import expectsContinue, listed
from .target import isAuthority, splitTarget

_CONTENT_LENGTH = re.compile(rb"[0-9]{1,19}")

#: Codings that section 7.2 names and this server does not decode.
_UNSUPPORTED_CODINGS = frozenset((b"gzip", b"x-gzip", b"deflate", b"compress", b"x-compress"))


class Framing(NamedTuple):
    """See `Head` for all but the last; `persistent`: another request may follow on this connection."""

    authority: bytes
    contentLength: int | None
    upgrade: bool
    expectsContinue: bool
    persistent: bool


def frame(method: str, target: bytes, version: str, fields: Fields) -> Framing:
    """Read the `fields` that decide framing, given by lower-case names.

    :raises HttpError: 400 for what two readers could understand in two ways; 417, 501 for what is clear
        but not offered here.
    """
    values: dict[bytes, list[bytes]] = {}
    for name, value in fields:
        values.setdefault(name, []).append(value)
    authority = _authority(method, target, version, values.get(b"host", []))
    length = _contentLength(version, values)
    options = listed(values.get(b"connection", []))
    upgrade = method == "CONNECT" or (version == "1.1" and b"upgrade" in options and b"upgrade" in values)
    if method == "CONNECT" and length != 0:
        raise HttpError(400, "CONNECT with content")
    return Framing(
        authority,
        length,
        upgrade,
        _expectsContinue(version, values.get(b"expect", [])) and length != 0,
        _persists(version, options) and not upgrade,
    )


def _authority(method: str, target: bytes, version: str, hosts: list[bytes]) -> bytes:
    """Section 3.2: exactly one valid Host in HTTP/1.1; the target's own authority rules over it (3.2.2)."""
    if len(hosts) != 1 and (hosts or version == "1.1"):
        raise HttpError(400, "not exactly one Host")
    if hosts and not isAuthority(hosts[0]):
        raise HttpError(400, "malformed Host")
    return splitTarget(method, target)[0] or (hosts[0] if hosts else b"")


def _contentLength(version: str, values: dict[bytes, list[bytes]]) -> int | None:
    """Section 6.3: the length of the content; None where the chunked coding tells."""
    lengths, codings = values.get(b"content-length"), values.get(b"transfer-encoding")
    if codings is not None:
        _checkCodings(version, codings)
        if lengths is not None:
            raise HttpError(400, "Content-Length with Transfer-Encoding")
        return None
    if lengths is None:
        return 0
    if len(lengths) > 1 or not _CONTENT_LENGTH.fullmatch(lengths[0]):
        raise HttpError(400, "malformed Content-Length")
    return int(lengths[0])


def _checkCodings(version: str, codings: list[bytes]) -> None:
    """Section 6.1: chunked, once, and nothing else; HTTP/1.0 has no transfer codings."""
    if version != "1.1" or len(codings) != 1:
        raise HttpError(400, "ambiguous Transfer-Encoding")
    if codings[0].lower() == b"chunked":
        return
    *others, last = listed(codings)
    if last == b"chunked" and others and _UNSUPPORTED_CODINGS.issuperset(others):
        raise HttpError(501, "transfer coding not implemented")
    raise HttpError(400, "malformed Transfer-Encoding")


def _expectsContinue(version: str, expectations: list[bytes]) -> bool:
    """RFC 9110 section 10.1.1: HTTP/1.0 has no expectations; there is one that can be met."""
    if version == "1.0" or not expectations:
        return False
    return expectsContinue(expectations)


def _persists(version: str, options: list[bytes]) -> bool:
    """Section 9.3."""
    if b"close" in options:
        return False
    return version == "1.1" or b"keep-alive" in options
