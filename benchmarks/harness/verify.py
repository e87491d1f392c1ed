"""Ask a server once, and look at the answer, before its speed is worth measuring."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, HTTPResponse

from . import ws_client
from .errors import Failed
from .target import Target

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


def echo(target: Target, path: str) -> None:
    """64 KiB come back as they went."""
    with answer(target, path, MOTLEY) as response:
        require(response.read() == MOTLEY, "not what was sent")


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


def webSocket(target: Target, path: str) -> None:
    """Messages of all the sizes that are measured come back as they went, and it closes when it is asked."""
    try:
        with ws_client.openWebSocket(target.port, path) as connection:
            for size in (32, 4096):
                ws_client.exchange(connection, size)
            ws_client.close([connection])
    except (OSError, ws_client.Wrong) as error:
        raise Failed(f"no usable WebSocket: {error!r}") from error


@contextmanager
def answer(target: Target, path: str, content: bytes | None = None) -> Iterator[HTTPResponse]:
    """The answer to a GET, or to a POST of `content`; `Failed` unless it is 200 and the connection stays."""
    connection = target.connection()
    try:
        connection.request("GET" if content is None else "POST", path, content)
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
