"""Servers whose connections wait in a poller, inside other reactors, and in a test of trial's."""

from __future__ import annotations

import select
import socket
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
import serverprocess
from pollerhelpers import SOON
from serverprocess import MIB, PATIENCE, ServerProcess, connect, needsProc, readResponse
from twisted.internet.threads import deferToThread

from txabstracthttp import AbstractHttpServer, HttpRequest, HttpSocket
from txabstracthttp._poller import Poller

if not hasattr(select, "epoll"):
    pytest.skip("there is no epoll(7)", allow_module_level=True)


# ------------------------------------------------------------------------------------------------ end to end


class Remembering(AbstractHttpServer):
    """Says in which reactor the connection is."""

    def __init__(self) -> None:
        super().__init__()
        self.pollers: list[Any] = []

    def buildProtocol(self, addr: Any) -> Any:
        self.latest: Any = super().buildProtocol(addr)
        return self.latest

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> bool:
        self.pollers.append(self.latest.transport.reactor)
        socket.respond("polled")
        return True


def ask(connection: socket.socket, path: str = "/small") -> bytes:
    connection.sendall(b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode())
    return readResponse(connection)[1]


class TestServer:
    @pytest.mark.parametrize("kind", ["listen", "tcp", "unix"])
    @pytest_twisted.ensureDeferred
    async def test_hasPollers(self, kind: str, tmp_path: Path) -> None:
        """Each port has its own, for all its connections; it goes with them."""
        from twisted.internet import reactor

        server = Remembering()
        address: Any = str(tmp_path / "socket")
        if kind == "listen":
            address = ("127.0.0.1", server.listen("127.0.0.1"))
        elif kind == "tcp":
            host: Any = (await server.bind("tcp:0:interface=127.0.0.1")).getHost()
            address = ("127.0.0.1", host.port)
        else:
            await server.bind(f"unix:{address}")

        def talk() -> list[bytes]:
            with socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET) as connection:
                connection.settimeout(SOON)
                connection.connect(address)
                return [ask(connection), ask(connection)]

        assert await deferToThread(talk) == await deferToThread(talk) == [b"polled"] * 2
        poller = server.pollers[0]
        assert isinstance(poller, Poller)
        assert server.pollers == [poller] * 4
        descriptor = poller.fileno()
        await server.close(0).addTimeout(SOON, reactor)
        assert poller not in reactor.getReaders()
        # At once, and not with the next collection of garbage.
        assert descriptor > 2
        assert poller.fileno() == -1

    @needsProc
    @pytest.mark.parametrize("name", ["selectreactor", "pollreactor", "asyncioreactor"])
    def test_inOtherReactors(self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Twenty connections at once, again and again, while one peer takes its time for a lot of content."""
        original, number = serverprocess.SCRIPT, 20
        script = tmp_path / "server.py"
        script.write_text(
            f"import runpy\nfrom twisted.internet import {name}\n{name}.install()\n"
            f"runpy.run_path({str(original)!r}, run_name='__main__')\n"
        )
        monkeypatch.setattr(serverprocess, "SCRIPT", script)
        with ServerProcess(tmp_path) as server:
            slow = connect(server.port, receiveBuffer=65536)
            connections = [connect(server.port) for _ in range(number)]
            try:
                slow.sendall(b"GET /big?size=%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % (8 * MIB))
                for _ in range(4):
                    for connection in connections:
                        connection.sendall(b"GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    assert {readResponse(connection)[1] for connection in connections} == {b"small"}
                objects = server.census()["objects"]
                assert ("txabstracthttp._poller.Poller" in objects) is (name != "asyncioreactor")
                assert readResponse(slow)[1] == bytes(range(256)) * (8 * MIB // 256)
                assert {ask(connection) for connection in (slow, *connections)} == {b"small"}
            finally:
                for connection in (slow, *connections):
                    connection.close()

    def test_trial(self, tmp_path: Path) -> None:
        """Who tests a server with trial, and closes it, leaves no dirty reactor."""
        (tmp_path / "test_clean.py").write_text(
            textwrap.dedent(
                """
                import socket
                from twisted.internet import reactor
                from twisted.internet.threads import deferToThread
                from twisted.trial.unittest import TestCase
                from txabstracthttp import AbstractHttpServer
                from txabstracthttp._poller import Poller

                class Hello(AbstractHttpServer):
                    def handleRequest(self, request, socket):
                        socket.respond(str(sum(isinstance(each, Poller) for each in reactor.getReaders())))
                        return True

                def ask(port):
                    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
                    connection.sendall(b"GET / HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n")
                    return connection, connection.recv(65536)

                class CleanTest(TestCase):
                    async def test_clean(self):
                        server = Hello()
                        connection, answer = await deferToThread(ask, server.listen("127.0.0.1"))
                        self.assertTrue(answer.endswith(b"\\r\\n1"), answer)
                        await server.close()
                        self.assertEqual(connection.recv(1), b"")
                        connection.close()
                """
            )
        )
        done = subprocess.run(
            [sys.executable, "-m", "twisted.trial", "test_clean"],
            cwd=tmp_path,
            capture_output=True,
            timeout=PATIENCE,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "PASSED (successes=1)" in done.stdout
