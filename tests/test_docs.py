"""What the documentation shows is run: every snippet against real requests, every block at least compiled."""

from __future__ import annotations

import ast
import http.client
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest
from blockingwebsocket import BlockingWebSocket, Refused
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from h2 import events as h2events
from h2.config import H2Configuration
from h2.connection import H2Connection
from websockethelpers import CLOSE, closing, text

from txabstracthttp import Http2Configuration, HttpServerConfiguration
from txabstracthttp.configuration import configurationFromToml

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
SNIPPETS = DOCS / "snippets"

pytestmark = [
    pytest.mark.skipif(not SNIPPETS.is_dir(), reason="the documentation is not here"),
    pytest.mark.timeout(60),
]

#: Generous: several of these run at a time on slow machines.
PATIENCE = 20


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


class Running:
    """A program that serves on two ports of ours instead of 8080 and 8443."""

    def __init__(self, folder: Path, process: subprocess.Popen[bytes], plain: int, other: int) -> None:
        self.folder = folder
        self.process = process
        self.plain = plain
        self.other = other

    @property
    def said(self) -> str:
        return (self.folder / "output").read_text(errors="replace")

    def awaitSaid(self, text: str) -> None:
        giveUp = time.monotonic() + PATIENCE
        while text not in self.said:
            assert time.monotonic() < giveUp, self.said
            time.sleep(0.02)

    def ask(
        self,
        target: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.plain, timeout=PATIENCE)
        return _ask(connection, target, method, body, headers or {})

    def askTls(self, target: str, name: str = "localhost", client: Path | None = None) -> tuple[Answer, str]:
        """The answer, and whom the certificate was made for."""
        context = ssl.create_default_context(cafile=str(self.folder / f"{name.partition('.')[0]}.pem"))
        context.check_hostname = False
        if client is not None:
            context.load_cert_chain(client)
        with (
            socket.create_connection(("127.0.0.1", self.other), PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname=name) as secure,
        ):
            secure.sendall(
                f"GET {target} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode("ascii")
            )
            answer = http.client.HTTPResponse(secure)
            answer.begin()
            got: Any = secure.getpeercert()
            subject = dict(pair for (pair,) in got["subject"])
            return Answer(answer.status, answer.headers, answer.read()), subject["commonName"]

    def raw(self, octets: bytes, until: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.plain), PATIENCE) as peer:
            peer.sendall(octets)
            received = b""
            while until not in received:
                piece = peer.recv(65536)
                assert piece, received
                received += piece
            return received


def _ask(
    connection: http.client.HTTPConnection,
    target: str,
    method: str,
    body: bytes | None,
    headers: dict[str, str],
) -> Answer:
    try:
        connection.request(method, target, body, headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.headers, answer.read())
    finally:
        connection.close()


class BlockingHttp2:
    """A client of HTTP/2 that waits for each answer."""

    def __init__(self, port: int, tls: ssl.SSLContext | None) -> None:
        self._peer = socket.create_connection(("127.0.0.1", port), PATIENCE)
        if tls is not None:
            self._peer = secure = tls.wrap_socket(self._peer, server_hostname="localhost")
            assert secure.selected_alpn_protocol() == "h2"
        self.h2 = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self._events: list[Any] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._peer.close()

    def ask(self, path: str, message: str | None = None) -> tuple[dict[str, str], bytes]:
        """The answer; or, with `message`, what a WebSocket says to that, in one frame of each kind."""
        stream = self.h2.get_next_available_stream_id()
        head = [(":scheme", "https"), (":authority", "localhost"), (":path", path)]
        if message is None:
            self.h2.send_headers(stream, [(":method", "GET"), *head], end_stream=True)
            return self._fields(stream), self._content(stream)
        head = [(":method", "CONNECT"), (":protocol", "websocket"), *head, ("sec-websocket-version", "13")]
        self.h2.send_headers(stream, head)
        fields = self._fields(stream)
        if fields[":status"] == "200":
            self.h2.send_data(stream, text(message))
        return fields, self._content(stream)

    def _fields(self, stream: int) -> dict[str, str]:
        event = self._next(h2events.ResponseReceived, stream)
        return {str(name): str(value) for name, value in event.headers}

    def _content(self, stream: int) -> bytes:
        return bytes(self._next(h2events.DataReceived, stream).data)

    def _next(self, kind: type[Any], stream: int) -> Any:
        while True:
            for event in self._events:
                if isinstance(event, kind) and event.stream_id == stream:
                    self._events.remove(event)
                    return event
            self._peer.sendall(self.h2.data_to_send())
            octets = self._peer.recv(65536)
            assert octets, self._events
            self._events += self.h2.receive_data(octets)


@contextmanager
def running(folder: Path, *command: str, ready: str = "plain") -> Iterator[Running]:
    """Run `command` in a copy of the snippets, and wait until it listens on the `ready` port."""
    plain, other = _freePorts()
    _copySnippets(folder, plain, other)
    words = [word.replace("8080", str(plain)).replace("8443", str(other)) for word in command]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            words, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    program = Running(folder, process, plain, other)
    try:
        _awaitPort(program, plain if ready == "plain" else other)
        yield program
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
    finally:
        process.kill()
        process.wait()


def _awaitPort(program: Running, port: int) -> None:
    giveUp = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), PATIENCE).close()
        except OSError:
            assert program.process.poll() is None, program.said
            assert time.monotonic() < giveUp, program.said
            time.sleep(0.05)
        else:
            return


def _freePorts() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        return one.getsockname()[1], two.getsockname()[1]


def _copySnippets(folder: Path, plain: int, other: int) -> None:
    for path in SNIPPETS.iterdir():
        if path.suffix in {".py", ".tac", ".toml"}:
            text = path.read_text("utf-8").replace("8080", str(plain)).replace("8443", str(other))
            (folder / path.name).write_text(text, "utf-8")


def _certify(folder: Path, name: str, stem: str, keyName: str | None = None) -> None:
    """A certificate that vouches for itself, in `stem`.pem; its key beside it, or in the same file."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(Encoding.PEM)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / f"{stem}.pem").write_bytes(pem if keyName else secret + pem)
    if keyName:
        (folder / keyName).write_bytes(secret)


# What each snippet must do, by its name.


def hello(program: Running) -> None:
    assert program.ask("/hello")[::2] == (200, b"Hello, world\n")
    assert program.ask("/").status == 404


def notes(program: Running) -> None:
    status, headers, body = program.ask("/notes", "POST", b'{"text": "buy milk"}')
    assert (status, headers["Location"], json.loads(body)) == (201, "/notes/1", {"number": "1"})
    assert json.loads(program.ask("/notes/1").body) == {"number": "1", "text": "buy milk"}
    assert program.ask("/notes", "DELETE").status == 405
    assert json.loads(program.ask("/x").body) == {"error": "there is no /x here"}
    assert program.ask("/notes", "POST", bytes(20_000)).status == 413


def answers(program: Running) -> None:
    assert json.loads(program.ask("/now?a=1&b=x+y").body) == {"query": {"a": "1", "b": "x y"}}
    assert program.ask("/coroutine").body == b"a coroutine"
    assert program.ask("/deferred").body == b"499500"
    assert program.ask("/head").headers.get_all("Set-Cookie") == ["a=1", "b=2"]
    assert program.ask("/broken").status == 500
    assert program.ask("/elsewhere").body == b"no handler for /elsewhere"
    with socket.create_connection(("127.0.0.1", program.plain), PATIENCE) as waiter:
        waiter.sendall(b"GET /later HTTP/1.1\r\nHost: test\r\n\r\n")
        giveUp = time.monotonic() + PATIENCE
        while program.ask("/wake").body != b"1 woken up":
            assert time.monotonic() < giveUp
            time.sleep(0.02)
        assert waiter.recv(65536).endswith(b"woken up")


def metrics(program: Running) -> None:
    assert program.ask("/elsewhere").status == 404
    assert json.loads(program.ask("/metrics").body) == {"404": 1}


def upload(program: Running) -> None:
    content = os.urandom(200_000)
    expected = {"bytes": len(content), "sha256": sha256(content).hexdigest()}
    assert json.loads(program.ask("/upload", "PUT", content).body) == expected
    program.awaitSaid(f"/upload {len(content)} of {len(content)}")
    with socket.create_connection(("127.0.0.1", program.plain), PATIENCE) as leaver:
        leaver.sendall(b"PUT /upload HTTP/1.1\r\nHost: test\r\nContent-Length: 9\r\n\r\nabc")
        program.awaitSaid("/upload 3 of 9")
    program.awaitSaid("the client left after 3 bytes")
    assert program.ask("/other", "PUT", b"x").status == 404


def deliver(program: Running) -> None:
    assert json.loads(program.ask("/", "POST", b"one\ntwo\n" * 50_000).body) == {"lines": 100_000}


def download(program: Running) -> None:
    (program.folder / "notes.txt").write_text("some notes")
    clock = program.ask("/clock")
    assert clock.body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    assert clock.headers["Transfer-Encoding"] == "chunked"
    assert program.ask("/numbers").body.split() == [b"%d" % number for number in range(100_000)]
    page = program.raw(b"GET /page HTTP/1.1\r\nHost: test\r\n\r\n", b"</p>")
    assert page.startswith(b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n")
    assert b"HTTP/1.1 200 OK\r\n" in page
    summed = program.raw(b"GET /summed HTTP/1.1\r\nHost: test\r\n\r\n", b"\r\n0\r\n")
    total = sum(b"one two three")
    assert b"X-Checksum: %d\r\n\r\n" % total in summed
    file = program.ask("/notes.txt")
    assert (file.body, file.headers["Content-Type"]) == (b"some notes", "text/plain")
    assert (file.headers["Content-Length"], file.headers["Cache-Control"]) == ("10", "max-age=60")
    (program.folder / "notes.txt").unlink()
    assert program.ask("/notes.txt").status == 404


def detach(program: Running) -> None:
    head = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: upgrade\r\nUpgrade: shout\r\n\r\n"
    received = program.raw(head + b"hello", b"HELLO")
    assert received.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
    assert program.ask("/").status == 426


def endpoints(program: Running) -> None:
    assert program.ask("/").body == b"hello through IPv4Address"
    program.awaitSaid("paths")
    ports = ast.literal_eval(program.said.partition("ports ")[2].partition("\n")[0])
    assert len(ports) == 4
    assert ports[0] == program.plain
    for port in ports:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        assert _ask(connection, "/", "GET", None, {}).status == 200
    with socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(PATIENCE)
        peer.connect(str(program.folder / "hello.sock"))
        peer.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert peer.recv(65536).endswith(b"hello through UNIXAddress")


def http2(program: Running) -> None:
    context = ssl.create_default_context(cafile=str(program.folder / "localhost.pem"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    for port, tls in ((program.plain, None), (program.other, context)):
        with BlockingHttp2(port, tls) as client:
            assert client.ask("/")[1] == b"this is HTTP/2\n"
            assert client.h2.remote_settings.max_concurrent_streams == 50
            fields, content = client.ask("/echo", "hello")
            assert fields[":status"] == "200"
            assert content == b"\x81\x11hello over HTTP/2"
            assert client.ask("/elsewhere", "hello")[0][":status"] == "404"
            assert client.ask("/")[1] == b"this is HTTP/2\n"
    assert program.ask("/").body == b"this is HTTP/1.1\n"
    assert program.askTls("/")[0].body == b"this is HTTP/1.1\n"
    with BlockingWebSocket(program.plain, "/echo") as webSocket:
        webSocket.send("hello")
        assert webSocket.receive() == "hello over HTTP/1.1"


def tls(program: Running) -> None:
    assert program.ask("/").body == b"plain"
    answer, subject = program.askTls("/")
    assert (answer.body, subject) == (b"secret", "localhost")


def mutual(program: Running) -> None:
    answer, _ = program.askTls("/", client=program.folder / "clients.pem")
    assert answer.body == b"welcome, Alice"
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
        program.askTls("/")


def sni(program: Running) -> None:
    assert program.askTls("/")[1] == "localhost"
    answer, subject = program.askTls("/", "alpha.test")
    assert (answer.body, subject) == (b"this is alpha.test", "alpha.test")
    assert program.askTls("/", "wild.wild.test")[1] == "*.wild.test"


def beside(program: Running) -> None:
    hello(program)
    connection = http.client.HTTPConnection("127.0.0.1", program.other, timeout=PATIENCE)
    assert _ask(connection, "/", "GET", None, {}).body == b"old"


def asyncio_server(program: Running) -> None:
    assert program.ask("/").body == b"asyncio slept"
    assert program.ask("/future").body == b"a Future"


def thread_server(program: Running) -> None:
    assert json.loads(program.ask("/square?of=12").body) == {"square": 144}
    assert program.ask("/thread").body == b"from another thread"


def echo(program: Running) -> None:
    with (
        BlockingWebSocket(program.plain, "/echo") as first,
        BlockingWebSocket(program.plain, "/echo") as other,
    ):
        for message in ("hello", b"\x00\xff", "", "\N{SNOWMAN}" * 100_000):
            first.send(message)
            assert first.receive() == message
        other.send("me, too")
        assert other.receive() == "me, too"
        assert first.close(4000, "enough") == (4000, "enough")
        other.send("still here")
        assert other.receive() == "still here"
    with pytest.raises(Refused) as refused:
        BlockingWebSocket(program.plain, "/elsewhere")
    assert refused.value.status == 404


def shout(program: Running) -> None:
    with BlockingWebSocket(program.plain, "/") as client:
        client.send("hello")
        assert client.receive() == "HELLO"
        assert client.close(1000, "bye") == (1000, "bye")
    program.awaitSaid("127.0.0.1 left: 1000 bye")
    BlockingWebSocket(program.plain, "/").__exit__(None, None, None)
    program.awaitSaid("127.0.0.1 left: 1006 ")


def broadcast(program: Running) -> None:
    def publish(news: bytes) -> Any:
        return json.loads(program.ask("/news", "POST", news).body)

    assert publish(b"nobody hears this") == {"reached": 0, "of": 0}
    with (
        BlockingWebSocket(program.plain, "/news") as listener,
        BlockingWebSocket(program.plain, "/news", receiveBuffer=4096) as sleeper,
    ):
        listener.send("what I say is dropped")
        assert publish(b"news") == {"reached": 2, "of": 2}
        assert (listener.receive(), sleeper.receive()) == ("news", "news")
        news = "x" * 500_000
        for _ in range(30):
            assert publish(news.encode())["of"] == 2
            assert listener.receive() == news
        assert publish(b"last") == {"reached": 1, "of": 2}
    assert program.ask("/elsewhere").status == 404


def guarded(program: Running) -> None:
    known, speaks = "Cookie: session=6f1c9a", "Sec-WebSocket-Protocol: notes.v1, notes.v2"
    with BlockingWebSocket(program.plain, "/notes", known, speaks) as client:
        assert client.fields["Sec-WebSocket-Protocol"] == "notes.v2"
        assert client.receive() == "Alice speaks notes.v2"
        assert client.awaitClose() == (1000, "")
    for status, content, request in (
        (404, b"404 Not Found\n", ("/elsewhere", known, speaks)),
        (403, b"Log in first.\n", ("/notes", speaks)),
        (403, b"Log in first.\n", ("/notes", "Cookie: session=guess", speaks)),
        (400, b"This place speaks notes.v2 and notes.v1.\n", ("/notes", known)),
        (403, b"403 Forbidden\n", ("/notes", known, speaks, "Origin: https://elsewhere.test")),
    ):
        with pytest.raises(Refused) as refused:
            BlockingWebSocket(program.plain, *request)
        assert (refused.value.status, refused.value.content) == (status, content)


def pressure(program: Running) -> None:
    with BlockingWebSocket(program.plain, "/numbers") as client:
        numbers = [client.receive() for _ in range(50_000)]
        assert numbers == [f"number {number}" for number in range(50_000)]
    with BlockingWebSocket(program.plain, "/ticks") as client:
        assert [client.receive() for _ in range(3)] == ["tick 0", "tick 1", "tick 2"]
        client.sendRaw(closing(1000))
        assert client.awaitClose() == (1000, "")
    with BlockingWebSocket(program.plain, "/slow") as client:
        assert client.receive() == "what is your name?"
        client.send("Alice")
        client.send("early")
        assert client.receive() == "hello, Alice"
        program.awaitSaid("says early")
    with BlockingWebSocket(program.plain, "/slow") as client:
        assert client.receive() == "what is your name?"
        assert client.close(4001, "no") == (4001, "no")
    program.awaitSaid("left with 4001 no")


def own_protocol(program: Running) -> None:
    with BlockingWebSocket(program.plain, "/", "Sec-WebSocket-Protocol: other, echo") as client:
        assert client.fields["Sec-WebSocket-Protocol"] == "echo"
        assert re.fullmatch(r"hello, tcp4:127\.0\.0\.1:\d+", str(client.receive()))
        client.send(b"back")
        assert client.receive() == b"back"
        client.close(3000, "done")
    program.awaitSaid("closed: True 3000 done")
    for _ in range(40):
        # More than may wait to be taken.
        with BlockingWebSocket(program.plain, "/") as client:
            assert "Sec-WebSocket-Protocol" not in client.fields


CHECKS: dict[str, Callable[[Running], None]] = {
    check.__name__: check
    for check in (
        answers,
        asyncio_server,
        beside,
        broadcast,
        deliver,
        detach,
        download,
        echo,
        endpoints,
        guarded,
        hello,
        http2,
        metrics,
        mutual,
        notes,
        own_protocol,
        pressure,
        shout,
        sni,
        thread_server,
        tls,
        upload,
    )
}
#: These serve nothing on the port for plain HTTP.
TLS_ONLY = {"mutual", "sni"}


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_snippet(name: str, tmp_path: Path) -> None:
    _certify(tmp_path, "localhost", "cert", "key.pem")
    (tmp_path / "localhost.pem").write_bytes((tmp_path / "cert.pem").read_bytes())
    _certify(tmp_path, "alpha.test", "alpha", "alpha.key")
    _certify(tmp_path, "*.wild.test", "wild", "wild.key")
    _certify(tmp_path, "Alice", "clients")
    ready = "other" if name in TLS_ONLY else "plain"
    with running(tmp_path, sys.executable, f"{name}.py", ready=ready) as program:
        try:
            CHECKS[name](program)
        except Exception as error:
            error.add_note(program.said)
            raise
    assert name == "answers" or "Traceback" not in program.said, program.said


def test_whoOnlySendsHears(tmp_path: Path) -> None:
    """A stream without end must not make the server deaf: the peer may want to stop it."""
    with (
        running(tmp_path, sys.executable, "pressure.py") as program,
        BlockingWebSocket(program.plain, "/numbers") as client,
    ):
        client.receive()
        client.sendRaw(closing(1000))
        giveUp = time.monotonic() + 5
        while client.frame() != (CLOSE, b"\x03\xe8"):
            assert time.monotonic() < giveUp


@pytest.mark.parametrize("name", ["test_notes", "test_in_memory", "test_over_socket", "test_echo"])
def test_tests(name: str, tmp_path: Path) -> None:
    _copySnippets(tmp_path, *_freePorts())
    done = subprocess.run(
        [sys.executable, "-m", "twisted.trial", name],
        cwd=tmp_path,
        capture_output=True,
        timeout=PATIENCE,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED (successes=" in done.stdout


def test_application(tmp_path: Path) -> None:
    twistd = "from twisted.scripts.twistd import run; run()"
    command = [sys.executable, "-c", twistd, "--pidfile=", "-ny", "application.tac"]
    with running(tmp_path, *command) as program:
        hello(program)


def test_everyOption(tmp_path: Path) -> None:
    """The command line and the configuration file of the page about twistd."""
    log = tmp_path / "access.log"
    command = (
        "txabstracthttp --server hello:Hello --listen tcp:8080:interface=127.0.0.1 "
        "--configuration server.toml --access-log access.log"
    )
    twistd = "from twisted.scripts.twistd import run; run()"
    with running(tmp_path, sys.executable, "-c", twistd, "-n", "--pidfile=", *command.split()) as program:
        hello(program)
        log.rename(tmp_path / "access.log.1")
        program.process.send_signal(signal.SIGUSR1)
        giveUp = time.monotonic() + PATIENCE
        while not log.exists():
            assert time.monotonic() < giveUp
            time.sleep(0.05)
        hello(program)
    assert '"GET /hello HTTP/1.1" 200 13 "-" "-"' in log.read_text()


def test_nothingForgotten() -> None:
    names = {path.stem for path in SNIPPETS.glob("*.py")}
    assert names == {*CHECKS, "test_notes", "test_in_memory", "test_over_socket", "test_echo"}
    assert {path.name for path in SNIPPETS.glob("*.tac")} == {"application.tac"}


def test_configurationFile() -> None:
    text = (SNIPPETS / "server.toml").read_text("utf-8")
    assert configurationFromToml(text) == (HttpServerConfiguration(), Http2Configuration())
    for kind in (HttpServerConfiguration, Http2Configuration):
        for each in fields(kind):
            assert re.search(rf"^(# )?{each.name} = ", text, re.MULTILINE), each.name


def test_configurationTable() -> None:
    """Each field has a row, with its unit and its default."""
    text = (DOCS / "reference" / "configuration.rst").read_text("utf-8")
    rows = {
        match[1]: match[2]
        for match in re.finditer(r"^   \* - ``(\w+)``\n     - .+\n     - (.+)$", text, re.MULTILINE)
    }
    expected: dict[str, str] = {}
    for record in (HttpServerConfiguration(), Http2Configuration()):
        for each in fields(record):
            value = getattr(record, each.name)
            expected[each.name] = "empty" if value in ((), "") else str(value)
    assert rows == expected


# Blocks of Python that stand in the text.


class Block(NamedTuple):
    place: str
    text: str


def _blocks() -> Iterator[Block]:
    for path in sorted(DOCS.rglob("*.rst")):
        text = path.read_text("utf-8")
        for match in re.finditer(r"^( *)\.\. code-block:: python\n((?:\1 +.*\n|\n)+)", text, re.MULTILINE):
            line = text.count("\n", 0, match.start()) + 1
            yield Block(f"{path.relative_to(DOCS)}:{line}", textwrap.dedent(match[2]))
    if (ROOT / "README.md").exists():
        for number, text in enumerate(_readme()):
            yield Block(f"README.md:{number}", text)


def _readme() -> list[str]:
    return re.findall(
        r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL
    )


@pytest.mark.parametrize("block", [pytest.param(block, id=block.place) for block in _blocks()])
def test_block(block: Block) -> None:
    compile(block.text, block.place, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.skipif(not (ROOT / "README.md").exists(), reason="the README is not here")
def test_readme(tmp_path: Path) -> None:
    (program,) = _readme()
    plain = re.search(r"tcp:(\d+)", program)
    assert plain is not None
    assert plain[1] == "8080"
    with running(tmp_path, sys.executable, "-c", program) as server:
        assert server.ask("/hello").body == b"Hello, you asked for /hello"
