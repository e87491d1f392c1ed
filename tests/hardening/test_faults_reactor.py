"""Exceptions that the reactor meets: of protocols that have taken a connection, of TLS, and of Python."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import pytest_twisted  # type: ignore[import-untyped]
from connectionhelpers import get
from hardening.faults import Planned, failuresLogged, keep, remains
from hardening.faultscripts import answerOf
from serverprocess import connect, connectSecurely
from tlsmaterial import material
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from txabstracthttp import AbstractHttpServer, HttpRequest, HttpServerConfiguration, HttpSocket


class Server(AbstractHttpServer):
    """All is fine, but for what a subclass does.

    :ivar kinds: of what is logged.
    """

    kinds: ClassVar[list[type[BaseException]]] = [Planned]

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> Any:
        if request.path == "/fine":
            socket.respond("fine")
            return True
        return self.handle(request, socket)

    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        """Something else."""
        return False


class Taking(Server, Protocol):
    """It is the protocol that takes the connection over."""

    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        socket.detach(self)
        return True


class TakingMade(Taking):
    def makeConnection(self, transport: Any) -> None:
        raise Planned


class TakingData(Taking):
    def dataReceived(self, data: bytes) -> None:
        raise Planned


class TakingLost(Taking):
    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.transport = None
        raise Planned


class Interrupted(Server):
    """By what is no error of the application's."""

    error: type[BaseException] = asyncio.CancelledError
    kinds = [asyncio.CancelledError]

    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        raise self.error


class Generated(Interrupted):
    error = GeneratorExit
    kinds = [GeneratorExit]


class Exited(Interrupted):
    error = SystemExit
    kinds = [SystemExit]


class InterruptedInside(Interrupted):
    """Half of its answer is out."""

    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        socket.write(b"half")
        raise self.error


def call(server: Server, talk: Callable[[int], bytes], secure: bool) -> Deferred[bytes]:
    """Talk to a server that listens, in a thread."""
    if secure:
        server.sslSetup(str(material().both))
    port = server.listen("127.0.0.1")
    return deferToThread(talk, port)


def talkPlainly(port: int) -> bytes:
    """Something that fails, then something that does not; the answers to both."""
    with connect(port) as connection:
        connection.sendall(get("/", "Connection: Upgrade", "Upgrade: x") + b"more")
        first = answerOf(connection)
    with connect(port) as connection:
        connection.sendall(get("/fine", "Connection: close"))
        assert answerOf(connection).endswith(b"fine")
    return first


async def settled(server: Server) -> None:
    """It is closed, and the reactor has had its turns."""
    await server.close(1)
    for _ in range(3):
        await deferLater(reactor, 0)


CONNECTIONS = [TakingMade, TakingData, TakingLost, Interrupted, InterruptedInside, Generated, Exited]


@pytest.mark.parametrize("kind", CONNECTIONS)
@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_onAConnection(kind: Any) -> None:
    """That connection ends, with one line, and everything else goes on."""
    with keep(), failuresLogged() as logged:
        server = kind()
        answer = await call(server, talkPlainly, False)
        # Half an answer must not look like a whole one.
        assert not answer.endswith(b"0\r\n\r\n")
        assert kind is InterruptedInside or answer == b""
        await settled(server)
        types = [getattr(each, "type", each) for each in logged]
        assert types == kind.kinds
        logged.clear()
        del server
        assert remains() == {}


class Offering(Server):
    """It is asked what it offers while a connection is made (ALPN)."""

    def acceptableProtocols(self) -> list[bytes]:
        raise Planned


@implementer(IOpenSSLServerConnectionCreator)
class Creating(Server):
    """It is its own creator of TLS connections; the place where an application looks at SNI."""

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> Any:
        raise Planned

    def sslSetup(self, *_: Any, **__: Any) -> None:
        super().sslSetup(self)


def talkSecurely(port: int) -> bytes:
    """Three who would speak and fail, then one who says nothing."""
    for _ in range(3):
        with pytest.raises(OSError):
            connectSecurely(port, "h2")
    with connect(port) as connection:
        connection.settimeout(4)
        return answerOf(connection)


@pytest.mark.parametrize(("kind", "count"), [(Offering, 3), (Creating, 4)])
@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_inTls(kind: Any, count: int) -> None:
    """Each connection that fails does so at once, and with one line; a silent one has its deadline."""
    with keep(), failuresLogged() as logged:
        server = kind(configuration=HttpServerConfiguration(handshakeTimeout=1))
        try:
            assert await call(server, talkSecurely, True) == b""
        finally:
            await settled(server)
        assert [getattr(each, "type", each) for each in logged] == [Planned] * count
        logged.clear()
        del server
        assert remains() == {}
