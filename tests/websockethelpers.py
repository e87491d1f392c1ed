"""The peer's end of a WebSocket, in bare octets, for conversations without sockets (see `connectionhelpers`).

Nothing of Autobahn's is used here, so that the tests have an opinion of their own.
"""

from __future__ import annotations

__all__ = [
    "ACCEPT",
    "BINARY",
    "CLOSE",
    "KEY",
    "PING",
    "PONG",
    "TEXT",
    "Frame",
    "Handshake",
    "Peer",
    "accepting",
    "another",
    "binary",
    "closing",
    "connect",
    "frame",
    "offer",
    "opened",
    "parseFrames",
    "parseHandshake",
    "ping",
    "pong",
    "text",
    "upgrade",
]

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from connectionhelpers import Conversation, FakeTransport, Response, serve

from txabstracthttp import HttpRequest, HttpSocket, WebSocket

#: Those of RFC 6455 section 1.3.
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x37\xfa\x21\x3d"


class Frame(NamedTuple):
    """A frame that the server sent."""

    opcode: int
    payload: bytes
    fin: bool = True
    rsv: int = 0


class Handshake(NamedTuple):
    """The head of an answer to an upgrade."""

    status: int
    fields: list[tuple[str, str]]

    def all(self, name: str) -> list[str]:
        """Every value of the field `name`."""
        return [value for each, value in self.fields if each.lower() == name.lower()]


def upgrade(
    target: str = "/chat", *fields: str, key: str = KEY, version: str = "13", host: str = "example.com"
) -> bytes:
    """A request for a WebSocket; `fields` are more than it needs."""
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key}",
        f"Sec-WebSocket-Version: {version}",
        *fields,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def frame(opcode: int, payload: bytes = b"", fin: bool = True, rsv: int = 0) -> bytes:
    """A frame as a client sends it (RFC 6455 section 5.2)."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 1 << 16:
        length = b"\xfe" + struct.pack("!H", size)
    else:
        length = b"\xff" + struct.pack("!Q", size)
    mask = (MASK * (size // 4 + 1))[:size]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(mask, "big")).to_bytes(size, "big")
    return bytes([fin << 7 | rsv << 4 | opcode]) + length + MASK + masked


def text(message: str) -> bytes:
    """A text message."""
    return frame(TEXT, message.encode())


def binary(message: bytes) -> bytes:
    """A binary message."""
    return frame(BINARY, message)


def ping(payload: bytes = b"") -> bytes:
    """A ping."""
    return frame(PING, payload)


def pong(payload: bytes = b"") -> bytes:
    """A pong."""
    return frame(PONG, payload)


def closing(code: int | None = None, reason: str = "") -> bytes:
    """A close frame."""
    return frame(CLOSE, (b"" if code is None else struct.pack("!H", code)) + reason.encode())


def parseFrames(data: bytes) -> list[Frame]:
    """What a server sent, which is never masked, and has its lengths in the shortest form."""
    frames: list[Frame] = []
    while data:
        size, start = data[1], 2
        assert size < 128, "a server masks nothing"
        if size > 125:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start], "big")
            assert size >= (126 if start == 4 else 1 << 16)
        payload = data[start : start + size]
        assert len(payload) == size, f"incomplete: {data!r}"
        frames.append(Frame(data[0] & 15, payload, data[0] > 127, data[0] >> 4 & 7))
        data = data[start + size :]
    return frames


def parseHandshake(data: bytes) -> tuple[Handshake, bytes]:
    """The head of an answer, and what stands behind it."""
    head, end, rest = data.partition(b"\r\n\r\n")
    assert end, f"incomplete: {data!r}"
    line, *lines = head.decode("ascii").split("\r\n")
    version, status, _ = line.split(" ", 2)
    assert version == "HTTP/1.1"
    fields = [(name, value.strip()) for name, _, value in (each.partition(":") for each in lines)]
    return Handshake(int(status), fields), rest


class Peer:
    """A client of WebSocket on one connection of a `Conversation`."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self.server = conversation.server
        self.transport = conversation.transport
        self.advance = conversation.advance
        self.leave = conversation.leave
        self._unread = b""

    def upgrade(self, *fields: str, target: str = "/chat", early: bytes = b"") -> None:
        """Ask for a WebSocket, and send `early` without waiting for the answer."""
        self.conversation.send(upgrade(target, *fields) + early)

    def handshake(self) -> Handshake:
        """The head of the answer."""
        handshake, self._unread = parseHandshake(self._taken())
        return handshake

    def response(self) -> Response:
        """The answer, where it is an ordinary one and the last."""
        response = self.conversation.response()
        assert not self.conversation.open
        assert "close" in response.all("connection")
        return response

    def send(self, *frames: bytes) -> None:
        """Send them, in as many pieces."""
        self.conversation.send(*frames)

    def _taken(self) -> bytes:
        data = self._unread + self.transport.value
        self.transport.writes.clear()
        self._unread = b""
        return data

    def frames(self) -> list[Frame]:
        """All that the server has sent since it was asked last."""
        return parseFrames(self._taken())

    def messages(self) -> list[str | bytes]:
        """As `frames`, where they are whole messages."""
        frames = self.frames()
        assert all(each.fin and each.opcode in (TEXT, BINARY) for each in frames), frames
        return [each.payload.decode() if each.opcode == TEXT else each.payload for each in frames]

    def closed(self) -> tuple[int, str]:
        """The close code and the reason of the one frame that the server has sent."""
        (last,) = self.frames()
        assert last.opcode == CLOSE, last
        return int.from_bytes(last.payload[:2], "big"), last.payload[2:].decode()

    def part(self, code: int | None = 1000, reason: str = "") -> None:
        """Close as it should be, and see the connection end."""
        self.send(closing(code, reason))
        self.frames()
        assert self.conversation.halfClosed or self.transport.closed
        self.leave()


def accepting(request: HttpRequest, socket: HttpSocket) -> bool:
    """A handler that accepts every upgrade."""
    return True


def offer(handler: Callable[[HttpRequest, HttpSocket], Any] = accepting, **options: Any) -> Peer:
    """A peer of a server that has an interest in WebSockets; `options` are those of `serve`."""
    conversation = serve(handler, **options)
    conversation.server.newWebSocketConnection.connect(lambda: None)
    return Peer(conversation)


def opened(*fields: str, kind: type[Any] | None = None, **options: Any) -> tuple[Peer, WebSocket]:
    """A peer and the WebSocket it has opened, which nobody reads yet.

    :param fields: more for the request.
    :param kind: `webSocketProtocol`.
    """
    peer = offer(**options)
    peer.server.webSocketProtocol = kind
    return peer, connect(peer, *fields)


def connect(peer: Peer, *fields: str, target: str = "/chat", early: bytes = b"") -> WebSocket:
    """Open a WebSocket, and take it."""
    peer.upgrade(*fields, target=target, early=early)
    assert peer.handshake().status == 101
    webSocket = peer.server.nextPendingWebSocketConnection()
    assert webSocket is not None
    return webSocket


def another(peer: Peer, transport: FakeTransport | None = None) -> Peer:
    """One more connection to the same server."""
    return Peer(peer.conversation.another(transport=transport))
