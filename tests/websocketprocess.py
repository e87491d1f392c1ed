"""A server of WebSockets in a process of its own, whose memory and manners are watched."""

from __future__ import annotations

__all__ = ["KINDS", "MIB", "PATIENCE", "Client", "Process", "trusting"]

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import time
import urllib.request
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

from tlsmaterial import material
from websockethelpers import parseHandshake, upgrade
from websockets.asyncio.client import connect

T = TypeVar("T")

MIB = 1024 * 1024
PATIENCE = 20.0

SERVER = """
import json, sys
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.logger import Logger, globalLogBeginner, textFileLogObserver
from txabstracthttp import AbstractHttpServer, HttpServerConfiguration, WebSocket

ends = {}
log = Logger()

class Speaking(WebSocket):
    def onConnect(self, request):
        return "chat" if "chat" in request.protocols else None

class Server(AbstractHttpServer):
    webSocketProtocol = Speaking

    def __init__(self, **limits):
        super().__init__(configuration=HttpServerConfiguration(**limits))
        start(self.consume())

    def handleRequest(self, request, socket):
        if request.isWebSocketUpgrade:
            return request.path != "/forbidden"
        if request.path == "/close":
            doomed.close().addCallback(lambda _: ends.update(closed=[0, ""]))
        socket.respond(ends)
        return True

    async def consume(self):
        while True:
            webSocket = await self.whenWebSocketConnected()
            webSocket.disconnected.connect(
                lambda code, reason, n=webSocket.request.query["n"]: ends.update({n: [code, reason]})
            )
            start(BEHAVIOURS[webSocket.request.path](webSocket))

def start(coroutine):
    Deferred.fromCoroutine(coroutine).addErrback(lambda failure: log.failure("failed", failure))

async def echo(webSocket):
    async for message in webSocket:
        if isinstance(message, str):
            await webSocket.sendTextMessage(message)
        else:
            await webSocket.sendBinaryMessage(message)

async def signals(webSocket):
    webSocket.textMessageReceived.connect(webSocket.sendTextMessage)
    webSocket.binaryMessageReceived.connect(webSocket.sendBinaryMessage)

async def who(webSocket):
    request = webSocket.request
    addresses = request.remoteAddress, request.localAddress
    webSocket.sendTextMessage(json.dumps(
        {
            "secure": request.isSecure,
            "remote": getattr(addresses[0], "host", None),
            "local": getattr(addresses[1], "host", None),
            "subprotocol": webSocket.subprotocol,
        }
    ))

async def leave(webSocket):
    await webSocket.close(4321, "so")

async def produce(webSocket):
    while webSocket.state == webSocket.STATE_OPEN:
        await webSocket.sendBinaryMessage(bytes(65536))

async def pour(webSocket):
    while webSocket.state == webSocket.STATE_OPEN:
        await deferLater(reactor, 0)
        for _ in range(16):
            if webSocket.state == webSocket.STATE_OPEN:
                webSocket.sendBinaryMessage(bytes(65536))

async def count(webSocket):
    number = 0
    async for message in webSocket:
        assert message == b"%08d" % number * 1250
        number += 1
        await deferLater(reactor, 0.001)
    ends["count"] = [number, ""]

async def never(webSocket):
    pass

BEHAVIOURS = {"/" + each.__name__: each for each in [echo, signals, who, leave, produce, pour, count, never]}

async def main():
    pem = sys.argv[1]
    here = "interface=127.0.0.1"
    await ordinary.bind(f"unix:{sys.argv[2]}")
    ports = [
        await server.bind(endpoint)
        for server, endpoint in [
            (ordinary, f"tcp:0:{here}"),
            (ordinary, f"ssl:0:privateKey={pem}:certKey={pem}:{here}"),
            (ordinary, f"haproxy:tcp:0:{here}"),
            (ordinary, f"haproxy:ssl:0:privateKey={pem}:certKey={pem}:{here}"),
            (impatient, f"tcp:0:{here}"),
            (doomed, f"tcp:0:{here}"),
        ]
    ]
    print(*[port.getHost().port for port in ports], flush=True)

globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
ordinary = Server(perMessageDeflate=True)
impatient = Server(writeTimeout=1, webSocketPingInterval=0.6, webSocketPingTimeout=0.4, closeTimeout=0.5)
doomed = Server()
start(main())
reactor.run()
"""

PROXY = b"PROXY TCP4 203.0.113.7 198.51.100.1 4711 443\r\n"
#: Kinds of endpoints.
KINDS = ["tcp", "tls", "unix", "haproxy", "haproxy+tls"]


def trusting() -> ssl.SSLContext:
    """What a client needs for TLS."""
    return ssl.create_default_context(cafile=str(material().authority))


class Client:
    """A WebSocket of another implementation's, which waits for what it asks for.

    Its own blocking one reads and writes in two threads, which Python's TLS does not like before 3.13.
    """

    def __init__(self, url: str, raw: socket.socket, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        raw.setblocking(False)
        try:
            limits: dict[str, Any] = {"proxy": None, "max_size": None, "ping_interval": None}
            self.webSocket = self.wait(self._connect(url, sock=raw, **limits, **options))
        except BaseException:
            self._loop.close()
            raw.close()
            raise

    async def _connect(self, url: str, **options: Any) -> Any:
        return await connect(url, **options)

    def wait(self, coroutine: Coroutine[Any, Any, T], patience: float = PATIENCE) -> T:
        """What `coroutine` comes to."""
        return self._loop.run_until_complete(asyncio.wait_for(coroutine, patience))

    def send(self, message: Any) -> None:
        """Send one."""
        self.wait(self.webSocket.send(message))

    def receive(self, patience: float = PATIENCE) -> Any:
        """The next one."""
        return self.wait(self.webSocket.recv(), patience)

    async def _ping(self) -> None:
        await (await self.webSocket.ping())

    def ping(self) -> None:
        """Send one, and wait for its pong."""
        self.wait(self._ping())

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and wait for the end."""
        self.wait(self.webSocket.close(code, reason))

    @property
    def end(self) -> tuple[int, str]:
        """How it has ended."""
        return self.webSocket.close_code, self.webSocket.close_reason

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self._loop.close()


class Process:
    """The server.

    :ivar ports: where it serves, by the kind of the endpoint; one server is "impatient", and one "doomed".
    """

    def __init__(self, folder: Path) -> None:
        script = folder / "server.py"
        script.write_text(SERVER)
        self.socket = folder / "socket"
        self.log = (folder / "log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, str(script), str(material().both), str(self.socket)],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        assert self.process.stdout is not None
        names = ("tcp", "tls", "haproxy", "haproxy+tls", "impatient", "doomed")
        self.ports = dict(zip(names, map(int, self.process.stdout.readline().split()), strict=True))

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

    # As a client:

    def reach(self, kind: str = "tcp", receiveBuffer: int = 0) -> socket.socket:
        """A connection, for HTTP to be spoken on it."""
        raw = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET)
        raw.settimeout(PATIENCE)
        if receiveBuffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receiveBuffer)
        try:
            raw.connect(str(self.socket) if kind == "unix" else ("127.0.0.1", self.ports[kind]))
        except OSError:
            raw.close()
            raise
        if kind.startswith("haproxy"):
            raw.sendall(PROXY)
        return raw

    def open(self, path: str, kind: str = "tcp", **options: Any) -> Client:
        """A WebSocket of another implementation's."""
        secure = kind.endswith("tls")
        if secure:
            options["ssl"] = trusting()
        return Client(f"{'wss' if secure else 'ws'}://localhost{path}", self.reach(kind), **options)

    def openBare(self, path: str, kind: str = "tcp", *fields: str, receiveBuffer: int = 0) -> socket.socket:
        """A WebSocket of which nobody takes care."""
        raw = self.reach(kind, receiveBuffer)
        if kind.endswith("tls"):
            raw = trusting().wrap_socket(raw, server_hostname="localhost")
        raw.sendall(upgrade(path, *fields))
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += raw.recv(1)
        assert parseHandshake(head)[0].status == 101
        return raw

    def ends(self, path: str = "/ends") -> dict[str, Any]:
        """How WebSockets have ended, by their number."""
        port = self.ports["tcp"]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def end(self, name: object) -> tuple[int, str]:
        """Wait for the end of one."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if str(name) in (found := self.ends()):
                code, reason = found[str(name)]
                return code, reason
            time.sleep(0.02)
        raise TimeoutError(f"{name} has not ended")
