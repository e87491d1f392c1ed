"""Answers that nobody reads: neither memory nor time is spent on them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from h2.settings import SettingCodes
from http2peer import LARGEST_WINDOW, Http2Peer
from hyperframe.frame import HeadersFrame
from illwill import connections, eventually, exchange, grown, head, hear, pour, rests
from serverprocess import MIB, ServerProcess, connect, connectSecurely, needsProc, readResponse

pytestmark = [needsProc, pytest.mark.timeout(120)]

REQUESTS = 100_000
#: What memory may grow by; it was found to be a fraction of it.
GROWTH = 8 * MIB
#: Seconds of processor time that may be taken while there is nothing to do but to wait for a cut.
IDLE = 0.1


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("patient")) as process:
        yield process


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("impatient"), writeTimeout=2) as process:
        yield process


def reach(server: ServerProcess, way: str) -> socket.socket:
    """A connection in cleartext or over TLS."""
    if way.endswith("tls"):
        return connectSecurely(server.secure, *(["h2"] if way.startswith("h2") else []))
    return connect(server.port)


def warmUp(server: ServerProcess, way: str) -> int:
    """What is used for the first time takes memory of its own; how much there is then."""
    with reach(server, way) as connection:
        if way.startswith("h2"):
            Http2Peer(connection, MIB, MIB).fetch(f"/big?size={4 * MIB}")
        else:
            connection.sendall(head(f"/big?size={4 * MIB}"))
            readResponse(connection)
    eventually(lambda: connections(server) == 0)
    return server.forgetPeak()


class Answers:
    """Counts them, though they come in pieces."""

    MARK = b"HTTP/1.1 200 OK"

    def __init__(self, expected: int) -> None:
        self._expected, self._rest = expected, b""
        self.count = 0

    def take(self, data: bytes) -> bool:
        """Whether that was the last."""
        data = self._rest + data
        self.count += data.count(self.MARK)
        last = data.rfind(self.MARK)
        behind = data[last + len(self.MARK) :] if last >= 0 else data
        self._rest = behind[-len(self.MARK) + 1 :]
        return self.count >= self._expected and b"small" in behind


class TestPipelining:
    """100,000 requests without a look at the answers."""

    @pytest.mark.parametrize("way", ["tcp", "tls"])
    def test_unread(self, server: ServerProcess, way: str) -> None:
        data = head("/small") * REQUESTS
        before = warmUp(server, way)
        with reach(server, way) as connection:
            sent = pour(connection, data)
            eventually(lambda: rests(server))
            answers = Answers(REQUESTS)
            exchange(connection, data[sent:], answers.take)
        assert answers.count == REQUESTS
        assert grown(server, before) < GROWTH

    def test_behindASlowOne(self, server: ServerProcess) -> None:
        """They wait in the kernel, not here."""
        data = head("/slow?seconds=2") + head("/small") * REQUESTS
        before = warmUp(server, "tcp")
        with connect(server.port) as connection:
            sent = pour(connection, data)
            eventually(lambda: rests(server))
            assert grown(server, before) < GROWTH
            answers = Answers(REQUESTS + 1)
            exchange(connection, data[sent:], answers.take)
        assert answers.count == REQUESTS + 1

    def test_uploadsUnread(self, server: ServerProcess) -> None:
        """With content, which is sent back."""
        data = (head("/echo", "Content-Length: 1024", method="POST") + bytes(1024)) * 20_000
        before = warmUp(server, "tcp")
        with connect(server.port) as connection:
            assert pour(connection, data) < len(data)
            eventually(lambda: rests(server))
        assert grown(server, before) < GROWTH


def manyHeads(peer: Http2Peer, path: str, count: int) -> bytes:
    """So many requests, whatever the library thinks of that."""
    fields = [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "localhost")]
    frames = []
    for stream in range(1, 2 * count, 2):
        frame = HeadersFrame(stream, peer.h2.encoder.encode(fields), flags=["END_HEADERS", "END_STREAM"])
        frames.append(frame.serialize())
    return b"".join(frames)


class TestHttp2Pipelining:
    @pytest.mark.parametrize(
        ("way", "window"), [("h2", 0), ("h2", LARGEST_WINDOW), ("h2tls", LARGEST_WINDOW)]
    )
    def test_unread(self, server: ServerProcess, way: str, window: int) -> None:
        """More than there may be at a time, and more of them than a mistake explains: that is the end."""
        before = warmUp(server, way)
        spent = server.seconds()
        with reach(server, way) as connection:
            peer = Http2Peer(connection, window, LARGEST_WINDOW)
            pour(connection, manyHeads(peer, f"/big?size={MIB}", REQUESTS))
            eventually(lambda: rests(server))
            # GOAWAY, ENHANCE_YOUR_CALM (RFC 9113 section 7)
            assert b"\0\0\x08\x07\0\0\0\0\0" in hear(connection).data
        assert server.seconds() - spent < 3
        assert grown(server, before) < GROWTH


class TestNeverRead:
    """256 MiB that nobody takes, where `writeTimeout` is two seconds."""

    @pytest.mark.parametrize("way", ["tcp", "tls", "h2", "h2tls"])
    def test_cut(self, impatient: ServerProcess, way: str) -> None:
        """A socket that is not read from, whatever was promised."""
        before = warmUp(impatient, way)
        with reach(impatient, way) as connection:
            self._ask(connection, way)
            spent = impatient.seconds()
            eventually(lambda: connections(impatient) == 1)
            lasted = eventually(lambda: connections(impatient) == 0)
            assert impatient.seconds() - spent < IDLE
            assert 1.5 < lasted < 6
        assert grown(impatient, before) < GROWTH

    def _ask(self, connection: socket.socket, way: str) -> None:
        target = f"/big?size={256 * MIB}"
        if way.startswith("h2"):
            Http2Peer(connection, LARGEST_WINDOW, LARGEST_WINDOW).ask(target)
        else:
            connection.sendall(head(target))

    def test_noRoom(self, impatient: ServerProcess) -> None:
        """A stream without room is reset; the connection, which is alive, serves others."""
        before = warmUp(impatient, "h2")
        with connect(impatient.port) as connection:
            peer = Http2Peer(connection, 0)
            stream = peer.ask(f"/big?size={256 * MIB}")
            spent = impatient.seconds()
            lasted = eventually(lambda: bool(peer.listen()) and peer.streams[stream].isOver)
            assert impatient.seconds() - spent < IDLE
            assert peer.streams[stream].reset is not None
            assert 1.5 < lasted < 6
            peer.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 65535})
            assert peer.fetch("/small").content == b"small"
        assert grown(impatient, before) < GROWTH

    def test_manyAtOnce(self, impatient: ServerProcess) -> None:
        """Fifty connections, each of which asks for gigabytes."""
        before = warmUp(impatient, "tcp")
        with ExitStack() as stack:
            peers = [stack.enter_context(connect(impatient.port, 4096)) for _ in range(50)]
            for each in peers:
                each.sendall(head(f"/big?size={256 * MIB}") * 20)
            eventually(lambda: connections(impatient) == 50)
            eventually(lambda: connections(impatient) == 0)
            assert all(hear(each).reset for each in peers)
        assert grown(impatient, before) < 50 * MIB
