"""Connections that come and go, and more of them than there are descriptors."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from illwill import clientHello, connections, eventually, head, rests
from serverprocess import ServerProcess, connect, needsProc, readResponse

pytestmark = [needsProc, pytest.mark.timeout(120)]

STORM = 5_000
HELLO = clientHello()
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes.fromhex("000000040000000000")


def reset(connection: socket.socket) -> None:
    """Let the end of `connection` be one."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def leaving(data: bytes, secure: bool = False, rudely: bool = False) -> Callable[[ServerProcess], None]:
    """Who connects, sends `data`, and leaves without a look at the answer."""

    def visit(server: ServerProcess) -> None:
        with connect(server.secure if secure else server.port) as connection:
            connection.sendall(data)
            if rudely:
                reset(connection)

    return visit


VISITS = {
    "nothing": leaving(b""),
    "reset": leaving(b"", rudely=True),
    "half a head": leaving(head("/small")[:20]),
    "half a head, reset": leaving(head("/small")[:20], rudely=True),
    "a request": leaving(head("/small")),
    "a request, reset": leaving(head("/big?size=1000000"), rudely=True),
    "half a body": leaving(head("/echo", "Content-Length: 100", method="POST") + b"half"),
    "half a stream": leaving(head("/mirror", "Content-Length: 100", method="POST") + b"half", rudely=True),
    "nothing over TLS": leaving(b"", secure=True),
    "a TLS hello": leaving(HELLO, secure=True),
    "a TLS hello, reset": leaving(HELLO, secure=True, rudely=True),
    "no TLS": leaving(head("/small"), secure=True),
    "the preface of HTTP/2": leaving(PREFACE),
    "half the preface": leaving(PREFACE[:10]),
    "a bad request": leaving(b"\0\0\0\r\n\r\n"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as process:
        yield process


@pytest.fixture
def poor(tmp_path: Path) -> Iterator[ServerProcess]:
    """One that may have 64 descriptors."""
    with ServerProcess(tmp_path, descriptors=64, keepAliveTimeout=600) as process:
        yield process


def test_storm(server: ServerProcess) -> None:
    """5,000 visits of fifteen kinds: nothing is left of them."""
    visits = list(VISITS.values())
    for visit in visits * 2:
        visit(server)
    # Some may not even have been accepted yet.
    eventually(lambda: rests(server) and connections(server) == 0)
    before = server.census()
    for number in range(STORM):
        visits[number % len(visits)](server)
    eventually(lambda: rests(server) and connections(server) == 0)
    after = server.census()
    assert after["descriptors"] == before["descriptors"]
    assert after["objects"] == before["objects"]
    assert len(server.log().splitlines()) < 10


def ask(connection: socket.socket) -> None:
    connection.sendall(head("/small"))
    assert readResponse(connection)[1] == b"small"


class TestExhausted:
    """Twice as many connections as there can be."""

    def test_othersWait(self, poor: ServerProcess) -> None:
        """Accepts pause and resume: those that were accepted are served, and then the others, too."""
        with ExitStack() as stack:
            peers = [stack.enter_context(connect(poor.port)) for _ in range(128)]
            for each in peers:
                each.sendall(head("/small"))
            eventually(lambda: rests(poor))
            held = connections(poor)
            assert 0 < held < 64
            # In the order in which they came.
            for _ in range(3):
                for each in peers[:held]:
                    assert readResponse(each)[1] == b"small"
                    each.sendall(head("/small"))
            while peers:
                first = peers.pop(0)
                assert readResponse(first)[1] == b"small"
                first.close()

    def test_noBusyLoop(self, poor: ServerProcess) -> None:
        with ExitStack() as stack:
            for _ in range(128):
                stack.enter_context(connect(poor.port))
            eventually(lambda: rests(poor))
            assert all(rests(poor) for _ in range(3))
        assert len(poor.log().splitlines()) < 10

    def test_oneIsFree(self, poor: ServerProcess) -> None:
        """As soon as some have gone, others come."""
        for _ in range(3):
            with ExitStack() as stack:
                peers = [stack.enter_context(connect(poor.port)) for _ in range(100)]
                for each in peers:
                    each.sendall(head("/small", "Connection: close"))
                for each in peers:
                    assert readResponse(each)[1] == b"small"
                    each.close()
            eventually(lambda: connections(poor) == 0)
            with connect(poor.port) as connection:
                ask(connection)
