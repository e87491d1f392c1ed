"""The whole way: another implementation's client, curl and bare sockets, against a server somewhere else."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from websockethelpers import BINARY, KEY, binary, closing, frame, parseFrames, parseHandshake, text, upgrade
from websocketprocess import KINDS, MIB, PATIENCE, Client, Process, trusting
from websockets.exceptions import ConnectionClosed, InvalidStatus

#: What the server's memory may grow by, whatever passes through it; and where 16 MiB may wait for a peer.
GROWTH, OUTPUT_GROWTH = 16 * MIB, 64 * MIB

needsProc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")
needsCurl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")

CLIENT = """
import sys
from websockets.sync.client import connect
with connect(sys.argv[1], proxy=None) as webSocket:
    webSocket.send("hello")
    print(webSocket.recv(), flush=True)
    webSocket.recv()
"""

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    process = Process(tmp_path_factory.mktemp("server"))
    yield process
    log = process.stop()
    assert "Traceback" not in log, log


def hear(raw: socket.socket) -> bytes:
    """All that comes, until the end."""
    return b"".join(iter(lambda: raw.recv(MIB), b""))


async def converse(client: Client, count: int) -> list[Any]:
    """Send so many messages, and receive as many meanwhile."""

    async def send() -> None:
        for number in range(count):
            await client.webSocket.send(f"{number} " * 20)

    sending = asyncio.create_task(send())
    received = [await client.webSocket.recv() for _ in range(count)]
    await sending
    return received


@pytest.mark.parametrize("kind", KINDS)
class TestEndpoints:
    def test_echo(self, server: Process, kind: str) -> None:
        number = next(numbers)
        messages: list[str | bytes] = ["", "a", "Grüße", b"", bytes(range(256)), "x" * 70_000, b"y" * 900_000]
        with server.open(f"/echo?n={number}", kind) as client:
            for message in messages:
                client.send(message)
                assert client.receive() == message
            client.send(["in ", "three ", "parts"])
            assert client.receive() == "in three parts"
            client.ping()
            client.close(4000, "bye")
        assert client.end == (4000, "bye")
        assert server.end(number) == (4000, "bye")

    def test_whoItIs(self, server: Process, kind: str) -> None:
        with server.open(f"/who?n={next(numbers)}", kind, subprotocols=["x", "chat"]) as client:
            seen = json.loads(client.receive())
        assert client.webSocket.subprotocol == "chat"
        proxied = kind.startswith("haproxy")
        assert seen == {
            "secure": kind.endswith("tls"),
            "remote": "203.0.113.7" if proxied else None if kind == "unix" else "127.0.0.1",
            "local": "198.51.100.1" if proxied else None if kind == "unix" else "127.0.0.1",
            "subprotocol": "chat",
        }

    def test_closedByTheServer(self, server: Process, kind: str) -> None:
        number = next(numbers)
        with server.open(f"/leave?n={number}", kind) as client, pytest.raises(ConnectionClosed) as caught:
            client.receive()
        assert caught.value.rcvd is not None
        assert (caught.value.rcvd.code, caught.value.rcvd.reason) == (4321, "so")
        assert server.end(number) == (4321, "so")

    def test_manyInOneGo(self, server: Process, kind: str) -> None:
        """More than fits anywhere, in both directions, and in order."""
        count = 20_000
        with server.open(f"/signals?n={next(numbers)}", kind, compression=None) as client:
            got = client.wait(converse(client, count))
        assert got == [f"{n} " * 20 for n in range(count)]

    def test_frameBehindTheHandshake(self, server: Process, kind: str) -> None:
        raw = server.reach(kind)
        if kind.endswith("tls"):
            raw = trusting().wrap_socket(raw, server_hostname="localhost")
        with raw:
            raw.sendall(upgrade(f"/echo?n={next(numbers)}") + text("early") + closing(1000))
            handshake, rest = parseHandshake(hear(raw))
        assert handshake.status == 101
        assert [each.payload for each in parseFrames(rest)] == [b"early", b"\x03\xe8"]


class TestClients:
    @pytest.mark.parametrize("compression", ["deflate", None])
    def test_compression(self, server: Process, compression: str | None) -> None:
        with server.open(f"/echo?n={next(numbers)}", compression=compression) as client:
            names = [each.name for each in client.webSocket.protocol.extensions]
            assert names == (["permessage-deflate"] if compression else [])
            for size in (0, 10, 1000, 50_000):
                client.send("compressible " * size)
                assert client.receive() == "compressible " * size

    def test_aHundredAtOnce(self, server: Process) -> None:
        def use(number: int) -> list[Any]:
            with server.open(f"/echo?n={next(numbers)}") as client:
                for step in range(20):
                    client.send(f"{number}.{step}")
                return [client.receive() for _ in range(20)]

        with ThreadPoolExecutor(25) as pool:
            found = list(pool.map(use, range(100)))
        assert found == [[f"{number}.{step}" for step in range(20)] for number in range(100)]

    def test_refused(self, server: Process) -> None:
        with pytest.raises(InvalidStatus) as caught:
            server.open("/forbidden")
        assert caught.value.response.status_code == 404
        assert caught.value.response.body == b"404 Not Found\n"

    def test_anotherOrigin(self, server: Process) -> None:
        with pytest.raises(InvalidStatus) as caught:
            server.open("/echo", origin="https://evil.example")
        assert caught.value.response.status_code == 403

    def test_theServerCloses(self, server: Process) -> None:
        """1001 for everybody, and its own end when they have gone."""
        clients = [server.open(f"/echo?n={next(numbers)}", "doomed") for _ in range(3)]
        assert "closed" not in server.ends("/close")
        for client in clients:
            with client, pytest.raises(ConnectionClosed) as caught:
                client.receive()
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1001
        assert server.end("closed") == (0, "")
        with pytest.raises(ConnectionRefusedError):
            server.reach("doomed")


@needsCurl
class TestCurl:
    def curl(self, server: Process, path: str, version: int = 13) -> str:
        fields = [
            "Connection: Upgrade",
            "Upgrade: websocket",
            f"Sec-WebSocket-Key: {KEY}",
            f"Sec-WebSocket-Version: {version}",
        ]
        command = ["curl", "--silent", "--include", "--noproxy", "*", "--http1.1", "--max-time", "2"]
        for each in fields:
            command += ["--header", each]
        url = f"http://127.0.0.1:{server.ports['tcp']}{path}"
        return subprocess.run([*command, url], capture_output=True, check=False).stdout.decode("latin-1")

    def test_upgrade(self, server: Process) -> None:
        number = next(numbers)
        output = self.curl(server, f"/echo?n={number}")
        assert output.startswith("HTTP/1.1 101 Switching Protocols\r\n")
        assert "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in output
        assert server.end(number)[0] == 1006

    def test_refused(self, server: Process) -> None:
        output = self.curl(server, "/forbidden")
        assert output.startswith("HTTP/1.1 404 ")
        assert output.endswith("\r\n\r\n404 Not Found\n")

    def test_anotherVersion(self, server: Process) -> None:
        output = self.curl(server, "/echo", 8)
        assert output.startswith("HTTP/1.1 426 Upgrade Required\r\n")
        assert "\r\nSec-WebSocket-Version: 13\r\n" in output


class TestLeaving:
    def test_killed(self, server: Process) -> None:
        """kill -9: its kernel says that it has gone, and nobody else does."""
        number = next(numbers)
        url = f"ws://127.0.0.1:{server.ports['tcp']}/echo?n={number}"
        with subprocess.Popen(
            [sys.executable, "-c", CLIENT, url], stdout=subprocess.PIPE, text=True
        ) as client:
            assert client.stdout is not None
            assert client.stdout.readline() == "hello\n"
            client.send_signal(signal.SIGKILL)
        code, reason = server.end(number)
        assert code == 1006
        assert "without previous WebSocket closing handshake" in reason

    def test_reset(self, server: Process) -> None:
        number = next(numbers)
        with server.openBare(f"/echo?n={number}") as raw:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        assert server.end(number)[0] == 1006

    def test_vanished(self, server: Process) -> None:
        """As behind a cable that was pulled: no pong comes."""
        number = next(numbers)
        with server.openBare(f"/echo?n={number}", "impatient") as raw:
            start = time.monotonic()
            assert server.end(number) == (1006, "the peer did not answer a ping in time")
            assert time.monotonic() - start < 5
            with pytest.raises(ConnectionResetError):
                hear(raw)

    def test_silentWhenAskedToLeave(self, server: Process) -> None:
        number = next(numbers)
        with server.openBare(f"/leave?n={number}", "impatient"):
            assert server.end(number)[0] == 1006

    def test_pongsKeepItAlive(self, server: Process) -> None:
        with server.open(f"/echo?n={next(numbers)}", "impatient") as client:
            with pytest.raises(TimeoutError):
                client.receive(3)
            client.send("still here")
            assert client.receive() == "still here"


def fill(raw: socket.socket, make: Callable[[int], bytes], limit: int, patience: float = 1.0) -> int:
    """Send frames until nobody takes them any more; how many octets that were."""
    raw.settimeout(patience)
    sent = 0
    try:
        for number in itertools.count():
            data = make(number)
            raw.sendall(data)
            sent += len(data)
            if sent > limit:
                break
    except TimeoutError:
        pass
    finally:
        raw.settimeout(PATIENCE)
    return sent


@needsProc
class TestMemory:
    def warmUp(self, server: Process) -> int:
        """What is used for the first time takes memory of its own."""
        with server.open(f"/echo?n={next(numbers)}") as client:
            client.send(bytes(900_000))
            client.receive()
        return server.forgetPeak()

    def test_aBomb(self, server: Process) -> None:
        """20 MB in 20 kB (RFC 7692 section 8)."""
        number = next(numbers)
        compressor = zlib.compressobj(9, wbits=-15)
        bomb = compressor.compress(bytes(20 * MIB)) + compressor.flush(zlib.Z_SYNC_FLUSH)
        before = self.warmUp(server)
        extension = "Sec-WebSocket-Extensions: permessage-deflate"
        with server.openBare(f"/echo?n={number}", "tcp", extension) as raw:
            raw.sendall(frame(BINARY, bomb[:-4], rsv=4) + closing(1009))
            (last,) = parseFrames(hear(raw))
        assert last.payload[:2] == (1009).to_bytes(2, "big")
        assert server.end(number)[0] == 1009
        assert server.memory("VmHWM") - before < 8 * MIB

    @pytest.mark.parametrize("kind", KINDS)
    def test_whoNeverReads(self, server: Process, kind: str) -> None:
        """With an application that waits for room: it waits, and is there for others."""
        number = next(numbers)
        before = self.warmUp(server)
        with server.openBare(f"/produce?n={number}", kind, receiveBuffer=4096):
            time.sleep(0.7)
            assert server.memory("VmHWM") - before < GROWTH
            with server.open(f"/echo?n={next(numbers)}") as other:
                other.send("x")
                assert other.receive() == "x"
        assert server.end(number)[0] == 1006

    def test_whoNeverReadsIsDropped(self, server: Process) -> None:
        number = next(numbers)
        before = self.warmUp(server)
        with server.openBare(f"/produce?n={number}", "impatient", receiveBuffer=4096) as raw:
            start = time.monotonic()
            assert server.end(number)[0] == 1006
            assert 0.9 < time.monotonic() - start < 5
            with pytest.raises(ConnectionResetError):
                hear(raw)
        assert server.memory("VmHWM") - before < GROWTH

    def test_whoReadsSlowlyIsNot(self, server: Process) -> None:
        """It moves, if only a little; pings and pongs have to wait meanwhile."""
        number = next(numbers)
        with server.openBare(f"/produce?n={number}", "impatient", receiveBuffer=16384) as raw:
            for _ in range(14):
                time.sleep(0.3)
                assert raw.recv(16384)
            assert str(number) not in server.ends()

    def test_whoNeverReadsWhileMoreIsWritten(self, server: Process) -> None:
        """With an application that does not look."""
        number = next(numbers)
        before = self.warmUp(server)
        with server.openBare(f"/pour?n={number}", receiveBuffer=4096):
            assert server.end(number)[0] == 1006
        assert server.memory("VmHWM") - before < OUTPUT_GROWTH

    def test_fasterThanItIsTaken(self, server: Process) -> None:
        """The sender has to wait; and nothing is lost, nor out of order."""
        number = next(numbers)
        before = self.warmUp(server)
        with server.openBare(f"/count?n={number}") as raw:
            sent = fill(raw, lambda n: binary(b"%08d" % n * 1250), 12 * MIB, PATIENCE)
            assert sent > 12 * MIB
            raw.sendall(closing(1000, "all of it"))
            assert parseFrames(hear(raw))[-1].payload == b"\x03\xe8all of it"
        assert server.end(number) == (1000, "all of it")
        assert server.end("count")[0] * 10_008 == sent
        assert server.memory("VmHWM") - before < GROWTH

    @pytest.mark.parametrize("size", [0, 10, 10_000, 1_000_000])
    def test_neverTaken(self, server: Process, size: int) -> None:
        number = next(numbers)
        before = self.warmUp(server)
        frames = binary(bytes(size)) * max(1, 100_000 // (size + 6))
        with server.openBare(f"/never?n={number}") as raw:
            assert fill(raw, lambda n: frames, 64 * MIB) < 16 * MIB
            assert server.memory("VmHWM") - before < GROWTH

    def test_whoLeavesWhileItIsNotReadFrom(self, server: Process) -> None:
        """Behind what nobody takes, its leaving is not seen; the next ping finds out."""
        number = next(numbers)
        with server.openBare(f"/never?n={number}", "impatient") as raw:
            fill(raw, lambda n: binary(bytes(10_000)), 64 * MIB)
        assert server.end(number)[0] == 1006
