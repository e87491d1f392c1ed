"""Leaving HTTP: another protocol has the connection, with all that was sent to it and nothing of ours."""

from __future__ import annotations

import socket as sockets
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pytest_twisted
from connectionhelpers import (
    Conversation,
    FakeTransport,
    capturedFailures,
    get,
    post,
    serve,
    take,
)
from tlsmaterial import material
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol, ISSLTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.threads import deferToThread
from twisted.protocols.basic import LineReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from txabstracthttp import AbstractHttpServer, AlreadyAnswered, HttpRequest, HttpSocket

SOON = 10
MIB = 1024 * 1024
UPGRADE = ("Connection: Upgrade", "Upgrade: lines")


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


class Recorder(Protocol):
    """Notes what happens to it."""

    def __init__(self) -> None:
        self.log: list[Any] = []

    def connectionMade(self) -> None:
        self.log.append("made")

    def dataReceived(self, data: bytes) -> None:
        self.log.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.log.append(type(reason.value))

    @property
    def data(self) -> bytes:
        return b"".join(each for each in self.log if isinstance(each, bytes))


@implementer(IHalfCloseableProtocol)
class HalfCloseable(Recorder):
    """Survives the end of what it reads."""

    def readConnectionLost(self) -> None:
        self.log.append("no more to read")

    def writeConnectionLost(self) -> None:
        self.log.append("no more to write")


class Push:
    def __init__(self) -> None:
        self.log: list[str] = []

    def pauseProducing(self) -> None:
        self.log.append("pause")

    def resumeProducing(self) -> None:
        self.log.append("resume")

    def stopProducing(self) -> None:
        self.log.append("stop")


def asked(request: bytes = get("/", *UPGRADE), **options: Any) -> tuple[Conversation, HttpSocket]:
    """A request that waits for its answer."""
    found: list[HttpSocket] = []
    peer = serve(lambda request, socket: found.append(socket) or True, **options)
    if options.get("secure"):
        peer.connection.handshakeCompleted()
    peer.send(request)
    return peer, found[0]


def detached(
    request: bytes = get("/", *UPGRADE), protocol: Any = None, **options: Any
) -> tuple[Conversation, Any]:
    """A connection that belongs to another protocol."""
    peer, socket = asked(request, **options)
    protocol = protocol or Recorder()
    socket.detach(protocol)
    return peer, protocol


class TestOctets:
    def test_inOrder(self) -> None:
        peer, protocol = detached(get("/", *UPGRADE) + b"unread")
        assert protocol.transport is peer.transport
        assert protocol.log == ["made", b"unread"]
        peer.send(b"more", b"GET / HTTP/1.1\r\n\r\n")
        assert protocol.log == ["made", b"unread", b"more", b"GET / HTTP/1.1\r\n\r\n"]

    def test_nothingUnread(self) -> None:
        peer, protocol = detached()
        assert protocol.log == ["made"]
        peer.send(b"a")
        assert protocol.log == ["made", b"a"]

    def test_nothingOfOursIsSaid(self) -> None:
        """Not even 101: that is the protocol's, or nobody's."""
        peer, protocol = detached()
        assert peer.transport.writes == []
        protocol.transport.write(b"hello")
        assert peer.transport.value == b"hello"

    def test_inTheHandler(self) -> None:
        for result in (True, None):
            protocol = Recorder()

            def handler(request: HttpRequest, socket: HttpSocket, what: Any = (protocol, result)) -> Any:
                socket.detach(what[0])
                return what[1]

            peer = serve(handler)
            peer.send(get() + b"unread")
            peer.send(b"more")
            assert protocol.log == ["made", b"unread", b"more"]
            assert peer.transport.writes == []

    def test_falseIsNo404(self) -> None:
        protocol = Recorder()
        peer = serve(lambda request, socket: (socket.detach(protocol), False)[1])
        peer.send(get())
        assert peer.transport.writes == []
        assert protocol.log == ["made"]

    def test_whileMissing(self) -> None:
        """An observer of `missingHandler` may do it as well."""
        protocol = Recorder()
        peer = serve(lambda request, socket: False)
        peer.server.missingHandler.connect(lambda request, socket: socket.detach(protocol))
        peer.send(get() + b"unread")
        assert protocol.log == ["made", b"unread"]
        assert peer.transport.writes == []

    def test_anyRequest(self) -> None:
        """It needs no `Upgrade`: what both sides have agreed on is theirs."""
        for request in (get(), post(b"body"), get("/", version="1.0"), get("/", "Connection: close")):
            peer, protocol = detached(request)
            peer.send(b"abc")
            assert protocol.log == ["made", b"abc"]

    def test_connect(self) -> None:
        request = b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"
        peer, socket = asked(request + b"\x16\x03\x01")
        assert (socket.request.method, socket.request.target) == ("CONNECT", b"example.com:443")
        protocol = Recorder()
        socket.detach(protocol)
        peer.send(b"more")
        assert protocol.log == ["made", b"\x16\x03\x01", b"more"]

    def test_behindAnAnswer(self) -> None:
        """What was answered before is written before."""

        class Greeter(Recorder):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.write(b"hello")

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            if request.path == "/upgrade":
                socket.detach(Greeter())
            else:
                socket.respond("first")
            return True

        peer = serve(handler)
        peer.send(get("/first") + get("/upgrade"))
        assert peer.transport.value.endswith(b"\r\n\r\nfirsthello")

    def test_afterAnInterimResponse(self) -> None:
        peer, socket = asked()
        socket.inform(103)
        socket.detach(Recorder())
        assert peer.transport.value == b"HTTP/1.1 103 Early Hints\r\n\r\n"

    def test_muchUnread(self) -> None:
        """Reading was paused for it, and must go on."""
        peer, socket = asked()
        sent = bytes(n % 251 for n in range(100_000))
        peer.send(sent)
        assert not peer.transport.reading
        protocol = Recorder()
        socket.detach(protocol)
        assert peer.transport.reading
        assert protocol.data == sent

    def test_aProtocolThatChangesItsMind(self) -> None:
        """Many switch by assigning to their own methods; so does our own connection."""
        late: list[bytes] = []

        class Switching(Recorder):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.dataReceived = late.append  # type: ignore[method-assign]

        peer, protocol = detached(protocol=Switching())
        peer.send(b"a", b"b")
        assert (protocol.log, late) == (["made", b"a"], [b"b"])

    def test_anotherHttpConnection(self) -> None:
        """As behind CONNECT; and that one is left, too."""
        inner: list[HttpSocket] = []
        other = serve(lambda request, socket: inner.append(socket) or True)
        peer, socket = asked()
        socket.detach(other.server.buildProtocol(peer.transport.getPeer()))
        peer.send(get("/inner"))
        inner[0].respond("inner")
        assert peer.bodies() == [b"inner"]
        peer.send(get("/inner"))
        protocol = Recorder()
        inner[1].detach(protocol)
        peer.send(b"abc")
        assert protocol.log == ["made", b"abc"]
        peer.leave()
        assert protocol.log == ["made", b"abc", ConnectionDone]


class TestContent:
    def test_whenItHasEnded(self) -> None:
        _, protocol = detached(post(b"body") + b"unread")
        assert protocol.log == ["made", b"unread"]

    def streamed(self) -> tuple[Conversation, HttpSocket]:
        found: list[HttpSocket] = []
        peer = serve(lambda request, socket: found.append(socket) or True)
        peer.server._site._streamsBody = lambda request: True
        peer.send(get("/", "Content-Length: 6", method="POST") + b"abc")
        return peer, found[0]

    def test_streamed(self) -> None:
        peer, socket = self.streamed()
        got: list[bytes] = []
        socket.request.content().addCallback(got.append)
        peer.send(b"defunread")
        assert got == [b"abcdef"]
        protocol = Recorder()
        socket.detach(protocol)
        assert protocol.log == ["made", b"unread"]

    def test_stillOnItsWay(self) -> None:
        """Whose would it be?"""
        peer, socket = self.streamed()
        protocol = Recorder()
        with pytest.raises(RuntimeError):
            socket.detach(protocol)
        assert protocol.log == []
        socket.respond("no", 400)
        peer.send(b"def")
        assert peer.statuses() == [400]
        assert peer.open


class TestNothingOfOurs:
    def test_noDeadline(self) -> None:
        peer, protocol = detached(handlerTimeout=5, keepAliveTimeout=1, headerTimeout=1, writeTimeout=1)
        assert peer.clock.getDelayedCalls() == []
        peer.transport.stuck = True
        protocol.transport.write(b"x" * 100_000)
        peer.advance(1000)
        assert peer.open

    def test_noProducer(self) -> None:
        peer, protocol = detached()
        assert peer.transport.producer is None
        push = Push()
        protocol.transport.registerProducer(push, True)
        peer.transport.stuck = True
        protocol.transport.write(b"x" * 100_000)
        peer.transport.release()
        assert push.log == ["pause", "resume"]
        protocol.transport.unregisterProducer()

    def test_producerFromTheBeginning(self) -> None:
        class Producing(Recorder):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.registerProducer(Push(), True)  # type: ignore[attr-defined]

        peer, _ = detached(protocol=Producing())
        assert isinstance(peer.transport.producer, Push)

    def test_noLimits(self) -> None:
        peer, protocol = detached(maximumTotalHeaderSize=100, maximumUrlSize=100, maximumBodySize=1)
        peer.send(*[b"x" * 10_000] * 100)
        assert len(protocol.data) == 1_000_000
        assert peer.transport.reading

    def test_newConfiguration(self) -> None:
        peer, protocol = detached()
        peer.server.setConfiguration(peer.server.configuration)
        peer.advance(1000)
        assert peer.open
        assert protocol.log == ["made"]

    def test_closingTheServer(self) -> None:
        """It is nobody's business there any more."""
        peer, protocol = detached()
        done: list[Any] = []
        peer.server.close(0).addBoth(done.append)
        peer.advance(100)
        assert done == [None]
        assert peer.open
        peer.send(b"still here")
        assert protocol.log == ["made", b"still here"]

    def test_detachingWhileTheServerCloses(self) -> None:
        peer, socket = asked()
        done: list[Any] = []
        peer.server.close(10).addBoth(done.append)
        assert done == []
        socket.detach(Recorder())
        assert done == [None]
        assert peer.open

    def test_itStillCounts(self) -> None:
        peer, protocol = detached(maximumConnections=1)
        for _ in range(2):
            other = peer.another()
            assert not other.open
            other.leave()
        protocol.transport.loseConnection()
        assert not peer.another().open
        peer.leave()
        assert peer.another().open

    def test_itStillCountsForItsHost(self) -> None:
        peer, _ = detached(maximumConnectionsPerHost=1)
        assert not peer.another().open
        peer.leave()
        assert peer.another().open


class TestEnds:
    @pytest.mark.parametrize("reason", [ConnectionDone(), ConnectionLost()])
    def test_once(self, reason: Exception) -> None:
        peer, protocol = detached()
        peer.leave(reason)
        assert protocol.log == ["made", type(reason)]
        assert peer.server._site.connections == set()
        assert peer.clock.getDelayedCalls() == []

    def test_halfClosed(self) -> None:
        """The whole end, for a protocol that does not know halves."""
        peer, protocol = detached()
        peer.halfClose()
        assert peer.transport.closed
        assert protocol.log == ["made"]
        peer.leave()
        assert protocol.log == ["made", ConnectionDone]

    def test_halfClosedForOneThatKnows(self) -> None:
        peer, protocol = detached(protocol=HalfCloseable())
        peer.halfClose()
        assert peer.open
        protocol.transport.write(b"last words")
        protocol.transport.loseWriteConnection()
        peer.connection.writeConnectionLost()
        assert peer.transport.value == b"last words"
        peer.leave()
        assert protocol.log == ["made", "no more to read", "no more to write", ConnectionDone]

    @pytest.mark.parametrize("knows", [True, False])
    def test_halfClosedBefore(self, knows: bool) -> None:
        """It would never hear of it again."""
        peer, socket = asked(get() + b"unread")
        peer.halfClose()
        protocol = HalfCloseable() if knows else Recorder()
        socket.detach(protocol)
        if knows:
            assert protocol.log == ["made", b"unread", "no more to read"]
        else:
            assert protocol.log == ["made", b"unread"]
            assert peer.transport.closed

    def test_closingAtOnce(self) -> None:
        class Curt(Recorder):
            def connectionMade(self) -> None:
                assert self.transport is not None
                self.transport.write(b"bye")
                self.transport.loseConnection()

        peer, _ = detached(protocol=Curt())
        assert peer.transport.value == b"bye"
        assert peer.transport.closed

    def test_notifyFinish(self) -> None:
        peer, socket = asked()
        outcomes: list[Any] = []
        socket.notifyFinish().addBoth(outcomes.append)
        socket.detach(Recorder())
        assert outcomes == [None]
        peer.leave()
        assert not socket.isResponseCanceled

    def test_theHandlerFailsAfterwards(self, failures: list[Failure]) -> None:
        protocol = Recorder()

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.detach(protocol)
            raise ZeroDivisionError

        peer = serve(handler)
        peer.send(get())
        assert take(failures) == [ZeroDivisionError]
        peer.send(b"abc")
        assert protocol.log == ["made", b"abc"]
        assert peer.transport.writes == []

    @pytest.mark.parametrize("where", ["connectionMade", "dataReceived"])
    def test_theProtocolFails(self, where: str, failures: list[Failure]) -> None:
        """Nobody speaks HTTP there any more, so nobody may answer 500."""

        class Bad(Recorder):
            pass

        setattr(Bad, where, lambda self, *_: 1 / 0)
        peer = serve(lambda request, socket: (socket.detach(Bad()), True)[1])
        peer.send(get() + b"unread")
        assert take(failures) == [ZeroDivisionError]
        assert peer.transport.writes == []
        assert peer.transport.closed


class TestRefusals:
    @pytest.mark.parametrize(
        "before",
        [
            lambda socket: socket.begin(),
            lambda socket: socket.write(b"x"),
            lambda socket: socket.respond("x"),
            lambda socket: socket.detach(Recorder()),
        ],
        ids=["begin", "write", "respond", "detach"],
    )
    def test_answered(self, before: Callable[[HttpSocket], None]) -> None:
        peer, socket = asked()
        before(socket)
        protocol = Recorder()
        with pytest.raises(AlreadyAnswered):
            socket.detach(protocol)
        peer.send(b"abc")
        assert protocol.log == []

    def test_gone(self) -> None:
        peer, socket = asked()
        peer.leave()
        protocol = Recorder()
        socket.detach(protocol)
        assert protocol.log == []

    def test_answeringAfterwards(self) -> None:
        peer, socket = asked()
        socket.detach(Recorder())
        for answer in (socket.respond, socket.begin, socket.finish, lambda: socket.write(b"x")):
            with pytest.raises(AlreadyAnswered):
                answer()
        assert peer.transport.writes == []


SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: lines\r\nConnection: Upgrade\r\n\r\n"


class Lines(LineReceiver):
    """Says each line backwards, and everything else that it is told to."""

    delimiter = b"\n"

    def __init__(self, ends: list[Any]) -> None:
        self.ends = ends

    def connectionMade(self) -> None:
        self.transport.write(SWITCHING)

    def lineReceived(self, line: bytes) -> None:
        if line == b"secure?":
            self.sendLine(b"%d" % ISSLTransport.providedBy(self.transport))
        elif line == b"much":
            Flood(self.transport)
        elif line == b"bye":
            self.transport.loseConnection()
        else:
            self.sendLine(line[::-1])

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ends.append(reason.type)


class Flood:
    """A producer of 8 MiB that keeps to the peer's pace."""

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        self.left = 8 * MIB
        transport.registerProducer(self, False)

    def resumeProducing(self) -> None:
        self.transport.write(b"x" * 65536)
        self.left -= 65536
        if not self.left:
            self.transport.unregisterProducer()
            self.transport.write(b"\n")

    def stopProducing(self) -> None:
        self.left = 0


class LineServer(AbstractHttpServer):
    """HTTP until somebody wants lines, or a way to somewhere else."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: list[Any] = []

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> Any:
        if request.method == "CONNECT":
            return self.tunnel(request, socket)
        if request.value("Upgrade") == "lines":
            socket.detach(Lines(self.ends))
        else:
            socket.respond(f"{request.path} {request.isSecure}")
        return True

    async def tunnel(self, request: HttpRequest, socket: HttpSocket) -> bool:
        host, _, port = request.target.decode("ascii").rpartition(":")
        far = await connectProtocol(HostnameEndpoint(reactor, host, int(port)), End())
        near = End()
        near.other, far.other = far, near
        near.first = b"HTTP/1.1 200 OK\r\n\r\n"
        socket.detach(near)
        return True


class End(Protocol):
    """One end of a tunnel."""

    other: End
    first = b""

    def connectionMade(self) -> None:
        if self.first:
            # Now there are two.
            self.transport.write(self.first)  # type: ignore[union-attr]
            self.transport.registerProducer(self.other.transport, True)  # type: ignore[union-attr]
            self.other.transport.registerProducer(self.transport, True)  # type: ignore[union-attr]

    def dataReceived(self, data: bytes) -> None:
        self.other.transport.write(data)  # type: ignore[union-attr]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.transport.unregisterProducer()  # type: ignore[union-attr]
        self.other.transport.unregisterProducer()  # type: ignore[union-attr]
        self.other.transport.loseConnection()  # type: ignore[union-attr]


@pytest_twisted.async_yield_fixture
async def server() -> Any:
    server = LineServer()
    yield server
    await server.close(0).addTimeout(SOON, reactor)


def connect(port: int, secure: bool) -> sockets.socket:
    connection = sockets.create_connection(("127.0.0.1", port), SOON)
    if secure:
        context = ssl.create_default_context(cafile=str(material().authority))
        return context.wrap_socket(connection, server_hostname="localhost")
    return connection


def readUntil(connection: sockets.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        more = connection.recv(65536)
        if not more:
            raise EOFError(data)
        data += more
    return data


def listen(server: LineServer, secure: bool) -> int:
    if secure:
        server.sslSetup(material().both)
    return server.listen("127.0.0.1")


async def until(condition: Callable[[], Any]) -> None:
    for _ in range(SOON * 100):
        if condition():
            return
        waiting: Deferred[None] = Deferred()
        reactor.callLater(0.01, waiting.callback, None)
        await waiting
    raise AssertionError("it takes too long")


UPGRADING = b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: lines\r\n\r\n"


@pytest.mark.parametrize("secure", [False, True], ids=["tcp", "tls"])
class TestOverSockets:
    @pytest_twisted.ensureDeferred
    async def test_lines(self, server: LineServer, secure: bool) -> None:
        port = listen(server, secure)

        def run() -> None:
            with connect(port, secure) as connection:
                connection.sendall(b"GET /plain HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert readUntil(connection, f"/plain {secure}".encode()).startswith(b"HTTP/1.1 200 OK")
                connection.sendall(UPGRADING + b"abc\nde")
                answer = readUntil(connection, b"cba\n")
                assert answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
                connection.sendall(b"f\nsecure?\n")
                assert readUntil(connection, b"%d\n" % secure) == b"fed\n%d\n" % secure
                connection.sendall(b"bye\n")
                assert connection.recv(1) == b""

        await deferToThread(run)
        await until(lambda: server.ends)
        # Python's TLS does not say goodbye.
        assert server.ends in ([ConnectionDone], [ConnectionLost] * secure)

    @pytest_twisted.ensureDeferred
    async def test_octetByOctet(self, server: LineServer, secure: bool) -> None:
        port = listen(server, secure)

        def run() -> None:
            with connect(port, secure) as connection:
                connection.setsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY, 1)
                for octet in UPGRADING + b"abc\n":
                    connection.sendall(bytes((octet,)))
                readUntil(connection, b"\r\n\r\ncba\n")

        await deferToThread(run)

    @pytest_twisted.ensureDeferred
    async def test_itsOwnProducer(self, server: LineServer, secure: bool) -> None:
        port = listen(server, secure)

        def run() -> int:
            with connect(port, secure) as connection:
                connection.sendall(UPGRADING)
                readUntil(connection, b"\r\n\r\n")
                connection.sendall(b"much\n")
                size, last = 0, b""
                while last[-1:] != b"\n":
                    last = connection.recv(1 << 20)
                    size += len(last)
                return size

        assert await deferToThread(run) == 8 * MIB + 1

    @pytest_twisted.ensureDeferred
    async def test_thePeerGoes(self, server: LineServer, secure: bool) -> None:
        port = listen(server, secure)

        def run() -> None:
            with connect(port, secure) as connection:
                connection.sendall(UPGRADING + b"abc\n")
                readUntil(connection, b"cba\n")

        await deferToThread(run)
        await until(lambda: server.ends)
        assert len(server.ends) == 1

    @pytest_twisted.ensureDeferred
    async def test_theServerCloses(self, server: LineServer, secure: bool) -> None:
        """It goes on without the server."""
        port = listen(server, secure)
        connection = await deferToThread(connect, port, secure)
        try:
            await deferToThread(connection.sendall, UPGRADING)
            await deferToThread(readUntil, connection, b"\r\n\r\n")
            await server.close(0).addTimeout(SOON, reactor)
            await deferToThread(connection.sendall, b"abc\n")
            assert await deferToThread(readUntil, connection, b"\n") == b"cba\n"
        finally:
            connection.close()
        await until(lambda: server.ends)

    @pytest_twisted.ensureDeferred
    async def test_tunnel(self, server: LineServer, secure: bool) -> None:
        """CONNECT to a server that echoes, with 4 MiB on the way at once."""

        class Echo(Protocol):
            def connectionMade(self) -> None:
                self.transport.registerProducer(self.transport, True)  # type: ignore[union-attr]

            def dataReceived(self, data: bytes) -> None:
                self.transport.write(data)  # type: ignore[union-attr]

            def connectionLost(self, reason: Failure = connectionDone) -> None:
                self.transport.unregisterProducer()  # type: ignore[union-attr]

        far = reactor.listenTCP(0, Factory.forProtocol(Echo), interface="127.0.0.1")
        port = listen(server, secure)
        target = f"127.0.0.1:{far.getHost().port}"
        content = bytes(range(256)) * (4 * MIB // 256)

        def run() -> None:
            with connect(port, secure) as connection:
                connection.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\nearly".encode())
                readUntil(connection, b"\r\n\r\nearly")
                echoed = b""
                for start in range(0, len(content), 65536):
                    connection.sendall(content[start : start + 65536])
                    while len(echoed) + 512 * 1024 < start:
                        echoed += connection.recv(65536)
                while len(echoed) < len(content):
                    echoed += connection.recv(65536)
                assert echoed == content

        try:
            await deferToThread(run)
        finally:
            await far.stopListening()


@pytest_twisted.ensureDeferred
async def test_behindAProxy(server: LineServer) -> None:
    """The PROXY header is as far away as everything else."""
    port = await server.bind("haproxy:tcp:0:interface=127.0.0.1")

    def run() -> None:
        with connect(port.getHost().port, False) as connection:
            connection.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.8 1234 80\r\n" + UPGRADING + b"abc\n")
            readUntil(connection, b"\r\n\r\ncba\n")
            connection.sendall(b"much\n")
            readUntil(connection, b"\n")
            connection.shutdown(sockets.SHUT_WR)
            assert connection.recv(1) == b""

    await deferToThread(run)
    await until(lambda: server.ends)
    assert server.ends == [ConnectionDone]


def test_theFakeIsWhatItSeems() -> None:
    """The helper's transport takes one producer at a time, as Twisted's do."""
    transport = FakeTransport()
    transport.registerProducer(Push(), True)
    with pytest.raises(AssertionError):
        transport.registerProducer(Push(), True)
