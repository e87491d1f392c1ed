"""HTTP/2 over real sockets, in cleartext and through TLS, with clients that are not ours."""

from __future__ import annotations

import hashlib
import shutil
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from http2helpers import PREFACE, Client
from tlsmaterial import material

MIB = 1024 * 1024
PATIENCE = 30.0

needsCurl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
needsNghttp = pytest.mark.skipif(shutil.which("nghttp") is None, reason="nghttp is not installed")

SERVER = """
import sys
from hashlib import sha256
from twisted.internet import reactor
from twisted.internet.ssl import Certificate, CertificateOptions, KeyPair
from twisted.logger import globalLogBeginner, textFileLogObserver
from txabstracthttp import AbstractHttpServer, HttpServerConfiguration

class Server(AbstractHttpServer):
    def streamsBody(self, request):
        return request.path == "/digest"

    def handleRequest(self, request, socket):
        if request.path == "/big":
            socket.respond(bytes(int(request.query["size"])))
        elif request.path == "/digest":
            return self.digest(request, socket)
        elif request.path == "/file":
            socket.sendFile(request.query["name"])
        elif request.path == "/trailers":
            socket.write(b"content")
            socket.finish({"X-Sum": "7"})
        elif request.path == "/hints":
            socket.inform(103, {"Link": "</a.css>"})
            socket.respond("hinted")
        elif request.path == "/fail":
            socket.write(b"begun")
            socket.abortConnection()
        elif request.path == "/missing":
            return False
        else:
            certificate = request.peerCertificate
            socket.respond({
                "version": request.version, "method": request.method, "path": request.path,
                "secure": request.isSecure, "tls": request.tlsVersion,
                "host": request.value("host"), "body": len(request.body),
                "peer": request.remoteAddress.host, "url": request.url.to_text(),
                "certificate": certificate and certificate.getSubject().commonName.decode(),
            })
        return True

    async def digest(self, request, socket):
        digest = sha256()
        async for piece in request:
            digest.update(piece)
        socket.respond(digest.hexdigest())
        return True

globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
both, authority = sys.argv[1:]
server = Server()
plain = server.listen("127.0.0.1")
server.sslSetup(both)
secure = server.listen("127.0.0.1")
pem = open(both, "rb").read()
own = KeyPair.load(pem, 1), Certificate.loadPEM(pem)
server.sslSetup(CertificateOptions(
    own[0].original, own[1].original, verify=True, requireCertificate=True,
    caCerts=[Certificate.loadPEM(open(authority, "rb").read()).original],
))
mutual = server.listen("127.0.0.1")
ports = [server.bind(f"{kind}:0:interface=127.0.0.1:privateKey={both}:certKey={both}") for kind in ("ssl",)]
endpoint = ports[0].result.getHost().port
print(plain, secure, mutual, endpoint, flush=True)
reactor.run()
"""


class Ports:
    """Where the server serves: in cleartext, over TLS, with clients' certificates, by an endpoint string."""

    def __init__(self, plain: int, secure: int, mutual: int, endpoint: int) -> None:
        self.plain, self.secure, self.mutual, self.endpoint = plain, secure, mutual, endpoint


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ports]:
    folder = tmp_path_factory.mktemp("server")
    script, log = folder / "server.py", folder / "log"
    script.write_text(SERVER)
    m = material()
    with log.open("w") as stderr:
        command = [
            sys.executable,
            "-W",
            "ignore::DeprecationWarning",
            str(script),
            str(m.both),
            str(m.authority),
        ]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, text=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, log.read_text()
        yield Ports(*map(int, line.split()))
        process.terminate()
        process.communicate(timeout=PATIENCE)
    assert "Traceback" not in log.read_text(), log.read_text()


def run(*command: str, data: bytes | None = None) -> bytes:
    done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False, input=data)
    assert done.returncode == 0, done
    return done.stdout


def curl(*arguments: str) -> bytes:
    return run("curl", "-sS", "--cacert", str(material().authority), *arguments)


@needsCurl
class TestCurl:
    """One of the clients that most people have; ``--http2-prior-knowledge`` in cleartext, ALPN over TLS."""

    WAYS = [
        ("plain", "http", "--http2-prior-knowledge"),
        ("secure", "https", "--http2"),
        ("endpoint", "https", "--http2"),
    ]

    @pytest.fixture(params=WAYS, ids=[way[0] for way in WAYS])
    def way(self, ports: Ports, request: pytest.FixtureRequest) -> tuple[str, str]:
        name, scheme, option = request.param
        return option, f"{scheme}://localhost:{getattr(ports, name)}"

    def test_get(self, way: tuple[str, str]) -> None:
        option, base = way
        answer = curl(option, "-w", "\n%{http_version} %{http_code}", f"{base}/a%20b")
        content, _, last = answer.rpartition(b"\n")
        assert last == b"2 200"
        assert b'"version":"2","method":"GET","path":"/a b"' in content
        assert (b'"tls":"TLSv1.3"' in content) == base.startswith("https")
        assert f'"host":"{base.partition("//")[2]}"'.encode() in content
        assert f'"url":"{base}/a b"'.encode() in content or f'"url":"{base}/a%20b"'.encode() in content

    def test_head(self, way: tuple[str, str]) -> None:
        option, base = way
        answer = curl(option, "-I", f"{base}/big?size=1000000")
        assert answer.startswith(b"HTTP/2 200 \r\n")
        assert b"content-length: 1000000\r\n" in answer

    def test_several(self, ports: Ports) -> None:
        """On one connection.  In cleartext curl 7.88 fails before it has asked anything."""
        base = f"https://localhost:{ports.secure}"
        answer = curl(
            "--http2",
            *("-w", "%{http_code} %{num_connects}\n"),
            *("-o", "/dev/null", f"{base}/first"),
            *("-o", "/dev/null", f"{base}/missing"),
            *("-o", "/dev/null", f"{base}/big?size=3000000"),
        )
        assert answer == b"200 1\n404 0\n200 0\n"

    @pytest.mark.parametrize("size", [1000, 60_000, MIB, 5 * MIB])
    @pytest.mark.parametrize("path", ["/collected", "/digest"])
    def test_post(self, way: tuple[str, str], tmp_path: Path, size: int, path: str) -> None:
        option, base = way
        content = bytes(range(256)) * (size // 256)
        (tmp_path / "content").write_bytes(content)
        answer = curl(option, "--data-binary", f"@{tmp_path / 'content'}", base + path)
        if path == "/digest":
            assert answer.decode() == hashlib.sha256(content).hexdigest()
        else:
            assert f'"body":{len(content)}'.encode() in answer

    def test_expect(self, way: tuple[str, str], tmp_path: Path) -> None:
        option, base = way
        (tmp_path / "content").write_bytes(b"x" * 1000)
        answer = curl(
            option,
            "-H",
            "Expect: 100-continue",
            "--data-binary",
            f"@{tmp_path / 'content'}",
            "-i",
            base + "/",
        )
        assert b'"body":1000' in answer

    def test_download(self, way: tuple[str, str], tmp_path: Path) -> None:
        option, base = way
        big = tmp_path / "big"
        big.write_bytes(b"0123456789" * MIB)
        curl(option, "-o", str(tmp_path / "got"), f"{base}/file?name={big}")
        assert (tmp_path / "got").read_bytes() == big.read_bytes()

    def test_hintsAndTrailers(self, way: tuple[str, str]) -> None:
        option, base = way
        assert curl(option, "-i", f"{base}/hints").startswith(
            b"HTTP/2 103 \r\nlink: </a.css>\r\n\r\nHTTP/2 200 "
        )
        answer = curl(option, "-i", f"{base}/trailers")
        assert b"\r\n\r\ncontent" in answer
        assert b"x-sum: 7" in answer

    def test_aborted(self, way: tuple[str, str]) -> None:
        option, base = way
        command = ["curl", "-sS", "--cacert", str(material().authority), option, f"{base}/fail"]
        done = subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)
        assert done.returncode == 92
        assert b"CANCEL" in done.stderr


@needsNghttp
class TestNghttp:
    @pytest.mark.parametrize("scheme", ["http", "https"])
    def test_many(self, ports: Ports, scheme: str) -> None:
        base = f"{scheme}://localhost:{ports.plain if scheme == 'http' else ports.secure}"
        answer = run("nghttp", *[f"{base}/big?size={n}" for n in range(1, 30)])
        assert len(answer) == sum(range(1, 30))

    @pytest.mark.parametrize("bits", ["1", "10", "30"])
    def test_windows(self, ports: Ports, bits: str) -> None:
        """Of two octets, of a few, and of as many as there can be."""
        size = 300 if bits == "1" else 200_000
        answer = run("nghttp", "-w", bits, "-W", "30", f"http://localhost:{ports.plain}/big?size={size}")
        assert len(answer) == size

    def test_upload(self, ports: Ports, tmp_path: Path) -> None:
        content = b"0123456789" * 300_000
        (tmp_path / "content").write_bytes(content)
        url = f"http://localhost:{ports.plain}/digest"
        assert (
            run("nghttp", "-d", str(tmp_path / "content"), url).decode()
            == hashlib.sha256(content).hexdigest()
        )
        (tmp_path / "trailed").write_bytes(content)
        trailed = run("nghttp", "-d", str(tmp_path / "trailed"), "--trailer", "x-sum: 7", url)
        assert trailed.decode() == hashlib.sha256(content).hexdigest()

    def test_statistics(self, ports: Ports) -> None:
        """``-v`` shows what was said: nothing of it an error."""
        said = run("nghttp", "-nv", f"http://localhost:{ports.plain}/x")
        assert b"recv SETTINGS frame" in said
        assert b"SETTINGS_ENABLE_CONNECT_PROTOCOL(0x08):1" in said or b"UNKNOWN(0x08):1" in said
        assert b"error_code=" not in said.replace(b"error_code=NO_ERROR(0x00)", b"")


class TestHttpx:
    @pytest.fixture(params=["http", "https"])
    def client(self, ports: Ports, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
        scheme: str = request.param
        context = ssl.create_default_context(cafile=str(material().authority))
        port = ports.plain if scheme == "http" else ports.secure
        base = f"{scheme}://localhost:{port}"
        with httpx.Client(http1=scheme == "https", http2=True, verify=context, base_url=base) as client:
            yield client

    def test_get(self, client: httpx.Client) -> None:
        for number in range(20):
            answer = client.get(f"/{number}", headers={"X-A": "b"})
            assert (answer.http_version, answer.status_code) == ("HTTP/2", 200)
            assert answer.json()["path"] == f"/{number}"
        assert client.get("/missing").status_code == 404

    def test_streamed(self, client: httpx.Client) -> None:
        pieces = [bytes([number]) * 10_000 for number in range(100)]
        answer = client.post("/digest", content=iter(pieces))
        assert answer.text == hashlib.sha256(b"".join(pieces)).hexdigest()
        with client.stream("GET", f"/big?size={3 * MIB}") as download:
            assert sum(map(len, download.iter_bytes())) == 3 * MIB

    def test_collected(self, client: httpx.Client) -> None:
        assert client.post("/", content=bytes(3 * MIB)).json()["body"] == 3 * MIB

    def test_inThreads(self, ports: Ports) -> None:
        """Of one connection, each with streams of its own.

        Not over TLS: the client reads and writes at a time, for which its side's TLS objects are not made.
        """
        sizes: list[int] = []
        client = httpx.Client(http1=False, http2=True, base_url=f"http://localhost:{ports.plain}")

        def fetch(size: int) -> None:
            sizes.extend(len(client.get(f"/big?size={size}").content) for _ in range(5))

        threads = [threading.Thread(target=fetch, args=(size,)) for size in (1, 1000, 100_000, 500_000)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        client.close()
        assert sorted(sizes) == sorted([1, 1000, 100_000, 500_000] * 5)


def context(*protocols: str, certificate: bool = False) -> ssl.SSLContext:
    m = material()
    made = ssl.create_default_context(cafile=str(m.authority))
    if protocols:
        made.set_alpn_protocols(list(protocols))
    if certificate:
        made.load_cert_chain(m.client, m.clientKey)
    return made


def connect(port: int, made: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    return made.wrap_socket(plain, server_hostname="localhost")


class TestAlpn:
    @pytest.mark.parametrize(
        ("offered", "chosen"),
        [
            (("h2",), "h2"),
            (("h2", "http/1.1"), "h2"),
            (("http/1.1", "h2"), "h2"),
            (("http/1.1",), "http/1.1"),
            (("spdy/3", "http/1.1"), "http/1.1"),
            ((), None),
        ],
    )
    @pytest.mark.parametrize("way", ["secure", "endpoint"])
    def test_chosen(self, ports: Ports, way: str, offered: tuple[str, ...], chosen: str | None) -> None:
        with connect(getattr(ports, way), context(*offered)) as connection:
            assert connection.selected_alpn_protocol() == chosen
            if chosen == "h2":
                # SETTINGS, from the server, before anything is said.
                assert connection.recv(9)[3:5] == b"\4\0"
            else:
                connection.sendall(b"GET /x HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                answer = b"".join(iter(lambda: connection.recv(65536), b""))
                assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
                assert b'"version":"1.1"' in answer

    def test_noOverlap(self, ports: Ports) -> None:
        with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
            connect(ports.secure, context("spdy/3"))

    def test_prefaceWithoutIt(self, ports: Ports) -> None:
        with connect(ports.secure, context()) as connection:
            connection.sendall(PREFACE)
            assert connection.recv(65536).startswith(b"HTTP/1.1 400 ")

    def test_peerCertificate(self, ports: Ports) -> None:
        with connect(ports.mutual, context("h2", certificate=True)) as connection:
            client = Client()
            client.initiate_connection()
            head: list[Any] = [
                (":method", "GET"),
                (":scheme", "https"),
                (":path", "/"),
                (":authority", "localhost"),
            ]
            client.send_headers(1, head, end_stream=True)
            connection.sendall(client.data_to_send())
            body = b""
            while not body.endswith(b"}"):
                data = connection.recv(65536)
                assert data
                body += b"".join(getattr(event, "data", b"") or b"" for event in client.receive_data(data))
        assert b'"certificate":"client"' in body
        assert b'"secure":true' in body
