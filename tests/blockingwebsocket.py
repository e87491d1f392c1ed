"""A client of WebSocket on a real socket that waits for what it asks for: for servers in other processes."""

from __future__ import annotations

__all__ = ["BlockingWebSocket", "Refused"]

import socket
from types import TracebackType
from typing import Self

from websockethelpers import (
    ACCEPT,
    BINARY,
    CLOSE,
    PING,
    TEXT,
    binary,
    closing,
    parseHandshake,
    pong,
    text,
    upgrade,
)


class Refused(Exception):
    """The answer was not 101.

    :ivar status: what it was.
    :ivar fields: its fields.
    :ivar content: its content.
    """

    def __init__(self, status: int, fields: dict[str, str], content: bytes) -> None:
        super().__init__(status, content)
        self.status = status
        self.fields = fields
        self.content = content


class BlockingWebSocket:
    """One connection, open from the beginning."""

    def __init__(
        self, port: int, target: str, *fields: str, patience: float = 20, receiveBuffer: int | None = None
    ) -> None:
        """
        :param fields: more for the request.
        :param patience: for how many seconds anything is waited for.
        :param receiveBuffer: of how many octets the socket's is.
        :raises Refused: there is no WebSocket here.
        """
        self._socket = socket.socket()
        if receiveBuffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receiveBuffer)
        self._socket.settimeout(patience)
        self._socket.connect(("127.0.0.1", port))
        self._unread = b""
        self.sendRaw(upgrade(target, *fields, host=f"127.0.0.1:{port}"))
        while b"\r\n\r\n" not in self._unread:
            self._receive()
        handshake, self._unread = parseHandshake(self._unread)
        self.fields = dict(handshake.fields)
        if handshake.status != 101:
            raise Refused(handshake.status, self.fields, self._rest())
        assert handshake.all("Sec-WebSocket-Accept") == [ACCEPT]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def _receive(self) -> None:
        data = self._socket.recv(65536)
        if not data:
            raise ConnectionError(f"closed behind {self._unread[:200]!r}")
        self._unread += data

    def _rest(self) -> bytes:
        """Everything up to the end of the connection."""
        with self._socket:
            while data := self._socket.recv(65536):
                self._unread += data
        return self._unread

    def _take(self, size: int) -> bytes:
        while len(self._unread) < size:
            self._receive()
        data, self._unread = self._unread[:size], self._unread[size:]
        return data

    def frame(self) -> tuple[int, bytes]:
        """The next frame, of whatever kind: its opcode and payload."""
        first, size = self._take(2)
        assert first & 0xF0 == 0x80, "whole messages only, and no extension"
        if size > 125:
            size = int.from_bytes(self._take(2 if size == 126 else 8), "big")
        return first & 15, self._take(size)

    def sendRaw(self, octets: bytes) -> None:
        """Send them as they are."""
        self._socket.sendall(octets)

    def send(self, message: str | bytes) -> None:
        """Send a message."""
        self.sendRaw(text(message) if isinstance(message, str) else binary(message))

    def receive(self) -> str | bytes:
        """The next message; pings are answered on the way."""
        while True:
            opcode, payload = self.frame()
            if opcode == PING:
                self.sendRaw(pong(payload))
            else:
                assert opcode in (TEXT, BINARY), (opcode, payload)
                return payload.decode() if opcode == TEXT else payload

    def awaitClose(self) -> tuple[int | None, str]:
        """Read up to the close frame; its code and reason."""
        while True:
            opcode, payload = self.frame()
            if opcode == CLOSE:
                return int.from_bytes(payload[:2], "big") if payload else None, payload[2:].decode()

    def close(self, code: int | None = 1000, reason: str = "") -> tuple[int | None, str]:
        """Close, and see the connection end; the code and reason that were answered."""
        self.sendRaw(closing(code, reason))
        answer = self.awaitClose()
        assert self._rest() == b""
        return answer
