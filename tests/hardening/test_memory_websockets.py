"""WebSockets that bring too much, or take nothing.  More of it is in `test_websocket_end_to_end.py`."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Iterator

import pytest
from illwill import connections, eventually, grown, hear, pour, rests
from serverprocess import MIB, ServerProcess, connect, connectSecurely, needsProc
from websockethelpers import BINARY, CONTINUATION, frame, parseFrames, parseHandshake, ping, upgrade

pytestmark = [needsProc, pytest.mark.timeout(120)]

GROWTH = 8 * MIB
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    limits = {"perMessageDeflate": True, "writeTimeout": 2, "closeTimeout": 1}
    with ServerProcess(tmp_path_factory.mktemp("server"), **limits) as process:
        yield process


def shake(server: ServerProcess, way: str = "tcp", *fields: str) -> socket.socket:
    """A WebSocket on a bare connection, to which nothing was sent yet."""
    connection = connect(server.port) if way == "tcp" else connectSecurely(server.secure)
    connection.sendall(upgrade("/chat", *fields))
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    assert parseHandshake(data)[0].status == 101
    return connection


def warmUp(server: ServerProcess, way: str = "tcp") -> int:
    """What is used for the first time takes memory of its own; how much there is then."""
    with shake(server, way, DEFLATE) as connection:
        connection.sendall(frame(BINARY, bytes(900_000)))
        assert connection.recv(1)
    eventually(lambda: connections(server) == 0)
    return server.forgetPeak()


def closeCode(connection: socket.socket) -> int:
    """That of the last frame that comes."""
    return int.from_bytes(parseFrames(hear(connection).data)[-1].payload[:2], "big")


@pytest.mark.parametrize("way", ["tcp", "tls"])
def test_aLargeMessage(server: ServerProcess, way: str) -> None:
    """Refused by its header, and not read."""
    before = warmUp(server, way)
    data = frame(BINARY, bytes(64 * MIB))
    with shake(server, way) as connection:
        connection.sendall(data[:65536])
        assert closeCode(connection) == 1009
    with shake(server, way) as connection:
        pour(connection, data)
    eventually(lambda: connections(server) == 0)
    assert grown(server, before) < GROWTH


def test_aLargeMessageInFragments(server: ServerProcess) -> None:
    before = warmUp(server)
    piece = frame(CONTINUATION, bytes(65536), fin=False)
    with shake(server) as connection:
        connection.sendall(frame(BINARY, b"", fin=False) + piece * 17)
        assert closeCode(connection) == 1009
    assert grown(server, before) < GROWTH


def test_emptyFragments(server: ServerProcess) -> None:
    """A million of them are no message, and cost nothing but their time."""
    before = warmUp(server)
    with shake(server) as connection:
        connection.sendall(frame(BINARY, b"", fin=False))
        pour(connection, frame(CONTINUATION, b"", fin=False) * 1_000_000)
        eventually(lambda: rests(server), 60)
    eventually(lambda: connections(server) == 0)
    assert grown(server, before) < GROWTH


@pytest.mark.parametrize("way", ["tcp", "tls"])
def test_pings(server: ServerProcess, way: str) -> None:
    """64 MiB of them by a peer that takes no answer: it is not read from, and dropped."""
    before = warmUp(server, way)
    with shake(server, way) as connection:
        data = ping(bytes(125)) * (64 * MIB // 131)
        assert pour(connection, data) < len(data)
        eventually(lambda: connections(server) == 0)
    assert grown(server, before) < GROWTH


def test_bombs(server: ServerProcess) -> None:
    """A hundred at once, of 64 MiB each."""
    compressor = zlib.compressobj(9, wbits=-15)
    bomb = compressor.compress(bytes(64 * MIB)) + compressor.flush(zlib.Z_SYNC_FLUSH)
    before = warmUp(server)
    peers = [shake(server, "tcp", DEFLATE) for _ in range(100)]
    for each in peers:
        each.sendall(frame(BINARY, bomb[:-4], rsv=4))
    # Not all that comes: those who wait for the end of another are cut meanwhile.
    codes = [int.from_bytes(parseFrames(each.recv(65536))[-1].payload[:2], "big") for each in peers]
    for each in peers:
        each.close()
    assert codes == [1009] * 100
    assert grown(server, before) < 16 * MIB
