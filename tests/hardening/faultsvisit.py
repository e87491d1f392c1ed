"""A client for one visit, of either version, that says in one word how it ended."""

from __future__ import annotations

__all__ = ["VERSIONS", "Visitor", "Visitor1", "Visitor2", "visit"]

from abc import ABC, abstractmethod
from typing import Any

from connectionhelpers import SteadyClock, get, parseResponses
from hardening.faults import FaultyTransport
from http2helpers import Http2Peer
from http2websockets import upgrade as upgrade2
from twisted.internet.task import Clock
from websockethelpers import CLOSE, parseFrames, parseHandshake, upgrade

from txabstracthttp import AbstractHttpServer

VERSIONS = ("1.1", "2")


class Visitor(ABC):
    """One connection, on which one thing is asked."""

    def __init__(self, server: AbstractHttpServer, clock: Clock) -> None:
        self.clock = clock
        self.transport = FaultyTransport(clock)
        self.connection: Any = server.buildProtocol(self.transport.getPeer())
        self.transport.protocol = self.connection
        self.connection.makeConnection(self.transport)

    def turn(self) -> None:
        """Some turns of the reactor."""
        for _ in range(4):
            self.clock.advance(0.001)

    def send(self, *data: bytes) -> None:
        """Send octets, and have them read; this is what `Http2Peer` wants of a conversation, too."""
        for piece in data:
            self.transport.arriving.append(piece)
            self.transport.arrive()

    def leave(self) -> None:
        """The connection is gone."""
        self.transport.reset()
        self.turn()

    @abstractmethod
    def ask(self, path: str = "/", body: bytes | None = None, length: int | None = None) -> None:
        """Ask; `length` is that of the whole content, of which only `body` is sent."""

    @abstractmethod
    def more(self, body: bytes) -> None:
        """The rest of the content."""

    @abstractmethod
    def outcome(self) -> int | str:
        """The status of the answer; "abort" if it was broken off, "nothing" as long as there is none."""

    @abstractmethod
    def open(self) -> None:
        """Ask for a WebSocket."""

    @abstractmethod
    def say(self, frame: bytes) -> None:
        """Send a frame."""

    @abstractmethod
    def closeCode(self) -> int | None:
        """That of the close frame which the server has sent; None if there is none."""


class Visitor1(Visitor):
    """By HTTP/1.1."""

    def __init__(self, server: AbstractHttpServer, clock: Clock) -> None:
        super().__init__(server, clock)
        self._received = b""

    def ask(self, path: str = "/", body: bytes | None = None, length: int | None = None) -> None:
        size = length or len(body or b"")
        more = [] if body is None else [f"Content-Length: {size}"]
        self.send(get(path, *more, method="GET" if body is None else "POST") + (body or b""))

    def more(self, body: bytes) -> None:
        self.send(body)

    def _hear(self) -> bytes:
        self._received += self.transport.value
        self.transport.writes.clear()
        return self._received

    def outcome(self) -> int | str:
        if self.transport.aborted or self.transport.gone:
            return "abort"
        if not self._hear():
            return "nothing"
        data = self._received
        if data.startswith(b"HTTP/1.1 103"):
            data = data.partition(b"\r\n\r\n")[2]
        (response,) = parseResponses(data, [], False)
        return response.status

    def open(self) -> None:
        self.send(upgrade())
        if self._hear().startswith(b"HTTP/1.1 101"):
            _, self._received = parseHandshake(self._received)

    def say(self, frame: bytes) -> None:
        self.send(frame)

    def closeCode(self) -> int | None:
        return _closeCode(self._hear())


class Visitor2(Visitor):
    """By HTTP/2."""

    def __init__(self, server: AbstractHttpServer, clock: Clock) -> None:
        super().__init__(server, clock)
        self.server = server
        self.open_ = True
        peer: Any = self
        self.h2 = Http2Peer(peer)

    def ask(self, path: str = "/", body: bytes | None = None, length: int | None = None) -> None:
        method = "GET" if body is None else "POST"
        more = [] if body is None else [f"content-length: {length or len(body)}"]
        self.stream = self.h2.ask(path, *more, method=method, body=body, end=length is None)

    def more(self, body: bytes) -> None:
        self.h2.upload(self.stream, body, True)

    def outcome(self) -> int | str:
        if self.transport.gone:
            return "abort"
        answer = self.h2.answer(self.stream)
        if answer.ended or (answer.reset is None and answer.status):
            return answer.status
        return "nothing" if answer.reset is None else "abort"

    def open(self) -> None:
        self.stream = upgrade2(self.h2)

    def say(self, frame: bytes) -> None:
        self.h2.upload(self.stream, frame)

    def closeCode(self) -> int | None:
        return _closeCode(self.h2.answer(self.stream).body)


def _closeCode(data: bytes) -> int | None:
    codes = [int.from_bytes(each.payload[:2], "big") for each in parseFrames(data) if each.opcode == CLOSE]
    assert len(codes) <= 1
    return codes[0] if codes else None


def visit(version: str, server: AbstractHttpServer, clock: SteadyClock) -> Visitor:
    """A visitor of a version."""
    kind: Any = {"1.1": Visitor1, "2": Visitor2}[version]
    visitor: Visitor = kind(server, clock)
    return visitor
