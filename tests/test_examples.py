"""The examples do what they say."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "docs" / "examples"
PATIENCE = 20.0
MIB = 1024 * 1024

pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are not here")


@contextmanager
def running(name: str) -> Iterator[int]:
    """An example in a process of its own; on which port it serves."""
    process = subprocess.Popen(
        [sys.executable, "-W", "error", str(EXAMPLES / name), "0"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.stderr.read() if process.stderr else ""
        yield int(line.rstrip("/\n").rpartition(":")[2])
    finally:
        process.terminate()
        errors = process.communicate(timeout=PATIENCE)[1]
    assert "Traceback" not in errors, errors


@pytest.fixture(scope="module")
def upgrade() -> Iterator[int]:
    with running("upgrade.py") as port:
        yield port


@pytest.fixture(scope="module")
def tunnel() -> Iterator[int]:
    with running("tunnel.py") as port:
        yield port


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def readUntil(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while not data.endswith(end):
        more = connection.recv(65536)
        assert more, data
        data += more
    return data


def ask(port: int, request: str) -> bytes:
    """The whole answer, for a connection that closes behind it."""
    with connect(port) as connection:
        connection.sendall(request.encode())
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


class TestUpgrade:
    request = "GET / HTTP/1.1\r\nHost: x\r\nConnection: {}\r\nUpgrade: {}\r\n\r\n"

    @pytest.mark.parametrize(("connection", "upgrade_"), [("upgrade", "mirror"), ("Upgrade", "h9, Mirror")])
    def test_mirror(self, upgrade: int, connection: str, upgrade_: str) -> None:
        with connect(upgrade) as mirror:
            mirror.sendall(self.request.format(connection, upgrade_).encode() + b"early\nbi")
            answer = readUntil(mirror, b"ylrae\n")
            assert answer.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
            assert answer.count(b"HTTP/") == 1
            mirror.sendall(b"rd\nGET / HTTP/1.1\n")
            assert readUntil(mirror, b"1.1/PTTH / TEG\n"[::1]) == b"drib\n1.1/PTTH / TEG\n"

    def test_theClientsWord(self, upgrade: int) -> None:
        """HTTP goes on until it is upgraded."""
        plain = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        answer = ask(upgrade, plain * 2 + self.request.format("upgrade", "mirror"))
        assert answer.count(b"HTTP/1.1 426 Upgrade Required\r\n") == 2
        assert answer.count(b"HTTP/1.1 101 ") == 1

    @pytest.mark.parametrize("wanted", ["websocket2", "mirrors", "mirror/1"])
    def test_somethingElse(self, upgrade: int, wanted: str) -> None:
        answer = ask(upgrade, self.request.format("upgrade", wanted))
        assert answer.startswith(b"HTTP/1.1 426 ")
        assert b"\r\nUpgrade: mirror\r\n" in answer

    def test_http10CannotUpgrade(self, upgrade: int) -> None:
        request = self.request.format("upgrade", "mirror").replace("1.1", "1.0")
        assert ask(upgrade, request).startswith(b"HTTP/1.1 426 ")


@contextmanager
def serving(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server of one connection; its port."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(PATIENCE)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.settimeout(PATIENCE)
                talk(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(PATIENCE)
        assert not thread.is_alive()


def connectTo(target: str) -> str:
    return f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n"


class TestTunnel:
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST"])
    def test_bothWays(self, tunnel: int, host: str) -> None:
        def talk(connection: socket.socket) -> None:
            connection.sendall(b"220 hello\n")
            line = readUntil(connection, b"\n")
            connection.sendall(line.upper())
            assert connection.recv(1) == b""

        with serving(talk) as far, connect(tunnel) as near:
            near.sendall(connectTo(f"{host}:{far}").encode() + b"ear")
            assert readUntil(near, b"220 hello\n").startswith(b"HTTP/1.1 200 Connection established\r\n\r\n")
            near.sendall(b"ly\n")
            assert readUntil(near, b"\n") == b"EARLY\n"
            near.close()

    def test_theFarEndCloses(self, tunnel: int) -> None:
        with serving(lambda connection: connection.sendall(b"bye" * 100_000)) as far, connect(tunnel) as near:
            near.sendall(connectTo(f"127.0.0.1:{far}").encode())
            data = b"".join(iter(lambda: near.recv(65536), b""))
            assert data.partition(b"\r\n\r\n")[2] == b"bye" * 100_000

    def test_much(self, tunnel: int) -> None:
        """Through ends of which one is slower than the other."""
        content = bytes(range(256)) * (16 * MIB // 256)
        received = bytearray()

        def talk(connection: socket.socket) -> None:
            while len(received) < len(content):
                received.extend(connection.recv(65536))
            connection.sendall(content)

        with serving(talk) as far, connect(tunnel) as near:
            near.sendall(connectTo(f"127.0.0.1:{far}").encode())
            readUntil(near, b"\r\n\r\n")
            near.sendall(content)
            back = b"".join(iter(lambda: near.recv(65536), b""))
        assert received == content
        assert back == content

    @pytest.mark.parametrize(
        "target", ["example.com:80", "192.0.2.1:80", "0.0.0.0:80", "[::ffff:127.0.0.1]:80", "127.1:80"]
    )
    def test_elsewhere(self, tunnel: int, target: str) -> None:
        assert ask(tunnel, connectTo(target)).startswith(b"HTTP/1.1 403 ")

    def test_nobodyThere(self, tunnel: int) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as listener:
            port = listener.getsockname()[1]
        assert ask(tunnel, connectTo(f"127.0.0.1:{port}")).startswith(b"HTTP/1.1 502 ")

    def test_anythingElse(self, tunnel: int) -> None:
        assert ask(tunnel, "GET / HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("name", ["upgrade.py", "tunnel.py"])
def test_short(name: str) -> None:
    """One can read it."""
    assert len((EXAMPLES / name).read_text().splitlines()) < 80
