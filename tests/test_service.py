"""`HttpServerService`: bound when the application starts, drained when it stops."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.application.service import IService, MultiService
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, LogLevel, capturedLogs
from zope.interface import implementer
from zope.interface.verify import verifyObject

from txabstracthttp import AbstractHttpServer, HttpRequest, HttpServerService, HttpSocket

SOON = 5
GET = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Hello(AbstractHttpServer):
    """Says hello; to ``/later``, later."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: Deferred[HttpSocket] = Deferred()

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> bool:
        if request.path == "/later":
            reactor.callLater(0, self.waiting.callback, socket)
        else:
            socket.respond("hello")
        return True


@implementer(IStreamServerEndpoint)
class LaterEndpoint:
    """Listens when it is told to."""

    def __init__(self) -> None:
        self.listening: Deferred[IListeningPort] = Deferred()

    def listen(self, protocolFactory: Factory) -> Deferred[IListeningPort]:
        return self.listening


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[LogEvent]]:
    """Critical events; a test must take away those it expects."""
    with capturedLogs() as events:
        yield events  # type: ignore[misc]
    assert [event for event in events if event["log_level"] is LogLevel.critical] == []


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of 127.0.0.1 that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


async def hello(port: int) -> None:
    def run() -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=SOON) as connection:
            connection.sendall(GET % b"/")
            return connection.recv(65536)

    assert (await deferToThread(run)).endswith(b"hello")


class TestService:
    @pytest_twisted.ensureDeferred
    async def test_life(self) -> None:
        server = Hello()
        service = HttpServerService(server, ["tcp:0:interface=127.0.0.1"])
        verifyObject(IService, service)
        assert service.server is server
        assert server.servers() == []
        service.privilegedStartService()
        (port,) = server.serverPorts()
        await hello(port)
        service.startService()
        assert service.running
        assert server.serverPorts() == [port], "bound once"
        await hello(port)
        await service.stopService().addTimeout(SOON, reactor)
        assert not service.running
        with pytest.raises(ConnectionRefusedError):
            await hello(port)

    @pytest_twisted.ensureDeferred
    async def test_startAlone(self) -> None:
        server = Hello()
        service = HttpServerService(server, ["tcp:0:interface=127.0.0.1"])
        service.startService()
        await hello(server.serverPorts()[0])
        await service.stopService().addTimeout(SOON, reactor)

    @pytest_twisted.ensureDeferred
    async def test_whateverBindTakes(self, tmp_path: Path) -> None:
        server = Hello()
        listener = socket.create_server(("127.0.0.1", 0))
        number = listener.getsockname()[1]
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        service = HttpServerService(server, (f"unix:{tmp_path}/socket", listener, endpoint, None))
        service.startService()
        ports = server.serverPorts()
        assert (len(ports), ports[0], len(server.localServers())) == (3, number, 1)
        for port in ports:
            await hello(port)
        await service.stopService().addTimeout(SOON, reactor)

    @pytest_twisted.ensureDeferred
    async def test_nowhere(self) -> None:
        service = HttpServerService(Hello(), [])
        service.startService()
        await service.stopService().addTimeout(SOON, reactor)

    @pytest_twisted.ensureDeferred
    async def test_neverStarted(self) -> None:
        await HttpServerService(Hello(), ["tcp:0"]).stopService().addTimeout(SOON, reactor)

    @pytest_twisted.ensureDeferred
    async def test_stopDrains(self) -> None:
        server = Hello()
        service = HttpServerService(server, ["tcp:0:interface=127.0.0.1"])
        service.startService()
        with socket.create_connection(("127.0.0.1", server.serverPorts()[0]), timeout=SOON) as client:
            client.sendall(GET % b"/later")
            waiting = await server.waiting.addTimeout(SOON, reactor)
            stopped = service.stopService()
            assert not stopped.called
            waiting.respond("at last")
            answer = await deferToThread(client.recv, 65536)
            assert answer.endswith(b"at last")
            assert b"\r\nConnection: close\r\n" in answer
        await stopped.addTimeout(SOON, reactor)

    @pytest.mark.parametrize("start", ["privilegedStartService", "startService"])
    @pytest.mark.parametrize("endpoint", ["tcp:nonsense", "", 8080, "tls:missing"], ids=repr)
    @pytest_twisted.ensureDeferred
    async def test_badEndpoint(self, start: str, endpoint: Any) -> None:
        server = Hello()
        service = HttpServerService(server, ["tcp:0:interface=127.0.0.1", endpoint])
        with pytest.raises((ValueError, TypeError)):
            getattr(service, start)()
        assert not service.running
        await server.close().addTimeout(SOON, reactor)

    @pytest_twisted.ensureDeferred
    async def test_portTaken(self, taken: int) -> None:
        service = HttpServerService(Hello(), [f"tcp:{taken}:interface=127.0.0.1"])
        with pytest.raises(CannotListenError):
            service.privilegedStartService()
        await service.stopService().addTimeout(SOON, reactor)

    @pytest_twisted.ensureDeferred
    async def test_laterFailure(self, logged: list[LogEvent]) -> None:
        endpoint = LaterEndpoint()
        service = HttpServerService(Hello(), [endpoint])
        service.startService()
        assert logged == []
        endpoint.listening.errback(CannotListenError("any", 1, OSError("taken")))
        (event,) = [event for event in logged if event["log_level"] is LogLevel.critical]
        assert event["log_failure"].check(CannotListenError)
        logged.clear()
        await service.stopService().addTimeout(SOON, reactor)

    @pytest_twisted.ensureDeferred
    async def test_stoppedBeforeItListened(self) -> None:
        # That is no failure, and nothing to log.
        service = HttpServerService(Hello(), [LaterEndpoint()])
        service.startService()
        await service.stopService().addTimeout(SOON, reactor)

    @pytest_twisted.ensureDeferred
    async def test_startAgain(self) -> None:
        # A server is closed for good; a service that was stopped cannot pretend otherwise.
        service = HttpServerService(Hello(), ["tcp:0:interface=127.0.0.1"])
        service.startService()
        await service.stopService().addTimeout(SOON, reactor)
        with pytest.raises(RuntimeError):
            service.startService()


class TestParents:
    @pytest_twisted.ensureDeferred
    async def test_startedByItsParent(self) -> None:
        server, parent = Hello(), MultiService()
        HttpServerService(server, ["tcp:0:interface=127.0.0.1"]).setServiceParent(parent)
        parent.privilegedStartService()
        (port,) = server.serverPorts()
        parent.startService()
        assert server.serverPorts() == [port]
        assert parent.getServiceNamed("txabstracthttp").server is server
        await hello(port)
        await parent.stopService().addTimeout(SOON, reactor)
        with pytest.raises(ConnectionRefusedError):
            await hello(port)

    @pytest_twisted.ensureDeferred
    async def test_addedToOneThatRuns(self) -> None:
        server, parent = Hello(), MultiService()
        parent.privilegedStartService()
        parent.startService()
        service = HttpServerService(server, ["tcp:0:interface=127.0.0.1"])
        service.setServiceParent(parent)
        await hello(server.serverPorts()[0])
        await service.disownServiceParent().addTimeout(SOON, reactor)
        assert server.servers() == []
        await parent.stopService()

    @pytest_twisted.ensureDeferred
    async def test_failuresReachIt(self, taken: int) -> None:
        parent = MultiService()
        service = HttpServerService(Hello(), [f"tcp:{taken}:interface=127.0.0.1"])
        service.setServiceParent(parent)
        with pytest.raises(CannotListenError):
            parent.privilegedStartService()
        await service.server.close()

    @pytest_twisted.ensureDeferred
    async def test_severalServers(self) -> None:
        servers, parent = [Hello(), Hello()], MultiService()
        for number, server in enumerate(servers):
            service = HttpServerService(server, ["tcp:0:interface=127.0.0.1"])
            service.setName(f"http-{number}")
            service.setServiceParent(parent)
        parent.privilegedStartService()
        parent.startService()
        for server in servers:
            await hello(server.serverPorts()[0])
        await parent.stopService().addTimeout(SOON, reactor)
