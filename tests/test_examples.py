"""The examples do what they say."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any, Self

import pytest
from blockingwebsocket import BlockingWebSocket, Refused
from connectionhelpers import Conversation, FakeTcpTransport, SteadyClock
from websockethelpers import CLOSE, Peer, another, text

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


class Guest:
    """Somebody in the chat, who came in by `name`."""

    def __init__(self, port: int, name: str, **options: Any) -> None:
        self.socket = BlockingWebSocket(port, "/room", **options)
        self.socket.send(json.dumps({"name": name}))
        self.name = ""
        #: What was told before it was said who this is.
        self.greeting: list[dict[str, Any]] = []
        while not self.name:
            told = self.hear()
            if told["kind"] == "you":
                self.name = told["name"]
            else:
                self.greeting.append(told)

    def hear(self) -> dict[str, Any]:
        """The next message."""
        message: dict[str, Any] = json.loads(self.socket.receive())
        return message

    def awaitKind(self, kind: str) -> dict[str, Any]:
        """The next of a kind; what comes before is passed over."""
        while (message := self.hear())["kind"] != kind:
            pass
        return message

    def say(self, text: str) -> None:
        """Say something to everybody."""
        self.socket.send(json.dumps({"text": text}))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.__exit__(None, None, None)


@pytest.fixture
def chat() -> Iterator[int]:
    with running("chat.py") as port:
        yield port


class TestChat:
    @pytest.mark.parametrize(
        ("target", "mediaType"),
        [("/", "text/html"), ("/chat.css", "text/css"), ("/chat.js", "text/javascript")],
    )
    def test_files(self, chat: int, target: str, mediaType: str) -> None:
        answer = ask(chat, f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _, content = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        assert f"\r\nContent-Type: {mediaType}; charset=utf-8\r\n".encode() in head
        assert b"\r\nContent-Security-Policy: default-src 'none'; script-src 'self';" in head
        assert content == (EXAMPLES / "chat" / (target[1:] or "chat.html")).read_bytes()

    @pytest.mark.parametrize("target", ["/elsewhere", "/room", "/../chat.py", "/chat.html"])
    def test_nothingElse(self, chat: int, target: str) -> None:
        assert ask(chat, f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 404 ")

    def test_otherPlaces(self, chat: int) -> None:
        with pytest.raises(Refused) as refused:
            BlockingWebSocket(chat, "/room", "Origin: https://elsewhere.test")
        assert refused.value.status == 403
        with pytest.raises(Refused) as refused:
            BlockingWebSocket(chat, "/")
        assert refused.value.status == 200

    def test_conversation(self, chat: int) -> None:
        with Guest(chat, "Alice") as alice:
            assert (alice.name, alice.greeting) == ("Alice", [])
            assert alice.hear() == {"kind": "came", "name": "Alice"}
            with Guest(chat, "Bob") as bob:
                assert bob.greeting == [{"kind": "here", "name": "Alice"}]
                for each in (alice, bob):
                    assert each.hear() == {"kind": "came", "name": "Bob"}
                bob.say("hello, <b>Alice</b> \N{SNOWMAN}")
                for each in (alice, bob):
                    said = each.hear()
                    assert abs(said.pop("time") - time.time()) < PATIENCE
                    assert said == {"kind": "said", "name": "Bob", "text": "hello, <b>Alice</b> \N{SNOWMAN}"}
                bob.socket.close()
            assert alice.hear() == {"kind": "left", "name": "Bob"}
            with Guest(chat, "Carol") as carol:
                assert [each.get("text") for each in carol.greeting] == [
                    None,
                    "hello, <b>Alice</b> \N{SNOWMAN}",
                ]

    def test_names(self, chat: int) -> None:
        wanted = ["Alice", "alice", " ALICE\n", "", "\u202eecilA\ud800", "x" * 100, "Alice 2"]
        got = ["Alice", "alice 2", "ALICE 3", "Guest", "ecilA", "x" * 24, "Alice 2 2"]
        with ExitStack() as room:
            assert [room.enter_context(Guest(chat, name)).name for name in wanted] == got

    def test_noMessage(self, chat: int) -> None:
        with Guest(chat, "Alice") as alice:
            for message in ("{", "[]", "{}", '"text"', '{"text": 5}', '{"text": null}', b"\xff", "[" * 4000):
                with Guest(chat, "Mallory") as mallory:
                    mallory.awaitKind("came")
                    mallory.socket.send(message)
                    assert mallory.socket.awaitClose() == (1008, "That was no message of a chat.")
                assert alice.awaitKind("left") == {"kind": "left", "name": "Mallory"}

    def test_tooLong(self, chat: int) -> None:
        with Guest(chat, "Alice") as alice:
            alice.say("y" * 4000)
            assert alice.awaitKind("said")["text"] == "y" * 500
            alice.say("y" * 5000)
            assert alice.socket.awaitClose()[0] == 1009

    def test_nothingToSay(self, chat: int) -> None:
        with Guest(chat, "Alice") as alice:
            for text in ("", "  ", "\u202e", "at last"):
                alice.say(text)
            assert alice.awaitKind("said")["text"] == "at last"

    def test_tooFast(self, chat: int) -> None:
        """Whoever says much is heard all the same, at the pace of the room."""
        with Guest(chat, "Alice") as alice:
            begin = time.monotonic()
            for number in range(10):
                alice.say(f"{number}")
            assert [alice.awaitKind("said")["text"] for _ in range(10)] == [
                f"{number}" for number in range(10)
            ]
            assert time.monotonic() - begin > 0.85

    def test_memory(self, chat: int) -> None:
        """Who comes late is told the last fifty messages."""
        with ExitStack() as room:
            guests = [room.enter_context(Guest(chat, f"Guest {number}")) for number in range(30)]
            for guest in guests:
                guest.say("first")
                guest.say("last")
            for _ in range(60):
                guests[0].awaitKind("said")
            late = room.enter_context(Guest(chat, "Late"))
            assert [each["kind"] for each in late.greeting] == ["here"] * 30 + ["said"] * 50
            assert late.greeting[-1]["text"] == "last"


class TestSlowGuests:
    """In memory, since buffers of a real connection take megabytes."""

    @pytest.fixture
    def alice(self) -> Peer:
        clock = SteadyClock()
        server = load("chat.py").ChatServer(clock)
        return self.enter(Peer(Conversation(server, clock, FakeTcpTransport())), "Alice")

    def enter(self, peer: Peer, name: str) -> Peer:
        peer.upgrade(target="/room")
        peer.handshake()
        peer.send(text(json.dumps({"name": name})))
        return peer

    def test_goodbye(self, alice: Peer) -> None:
        """Whoever does not read is let go, is told why, and disturbs nobody."""
        bob, carol = self.enter(another(alice), "Bob"), self.enter(another(alice), "Carol")
        bob.transport.stuck = True
        said = 0
        while "Bob" not in heard(carol, "left"):
            alice.send(text(json.dumps({"text": "\N{SNOWMAN}" * 500})))
            alice.advance(0.1)
            said += 1
            assert len(heard(alice, "said")) == 1
        assert 100 < said < 200
        assert sum(map(len, bob.transport.held)) < 400_000
        bob.transport.release()
        assert bob.frames()[-1] == (CLOSE, b"\x03\xf5You were too far behind. Come in again!", True, 0)

    def test_backAgain(self, alice: Peer) -> None:
        """One connection's end is not that of the next, which has taken its name."""
        bob = self.enter(another(alice), "Bob")
        bob.transport.stuck = True
        while "Bob" not in heard(alice, "left"):
            alice.send(text(json.dumps({"text": "x" * 500})))
            alice.advance(0.1)
        again = self.enter(another(alice), "Bob")
        assert heard(again, "you") == heard(alice, "came") == ["Bob"]
        bob.send(text(json.dumps({"text": "a word from the other side"})))
        bob.leave()
        assert heard(alice, "left") == heard(again, "said") == []
        again.send(text(json.dumps({"text": "here I am"})))
        assert heard(alice, "said") == ["Bob"]

    def test_slowIsNotTooSlow(self, alice: Peer) -> None:
        bob = self.enter(another(alice), "Bob")
        for _ in range(3):
            bob.transport.stuck = True
            for _ in range(60):
                alice.send(text(json.dumps({"text": "\N{SNOWMAN}" * 500})))
                alice.advance(0.1)
            assert bob.transport.producerPaused
            bob.transport.stuck = False
            bob.transport.release()
        assert len(heard(bob, "said")) == 180
        assert heard(alice, "left") == []


def load(name: str) -> Any:
    """An example as a module."""
    spec = spec_from_file_location(name.partition(".")[0], EXAMPLES / name)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def heard(peer: Peer, kind: str) -> list[str]:
    """Whose messages of this kind have come; the others are passed over."""
    told = [json.loads(message) for message in peer.messages()]
    return [message["name"] for message in told if message["kind"] == kind]


@pytest.mark.parametrize(("name", "lines"), [("upgrade.py", 80), ("tunnel.py", 80), ("chat.py", 160)])
def test_short(name: str, lines: int) -> None:
    """One can read it."""
    assert len((EXAMPLES / name).read_text().splitlines()) < lines
