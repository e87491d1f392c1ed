"""Ask a server once, and look at the answer, before its speed is worth measuring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse, parse_headers
from io import BufferedReader
from socket import create_connection

from . import browser, ws_client
from .errors import Failed
from .target import HOST, Target

MIB = 1024**2
CHUNKED = b"400\r\n%b\r\n" % (b"x" * 1024) * 100 + b"0\r\n\r\n"
#: Every octet is another than its neighbours, and no period divides the size of a buffer.
MOTLEY = (bytes(range(251)) * 262)[:65536]


def helloWorld(target: Target, path: str) -> None:
    """GET `path`: status 200, ``text/plain``, exactly ``Hello, world``, and the connection stays open."""
    with answer(target, path) as response:
        seen = (mediaType(response.getheader("Content-Type")), response.read())
        require(seen == ("text/plain", b"Hello, world"), f"{seen}")


def http2(target: Target, path: str) -> None:
    """The same by way of HTTP/2, negotiated over TLS or known beforehand; a second time on the connection."""
    import httpx

    context = target.certificate is not None and target.tlsContext()
    try:
        with httpx.Client(http1=False, http2=True, verify=context, trust_env=False, timeout=15) as client:
            for streamId in (1, 3):
                response = client.get(target.url(path))
                kind = mediaType(response.headers.get("content-type"))
                seen = (response.status_code, kind, response.content[:80])
                require(seen == (200, "text/plain", b"Hello, world"), f"{seen}")
                spoken = (response.http_version, response.extensions["stream_id"])
                require(spoken == ("HTTP/2", streamId), f"{spoken}")
    except (OSError, httpx.HTTPError) as error:
        raise Failed(f"no usable answer: {error!r}") from error


def browserHello(target: Target, path: str) -> None:
    """`helloWorld` for a browser, with all that it sends."""
    with answer(target, path, fields=browser.FIELDS) as response:
        seen = (mediaType(response.getheader("Content-Type")), response.read())
        require(seen == ("text/plain", b"Hello, world"), f"{seen}")


def pipelined(target: Target, path: str) -> None:
    """16 requests in one write have 16 answers, each `helloWorld`."""
    request = f"GET {path} HTTP/1.1\r\nHost: {HOST}:{target.port}\r\n\r\n".encode()
    try:
        with create_connection((HOST, target.port), 15) as connection:
            connection.sendall(request * 16)
            answers = connection.makefile("rb")
            seen = [nextAnswer(answers) for _ in range(16)]
    except (OSError, HTTPException, ValueError) as error:
        raise Failed(f"no usable answers: {error!r}") from error
    require(seen == [(b"200", "text/plain", b"Hello, world")] * 16, f"{seen}")


def nextAnswer(answers: BufferedReader) -> tuple[bytes, str, bytes]:
    """Status, media type and content of one answer that tells its length."""
    status = answers.readline().split()[1:2]
    head = parse_headers(answers)
    content = answers.read(int(head["Content-Length"] or 0))
    return (status[0] if status else b"", mediaType(head["Content-Type"]), content)


def echo(target: Target, path: str, size: int = 65536) -> None:
    """What was sent comes back as it went."""
    with answer(target, path, MOTLEY[:size]) as response:
        require(response.read() == MOTLEY[:size], "not what was sent")


def mebibyte(target: Target, path: str) -> None:
    """1 MiB, with its length."""
    with answer(target, path) as response:
        require(response.length == MIB and response.read() == b"x" * MIB, f"length {response.length}")


def hundred(target: Target, path: str) -> None:
    """100 MiB, with their length; what the load reads of it, it counts."""
    with answer(target, path) as response:
        require(response.length == 100 * MIB, f"length {response.length}")
        size = len(response.read())
        require(size == 100 * MIB, f"{size} octets")


def chunked(target: Target, path: str) -> None:
    """100 chunks of 1 KiB, and the octets of each."""
    with answer(target, path) as response:
        raw = response.fp.read(len(CHUNKED))
        require(bool(response.chunked) and raw == CHUNKED, "not 100 chunks of 1 KiB")


def upload(target: Target, path: str) -> None:
    """The application counts what it gets."""
    with answer(target, path, bytes(MIB)) as response:
        seen = response.read()
        require(seen == b"%d" % MIB, f"{seen!r}")


def webSocket(target: Target, path: str, sizes: tuple[int, ...] = (32, 4096)) -> None:
    """Messages of these sizes come back as they went, and it closes when it is asked."""
    try:
        with ws_client.openWebSocket(target.port, path) as connection:
            for size in sizes:
                ws_client.exchange(connection, size)
            ws_client.close([connection])
    except (OSError, ws_client.Wrong) as error:
        raise Failed(f"no usable WebSocket: {error!r}") from error


@contextmanager
def answer(
    target: Target, path: str, content: bytes | None = None, fields: Mapping[str, str] | None = None
) -> Iterator[HTTPResponse]:
    """The answer to a GET, or to a POST of `content`; `Failed` unless it is 200 and the connection stays."""
    connection = target.connection()
    try:
        connection.request("GET" if content is None else "POST", path, content, fields or {})
        response = connection.getresponse()
        require(response.status == 200, f"status {response.status}")
        yield response
        require(connection.sock is not None, "no keep-alive")
    except (OSError, HTTPException) as error:
        raise Failed(f"no usable answer: {error!r}") from error
    finally:
        connection.close()


def require(right: bool, seen: str) -> None:
    if not right:
        raise Failed(f"wrong answer: {seen}")


def mediaType(header: str | None) -> str:
    return (header or "").partition(";")[0].strip().lower()
