"""The demo: it shows the request, and cannot be made to show anything else."""

from __future__ import annotations

import hashlib
import http.client
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from connectionhelpers import (
    Conversation,
    FakeTcpTransport,
    FakeTlsTransport,
    FakeTransport,
    Response,
    SteadyClock,
    capturedFailures,
    get,
    post,
    take,
)
from twisted.internet.address import IPv6Address, UNIXAddress
from websockethelpers import Peer, binary, text, upgrade

import txabstracthttp
from txabstracthttp import HttpServerConfiguration
from txabstracthttp.demo import DemoServer
from txabstracthttp.demo._page import readable

HTML = "text/html; charset=utf-8"
MIB = 1024 * 1024


class Page(HTMLParser):
    """The cells of all tables, by the names in front of them, and the tags that there were."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.cells: list[str] = []
        self.inline = ""
        self.feed(text)
        self.close()
        self.rows = dict(zip(self.cells[::2], self.cells[1::2], strict=True))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag in {"th", "td"}:
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1] in {"th", "td"}:
            self.cells[-1] += data.strip("\n")
        if self.tags and self.tags[-1] in {"script", "style"}:
            self.inline += data.strip()

    def named(self, name: str) -> set[str]:
        """The values of every attribute of that name."""
        return {value or "" for each, value in self.attributes if each == name}


def talk(transport: FakeTransport | None = None, **configuration: Any) -> Conversation:
    clock = SteadyClock()
    server = DemoServer(clock, HttpServerConfiguration(**configuration))
    return Conversation(server, clock, transport or FakeTcpTransport())


def ask(octets: bytes, transport: FakeTransport | None = None) -> Response:
    peer = talk(transport)
    peer.send(octets)
    return peer.response(octets.partition(b" ")[0].decode())


def page(octets: bytes, transport: FakeTransport | None = None) -> Page:
    response = ask(octets, transport)
    assert response.status == 200
    assert response.all("Content-Type") == [HTML]
    return Page(response.body.decode())


class TestRequest:
    def test_whatItSaw(self) -> None:
        rows = page(post(b"hello", "X-Thing: one", target="/?a=1&b=x%20y")).rows
        assert rows == {
            "Method": "POST",
            "Target": "/?a=1&b=x%20y",
            "Path": "/",
            "Version": "HTTP/1.1",
            "From": "192.0.2.1:50000",
            "To": "192.0.2.80:8080",
            "Secure": "no",
            "Body": "5 bytes",
            "a": "1",
            "b": "x y",
            "Host": "example.com",
            "X-Thing": "one",
            "Content-Length": "5",
        }

    @pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PURGE"])
    def test_anyMethod(self, method: str) -> None:
        assert page(get(method=method)).rows["Method"] == method

    def test_head(self) -> None:
        answer = ask(get(method="HEAD"))
        assert answer.status == 200
        assert answer.body == b""
        assert int(answer.all("Content-Length")[0]) > 1000

    def test_addresses(self) -> None:
        transport = FakeTcpTransport(IPv6Address("TCP", "::1", 5), UNIXAddress("/x"))
        rows = page(get(), transport).rows
        assert (rows["From"], rows["To"]) == ("[::1]:5", "a Unix socket")

    def test_tls(self) -> None:
        class Session:
            def get_protocol_version_name(self) -> str:
                return "TLSv1.9"

            def get_cipher_name(self) -> str:
                return "ROT13"

        class Transport(FakeTlsTransport):
            def getHandle(self) -> Session:
                return Session()

        peer = talk()
        secure = peer.another(transport=Transport())
        secure.connection.handshakeCompleted()
        secure.send(get())
        rows = Page(secure.response().body.decode()).rows
        assert (rows["Secure"], rows["TLS"]) == ("yes", "TLSv1.9, ROT13")
        peer.send(get())
        assert "TLS" not in Page(peer.response().body.decode()).rows

    def test_theCommandLine(self) -> None:
        def origin(octets: bytes) -> str:
            found = re.search(r'<span id="origin">(.*?)</span>', ask(octets).body.decode())
            assert found
            return found[1]

        assert origin(get()) == "http://example.com"
        assert origin(b"GET / HTTP/1.0\r\n\r\n") == "http://192.0.2.80:8080"

    def test_nothingIsMarkup(self) -> None:
        evil = "<script>alert('x')</script>&amp;\"{method}"
        plain = page(get("/?q=x", "X: y"))
        shown = page(get("/?q=%3Cb%3E", f"X-Evil: {evil}"))
        assert shown.tags.count("script") == plain.tags.count("script")
        assert set(shown.tags) == set(plain.tags)
        assert shown.rows["X-Evil"] == evil
        assert shown.rows["q"] == "<b>"

    def test_nothingIsInvisible(self) -> None:
        shown = page(b"GET /?q=%00%0A%E2%80%AEa%C3%A4 HTTP/1.0\r\n\r\n")
        assert shown.rows["q"] == "\\x00\\n\\u202eaä"


class TestPages:
    @pytest.mark.parametrize("target", ["/", "/docs/", "/docs/HttpSocket"])
    def test_nothingInline(self, target: str) -> None:
        """The policy would stop it."""
        shown = page(get(target))
        assert shown.inline == ""
        names = {name for name, _ in shown.attributes}
        assert "style" not in names
        assert not [name for name in names if name.startswith("on")]

    @pytest.mark.parametrize(
        "target", ["/", "/demo.css", "/demo.js", "/icon.svg", "/docs/", "/docs/WebSocket", "/upload", "/echo"]
    )
    def test_headers(self, target: str) -> None:
        answer = ask(get(target))
        assert answer.all("X-Content-Type-Options") == ["nosniff"]
        (policy,) = answer.all("Content-Security-Policy")
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        assert rules["default-src"] == "'none'"
        assert "unsafe" not in policy
        assert {rules[each] for each in rules if each.endswith("-src")} == {"'none'", "'self'"}

    def test_links(self) -> None:
        """Each leads somewhere here, anchors included, and nowhere else."""
        anchors: dict[str, set[str]] = {}
        wanted = {"/"}
        while missing := {link.partition("#")[0] for link in wanted} - anchors.keys():
            for target in missing:
                answer = ask(get(target))
                assert answer.status == 200, target
                shown = Page(answer.body.decode() if answer.all("Content-Type") == [HTML] else "")
                anchors[target] = shown.named("id")
                wanted |= shown.named("href") | shown.named("src")
        for link in wanted:
            target, mark, anchor = link.partition("#")
            assert not mark or anchor in anchors[target], link
        assert {f"/docs/{name}" for name in txabstracthttp.__all__} < anchors.keys()

    def test_labels(self) -> None:
        """Whatever the script and the labels refer to is there, once."""
        response = ask(get())
        shown = Page(response.body.decode())
        ids = [value for name, value in shown.attributes if name == "id"]
        assert len(ids) == len(set(ids))
        script = ask(get("/demo.js")).body.decode()
        assert set(re.findall(r'(?:byId|show)\("([\w-]+)"', script)) <= set(ids)
        assert shown.named("aria-labelledby") <= set(ids)

    @pytest.mark.parametrize(
        ("target", "kind"),
        [
            ("/demo.css", "text/css; charset=utf-8"),
            ("/demo.js", "text/javascript; charset=utf-8"),
            ("/icon.svg", "image/svg+xml"),
            ("/docs/Signal", HTML),
        ],
    )
    def test_files(self, target: str, kind: str) -> None:
        whole = ask(get(target))
        assert whole.all("Content-Type") == [kind]
        head = ask(get(target, method="HEAD"))
        assert (head.status, head.body) == (200, b"")
        assert head.all("Content-Length") == [str(len(whole.body))]

    @pytest.mark.parametrize(
        ("target", "method", "allowed"),
        [
            ("/demo.css", "POST", "GET, HEAD"),
            ("/docs/", "DELETE", "GET, HEAD"),
            ("/upload", "GET", "POST, PUT"),
            ("/upload", "PATCH", "POST, PUT"),
        ],
    )
    def test_wrongMethod(self, target: str, method: str, allowed: str) -> None:
        answer = ask(get(target, method=method))
        assert answer.status == 405
        assert answer.all("Allow") == [allowed]

    @pytest.mark.parametrize(
        "target",
        [
            "/index.html",
            "//",
            "/%2F",
            "/favicon.ico",
            "/docs",
            "/docs/Nobody",
            "/docs/../demo.css",
            "/page.html",
        ],
    )
    def test_nothingElse(self, target: str) -> None:
        assert ask(get(target)).status == 404


class TestReference:
    @pytest.mark.parametrize("name", ["", *txabstracthttp.__all__])
    def test_readable(self, name: str) -> None:
        """No markup of the docstrings is left over."""
        shown = re.sub("<[^>]*>", "", ask(get(f"/docs/{name}")).body.decode())
        assert name in shown
        assert "`" not in shown
        assert not re.search(r":(param|ivar|return|raises)", shown)

    def test_member(self) -> None:
        shown = ask(get("/docs/HttpSocket")).body.decode()
        assert '<h2 id="finish"><code>finish(trailers=None)</code></h2>' in shown
        assert "<code>body</code>" in shown
        assert '<a href="/docs/HttpHeaders"><code>HttpHeaders</code></a>' in shown

    def test_fields(self) -> None:
        shown = ask(get("/docs/HttpServerConfiguration")).body.decode()
        assert "<code>maximumBodySize</code></dt><dd>octets of a request" in shown
        assert "bodyTimeout=30" in shown


class TestUpload:
    @pytest.mark.parametrize("method", ["POST", "PUT"])
    def test_digest(self, method: str) -> None:
        content = bytes(range(256)) * 1000
        peer = talk()
        head = get("/upload", f"Content-Length: {len(content)}", method=method)
        peer.send(head, *(content[start : start + 1000] for start in range(0, len(content), 1000)))
        response = peer.response()
        assert response.status == 200
        answer = json.loads(response.body)
        assert answer["size"] == len(content)
        assert answer["sha256"] == hashlib.sha256(content).hexdigest()
        assert answer["seconds"] >= 0
        assert answer["bytesPerSecond"] > 0

    def test_chunked(self) -> None:
        chunks = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
        answer = ask(get("/upload", "Transfer-Encoding: chunked", method="POST") + chunks)
        assert json.loads(answer.body)["sha256"] == hashlib.sha256(b"abcde").hexdigest()

    def test_nothing(self) -> None:
        answer = json.loads(ask(post(b"", target="/upload")).body)
        assert (answer["size"], answer["bytesPerSecond"]) == (0, 0)

    def test_tooMuch(self) -> None:
        class Small(DemoServer):
            maximumUploadSize = 1000

        clock = SteadyClock()
        for request in (
            post(b"x" * 1001, target="/upload"),
            get("/upload", "Transfer-Encoding: chunked", method="PUT") + b"3e9\r\n" + b"x" * 1001,
        ):
            peer = Conversation(Small(clock), clock, FakeTcpTransport())
            peer.send(request)
            assert peer.response().status == 413
        peer = Conversation(Small(clock), clock, FakeTcpTransport())
        peer.send(post(b"x" * 1000, target="/upload"))
        assert peer.response().status == 200

    def test_moreThanIsBuffered(self) -> None:
        """The limit on what is kept of a request does not concern what is not kept."""
        peer = talk(maximumBodySize=10)
        peer.send(post(b"x" * 1000, target="/upload"))
        assert peer.response().status == 200
        peer.send(post(b"x" * 11))
        assert peer.response().status == 413

    def test_leaves(self) -> None:
        with capturedFailures():
            peer = talk()
            peer.send(get("/upload", "Content-Length: 10", method="POST"), b"abc")
            peer.leave()
            assert peer.transport.value == b""

    @pytest.mark.parametrize(
        ("octets", "shown"),
        [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1024**3, "1 GiB"), (5000 * 1024**4, "5000 TiB")],
    )
    def test_sizes(self, octets: int, shown: str) -> None:
        assert readable(octets) == shown


class TestEcho:
    def test_echo(self) -> None:
        peer = Peer(talk())
        messages: list[str | bytes] = ["hello", "\N{SNOWMAN}" * 1000, b"\x00\xff", b"", "x" * 100_000]
        peer.upgrade(target="/echo")
        assert peer.handshake().status == 101
        for message in messages:
            peer.send(framed(message))
            assert peer.messages() == [message]
        peer.part()

    def test_twoAtATime(self) -> None:
        first = Peer(talk())
        other = Peer(first.conversation.another())
        for each in (first, other):
            each.upgrade(target="/echo", early=framed("early"))
            assert each.handshake().status == 101
            assert each.messages() == ["early"]
        first.part()
        other.send(framed("still here"))
        assert other.messages() == ["still here"]

    def test_aPeerThatDoesNotRead(self) -> None:
        """It is not read from either."""
        peer = Peer(talk())
        peer.upgrade(target="/echo")
        assert peer.handshake().status == 101
        peer.transport.stuck = True
        for _ in range(100):
            if not peer.transport.reading:
                break
            peer.send(framed(b"x" * 100_000))
        else:
            pytest.fail("it read on")
        assert sum(map(len, peer.transport.held)) < MIB

    def test_whileItCloses(self) -> None:
        """A message that is late has no echo, and is no reason to complain."""
        with capturedFailures() as failures:
            peer = Peer(talk())
            peer.upgrade(target="/echo")
            assert peer.handshake().status == 101
            peer.server.close()
            peer.send(framed("late"))
            logged = take(failures)
        assert logged == []

    def test_elsewhere(self) -> None:
        peer = Peer(talk())
        peer.upgrade(target="/")
        assert peer.response().status == 404

    def test_noUpgrade(self) -> None:
        answer = ask(get("/echo"))
        assert answer.status == 426
        assert (answer.all("Upgrade"), answer.all("Connection")) == (["websocket"], ["upgrade"])

    def test_stranger(self) -> None:
        """A page of another site gets no WebSocket."""
        peer = talk()
        peer.send(upgrade("/echo", "Origin: https://example.net"))
        assert peer.response().status == 403


def framed(message: str | bytes) -> bytes:
    return text(message) if isinstance(message, str) else binary(message)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="there is no /proc")
def test_memory() -> None:
    """A large upload needs no more than a small one."""
    command = [sys.executable, "-m", "txabstracthttp", "--listen=tcp:0:interface=127.0.0.1"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            said = next(line for line in process.stderr if "serving on" in line)
            port = int(said.rstrip("/\n").rpartition(":")[2])
            upload(port, 4)
            before = peak(process.pid)
            upload(port, 160)
            assert peak(process.pid) - before < 16 * MIB
        finally:
            process.terminate()


def upload(port: int, mebibytes: int) -> None:
    piece = bytes(range(256)) * (MIB // 256)
    digest = hashlib.sha256()

    def pieces() -> Iterator[bytes]:
        for _ in range(mebibytes):
            digest.update(piece)
            yield piece

    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        length = {"Content-Length": str(mebibytes * MIB)}
        connection.request("PUT", "/upload", pieces(), length)
        answer = json.load(connection.getresponse())
    assert (answer["size"], answer["sha256"]) == (mebibytes * MIB, digest.hexdigest())


def peak(pid: int) -> int:
    """The most memory that a process has ever had, in octets."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024
