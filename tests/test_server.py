"""`AbstractHttpServer` as a class: what may be left out, overridden and set, and what happens otherwise."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IProtocolNegotiationFactory
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, LogLevel, capturedLogs
from zope.interface.verify import verifyObject

from txabstracthttp import (
    AbstractHttpServer,
    Http2Configuration,
    HttpRequest,
    HttpServerConfiguration,
    HttpSocket,
    Signal,
)

SOON = 5


class Hello(AbstractHttpServer):
    """Handles /hello."""

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> bool:
        if request.path != "/hello":
            return False
        socket.respond("hello")
        return True


class Forgetful(Hello):
    """Does not say super().__init__()."""

    def __init__(self) -> None:
        pass


class Greedy(Hello):
    """Takes what nobody wanted, in Qt 6.4's way."""

    def missingHandler(self, request: HttpRequest, socket: HttpSocket) -> None:  # type: ignore[override]
        socket.respond(f"{type(self).__name__} has no {request.path}", status=404)


class Greedier(Greedy):
    """Inherits that."""


class Patient(Hello):
    """Likewise, later."""

    async def missingHandler(  # type: ignore[override]
        self, request: HttpRequest, socket: HttpSocket
    ) -> None:
        await deferToThread(lambda: None)
        socket.respond("found after all")


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[LogEvent]]:
    """Critical events; a test must take away those it expects."""
    with capturedLogs() as events:
        yield events  # type: ignore[misc]
    assert [event for event in events if event["log_level"] is LogLevel.critical] == []


def get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()


async def fetch(server: AbstractHttpServer, path: str = "/hello") -> tuple[int, bytes]:
    """Status and content."""
    port = server.listen("127.0.0.1")

    def run() -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=SOON) as connection:
            connection.sendall(get(path))
            return b"".join(iter(lambda: connection.recv(65536), b""))

    head, _, content = (await deferToThread(run)).partition(b"\r\n\r\n")
    return int(head.split()[1]), content


class TestConstruction:
    def test_abstract(self) -> None:
        with pytest.raises(TypeError, match="handleRequest"):
            AbstractHttpServer()  # type: ignore[abstract]

    def test_stillAbstract(self) -> None:
        class Nothing(AbstractHttpServer):
            """Says nothing new."""

        with pytest.raises(TypeError, match="handleRequest"):
            Nothing()  # type: ignore[abstract]

    def test_interfaces(self) -> None:
        server = Hello()
        assert isinstance(server, Factory)
        verifyObject(IProtocolFactory, server)
        verifyObject(IProtocolNegotiationFactory, server)
        assert server.acceptableProtocols()[-1] == b"http/1.1"

    def test_protocols(self) -> None:
        server = Hello(reactor=Clock())
        address = IPv4Address("TCP", "127.0.0.1", 1)
        first, second = server.buildProtocol(address), server.buildProtocol(address)
        assert first is not second
        verifyObject(IProtocol, first)

    def test_nothingListensAtFirst(self) -> None:
        server = Hello()
        assert (server.servers(), server.serverPorts(), server.localServers()) == ([], [], [])

    @pytest.mark.parametrize(
        "use",
        [
            lambda server: server.listen(),
            lambda server: server.servers(),
            lambda server: server.serverPorts(),
            lambda server: server.localServers(),
            lambda server: server.close(),
            lambda server: server.buildProtocol(None),
            lambda server: server.missingHandler,
            lambda server: server.configuration,
            lambda server: server.setConfiguration(HttpServerConfiguration()),
            lambda server: server.http2Configuration,
            lambda server: server.exchangeFinished,
        ],
    )
    def test_forgottenSuper(self, use: Callable[[AbstractHttpServer], object]) -> None:
        with pytest.raises(RuntimeError, match=r"Forgetful\.__init__\(\) must call super\(\)\.__init__\(\)"):
            use(Forgetful())

    @pytest_twisted.ensureDeferred
    async def test_forgottenSuperAtBind(self) -> None:
        with pytest.raises(RuntimeError, match=r"super\(\)\.__init__\(\)"):
            await Forgetful().bind("tcp:0")

    def test_otherNamesAreOrdinary(self) -> None:
        for server in (Hello(), Forgetful()):
            with pytest.raises(AttributeError, match="nonsense"):
                server.nonsense  # type: ignore[attr-defined]  # noqa: B018
            assert not hasattr(server, "nonsense")

    def test_subclassesMayUseAnyName(self) -> None:
        # Whatever is private of ours must not meet theirs by accident; these are likely ones.
        class Busy(Hello):
            """Has members of its own."""

            def __init__(self) -> None:
                super().__init__(Clock())
                self.port = self.clock = self.connections = self.site = self.wire = None
                self.protocol = self.transport = self.request = self.socket = None

        server = Busy()
        connection = server.buildProtocol(IPv4Address("TCP", "127.0.0.1", 1))
        transport = StringTransport(UNIXAddress("server"), UNIXAddress("client"))
        connection.makeConnection(transport)
        connection.dataReceived(get("/hello"))
        assert transport.value().endswith(b"hello")
        connection.connectionLost()


class TestMissingHandler:
    @pytest_twisted.ensureDeferred
    async def test_nobody(self) -> None:
        server = Hello()
        assert isinstance(server.missingHandler, Signal)
        assert not server.missingHandler.isConnected
        assert (await fetch(server, "/nowhere"))[0] == 404
        await server.close()

    @pytest.mark.parametrize("kind", [Greedy, Greedier])
    @pytest_twisted.ensureDeferred
    async def test_method(self, kind: type[Greedy]) -> None:
        server = kind()
        expected = f"{kind.__name__} has no /nowhere".encode()
        assert await fetch(server, "/nowhere") == (404, expected)
        assert await fetch(server) == (200, b"hello")
        await server.close()

    @pytest_twisted.ensureDeferred
    async def test_coroutineMethod(self) -> None:
        server = Patient()
        assert await fetch(server, "/nowhere") == (200, b"found after all")
        await server.close()

    @pytest_twisted.ensureDeferred
    async def test_methodIsTheFirstObserver(self) -> None:
        server = Greedy()
        assert isinstance(server.missingHandler, Signal)
        seen = []
        server.missingHandler.connect(lambda request, socket: seen.append(socket.isClaimed))
        await fetch(server, "/nowhere")
        assert seen == [True]
        await server.close()

    @pytest_twisted.ensureDeferred
    async def test_methodCanBeDisconnected(self) -> None:
        server = Greedy()
        server.missingHandler.disconnect(Greedy.missingHandler.__get__(server))  # type: ignore[attr-defined]
        status, content = await fetch(server, "/nowhere")
        assert (status, b"Greedy" in content) == (404, False)
        await server.close()

    def test_perInstance(self) -> None:
        first, second = Hello(), Hello()
        first.missingHandler.connect(print)
        assert not second.missingHandler.isConnected


class TestConfigurations:
    def test_defaults(self) -> None:
        server = Hello()
        assert server.configuration == HttpServerConfiguration()
        assert server.http2Configuration == Http2Configuration()

    def test_setters(self) -> None:
        mine = HttpServerConfiguration(maximumBodySize=5)
        server = Hello(configuration=mine)
        assert server.configuration is mine
        other, http2 = HttpServerConfiguration(), Http2Configuration(maxConcurrentStreams=7)
        server.setConfiguration(other)
        server.setHttp2Configuration(http2)
        assert server.configuration is other
        assert server.http2Configuration is http2

    @pytest.mark.parametrize(
        "wrong", [None, {}, 5, "x", HttpServerConfiguration, Http2Configuration()], ids=repr
    )
    def test_typeError(self, wrong: Any) -> None:
        server = Hello()
        with pytest.raises(TypeError, match="HttpServerConfiguration"):
            server.setConfiguration(wrong)
        assert server.configuration == HttpServerConfiguration()

    @pytest.mark.parametrize(
        "wrong", [None, {}, 5, "x", Http2Configuration, HttpServerConfiguration()], ids=repr
    )
    def test_http2TypeError(self, wrong: Any) -> None:
        server = Hello()
        with pytest.raises(TypeError, match="Http2Configuration"):
            server.setHttp2Configuration(wrong)
        assert server.http2Configuration == Http2Configuration()

    @pytest.mark.parametrize("wrong", [{}, 5, Http2Configuration()], ids=repr)
    def test_typeErrorAtConstruction(self, wrong: Any) -> None:
        with pytest.raises(TypeError, match="HttpServerConfiguration"):
            Hello(configuration=wrong)

    def test_readOnly(self) -> None:
        server = Hello()
        with pytest.raises(AttributeError):
            server.configuration = HttpServerConfiguration()  # type: ignore[misc]
        with pytest.raises(AttributeError):
            server.http2Configuration = Http2Configuration()  # type: ignore[misc]


def _run(script: str) -> str:
    """What a fresh interpreter prints."""
    command = [sys.executable, "-c", textwrap.dedent(script)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout


class TestReactor:
    def test_lazily(self) -> None:
        # To import us, or to make a server, must not choose the reactor for the application.
        assert _run(
            """
            import sys
            from txabstracthttp import AbstractHttpServer

            class Hello(AbstractHttpServer):
                def handleRequest(self, request, socket):
                    return False

            server = Hello()
            print("twisted.internet.reactor" in sys.modules)
            server.listen("127.0.0.1")
            print("twisted.internet.reactor" in sys.modules)
            """
        ).split() == ["False", "True"]

    def test_heavyThingsStayAway(self) -> None:
        assert _run(
            """
            import sys
            import txabstracthttp
            print([name for name in ("autobahn", "h2", "OpenSSL", "txaio") if name in sys.modules])
            """
        ).strip() in {"[]", "['OpenSSL']"}

    def test_onAnotherThanTheGlobalOne(self) -> None:
        assert _run(
            """
            import socket
            from twisted.internet.selectreactor import SelectReactor
            from txabstracthttp import AbstractHttpServer
            import sys

            class Hello(AbstractHttpServer):
                def handleRequest(self, request, socket):
                    socket.respond("mine")
                    reactor.callLater(0.05, reactor.stop)
                    return True

            reactor = SelectReactor()
            server = Hello(reactor)
            port = server.listen("127.0.0.1")
            client = socket.create_connection(("127.0.0.1", port), timeout=5)
            client.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
            reactor.run(installSignalHandlers=False)
            print(client.recv(1000).partition(b"\\r\\n\\r\\n")[2].decode())
            print("twisted.internet.reactor" in sys.modules)
            """
        ).split() == ["mine", "False"]

    @pytest_twisted.ensureDeferred
    async def test_lifeWithoutReferences(self) -> None:
        # close() ends a server, and nothing else does.
        port = Hello().listen("127.0.0.1")
        import gc

        gc.collect()
        server = None

        def run() -> bytes:
            with socket.create_connection(("127.0.0.1", port), timeout=SOON) as connection:
                connection.sendall(get("/hello"))
                return connection.recv(65536)

        assert (await deferToThread(run)).endswith(b"hello")
        for reader in reactor.getReaders():
            factory = getattr(reader, "factory", None)
            if isinstance(factory, Hello) and factory.serverPorts() == [port]:
                server = factory
        assert server is not None
        await server.close().addTimeout(SOON, reactor)
