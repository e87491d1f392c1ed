"""Ask a server once, and look at the answer, before its speed is worth measuring."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPException

from .errors import Failed


def helloWorld(port: int, path: str) -> None:
    """GET `path`: status 200, ``text/plain``, exactly ``Hello, world``, and the connection stays open."""
    connection = HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        seen = (response.status, mediaType(response.getheader("Content-Type")), response.read())
        kept = connection.sock is not None
    except (OSError, HTTPException) as error:
        raise Failed(f"no usable answer: {error!r}") from error
    finally:
        connection.close()
    if seen != (200, "text/plain", b"Hello, world") or not kept:
        raise Failed(f"wrong answer: {seen}, keep-alive: {kept}")


def mediaType(header: str | None) -> str:
    return (header or "").partition(";")[0].strip().lower()
