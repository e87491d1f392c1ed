"""SIGTERM under load: what was accepted is answered in full, and the rest is refused cleanly.

An answer that was begun and not finished, and a reset, are what must not be seen.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import pytest_twisted
from h2 import events as h2events
from http2helpers import Client
from serverprocess import PATIENCE, ServerProcess, connect, readResponse
from tlsmaterial import material
from websockets.asyncio.client import connect as websockets
from websockets.exceptions import ConnectionClosed

from txabstracthttp import AbstractHttpServer, HttpRequest, HttpSocket

CLIENTS = 40
REQUEST = b"GET /slow?seconds=0.02 HTTP/1.1\r\nHost: localhost\r\n\r\n"
ANSWER = re.compile(rb"HTTP/1\.1 200 OK\r\n(?:[^\r\n]+\r\n)*Content-Length: 4\r\n(?:[^\r\n]+\r\n)*\r\nslow")

needsWrk = pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")
needsH2load = pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load is not installed")


def trusting(*protocols: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(material().authority))
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


async def leave(writer: asyncio.StreamWriter) -> None:
    writer.close()
    # The other side may have closed, in whatever way.
    with suppress(OSError):
        await writer.wait_closed()


async def http1(port: int, tls: ssl.SSLContext | None, seen: Counter[str]) -> None:
    """Ask for one thing after the other; note how each ended, until there is no connection any more."""
    name = None if tls is None else "localhost"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
    isLast = False
    while not isLast:
        try:
            writer.write(REQUEST)
            head = await reader.readuntil(b"\r\n\r\n")
            answer = head + await reader.readexactly(4)
        except asyncio.IncompleteReadError as error:
            seen["cut" if error.partial else "refused"] += 1
            break
        except OSError as error:
            seen[type(error).__name__] += 1
            break
        seen["answered" if ANSWER.fullmatch(answer) else "odd"] += 1
        isLast = b"Connection: close" in head
    await leave(writer)


async def http2(port: int, tls: ssl.SSLContext | None, seen: Counter[str]) -> None:
    """Four requests at a time."""
    name = None if tls is None else "localhost"
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
    await Http2Asker(reader, writer, seen).run()
    await leave(writer)


class Http2Asker:
    """A client that keeps four requests under way until it is told to go."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: Counter[str]
    ) -> None:
        self.reader, self.writer, self.seen = reader, writer, seen
        self.h2 = Client()
        self.h2.initiate_connection()
        self.open: set[int] = set()
        self.last: int | None = None

    async def run(self) -> None:
        """Until the server has closed, or all is answered that it will answer."""
        while self.last is None or self.open:
            self.ask()
            self.writer.write(self.h2.data_to_send())
            try:
                data = await self.reader.read(65536)
            except OSError as error:
                self.seen[type(error).__name__] += 1
                return
            if not data:
                break
            for event in self.h2.receive_data(data):
                self.note(event)
        self.seen["lost"] += len(self.open)

    def ask(self) -> None:
        while self.last is None and len(self.open) < 4:
            stream = self.h2.get_next_available_stream_id()
            head = {":method": "GET", ":scheme": "http", ":authority": "a", ":path": "/slow?seconds=0.02"}
            self.h2.send_headers(stream, list(head.items()), end_stream=True)
            self.open.add(stream)

    def note(self, event: object) -> None:
        match event:
            case h2events.StreamEnded():
                self.seen["answered"] += 1
                self.open.discard(event.stream_id)
            case h2events.StreamReset():
                # REFUSED_STREAM: nothing was done for it (RFC 9113 section 8.7).
                self.seen["refused" if event.error_code == 7 else "reset"] += 1
                self.open.discard(event.stream_id)
            case h2events.ConnectionTerminated():
                self.seen["errors"] += bool(event.error_code)
                self.last = event.last_stream_id
                assert self.last is not None
                # Of those above it the server has said that it has not looked at them.
                late = {stream for stream in self.open if stream > self.last}
                self.seen["refused"] += len(late)
                self.open -= late


Way = Callable[[int, ssl.SSLContext | None, Counter[str]], Awaitable[None]]


async def ask(server: ServerProcess, way: Way, port: int, tls: ssl.SSLContext | None) -> Counter[str]:
    """Many clients, and SIGTERM in the middle of it."""
    seen: Counter[str] = Counter()
    clients = [asyncio.ensure_future(way(port, tls, seen)) for _ in range(CLIENTS)]
    while seen["answered"] < 5 * CLIENTS:  # noqa: ASYNC110  # simpler than an event
        await asyncio.sleep(0.01)
    server.terminate()
    await asyncio.wait_for(asyncio.gather(*clients), PATIENCE)
    return seen


@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("way", [http1, http2], ids=["http1", "http2"])
def test_nothingIsCut(tmp_path: Path, way: Way, secure: bool) -> None:
    with ServerProcess(tmp_path) as server:
        protocols = ("h2",) if way is http2 else ()
        tls = trusting(*protocols) if secure else None
        seen = asyncio.run(ask(server, way, server.secure if secure else server.port, tls))
        # Also nobody was refused: their requests had come while they were expected.
        assert seen.keys() - {key for key in seen if not seen[key]} == {"answered"}, seen
        assert server.process.wait(PATIENCE) == 0


def test_whoWaitsToBeAccepted(tmp_path: Path) -> None:
    """The kernel has taken their connections and their requests, but we have not."""
    with ServerProcess(tmp_path) as server:
        server.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, server.process.pid, os.WSTOPPED | os.WNOWAIT)
        waiting = [connect(server.port) for _ in range(100)]
        for each in waiting:
            each.sendall(b"GET /small HTTP/1.1\r\nHost: a\r\n\r\n")
        server.terminate()
        server.process.send_signal(signal.SIGCONT)
        assert {readResponse(each)[1] for each in waiting} == {b"small"}
        assert {each.recv(1) for each in waiting} == {b""}
        for each in waiting:
            each.close()


@pytest_twisted.ensureDeferred
async def test_whatOthersWillServe() -> None:
    """A socket that was handed to us is somebody else's afterwards, and so are those who wait there."""
    listener = socket.create_server(("127.0.0.1", 0))
    heir = listener.dup()
    server = Quiet()
    await server.bind(listener)
    with ExitStack() as stack:
        stack.enter_context(heir)
        waiting = [stack.enter_context(connect(heir.getsockname()[1])) for _ in range(5)]
        await server.close()
        heir.settimeout(5)
        served = [stack.enter_context(heir.accept()[0]).getpeername() for _ in waiting]
    assert len(served) == len(waiting)


class Quiet(AbstractHttpServer):
    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> bool:
        return False


def test_webSockets(tmp_path: Path) -> None:
    """They are told 1001, and what they said before was heard."""

    async def talk(server: ServerProcess) -> list[tuple[int | None, int]]:
        return await asyncio.gather(*[one(server, number) for number in range(10)])

    async def one(server: ServerProcess, number: int) -> tuple[int | None, int]:
        echoes = 0
        async with websockets(f"ws://127.0.0.1:{server.port}/") as client:
            try:
                while True:
                    await client.send("again")
                    assert await client.recv() == "again"
                    echoes += 1
                    if number == 0 and echoes == 50:
                        server.terminate()
            except ConnectionClosed as closed:
                return closed.rcvd.code if closed.rcvd else None, echoes

    with ServerProcess(tmp_path) as server:
        ends = asyncio.run(asyncio.wait_for(talk(server), PATIENCE))
        assert {code for code, _ in ends} == {1001}
        assert max(echoes for _, echoes in ends) >= 50


def test_anUploadIsFinished(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, connect(server.port) as connection:
        connection.sendall(
            b"POST /count HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + bytes(100_000)
        )
        server.terminate()
        time.sleep(0.3)
        connection.sendall(bytes(100_000))
        head, content = readResponse(connection)
        assert content == b"200000"
        assert b"Connection: close" in head


def test_aDownloadIsFinished(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, connect(server.port, receiveBuffer=65536) as connection:
        connection.sendall(b"GET /big?size=20000000 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert connection.recv(1000)
        server.terminate()
        time.sleep(0.3)
        size = 0
        while data := connection.recv(1 << 20):
            size += len(data)
        assert size > 20_000_000 - 1000


def test_whoTakesTooLongIsCut(tmp_path: Path) -> None:
    with ServerProcess(tmp_path, drainTimeout=0.5) as server, connect(server.port) as connection:
        connection.sendall(b"GET /slow?seconds=20 HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.2)
        start = time.monotonic()
        server.terminate()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
        assert 0.3 < time.monotonic() - start < 5
        assert server.process.wait(PATIENCE) == 0


def test_nobodyCanConnectAnyMore(tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, connect(server.port) as connection:
        connection.sendall(b"GET /slow?seconds=1 HTTP/1.1\r\nHost: a\r\n\r\n")
        time.sleep(0.2)
        server.terminate()
        time.sleep(0.2)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server.port), PATIENCE)
        assert readResponse(connection)[1] == b"slow"


def load(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@needsH2load
@pytest.mark.parametrize("secure", [False, True], ids=["plain", "tls"])
def test_h2load(tmp_path: Path, secure: bool) -> None:
    """What was handled has arrived; it counts more as failed, for it begins requests that it never sends."""
    with ServerProcess(tmp_path) as server:
        url = f"https://localhost:{server.secure}" if secure else f"http://localhost:{server.port}"
        process = load("h2load", "-n1000000", "-c8", "-m16", f"{url}/small")
        time.sleep(2)
        server.stop()
        output, _ = process.communicate(timeout=PATIENCE)
        numbers = {name: int(number) for number, name in re.findall(r"(\d+) (\w+)", output)}
        assert numbers["succeeded"] > 100
        assert numbers["succeeded"] == server.handled(), output


@needsWrk
def test_underLoad(tmp_path: Path) -> None:
    """The others get their answers, however busy the server is."""
    with ServerProcess(tmp_path) as server:
        process = load("wrk", "-t1", "-c64", "-d2", f"http://127.0.0.1:{server.port}/small")
        seen = asyncio.run(ask(server, http1, server.port, None))
        process.communicate(timeout=PATIENCE)
        assert seen.keys() == {"answered"}, seen
