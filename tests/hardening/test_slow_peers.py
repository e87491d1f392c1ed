"""Peers that take their time: no deadline can be pushed on by an octet every now and then."""

from __future__ import annotations

import signal
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import repeat
from pathlib import Path

import pytest
from h2.settings import SettingCodes
from http2peer import LARGEST_WINDOW, Http2Peer
from hyperframe.frame import DataFrame, HeadersFrame, PingFrame
from illwill import Cut, clientHello, connections, eventually, head, trickle
from serverprocess import MIB, PATIENCE, ServerProcess, connect, connectSecurely, needsProc, readResponse
from tlsmaterial import material

pytestmark = [needsProc, pytest.mark.timeout(120)]

TIMEOUTS = {
    "handshakeTimeout": 1,
    "headerTimeout": 1,
    "keepAliveTimeout": 1,
    "bodyTimeout": 1,
    "writeTimeout": 1,
    "closeTimeout": 1,
    "drainTimeout": 1,
}
#: A cut may be late on a busy machine, but not early.
EARLY, LATE = 0.8, 4.0
#: `minimumBodyRate` is measured over so many seconds.
WINDOW = 10.0

HELLO = clientHello()
UPLOAD = head("/echo", "Content-Length: 100000", method="POST")
CHUNKED = head("/echo", "Transfer-Encoding: chunked", method="POST")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server"), **TIMEOUTS) as process:
        yield process


def octets(data: bytes) -> Iterator[bytes]:
    """One by one."""
    return (data[at : at + 1] for at in range(len(data)))


def inTime(cut: Cut) -> bool:
    return EARLY < cut.seconds < LATE


class TestHandshake:
    def test_silent(self, server: ServerProcess) -> None:
        with connect(server.secure) as connection:
            assert inTime(trickle(connection, ()))

    def test_trickled(self, server: ServerProcess) -> None:
        with connect(server.secure) as connection:
            assert inTime(trickle(connection, octets(HELLO)))

    def test_halfWay(self, server: ServerProcess) -> None:
        """The server has said its part, and waits."""
        with connect(server.secure) as connection:
            connection.sendall(HELLO)
            assert inTime(trickle(connection, ()))


class TestHead:
    """A total deadline: 408 for a head that has begun, no answer where nothing has."""

    @pytest.mark.parametrize("way", ["tcp", "tls"])
    def test_trickled(self, server: ServerProcess, way: str) -> None:
        with connect(server.port) if way == "tcp" else connectSecurely(server.secure) as connection:
            cut = trickle(connection, octets(head("/small", "a: " + "b" * 1000)))
        assert inTime(cut)
        assert cut.data.startswith(b"HTTP/1.1 408 ")

    @pytest.mark.parametrize("way", ["tcp", "tls"])
    def test_silent(self, server: ServerProcess, way: str) -> None:
        with connect(server.port) if way == "tcp" else connectSecurely(server.secure) as connection:
            cut = trickle(connection, ())
        assert inTime(cut)
        assert cut.data == b""

    @pytest.mark.parametrize("piece", [b"\r\n", b"\n"])
    def test_emptyLines(self, server: ServerProcess, piece: bytes) -> None:
        with connect(server.port) as connection:
            assert trickle(connection, repeat(piece)).seconds < LATE

    def test_thePrefaceOfHttp2(self, server: ServerProcess) -> None:
        with connect(server.port) as connection:
            assert inTime(trickle(connection, octets(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 0.2))

    def test_ofHttp2(self, server: ServerProcess) -> None:
        with connect(server.port) as connection:
            block = Http2Peer(connection).h2.encoder.encode([("x", "y" * 1000)])
            frame = HeadersFrame(1, block, flags=["END_HEADERS", "END_STREAM"]).serialize()
            assert inTime(trickle(connection, octets(frame)))


class TestKeepAlive:
    def test_idle(self, server: ServerProcess) -> None:
        with connect(server.port) as connection:
            ask(connection)
            assert inTime(trickle(connection, ()))

    def test_emptyLines(self, server: ServerProcess) -> None:
        """Those that are not an error begin a head, which has its own deadline."""
        with connect(server.port) as connection:
            ask(connection)
            assert trickle(connection, repeat(b"\r\n")).seconds < LATE

    def test_pings(self, server: ServerProcess) -> None:
        """Frames that ask for nothing."""
        with connect(server.port) as connection:
            assert Http2Peer(connection).fetch("/small").status == 200
            assert inTime(trickle(connection, repeat(PingFrame(0, b"12345678").serialize())))


class TestBody:
    @pytest.mark.parametrize("begun", [UPLOAD, UPLOAD + b"x", CHUNKED, CHUNKED + b"5\r\nhel"])
    def test_inactive(self, server: ServerProcess, begun: bytes) -> None:
        with connect(server.port) as connection:
            connection.sendall(begun)
            cut = trickle(connection, ())
        assert inTime(cut)
        assert cut.data.startswith(b"HTTP/1.1 408 ")

    def test_inactiveStream(self, server: ServerProcess) -> None:
        """Whatever else the connection does."""
        with connect(server.port) as connection:
            peer = Http2Peer(connection)
            stream = peer.ask("/echo", method="POST", end=False)
            start = time.monotonic()
            while not peer.streams[stream].isOver:
                assert peer.fetch("/small").status == 200
                time.sleep(0.02)
            assert EARLY < time.monotonic() - start < LATE
            assert peer.streams[stream].status == 408

    def test_tooSlow(self, server: ServerProcess) -> None:
        """An octet every now and then is activity, but not enough: 500 a second, over ten of them."""
        tricklers = [self._slowly, self._slowlyInChunks, self._slowlyOnAStream, self._slowlyOverTls]
        results: list[float] = []

        def run(trickler: Callable[[ServerProcess], Cut]) -> None:
            results.append(trickler(server).seconds)

        threads = [threading.Thread(target=run, args=(each,)) for each in tricklers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        assert len(results) == len(tricklers)
        assert min(results) > WINDOW - 1
        assert max(results) < WINDOW + LATE

    def _slowly(self, server: ServerProcess) -> Cut:
        with connect(server.port) as connection:
            connection.sendall(UPLOAD)
            return trickle(connection, repeat(b"x"))

    def _slowlyInChunks(self, server: ServerProcess) -> Cut:
        with connect(server.port) as connection:
            connection.sendall(CHUNKED)
            return trickle(connection, repeat(b"1\r\nx\r\n"))

    def _slowlyOverTls(self, server: ServerProcess) -> Cut:
        with connectSecurely(server.secure) as connection:
            connection.sendall(UPLOAD)
            return trickle(connection, repeat(b"x"))

    def _slowlyOnAStream(self, server: ServerProcess) -> Cut:
        """The stream is answered, and then the connection is idle."""
        with connect(server.port) as connection:
            peer = Http2Peer(connection)
            stream = peer.ask("/echo", method="POST", end=False)
            start = time.monotonic()
            connection.settimeout(0.1)
            while not peer.streams[stream].isOver:
                connection.sendall(DataFrame(stream, b"x").serialize())
                try:
                    peer.listen()
                except TimeoutError:
                    continue
            return Cut(time.monotonic() - start, b"", False)


PROXIED = """
import sys
from twisted.internet import reactor
from txabstracthttp import AbstractHttpServer, HttpServerConfiguration

class Server(AbstractHttpServer):
    def handleRequest(self, request, socket):
        socket.respond("small")
        return True

server = Server(configuration=HttpServerConfiguration(handshakeTimeout=1, headerTimeout=1))
pem = sys.argv[1]
here = "interface=127.0.0.1"
ports = []

def listening(port):
    ports.append(port.getHost().port)
    if len(ports) == 2:
        print(*ports, flush=True)

server.bind(f"haproxy:tcp:0:{here}").addCallback(listening)
server.bind(f"haproxy:ssl:0:privateKey={pem}:certKey={pem}:{here}").addCallback(listening)
reactor.run()
"""


@pytest.fixture(scope="module")
def ports() -> Iterator[list[int]]:
    arguments = [sys.executable, "-c", PROXIED, str(material().both)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield [int(each) for each in process.stdout.readline().split()]
        finally:
            process.kill()


class TestProxyHeader:
    LINE = b"PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n"

    @pytest.mark.parametrize("data", [b"", LINE, b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + bytes(12)])
    @pytest.mark.parametrize("which", [0, 1])
    def test_trickled(self, ports: list[int], which: int, data: bytes) -> None:
        with connect(ports[which]) as connection:
            cut = trickle(connection, octets(data), 0.1)
        assert inTime(cut)
        assert cut.data == b""

    def test_behindIt(self, ports: list[int]) -> None:
        """The next deadline follows."""
        with connect(ports[0]) as connection:
            connection.sendall(self.LINE)
            assert inTime(trickle(connection, octets(head("/small", "a: " + "b" * 1000))))
        with connect(ports[1]) as connection:
            connection.sendall(self.LINE)
            assert inTime(trickle(connection, octets(HELLO)))


class TestSurvivors:
    """Slow, but not idle.  For a plain download see `test_streaming_end_to_end.py`."""

    @pytest.mark.parametrize("way", ["tcp", "tls", "h2"])
    def test_aSlowHandler(self, server: ServerProcess, way: str) -> None:
        if way == "h2":
            with connect(server.port) as connection:
                assert Http2Peer(connection).fetch("/slow?seconds=2.5").content == b"slow"
            return
        with connect(server.port) if way == "tcp" else connectSecurely(server.secure) as connection:
            connection.sendall(head("/slow?seconds=2.5"))
            assert readResponse(connection)[1] == b"slow"

    def test_aSlowDownloadOverTls(self, server: ServerProcess) -> None:
        context = ssl.create_default_context(cafile=str(material().authority))
        # With much room, the client's own kernel would say nothing for long.
        raw = connect(server.secure, 16384)
        with context.wrap_socket(raw, server_hostname="localhost") as connection:
            connection.sendall(head(f"/big?size={16 * MIB}", "Connection: close"))
            size = 0
            for _ in range(12):
                time.sleep(0.3)
                size += len(connection.recv(16384))
            while more := connection.recv(MIB):
                size += len(more)
        assert size > 16 * MIB

    def test_aSlowDownloadByWindow(self, server: ServerProcess) -> None:
        """A stream that is given a little room every now and then."""
        with connect(server.port) as connection:
            peer = Http2Peer(connection, 1024, LARGEST_WINDOW)
            peer.acknowledges = False
            stream = peer.ask("/big?size=1000000")
            for step in range(1, 13):
                while peer.streams[stream].size < 1024 * step:
                    peer.listen()
                    assert not peer.streams[stream].isOver
                time.sleep(0.3)
                peer.h2.increment_flow_control_window(1024, stream)
                peer.flush()
            peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 2_000_000})
            peer.flush()
            assert peer.wait(stream).size == 1_000_000


def test_drain(tmp_path: Path) -> None:
    """Trickling does not hold up the end, either."""
    with ServerProcess(tmp_path, drainTimeout=1) as process, ExitStack() as stack:
        slow = [stack.enter_context(connect(process.port)) for _ in range(4)]
        for each, data in zip(
            slow, [head("/small")[:20], UPLOAD, CHUNKED, head("/slow?seconds=60")], strict=True
        ):
            each.sendall(data)
        peer = Http2Peer(stack.enter_context(connect(process.port)))
        stream = peer.ask("/echo", method="POST", end=False)
        slow.append(peer.raw)
        start = time.monotonic()
        process.process.send_signal(signal.SIGTERM)
        while process.process.poll() is None:
            assert time.monotonic() - start < 1 + LATE
            for each in slow:
                try:
                    each.send(DataFrame(stream, b"x").serialize() if each is peer.raw else b"x")
                except ConnectionError:
                    pass
            time.sleep(0.05)
        assert process.process.returncode == 0


def ask(connection: socket.socket) -> float:
    """How long it takes to have a small request answered."""
    start = time.monotonic()
    connection.sendall(head("/small"))
    assert readResponse(connection)[1] == b"small"
    return time.monotonic() - start


def askAnew(server: ServerProcess) -> float:
    """The same, with a connection of its own."""
    start = time.monotonic()
    with connect(server.port) as connection:
        ask(connection)
    return time.monotonic() - start


class TestTwoHundred:
    """Of five kinds, at the same time."""

    EACH = 40
    #: For them it is longer, so that there is time to look.
    PATIENT = {**TIMEOUTS, **dict.fromkeys(["handshakeTimeout", "headerTimeout", "writeTimeout"], 4)}

    def test_nobodyElseNotices(self, tmp_path: Path) -> None:
        with ServerProcess(tmp_path, **self.PATIENT) as server, ExitStack() as stack:
            before = statistics.median(askAnew(server) for _ in range(100))
            kinds = [
                (server.port, b"", octets(head("/small", "a: " + "b" * 1000))),
                (server.port, UPLOAD, repeat(b"x")),
                (server.port, head(f"/big?size={256 * MIB}"), repeat(b"")),
                (server.secure, b"", octets(HELLO)),
                (server.secure, b"", repeat(b"")),
            ]
            peers = self._open(stack, kinds)
            eventually(lambda: connections(server) == 5 * self.EACH)
            latencies = []
            start = time.monotonic()
            for _ in range(25):
                self._trickle(peers)
                latencies += [askAnew(server) for _ in range(4)]
                time.sleep(0.05)
            assert time.monotonic() - start > 1
            during = statistics.median(latencies)
            print(f"median before {before * 1000:.2f} ms, meanwhile {during * 1000:.2f} ms")  # noqa: T201
            assert during < max(3 * before, 0.05)
            while connections(server):
                assert time.monotonic() - start < WINDOW + 2 * LATE
                self._trickle(peers)
                time.sleep(0.1)

    def _open(
        self, stack: ExitStack, kinds: list[tuple[int, bytes, Iterator[bytes]]]
    ) -> list[tuple[socket.socket, list[bytes]]]:
        peers = []
        for port, begin, more in kinds:
            pieces = [piece for piece, _ in zip(more, range(1000), strict=False)]
            for _ in range(self.EACH):
                connection = stack.enter_context(connect(port))
                connection.sendall(begin)
                peers.append((connection, list(reversed(pieces))))
        return peers

    def _trickle(self, peers: list[tuple[socket.socket, list[bytes]]]) -> None:
        for connection, pieces in peers:
            try:
                connection.send(pieces.pop() if pieces else b"")
            except ConnectionError:
                pieces.clear()
