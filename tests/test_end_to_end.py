"""The whole way: real clients, curl and httpx and bare sockets, against a server on real sockets."""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_twisted
from tlsmaterial import material
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, LogLevel, capturedLogs

from txabstracthttp import AbstractHttpServer, HttpRequest, HttpServerConfiguration, HttpSocket

SOON = 10
MIB = 1024 * 1024

needsCurl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


class Mirror(AbstractHttpServer):
    """Shows a request to whoever sent it."""

    def __init__(self, configuration: HttpServerConfiguration | None = None) -> None:
        super().__init__(configuration=configuration)
        self.peers: list[Any] = []

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> Any:
        self.peers.append(request.remoteAddress)
        match request.path:
            case "/slow":
                return self.slowly(request, socket)
            case "/deferred":
                answered: Deferred[bool] = deferLater(reactor, 0.05, lambda: True)
                return answered.addCallback(lambda result: (socket.respond("deferred"), result)[1])
            case "/digest":
                socket.respond(hashlib.sha256(request.body).hexdigest())
            case "/big":
                socket.respond(b"0123456789abcdef" * (MIB // 4))
            case "/nothing":
                return False
            case "/broken":
                raise RuntimeError("broken on purpose")
            case "/empty":
                socket.respond(status=204)
            case _:
                socket.respond(
                    {
                        "method": request.method,
                        "target": request.target.decode("latin-1"),
                        "path": request.path,
                        "query": list(request.query.items()),
                        "version": request.version,
                        "headers": {name.lower(): value for name, value in request.headers.items()},
                        "body": request.body.decode("latin-1"),
                        "secure": request.isSecure,
                    },
                    headers={"X-Mirror": "yes"},
                )
        return True

    async def slowly(self, request: HttpRequest, socket: HttpSocket) -> bool:
        await deferLater(reactor, 0.05, lambda: None)
        socket.respond(f"slowly {request.query['n']}")
        return True


@pytest_twisted.async_yield_fixture
async def server() -> Any:
    server = Mirror()
    yield server
    await server.close(0).addTimeout(SOON, reactor)


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[LogEvent]]:
    """Critical events; a test must take away those it expects."""
    with capturedLogs() as events:
        yield events  # type: ignore[misc]
    assert [event for event in events if event["log_level"] is LogLevel.critical] == []


@pytest.fixture
def url(server: Mirror) -> str:
    return f"http://127.0.0.1:{server.listen('127.0.0.1')}"


class Ran(NamedTuple):
    """What curl has to say.

    :ivar fields: what ``-w`` was asked for, by name.
    """

    status: int
    content: bytes
    errors: str
    exit: int
    fields: dict[str, Any]

    @property
    def seen(self) -> Any:
        return json.loads(self.content)


async def curl(*arguments: str, data: bytes | None = None, folder: Path) -> Ran:
    output = folder / "curl-output"
    output.unlink(missing_ok=True)
    command = ["curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", str(SOON)]
    command += ["--output", str(output), "--write-out", "%{json}", *arguments]
    run = await deferToThread(subprocess.run, command, input=data, capture_output=True)
    # Of several transfers, the last.
    fields = json.loads(run.stdout.decode().replace("}{", "}\n{").splitlines()[-1])
    content = output.read_bytes() if output.exists() else b""
    return Ran(fields["http_code"], content, run.stderr.decode(), run.returncode, fields)


@needsCurl
class TestCurl:
    @pytest_twisted.ensureDeferred
    async def test_get(self, url: str, tmp_path: Path) -> None:
        ran = await curl(f"{url}/a%20path?b=c+d&b=%C3%A9", folder=tmp_path)
        assert (ran.status, ran.exit, ran.fields["http_version"]) == (200, 0, "1.1")
        assert ran.fields["content_type"] == "application/json"
        assert ran.seen["path"] == "/a path"
        assert ran.seen["query"] == [["b", "c d"], ["b", "é"]]
        assert ran.seen["headers"]["host"] == url.removeprefix("http://")

    @pytest_twisted.ensureDeferred
    async def test_post(self, url: str, tmp_path: Path) -> None:
        ran = await curl("--data", "a=1&b=2", f"{url}/form", folder=tmp_path)
        assert (ran.status, ran.seen["method"], ran.seen["body"]) == (200, "POST", "a=1&b=2")

    @pytest_twisted.ensureDeferred
    async def test_head(self, url: str, tmp_path: Path) -> None:
        ran = await curl("--head", f"{url}/big", folder=tmp_path)
        assert (ran.status, ran.exit) == (200, 0)
        assert b"\r\nContent-Length: 4194304\r\n" in ran.content
        assert ran.content.endswith(b"\r\n\r\n")

    @pytest_twisted.ensureDeferred
    async def test_optionsOfTheServer(self, url: str, tmp_path: Path) -> None:
        ran = await curl("--request", "OPTIONS", "--request-target", "*", url, folder=tmp_path)
        assert (ran.status, ran.seen["method"], ran.seen["target"]) == (200, "OPTIONS", "*")

    @pytest_twisted.ensureDeferred
    async def test_absoluteForm(self, url: str, tmp_path: Path) -> None:
        # This is how one talks to a proxy.
        ran = await curl("--proxy", url, "http://example.com/x?y", "--noproxy", "", folder=tmp_path)
        assert (ran.status, ran.seen["target"]) == (200, "http://example.com/x?y")
        assert ran.seen["path"] == "/x"

    @pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
    @pytest_twisted.ensureDeferred
    async def test_methods(self, url: str, tmp_path: Path, method: str) -> None:
        ran = await curl("--request", method, f"{url}/", folder=tmp_path)
        assert (ran.status, ran.seen["method"]) == (200, method)

    @pytest_twisted.ensureDeferred
    async def test_unknownMethod(self, url: str, tmp_path: Path) -> None:
        assert (await curl("--request", "BREW", f"{url}/", folder=tmp_path)).status == 501

    @pytest_twisted.ensureDeferred
    async def test_chunkedUpload(self, url: str, tmp_path: Path) -> None:
        data = bytes(range(256)) * 8000
        ran = await curl("--upload-file", "-", f"{url}/digest", data=data, folder=tmp_path)
        assert (ran.status, ran.exit) == (200, 0)
        assert ran.content.decode() == hashlib.sha256(data).hexdigest()

    @pytest_twisted.ensureDeferred
    async def test_chunkedUploadIsChunked(self, url: str, tmp_path: Path) -> None:
        ran = await curl("--upload-file", "-", f"{url}/", data=b"abc", folder=tmp_path)
        assert ran.seen["headers"]["transfer-encoding"] == "chunked"
        assert ran.seen["body"] == "abc"

    @pytest_twisted.ensureDeferred
    async def test_continue(self, url: str, tmp_path: Path) -> None:
        # curl expects 100 (Continue) for more than 1 MiB, and would wait for two minutes here.
        data = b"x" * (2 * MIB)
        trace = tmp_path / "trace"
        ran = await curl(
            *("--expect100-timeout", "120", "--trace-ascii", str(trace), "--data-binary", "@-"),
            f"{url}/digest",
            data=data,
            folder=tmp_path,
        )
        assert (ran.status, ran.exit) == (200, 0)
        assert ran.content.decode() == hashlib.sha256(data).hexdigest()
        assert "Expect: 100-continue" in trace.read_text("latin-1")
        assert "HTTP/1.1 100 Continue" in trace.read_text("latin-1")

    @pytest.mark.parametrize("how", ["--data-binary", "--upload-file"])
    @pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"])
    @pytest_twisted.ensureDeferred
    async def test_tooLarge(self, server: Mirror, url: str, tmp_path: Path, how: str, expect: str) -> None:
        # curl must get to read the answer, though it is in the middle of its upload.
        server.setConfiguration(HttpServerConfiguration(maximumBodySize=MIB))
        source = {"--data-binary": "@-", "--upload-file": "-"}[how]
        for _ in range(4):
            ran = await curl(
                *(how, source, "--header", expect, f"{url}/digest"), data=b"x" * (8 * MIB), folder=tmp_path
            )
            assert (ran.status, ran.exit) == (413, 0), ran.errors
            assert ran.content
        assert server.peers == [], "no handler has seen any of it"

    @pytest_twisted.ensureDeferred
    async def test_keepAlive(self, server: Mirror, url: str, tmp_path: Path) -> None:
        ran = await curl(f"{url}/1", f"{url}/2", f"{url}/3", folder=tmp_path)
        assert (ran.status, ran.fields["num_connects"]) == (200, 0)
        assert len({peer.port for peer in server.peers}) == 1

    @pytest_twisted.ensureDeferred
    async def test_http10(self, server: Mirror, url: str, tmp_path: Path) -> None:
        ran = await curl("--http1.0", f"{url}/1", f"{url}/2", folder=tmp_path)
        assert (ran.status, ran.fields["num_connects"]) == (200, 1)
        assert len({peer.port for peer in server.peers}) == 2, "no keep-alive unless it is asked for"
        ran = await curl("--http1.0", f"{url}/big", folder=tmp_path)
        assert (ran.exit, len(ran.content)) == (0, 4 * MIB)

    @pytest_twisted.ensureDeferred
    async def test_unixSocket(self, server: Mirror, tmp_path: Path) -> None:
        await server.bind(f"unix:{tmp_path}/socket")
        ran = await curl("--unix-socket", f"{tmp_path}/socket", "http://name/x", folder=tmp_path)
        assert (ran.status, ran.seen["headers"]["host"]) == (200, "name")
        ran = await curl("--unix-socket", f"{tmp_path}/socket", "http://name/big", folder=tmp_path)
        assert len(ran.content) == 4 * MIB

    @pytest_twisted.ensureDeferred
    async def test_tls(self, server: Mirror, tmp_path: Path) -> None:
        server.sslSetup(material().chain, material().chainKey)
        url = f"https://localhost:{server.listen('127.0.0.1')}"
        trust = ("--cacert", str(material().authority))
        ran = await curl(*trust, f"{url}/x", folder=tmp_path)
        assert (ran.status, ran.exit, ran.seen["secure"]) == (200, 0, True)
        ran = await curl(*trust, f"{url}/big", folder=tmp_path)
        assert (ran.exit, len(ran.content)) == (0, 4 * MIB)
        data = b"x" * (3 * MIB)
        ran = await curl(*trust, "--data-binary", "@-", f"{url}/digest", data=data, folder=tmp_path)
        assert ran.content.decode() == hashlib.sha256(data).hexdigest()

    @pytest_twisted.ensureDeferred
    async def test_tooLargeOverTls(self, server: Mirror, tmp_path: Path) -> None:
        server.setConfiguration(HttpServerConfiguration(maximumBodySize=MIB))
        server.sslSetup(material().both)
        url = f"https://localhost:{server.listen('127.0.0.1')}/"
        for _ in range(3):
            ran = await curl(
                # On HTTP/2 the stream is reset behind the answer, which some curls take for an error.
                *("--http1.1", "--cacert", str(material().authority)),
                *("--header", "Expect:", "--data-binary", "@-", url),
                data=b"x" * (4 * MIB),
                folder=tmp_path,
            )
            assert ran.status == 413, ran

    @pytest_twisted.ensureDeferred
    async def test_hugeHeaders(self, url: str, tmp_path: Path) -> None:
        for headers in (["--header", "X: " + "x" * 60_000], ["--header", f"@{tmp_path}/many"]):
            (tmp_path / "many").write_text("".join(f"X-{n}: {n}\n" for n in range(200)))
            ran = await curl(*headers, url, folder=tmp_path)
            assert ran.status == 431, ran

    @pytest_twisted.ensureDeferred
    async def test_longTarget(self, url: str, tmp_path: Path) -> None:
        assert (await curl(f"{url}/{'x' * 70_000}", folder=tmp_path)).status == 414
        assert (await curl(f"{url}/{'x' * 60_000}", folder=tmp_path)).status == 200

    @pytest_twisted.ensureDeferred
    async def test_noContent(self, url: str, tmp_path: Path) -> None:
        ran = await curl(f"{url}/empty", folder=tmp_path)
        assert (ran.status, ran.exit, ran.content) == (204, 0, b"")

    @pytest_twisted.ensureDeferred
    async def test_refusedUpgrade(self, url: str, tmp_path: Path) -> None:
        # h2c, which we do not speak: an ordinary answer.
        ran = await curl("--http2", f"{url}/x", folder=tmp_path)
        assert (ran.status, ran.fields["http_version"]) == (200, "1.1")


async def withHttpx(use: Callable[[httpx.Client], Any], url: str, **more: Any) -> Any:
    """What `use` makes of a client, in a thread."""

    def run() -> Any:
        with httpx.Client(base_url=url, timeout=SOON, trust_env=False, **more) as client:
            return use(client)

    return await deferToThread(run)


class TestHttpx:
    @pytest_twisted.ensureDeferred
    async def test_methods(self, server: Mirror, url: str) -> None:
        def use(client: httpx.Client) -> None:
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
                answer = client.request(method, "/", content=b"" if method == "GET" else b"body")
                assert answer.status_code == 200
                assert answer.headers["X-Mirror"] == "yes"
                assert answer.json()["method"] == method
            head = client.head("/")
            assert (head.status_code, head.content) == (200, b"")
            assert int(head.headers["Content-Length"]) > 0

        await withHttpx(use, url)
        assert len({peer.port for peer in server.peers}) == 1, "one connection for all"

    @pytest_twisted.ensureDeferred
    async def test_chunkedUpload(self, url: str) -> None:
        pieces = [bytes([n]) * (n * 97) for n in range(1, 200)]

        def use(client: httpx.Client) -> tuple[str, dict[str, Any]]:
            return client.post("/digest", content=iter(pieces)).text, client.post(
                "/", content=iter([b"a", b"b"])
            ).json()

        digest, seen = await withHttpx(use, url)
        assert digest == hashlib.sha256(b"".join(pieces)).hexdigest()
        assert seen["headers"]["transfer-encoding"] == "chunked"
        assert seen["body"] == "ab"

    @pytest_twisted.ensureDeferred
    async def test_errors(self, server: Mirror, url: str, logged: list[LogEvent]) -> None:
        def use(client: httpx.Client) -> list[int]:
            paths = ("/nothing", "/broken", "/empty", "/nothing", "/")
            return [client.get(path).status_code for path in paths]

        assert await withHttpx(use, url) == [404, 500, 204, 404, 200]
        assert len({peer.port for peer in server.peers}) == 1
        (event,) = [event for event in logged if event["log_level"] is LogLevel.critical]
        assert str(event["log_failure"].value) == "broken on purpose"
        logged.clear()

    @pytest_twisted.ensureDeferred
    async def test_asynchronousHandlers(self, url: str) -> None:
        def use(client: httpx.Client) -> list[str]:
            return [client.get(path).text for path in ("/slow?n=1", "/deferred", "/slow?n=2")]

        assert await withHttpx(use, url) == ["slowly 1", "deferred", "slowly 2"]

    @pytest.mark.parametrize("secure", [False, True])
    @pytest_twisted.ensureDeferred
    async def test_hundredAtOnce(self, server: Mirror, secure: bool) -> None:
        if secure:
            server.sslSetup(material().both)
        url = f"http{'s' * secure}://localhost:{server.listen('127.0.0.1')}"
        verify = ssl.create_default_context(cafile=str(material().authority))

        def use(client: httpx.Client) -> list[str]:
            with ThreadPoolExecutor(25) as pool:
                return list(pool.map(lambda n: client.get(f"/slow?n={n}").text, range(100)))

        limits = httpx.Limits(max_connections=50)
        found = await withHttpx(use, url, verify=verify, limits=limits)
        assert found == [f"slowly {n}" for n in range(100)]

    @pytest_twisted.ensureDeferred
    async def test_big(self, url: str) -> None:
        content = await withHttpx(lambda client: client.get("/big").content, url)
        assert content == b"0123456789abcdef" * (MIB // 4)

    @pytest_twisted.ensureDeferred
    async def test_unixSocket(self, server: Mirror, tmp_path: Path) -> None:
        await server.bind(f"unix:{tmp_path}/socket")
        transport = httpx.HTTPTransport(uds=str(tmp_path / "socket"))
        seen = await withHttpx(
            lambda client: client.post("/x", content=b"y").json(), "http://local", transport=transport
        )
        assert (seen["path"], seen["body"]) == ("/x", "y")


async def converse(where: int | Path, *steps: bytes, end: bool = False, pause: float = 0.02) -> list[bytes]:
    """Send each of `steps` after a pause, then perhaps close our side; the responses, one by one."""

    def run() -> bytes:
        connection = socket.socket(socket.AF_INET if isinstance(where, int) else socket.AF_UNIX)
        with connection:
            connection.settimeout(SOON)
            connection.connect(("127.0.0.1", where) if isinstance(where, int) else str(where))
            for number, step in enumerate(steps):
                if number:
                    connection.settimeout(pause)
                    with pytest.raises(TimeoutError):
                        connection.recv(1, socket.MSG_PEEK)
                    connection.settimeout(SOON)
                connection.sendall(step)
            if end:
                connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    answer = await deferToThread(run)
    return [b"HTTP/1.1 " + each for each in answer.split(b"HTTP/1.1 ")[1:]]


def get(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: localhost", *fields, "", ""]).encode()


class TestBareSockets:
    @pytest.mark.parametrize("path", ["/", "/slow?n=1", "/deferred", "/big"])
    @pytest_twisted.ensureDeferred
    async def test_halfClosed(self, server: Mirror, path: str, tmp_path: Path) -> None:
        # The peer has said all it wants to say, and waits for the answer.
        await server.bind(f"unix:{tmp_path}/socket")
        for where in (server.listen("127.0.0.1"), tmp_path / "socket"):
            (answer,) = await converse(where, get(path), end=True)
            assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
            if path == "/big":
                assert len(answer) > 4 * MIB

    @pytest_twisted.ensureDeferred
    async def test_halfClosedWithABody(self, server: Mirror) -> None:
        post = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
        (answer,) = await converse(server.listen("127.0.0.1"), post, end=True)
        assert b'"abc"' in answer

    @pytest_twisted.ensureDeferred
    async def test_halfARequest(self, server: Mirror) -> None:
        for data in (b"GET / HTTP/1.1\r\nHo", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab"):
            answers = await converse(server.listen("127.0.0.1"), data, end=True)
            assert all(answer.startswith(b"HTTP/1.1 400 ") for answer in answers)
        assert server.peers == []

    @pytest.mark.parametrize("end", [False, True])
    @pytest_twisted.ensureDeferred
    async def test_pipelined(self, server: Mirror, end: bool) -> None:
        # Some are answered at once and some later, and all in order.
        paths = [f"/slow?n={n}" if n % 3 == 0 else f"/{n}" for n in range(20)]
        last = () if end else ("Connection: close",)
        data = b"".join(map(get, paths[:-1])) + get(paths[-1], *last)
        answers = await converse(server.listen("127.0.0.1"), data, end=end)
        assert len(answers) == 20
        for n, answer in enumerate(answers):
            content = answer.partition(b"\r\n\r\n")[2]
            assert content == b"slowly %d" % n if n % 3 == 0 else b'"/%d"' % n in content
            assert (b"\r\nConnection: close\r\n" in answer) == (n == 19 and not end)

    @pytest_twisted.ensureDeferred
    async def test_thousandPipelined(self, server: Mirror) -> None:
        data = get("/empty") * 999 + get("/empty", "Connection: close")
        answers = await converse(server.listen("127.0.0.1"), data)
        assert [answer[:16] for answer in answers] == [b"HTTP/1.1 204 No "] * 1000

    @pytest_twisted.ensureDeferred
    async def test_inPieces(self, server: Mirror) -> None:
        data = get("/piecemeal", "Connection: close")
        (answer,) = await converse(
            server.listen("127.0.0.1"), *[data[n : n + 9] for n in range(0, len(data), 9)]
        )
        assert b'"/piecemeal"' in answer

    @pytest_twisted.ensureDeferred
    async def test_tooLargeForOneWhoSendsFirst(self, server: Mirror) -> None:
        # A client that is not curl: it looks for an answer when it has sent everything, a moment later.
        server.setConfiguration(HttpServerConfiguration(maximumBodySize=1000))
        head = f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {4 * MIB}\r\n\r\n".encode()
        for _ in range(3):
            (answer,) = await converse(server.listen("127.0.0.1"), head + b"x" * (4 * MIB))
            assert answer.startswith(b"HTTP/1.1 413 ")

    @pytest_twisted.ensureDeferred
    async def test_slowReader(self, server: Mirror) -> None:
        port = server.listen("127.0.0.1")

        def run() -> int:
            size = 0
            with socket.socket() as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.settimeout(SOON)
                connection.connect(("127.0.0.1", port))
                connection.sendall(get("/big") + get("/big", "Connection: close"))
                while more := connection.recv(200_000):
                    size += len(more)
            return size

        assert await deferToThread(run) > 8 * MIB

    @pytest_twisted.ensureDeferred
    async def test_clientThatLeaves(self, server: Mirror) -> None:
        # In the middle of everything; nothing is logged, and the server is as well as before.
        port = server.listen("127.0.0.1")
        for data in (b"", b"GET /", get("/slow?n=1"), get("/big"), get("/slow?n=1") * 5):
            for linger in (b"\1\0\0\0\0\0\0\0", b"\0" * 8):
                with socket.create_connection(("127.0.0.1", port)) as connection:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    connection.sendall(data)
                    await deferLater(reactor, 0.01, lambda: None)
        await deferLater(reactor, 0.1, lambda: None)
        (answer,) = await converse(port, get("/", "Connection: close"))
        assert answer.startswith(b"HTTP/1.1 200 OK")
