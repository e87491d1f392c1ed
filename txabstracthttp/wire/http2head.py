"""Field sections of HTTP/2 (RFC 9113 section 8): what is malformed, and what a request says."""

from __future__ import annotations

__all__ = ["CONNECTION_FIELDS", "HeadReader", "Malformed", "RequestHead", "readRequest", "readTrailers"]

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache, partial
from sys import maxsize
from typing import NamedTuple

from .._events import Fields
from ..configuration import HttpServerConfiguration
from ..errors import HttpError
from .fields import FORBIDDEN_TRAILERS, checkSizes, expectsContinue, isMethodKnown
from .target import checkTarget, isAuthority

#: Section 8.2.1, and no controls, as on HTTP/1.
_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")
_VALUE = re.compile(rb"(?![ \t])[^\x00-\x08\x0a-\x1f\x7f]*(?<![ \t])")
_METHOD = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
#: RFC 9112 section 3.2, by way of section 8.3.1: visible ASCII without a fragment.
_PATH = re.compile(rb"[\x21\x22\x24-\x7e]+")
_CONTENT_LENGTH = re.compile(rb"[0-9]{1,19}")
_PSEUDO = frozenset((b":method", b":scheme", b":path", b":authority", b":protocol"))
#: Section 8.2.2: these are about one HTTP/1 connection.
CONNECTION_FIELDS = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)

#: What a section that is remembered may take (section 6.5.2), and how many are.
SMALL, MOST = 2048, 16


class Malformed(Exception):
    """A message that is no message (section 8.1.1): the end of its stream."""


class RequestHead(NamedTuple):
    """What `Head` takes, but for its stream."""

    method: str
    target: bytes
    version: str
    fields: Fields
    authority: bytes
    contentLength: int | None
    upgrade: bool
    expectsContinue: bool


class HeadReader:
    """Reads the field sections of requests; one that comes again, once.

    :ivar limits: the limits in force.
    """

    def __init__(self, limits: HttpServerConfiguration, maximumListSize: int | None) -> None:
        """
        :param maximumListSize: `maximumHeaderListSize`.
        """
        self.limits = limits
        self._maximum = maxsize if maximumListSize is None else maximumListSize
        self._read = partial(readRequest, limits=limits)
        self._readAgain = lru_cache(maxsize=MOST)(self._read)

    def read(self, section: Sequence[tuple[bytes, bytes]], isComplete: bool) -> RequestHead:
        """See `readRequest`; beyond `maximumListSize`, 431 as well."""
        # Section 6.5.2: 32 octets are added for each field.
        size = 32 * len(section)
        for name, value in section:
            size += len(name) + len(value)
        if size > self._maximum:
            raise HttpError(431, "header list too large")
        return (self._readAgain if size <= SMALL else self._read)(tuple(section), isComplete)


def readRequest(
    section: Iterable[tuple[bytes, bytes]], isComplete: bool, limits: HttpServerConfiguration
) -> RequestHead:
    """Read the field section of a request.

    :param isComplete: no content follows.
    :raises Malformed: it breaks a rule of HTTP/2.
    :raises HttpError: 414, 417, 431, 501: it is well-formed, but too much, or not offered here.
    """
    pseudo, fields = _divide(section)
    method, protocol = pseudo.get(b":method", b""), pseudo.get(b":protocol")
    if not _METHOD.fullmatch(method):
        raise Malformed(":method")
    authority = _authority(pseudo.get(b":authority"), fields)
    _checkFields(fields)
    fields = _likeHttp1(authority, fields)
    limit = limits.maximumHeaderFieldCount
    if limit is not None and len(fields) > limit:
        raise HttpError(431, "too many fields")
    checkSizes(fields, limits)
    length = _contentLength(fields, isComplete)
    target = _target(method, protocol, pseudo, authority, limits.maximumUrlSize)
    if protocol is not None:
        if protocol.lower() != b"websocket":
            raise HttpError(501, "unknown protocol")
        # What asks for a WebSocket on HTTP/1.1 is a GET; no handler needs to know the difference.
        method = b"GET"
    elif not isMethodKnown(method):
        raise HttpError(501, "unknown method")
    expects = expectsContinue([value for name, value in fields if name == b"expect"]) and not isComplete
    isTunnel = protocol is not None or method == b"CONNECT"
    return RequestHead(method.decode("ascii"), target, "2", fields, authority, length, isTunnel, expects)


def readTrailers(section: Iterable[tuple[bytes, bytes]], limits: HttpServerConfiguration) -> Fields:
    """Read a trailer section (section 8.1).

    :raises Malformed: it breaks a rule.
    :raises HttpError: 431.
    """
    pseudo, fields = _divide(section)
    if pseudo or any(name in FORBIDDEN_TRAILERS for name, _ in fields):
        raise Malformed("trailers")
    _checkFields(fields)
    if limits.maximumHeaderFieldCount is not None and len(fields) > limits.maximumHeaderFieldCount:
        raise HttpError(431, "too many fields")
    checkSizes(fields, limits)
    return fields


def _divide(section: Iterable[tuple[bytes, bytes]]) -> tuple[dict[bytes, bytes], Fields]:
    """Section 8.3: pseudo-fields come first, each once."""
    pseudo: dict[bytes, bytes] = {}
    fields: Fields = []
    for name, value in section:
        if name[:1] != b":":
            fields.append((bytes(name), bytes(value)))
        elif fields or name in pseudo or name not in _PSEUDO:
            raise Malformed("pseudo-field")
        else:
            pseudo[bytes(name)] = bytes(value)
    return pseudo, fields


def _checkFields(fields: Fields) -> None:
    for name, value in fields:
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise Malformed("field")
        if name in CONNECTION_FIELDS or (name == b"te" and value.lower() != b"trailers"):
            raise Malformed("connection-specific field")


def _authority(authority: bytes | None, fields: Fields) -> bytes:
    """Section 8.3.1: `:authority`, or a Host that says the same."""
    hosts = [value for name, value in fields if name == b"host"]
    if len(hosts) > 1 or (hosts and authority is not None and hosts[0].lower() != authority.lower()):
        raise Malformed("Host")
    found = authority if authority is not None else hosts[0] if hosts else b""
    if not isAuthority(found):
        raise Malformed(":authority")
    return found


def _target(
    method: bytes, protocol: bytes | None, pseudo: dict[bytes, bytes], authority: bytes, limit: int | None
) -> bytes:
    path, scheme = pseudo.get(b":path"), pseudo.get(b":scheme")
    if method == b"CONNECT" and protocol is None:
        # Section 8.5.
        if path is not None or scheme is not None:
            raise Malformed("CONNECT with :path or :scheme")
        path = authority
    elif path is None or scheme is None or scheme.lower() not in (b"http", b"https"):
        raise Malformed(":path or :scheme")
    elif (protocol is not None and method != b"CONNECT") or not path.startswith((b"/", b"*")):
        raise Malformed(":protocol or :path")
    if not _PATH.fullmatch(path):
        raise Malformed(":path")
    if limit is not None and len(path) > limit:
        raise HttpError(414, "request target too long")
    try:
        checkTarget("GET" if protocol is not None else method.decode("ascii"), path)
    except HttpError as error:
        raise Malformed(error.reason) from error
    return path


def _contentLength(fields: Fields, isComplete: bool) -> int | None:
    """Section 8.1.1: what it says must be so; h2 counts what follows."""
    lengths = [value for name, value in fields if name == b"content-length"]
    if len(lengths) > 1 or (lengths and not _CONTENT_LENGTH.fullmatch(lengths[0])):
        raise Malformed("content-length")
    if isComplete:
        if lengths and int(lengths[0]):
            raise Malformed("content-length without content")
        return 0
    return int(lengths[0]) if lengths else None


def _likeHttp1(authority: bytes, fields: Fields) -> Fields:
    """With a Host in front, and with the crumbs of a cookie in one piece (section 8.2.3)."""
    others = [field for field in fields if field[0] not in (b"host", b"cookie")]
    crumbs = [value for name, value in fields if name == b"cookie"]
    if crumbs:
        others.append((b"cookie", b"; ".join(crumbs)))
    return [(b"host", authority), *others]
