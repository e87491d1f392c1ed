"""WebSockets on streams of HTTP/2 (RFC 8441), with wsproto at the peer's end."""

from __future__ import annotations

__all__ = ["VERSION", "Channel", "ending", "offer", "opened", "upgrade"]

from typing import Any

from http2helpers import Http2Peer, serve2
from websockethelpers import accepting
from wsproto.connection import Connection, ConnectionType

from txabstracthttp import WebSocket

VERSION = "sec-websocket-version: 13"


def offer(handler: Any = accepting, **options: Any) -> Http2Peer:
    """A peer of a server that has an interest in WebSockets."""
    peer = serve2(handler, **options)
    peer.server.newWebSocketConnection.connect(lambda: None)
    return peer


def upgrade(peer: Http2Peer, path: str = "/chat", *fields: str, end: bool = False, **pseudo: Any) -> int:
    """An extended CONNECT (section 4)."""
    pseudo = {"protocol": "websocket", **pseudo}
    return peer.ask(path, *(fields or (VERSION,)), method="CONNECT", end=end, **pseudo)


class Channel:
    """One WebSocket on a stream, with wsproto at the peer's end.

    :ivar webSocket: ours.
    """

    def __init__(self, peer: Http2Peer, *fields: str, path: str = "/chat") -> None:
        self.peer = peer
        self.stream = upgrade(peer, path, *(fields or ()))
        assert peer.answer(self.stream).status == 200, peer.answer(self.stream)
        self.wsproto = Connection(ConnectionType.CLIENT)
        self._read = 0
        webSocket = peer.server.nextPendingWebSocketConnection()
        assert webSocket is not None
        self.webSocket: WebSocket = webSocket

    def send(self, *events: Any) -> None:
        """What wsproto makes of them."""
        for event in events:
            assert self.peer.upload(self.stream, self.wsproto.send(event)) == b""

    def raw(self, data: bytes) -> bytes:
        """Octets, as far as there is room; the rest."""
        return self.peer.upload(self.stream, data)

    def events(self) -> list[Any]:
        """What wsproto makes of what came."""
        body = self.peer.answer(self.stream).body
        data, self._read = body[self._read :], len(body)
        self.wsproto.receive_data(data)
        return list(self.wsproto.events())

    @property
    def reset(self) -> int | None:
        """The code of the RST_STREAM that came."""
        return self.peer.answer(self.stream).reset

    @property
    def ended(self) -> bool:
        """Whether END_STREAM came."""
        return self.peer.answer(self.stream).ended


def opened(*fields: str, **options: Any) -> Channel:
    return Channel(offer(**options), *fields)


def ending(webSocket: WebSocket) -> list[tuple[int, str]]:
    """What `disconnected` says."""
    outcome: list[tuple[int, str]] = []
    webSocket.disconnected.connect(lambda code, reason: outcome.append((code, reason)))
    return outcome
