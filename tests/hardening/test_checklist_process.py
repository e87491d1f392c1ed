"""Rows of the checklist about the process that no other test holds: what is left of one that has died."""

from __future__ import annotations

import gc
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from hardening.framing import Collecting
from twisted.internet import reactor
from twisted.internet.error import CannotListenError
from twisted.internet.threads import deferToThread

SOON = 20


@pytest_twisted.async_yield_fixture
async def server() -> Any:
    server = Collecting()
    yield server
    await server.close(0).addTimeout(SOON, reactor)


def leaveSocket(path: Path) -> None:
    """A socket in the file system that nobody listens on."""
    with socket.socket(socket.AF_UNIX) as forgotten:
        forgotten.bind(str(path))


def leaveLock(path: Path) -> None:
    """The lock of a process that is no more, as Twisted writes it."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait(SOON)
    path.with_name(path.name + ".lock").symlink_to(str(process.pid))


def ask(path: Path) -> bytes:
    """The beginning of an answer."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SOON)
        connection.connect(str(path))
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return connection.recv(12)


@pytest.fixture
def collected() -> Iterator[None]:
    """Twisted leaves sockets that it could not bind to the garbage collector."""
    yield
    gc.collect()


class TestUnixSockets:
    @pytest_twisted.ensureDeferred
    async def test_ofADeadProcess(self, server: Collecting, tmp_path: Path) -> None:
        path = tmp_path / "socket"
        leaveSocket(path)
        leaveLock(path)
        await server.bind(f"unix:{path}:mode=600")
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600  # noqa: PTH116  # the socket's, not a file's
        assert await deferToThread(ask, path) == b"HTTP/1.1 200"

    @pytest.mark.usefixtures("collected")
    @pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
    @pytest_twisted.ensureDeferred
    async def test_somethingElseOfThatName(self, server: Collecting, tmp_path: Path) -> None:
        """A file that is no socket is somebody's, and is not removed."""
        path = tmp_path / "precious"
        path.write_text("data")
        leaveLock(path)
        with pytest.raises(CannotListenError):
            await server.bind(f"unix:{path}")
        assert path.read_text() == "data"
