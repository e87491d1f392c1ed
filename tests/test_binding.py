"""`bind` and `listen`: where a server listens, what it lists, and how it fails to."""

# ruff: noqa: ASYNC220, ASYNC240

from __future__ import annotations

import errno
import gc
import os
import socket
import ssl
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from hypothesis import example, given, settings
from hypothesis import strategies as st
from proxyhost import Host
from tlsmaterial import material
from twisted.application.internet import StreamServerEndpointService
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults, succeed
from twisted.internet.endpoints import (
    StandardIOEndpoint,
    TCP4ClientEndpoint,
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    UNIXServerEndpoint,
    wrapServerTLS,
)
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate as TwistedCertificate
from twisted.internet.ssl import CertificateOptions, KeyPair
from twisted.internet.task import deferLater
from twisted.internet.testing import MemoryReactorClock
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, LogLevel, capturedLogs
from zope.interface import implementer
from zope.interface.verify import verifyObject

from txabstracthttp import AbstractHttpServer, HttpRequest, HttpSocket
from txabstracthttp._binding import resolveEndpoint
from txabstracthttp._listening import adopt, listeningSocket, listenOn

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
SOON = 5


class Hello(AbstractHttpServer):
    """Says who asked, and how."""

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> bool:
        socket.respond(f"{type(request.localAddress).__name__} secure={request.isSecure}")
        return True


def _hasIPv6() -> bool:
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False


#: Twisted gives pyOpenSSL objects of types that it would rather not see any more.
twistedOnTLS = pytest.mark.filterwarnings(
    "ignore:Passing pyOpenSSL:DeprecationWarning", "ignore:X509:DeprecationWarning"
)
#: Twisted leaves sockets that it could not bind to the garbage collector.
_ignoreForgotten = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


def twistedForgetsSockets(case: type) -> type:
    """For a class of tests: no warnings of that, now or in somebody else's test."""
    return _ignoreForgotten(pytest.mark.usefixtures("collected")(case))


@pytest.fixture(scope="class")
def collected() -> Iterator[None]:
    yield
    gc.collect()


needsIPv6 = pytest.mark.skipif(not _hasIPv6(), reason="this host has no IPv6")


class NoAnswerError(Exception):
    """The connection was closed without a word."""


def ask(where: tuple[str, int] | str, context: ssl.SSLContext | None = None) -> str:
    """The content of the answer of whoever listens there; for a thread."""
    if isinstance(where, str):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(SOON)
        connection.connect(where)
    else:
        connection = socket.create_connection(where, timeout=SOON)
    if context is not None:
        connection = context.wrap_socket(connection, server_hostname="localhost")
    with connection:
        connection.sendall(GET)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, content = answer.partition(b"\r\n\r\n")
    if not answer:
        raise NoAnswerError
    assert head.startswith(b"HTTP/1.1 200 OK\r\n"), answer
    return content.decode()


async def plainly(port: int, host: str = "127.0.0.1") -> str:
    return await deferToThread(ask, (host, port))


async def secretly(port: int, host: str = "127.0.0.1") -> str:
    context = ssl.create_default_context(cafile=str(material().authority))
    return await deferToThread(ask, (host, port), context)


async def locally(path: str | Path) -> str:
    return await deferToThread(ask, str(path))


def failureOf(deferred: Deferred[Any], *types: type[BaseException]) -> Any:
    """The exception that it has failed with by now."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    assert results, "no result yet"
    assert hasattr(results[0], "check"), f"no failure: {results[0]}"
    assert results[0].check(*types), results[0]
    return results[0].value


@pytest_twisted.async_yield_fixture
async def server() -> Any:
    server = Hello()
    yield server
    await server.close(0).addTimeout(SOON, reactor)


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[LogEvent]]:
    """Critical events; a test must take away those it expects."""
    with capturedLogs() as events:
        yield events  # type: ignore[misc]
    assert [event for event in events if event["log_level"] is LogLevel.critical] == []


def takeCritical(logged: list[LogEvent]) -> list[LogEvent]:
    found = [event for event in logged if event["log_level"] is LogLevel.critical]
    logged.clear()
    return found


@pytest.fixture
def taken() -> Iterator[int]:
    """A port of 127.0.0.1 that somebody else listens on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def unused() -> int:
    with socket.create_server(("127.0.0.1", 0)) as other:
        return int(other.getsockname()[1])


@contextmanager
def withoutPrivileges() -> Iterator[None]:
    """For as long as it lasts root is nobody; others are what they were."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@implementer(IStreamServerEndpoint)
class SlowEndpoint:
    """Takes its time.

    :ivar listening: fire it with a port; that one has been cancelled is noted in `cancelled`.
    """

    def __init__(self) -> None:
        self.cancelled = False
        self.factory: Factory | None = None
        self.listening: Deferred[IListeningPort] = Deferred()

    def listen(self, protocolFactory: Factory) -> Deferred[IListeningPort]:
        self.factory = protocolFactory
        return self.listening

    async def succeed(self) -> IListeningPort:
        """Listen after all."""
        assert self.factory is not None
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(self.factory)
        self.listening.callback(port)
        return port


class PoliteEndpoint(SlowEndpoint):
    """Can be cancelled, and knows that it was."""

    def __init__(self) -> None:
        super().__init__()

        def cancelled(deferred: Deferred[IListeningPort]) -> None:
            self.cancelled = True

        self.listening = Deferred(cancelled)


@implementer(IStreamServerEndpoint)
class FailingEndpoint:
    """Raises, or returns a Deferred that fails."""

    def __init__(self, error: Exception, later: bool) -> None:
        self.error = error
        self.later = later

    def listen(self, protocolFactory: Factory) -> Deferred[IListeningPort]:
        if not self.later:
            raise self.error
        listening: Deferred[IListeningPort] = Deferred()
        listening.errback(self.error)
        return listening


class TestStrings:
    @pytest_twisted.ensureDeferred
    async def test_tcp(self, server: Hello) -> None:
        port = await server.bind("tcp:0:interface=127.0.0.1")
        verifyObject(IListeningPort, port)
        assert port.getHost().host == "127.0.0.1"
        assert await plainly(port.getHost().port) == "IPv4Address secure=False"

    @needsIPv6
    @pytest_twisted.ensureDeferred
    async def test_tcp6(self, server: Hello) -> None:
        port = await server.bind(r"tcp6:0:interface=\:\:1")
        assert await plainly(port.getHost().port, "::1") == "IPv6Address secure=False"

    @pytest.mark.parametrize(
        "options",
        [
            "privateKey={0.key}:certKey={0.certificate}",
            "privateKey={0.both}",
            "privateKey={0.chainKey}:certKey={0.chain}",
            "privateKey={0.chainKey}:certKey={0.leaf}:extraCertChain={0.intermediate}",
        ],
        ids=["key and certificate", "one file", "chain in the certificate", "extra chain"],
    )
    @pytest_twisted.ensureDeferred
    async def test_ssl(self, server: Hello, options: str) -> None:
        port = await server.bind("ssl:0:interface=127.0.0.1:" + options.format(material()))
        assert await secretly(port.getHost().port) == "IPv4Address secure=True"

    @pytest_twisted.ensureDeferred
    async def test_sslIsReadyWhereTheFolderIs(
        self, server: Hello, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Twisted's default: server.pem, in the working directory.
        (tmp_path / "server.pem").write_bytes(material().both.read_bytes())
        monkeypatch.chdir(tmp_path)
        port = await server.bind("ssl:0:interface=127.0.0.1")
        assert await secretly(port.getHost().port) == "IPv4Address secure=True"

    @pytest.mark.parametrize("text", ["tls:{}:0", "tls:path={}:port=0", "tls:{}:port=0:backlog=5"])
    @pytest_twisted.ensureDeferred
    async def test_tls(self, server: Hello, tmp_path: Path, text: str) -> None:
        (tmp_path / "server.pem").write_bytes(material().both.read_bytes())
        port = await server.bind(text.format(tmp_path))
        assert await secretly(port.getHost().port) == "IPv4Address secure=True"
        if _hasIPv6():
            assert await secretly(port.getHost().port, "::1") == "IPv6Address secure=True"

    @pytest_twisted.ensureDeferred
    async def test_tlsOnOneInterface(self, server: Hello, tmp_path: Path) -> None:
        folder = tmp_path / "a:b=c"
        folder.mkdir()
        (folder / "server.pem").write_bytes(material().both.read_bytes())
        path = str(folder).replace(":", r"\:").replace("=", r"\=")
        port = await server.bind(f"tls:{path}:0:interface=127.0.0.1")
        assert port.getHost().host == "127.0.0.1"
        assert await secretly(port.getHost().port) == "IPv4Address secure=True"
        if _hasIPv6():
            port = await server.bind(rf"tls:{path}:0:5:\:\:1")
            assert await secretly(port.getHost().port, "::1") == "IPv6Address secure=True"

    @pytest_twisted.ensureDeferred
    async def test_tlsWithoutIPv6(
        self, server: Hello, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(socket, "has_ipv6", False)
        (tmp_path / "server.pem").write_bytes(material().both.read_bytes())
        port = await server.bind(f"tls:{tmp_path}:0")
        assert port.getHost().host == "0.0.0.0"
        assert await secretly(port.getHost().port) == "IPv4Address secure=True"

    def test_tlsHasThePortOfHttps(self, tmp_path: Path) -> None:
        (tmp_path / "server.pem").write_bytes(material().both.read_bytes())
        clock = MemoryReactorClock()
        resolveEndpoint(clock, f"tls:{tmp_path}", Host()).listen(Factory())
        assert clock.tcpServers[0][0] == 443

    @pytest_twisted.ensureDeferred
    async def test_unix(self, server: Hello, tmp_path: Path) -> None:
        port = await server.bind(f"unix:{tmp_path}/socket")
        assert await locally(tmp_path / "socket") == "UNIXAddress secure=False"
        await port.stopListening()
        assert not (tmp_path / "socket").exists()

    @pytest_twisted.ensureDeferred
    async def test_unixWithMode(self, server: Hello, tmp_path: Path) -> None:
        await server.bind(f"unix:address={tmp_path}/socket:mode=600:lockfile=0")
        assert (tmp_path / "socket").stat().st_mode & 0o777 == 0o600

    @pytest_twisted.ensureDeferred
    async def test_escapedColons(self, server: Hello, tmp_path: Path) -> None:
        folder = tmp_path / "a:b=c"
        folder.mkdir()
        for source in (material().key, material().certificate):
            (folder / source.name).write_bytes(source.read_bytes())
        path = str(folder).replace(":", r"\:").replace("=", r"\=")
        port = await server.bind(
            f"ssl:0:privateKey={path}/server.key:certKey={path}/server.crt:interface=127.0.0.1"
        )
        assert await secretly(port.getHost().port) == "IPv4Address secure=True"
        await server.bind(f"unix:{path}/socket")
        assert await locally(folder / "socket") == "UNIXAddress secure=False"

    @pytest.mark.parametrize("which", ["index=0", "name=web"])
    @pytest_twisted.ensureDeferred
    async def test_systemd(self, which: str) -> None:
        # systemd passes descriptors from 3 up, and Twisted reads about them when it is imported.
        script = textwrap.dedent(
            """
            import os, sys
            os.dup2(int(sys.argv[1]), 3)
            os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="web")
            from twisted.internet import reactor
            from txabstracthttp import AbstractHttpServer

            class Once(AbstractHttpServer):
                def handleRequest(self, request, socket):
                    socket.respond("from systemd")
                    socket.notifyFinish().addCallback(lambda _: self.close()).addCallback(
                        lambda _: reactor.stop()
                    )
                    return True

            Once().bind("systemd:domain=INET:" + sys.argv[2])
            reactor.run()
            """
        )
        with socket.create_server(("127.0.0.1", 0)) as listener:
            arguments = [sys.executable, "-c", script, str(listener.fileno()), which]
            child = subprocess.Popen(arguments, pass_fds=[listener.fileno()], stderr=subprocess.PIPE)
            address = listener.getsockname()
        try:
            assert await plainly(address[1]) == "from systemd"
            _, errors = await deferToThread(child.communicate, timeout=10)
        finally:
            child.kill()
            child.communicate()
        assert (child.returncode, errors) == (0, b"")

    @pytest_twisted.ensureDeferred
    async def test_manyAtOnce(self, server: Hello, tmp_path: Path) -> None:
        plain = await server.bind("tcp:0:interface=127.0.0.1")
        secure = await server.bind(
            f"ssl:0:interface=127.0.0.1:privateKey={material().key}:certKey={material().certificate}"
        )
        another = await server.bind("tcp:0:interface=127.0.0.1")
        local = await server.bind(f"unix:{tmp_path}/socket")
        listed = [plain, secure, another]
        assert server.servers() == listed
        assert server.serverPorts() == [port.getHost().port for port in listed]
        assert server.localServers() == [local]
        assert await plainly(plain.getHost().port) == "IPv4Address secure=False"
        assert await secretly(secure.getHost().port) == "IPv4Address secure=True"
        assert await plainly(another.getHost().port) == "IPv4Address secure=False"
        assert await locally(tmp_path / "socket") == "UNIXAddress secure=False"


class TestNone:
    @pytest_twisted.ensureDeferred
    async def test_allInterfacesAndPlainEvenAfterSslSetup(self, server: Hello) -> None:
        server.sslSetup(material().certificate, material().key)
        port = await server.bind()
        assert port.getHost().port > 0
        assert await plainly(port.getHost().port) == "IPv4Address secure=False"

    @needsIPv6
    @pytest_twisted.ensureDeferred
    async def test_dualStack(self, server: Hello) -> None:
        port = await server.bind(None)
        assert await plainly(port.getHost().port, "::1") == "IPv6Address secure=False"
        assert await plainly(port.getHost().port, "127.0.0.1") == "IPv4Address secure=False"


class TestEndpointObjects:
    @pytest_twisted.ensureDeferred
    async def test_tcp(self, server: Hello) -> None:
        port = await server.bind(TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"))
        assert server.servers() == [port]
        assert await plainly(port.getHost().port) == "IPv4Address secure=False"

    @needsIPv6
    @pytest_twisted.ensureDeferred
    async def test_tcp6(self, server: Hello) -> None:
        port = await server.bind(TCP6ServerEndpoint(reactor, 0, interface="::1"))
        assert await plainly(port.getHost().port, "::1") == "IPv6Address secure=False"

    @twistedOnTLS
    @pytest_twisted.ensureDeferred
    async def test_wrappedInTLS(self, server: Hello) -> None:
        options = CertificateOptions(
            certificate=TwistedCertificate.loadPEM(material().certificate.read_bytes()).original,
            privateKey=KeyPair.load(material().key.read_bytes(), 1).original,
        )
        endpoint = wrapServerTLS(options, TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"))
        port = await server.bind(endpoint)
        assert await secretly(port.getHost().port) == "IPv4Address secure=True"

    @pytest_twisted.ensureDeferred
    async def test_unix(self, server: Hello, tmp_path: Path) -> None:
        port = await server.bind(UNIXServerEndpoint(reactor, str(tmp_path / "socket")))
        assert (server.servers(), server.localServers()) == ([], [port])
        assert await locally(tmp_path / "socket") == "UNIXAddress secure=False"

    @pytest.mark.parametrize("later", [False, True])
    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (CannotListenError("any", 1, OSError()), CannotListenError),
            (PermissionError(13, "no"), CannotListenError),
            (ValueError("odd"), ValueError),
            (KeyError("odd"), ValueError),
            (RuntimeError("odd"), ValueError),
        ],
    )
    @pytest_twisted.ensureDeferred
    async def test_failures(
        self, server: Hello, error: Exception, expected: type[Exception], later: bool
    ) -> None:
        with pytest.raises(expected) as caught:
            await server.bind(FailingEndpoint(error, later))
        assert caught.value is error or caught.value.__cause__ is error
        assert (server.servers(), server.localServers()) == ([], [])


class TestAdoption:
    @pytest_twisted.ensureDeferred
    async def test_ipv4(self, server: Hello) -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        number = listener.getsockname()[1]
        port = await server.bind(listener)
        assert listener.fileno() == -1, "the caller's object is closed"
        assert port.getHost().port == number
        assert server.serverPorts() == [number]
        assert await plainly(number) == "IPv4Address secure=False"

    @needsIPv6
    @pytest_twisted.ensureDeferred
    async def test_ipv6(self, server: Hello) -> None:
        listener = socket.create_server(("::1", 0), family=socket.AF_INET6)
        port = await server.bind(listener)
        assert listener.fileno() == -1
        assert await plainly(port.getHost().port, "::1") == "IPv6Address secure=False"

    @pytest_twisted.ensureDeferred
    async def test_unix(self, server: Hello, tmp_path: Path) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "socket"))
        listener.listen()
        port = await server.bind(listener)
        assert listener.fileno() == -1
        assert server.localServers() == [port]
        assert await locally(tmp_path / "socket") == "UNIXAddress secure=False"

    @pytest_twisted.ensureDeferred
    async def test_plainEvenAfterSslSetup(self, server: Hello) -> None:
        server.sslSetup(material().certificate, material().key)
        port = await server.bind(socket.create_server(("127.0.0.1", 0)))
        assert await plainly(port.getHost().port) == "IPv4Address secure=False"

    @pytest.mark.parametrize(
        "make",
        [
            socket.socket,
            lambda: socket.socket(socket.AF_UNIX),
            lambda: socket.socket(type=socket.SOCK_DGRAM),
            lambda: socket.socketpair()[0],
        ],
        ids=["not listening", "unix, not listening", "datagrams", "connected"],
    )
    @pytest.mark.filterwarnings("ignore::ResourceWarning")  # the other end of a pair
    @pytest_twisted.ensureDeferred
    async def test_notListening(self, server: Hello, make: Callable[[], socket.socket]) -> None:
        with closing(make()) as idle:
            with pytest.raises(ValueError, match="does not listen"):
                await server.bind(idle)
            assert idle.fileno() != -1, "the caller's object is the caller's"
            assert idle.gettimeout() is None
        assert server.servers() == []

    @pytest_twisted.ensureDeferred
    async def test_closed(self, server: Hello) -> None:
        closed = socket.socket()
        closed.close()
        with pytest.raises(ValueError, match="cannot adopt"):
            await server.bind(closed)

    @pytest_twisted.ensureDeferred
    async def test_afterClose(self) -> None:
        server = Hello()
        await server.close()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            with pytest.raises(RuntimeError):
                await server.bind(listener)
            assert listener.fileno() != -1


class FullReactor:
    """Has no descriptor left."""

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: int, factory: Factory) -> IListeningPort:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


class TestFailedAdoption:
    @pytest.mark.parametrize("timeout", [None, 7.5, 0.0])
    def test_leavesTheSocketAlone(self, timeout: float | None) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(timeout)
            blocking = os.get_blocking(listener.fileno())
            with pytest.raises(OSError, match="open files"):
                adopt(FullReactor(), listener, Factory())
            assert listener.gettimeout() == timeout
            assert os.get_blocking(listener.fileno()) == blocking
            with socket.create_connection(listener.getsockname()):
                if timeout:
                    listener.accept()[0].close()

    def test_closesOurOwnSocket(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made: list[socket.socket] = []

        def remember(*arguments: Any) -> socket.socket:
            made.append(listeningSocket(*arguments))
            return made[0]

        monkeypatch.setattr("txabstracthttp._listening.listeningSocket", remember)
        with pytest.raises(OSError, match="open files"):
            listenOn(FullReactor(), "127.0.0.1", 0, Factory())
        assert made[0].fileno() == -1

    @pytest_twisted.ensureDeferred
    async def test_adopted(self, server: Hello) -> None:
        port = listenOn(reactor, "127.0.0.1", 0, server)
        try:
            assert not os.get_blocking(port.fileno())  # type: ignore[attr-defined]
            assert await plainly(port.getHost().port) == "IPv4Address secure=False"
        finally:
            await port.stopListening()


class NoEndpoint:
    """Has a `listen`, but does not provide the interface."""

    def listen(self, factory: Factory) -> Deferred[IListeningPort]:
        return succeed(factory)  # type: ignore[arg-type]


class TestWrongTypes:
    @pytest.mark.parametrize(
        "wrong",
        [
            0,
            8080,
            True,
            b"tcp:0",
            1.5,
            [],
            ("127.0.0.1", 80),
            {"port": 80},
            Path("socket"),
            object(),
            NoEndpoint(),
            TCP4ClientEndpoint(reactor, "127.0.0.1", 1),
            TCP4ServerEndpoint,
        ],
        ids=lambda wrong: repr(wrong).partition(" at 0x")[0],
    )
    def test_raisesAtOnce(self, wrong: Any) -> None:
        server = Hello()
        with pytest.raises(TypeError, match="endpoint"):
            server.bind(wrong)
        assert server.servers() == []

    @pytest_twisted.ensureDeferred
    async def test_evenAfterClose(self) -> None:
        server = Hello()
        await server.close()
        with pytest.raises(TypeError):
            server.bind(80)  # type: ignore[arg-type]


def _sslOf(**names: str) -> str:
    """An ``ssl:`` string with parts of the material."""
    parts = [f"{option}={getattr(material(), name)}" for option, name in names.items()]
    return ":".join(["ssl:0", *parts])


BAD_STRINGS: list[str | Callable[[], str]] = [
    "",
    " ",
    ":",
    "::",
    "=",
    "\\",
    "\0",
    "tcp",
    "tcp:",
    "tcp::",
    "tcp:http",
    "tcp:eighty",
    "tcp:-1",
    "tcp:65536",
    "tcp:99999999999999999999",
    "tcp:80:80:80:80:80",
    "tcp:0:backlog=many",
    "tcp:0:nonsense=1",
    "tcp:0:interface=\0",
    "tcp:port=0:port=http",
    "TCP:0",
    " tcp:0",
    "tcp6",
    "tcp6:x",
    "tcp6:0:nonsense=1",
    "tcp4:0",
    "http:80",
    "8080",
    "0",
    "127.0.0.1:8080",
    "http://127.0.0.1:8080/",
    "nonsense",
    "nonsense:1:2=3",
    "\N{SNOWMAN}:1",
    "unix",
    "unix:x:mode=rwx",
    "unix:x:mode=999",
    "unix:x:backlog=many",
    "unix:x:lockfile=maybe",
    "unix:x:nonsense=1",
    "ssl",
    "ssl:",
    "ssl:x",
    "ssl:0",  # there is no server.pem
    "ssl:0:privateKey=missing.pem",
    "ssl:0:privateKey=",
    "ssl:0:nonsense=1",
    "ssl:0:sslmethod=nonsense",
    lambda: _sslOf(privateKey="both") + ":sslmethod=TLSv1_METHOD",
    lambda: _sslOf(privateKey="both") + ":sslmethod=TLS_METHOD",
    lambda: _sslOf(privateKey="both") + ":sslmethod=",
    lambda: f"ssl:0:{material().key}:{material().certificate}:TLSv1_2_METHOD",
    lambda: _sslOf(privateKey="missing"),
    lambda: _sslOf(privateKey="folder"),
    lambda: _sslOf(privateKey="garbage"),
    lambda: _sslOf(privateKey="empty"),
    lambda: _sslOf(privateKey="key"),
    lambda: _sslOf(privateKey="certificate"),
    lambda: _sslOf(privateKey="key", certKey="missing"),
    lambda: _sslOf(privateKey="missing", certKey="certificate"),
    lambda: _sslOf(privateKey="encryptedKey", certKey="certificate"),
    lambda: _sslOf(privateKey="rsaKey", certKey="certificate"),
    lambda: _sslOf(privateKey="exchangeKey", certKey="certificate"),
    lambda: _sslOf(privateKey="certificate", certKey="key"),
    lambda: _sslOf(privateKey="key", certKey="certificate", extraCertChain="missing"),
    lambda: _sslOf(privateKey="key", certKey="certificate", extraCertChain="garbage"),
    lambda: _sslOf(privateKey="key", certKey="certificate", dhParameters="missing"),
    lambda: _sslOf(privateKey="key", certKey="certificate", dhParameters="garbage"),
    lambda: _sslOf(privateKey="key", certKey="certificate") + ":backlog=x",
    "tls",
    "tls:",
    "tls:missing",
    "tls:missing:0",
    "tls:path=missing:port=0",
    "tls:.:0",  # no .pem in there
    "tls:.:x",
    "tls:0:nonsense=1",
    lambda: f"tls:{material().folder}:x",
    lambda: f"tls:{material().folder}:-1",
    lambda: f"tls:{material().folder}:65536",
    lambda: f"tls:{material().folder}:0:backlog=x",
    lambda: f"tls:{material().folder}:0:nonsense=1",
    lambda: f"tls:{material().folder}:0:1:2:3",
    "systemd",
    "systemd:",
    "systemd:domain=INET",
    "systemd:domain=INET:index=0",
    "systemd:domain=INET:index=x",
    "systemd:domain=INET:name=web",
    "systemd:domain=NONSENSE:index=0",
    "systemd:domain=INET:index=0:name=web",
    "haproxy",
    "haproxy:",
    "haproxy:nonsense:0",
]


class HarmlessStdio(StandardIOEndpoint):
    """Leaves the descriptors of this process alone."""

    def listen(self, protocolFactory: Factory) -> Deferred[IListeningPort]:
        raise RuntimeError("nobody should")


@twistedForgetsSockets
class TestBadStrings:
    @pytest.mark.parametrize("bad", BAD_STRINGS, ids=lambda bad: repr(bad) if isinstance(bad, str) else None)
    @pytest_twisted.ensureDeferred
    async def test_valueErrorThatNamesIt(
        self,
        server: Hello,
        bad: str | Callable[[], str],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)
        text = bad if isinstance(bad, str) else bad()
        bound = server.bind(text)
        error = failureOf(bound, ValueError)
        assert type(error) is ValueError, "a plain one: not UnicodeError, nor another"
        assert repr(text) in str(error)
        assert error.__cause__ is not None
        assert (server.servers(), server.localServers()) == ([], [])
        assert list(tmp_path.iterdir()) == []

    @pytest_twisted.ensureDeferred
    async def test_folderWithoutPairs(self, server: Hello, tmp_path: Path) -> None:
        # There are PEM files, but nothing that could be served with.
        (tmp_path / "only.pem").write_bytes(material().certificate.read_bytes())
        text = f"tls:{tmp_path}:0"
        error = failureOf(server.bind(text), ValueError)
        assert repr(text) in str(error)

    @pytest_twisted.ensureDeferred
    async def test_folderWithGarbage(self, server: Hello, tmp_path: Path) -> None:
        (tmp_path / "garbage.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n")
        failureOf(server.bind(f"tls:{tmp_path}:0"), ValueError)

    @pytest_twisted.ensureDeferred
    async def test_stdioIsNoPlaceForServers(self, server: Hello) -> None:
        # A server endpoint to Twisted, but nothing that could be listed or stopped; and stdin is not ours.
        failureOf(server.bind("stdio:"), ValueError)

    @pytest_twisted.ensureDeferred
    async def test_noStdioObjectsEither(self, server: Hello) -> None:
        error = failureOf(server.bind(HarmlessStdio(reactor)), ValueError)
        assert "standard input" in str(error)

    def test_resolvesObjectsToThemselves(self) -> None:
        endpoint = TCP4ServerEndpoint(reactor, 0)
        assert resolveEndpoint(reactor, endpoint, Host()) is endpoint
        with pytest.raises(ValueError, match="StandardIOEndpoint"):
            resolveEndpoint(reactor, StandardIOEndpoint(reactor), Host())

    @pytest_twisted.ensureDeferred
    async def test_sslmethodIsExplained(self, server: Hello) -> None:
        error = failureOf(server.bind(_sslOf(privateKey="both") + ":sslmethod=SSLv23_METHOD"), ValueError)
        assert "sslmethod is obsolete" in str(error)

    @pytest_twisted.ensureDeferred
    async def test_junk(self, server: Hello, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        prefixes = st.sampled_from(["tcp", "tcp6", "ssl", "tls", "unix", "systemd", "adopt", "fd", ""])
        # No "interface": a host name there would ask the DNS.
        names = st.sampled_from(
            ["port=", "mode=", "backlog=", "privateKey=", "path=", "index=", "address=", "lockfile=", ""]
        )
        values = st.one_of(
            st.sampled_from(["0", "-1", "65536", "x", "\\", "=", "\0", "\udcff", "a" * 200, "٣"]),
            st.text(st.characters(exclude_characters="/."), max_size=8),
        )
        parts = st.lists(st.builds("{}{}".format, names, values), max_size=4)
        texts = st.one_of(
            st.text(max_size=20), st.builds(lambda prefix, rest: ":".join([prefix, *rest]), prefixes, parts)
        )

        @settings(database=None)  # it would be in the working directory
        @given(texts)
        @example("tcp:0:backlog=99999999999999999999")
        @example("unix:" + "a" * 200)
        @example("unix:mode=99999999999999999999:address=x")
        @example("tcp:\N{SUPERSCRIPT TWO}")
        @example("unix:\udcff\ud800")
        @example("tcp6:0:backlog=-99999999999")
        def run(text: str) -> None:
            if text.startswith(("stdio", "haproxy")):
                return
            listed = len(server.servers()) + len(server.localServers())
            outcome: list[Any] = []
            server.bind(text).addBoth(outcome.append)
            assert outcome
            if IListeningPort.providedBy(outcome[0]):
                stopped.append(outcome[0].stopListening())
                return
            assert outcome[0].check(ValueError, CannotListenError), outcome[0]
            assert len(server.servers()) + len(server.localServers()) == listed

        stopped: list[Deferred[None]] = []
        run()
        await gatherResults(stopped, consumeErrors=True)


@twistedForgetsSockets
class TestCannotListen:
    @pytest_twisted.ensureDeferred
    async def test_portTaken(self, server: Hello, taken: int) -> None:
        for text in (f"tcp:{taken}", f"tcp:{taken}:interface=127.0.0.1"):
            with pytest.raises(CannotListenError):
                await server.bind(text)
        with pytest.raises(CannotListenError):
            await server.bind(f"ssl:{taken}:privateKey={material().key}:certKey={material().certificate}")
        with pytest.raises(CannotListenError):
            await server.bind(TCP4ServerEndpoint(reactor, taken))
        assert server.servers() == []
        await server.bind("tcp:0:interface=127.0.0.1")
        assert len(server.servers()) == 1

    @pytest_twisted.ensureDeferred
    async def test_foreignAddress(self, server: Hello) -> None:
        with pytest.raises(CannotListenError):
            await server.bind("tcp:0:interface=192.0.2.1")

    @pytest.mark.parametrize("path", ["{}/missing/socket", "/proc/socket", "{}"], ids=str)
    @pytest_twisted.ensureDeferred
    async def test_paths(self, server: Hello, tmp_path: Path, path: str) -> None:
        with pytest.raises(CannotListenError):
            await server.bind("unix:" + path.format(tmp_path))
        with pytest.raises(CannotListenError):
            await server.bind("unix:" + path.format(tmp_path) + ":lockfile=0")
        with pytest.raises(CannotListenError):
            await server.bind(UNIXServerEndpoint(reactor, path.format(tmp_path)))
        assert server.localServers() == []

    @pytest_twisted.ensureDeferred
    async def test_pathTaken(self, server: Hello, tmp_path: Path) -> None:
        await server.bind(f"unix:{tmp_path}/socket")
        with pytest.raises(CannotListenError):
            await server.bind(f"unix:{tmp_path}/socket")
        assert len(server.localServers()) == 1
        assert await locally(tmp_path / "socket") == "UNIXAddress secure=False"

    @pytest_twisted.ensureDeferred
    async def test_withoutPrivileges(self, server: Hello, tmp_path: Path) -> None:
        tmp_path.chmod(0o500)
        with withoutPrivileges(), pytest.raises(CannotListenError):
            await server.bind(f"unix:{tmp_path}/socket")
        tmp_path.chmod(0o700)
        assert server.localServers() == []

    @pytest_twisted.ensureDeferred
    async def test_privilegedPort(self, server: Hello) -> None:
        unprivileged = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
        if not unprivileged.exists() or int(unprivileged.read_text()) < 81:
            pytest.skip("here everybody may listen on every port")
        with withoutPrivileges(), pytest.raises(CannotListenError):
            await server.bind("tcp:80:interface=127.0.0.1")


class TestIgnoredFailure:
    def test_isReported(self, logged: list[LogEvent]) -> None:
        server = Hello()
        server.bind("tcp:nonsense")
        gc.collect()
        reported = takeCritical(logged)
        assert server.servers() == []
        assert "tcp:nonsense" in str(reported[-1]["log_failure"].value)

    def test_nothingIsReportedOfASeenOne(self) -> None:
        failureOf(Hello().bind("tcp:nonsense"), ValueError)
        gc.collect()


class TestOrder:
    @pytest_twisted.ensureDeferred
    async def test_byCall(self, server: Hello) -> None:
        slow = SlowEndpoint()
        slowly = server.bind(slow)
        second = server.listen("127.0.0.1")
        third = await server.bind("tcp:0:interface=127.0.0.1")
        assert server.serverPorts() == [second, third.getHost().port], "those that listen"
        await slow.succeed()
        first = await slowly
        assert server.serverPorts() == [first.getHost().port, second, third.getHost().port]
        assert await plainly(first.getHost().port) == "IPv4Address secure=False"

    @pytest_twisted.ensureDeferred
    async def test_stopped(self, server: Hello) -> None:
        ports = [await server.bind("tcp:0:interface=127.0.0.1") for _ in range(3)]
        address = ports[1].getHost()
        await ports[1].stopListening()
        assert server.servers() == [ports[0], ports[2]]
        assert ports[1].getHost() == address, "its address is remembered"
        with pytest.raises(ConnectionRefusedError):
            await plainly(address.port)
        assert await plainly(ports[2].getHost().port) == "IPv4Address secure=False"
        await ports[1].stopListening()
        assert len(server.servers()) == 2

    @pytest_twisted.ensureDeferred
    async def test_startedAgain(self, server: Hello) -> None:
        ports = [await server.bind("tcp:0:interface=127.0.0.1") for _ in range(2)]
        await ports[0].stopListening()
        ports[0].startListening()
        assert server.servers() == ports
        assert await plainly(ports[0].getHost().port) == "IPv4Address secure=False"

    @pytest_twisted.ensureDeferred
    async def test_listsAreCopies(self, server: Hello) -> None:
        await server.bind("tcp:0:interface=127.0.0.1")
        server.servers().clear()
        assert len(server.servers()) == 1

    @pytest_twisted.ensureDeferred
    async def test_connectionsOutliveTheirPort(self, server: Hello) -> None:
        port = await server.bind("tcp:0:interface=127.0.0.1")
        accepted = server.exchangeFinished.next()
        with socket.create_connection(("127.0.0.1", port.getHost().port), timeout=SOON) as client:
            client.sendall(GET.replace(b"close", b"keep-alive"))
            await accepted.addTimeout(SOON, reactor)
            assert await deferToThread(client.recv, 65536)
            await port.stopListening()
            client.sendall(GET)
            assert (await deferToThread(client.recv, 65536)).startswith(b"HTTP/1.1 200 OK")


class TestClosing:
    @pytest_twisted.ensureDeferred
    async def test_bindAfterwards(self) -> None:
        server = Hello()
        await server.close()
        for endpoint in ("tcp:0", "nonsense", None, TCP4ServerEndpoint(reactor, 0)):
            with pytest.raises(RuntimeError):
                await server.bind(endpoint)
        with pytest.raises(RuntimeError):
            server.listen()

    @pytest.mark.parametrize("kind", [SlowEndpoint, PoliteEndpoint])
    @pytest_twisted.ensureDeferred
    async def test_pendingForEver(self, kind: type[SlowEndpoint]) -> None:
        server, slow = Hello(), kind()
        pending = server.bind(slow)
        closed = server.close()
        failureOf(pending, CancelledError)
        await closed.addTimeout(SOON, reactor)
        assert server.servers() == []
        assert slow.cancelled is (kind is PoliteEndpoint)

    @pytest_twisted.ensureDeferred
    async def test_late(self) -> None:
        server, slow = Hello(), SlowEndpoint()
        pending = server.bind(slow)
        await server.close().addTimeout(SOON, reactor)
        failureOf(pending, CancelledError)
        number = (await slow.succeed()).getHost().port
        await deferLater(reactor, 0, lambda: None)
        assert server.servers() == []
        with pytest.raises(ConnectionRefusedError):
            await plainly(number)

    @pytest_twisted.ensureDeferred
    async def test_cancelledByItsOwner(self, server: Hello) -> None:
        polite = PoliteEndpoint()
        pending = server.bind(polite)
        pending.cancel()
        failureOf(pending, CancelledError)
        assert polite.cancelled
        assert server.servers() == []


class TestListen:
    @needsIPv6
    @pytest_twisted.ensureDeferred
    async def test_dualStack(self, server: Hello) -> None:
        port = server.listen()
        assert server.serverPorts() == [port]
        assert await plainly(port, "127.0.0.1") == "IPv4Address secure=False", "normalised"
        assert await plainly(port, "::1") == "IPv6Address secure=False"

    @pytest_twisted.ensureDeferred
    async def test_dualStackWithoutIPv6(self, server: Hello, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(socket, "has_ipv6", False)
        port = server.listen("::")
        assert server.servers()[0].getHost().host == "0.0.0.0"
        assert await plainly(port) == "IPv4Address secure=False"

    @needsIPv6
    @pytest.mark.parametrize("address", ["::0", "0:0:0:0:0:0:0:0"])
    @pytest_twisted.ensureDeferred
    async def test_dualStackInOtherWords(self, server: Hello, address: str) -> None:
        port = server.listen(address)
        assert await plainly(port, "127.0.0.1") == "IPv4Address secure=False"
        assert await plainly(port, "::1") == "IPv6Address secure=False"

    @pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
    @pytest_twisted.ensureDeferred
    async def test_ipv4(self, server: Hello, address: str) -> None:
        port = server.listen(address)
        assert server.servers()[0].getHost().host == address
        assert await plainly(port) == "IPv4Address secure=False"
        with pytest.raises(OSError):
            await plainly(port, "::1")

    @pytest.mark.parametrize(
        ("address", "host"),
        [
            ("::ffff:127.0.0.1", "127.0.0.1"),
            ("::FFFF:7f00:1", "127.0.0.1"),
            ("::ffff:0.0.0.0", "0.0.0.0"),
        ],
    )
    @pytest_twisted.ensureDeferred
    async def test_mappedIPv4(self, server: Hello, address: str, host: str) -> None:
        port = server.listen(address)
        assert server.servers()[0].getHost().host == host
        assert await plainly(port) == "IPv4Address secure=False"
        with pytest.raises(OSError):
            await plainly(port, "::1")

    @needsIPv6
    @pytest_twisted.ensureDeferred
    async def test_ipv6(self, server: Hello) -> None:
        port = server.listen("::1")
        assert await plainly(port, "::1") == "IPv6Address secure=False"
        with pytest.raises(ConnectionRefusedError):
            await plainly(port, "127.0.0.1")

    @pytest_twisted.ensureDeferred
    async def test_aGivenPort(self, server: Hello) -> None:
        number = unused()
        assert server.listen("127.0.0.1", number) == number
        assert server.serverPorts() == [number]

    def test_taken(self, taken: int, logged: list[LogEvent]) -> None:
        server = Hello()
        assert server.listen("127.0.0.1", taken) == 0
        assert server.listen(port=taken) == 0
        assert server.servers() == []
        events = takeCritical(logged)
        assert len(events) == 2
        assert str(taken) in events[0]["log_format"].format(**events[0])

    @pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
    def test_foreign(self, address: str, logged: list[LogEvent]) -> None:
        server = Hello()
        assert server.listen(address) == 0
        assert (server.servers(), server.serverPorts()) == ([], [])
        assert len(takeCritical(logged)) == 1

    @pytest.mark.parametrize(
        ("address", "port"),
        [
            ("localhost", 0),
            ("example.com", 0),
            ("", 0),
            ("*", 0),
            ("127.1", 0),
            ("127.0.0.1:80", 0),
            ("[::1]", 0),
            ("256.0.0.1", 0),
            ("10.0.0.0/8", 0),
            (None, 0),
            (0, 0),
            (b"::", 0),
            (b"\x7f\0\0\1", 0),
            ("::", -1),
            ("::", 65536),
            ("::", True),
            ("::", "80"),
            ("::", 80.0),
            ("::", None),
        ],
        ids=repr,
    )
    def test_badArguments(self, address: Any, port: Any) -> None:
        server = Hello()
        with pytest.raises(ValueError):
            server.listen(address, port)
        assert server.servers() == []

    @pytest_twisted.ensureDeferred
    async def test_sslSetupArmsTheNextCalls(self, server: Hello) -> None:
        before = server.listen("127.0.0.1")
        server.sslSetup(material().certificate, material().key)
        after, again = server.listen("127.0.0.1"), server.listen("127.0.0.1")
        bound = await server.bind("tcp:0:interface=127.0.0.1")
        assert await plainly(before) == "IPv4Address secure=False"
        assert await secretly(after) == "IPv4Address secure=True"
        assert await secretly(again) == "IPv4Address secure=True"
        assert await plainly(bound.getHost().port) == "IPv4Address secure=False"
        assert server.serverPorts() == [before, after, again, bound.getHost().port]

    @pytest_twisted.ensureDeferred
    async def test_sslSetupThatFailsChangesNothing(self, server: Hello) -> None:
        server.sslSetup(material().certificate, material().key)
        with pytest.raises(ValueError):
            server.sslSetup(material().garbage)
        assert await secretly(server.listen("127.0.0.1")) == "IPv4Address secure=True"


class TestAsAFactory:
    @pytest_twisted.ensureDeferred
    async def test_endpoint(self) -> None:
        server = Hello()
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(server)
        try:
            assert await plainly(port.getHost().port) == "IPv4Address secure=False"
            assert (server.servers(), server.serverPorts()) == ([], [])
            with socket.create_connection(("127.0.0.1", port.getHost().port), timeout=SOON) as idle:
                idle.sendall(GET.replace(b"close", b"keep-alive"))
                assert await deferToThread(idle.recv, 65536)
                closed = server.close()
                assert await deferToThread(idle.recv, 65536) == b""
            await closed.addTimeout(SOON, reactor)
            # It is not ours to stop, but nobody is served there any more.
            with pytest.raises((ConnectionError, NoAnswerError)):
                await plainly(port.getHost().port)
        finally:
            await port.stopListening()

    @twistedOnTLS
    @pytest_twisted.ensureDeferred
    async def test_lateOverTLS(self, logged: list[LogEvent]) -> None:
        server = Hello()
        options = CertificateOptions(
            certificate=TwistedCertificate.loadPEM(material().certificate.read_bytes()).original,
            privateKey=KeyPair.load(material().key.read_bytes(), 1).original,
        )
        endpoint = wrapServerTLS(options, TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"))
        port = await endpoint.listen(server)
        try:
            assert await secretly(port.getHost().port) == "IPv4Address secure=True"
            await server.close().addTimeout(SOON, reactor)
            # Refused, in the handshake or after it, without an answer; and without any noise here.
            with pytest.raises((OSError, NoAnswerError)):
                await secretly(port.getHost().port)
            assert takeCritical(logged) == []
        finally:
            await port.stopListening()

    @pytest_twisted.ensureDeferred
    async def test_service(self, server: Hello) -> None:
        number = unused()
        service = StreamServerEndpointService(
            TCP4ServerEndpoint(reactor, number, interface="127.0.0.1"), server
        )
        service.privilegedStartService()
        service.startService()
        try:
            assert await plainly(number) == "IPv4Address secure=False"
            assert server.servers() == []
        finally:
            await service.stopService()
