"""Behind the real thing: Debian's HAProxy, which sends the headers that ours have to be."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_twisted
from proxyhost import Host
from tlsmaterial import material
from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.endpoints import TCP4ServerEndpoint, UNIXServerEndpoint, wrapServerTLS
from twisted.internet.interfaces import IAddress, IStreamServerEndpoint
from twisted.internet.threads import deferToThread
from twisted.logger import LogLevel, capturedLogs

from txabstracthttp import AbstractHttpServer, HttpRequest, HttpServerConfiguration, HttpSocket
from txabstracthttp._proxy import wrapServerProxy
from txabstracthttp._tls import connectionCreator

HAPROXY = shutil.which("haproxy", path="/usr/sbin:/usr/local/sbin") or shutil.which("haproxy")

pytestmark = [
    pytest.mark.skipif(HAPROXY is None, reason="there is no haproxy here"),
    pytest.mark.timeout(60),
]

SOON = 10
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

CONFIGURATION = """
global
    maxconn 100
defaults
    mode tcp
    timeout connect {soon}s
    timeout client {soon}s
    timeout server {soon}s
listen it
    bind fd@{fd} {bindOptions}
    {more}
    server s {backend} {options}
"""

V1, V2 = "send-proxy", "send-proxy-v2"
#: With everything behind the addresses that this version can send.
V2_VECTORS = (
    "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority,ssl,cert-cn,ssl-cipher,cert-sig,cert-key"
)
UNIQUE = "unique-id-format %ci:%cp_%fi:%fp_%Ts_%rt"
KINDS = [(V1, ""), (V2, ""), (V2_VECTORS, UNIQUE)]


class Telling(AbstractHttpServer):
    """Tells the peer who he is; `/big` is big."""

    def __init__(self, **limits: Any) -> None:
        super().__init__(configuration=HttpServerConfiguration(**limits))
        self.peers: list[IAddress] = []

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> bool:
        self.peers.append(request.remoteAddress)
        if request.path == "/big":
            socket.respond(b"x" * 8_000_000)
        else:
            socket.respond(f"{request.remoteAddress} {request.localAddress} {len(request.body)}")
        return True


class Front:
    """Starts HAProxy on sockets that listen already, so that nobody else can take the port meanwhile."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(
        self, listener: socket.socket, backend: str, options: str, more: str = "", bind: str = ""
    ) -> None:
        """From now on what connects to `listener` is relayed to `backend`."""
        file = self._folder / f"haproxy-{len(self._processes)}.cfg"
        file.write_text(
            CONFIGURATION.format(
                soon=SOON, fd=listener.fileno(), bindOptions=bind, more=more, backend=backend, options=options
            )
        )
        assert HAPROXY is not None
        with listener, file.with_suffix(".log").open("wb") as log:
            process = subprocess.Popen(
                [HAPROXY, "-db", "-f", str(file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(listener.fileno(),),
            )
        self._processes.append(process)

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(SOON)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    front = Front(tmp_path)
    yield front
    front.stop()


@pytest_twisted.async_yield_fixture
async def server() -> Any:
    server = Telling()
    yield server
    await server.close(0).addTimeout(SOON, reactor)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Nothing of this is worth a warning."""
    with capturedLogs() as events:
        yield
    assert [event for event in events if event["log_level"] > LogLevel.info] == []


async def behind(server: AbstractHttpServer, endpoint: IStreamServerEndpoint | None = None) -> str:
    """Serve for proxies; where, as HAProxy writes it."""
    if endpoint is None:
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
    port = await server.bind(wrapServerProxy(endpoint, reactor, Host(SOON)))
    address: Any = port.getHost()
    if isinstance(address, UNIXAddress):
        assert address.name is not None
        return f"unix@{address.name.decode()}"
    return f"{address.host}:{address.port}"


def tlsEndpoint() -> IStreamServerEndpoint:
    creator = connectionCreator(material().certificate, material().key)
    return wrapServerTLS(creator, TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1"))


def listening(host: str = "127.0.0.1", dualStack: bool = False) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, 0), family=family, dualstack_ipv6=dualStack)


class Visit(NamedTuple):
    """What a client was told, and what it knows itself.

    :ivar me: where it came from, and `there` where it went.
    """

    said: str
    me: IAddress
    there: IAddress
    alpn: str | None = None

    @property
    def expected(self) -> str:
        return f"{self.me} {self.there}"


def _addressOf(name: Any) -> IAddress:
    if isinstance(name, str):
        return UNIXAddress(name.encode() or None)
    return (IPv6Address if ":" in name[0] else IPv4Address)("TCP", name[0], name[1])


def readAll(connection: socket.socket) -> bytes:
    return b"".join(iter(lambda: connection.recv(65536), b""))


def visit(where: Any, secret: bool = False, request: bytes = GET, finish: bool = False) -> Visit:
    """For a thread."""
    family = (
        socket.AF_UNIX if isinstance(where, str) else socket.AF_INET6 if ":" in where[0] else socket.AF_INET
    )
    with socket.socket(family) as plain:
        plain.settimeout(SOON)
        plain.connect(where)
        me, there = _addressOf(plain.getsockname()), _addressOf(plain.getpeername())
        connection, alpn = plain, None
        if secret:
            context = ssl.create_default_context(cafile=str(material().authority))
            context.set_alpn_protocols(["http/1.1"])
            connection = context.wrap_socket(plain, server_hostname="localhost")
            alpn = connection.selected_alpn_protocol()
        with connection:
            connection.sendall(request)
            if finish:
                connection.shutdown(socket.SHUT_WR)
            head, _, content = readAll(connection).partition(b"\r\n\r\n")
    return Visit(content.decode() if b" 200 " in head else head.decode(), me, there, alpn)


@pytest.mark.parametrize(("options", "more"), KINDS)
class TestKinds:
    """Version 1, version 2, and version 2 with vectors and a checksum."""

    @pytest_twisted.ensureDeferred
    async def test_plain(self, front: Front, server: Telling, options: str, more: str) -> None:
        listener = listening()
        where = listener.getsockname()
        front.start(listener, await behind(server), options, more)
        for _ in range(3):
            answer = await deferToThread(visit, where)
            assert answer.said == f"{answer.expected} 0"

    @pytest_twisted.ensureDeferred
    async def test_tls(self, front: Front, server: Telling, options: str, more: str) -> None:
        """HAProxy does not look inside: the header, then the client's own TLS."""
        listener = listening()
        where = listener.getsockname()
        front.start(listener, await behind(server, tlsEndpoint()), options, more)
        answer = await deferToThread(visit, where, True)
        assert answer.said == f"{answer.expected} 0"
        assert answer.alpn == "http/1.1"

    @pytest_twisted.ensureDeferred
    async def test_tlsEndsAtTheProxy(self, front: Front, server: Telling, options: str, more: str) -> None:
        """Then version 2 can tell of it."""
        listener = listening()
        where = listener.getsockname()
        bind = f"ssl crt {material().both} alpn http/1.1"
        front.start(listener, await behind(server), options, more, bind)
        answer = await deferToThread(visit, where, True)
        assert answer.said == f"{answer.expected} 0"

    @pytest_twisted.ensureDeferred
    async def test_ipv6(self, front: Front, server: Telling, options: str, more: str) -> None:
        try:
            listener = listening("::1")
        except OSError:
            pytest.skip("this host has no IPv6")
        where = listener.getsockname()
        front.start(listener, await behind(server), options, more)
        answer = await deferToThread(visit, where)
        assert isinstance(answer.me, IPv6Address)
        assert answer.said == f"{answer.expected} 0"

    @pytest_twisted.ensureDeferred
    async def test_ipv4OnAPortOfBoth(self, front: Front, server: Telling, options: str, more: str) -> None:
        """The addresses are mapped ones, and come out as what they are."""
        try:
            listener = listening("::", dualStack=True)
        except (OSError, ValueError):
            pytest.skip("this host has no IPv6")
        where = ("127.0.0.1", listener.getsockname()[1])
        front.start(listener, await behind(server), options, more)
        answer = await deferToThread(visit, where)
        assert isinstance(answer.me, IPv4Address)
        assert answer.said == f"{answer.expected} 0"

    @pytest_twisted.ensureDeferred
    async def test_unixBehind(
        self, front: Front, server: Telling, options: str, more: str, tmp_path: Path
    ) -> None:
        listener = listening()
        where = listener.getsockname()
        backend = await behind(server, UNIXServerEndpoint(reactor, str(tmp_path / "behind")))
        front.start(listener, backend, options, more)
        answer = await deferToThread(visit, where)
        assert answer.said == f"{answer.expected} 0"

    @pytest_twisted.ensureDeferred
    async def test_unixInFront(
        self, front: Front, server: Telling, options: str, more: str, tmp_path: Path
    ) -> None:
        """It says UNKNOWN of such a client, or LOCAL: then the peer is HAProxy itself."""
        path = str(tmp_path / "front")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        backend = await behind(server)
        front.start(listener, backend, options, more)
        answer = await deferToThread(visit, path)
        (peer,) = server.peers
        assert isinstance(peer, IPv4Address)
        host, _, port = backend.partition(":")
        assert answer.said == f"{peer} {IPv4Address('TCP', host, int(port))} 0"

    @pytest_twisted.ensureDeferred
    async def test_muchBothWays(self, front: Front, server: Telling, options: str, more: str) -> None:
        listener = listening()
        where = listener.getsockname()
        front.start(listener, await behind(server), options, more)
        body = b"x" * 3_000_000
        post = b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3000000\r\n\r\n" + body
        answer = await deferToThread(visit, where, False, post)
        assert answer.said == f"{answer.expected} 3000000"
        answer = await deferToThread(visit, where, False, GET.replace(b"/ ", b"/big "))
        assert answer.said == "x" * 8_000_000

    @pytest_twisted.ensureDeferred
    async def test_halfClose(self, front: Front, server: Telling, options: str, more: str) -> None:
        listener = listening()
        where = listener.getsockname()
        front.start(listener, await behind(server), options, more)
        request = GET.replace(b"Connection: close\r\n", b"")
        answer = await deferToThread(visit, where, False, request, True)
        assert answer.said == f"{answer.expected} 0"

    @pytest_twisted.ensureDeferred
    async def test_filtered(self, front: Front, options: str, more: str) -> None:
        """By the client's address, which is not the proxy's."""
        server = Telling(blacklist=["127.0.0.2"])
        listener = listening("0.0.0.0")
        where = ("127.0.0.1", listener.getsockname()[1])
        front.start(listener, await behind(server), options, more)

        def from_(host: str) -> bytes:
            with socket.create_connection(where, SOON, (host, 0)) as connection:
                connection.sendall(GET)
                return readAll(connection)[:12]

        assert await deferToThread(from_, "127.0.0.2") == b"HTTP/1.1 403"
        assert await deferToThread(from_, "127.0.0.3") == b"HTTP/1.1 200"
        await server.close(0).addTimeout(SOON, reactor)


class TestChecks:
    """HAProxy's health checks, which come from nobody but itself."""

    @pytest.mark.parametrize(("options", "more"), KINDS)
    @pytest_twisted.ensureDeferred
    async def test_httpCheck(self, front: Front, server: Telling, options: str, more: str) -> None:
        checked = f"{options} check check-send-proxy inter 50ms"
        front.start(listening(), await behind(server), checked, f"{more}\n    option httpchk GET /")
        await deferToThread(waitUntil, lambda: len(server.peers) >= 3)
        assert {peer.host for peer in server.peers if isinstance(peer, IPv4Address)} == {"127.0.0.1"}

    @pytest_twisted.ensureDeferred
    async def test_withoutHeader(self, front: Front, server: Telling) -> None:
        """A proxy that was told to send none reaches nobody."""
        listener = listening()
        where = listener.getsockname()
        front.start(listener, await behind(server), "")

        def nobody() -> str:
            try:
                return visit(where).said
            except ConnectionError:
                return ""

        assert await deferToThread(nobody) == ""
        assert server.peers == []


def waitUntil(condition: Callable[[], bool]) -> None:
    """For a thread."""
    giveUp = time.monotonic() + SOON
    while not condition():
        assert time.monotonic() < giveUp, "it never came true"
        time.sleep(0.02)
