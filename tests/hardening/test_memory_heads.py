"""Floods of fields, cookies, arguments and octets in the heads of requests."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import ClassVar

import pytest
from http2peer import Http2Peer
from hyperframe.frame import ContinuationFrame, Frame, HeadersFrame
from illwill import connections, eventually, grown, head, hear, pour
from serverprocess import MIB, ServerProcess, connect, needsProc, readResponse

pytestmark = [needsProc, pytest.mark.timeout(120)]

GROWTH = 4 * MIB
BEGIN = b"GET /small HTTP/1.1\r\nHost: localhost\r\n"
#: What is refused, by its name, and with which status.
FLOODS = {
    "fields of one octet": (BEGIN + b"a:\r\n" * 100_000 + b"\r\n", 431),
    "one field of 16 MiB": (BEGIN + b"a: " + b"x" * (16 * MIB) + b"\r\n\r\n", 431),
    "a name of 16 MiB": (BEGIN + b"x" * (16 * MIB) + b": a\r\n\r\n", 431),
    "cookies": (BEGIN + b"Cookie: a=b; c=d\r\n" * 100_000 + b"\r\n", 431),
    "a cookie of 1 MiB": (BEGIN + b"Cookie: " + b"a=b; " * (MIB // 5) + b"\r\n\r\n", 431),
    "a target of 300 kB": (head("/" + "x" * 300_000), 414),
    "a target of 16 MiB": (head("/" + "x" * (16 * MIB)), 414),
    "a million arguments": (head("/small?" + "a&" * 1_000_000), 414),
    "a method of 16 MiB": (b"G" * (16 * MIB) + b" / HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    "empty lines": (b"\r\n" * 100_000 + head("/small"), 400),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("server")) as process:
        yield process


@pytest.fixture(scope="module")
def generous(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Which takes almost anything."""
    limits = {
        "maximumUrlSize": None,
        "maximumTotalHeaderSize": None,
        "maximumHeaderFieldSize": None,
        "maximumHeaderFieldCount": None,
    }
    with ServerProcess(tmp_path_factory.mktemp("generous"), **limits) as process:
        yield process


def warmUp(server: ServerProcess) -> int:
    """How much memory there is, when nothing is used for the first time any more."""
    with connect(server.port) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nbad\r\n\r\n")
        hear(connection)
    eventually(lambda: connections(server) == 0)
    return server.forgetPeak()


class TestRefused:
    @pytest.mark.parametrize("name", FLOODS)
    def test_atOnce(self, server: ServerProcess, name: str) -> None:
        """Before it is all there, and for next to no memory or time."""
        data, status = FLOODS[name]
        before, spent = warmUp(server), server.seconds()
        with connect(server.port) as connection:
            pour(connection, data)
            # A peer that still sends may lose the answer to a reset; none of these sends for so long.
            assert hear(connection).data.startswith(b"HTTP/1.1 %d " % status)
        assert server.seconds() - spent < 0.3
        assert grown(server, before) < GROWTH

    def test_trailers(self, server: ServerProcess) -> None:
        before, spent = warmUp(server), server.seconds()
        with connect(server.port) as connection:
            connection.sendall(head("/echo", "Transfer-Encoding: chunked", method="POST") + b"0\r\n")
            pour(connection, b"a: b\r\n" * 100_000)
            assert hear(connection).data.startswith(b"HTTP/1.1 431 ")
        assert server.seconds() - spent < 0.3
        assert grown(server, before) < GROWTH

    def test_many(self, server: ServerProcess) -> None:
        """On fifty connections that nobody closes; what was read of a head is not kept."""
        data = FLOODS["fields of one octet"][0]
        before = warmUp(server)
        with ExitStack() as stack:
            for _ in range(50):
                pour(stack.enter_context(connect(server.port)), data)
            eventually(lambda: connections(server) == 0)
        assert grown(server, before) < 16 * MIB


class TestTaken:
    def test_aLargeHeadInPieces(self, server: ServerProcess) -> None:
        """Within all limits, as they are."""
        target, value = "/small?" + "x" * 60_000, "x" * 30_000
        data = head(target, f"a: {value}", f"b: {value}")
        with connect(server.port) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for at in range(0, len(data), 2000):
                connection.sendall(data[at : at + 2000])
                # Not all of it in one segment.
                time.sleep(0.001)
            assert readResponse(connection)[1] == b"small"


class TestHttp2:
    def test_aFewFieldsTooMany(self, server: ServerProcess) -> None:
        """A stream is refused, and others are not."""
        with connect(server.port) as connection:
            peer = Http2Peer(connection)
            fields = [(f"name{number}", "x") for number in range(200)]
            assert peer.wait(peer.ask("/small", *fields)).status == 431
            assert peer.fetch("/small").status == 200

    @pytest.mark.parametrize("end", [True, False])
    def test_continuations(self, server: ServerProcess, end: bool) -> None:
        """16 MiB of one header section."""
        before, spent = warmUp(server), server.seconds()
        with connect(server.port) as connection:
            peer = Http2Peer(connection)
            piece = b"\0\x01a\x01b" * 3276
            frames: list[Frame] = [HeadersFrame(1, piece, flags=["END_STREAM"])]
            frames += [ContinuationFrame(1, piece) for _ in range(1023)]
            if end:
                frames[-1].flags.add("END_HEADERS")
            pour(connection, b"".join(frame.serialize() for frame in frames))
            eventually(lambda: peer.gone or not peer.listen() or peer.gone)
        assert server.seconds() - spent < 0.5
        assert grown(server, before) < GROWTH

    def test_aBombOfReferences(self, server: ServerProcess) -> None:
        """One large field, named by one octet each time after (the HPACK bomb)."""
        before, spent = warmUp(server), server.seconds()
        with connect(server.port) as connection:
            peer = Http2Peer(connection)
            large = peer.h2.encoder.encode([("x", "y" * 4000)])
            again = peer.h2.encoder.encode([("x", "y" * 4000)])
            block = large + again * 12_000
            connection.sendall(HeadersFrame(1, block, flags=["END_STREAM", "END_HEADERS"]).serialize())
            eventually(lambda: peer.gone or not peer.listen() or peer.gone)
        assert server.seconds() - spent < 0.5
        assert grown(server, before) < GROWTH


class TestLinear:
    """Where limits let it through, four times as much takes about four times as long."""

    HEADS: ClassVar[dict[str, Callable[[int], bytes]]] = {
        "fields": lambda n: BEGIN + b"".join(b"n%d: v\r\n" % i for i in range(n)) + b"\r\n",
        "one name": lambda n: BEGIN + b"name: v\r\n" * n + b"\r\n",
        "cookies": lambda n: BEGIN + b"Cookie: a=b\r\n" * n + b"\r\n",
        "a value": lambda n: BEGIN + b"a: " + b"x" * (8 * n) + b"\r\n\r\n",
        "arguments": lambda n: head("/arguments?" + "a=b&" * n),
        "one argument": lambda n: head("/arguments?a=" + "%41" * n),
        "a path": lambda n: head("/small/" + "%41" * n),
        "slashes": lambda n: head("/" + "/.." * n),
    }

    @pytest.mark.parametrize("name", HEADS)
    def test_time(self, generous: ServerProcess, name: str) -> None:
        make, size = self.HEADS[name], 1_000
        self._seconds(generous, make(size))
        small, large = self._seconds(generous, make(size)), self._seconds(generous, make(4 * size))
        # Quadratic would be 16 times; the clock has ticks of 0.01.
        assert large < 8 * (small + 0.05), (small, large)

    def _seconds(self, server: ServerProcess, data: bytes) -> float:
        """Processor time for a hundred of them."""
        before = server.seconds()
        with connect(server.port) as connection:
            for _ in range(100):
                connection.sendall(data)
                readResponse(connection)
        return server.seconds() - before
