"""Much of it, over real sockets: a server in a process of its own, whose memory and manners are watched."""

from __future__ import annotations

import hashlib
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from serverprocess import connect, connectSecurely, readResponse
from tlsmaterial import material

MIB = 1024 * 1024
MUCH = 256 * MIB
#: What the server's memory may grow by, whatever passes through it.
GROWTH = 32 * MIB
PATIENCE = 30.0

needsCurl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
needsProc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")

SERVER = """
import sys
from hashlib import sha256
from twisted.internet import reactor
from twisted.internet.interfaces import IPullProducer
from twisted.logger import globalLogBeginner, textFileLogObserver
from twisted.internet.protocol import Protocol
from zope.interface import implementer
from txabstracthttp import AbstractHttpServer, HttpServerConfiguration

PIECE = bytes(range(256)) * 256

@implementer(IPullProducer)
class Pieces:
    def __init__(self, socket, size):
        self.socket, self.left = socket, size
        socket.begin(headers={"Content-Length": str(size)} if size < 1 << 30 else None)
        socket.registerProducer(self, False)

    def resumeProducing(self):
        piece = PIECE[: self.left]
        self.left -= len(piece)
        self.socket.write(piece)
        if not self.left:
            self.socket.unregisterProducer()
            self.socket.finish()

    def stopProducing(self):
        ended.append("cut")

class Count(Protocol):
    def __init__(self, socket):
        self.socket, self.size = socket, 0

    def dataReceived(self, data):
        self.size += len(data)

    def connectionLost(self, reason):
        self.socket.respond(str(self.size))

ended = []

class Server(AbstractHttpServer):
    def streamsBody(self, request):
        return True

    def handleRequest(self, request, socket):
        if request.path == "/big":
            Pieces(socket, int(request.query["size"]))
        elif request.path == "/file":
            socket.sendFile(request.query["name"])
        elif request.path == "/count":
            request.deliverBody(Count(socket))
        elif request.path == "/digest":
            return self.digest(request, socket)
        elif request.path == "/ended":
            socket.respond(list(ended))
        elif request.path == "/abort":
            socket.write(b"this is not all")
            reactor.callLater(0.1, socket.abortConnection)
        else:
            socket.respond("small")
        return True

    async def digest(self, request, socket):
        digest = sha256()
        async for piece in request:
            digest.update(piece)
        socket.respond(digest.hexdigest())
        return True

globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
ordinary = Server()
impatient = Server(configuration=HttpServerConfiguration(writeTimeout=1))
ports = [ordinary.listen("127.0.0.1"), impatient.listen("127.0.0.1")]
ordinary.sslSetup(sys.argv[1])
print(*ports, ordinary.listen("127.0.0.1"), flush=True)
reactor.run()
"""


class Process:
    """The server.

    :ivar port: where it serves.
    :ivar impatient: where it does so with a `writeTimeout` of one second.
    :ivar secure: where it does so through TLS.
    """

    def __init__(self, folder: Path) -> None:
        script = folder / "server.py"
        script.write_text(SERVER)
        self.log = (folder / "log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(material().both)],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        assert self.process.stdout is not None
        self.port, self.impatient, self.secure = map(int, self.process.stdout.readline().split())

    def memory(self, name: str) -> int:
        """`VmRSS`, what it has in memory now; or `VmHWM`, the most that it ever had."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise LookupError(name)

    def forgetPeak(self) -> int:
        """Begin `VmHWM` anew (proc(5), clear_refs), and return what is in memory now."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        return self.memory("VmRSS")

    def stop(self) -> str:
        """End it, and return what it has logged."""
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE)
        with self.log:
            self.log.seek(0)
            return self.log.read()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    process = Process(tmp_path_factory.mktemp("server"))
    yield process
    log = process.stop()
    assert "Traceback" not in log, log


def head(target: str, *fields: str, method: str = "GET") -> bytes:
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: localhost", *fields, "", ""]).encode()


def ask(connection: socket.socket) -> float:
    """How long it takes to have a small request answered."""
    start = time.monotonic()
    connection.sendall(head("/small"))
    assert readResponse(connection)[1] == b"small"
    return time.monotonic() - start


def drain(connection: socket.socket, until: int | None = None) -> int:
    """Read as fast as can be; how much it was."""
    size = 0
    buffer = bytearray(MIB)
    while until is None or size < until:
        more = connection.recv_into(buffer)
        if not more:
            break
        size += more
    return size


def warmUp(server: Process) -> None:
    """What is used for the first time takes memory of its own."""
    with connect(server.port) as connection:
        connection.sendall(head(f"/big?size={8 * MIB}", "Connection: close"))
        drain(connection)
    with connect(server.port) as connection:
        connection.sendall(head("/count", f"Content-Length: {8 * MIB}", method="POST"))
        connection.sendall(b"x" * (8 * MIB))
        readResponse(connection)


@needsProc
class TestMemory:
    def test_download(self, server: Process) -> None:
        warmUp(server)
        before = server.forgetPeak()
        with connect(server.port) as connection:
            connection.sendall(head(f"/big?size={MUCH}", "Connection: close"))
            assert drain(connection) > MUCH
        assert server.memory("VmHWM") - before < GROWTH

    def test_chunkedDownload(self, server: Process) -> None:
        """Endless, as far as the client is concerned."""
        warmUp(server)
        before = server.forgetPeak()
        with connect(server.port) as connection:
            connection.sendall(head(f"/big?size={1 << 40}"))
            assert drain(connection, MUCH) >= MUCH
        assert server.memory("VmHWM") - before < GROWTH

    def test_file(self, server: Process, tmp_path: Path) -> None:
        warmUp(server)
        big = tmp_path / "big"
        with big.open("wb") as file:
            file.truncate(MUCH)
        before = server.forgetPeak()
        with connect(server.port) as connection:
            connection.sendall(head(f"/file?name={big}", "Connection: close"))
            assert drain(connection) > MUCH
        assert server.memory("VmHWM") - before < GROWTH

    @pytest.mark.parametrize("path", ["/count", "/digest"])
    def test_upload(self, server: Process, path: str) -> None:
        warmUp(server)
        before = server.forgetPeak()
        piece = b"x" * MIB
        with connect(server.port) as connection:
            connection.sendall(head(path, f"Content-Length: {MUCH}", method="POST"))
            for _ in range(MUCH // MIB):
                connection.sendall(piece)
            content = readResponse(connection)[1]
        if path == "/count":
            assert int(content) == MUCH
        else:
            assert len(content) == 64
        assert server.memory("VmHWM") - before < GROWTH

    def test_throughTls(self, server: Process) -> None:
        size = 64 * MIB
        with connectSecurely(server.secure) as connection:
            connection.sendall(head("/small"))
            readResponse(connection)
        warmUp(server)
        before = server.forgetPeak()
        with connectSecurely(server.secure) as connection:
            connection.sendall(head(f"/big?size={size}"))
            assert len(readResponse(connection)[1]) == size
            connection.sendall(head("/count", f"Content-Length: {size}", method="POST"))
            for _ in range(size // MIB):
                connection.sendall(b"x" * MIB)
            assert int(readResponse(connection)[1]) == size
        assert server.memory("VmHWM") - before < GROWTH

    def test_throughTlsToAPeerThatDoesNotRead(self, server: Process) -> None:
        warmUp(server)
        before = server.forgetPeak()
        with connectSecurely(server.secure) as connection:
            connection.sendall(head(f"/big?size={MUCH}"))
            time.sleep(0.5)
            assert server.memory("VmHWM") - before < GROWTH

    def test_aPeerThatDoesNotRead(self, server: Process) -> None:
        """Whatever it asks for, over and over."""
        warmUp(server)
        before = server.forgetPeak()
        connections = [connect(server.port, 4096) for _ in range(20)]
        for connection in connections:
            connection.sendall(head(f"/big?size={MUCH}") * 100)
        time.sleep(0.5)
        grown = server.memory("VmHWM") - before
        for connection in connections:
            connection.close()
        assert grown < GROWTH


class TestFairness:
    @pytest.mark.parametrize("downloads", [1, 4])
    def test_aFastDownloadStarvesNobody(self, server: Process, downloads: int) -> None:
        """Small requests are answered meanwhile."""
        sizes: list[int] = []

        def download() -> None:
            with connect(server.port) as connection:
                connection.sendall(head(f"/big?size={MUCH // downloads}", "Connection: close"))
                sizes.append(drain(connection))

        threads = [threading.Thread(target=download) for _ in range(downloads)]
        latencies = []
        with connect(server.port) as other:
            ask(other)
            for thread in threads:
                thread.start()
            while any(thread.is_alive() for thread in threads):
                latencies.append(ask(other))
                time.sleep(0.005)
        for thread in threads:
            thread.join()
        assert len(sizes) == downloads
        assert min(sizes) > MUCH // downloads
        assert len(latencies) > 3
        assert max(latencies) < 0.5

    def test_aFastUploadStarvesNobody(self, server: Process) -> None:
        def upload() -> None:
            piece = b"x" * MIB
            with connect(server.port) as connection:
                connection.sendall(head("/digest", f"Content-Length: {MUCH // 2}", method="POST"))
                for _ in range(MUCH // 2 // MIB):
                    connection.sendall(piece)
                readResponse(connection)

        thread = threading.Thread(target=upload)
        latencies = []
        with connect(server.port) as other:
            ask(other)
            thread.start()
            while thread.is_alive():
                latencies.append(ask(other))
                time.sleep(0.005)
        thread.join()
        assert len(latencies) > 3
        assert max(latencies) < 0.5


class TestWriteTimeout:
    """One second, here."""

    # The client's own kernel must not hide it either: with much room, it says nothing for long.
    @pytest.mark.parametrize(("buffer", "step"), [(16384, 16384), (65536, 65536)])
    def test_aSlowDownloadSurvives(self, server: Process, buffer: int, step: int) -> None:
        """It moves, if only a little: the kernel's buffers must not hide that."""
        with connect(server.impatient, buffer) as connection:
            connection.sendall(head(f"/big?size={16 * MIB}", "Connection: close"))
            size = 0
            for _ in range(14):
                time.sleep(0.3)
                more = len(connection.recv(step))
                assert more, f"it was cut after {size} octets"
                size += more
            size += drain(connection)
        assert size > 16 * MIB

    def test_aStalledOneIsCut(self, server: Process) -> None:
        def cuts() -> int:
            with connect(server.impatient) as connection:
                connection.sendall(head("/ended"))
                return readResponse(connection)[1].count(b"cut")

        with connect(server.impatient) as stalled:
            before = cuts()
            stalled.sendall(head(f"/big?size={MUCH}"))
            start = time.monotonic()
            while cuts() == before:
                time.sleep(0.05)
                assert time.monotonic() - start < 3.5
            assert time.monotonic() - start > 0.9
            with pytest.raises(ConnectionResetError):
                drain(stalled)

    def test_oneThatWaitsForItsHandlerIsNot(self, server: Process) -> None:
        """There is nothing to take."""
        with connect(server.impatient) as connection:
            connection.sendall(head("/digest", "Content-Length: 3", method="POST") + b"a")
            time.sleep(2.5)
            connection.sendall(b"bc")
            assert readResponse(connection)[1] == hashlib.sha256(b"abc").hexdigest().encode()


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_anAbortIsAReset(server: Process, version: str) -> None:
    """Where only the end of the connection tells the end, an ordinary one would look complete."""
    with connect(server.port) as connection:
        connection.sendall(head("/abort").replace(b"1.1", version.encode()))
        with pytest.raises(ConnectionResetError):
            drain(connection)


@needsCurl
class TestCurl:
    def curl(self, *arguments: str, data: bytes | None = None) -> bytes:
        command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "20", *arguments]
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout

    @pytest.mark.parametrize("how", ["--data-binary", "--upload-file"])
    def test_expectContinue(self, server: Process, tmp_path: Path, how: str) -> None:
        """It would wait for two minutes here, if nobody told it to go on."""
        data = bytes(range(256)) * (4 * MIB // 256)
        trace = tmp_path / "trace"
        digest = self.curl(
            *("--header", "Expect: 100-continue", "--expect100-timeout", "120", "--trace-ascii", str(trace)),
            *(how, "@-" if how == "--data-binary" else "-", f"http://127.0.0.1:{server.port}/digest"),
            data=data,
        )
        assert digest.decode() == hashlib.sha256(data).hexdigest()
        assert trace.read_text("latin-1").count("HTTP/1.1 100 Continue") == 1

    def test_expectContinueInVain(self, server: Process, tmp_path: Path) -> None:
        """The answer comes instead; and nothing of the content is sent."""
        said = self.curl(
            *("--header", "Expect: 100-continue", "--expect100-timeout", "120", "--data-binary", "@-"),
            *("--write-out", " %{http_code} %{size_upload}", f"http://127.0.0.1:{server.port}/small"),
            data=b"x" * (4 * MIB),
        )
        assert said == b"small 200 0"

    def test_download(self, server: Process, tmp_path: Path) -> None:
        output = tmp_path / "output"
        self.curl("--output", str(output), f"http://127.0.0.1:{server.port}/big?size={20 * MIB + 7}")
        assert output.stat().st_size == 20 * MIB + 7
        assert output.read_bytes() == (bytes(range(256)) * (20 * MIB // 256 + 1))[: 20 * MIB + 7]
