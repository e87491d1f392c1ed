"""WebSocket: the fields of its handshake, and its frames, each of which three others read as well."""

from __future__ import annotations

__all__ = ["handshake", "webSocket"]

import re
from base64 import b64decode, b64encode
from importlib.util import find_spec
from typing import Any

from wire.test_frames import installed, told
from wirehelpers import NEVER, feed

from fuzz.http1 import pieces
from txabstracthttp._events import Fields, Head
from txabstracthttp.errors import HttpError
from txabstracthttp.headers import TOKEN
from txabstracthttp.wire.frames import dataFrame, frameEnd, shortMessage
from txabstracthttp.wire.handshake import Handshake, acceptance, isOriginAllowed, readHandshake

ASK = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n%b\r\n\r\n"


def handshake(data: bytes) -> None:
    """Field lines of a handshake, without the CRLF behind the last: on either version of HTTP."""
    requests = feed([ASK % data], answer=NEVER).requests
    if not requests:
        return
    fields = requests[0].fields
    for version in ("1.1", "2"):
        head = Head(1, "GET", b"/", version, fields, b"a", 0, True)
        try:
            asked = readHandshake(head)
        except HttpError as error:
            status = error.status
        else:
            status = 101
            _lookAt(asked, fields, version)
        assert status in (101, 400, 426)


def _lookAt(asked: Handshake, fields: Fields, version: str) -> None:
    if version == "1.1":
        assert len(b64decode(asked.key, validate=True)) == 16
        assert b64encode(b64decode(asked.key)) == asked.key
        assert len(acceptance(asked.key)) == 28
    assert len(set(asked.protocols)) == len(asked.protocols)
    for allowed in (None, ["*"], ["http://a"]):
        assert isOriginAllowed(asked.origin, b"a", allowed) in (True, False)
    again = Head(1, "GET", b"/", "2", [*KEEP, (b"Sec-WebSocket-Extensions", written(asked))], b"a", 0, True)
    assert readHandshake(again).extensions == asked.extensions
    if find_spec("websockets"):
        _compare(asked, fields)


KEEP = [(b"Sec-WebSocket-Version", b"13")]


def written(asked: Handshake) -> bytes:
    """The extensions, written in the plainest way."""
    members = []
    for name, parameters in asked.extensions:
        words = [name]
        for key, values in parameters.items():
            words += [key if value is True else f"{key}={value}" for value in values]
        members.append(";".join(words))
        assert all(TOKEN.fullmatch(part.encode()) for word in words for part in word.split("=", 1))
    return ",".join(members).encode()


def _compare(asked: Handshake, fields: Fields) -> None:
    """The library websockets reads the same in what we accept."""
    from websockets.headers import parse_extension, parse_subprotocol

    offers = _joined(fields, b"sec-websocket-extensions")
    if re.search(r"[^ \t,]", offers):
        theirs: list[Any] = [
            (name.lower(), [(key.lower(), True if value is None else value) for key, value in parameters])
            for name, parameters in parse_extension(offers)
        ]
        assert [(name, dict(_grouped(pairs))) for name, pairs in theirs] == asked.extensions
    else:
        assert asked.extensions == []
    protocols = _joined(fields, b"sec-websocket-protocol")
    assert asked.protocols == (parse_subprotocol(protocols) if protocols else [])


def _joined(fields: Fields, name: bytes) -> str:
    return b",".join(value for each, value in fields if each.lower() == name).decode("latin-1")


def _grouped(pairs: list[tuple[str, str | bool]]) -> dict[str, list[str | bool]]:
    grouped: dict[str, list[str | bool]] = {}
    for key, value in pairs:
        grouped.setdefault(key, []).append(value)
    return grouped


def webSocket(data: bytes) -> None:
    """Frames: Autobahn reads the same, however they are cut up; and so do others in what is read here."""
    told(data, pieces(data))
    place = 0
    while (end := frameEnd(data, place)) and end <= len(data):
        message = shortMessage(data, place, end)
        if message is not None:
            for opinion in installed():
                assert opinion(data[place:end]) == [message]
            isBinary = isinstance(message, bytes)
            answer = dataFrame(message if isinstance(message, bytes) else message.encode(), isBinary)
            assert frameEnd(answer, 0) == len(answer)
        place = end
