"""Clients that are killed, reset, half-closed or silent, at every point of an exchange, over real sockets.

The server goes on, logs nothing, and has in the end what it had before: descriptors, and objects of its own.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from connectionhelpers import get
from hardening.faultscripts import SCRIPTS, answerOf, cuts, drop, settle, ssl1, warmUp
from hardening.faultsvictim import VICTIM
from serverprocess import PATIENCE, ServerProcess, connect, connectSecurely, needsProc
from tlsmaterial import material

pytestmark = needsProc

#: So many connections are there at the same time.
BATCH = 50

needsCurl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, dict[str, Any]]]:
    with ServerProcess(tmp_path_factory.mktemp("faults")) as server:
        yield server, warmUp(server)


@pytest.fixture
def server(running: tuple[ServerProcess, dict[str, Any]]) -> Iterator[ServerProcess]:
    """One that is held to what it had before."""
    server, before = running
    yield server
    settle(server, before)


def batches(points: Any) -> Iterator[list[int]]:
    """All points, some at a time."""
    points = list(points)
    for start in range(0, len(points), BATCH):
        yield points[start : start + BATCH]


class TestResets:
    @pytest.mark.parametrize("how", ["reset", "close"])
    @pytest.mark.parametrize("name", SCRIPTS)
    def test_whileItSpeaks(self, server: ServerProcess, name: str, how: str) -> None:
        for points in batches([0, *cuts(SCRIPTS[name])]):
            connections = [connect(server.port) for _ in points]
            for connection, size in zip(connections, points, strict=True):
                connection.sendall(SCRIPTS[name][:size])
            for connection in connections:
                drop(connection) if how == "reset" else connection.close()

    def test_whileItReads(self, server: ServerProcess) -> None:
        for size in (0, 1, 100, 1000, 65_536, 1_000_000, 2_999_000):
            connection = connect(server.port)
            connection.sendall(get("/big?size=3000000"))
            left = size
            while left > 0:
                left -= len(connection.recv(min(left, 65536)))
            drop(connection)

    def test_behindEachAnswer(self, server: ServerProcess) -> None:
        """In the middle of a conversation that is kept alive."""
        for size in cuts(SCRIPTS["POST"]):
            connection = connect(server.port)
            connection.sendall(SCRIPTS["GET"])
            assert connection.recv(65536).startswith(b"HTTP/1.1 200")
            connection.sendall(SCRIPTS["POST"][:size])
            drop(connection)

    def test_whileTlsBegins(self, server: ServerProcess) -> None:
        hello = ssl1()
        for points in batches([0, *cuts(hello)]):
            connections = [connect(server.secure) for _ in points]
            for connection, size in zip(connections, points, strict=True):
                connection.sendall(hello[:size])
            for connection in connections:
                drop(connection)

    @pytest.mark.parametrize("name", ["GET", "chunked", "WebSocket", "HTTP/2"])
    def test_withinTls(self, server: ServerProcess, name: str) -> None:
        script = SCRIPTS[name]
        for size in range(1, len(script) + 1, 1 + len(script) // 16):
            connection = connectSecurely(server.secure, "h2" if name == "HTTP/2" else "http/1.1")
            connection.sendall(script[:size])
            drop(connection)


#: How the answers to a whole script begin, and how many there are.
ANSWERS = {"GET": 1, "two": 2, "POST": 1, "chunked": 1, "mirror": 1, "expect": 1}


class TestHalfClosed:
    """The peer has sent its last, and listens."""

    @pytest.mark.parametrize("name", SCRIPTS)
    def test_anywhere(self, server: ServerProcess, name: str) -> None:
        """It hears the end of it in any case; and an answer, if it has asked for one."""
        script = SCRIPTS[name]
        for points in batches(cuts(script)):
            connections = [connect(server.port) for _ in points]
            for connection, size in zip(connections, points, strict=True):
                connection.sendall(script[:size])
                connection.shutdown(socket.SHUT_WR)
            for connection, size in zip(connections, points, strict=True):
                with connection:
                    self._judge(name, size, answerOf(connection))

    def _judge(self, name: str, size: int, answer: bytes) -> None:
        if name not in ANSWERS:
            return
        complete = size == len(SCRIPTS[name])
        whole = ANSWERS[name] if complete else int(name == "two" and size >= len(SCRIPTS["GET"]))
        assert answer.count(b"HTTP/1.1 200") >= whole, (size, answer)
        if complete:
            assert answer.count(b"HTTP/1.1 200") == whole, answer
            assert b"HTTP/1.1 4" not in answer, answer

    def test_aLateAnswer(self, server: ServerProcess) -> None:
        with connect(server.port) as connection:
            connection.sendall(get("/slow?seconds=0.2"))
            connection.shutdown(socket.SHUT_WR)
            assert answerOf(connection).endswith(b"slow")

    def test_aLongAnswer(self, server: ServerProcess) -> None:
        with connect(server.port) as connection:
            connection.sendall(get("/big?size=3000000"))
            connection.shutdown(socket.SHUT_WR)
            assert len(answerOf(connection).partition(b"\r\n\r\n")[2]) == 3_000_000

    def test_andThenReset(self, server: ServerProcess) -> None:
        for points in batches(cuts(SCRIPTS["chunked"])):
            connections = [connect(server.port) for _ in points]
            for connection, size in zip(connections, points, strict=True):
                connection.sendall(SCRIPTS["chunked"][:size])
                connection.shutdown(socket.SHUT_WR)
            for connection in connections:
                drop(connection)


#: All that there is to wait for, in a hurry.
HURRY: dict[str, Any] = {
    "handshakeTimeout": 0.5,
    "headerTimeout": 0.5,
    "bodyTimeout": 0.5,
    "keepAliveTimeout": 0.5,
    "writeTimeout": 1,
    "closeTimeout": 0.5,
    "webSocketPingInterval": 0.5,
    "webSocketPingTimeout": 0.5,
}


def test_vanished(tmp_path: Path) -> None:
    """They neither speak nor read any more, and nobody says that they have gone: deadlines find out."""
    with ServerProcess(tmp_path, **HURRY) as server:
        before = warmUp(server)
        connections = []
        for script in SCRIPTS.values():
            for size in range(0, len(script) + 1, 1 + len(script) // 8):
                connections.append(connect(server.port, receiveBuffer=4096))
                connections[-1].sendall(script[:size])
        connections.append(connect(server.port, receiveBuffer=4096))
        connections[-1].sendall(get("/big?size=30000000"))
        for size in (0, 1, 100):
            connections.append(connect(server.secure))
            connections[-1].sendall(ssl1()[:size])
        settle(server, before)
        for connection in connections:
            connection.close()


class Killed:
    """A client in a process of its own, and its sudden end."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        )

    def read(self, size: int) -> None:
        """It has got so much."""
        assert self.process.stdout is not None
        assert len(self.process.stdout.read(size)) == size

    def write(self, size: int) -> None:
        """It has sent about so much."""
        assert self.process.stdin is not None
        self.process.stdin.write(bytes(size))
        self.process.stdin.flush()

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        self.process.wait(PATIENCE)


CURL = ["curl", "-s", "-N", "--max-time", str(PATIENCE), "--cacert", str(material().authority)]
WAYS = {
    "HTTP/1.1": ["--http1.1"],
    "HTTP/2": ["--http2-prior-knowledge"],
    "TLS": ["--http1.1"],
    "TLS, HTTP/2": ["--http2"],
}


def address(server: ServerProcess, way: str, path: str) -> str:
    """Where curl finds it."""
    if way.startswith("TLS"):
        return f"https://localhost:{server.secure}{path}"
    return f"http://127.0.0.1:{server.port}{path}"


@needsCurl
@pytest.mark.parametrize("way", WAYS)
class TestKilled:
    def test_downloading(self, server: ServerProcess, way: str) -> None:
        url = address(server, way, "/big?size=1000000000")
        clients = [Killed(*CURL, *WAYS[way], url) for _ in range(3)]
        for client in clients:
            client.read(500_000)
        for client in clients:
            client.kill()

    @pytest.mark.parametrize("path", ["/count", "/mirror", "/echo"])
    def test_uploading(self, server: ServerProcess, way: str, path: str) -> None:
        client = Killed(*CURL, *WAYS[way], "-o", "/dev/null", "-T", "-", address(server, way, path))
        client.write(2_000_000)
        client.kill()


@pytest.mark.parametrize("how", ["idle", "sending", "fragment"])
def test_killedWebSocket(server: ServerProcess, how: str) -> None:
    clients = [Killed(sys.executable, "-c", VICTIM, str(server.port), how) for _ in range(3)]
    for client in clients:
        client.read(len("open\n"))
    for client in clients:
        client.kill()
