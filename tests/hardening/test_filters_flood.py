"""Those who are refused must not get what they are refused: descriptors, memory, a place."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from connectionhelpers import FakeTcpTransport
from serverprocess import PATIENCE, ServerProcess, connect, needsProc, readResponse
from tlsmaterial import material
from twisted.internet.address import IPv4Address
from twisted.internet.testing import MemoryReactorClock

from txabstracthttp import AbstractHttpServer, HttpRequest, HttpServerConfiguration, HttpSocket

pytestmark = needsProc

#: All of 127.0.0.0/8 is this machine; who comes from here is refused.
BAD = "127.0.0.66"
#: So many of them may be there at a time, whatever they do.
BOUND = 400
MANY = 800

GET = b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n"

# What the refused do with a connection to the port in cleartext or the one with TLS:
Behaviour = Callable[[ServerProcess], socket.socket]


def fromBad(port: int) -> socket.socket:
    """A connection of somebody who is refused."""
    connection = socket.socket()
    connection.settimeout(PATIENCE)
    # The smallest that the system has.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    connection.bind((BAD, 0))
    with suppress(ConnectionError):  # it may be dropped as soon as it is there
        connection.connect(("127.0.0.1", port))
    return connection


def saying(connection: socket.socket, data: bytes) -> socket.socket:
    """Say something, if it was not dropped meanwhile."""
    with suppress(ConnectionError):
        connection.sendall(data)
    return connection


def silently(server: ServerProcess) -> socket.socket:
    """In cleartext, never reading and never closing."""
    return fromBad(server.port)


def talking(server: ServerProcess) -> socket.socket:
    """Likewise, with a request that nobody wants."""
    return saying(fromBad(server.port), GET)


def withoutHello(server: ServerProcess) -> socket.socket:
    """Where TLS is spoken, without speaking it."""
    return fromBad(server.secure)


def withHalfAHello(server: ServerProcess) -> socket.socket:
    """Likewise, with its beginning."""
    return saying(fromBad(server.secure), b"\x16\x03\x01\x02\x00\x01")


BEHAVIOURS = [silently, talking, withoutHello, withHalfAHello]

behaviours = pytest.mark.parametrize("behave", BEHAVIOURS)


@contextmanager
def crowd(server: ServerProcess, behave: Behaviour, count: int = MANY) -> Iterator[None]:
    """So many of them, all there at the same time."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(behave(server))
        yield


def waitUntil(condition: Callable[[], bool]) -> None:
    """Until it is so; it must be in time."""
    giveUp = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < giveUp, "it never came true"
        time.sleep(0.02)


def served(server: ServerProcess) -> bool:
    """Whether somebody else is served."""
    with connect(server.port) as connection:
        connection.sendall(GET)
        return readResponse(connection)[1] == b"small"


@behaviours
class TestRefusedOnes:
    def test_areGoneInTheEnd(self, tmp_path: Path, behave: Behaviour) -> None:
        """Though they neither read nor close, and nothing of them is left."""
        with ServerProcess(tmp_path, blacklist=[BAD], handshakeTimeout=0.5, closeTimeout=0.5) as server:
            served(server)
            before = server.census()
            with crowd(server, behave, 200):
                assert served(server)
                waitUntil(lambda: server.descriptors() <= before["descriptors"])
                after = server.census()
        assert after["objects"] == before["objects"]
        assert after["handled"] == before["handled"] + 2

    def test_areBounded(self, tmp_path: Path, behave: Behaviour) -> None:
        """In descriptors, and so in memory: some 5 KiB for each of them, and 50 KiB where TLS is spoken."""
        with ServerProcess(tmp_path, blacklist=[BAD], handshakeTimeout=60) as server:
            before = server.descriptors()
            most = 0
            with ExitStack() as stack:
                for number in range(MANY):
                    stack.enter_context(behave(server))
                    if number % 40 == 39:
                        most = max(most, server.descriptors() - before)
                # Whoever comes last to that port is behind all of them.
                assert served(server) if behave in (silently, talking) else securelyServed(server, PATIENCE)
                most = max(most, server.descriptors() - before)
            assert most <= BOUND


@pytest.mark.parametrize("behave", [withoutHello, withHalfAHello])
def test_theyTakeNobodysPlace(tmp_path: Path, behave: Behaviour) -> None:
    """Where the process may have few descriptors, those who are let in still find some."""
    with ServerProcess(tmp_path, BOUND + 100, blacklist=[BAD], handshakeTimeout=60) as server:
        with crowd(server, behave):
            try:
                # Behind all of them in the queue of this port.
                good = [securelyServed(server, 5) for _ in range(3)]
            except OSError:
                good = []
        assert good == [True] * 3


def securelyServed(server: ServerProcess, seconds: float) -> bool:
    """Whether somebody else is served over TLS, and in time."""
    context = ssl.create_default_context(cafile=str(material().authority))
    with (
        socket.create_connection(("127.0.0.1", server.secure), seconds) as connection,
        context.wrap_socket(connection, server_hostname="localhost") as secure,
    ):
        secure.sendall(GET)
        return readResponse(secure)[1] == b"small"


def test_withinReasonTheyAreTold(tmp_path: Path) -> None:
    """Not only the first: as some leave, the turn of others comes."""
    context = ssl.create_default_context(cafile=str(material().authority))
    with ServerProcess(tmp_path, blacklist=[BAD]) as server:
        served(server)
        before = server.census()["descriptors"]
        for _ in range(BOUND // 50 + 1):
            with ExitStack() as stack:
                together = [stack.enter_context(fromBad(server.port)) for _ in range(50)]
                assert all(each.recv(100).startswith(b"HTTP/1.1 403 ") for each in together)
            waitUntil(lambda: server.descriptors() <= before)
        with (
            fromBad(server.secure) as connection,
            context.wrap_socket(connection, server_hostname="localhost") as secure,
        ):
            assert secure.recv(100).startswith(b"HTTP/1.1 403 ")


class Nothing(AbstractHttpServer):
    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> bool:
        return False


class TestBehindAProxy:
    """Whom a connection is of is not known before its PROXY header has come."""

    def waiting(self, count: int) -> list[FakeTcpTransport]:
        """So many who come and send no header, where 10 connections are allowed."""
        reactor = MemoryReactorClock()
        server = Nothing(reactor, HttpServerConfiguration(maximumConnections=10))
        server.bind("haproxy:tcp:8080")
        factory = reactor.tcpServers[0][1]
        transports = []
        for port in range(count):
            transport = FakeTcpTransport(IPv4Address("TCP", "192.0.2.9", port))
            protocol: Any = factory.buildProtocol(transport.peer)
            protocol.makeConnection(transport)
            transports.append(transport)
        return transports

    def test_allowed(self) -> None:
        assert not any(each.aborted for each in self.waiting(10))

    def test_bounded(self) -> None:
        """They count as connections; the newest stays: who means it sends its header at once."""
        transports = self.waiting(2000)
        assert sum(not each.aborted for each in transports) <= 20
        assert not transports[-1].aborted
