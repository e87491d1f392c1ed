"""The server of ``hardening/server.py`` as others see it: its ports, its memory, its descriptors, its log."""

from __future__ import annotations

__all__ = ["MIB", "PATIENCE", "ServerProcess", "connect", "connectSecurely", "needsProc", "readResponse"]

import json
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, Self

import pytest
from tlsmaterial import material

MIB = 1024 * 1024
PATIENCE = 30.0
SCRIPT = Path(__file__).parent / "hardening" / "server.py"

needsProc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")


class ServerProcess:
    """A context that begins with the server's start and ends with its orderly end.

    :ivar port: in cleartext; `secure`: with TLS, on the same server object.
    """

    def __init__(self, folder: Path, descriptors: int | None = None, **configuration: Any) -> None:
        """
        :param descriptors: how many it may open; None: as many as we.
        :param configuration: fields of `HttpServerConfiguration`.
        """
        self._logPath = folder / "log"
        self._terminated = False
        limit = None
        if descriptors is not None:
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            limit = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (descriptors, hard))
        arguments = [str(SCRIPT), str(material().both), json.dumps(configuration)]
        with self._logPath.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                preexec_fn=limit,  # noqa: PLW1509  # there are no threads that could hold a lock here
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.log()
        self.port, self.secure = map(int, line.split())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        log = self.stop()
        if kind is None:
            assert "Traceback" not in log, log

    def log(self) -> str:
        """What it has logged so far."""
        return self._logPath.read_text()

    def terminate(self) -> None:
        """SIGTERM: it drains."""
        self._terminated = True
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> str:
        """Let it end, and return what it has logged."""
        if not self._terminated and self.process.poll() is None:
            self.terminate()
        try:
            self.process.communicate(timeout=PATIENCE)
        finally:
            self.process.kill()
        return self.log()

    def handled(self) -> int:
        """How many requests it has handled in its life; known once it has stopped."""
        return int(re.findall(r"handled (\d+)", self.log())[-1])

    def _status(self, name: str) -> int:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise LookupError(name)

    def memory(self) -> int:
        """Octets that are in memory now."""
        return self._status("VmRSS")

    def peak(self) -> int:
        """The most that there ever were, since `forgetPeak`."""
        return self._status("VmHWM")

    def forgetPeak(self) -> int:
        """Begin `peak` anew (proc(5), clear_refs), and return what is in memory now."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        return self.memory()

    def seconds(self) -> float:
        """Processor time that it has taken so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def descriptors(self) -> int:
        """How many it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def census(self) -> dict[str, Any]:
        """Its own view: `descriptors`, `objects` of our classes by name, and requests that were `handled`."""
        with connect(self.port) as connection:
            connection.sendall(b"GET /census HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer: dict[str, Any] = json.loads(readResponse(connection)[1])
            return answer


def connect(port: int, receiveBuffer: int = 0) -> socket.socket:
    """A connection whose calls fail rather than wait for ever."""
    connection = socket.socket()
    connection.settimeout(PATIENCE)
    if receiveBuffer:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receiveBuffer)
    connection.connect(("127.0.0.1", port))
    return connection


def connectSecurely(port: int, *protocols: str) -> ssl.SSLSocket:
    """The same over TLS, with these protocols to choose from."""
    context = ssl.create_default_context(cafile=str(material().authority))
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context.wrap_socket(connect(port), server_hostname="localhost")


def readResponse(connection: socket.socket) -> tuple[bytes, bytes]:
    """The head and the content of one response that has a Content-Length."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        assert more, data
        data += more
    top, _, content = data.partition(b"\r\n\r\n")
    length = int(top.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    pieces, missing = [content], length - len(content)
    while missing:
        more = connection.recv(min(missing, MIB))
        assert more, (length, missing)
        pieces.append(more)
        missing -= len(more)
    return top, b"".join(pieces)
