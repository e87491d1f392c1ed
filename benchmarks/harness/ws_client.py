"""A WebSocket client that costs next to nothing: frames made beforehand, echoes taken by their size.

As a program (``PORT PATH SIZE CONNECTIONS SECONDS``) it keeps one message in flight on each connection and
prints how many came back, and in how many seconds.  A process of its own, on a core of its own, so that its
work is not the server's.  The first and the last echo of each connection are compared octet for octet.
"""

from __future__ import annotations

import base64
import hashlib
import os
import select
import sys
import time
from functools import cache
from socket import IPPROTO_TCP, TCP_NODELAY, create_connection, socket

PATIENCE = 15.0  # seconds
BUFFER = 256 * 1024
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MASK = b"\x5a\xc3\x17\xe8"
TEXT = 0x81
#: A close frame with the code 1000.
CLOSE = b"\x88\x82" + MASK + bytes((0x03 ^ MASK[0], 0xE8 ^ MASK[1]))


class Wrong(Exception):
    """Something came that is no echo."""


def openWebSocket(port: int, path: str) -> socket:
    """A connection behind its handshake (RFC 6455 section 4), without extensions."""
    connection = create_connection(("127.0.0.1", port), PATIENCE)
    connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16))
    connection.sendall(
        b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: %b\r\nSec-WebSocket-Version: 13\r\n\r\n" % (path.encode(), port, key)
    )
    head = receiveHead(connection)
    accept = base64.b64encode(hashlib.sha1(key + GUID).digest())
    if not head.startswith(b"HTTP/1.1 101 ") or accept not in head:
        raise Wrong(f"no WebSocket: {head!r}")
    return connection


def receiveHead(connection: socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = connection.recv(1)
        if not piece:
            raise Wrong(f"closed behind {head!r}")
        head += piece
    return head


def motley(size: int) -> bytes:
    """A text in which each octet is another than its neighbours, with a period that no buffer has."""
    return (bytes(range(33, 126)) * (size // 93 + 1))[:size]


def header(size: int, mask: int) -> bytes:
    """Of a text message in one frame (section 5.2)."""
    if size < 126:
        return bytes((TEXT, mask | size))
    if size < 65536:
        return bytes((TEXT, mask | 126)) + size.to_bytes(2, "big")
    return bytes((TEXT, mask | 127)) + size.to_bytes(8, "big")


@cache
def question(size: int) -> bytes:
    """What a client sends: masked."""
    masked = bytes(octet ^ MASK[place % 4] for place, octet in enumerate(motley(size)))
    return header(size, 0x80) + MASK + masked


@cache
def answer(size: int) -> bytes:
    """What a server echoes."""
    return header(size, 0) + motley(size)


def exchange(connection: socket, size: int) -> None:
    """One message and its echo, compared octet for octet."""
    connection.sendall(question(size))
    wanted, seen = answer(size), b""
    while len(seen) < len(wanted):
        piece = connection.recv(BUFFER)
        if not piece:
            raise Wrong(f"closed behind {seen[-80:]!r}")
        seen += piece
    if seen != wanted:
        raise Wrong(f"no echo: {seen[:80]!r}")


def close(connections: list[socket]) -> None:
    """As section 7.1.1 wants it, so that no server has anything to say about it."""
    for connection in connections:
        connection.sendall(CLOSE)
    for connection in connections:
        while connection.recv(BUFFER):
            pass
        connection.close()


class Hammer:
    """One message in flight on each of many connections.

    :ivar count: how many echoes have arrived.
    """

    def __init__(self, connections: list[socket], size: int) -> None:
        self._connections = {connection.fileno(): connection for connection in connections}
        self._question = question(size)
        self._size = len(answer(size))
        self._missing = dict.fromkeys(self._connections, 0)
        self._buffer = bytearray(BUFFER)
        self.count = 0

    def run(self, seconds: float) -> float:
        """Send, and send again; the time that it took."""
        begin = now = time.monotonic()
        with select.epoll() as poller:
            for number in self._connections:
                poller.register(number, select.EPOLLIN)
                self._send(number)
            while now < begin + seconds:
                for number, _ in self._ready(poller):
                    if self._receive(number):
                        self._send(number)
                now = time.monotonic()
        self._finish()
        return time.monotonic() - begin

    def _finish(self) -> None:
        """Take the echoes that are still on their way."""
        for number in self._connections:
            while self._missing[number]:
                self._receive(number)

    def _ready(self, poller: select.epoll) -> list[tuple[int, int]]:
        return poller.poll(PATIENCE) or self._stalled()

    def _stalled(self) -> list[tuple[int, int]]:
        raise Wrong(f"no echo for {PATIENCE:.0f} s")

    def _send(self, number: int) -> None:
        """All of it: a server reads a message to its end before it has anything to write."""
        self._connections[number].sendall(self._question)
        self._missing[number] = self._size

    def _receive(self, number: int) -> bool:
        """Whether the echo is complete."""
        left = self._missing[number] = self._missing[number] - self._take(number)
        if left < 0:
            raise Wrong("more than an echo came; a ping, if it took 15 seconds or more")
        self.count += not left
        return not left

    def _take(self, number: int) -> int:
        return self._connections[number].recv_into(self._buffer) or self._closed()

    def _closed(self) -> int:
        raise Wrong("the server closed a connection")


def main(port: int, path: str, size: int, count: int, seconds: float) -> None:
    connections = [openWebSocket(port, path) for _ in range(count)]
    for connection in connections:
        exchange(connection, size)
    hammer = Hammer(connections, size)
    taken = hammer.run(seconds)
    for connection in connections:
        exchange(connection, size)
    close(connections)
    print(hammer.count, taken)


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
    except (OSError, Wrong) as error:
        sys.exit(f"{type(error).__name__}: {error}")
