"""Connections that a proxy relays: its header, what passes through, and whole servers behind it."""

from __future__ import annotations

import gc
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from proxyhost import Host
from tlsmaterial import material
from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    AdoptedStreamServerEndpoint,
    SSL4ServerEndpoint,
    StandardIOEndpoint,
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    UNIXServerEndpoint,
    serverFromString,
    wrapServerTLS,
)
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableDescriptor,
    IHalfCloseableProtocol,
    IListeningPort,
    IProtocolFactory,
    IPushProducer,
    IStreamServerEndpoint,
    ISystemHandle,
    ITCPTransport,
    ITransport,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, LogLevel, capturedLogs
from twisted.python.failure import Failure
from zope.interface import implementer
from zope.interface.verify import verifyObject

from txabstracthttp import AbstractHttpServer, HttpRequest, HttpServerConfiguration, HttpSocket
from txabstracthttp._proxied import ProxiedTransport
from txabstracthttp._proxy import ProxyFactory, ProxyProtocol, wrapServerProxy
from txabstracthttp._tls import connectionCreator

SOON = 5
LINE = b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 443\r\n"
BLOCK = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes((192, 0, 2, 7, 192, 0, 2, 8, 4, 210, 1, 187))
LOCAL = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
UNKNOWN = b"PROXY UNKNOWN\r\n"
PEER, HOST = IPv4Address("TCP", "192.0.2.7", 1234), IPv4Address("TCP", "192.0.2.8", 443)
OWN_PEER, OWN_HOST = IPv4Address("TCP", "127.0.0.1", 50000), IPv4Address("TCP", "127.0.0.1", 8080)

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

#: Twisted gives pyOpenSSL objects of types that it would rather not see any more.
twistedOnTLS = pytest.mark.filterwarnings(
    "ignore:Passing pyOpenSSL:DeprecationWarning", "ignore:X509:DeprecationWarning"
)


class Transport:
    """Notes what it is asked, and by what name."""

    disconnecting = False

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    def __getattr__(self, name: str) -> Callable[..., str]:
        if name.startswith("_"):
            raise AttributeError(name)

        def call(*args: object) -> str:
            self.calls.append((name, *args))
            return name

        return call

    def getPeer(self) -> IAddress:
        return OWN_PEER

    def getHost(self) -> IAddress:
        return OWN_HOST


@implementer(ITCPTransport, IHalfCloseableDescriptor, ISystemHandle)
class TcpTransport(Transport):
    """As Twisted's own, as far as it says."""


class Recorder(Protocol):
    """Notes what happens to it."""

    def __init__(self, addr: IAddress | None) -> None:
        self.events: list[tuple[Any, ...]] = [("built", addr)]

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.events.append(("made", self.transport.getPeer(), self.transport.getHost()))

    def dataReceived(self, data: bytes) -> None:
        self.events.append(("data", data))

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        self.events.append(("lost", reason.type))


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Recorder):
    """Survives the end of what it reads."""

    def readConnectionLost(self) -> None:
        self.events.append(("readLost",))

    def writeConnectionLost(self) -> None:
        self.events.append(("writeLost",))


class RecorderFactory(Factory):
    """Builds one kind of protocol, and keeps what it built."""

    def __init__(self, kind: Callable[[IAddress | None], Protocol | None] = Recorder) -> None:
        self.kind = kind
        self.built: list[Any] = []
        self.started = self.stopped = 0

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        self.built.append(self.kind(addr))
        return self.built[-1]

    def doStart(self) -> None:
        self.started += 1

    def doStop(self) -> None:
        self.stopped += 1


class Fixture:
    """One connection to a `ProxyFactory`, with everything around it in hand."""

    def __init__(self, kind: Callable[[IAddress | None], Protocol | None] = Recorder) -> None:
        self.clock = Clock()
        self.wrapped = RecorderFactory(kind)
        self.host = Host()
        self.factory = ProxyFactory(self.wrapped, self.clock, self.host)
        self.transport = TcpTransport()

    def connect(self) -> ProxyProtocol:
        self.protocol = self.factory.buildProtocol(OWN_PEER)
        self.protocol.makeConnection(self.transport)  # type: ignore[arg-type]
        return self.protocol

    def lose(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))

    @property
    def aborted(self) -> int:
        return self.transport.calls.count(("abortConnection",))

    @property
    def events(self) -> list[tuple[Any, ...]]:
        """Those of the one wrapped protocol."""
        (protocol,) = self.wrapped.built
        found: list[tuple[Any, ...]] = protocol.events
        return found


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[LogEvent]]:
    """Nothing a peer does is worth more than a debug message; a test must take away what it expects."""
    with capturedLogs() as events:
        yield events  # type: ignore[misc]
    assert [event for event in events if event["log_level"] > LogLevel.info] == []


class TestHeader:
    @pytest.mark.parametrize("header", [LINE, BLOCK])
    def test_oncePerCut(self, header: bytes) -> None:
        """The protocol is built when the header is complete, and gets what stands behind it."""
        octets = header + b"rest"
        for cut in range(len(octets) + 1):
            fixture = Fixture()
            protocol = fixture.connect()
            for piece in filter(None, (octets[:cut], octets[cut:])):
                protocol.dataReceived(piece)
            built, made, *data = fixture.events
            assert built == ("built", PEER)
            assert made == ("made", PEER, HOST)
            assert b"".join(event[1] for event in data) == b"rest"
            assert b"" not in [event[1] for event in data]

    def test_byteByByte(self) -> None:
        fixture = Fixture()
        protocol = fixture.connect()
        for octet in LINE + b"ab":
            protocol.dataReceived(bytes((octet,)))
        assert fixture.events == [("built", PEER), ("made", PEER, HOST), ("data", b"a"), ("data", b"b")]

    @pytest.mark.parametrize("header", [LOCAL, UNKNOWN])
    def test_ownAddresses(self, header: bytes) -> None:
        fixture = Fixture()
        fixture.connect().dataReceived(header)
        assert fixture.events == [("built", OWN_PEER), ("made", OWN_PEER, OWN_HOST)]

    def test_ipv6(self) -> None:
        fixture = Fixture()
        fixture.connect().dataReceived(b"PROXY TCP6 2001:db8::1 2001:db8::2 1 2\r\n")
        peer, host = IPv6Address("TCP", "2001:db8::1", 1), IPv6Address("TCP", "2001:db8::2", 2)
        assert fixture.events == [("built", peer), ("made", peer, host)]

    def test_unix(self) -> None:
        fixture = Fixture()
        header = b"\r\n\r\n\0\r\nQUIT\n\x21\x31\0\xd8" + bytes(108) + b"/run/a".ljust(108, b"\0")
        fixture.connect().dataReceived(header)
        peer, host = UNIXAddress(None), UNIXAddress(b"/run/a")
        assert fixture.events == [("built", peer), ("made", peer, host)]

    @pytest.mark.parametrize(
        "octets", [b"G", LINE[:-1] + b"x", b"\r\n\r\n\0\r\nQUIT\n\x11", GET, b"\x16\x03\x01"]
    )
    def test_malformed(self, octets: bytes) -> None:
        """The connection is dropped at once, and whatever may still come is ignored."""
        fixture = Fixture()
        protocol = fixture.connect()
        protocol.dataReceived(octets)
        assert fixture.aborted == 1
        protocol.dataReceived(LINE)
        fixture.lose()
        assert fixture.wrapped.built == []
        assert fixture.aborted == 1
        assert fixture.clock.getDelayedCalls() == []

    def test_malformedIsHardlyNews(self, logged: list[LogEvent]) -> None:
        Fixture().connect().dataReceived(b"x")
        assert [event["log_level"] for event in logged] == [LogLevel.debug]

    def test_refusedByTheWrappedFactory(self) -> None:
        fixture = Fixture(lambda addr: None)
        protocol = fixture.connect()
        protocol.dataReceived(LINE + b"rest")
        assert fixture.aborted == 1
        protocol.dataReceived(b"more")
        fixture.lose()
        assert fixture.wrapped.built == [None]

    def test_wrappedFactoryFails(self) -> None:
        """The reactor logs it, and drops this connection alone."""

        def fail(addr: IAddress | None) -> Protocol:
            raise ZeroDivisionError

        fixture = Fixture(fail)
        protocol = fixture.connect()
        with pytest.raises(ZeroDivisionError):
            protocol.dataReceived(LINE)
        fixture.lose()
        assert fixture.clock.getDelayedCalls() == []

    def test_secondHeaderIsData(self) -> None:
        fixture = Fixture()
        fixture.connect().dataReceived(LINE + LINE)
        assert fixture.events[2:] == [("data", LINE)]


class TestDeadline:
    def test_silence(self) -> None:
        fixture = Fixture()
        fixture.connect()
        fixture.clock.advance(9.9)
        assert not fixture.aborted
        fixture.clock.advance(0.1)
        assert fixture.aborted == 1
        fixture.lose()
        assert fixture.wrapped.built == []

    def test_trickle(self) -> None:
        """It is total: an octet now and then does not push it on."""
        fixture = Fixture()
        protocol = fixture.connect()
        for octet in LINE[:10]:
            assert not fixture.aborted
            protocol.dataReceived(bytes((octet,)))
            fixture.clock.advance(1)
        assert fixture.aborted == 1
        protocol.dataReceived(LINE[10:])
        assert fixture.wrapped.built == []

    def test_inTime(self) -> None:
        fixture = Fixture()
        protocol = fixture.connect()
        fixture.clock.advance(9.9)
        protocol.dataReceived(LINE)
        assert fixture.clock.getDelayedCalls() == []
        fixture.clock.advance(1000)
        assert not fixture.aborted

    def test_isAskedAtEachConnection(self) -> None:
        fixture = Fixture()
        fixture.host.timeout = 2
        fixture.connect()
        fixture.clock.advance(2)
        assert fixture.aborted == 1

    def test_lostBefore(self) -> None:
        fixture = Fixture()
        fixture.connect().dataReceived(LINE[:5])
        fixture.lose()
        assert fixture.clock.getDelayedCalls() == []
        assert fixture.wrapped.built == []
        assert not fixture.factory.waiting


class TestFactory:
    def test_startAndStop(self) -> None:
        fixture = Fixture()
        fixture.factory.doStart()
        fixture.factory.doStart()
        assert (fixture.wrapped.started, fixture.wrapped.stopped) == (2, 0)
        fixture.factory.doStop()
        assert (fixture.wrapped.started, fixture.wrapped.stopped) == (2, 1)

    def test_stopDropsThoseWhoWait(self) -> None:
        """Whoever has sent a header is somebody else's business."""
        waiting, relayed = Fixture(), Fixture()
        relayed.factory = waiting.factory
        waiting.connect()
        relayed.connect().dataReceived(LINE)
        waiting.factory.doStart()
        waiting.factory.doStop()
        assert (waiting.aborted, relayed.aborted) == (1, 0)
        assert waiting.clock.getDelayedCalls() == []

    def test_logPrefix(self) -> None:
        assert Fixture().factory.logPrefix() == "RecorderFactory (PROXY)"
        assert ProxyFactory(object(), Clock(), Host()).logPrefix() == "object (PROXY)"  # type: ignore[arg-type]


class TestRelaying:
    def test_lost(self) -> None:
        """Once, after everything else, and with the same reason."""
        fixture = Fixture()
        protocol = fixture.connect()
        protocol.dataReceived(LINE + b"a")
        protocol.dataReceived(b"b")
        fixture.lose()
        assert fixture.events[2:] == [("data", b"a"), ("data", b"b"), ("lost", ConnectionDone)]

    def test_lostWhileBeingMade(self) -> None:
        fixture = Fixture()

        class Hasty(Recorder):
            def connectionMade(self) -> None:
                fixture.lose()

        fixture.wrapped.kind = Hasty
        fixture.connect().dataReceived(LINE + b"rest")
        assert fixture.events == [("built", PEER), ("lost", ConnectionDone)]

    def test_halfClose(self) -> None:
        fixture = Fixture(HalfCloseable)
        protocol = fixture.connect()
        assert not IHalfCloseableProtocol.providedBy(protocol)
        protocol.dataReceived(LINE)
        assert IHalfCloseableProtocol.providedBy(protocol)
        assert verifyObject(IHalfCloseableProtocol, protocol)
        protocol.readConnectionLost()
        protocol.writeConnectionLost()
        fixture.lose()
        assert fixture.events[2:] == [("readLost",), ("writeLost",), ("lost", ConnectionDone)]

    def test_noHalfClose(self) -> None:
        """Then Twisted does what it does without us."""
        fixture = Fixture()
        protocol = fixture.connect()
        protocol.dataReceived(LINE)
        assert not IHalfCloseableProtocol.providedBy(protocol)

    def test_others(self) -> None:
        """One half-closeable connection does not make the next one so."""
        fixture = Fixture(HalfCloseable)
        fixture.connect().dataReceived(LINE)
        assert not IHalfCloseableProtocol.providedBy(fixture.connect())


class TestTransport:
    def relay(self, transport: Transport) -> tuple[Fixture, Any]:
        fixture = Fixture()
        fixture.transport = transport  # type: ignore[assignment]
        fixture.connect().dataReceived(LINE)
        transport.calls.clear()
        (wrapped,) = fixture.wrapped.built
        assert isinstance(wrapped.transport, ProxiedTransport)
        return fixture, wrapped.transport

    @pytest.mark.parametrize(
        ("name", "args"),
        [
            ("write", (b"data",)),
            ("writeSequence", ([b"a", b"b"],)),
            ("loseConnection", ()),
            ("abortConnection", ()),
            ("loseWriteConnection", ()),
            ("registerProducer", (object(), True)),
            ("registerProducer", (object(), False)),
            ("unregisterProducer", ()),
            ("pauseProducing", ()),
            ("resumeProducing", ()),
            ("stopProducing", ()),
            ("setTcpNoDelay", (True,)),
            ("setTcpKeepAlive", (1,)),
        ],
    )
    def test_passesOn(self, name: str, args: tuple[Any, ...]) -> None:
        transport = TcpTransport()
        _, proxied = self.relay(transport)
        getattr(proxied, name)(*args)
        assert transport.calls == [(name, *args)]

    @pytest.mark.parametrize("name", ["getTcpNoDelay", "getTcpKeepAlive", "getHandle"])
    def test_answers(self, name: str) -> None:
        transport = TcpTransport()
        _, proxied = self.relay(transport)
        assert getattr(proxied, name)() == name

    def test_disconnecting(self) -> None:
        transport = TcpTransport()
        _, proxied = self.relay(transport)
        assert not proxied.disconnecting
        transport.disconnecting = True
        assert proxied.disconnecting

    def test_addresses(self) -> None:
        _, proxied = self.relay(TcpTransport())
        assert (proxied.getPeer(), proxied.getHost()) == (PEER, HOST)

    def test_interfaces(self) -> None:
        """Those of the real one."""
        _, proxied = self.relay(TcpTransport())
        for interface in (
            ITransport,
            IConsumer,
            IPushProducer,
            ITCPTransport,
            ISystemHandle,
        ):
            assert verifyObject(interface, proxied)
        # Of this one, half is for the reactor, which does not know us.
        assert IHalfCloseableDescriptor.providedBy(proxied)

    def test_fewerInterfaces(self) -> None:
        _, proxied = self.relay(Transport())
        for interface in (ITCPTransport, IHalfCloseableDescriptor, ISystemHandle):
            assert not interface.providedBy(proxied)
        assert verifyObject(ITransport, proxied)

    def test_noDelay(self) -> None:
        """Also for those who came to the proxy through a Unix socket, whom nobody else would think of."""
        fixture = Fixture()
        fixture.connect()
        assert fixture.transport.calls == [("setTcpNoDelay", True)]


# Over real sockets.


class Telling(AbstractHttpServer):
    """Tells the peer who he is."""

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> bool:
        if request.path == "/big":
            socket.respond(b"x" * 8_000_000)
        else:
            socket.respond(f"{request.remoteAddress} {request.localAddress} {request.isSecure}")
        return True


TOLD = f"{PEER} {HOST}"


@pytest_twisted.async_yield_fixture
async def server() -> Any:
    server = Telling()
    yield server
    await server.close(0).addTimeout(SOON, reactor)


async def listen(
    server: AbstractHttpServer, endpoint: IStreamServerEndpoint | None = None, patience: float = SOON
) -> int:
    """Serve behind a proxy; the port."""
    if endpoint is None:
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    port = await server.bind(wrapServerProxy(endpoint, reactor, Host(patience)))
    address: Any = port.getHost()
    return int(getattr(address, "port", 0))


@contextmanager
def connected(port: int, *first: bytes) -> Iterator[socket.socket]:
    """For a thread: a connection that has sent something already, piece by piece."""
    with socket.create_connection(("127.0.0.1", port), SOON) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in first:
            connection.sendall(piece)
        yield connection


def readAll(connection: socket.socket) -> bytes:
    try:
        return b"".join(iter(lambda: connection.recv(65536), b""))
    except ConnectionResetError:
        return b"reset"


def ask(port: int, *pieces: bytes) -> str:
    """For a thread: what comes back; of a good answer, the content."""
    with connected(port, *pieces) as connection:
        head, _, content = readAll(connection).partition(b"\r\n\r\n")
    return content.decode() if head.startswith(b"HTTP/1.1 200 ") else head.partition(b"\r\n")[0].decode()


def context() -> ssl.SSLContext:
    created = ssl.create_default_context(cafile=str(material().authority))
    created.set_alpn_protocols(["http/1.1"])
    return created


def secretly(port: int, header: bytes, request: bytes = GET) -> tuple[str, str | None]:
    """For a thread: the content of the answer, and what ALPN chose."""
    with (
        connected(port, header) as connection,
        context().wrap_socket(connection, server_hostname="localhost") as secret,
    ):
        secret.sendall(request)
        head, _, content = readAll(secret).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 "), head
        return content.decode(), secret.selected_alpn_protocol()


def secretlyAtOnce(port: int, header: bytes, step: int) -> bytes:
    """For a thread: as `secretly`, but header and hello leave together, in pieces of `step` octets."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    secret = context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    answer, todo = b"", header
    with connected(port) as connection:

        def exchange() -> None:
            nonlocal todo
            octets, todo = todo + outgoing.read(), b""
            for start in range(0, len(octets), step):
                connection.sendall(octets[start : start + step])

        def retry(call: Callable[[], Any]) -> Any:
            while True:
                try:
                    return call()
                except ssl.SSLWantReadError:
                    exchange()
                    incoming.write(connection.recv(65536))

        retry(secret.do_handshake)
        secret.write(GET)
        exchange()
        while not answer.endswith(b"True"):
            answer += retry(lambda: secret.read(65536))
    return answer


class TestPlain:
    @pytest.mark.parametrize("header", [LINE, BLOCK])
    @pytest_twisted.ensureDeferred
    async def test_request(self, server: Telling, header: bytes) -> None:
        port = await listen(server)
        assert await deferToThread(ask, port, header + GET) == f"{TOLD} False"
        assert await deferToThread(ask, port, header, GET) == f"{TOLD} False"

    @pytest.mark.parametrize("header", [LOCAL, UNKNOWN])
    @pytest_twisted.ensureDeferred
    async def test_ownAddresses(self, server: Telling, header: bytes) -> None:
        port = await listen(server)

        def askOpenly() -> tuple[str, str]:
            with connected(port, header + GET) as connection:
                number = connection.getsockname()[1]
                content = readAll(connection).partition(b"\r\n\r\n")[2].decode()
            me, here = (IPv4Address("TCP", "127.0.0.1", each) for each in (number, port))
            return content, f"{me} {here} False"

        said, expected = await deferToThread(askOpenly)
        assert said == expected

    @pytest.mark.parametrize(
        "octets", [GET, b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n" + GET, BLOCK[:12] + b"\x31"]
    )
    @pytest_twisted.ensureDeferred
    async def test_malformed(self, server: Telling, octets: bytes) -> None:
        port = await listen(server)
        assert await deferToThread(ask, port, octets) in {"", "reset"}
        assert await deferToThread(ask, port, LINE + GET) == f"{TOLD} False"

    @pytest_twisted.ensureDeferred
    async def test_silence(self, server: Telling) -> None:
        port = await listen(server, patience=0.1)
        assert await deferToThread(ask, port, LINE[:-1]) in {"", "reset"}

    @pytest_twisted.ensureDeferred
    async def test_halfClose(self, server: Telling) -> None:
        """A client that has said everything still gets its answer."""
        port = await listen(server)

        def finish() -> bytes:
            with connected(port, LINE + GET.replace(b"Connection: close\r\n", b"")) as connection:
                connection.shutdown(socket.SHUT_WR)
                return readAll(connection)

        assert (await deferToThread(finish)).endswith(f"{TOLD} False".encode())

    @pytest_twisted.ensureDeferred
    async def test_bigAnswer(self, server: Telling) -> None:
        port = await listen(server)
        content = await deferToThread(ask, port, LINE + GET.replace(b"/ ", b"/big "))
        assert content == "x" * 8_000_000

    @pytest_twisted.ensureDeferred
    async def test_peerThatDoesNotRead(self) -> None:
        """What waits in the real transport is seen from above, and so is that none of it leaves."""
        server = Telling(configuration=HttpServerConfiguration(writeTimeout=0.2))
        port = await listen(server)

        def stall() -> bytes:
            with connected(port, LINE + GET.replace(b"/ ", b"/big ")) as connection:
                time.sleep(1)
                return readAll(connection)

        assert len(await deferToThread(stall)) < 8_000_000
        await server.close(0).addTimeout(SOON, reactor)

    @pytest_twisted.ensureDeferred
    async def test_manyRequests(self, server: Telling) -> None:
        port = await listen(server)
        again = GET.replace(b"Connection: close\r\n", b"")

        def pipeline() -> bytes:
            with connected(port, LINE + again * 50 + GET) as connection:
                return readAll(connection)

        assert (await deferToThread(pipeline)).count(f"{TOLD} False".encode()) == 51

    @pytest_twisted.ensureDeferred
    async def test_unixSocket(self, server: Telling, tmp_path: Path) -> None:
        """A proxy on the same host."""
        path = str(tmp_path / "s")
        await listen(server, UNIXServerEndpoint(reactor, path))

        def askLocally(header: bytes) -> bytes:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(SOON)
                connection.connect(path)
                connection.sendall(header + GET)
                return readAll(connection)

        assert (await deferToThread(askLocally, LINE)).endswith(f"{TOLD} False".encode())
        answer = await deferToThread(askLocally, LOCAL)
        assert answer.endswith(f"{UNIXAddress(None)} {UNIXAddress(path.encode())} False".encode())

    @pytest_twisted.ensureDeferred
    async def test_adoptedSocket(self, server: Telling) -> None:
        """As from systemd."""
        descriptor = socket.create_server(("127.0.0.1", 0)).detach()
        port = await listen(server, AdoptedStreamServerEndpoint(reactor, descriptor, socket.AF_INET))
        assert await deferToThread(ask, port, LINE + GET) == f"{TOLD} False"

    @pytest_twisted.ensureDeferred
    async def test_close(self) -> None:
        """Those who have not said who they are do not outlive the server."""
        server = Telling()
        port = await listen(server, patience=1000)

        def wait(connection: socket.socket) -> bytes:
            return readAll(connection)

        with connected(port, LINE[:-1]) as connection:
            await deferLater(reactor, 0.05, lambda: None)
            waiting = deferToThread(wait, connection)
            await server.close().addTimeout(SOON, reactor)
            assert await waiting in {b"", b"reset"}

    @pytest_twisted.ensureDeferred
    async def test_nothingIsLeft(self, server: Telling) -> None:
        port = await listen(server)
        before = ours()
        for octets in (LINE + GET, b"x", LINE[:5], LINE + GET[:5]):

            def leave(octets: bytes = octets) -> None:
                with connected(port, octets) as connection:
                    with suppress(OSError):  # it may be gone already
                        connection.shutdown(socket.SHUT_WR)
                    readAll(connection)

            await deferToThread(leave)
        await deferLater(reactor, 0.05, lambda: None)
        assert ours() <= before


def ours() -> int:
    """How many of our protocols there are."""
    gc.collect()
    return sum(isinstance(each, ProxyProtocol) for each in gc.get_objects())


class TestFilters:
    """By the real address, and never by the proxy's."""

    async def statuses(self, configuration: HttpServerConfiguration, *sources: str) -> list[str]:
        """What clients get who come one after the other, and stay."""
        server = Telling(configuration=configuration)
        port = await listen(server)
        connections: list[socket.socket] = []

        def come(source: str) -> str:
            family = "6" if ":" in source else "4"
            other = "::" if ":" in source else "0.0.0.0"
            connection = socket.create_connection(("127.0.0.1", port), SOON)
            connections.append(connection)
            header = f"PROXY TCP{family} {source} {other} 1 2\r\n".encode()
            connection.sendall(header + GET.replace(b"Connection: close\r\n", b""))
            return connection.recv(65536).split(b" ")[1].decode()

        try:
            return [await deferToThread(come, source) for source in sources]
        finally:
            for connection in connections:
                connection.close()
            await server.close(0).addTimeout(SOON, reactor)

    @pytest_twisted.ensureDeferred
    async def test_blacklist(self) -> None:
        configuration = HttpServerConfiguration(blacklist=["192.0.2.0/24", "2001:db8::/32"])
        got = await self.statuses(
            configuration, "192.0.2.7", "198.51.100.7", "::ffff:192.0.2.7", "2001:db8::7", "2001:db9::7"
        )
        assert got == ["403", "200", "403", "403", "200"]

    @pytest_twisted.ensureDeferred
    async def test_whitelist(self) -> None:
        configuration = HttpServerConfiguration(whitelist=["192.0.2.0/24"])
        got = await self.statuses(configuration, "192.0.2.7", "127.0.0.1", "::ffff:c000:207")
        assert got == ["200", "403", "200"]

    @pytest_twisted.ensureDeferred
    async def test_perHost(self) -> None:
        configuration = HttpServerConfiguration(maximumConnectionsPerHost=1)
        got = await self.statuses(
            configuration,
            "192.0.2.7",
            "192.0.2.8",
            "192.0.2.7",
            "::ffff:192.0.2.8",
            "2001:db8::1",
            "2001:db8::2",
        )
        assert got == ["200", "200", "429", "429", "200", "429"]


def tlsEndpoint() -> IStreamServerEndpoint:
    creator = connectionCreator(material().certificate, material().key)
    return wrapServerTLS(creator, TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"))


class TestTls:
    """The header comes first, in the clear."""

    @pytest.mark.parametrize("header", [LINE, BLOCK])
    @pytest_twisted.ensureDeferred
    async def test_request(self, server: Telling, header: bytes) -> None:
        port = await listen(server, tlsEndpoint())
        assert await deferToThread(secretly, port, header) == (f"{TOLD} True", "http/1.1")

    @pytest.mark.parametrize("step", [1, 7, 10_000])
    @pytest_twisted.ensureDeferred
    async def test_withTheHello(self, server: Telling, step: int) -> None:
        """Header and hello in one segment, and cut up."""
        port = await listen(server, tlsEndpoint())
        answer = await deferToThread(secretlyAtOnce, port, LINE, step)
        assert answer.endswith(f"{TOLD} True".encode())

    @pytest_twisted.ensureDeferred
    async def test_bigAnswer(self, server: Telling) -> None:
        port = await listen(server, tlsEndpoint())
        content, _ = await deferToThread(secretly, port, LINE, GET.replace(b"/ ", b"/big "))
        assert content == "x" * 8_000_000

    @pytest_twisted.ensureDeferred
    async def test_withoutHeader(self, server: Telling) -> None:
        port = await listen(server, tlsEndpoint())

        def hello() -> None:
            with pytest.raises(OSError), connected(port) as connection:
                context().wrap_socket(connection, server_hostname="localhost")

        await deferToThread(hello)

    @pytest_twisted.ensureDeferred
    async def test_headerInside(self, server: Telling) -> None:
        """Where Twisted's own `haproxy:ssl:` looks for it: that is no request."""
        port = await listen(server, tlsEndpoint())

        def inside() -> bytes:
            with (
                connected(port, LINE) as connection,
                context().wrap_socket(connection, server_hostname="localhost") as secret,
            ):
                secret.sendall(LINE + GET)
                return readAll(secret)

        assert (await deferToThread(inside)).startswith(b"HTTP/1.1 400 ")

    @pytest_twisted.ensureDeferred
    async def test_silenceAfterTheHeader(self) -> None:
        server = Telling(configuration=HttpServerConfiguration(handshakeTimeout=0.1))
        port = await listen(server, tlsEndpoint())
        assert await deferToThread(ask, port, LINE) in {"", "reset"}
        await server.close(0).addTimeout(SOON, reactor)

    @twistedOnTLS
    @pytest_twisted.ensureDeferred
    async def test_folderOfCertificates(self, server: Telling, tmp_path: Path) -> None:
        """Twisted's `tls:`."""
        (tmp_path / "localhost.pem").write_bytes(material().both.read_bytes())
        port = await listen(server, serverFromString(reactor, f"tls:{tmp_path}:0:interface=127.0.0.1"))
        assert await deferToThread(secretly, port, LINE) == (f"{TOLD} True", "http/1.1")

    def test_theOldKindOfEndpoint(self) -> None:
        """Nothing can be put beneath its TLS."""
        options = connectionCreator(material().certificate, material().key)
        with pytest.raises(ValueError, match="SSL4ServerEndpoint"):
            wrapServerProxy(SSL4ServerEndpoint(reactor, 0, options), reactor, Host())

    def test_standardInput(self) -> None:
        """Nobody connects to it."""
        with pytest.raises(ValueError, match="StandardIOEndpoint"):
            wrapServerProxy(StandardIOEndpoint(reactor), reactor, Host())

    def test_theWrappedEndpointStaysAsItIs(self) -> None:
        endpoint: Any = tlsEndpoint()
        beneath = endpoint.endpoint
        wrapped = wrapServerProxy(endpoint, reactor, Host())
        assert endpoint.endpoint is beneath
        assert verifyObject(IStreamServerEndpoint, wrapped)


@implementer(IStreamServerEndpoint)
class Endpoint:
    """Notes what should listen."""

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        self.factory = protocolFactory
        return Deferred()


def test_endpoint() -> None:
    endpoint, clock, factory = Endpoint(), Clock(), RecorderFactory()
    wrapped = wrapServerProxy(endpoint, clock, Host())
    assert verifyObject(IStreamServerEndpoint, wrapped)
    wrapped.listen(factory)
    assert isinstance(endpoint.factory, ProxyFactory)
    assert endpoint.factory.wrappedFactory is factory
    assert endpoint.factory.clock is clock


def test_ipv6Endpoint() -> None:
    assert verifyObject(
        IStreamServerEndpoint, wrapServerProxy(TCP6ServerEndpoint(reactor, 0), reactor, Host())
    )


class TestEndpointStrings:
    """``haproxy:`` in front of any other endpoint (DESIGN: PROXY comes before TLS)."""

    @pytest.mark.parametrize("inner", ["tcp:0:interface=127.0.0.1", r"tcp6:0:interface=\:\:ffff\:127.0.0.1"])
    @pytest_twisted.ensureDeferred
    async def test_plain(self, server: Any, inner: str) -> None:
        port = await server.bind(f"haproxy:{inner}")
        assert await deferToThread(ask, port.getHost().port, LINE + GET) == f"{TOLD} False"
        assert server.serverPorts() == [port.getHost().port]

    @pytest_twisted.ensureDeferred
    async def test_ssl(self, server: Any) -> None:
        key, certificate = material().key, material().certificate
        port = await server.bind(f"haproxy:ssl:0:privateKey={key}:certKey={certificate}:interface=127.0.0.1")
        assert await deferToThread(secretly, port.getHost().port, LINE) == (f"{TOLD} True", "http/1.1")

    @twistedOnTLS
    @pytest_twisted.ensureDeferred
    async def test_tls(self, server: Any, tmp_path: Path) -> None:
        (tmp_path / "localhost.pem").write_bytes(material().both.read_bytes())
        port = await server.bind(f"haproxy:tls:{tmp_path}:0:interface=127.0.0.1")
        assert await deferToThread(secretly, port.getHost().port, LINE) == (f"{TOLD} True", "http/1.1")

    @pytest_twisted.ensureDeferred
    async def test_unix(self, server: Any, tmp_path: Path) -> None:
        await server.bind(f"haproxy:unix:{tmp_path}/socket")
        assert len(server.localServers()) == 1

    @pytest.mark.parametrize(
        "text",
        [
            "haproxy",
            "haproxy:",
            "haproxy:haproxy:tcp:0",
            "a=b:haproxy:tcp:0",
            "haproxy:stdio:",
            "haproxy:tls:/nowhere:0",
            "haproxy:tcp:99999",
            "haproxy:a=b",
        ],
    )
    @pytest_twisted.ensureDeferred
    async def test_bad(self, server: Any, text: str) -> None:
        with pytest.raises(ValueError, match="bad endpoint"):
            await server.bind(text)
        assert server.servers() == []
