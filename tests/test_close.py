"""`close`: everybody may finish, but not for ever; and `setConfiguration` on connections that are open."""

from __future__ import annotations

import math
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import pytest_twisted
from tlsmaterial import material
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred, gatherResults
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, LogLevel, capturedLogs

from txabstracthttp import AbstractHttpServer, HttpRequest, HttpServerConfiguration, HttpSocket, Signal

SOON = 5
BIG = b"x" * 8_000_000


def get(path: str = "/now") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()


class Patient(AbstractHttpServer):
    """Answers when it is told to.

    :ivar arrived: emitted with the path of each request.
    :ivar sockets: of requests for ``/later``, which are claimed.
    :ivar endings: what became of handlers that wait for ever, and of those requests.
    """

    def __init__(self, configuration: HttpServerConfiguration | None = None) -> None:
        super().__init__(configuration=configuration)
        self.arrived = Signal()
        self.paths: list[str] = []
        self.sockets: list[HttpSocket] = []
        self.endings: list[Any] = []

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> Any:
        self.paths.append(request.path)
        reactor.callLater(0, self.arrived.emit, request.path)
        match request.path:
            case "/later":
                self.sockets.append(socket)
                socket.notifyFinish().addBoth(self.endings.append)
                return True
            case "/coroutine":
                return self.forEver()
            case "/deferred":
                return Deferred(lambda _: self.endings.append("cancelled"))
            case "/close":
                self.close()
        socket.respond(BIG if request.path == "/big" else request.body or b"answer")
        return True

    async def forEver(self) -> bool:
        try:
            await Deferred()
        except CancelledError:
            self.endings.append("cancelled")
            raise
        return True


class Client:
    """A peer, whose waiting is done in a thread."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    async def ask(self, path: str) -> None:
        """Send a request, and wait until it has arrived."""
        arrived = server_.arrived.next()
        self.connection.sendall(get(path))
        assert await arrived.addTimeout(SOON, reactor) == path

    async def read(self) -> bytes:
        """What is there, or comes next."""
        return await deferToThread(self.connection.recv, 65536)

    async def readAll(self) -> bytes:
        """Everything up to the end, and close."""

        def run() -> bytes:
            with self.connection:
                return b"".join(iter(lambda: self.connection.recv(1 << 20), b""))

        return await deferToThread(run)

    async def readReset(self) -> None:
        """See the connection cut off."""
        with pytest.raises(ConnectionError):
            await self.readAll()


server_: Patient


@pytest_twisted.async_yield_fixture
async def server() -> Any:
    global server_  # what clients look at
    server_ = Patient()
    yield server_
    await server_.close(0).addTimeout(SOON, reactor)


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[LogEvent]]:
    """Critical events; a test must take away those it expects."""
    with capturedLogs() as events:
        yield events  # type: ignore[misc]
    assert [event for event in events if event["log_level"] is LogLevel.critical] == []


def connect(port: int) -> Client:
    return Client(socket.create_connection(("127.0.0.1", port), timeout=SOON))


async def connectSecurely(port: int) -> Client:
    context = ssl.create_default_context(cafile=str(material().authority))

    def run() -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", port), timeout=SOON)
        # An end without close_notify is an error, as it should be to everybody.
        return context.wrap_socket(plain, server_hostname="localhost", suppress_ragged_eofs=False)

    return Client(await deferToThread(run))


async def turn(seconds: float = 0) -> None:
    await deferLater(reactor, seconds, lambda: None)


class TestDrain:
    @pytest_twisted.ensureDeferred
    async def test_nothingToDo(self) -> None:
        server = Patient()
        closed = server.close()
        assert closed.called
        assert await closed is None
        assert await server.close() is None

    @pytest_twisted.ensureDeferred
    async def test_listenersOnly(self, server: Patient, tmp_path: Path) -> None:
        ports = [server.listen("127.0.0.1"), server.listen("127.0.0.1")]
        await server.bind(f"unix:{tmp_path}/socket")
        await server.close().addTimeout(SOON, reactor)
        assert (server.servers(), server.serverPorts(), server.localServers()) == ([], [], [])
        for port in ports:
            with pytest.raises(ConnectionRefusedError):
                connect(port)

    @pytest_twisted.ensureDeferred
    async def test_idleOnesCloseAtOnce(self, server: Patient) -> None:
        port = server.listen("127.0.0.1")
        fresh, used = connect(port), connect(port)
        await used.ask("/now")
        assert (await used.read()).endswith(b"answer")
        started = monotonic()
        closed = server.close()
        assert (await fresh.readAll(), await used.readAll()) == (b"", b"")
        await closed.addTimeout(SOON, reactor)
        assert monotonic() - started < 1

    @pytest_twisted.ensureDeferred
    async def test_busyOnesAnswer(self, server: Patient) -> None:
        client = connect(server.listen("127.0.0.1"))
        await client.ask("/later")
        closed = server.close()
        await turn(0.05)
        assert not closed.called
        server.sockets[0].respond("at last")
        answer = await client.readAll()
        assert b"\r\nConnection: close\r\n" in answer
        assert answer.endswith(b"\r\n\r\nat last")
        await closed.addTimeout(SOON, reactor)

    @pytest_twisted.ensureDeferred
    async def test_whoeverIsSendingMayFinish(self, server: Patient) -> None:
        client = connect(server.listen("127.0.0.1"))
        await client.ask("/now")
        await client.read()
        client.connection.sendall(b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc")
        await turn(0.05)
        closed = server.close()
        await turn(0.05)
        assert not closed.called
        client.connection.sendall(b"def")
        answer = await client.readAll()
        assert b"\r\nConnection: close\r\n" in answer
        assert answer.endswith(b"\r\n\r\nabcdef")
        await closed.addTimeout(SOON, reactor)

    @pytest_twisted.ensureDeferred
    async def test_noFurtherRequests(self, server: Patient) -> None:
        client = connect(server.listen("127.0.0.1"))
        await client.ask("/later")
        client.connection.sendall(get("/pipelined"))
        await turn(0.05)
        closed = server.close()
        server.sockets[0].respond("only me")
        answer = await client.readAll()
        assert answer.count(b"HTTP/1.1") == 1
        await closed.addTimeout(SOON, reactor)
        assert server.paths == ["/later"]

    @pytest_twisted.ensureDeferred
    async def test_onlyWhenAllIsGone(self, server: Patient) -> None:
        port = server.listen("127.0.0.1")
        clients = [connect(port) for _ in range(3)]
        for client in clients:
            await client.ask("/later")
        closed = server.close()
        for client, waiting in zip(clients, server.sockets, strict=True):
            await turn(0.02)
            assert not closed.called
            waiting.respond()
            assert await client.readAll()
        await closed.addTimeout(SOON, reactor)

    @pytest_twisted.ensureDeferred
    async def test_whatIsOnItsWayArrives(self, server: Patient) -> None:
        client = connect(server.listen("127.0.0.1"))
        await client.ask("/big")
        closed = server.close()
        await turn(0.05)
        assert not closed.called
        answer = await client.readAll()
        assert answer.endswith(b"\r\n\r\n" + BIG)
        await closed.addTimeout(SOON, reactor)

    @pytest_twisted.ensureDeferred
    async def test_fromWithinAHandler(self, server: Patient) -> None:
        client = connect(server.listen("127.0.0.1"))
        await client.ask("/close")
        answer = await client.readAll()
        assert b"\r\nConnection: close\r\n" in answer
        await server.close().addTimeout(SOON, reactor)

    @pytest_twisted.ensureDeferred
    async def test_unix(self, server: Patient, tmp_path: Path) -> None:
        await server.bind(f"unix:{tmp_path}/socket")
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(SOON)
        connection.connect(str(tmp_path / "socket"))
        client = Client(connection)
        await client.ask("/later")
        closed = server.close()
        server.sockets[0].respond("local")
        assert (await client.readAll()).endswith(b"local")
        await closed.addTimeout(SOON, reactor)

    @pytest_twisted.ensureDeferred
    async def test_tls(self, server: Patient) -> None:
        server.sslSetup(material().both)
        port = server.listen("127.0.0.1")
        idle, busy = await connectSecurely(port), await connectSecurely(port)
        await busy.ask("/later")
        closed = server.close()
        assert await idle.readAll() == b""
        assert not closed.called
        server.sockets[0].respond("secret")
        answer = await busy.readAll()
        assert b"\r\nConnection: close\r\n" in answer
        assert answer.endswith(b"secret")
        await closed.addTimeout(SOON, reactor)

    @pytest_twisted.ensureDeferred
    async def test_handshakesAreNotWaitedFor(self, server: Patient) -> None:
        server.sslSetup(material().both)
        client = connect(server.listen("127.0.0.1"))
        client.connection.sendall(b"\x16\x03\x01")
        await turn(0.05)
        closed = server.close()
        await client.readReset()
        await closed.addTimeout(1, reactor)

    @pytest_twisted.ensureDeferred
    async def test_silentClientsAreNotWaitedForEither(self, server: Patient) -> None:
        # It neither answers close_notify nor reads; over TCP it keeps its side open.
        server.setConfiguration(HttpServerConfiguration(closeTimeout=0.2))
        server.sslSetup(material().both)
        silent = await connectSecurely(server.listen("127.0.0.1"))
        await silent.ask("/now")
        await server.close().addTimeout(2, reactor)
        silent.connection.close()


class TestGrace:
    @pytest.mark.parametrize("path", ["/later", "/coroutine", "/deferred"])
    @pytest.mark.parametrize("secure", [False, True])
    @pytest_twisted.ensureDeferred
    async def test_abortsWhatIsLeft(self, server: Patient, path: str, secure: bool) -> None:
        if secure:
            server.sslSetup(material().both)
        port = server.listen("127.0.0.1")
        client = await connectSecurely(port) if secure else connect(port)
        await client.ask(path)
        started = monotonic()
        await server.close(0.2).addTimeout(SOON, reactor)
        assert 0.15 < monotonic() - started < 2
        assert len(server.endings) == 1, "the handler was told"
        if path != "/later":
            assert server.endings == ["cancelled"]
        with pytest.raises(OSError):
            await client.readAll()

    @pytest_twisted.ensureDeferred
    async def test_fromTheConfiguration(self, server: Patient) -> None:
        server.setConfiguration(HttpServerConfiguration(drainTimeout=0.2))
        client = connect(server.listen("127.0.0.1"))
        await client.ask("/coroutine")
        await server.close().addTimeout(2, reactor)
        assert server.endings == ["cancelled"]
        await client.readReset()

    @pytest_twisted.ensureDeferred
    async def test_zero(self, server: Patient) -> None:
        port = server.listen("127.0.0.1")
        busy, idle, slow = connect(port), connect(port), connect(port)
        await busy.ask("/coroutine")
        await slow.ask("/big")
        await server.close(0).addTimeout(1, reactor)
        assert server.endings == ["cancelled"]
        await busy.readReset()
        await slow.readReset()
        with idle.connection:
            try:
                assert await idle.readAll() == b""
            except ConnectionError:
                pass

    @pytest_twisted.ensureDeferred
    async def test_answersAfterTheAbortDoNothing(self, server: Patient) -> None:
        client = connect(server.listen("127.0.0.1"))
        await client.ask("/later")
        await server.close(0).addTimeout(1, reactor)
        assert server.sockets[0].isResponseCanceled
        server.sockets[0].respond("too late")
        await client.readReset()

    @pytest_twisted.ensureDeferred
    async def test_secondCallWaitsForTheSameEnd(self, server: Patient) -> None:
        client = connect(server.listen("127.0.0.1"))
        await client.ask("/later")
        first, second, third = server.close(), server.close(), server.close(60)
        assert first is not second
        await turn(0.02)
        assert not any(each.called for each in (first, second, third))
        server.sockets[0].respond()
        assert await client.readAll()
        assert await gatherResults([first, second, third]).addTimeout(SOON, reactor) == [None] * 3
        assert server.close().called

    @pytest_twisted.ensureDeferred
    async def test_smallerGraceShortens(self, server: Patient) -> None:
        client = connect(server.listen("127.0.0.1"))
        await client.ask("/coroutine")
        first = server.close(60)
        second = server.close(0.1)
        await gatherResults([first, second]).addTimeout(2, reactor)
        await client.readReset()

    @pytest_twisted.ensureDeferred
    async def test_largerGraceDoesNotLengthen(self, server: Patient) -> None:
        client = connect(server.listen("127.0.0.1"))
        await client.ask("/coroutine")
        first = server.close(0.2)
        server.close(60)
        await first.addTimeout(2, reactor)
        await client.readReset()

    @pytest_twisted.ensureDeferred
    async def test_cancelAbortsNow(self, server: Patient) -> None:
        client = connect(server.listen("127.0.0.1"))
        await client.ask("/coroutine")
        cancelled, other = server.close(60), server.close()
        cancelled.cancel()
        with pytest.raises(CancelledError):
            await cancelled
        await other.addTimeout(1, reactor)
        assert server.endings == ["cancelled"]
        await client.readReset()

    @pytest_twisted.ensureDeferred
    async def test_timeoutsAreCancellations(self, server: Patient) -> None:
        client = connect(server.listen("127.0.0.1"))
        await client.ask("/coroutine")
        with pytest.raises(DeferredTimeoutError):
            await server.close(60).addTimeout(0.1, reactor)
        await server.close().addTimeout(1, reactor)
        await client.readReset()

    @pytest_twisted.ensureDeferred
    async def test_withCoroutines(self, server: Patient) -> None:
        async def run() -> str:
            await server.close()
            return "closed"

        server.listen("127.0.0.1")
        assert await ensureDeferred(run()).addTimeout(SOON, reactor) == "closed"

    @pytest.mark.parametrize("grace", [-1, -0.001, math.nan, -math.inf], ids=repr)
    def test_badGrace(self, grace: float) -> None:
        server = Patient()
        with pytest.raises(ValueError):
            server.close(grace)
        assert server.close().called

    @pytest.mark.parametrize("grace", ["1", [], object()], ids=type)
    def test_wrongTypes(self, grace: Any) -> None:
        with pytest.raises(TypeError):
            Patient().close(grace)

    @pytest_twisted.ensureDeferred
    async def test_forAsLongAsItTakes(self, server: Patient) -> None:
        client = connect(server.listen("127.0.0.1"))
        await client.ask("/later")
        closed = server.close(math.inf)
        await turn(0.02)
        server.sockets[0].respond()
        assert await client.readAll()
        await closed.addTimeout(SOON, reactor)


class TestConfiguration:
    """`setConfiguration` counts at once, for connections that are open too."""

    @pytest_twisted.ensureDeferred
    async def test_sizes(self, server: Patient) -> None:
        client = connect(server.listen("127.0.0.1"))
        await client.ask("/a-long-path")
        assert await client.read()
        server.setConfiguration(HttpServerConfiguration(maximumUrlSize=5))
        client.connection.sendall(get("/a-long-path"))
        assert (await client.readAll()).startswith(b"HTTP/1.1 414 ")

    @pytest_twisted.ensureDeferred
    async def test_bodies(self, server: Patient) -> None:
        client = connect(server.listen("127.0.0.1"))
        post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabcdef"
        client.connection.sendall(post)
        assert (await client.read()).endswith(b"abcdef")
        server.setConfiguration(HttpServerConfiguration(maximumBodySize=5))
        client.connection.sendall(post)
        assert (await client.readAll()).startswith(b"HTTP/1.1 413 ")

    @pytest_twisted.ensureDeferred
    async def test_serverHeader(self, server: Patient) -> None:
        client = connect(server.listen("127.0.0.1"))
        await client.ask("/now")
        assert b"Server:" not in await client.read()
        server.setConfiguration(HttpServerConfiguration(serverHeader="patient/1"))
        await client.ask("/now")
        assert b"\r\nServer: patient/1\r\n" in await client.read()
        client.connection.close()

    @pytest_twisted.ensureDeferred
    async def test_rateLimit(self, server: Patient) -> None:
        client = connect(server.listen("127.0.0.1"))
        await client.ask("/now")
        assert await client.read()
        server.setConfiguration(HttpServerConfiguration(rateLimitPerSecond=1))
        client.connection.sendall(get() + get())
        assert b"HTTP/1.1 429 " in await client.readAll()

    @pytest_twisted.ensureDeferred
    async def test_blacklistMeetsNewConnections(self, server: Patient) -> None:
        port = server.listen("127.0.0.1")
        server.setConfiguration(HttpServerConfiguration(blacklist=["127.0.0.0/8"]))
        assert (await connect(port).readAll()).startswith(b"HTTP/1.1 403 ")

    @pytest_twisted.ensureDeferred
    async def test_idleTime(self, server: Patient) -> None:
        client = connect(server.listen("127.0.0.1"))
        await client.ask("/now")
        assert await client.read()
        await turn(0.02)
        server.setConfiguration(HttpServerConfiguration(keepAliveTimeout=0.1))
        client.connection.settimeout(1)
        assert await client.readAll() == b""

    @pytest_twisted.ensureDeferred
    async def test_idleTimeOfTheNextPause(self, server: Patient) -> None:
        client = connect(server.listen("127.0.0.1"))
        await client.ask("/now")
        assert await client.read()
        server.setConfiguration(HttpServerConfiguration(keepAliveTimeout=0.1))
        await client.ask("/now")
        assert (await client.readAll()).endswith(b"answer")
