"""What RFC 9110 says of responses, whichever version carries them.  Pure: values in, values out."""

from __future__ import annotations

__all__ = [
    "TEXT",
    "Content",
    "ResponseHead",
    "checkStatus",
    "composeHead",
    "encodeContent",
    "encodeMediaType",
    "encodeTrailers",
    "errorPage",
    "errorResponse",
    "forbidsLength",
    "frameContent",
    "mayHaveContent",
    "standardFields",
]

import json
import time
from typing import Any, NamedTuple

from ._events import FieldPairs, Fields
from ._status import reasonPhrase
from .headers import HeadersLike, HttpHeaders, encodeFields
from .wire.fields import FORBIDDEN_TRAILERS

#: What text is, unless somebody says otherwise.
TEXT = b"text/plain; charset=utf-8"

#: What `respond` takes for a body.
Content = str | bytes | bytearray | memoryview | dict[str, Any] | list[Any]

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

#: An error page shows nothing that a peer sent, and can do nothing.
_ERROR_FIELDS: Fields = [
    (b"Content-Type", b"text/plain; charset=utf-8"),
    (b"X-Content-Type-Options", b"nosniff"),
    (b"Content-Security-Policy", b"default-src 'none'"),
]


class ResponseHead(NamedTuple):
    """A checked response head.

    :ivar fields: everything but what frames the message.
    :ivar length: the Content-Length that the application gave, or None.
    :ivar closes: the application asked for ``Connection: close``.
    """

    fields: FieldPairs
    length: int | None = None
    closes: bool = False


def checkStatus(status: int) -> None:
    """Refuse what is no final status code (section 15).

    :raises ValueError: not an `int` from 200 to 599.
    """
    if isinstance(status, bool) or not isinstance(status, int) or not 200 <= status <= 599:
        raise ValueError(f"a final status is an int from 200 to 599, not {status!r}")


def frameContent(method: str, status: int, content: bytes, declared: int | None) -> tuple[int | None, bytes]:
    """The Content-Length and the octets of a whole response (sections 6.4.1, 8.6, 9.3.6).

    :param declared: the Content-Length that the application gave, or None.
    :return: a length of None for a response without that field.
    :raises ValueError: the application declared another length than it gave.
    """
    if forbidsLength(method, status):
        return None, b""
    if status == 304:
        return declared, b""
    if status == 205:
        content = b""
    if declared is not None and declared != len(content) and not (method == "HEAD" and not content):
        raise ValueError(f"Content-Length is {declared}, the body has {len(content)} octets")
    if method == "HEAD":
        return len(content) if declared is None else declared, b""
    return len(content), content


def forbidsLength(method: str, status: int) -> bool:
    """Whether such a response must not even say that it is empty (sections 8.6, 9.3.6).

    Behind the answer that opens a tunnel there is the tunnel.
    """
    return status == 204 or (method == "CONNECT" and status < 300)


def mayHaveContent(method: str, status: int) -> bool:
    """Whether content may follow the head of such a response (section 6.4.1)."""
    return method != "HEAD" and status not in (205, 304) and not forbidsLength(method, status)


#: Keep-Alive is about one connection of HTTP/1, and a protocol error in HTTP/2.
UNSENDABLE_TRAILERS = FORBIDDEN_TRAILERS | {b"keep-alive"}


def encodeTrailers(trailers: HeadersLike) -> Fields:
    """Check a trailer section (section 6.5.1).

    :raises ValueError: a malformed field, or one that must be known before the content.
    """
    fields = encodeFields(trailers)
    for name, _ in fields:
        if name.lower() in UNSENDABLE_TRAILERS:
            raise ValueError(f"{name.decode('ascii')} cannot be a trailer")
    return fields


def encodeMediaType(contentType: str) -> bytes:
    """Check a media type as a field value.

    :raises ValueError, TypeError: as for `HttpHeaders`.
    """
    return encodeFields([("Content-Type", contentType)])[0][1]


def encodeContent(body: Content) -> tuple[bytes, bytes | None]:
    """The octets of a body, and the media type that its Python type suggests.

    :raises TypeError: none of the types a body may have, or not JSON.
    :raises ValueError: no JSON, such as NaN.
    """
    if isinstance(body, str):
        return body.encode("utf-8"), TEXT
    if isinstance(body, bytes):
        return body, b"application/octet-stream" if body else None
    if isinstance(body, (dict, list)):
        text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8"), b"application/json"
    if isinstance(body, (bytearray, memoryview)):
        return encodeContent(bytes(body))
    raise TypeError(f"a body is str, bytes, dict or list, not {type(body).__name__}")


def composeHead(headers: HeadersLike, contentType: bytes | None, server: bytes) -> ResponseHead:
    """Check and complete the header section of a response.

    :param headers: the application's; what it says of Content-Type, Date or Server stands.
    :param contentType: the media type if `headers` names none; None for none.
    :param server: the Server field, empty for none.
    :raises ValueError: a malformed field, or one that is the server's own business.
    :raises TypeError: not headers at all.
    """
    fields = encodeFields(headers)
    given = {name.lower(): value for name, value in fields}
    if b"transfer-encoding" in given:
        raise ValueError("Transfer-Encoding is the server's to choose")
    standard = [field for field in standardFields(contentType, server) if field[0].lower() not in given]
    if not _CONNECTION_FIELDS.isdisjoint(given):
        return _withoutConnectionFields(standard + fields)
    return ResponseHead(standard + fields)


_CONNECTION_FIELDS = frozenset((b"connection", b"content-length", b"keep-alive"))


def _withoutConnectionFields(fields: Fields) -> ResponseHead:
    listed = b",".join(value for name, value in fields if name.lower() == b"connection")
    options = {option.strip() for option in listed.lower().split(b",")}
    dropped = {b"content-length", b"keep-alive"}
    if options <= {b"close", b"keep-alive", b""}:
        dropped.add(b"connection")
    lengths = [value for name, value in fields if name.lower() == b"content-length"]
    return ResponseHead(
        [field for field in fields if field[0].lower() not in dropped],
        _parseLength(lengths) if lengths else None,
        b"close" in options,
    )


def _parseLength(lengths: list[bytes]) -> int:
    if len(lengths) > 1 or not lengths[0].isdigit() or len(lengths[0]) > 19:
        raise ValueError("malformed Content-Length")
    return int(lengths[0])


def errorResponse(status: int, server: bytes) -> tuple[Fields, bytes]:
    """The fields and the content of the answer to a request that is refused: fixed text, for people."""
    fields = [*standardFields(None, server), *_ERROR_FIELDS]
    return fields, f"{status} {reasonPhrase(status)}\n".encode("ascii")


def errorPage(status: int, headers: HttpHeaders) -> tuple[str, HttpHeaders]:
    """The same as `errorResponse`, for an application to send with `headers` of its own."""
    fields = headers.copy()
    for name, value in HttpHeaders.fromWire(_ERROR_FIELDS).items():
        if name not in fields:
            fields.add(name, value)
    return f"{status} {reasonPhrase(status)}\n", fields


class _Second:
    """The header sections of one second: Date (section 6.6.1) changes no more often."""

    def __init__(self, start: int) -> None:
        self.start, self.end = start, start + 1
        self.date = httpDate(start)
        self.sections: dict[tuple[bytes | None, bytes], tuple[tuple[bytes, bytes], ...]] = {}


def standardFields(contentType: bytes | None, server: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """The fields that every response has.  The same tuple comes again, so it is worth remembering."""
    global _second
    if not _second.start <= time.time() < _second.end:
        _second = _Second(int(time.time()))
    section = _second.sections.get((contentType, server))
    if section is None:
        section = _makeSection(contentType, server)
        if len(_second.sections) < 64:
            _second.sections[contentType, server] = section
    return section


def _makeSection(contentType: bytes | None, server: bytes) -> tuple[tuple[bytes, bytes], ...]:
    fields = [(b"Date", _second.date)]
    if server:
        fields.append((b"Server", server))
    if contentType is not None:
        fields.append((b"Content-Type", contentType))
    return tuple(fields)


def httpDate(seconds: float) -> bytes:
    """IMF-fixdate (section 5.6.7), in English whatever the locale."""
    year, month, day, hour, minute, second, weekday, *_ = time.gmtime(seconds)
    return (
        f"{_DAYS[weekday]}, {day:02} {_MONTHS[month - 1]} {year:04} {hour:02}:{minute:02}:{second:02} GMT"
    ).encode("ascii")


_second = _Second(0)
