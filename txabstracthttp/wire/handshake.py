"""The opening handshake of WebSocket (RFC 6455 section 4.2, RFC 8441 section 5), the server's side."""

from __future__ import annotations

__all__ = ["Handshake", "VersionRefused", "acceptance", "isOriginAllowed", "readHandshake"]

import re
from base64 import b64encode
from collections.abc import Collection
from hashlib import sha1
from typing import NamedTuple

from .._events import Fields, Head
from ..errors import HttpError
from ..headers import TOKEN
from .target import isAuthority

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#: 16 octets in base64, in the one way to write them.
_KEY = re.compile(rb"[A-Za-z0-9+/]{21}[AQgw]==")
_VERSION = re.compile(rb"[0-9]{1,3}")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@]+)")
#: RFC 6455 section 9.1: ``name; parameter; parameter=value; parameter="value"``.  What is quoted must be a
#: token once it is unquoted.
_CHARACTER = TOKEN.pattern.removesuffix(b"+")
_NEXT_PARAMETER = re.compile(
    rb"[ \t]*(%b+)" % _CHARACTER
    + rb"(?:[ \t]*=[ \t]*(?:(%b+)|\"((?:%b|\\[!-~])+)\"))?" % (_CHARACTER, _CHARACTER)
    + rb"[ \t]*(;|,|\Z)"
)
_QUOTED_PAIR = re.compile(rb"\\(.)")

_DEFAULT_PORTS = {"http": "80", "ws": "80", "https": "443", "wss": "443"}

#: The parameters of one extension; a value of True stands for none.
Parameters = dict[str, list[str | bool]]


class VersionRefused(HttpError):
    """The peer speaks another version of WebSocket than 13 (section 4.2.2).

    :ivar fields: what has to be said to it.
    """

    def __init__(self, isHttp2: bool) -> None:
        super().__init__(426, "another version of WebSocket than 13")
        self.fields: Fields = [(b"Sec-WebSocket-Version", b"13")]
        if not isHttp2:
            # RFC 9110 section 15.5.22; HTTP/2 has no such fields.
            self.fields += [(b"Upgrade", b"websocket"), (b"Connection", b"Upgrade")]


class Handshake(NamedTuple):
    """What a peer asks for.

    :ivar key: the Sec-WebSocket-Key; empty on HTTP/2.
    :ivar origin: the Origin, for a page in a browser; else None.
    :ivar protocols: the subprotocols on offer, the best first.
    :ivar extensions: the extensions on offer, in order.
    """

    key: bytes
    origin: str | None
    protocols: list[str]
    extensions: list[tuple[str, Parameters]]


def readHandshake(head: Head) -> Handshake:
    """Read the request that `head` is, which asks for WebSocket by its Upgrade field.

    :raises HttpError: 400 for what is malformed.
    :raises VersionRefused: 426 for another version.
    """
    if head.contentLength != 0 and head.version != "2":
        raise HttpError(400, "a WebSocket handshake with content")
    values: dict[bytes, list[bytes]] = {}
    for name, value in head.fields:
        values.setdefault(name.lower(), []).append(value)
    key = b""
    if head.version != "2":
        if head.method != "GET":
            raise HttpError(400, "a WebSocket handshake is a GET")
        key = _single(values, b"sec-websocket-key") or b""
        if not _KEY.fullmatch(key):
            raise HttpError(400, "malformed Sec-WebSocket-Key")
    _checkVersion(_single(values, b"sec-websocket-version") or b"", head.version == "2")
    origin = _single(values, b"origin")
    return Handshake(
        key,
        None if origin is None else origin.decode("latin-1"),
        _protocols(values.get(b"sec-websocket-protocol", [])),
        _extensions(values.get(b"sec-websocket-extensions", [])),
    )


def acceptance(key: bytes) -> bytes:
    """The Sec-WebSocket-Accept for a Sec-WebSocket-Key (section 4.2.2)."""
    return b64encode(sha1(key + _GUID, usedforsecurity=False).digest())


def isOriginAllowed(origin: str | None, authority: bytes, allowed: Collection[str] | None) -> bool:
    """Whether a page of `origin` may open a WebSocket (section 10.2).

    :param authority: the host that was asked, with its port.
    :param allowed: the origins that may; ``*`` for all; None for the host that was asked, and for whoever
        says nothing of an origin, which no browser does.
    """
    if allowed is None:
        return origin is None or _isSameHost(origin, authority)
    return "*" in allowed or (origin is not None and origin.lower() in {each.lower() for each in allowed})


def _isSameHost(origin: str, authority: bytes) -> bool:
    # Not the scheme: behind a proxy that speaks TLS for us, it is another one than ours.
    match = _ORIGIN.fullmatch(origin.lower())
    if match is None or not isAuthority(match[2].encode("latin-1")):
        return False
    default = _DEFAULT_PORTS.get(match[1], "")
    return _hostAndPort(match[2], default) == _hostAndPort(authority.decode("latin-1").lower(), default)


def _hostAndPort(authority: str, default: str) -> tuple[str, str]:
    host, colon, port = authority.rpartition(":")
    if not colon or (port and not port.isdecimal()):
        return authority, default
    return host, str(int(port)) if port else default


def _single(values: dict[bytes, list[bytes]], name: bytes) -> bytes | None:
    found = values.get(name, [])
    if len(found) > 1:
        raise HttpError(400, f"more than one {name.decode('ascii')}")
    return found[0] if found else None


def _checkVersion(version: bytes, isHttp2: bool) -> None:
    if version == b"13":
        return
    if _VERSION.fullmatch(version):
        raise VersionRefused(isHttp2)
    raise HttpError(400, "malformed Sec-WebSocket-Version")


def _protocols(values: list[bytes]) -> list[str]:
    """Section 4.1: tokens, each of them once."""
    if not values:
        return []
    names = [name.strip(b" \t") for name in b",".join(values).split(b",")]
    if len(set(names)) != len(names) or not all(TOKEN.fullmatch(name) for name in names):
        raise HttpError(400, "malformed Sec-WebSocket-Protocol")
    return [name.decode("ascii") for name in names]


def _extensions(values: list[bytes]) -> list[tuple[str, Parameters]]:
    """Section 9.1; members of the list may be empty (RFC 9110 section 5.6.1)."""
    members = b",".join(values)
    extensions: list[tuple[str, Parameters]] = []
    place = 0
    while place < len(members):
        if members[place] in b", \t":
            place += 1
            continue
        place = _extension(members, place, extensions)
    return extensions


def _extension(members: bytes, place: int, extensions: list[tuple[str, Parameters]]) -> int:
    """Read one extension from `place`; where the next one begins."""
    parameters: Parameters = {}
    name = ""
    while True:
        match = _NEXT_PARAMETER.match(members, place)
        if match is None or (not name and match[2] is not None) or (not name and match[3] is not None):
            raise HttpError(400, "malformed Sec-WebSocket-Extensions")
        word, token, quoted, end = match.groups()
        text = word.decode("ascii").lower()
        if not name:
            name = text
        else:
            value = token if quoted is None else _unquote(quoted)
            parameters.setdefault(text, []).append(True if value is None else value.decode("ascii"))
        place = match.end()
        if end != b";":
            extensions.append((name, parameters))
            return place


def _unquote(quoted: bytes) -> bytes:
    value = _QUOTED_PAIR.sub(rb"\1", quoted)
    if not TOKEN.fullmatch(value):
        raise HttpError(400, "malformed Sec-WebSocket-Extensions")
    return value
