"""Tiny GETs on 32 connections, in batches: one on each, then the answer of each.

What this client costs does not matter, because it is the server's CPU time that is read.
"""

from __future__ import annotations

from contextlib import ExitStack
from socket import IPPROTO_TCP, TCP_NODELAY, create_connection, socket
from typing import Self

from .target import HOST

CONNECTIONS = 32
PATIENCE = 15.0  # seconds
MOST = 4096  # octets of an answer


class Wrong(Exception):
    """Something came that is not the answer."""


class Batch:
    """A context manager that closes its connections."""

    def __init__(self, port: int) -> None:
        self._request = f"GET / HTTP/1.1\r\nHost: {HOST}:{port}\r\n\r\n".encode()
        self._connections: list[socket] = []
        with ExitStack() as stack:
            for _ in range(CONNECTIONS):
                self._connections.append(stack.enter_context(create_connection((HOST, port), PATIENCE)))
                self._connections[-1].setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, count: int) -> None:
        """So many requests, or the next multiple of 32."""
        for _ in range(-(-count // CONNECTIONS)):
            for connection in self._connections:
                connection.sendall(self._request)
            for connection in self._connections:
                self._receive(connection)

    def _receive(self, connection: socket) -> None:
        answer = connection.recv(MOST)
        while not answer.endswith(b"\r\n\r\nHello, world"):
            piece = connection.recv(MOST)
            answer += piece
            if not piece or len(answer) > MOST:
                raise Wrong(f"no answer: {answer!r}")
        if not answer.startswith(b"HTTP/1.1 200 OK\r\n"):
            raise Wrong(f"no success: {answer!r}")
