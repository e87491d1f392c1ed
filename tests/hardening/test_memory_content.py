"""Content that comes: more than is allowed, faster than it is taken, or on a hundred streams at once."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from http2peer import Http2Peer
from illwill import connections, eventually, exchange, grown, head, hear, pour, rests
from serverprocess import MIB, ServerProcess, connect, connectSecurely, needsProc, readResponse

pytestmark = [needsProc, pytest.mark.timeout(120)]

MUCH = 256 * MIB
#: What memory may grow by, whatever passes through it.
GROWTH = 32 * MIB
CHUNK = b"10000\r\n" + bytes(65536) + b"\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("ordinary")) as process:
        yield process


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[ServerProcess]:
    """One that has no memory to spare from what went before."""
    with ServerProcess(tmp_path) as process:
        yield process


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    limits = {"maximumBodySize": MIB, "writeTimeout": 2, "closeTimeout": 1}
    with ServerProcess(tmp_path_factory.mktemp("strict"), **limits) as process:
        yield process


def reach(server: ServerProcess, way: str) -> socket.socket:
    """A connection in cleartext or over TLS."""
    if way.endswith("tls"):
        return connectSecurely(server.secure, *(["h2"] if way.startswith("h2") else []))
    return connect(server.port)


def warmUp(server: ServerProcess, way: str, size: int = MIB // 2) -> int:
    """What is used for the first time takes memory of its own; how much there is then."""
    with reach(server, way) as connection:
        if way.startswith("h2"):
            send(Http2Peer(connection, MIB, MIB), "/relay", size)
        else:
            connection.sendall(head("/relay", "Connection: close", f"Content-Length: {size}", method="POST"))
            exchange(connection, bytes(size), lambda _: False)
    eventually(lambda: connections(server) == 0)
    return server.forgetPeak()


def send(peer: Http2Peer, path: str, size: int) -> int:
    """Send so much there, and read what comes; how much that was."""
    stream, left = peer.ask(path, method="POST", end=False), size
    while left and not peer.streams[stream].isOver:
        left = peer.upload(stream, left)
        if left:
            peer.listen()
    if not left:
        peer.h2.end_stream(stream)
        peer.flush()
    return peer.wait(stream).size


class TestOverTheLimit:
    """One MiB is the limit here."""

    @pytest.mark.parametrize("way", ["tcp", "tls"])
    def test_declared(self, strict: ServerProcess, way: str) -> None:
        """The answer does not wait for the content, and what still comes is not kept."""
        before = warmUp(strict, way)
        with reach(strict, way) as connection:
            connection.sendall(head("/echo", f"Content-Length: {1 << 40}", method="POST"))
            pour(connection, bytes(4 * MIB))
            if way == "tcp":
                assert hear(connection).data.startswith(b"HTTP/1.1 413 ")
        eventually(lambda: connections(strict) == 0)
        assert grown(strict, before) < 4 * MIB

    def test_expected(self, strict: ServerProcess) -> None:
        """Who asks first is not told to continue."""
        fields = ("Content-Length: 1048577", "Expect: 100-continue")
        with connect(strict.port) as connection:
            connection.sendall(head("/echo", *fields, method="POST"))
            assert hear(connection).data.startswith(b"HTTP/1.1 413 ")

    @pytest.mark.parametrize("way", ["tcp", "tls"])
    def test_chunked(self, strict: ServerProcess, way: str) -> None:
        """It could go on for ever."""
        before = warmUp(strict, way)
        with reach(strict, way) as connection:
            connection.sendall(head("/echo", "Transfer-Encoding: chunked", method="POST"))
            sent = pour(connection, CHUNK * 1024)
            # Over TLS more is read until it is cut, since the peer's own end of TLS is waited for.
            assert way == "tls" or sent < len(CHUNK) * 1024
            eventually(lambda: rests(strict))
            eventually(lambda: connections(strict) == 0)
        assert grown(strict, before) < 4 * MIB

    def test_chunkedIsAnswered(self, strict: ServerProcess) -> None:
        with connect(strict.port) as connection:
            connection.sendall(head("/echo", "Transfer-Encoding: chunked", method="POST"))
            connection.sendall(CHUNK * 17)
            assert hear(connection).data.startswith(b"HTTP/1.1 413 ")

    @pytest.mark.parametrize("declared", [True, False])
    def test_http2(self, strict: ServerProcess, declared: bool) -> None:
        """The stream ends, and the connection goes on."""
        before = warmUp(strict, "h2")
        with connect(strict.port) as connection:
            peer = Http2Peer(connection)
            fields = [("content-length", str(1 << 40))] if declared else []
            stream, left = peer.ask("/echo", *fields, method="POST", end=False), 8 * MIB
            while not peer.streams[stream].isOver:
                if not declared:
                    left = peer.upload(stream, left)
                peer.listen()
            assert peer.streams[stream].status == 413
            assert left > 6 * MIB
            assert peer.fetch("/small").content == b"small"
        assert grown(strict, before) < 4 * MIB


class TestBothWays:
    """256 MiB in and out at the same time, as fast as can be."""

    def test_tcp(self, server: ServerProcess) -> None:
        before = warmUp(server, "tcp")
        with connect(server.port) as connection:
            fields = ("Connection: close", f"Content-Length: {MUCH}")
            connection.sendall(head("/mirror", *fields, method="POST"))
            assert self._takeWhileSending(connection) > MUCH
        assert grown(server, before) < GROWTH

    def _takeWhileSending(self, connection: socket.socket) -> int:
        def upload() -> None:
            piece = bytes(MIB)
            for _ in range(MUCH // MIB):
                connection.sendall(piece)

        thread = threading.Thread(target=upload)
        thread.start()
        buffer, size = bytearray(MIB), 0
        while more := connection.recv_into(buffer):
            size += more
        thread.join()
        return size

    def test_tls(self, server: ServerProcess) -> None:
        before = warmUp(server, "tls")
        size = 0

        def take(data: bytes) -> bool:
            nonlocal size
            size += len(data)
            return False

        with connectSecurely(server.secure) as connection:
            fields = ("Connection: close", f"Content-Length: {MUCH}")
            connection.sendall(head("/relay", *fields, method="POST"))
            exchange(connection, bytes(MUCH), take)
        assert size > MUCH
        assert grown(server, before) < GROWTH

    # h2 as a client needs four times as long for it through TLS.
    @pytest.mark.parametrize(("way", "size"), [("h2", MUCH), ("h2tls", MUCH // 4)])
    def test_http2(self, server: ServerProcess, way: str, size: int) -> None:
        before = warmUp(server, way)
        with reach(server, way) as connection:
            assert send(Http2Peer(connection, MIB, 8 * MIB), "/relay", size) == size
        assert grown(server, before) < GROWTH

    @pytest.mark.parametrize("way", ["tcp", "tls"])
    def test_unread(self, server: ServerProcess, way: str) -> None:
        """Who does not take what is sent back cannot send, either."""
        before = warmUp(server, way)
        with reach(server, way) as connection:
            connection.sendall(head("/relay", f"Content-Length: {MUCH}", method="POST"))
            assert pour(connection, bytes(MUCH)) < 64 * MIB
            assert rests(server)
        assert grown(server, before) < GROWTH

    def test_http2Unread(self, server: ServerProcess) -> None:
        """Its window closes."""
        before = warmUp(server, "h2")
        with connect(server.port) as connection:
            peer = Http2Peer(connection)
            peer.acknowledges = False
            stream, left = peer.ask("/relay", method="POST", end=False), MUCH
            connection.settimeout(0.5)
            try:
                while left:
                    left = peer.upload(stream, left)
                    peer.listen()
            except TimeoutError:
                pass
            assert MUCH - left < 4 * MIB
            assert rests(server)
        assert grown(server, before) < GROWTH


#: What requests may keep together, of 32 MiB each: those that collect, one that is complete, and once more
#: while its pieces are put together.  The rest is for the allocator.
KEPT = 128 * MIB


class TestCollected:
    """Requests with almost as much content as is collected for one."""

    STREAMS, SIZE, ENOUGH = 100, 31 * MIB, 4

    def test_oneAfterTheOther(self, fresh: ServerProcess) -> None:
        """On one connection of HTTP/1.1; nothing is left of those that were answered."""
        before = warmUp(fresh, "tcp")
        with connect(fresh.port) as connection:
            for _ in range(8):
                connection.sendall(head("/length", f"Content-Length: {self.SIZE}", method="POST"))
                connection.sendall(bytes(self.SIZE))
                assert int(readResponse(connection)[1]) == self.SIZE
        assert grown(fresh, before) < KEPT

    def test_onAHundredStreams(self, fresh: ServerProcess) -> None:
        """They are kept for within bounds, and yet some become complete."""
        before = warmUp(fresh, "h2")
        with connect(fresh.port) as connection:
            peer = Http2Peer(connection)
            left = {peer.ask("/length", method="POST", end=False): self.SIZE for _ in range(self.STREAMS)}
            while sum(peer.streams[each].ended for each in left) < self.ENOUGH:
                if not self._uploadTo(peer, left):
                    peer.listen()
            answers = [peer.streams[each] for each in left if peer.streams[each].ended]
            assert {(each.status, each.content) for each in answers} == {(200, b"%d" % self.SIZE)}
            assert not any(each.reset for each in peer.streams.values())
        assert grown(fresh, before) < KEPT

    def _uploadTo(self, peer: Http2Peer, left: dict[int, int]) -> bool:
        """A piece for each that has room; whether there was one."""
        ready = [stream for stream, size in left.items() if size and peer.room(stream) > 0]
        for stream in ready:
            piece = min(left[stream], 16384)
            left[stream] -= piece - peer.upload(stream, piece)
            if not left[stream]:
                peer.h2.end_stream(stream)
                peer.flush()
        return bool(ready)
