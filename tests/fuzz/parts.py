"""What the wires are made of, one by one: chunks, targets, fields, and a proxy's header."""

from __future__ import annotations

__all__ = ["chunked", "fields", "proxyHeader", "target"]

import re
from ipaddress import ip_address
from typing import Any

from connectionhelpers import LOCAL, PEER
from wire import test_proxyheader as proxy
from wire.test_http1_differential import (
    chunksAreStrict,
    forbiddenTrailer,
    llhttpReads,
    richExtension,
    weRead,
)
from wire.test_proxyheader import REFUSED, SIGNATURE, read
from wirehelpers import GET, NEVER, chunkedBody, feed, get

from fuzz.http1 import odd, pieces, single
from txabstracthttp._events import Fields
from txabstracthttp.configuration import HttpServerConfiguration
from txabstracthttp.errors import HttpError
from txabstracthttp.request import ConnectionInfo, HttpRequest
from txabstracthttp.wire.chunked import ChunkedReader
from txabstracthttp.wire.fields import FORBIDDEN_TRAILERS, FRAMING, FieldSection
from txabstracthttp.wire.http2head import CONNECTION_FIELDS, Malformed, readTrailers
from txabstracthttp.wire.proxyheader import Address, ProxyHeader
from txabstracthttp.wire.requestline import readRequestLine
from txabstracthttp.wire.target import isAuthority

NO_LIMITS = HttpServerConfiguration(maximumUrlSize=None)


def chunked(data: bytes) -> None:
    """A chunked body: the same however it is cut up, and as llhttp has it."""
    ours = weRead(data)
    for parts in (pieces(data), single(data)):
        assert _readPieces(parts) == ours
    theirs = llhttpReads(data)
    if ours is not None:
        assert theirs == ours or (theirs is None and richExtension(data))
    elif theirs is not None:
        assert not chunksAreStrict(data) or forbiddenTrailer(data)


def _readPieces(parts: list[bytes]) -> tuple[bytes, int] | None:
    reader = ChunkedReader(FieldSection(HttpServerConfiguration()))
    content: list[bytes] = []
    waiting, used = b"", 0
    for part in parts:
        waiting += part
        try:
            count = reader.read(waiting, content)
        except HttpError:
            return None
        used, waiting = used + count, waiting[count:]
        if reader.trailers is not None:
            return b"".join(content), used
        assert len(waiting) < 66_000
    return None


def target(data: bytes) -> None:
    """A method, a space and a target, or an authority; and what an application is told of it."""
    isAuthority(data)
    try:
        line = readRequestLine(data + b" HTTP/1.1\r\n", None)
    except HttpError as error:
        _refused(data, error.status)
        return
    assert line is not None
    assert not odd(*line[:2])
    request = HttpRequest(1, *line, [(b"Host", b"a")], b"a")
    request.connection = ConnectionInfo(PEER, LOCAL, False)
    assert "\0" not in request.path
    assert all(isinstance(each, str) for pair in request.query.items() for each in pair)
    assert isinstance(request.url.to_text(), str)


def _refused(data: bytes, status: int) -> None:
    """It is no method, no target, or one that the method may not have."""
    assert status in (400, 501, 505)
    match = re.fullmatch(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,40}) ([!-~]+)", data)
    assert match is None or odd(match[1].decode("ascii"), match[2])


def fields(data: bytes) -> None:
    """Field lines, without the CRLF behind the last: as header section, as trailer section, and to HTTP/2."""
    lines = data + b"\r\n" if data else b""
    header = feed([get(lines)], answer=NEVER)
    trailer = feed([chunkedBody(b"0\r\n%b\r\n" % lines)], answer=NEVER)
    if header.requests:
        _lookAtFields(header.requests[0].fields[1:], data)
    if not trailer.requests or trailer.requests[0].trailers is None:
        assert not header.requests or header.leftover or _mayNotTrail(header.requests[0].fields[1:])
        return
    section = trailer.requests[0].trailers
    assert not any(name.lower() in FORBIDDEN_TRAILERS for name, _ in section)
    if not header.leftover and not trailer.leftover:
        assert [request.fields[1:] for request in header.requests] == [section]


def _mayNotTrail(section: Fields) -> bool:
    return any(name.lower() in FORBIDDEN_TRAILERS for name, _ in section)


def _lookAtFields(section: Fields, data: bytes) -> None:
    """No field is made of nothing, and HTTP/2 would have them as well."""
    for name, value in section:
        assert name in data
        assert value in data
        lowered = name.lower()
        if lowered not in FRAMING | FORBIDDEN_TRAILERS | CONNECTION_FIELDS:
            try:
                assert readTrailers([(lowered, value)], NO_LIMITS) == [(lowered, value)]
            except Malformed as error:
                raise AssertionError(f"HTTP/2 refuses {name!r}: {value!r}") from error


def proxyHeader(data: bytes) -> None:
    """A header of a proxy's: the same however it is cut up, nothing more than it says, and its rest."""
    outcome = read(data) if len(data) < 300 else proxy.feed([data])
    assert proxy.feed(pieces(data)) == outcome
    if outcome == REFUSED:
        assert proxy.feed([data, GET]) == REFUSED
    elif isinstance(outcome, ProxyHeader):
        assert data.endswith(outcome.rest)
        said = data[: len(data) - len(outcome.rest)]
        (_lookAtBlock if said.startswith(SIGNATURE) else _lookAtLine)(said, outcome)


def _lookAtLine(said: bytes, header: ProxyHeader) -> None:
    assert said.endswith(b"\r\n")
    assert len(said) <= 107
    words = said.decode("latin-1").rstrip("\r\n").split(" ")
    if words[1] == "UNKNOWN":
        assert (header.source, header.destination) == (None, None)
        return
    _, family, *parts = words
    assert family in ("TCP4", "TCP6")
    assert [_text(header.source), _text(header.destination)] == [
        (str(ip_address(parts[0])), int(parts[2])),
        (str(ip_address(parts[1])), int(parts[3])),
    ]
    assert {ip_address(part).version for part in parts[:2]} == {int(family[3])}


def _text(address: Address | None) -> Any:
    assert isinstance(address, tuple)
    assert 0 <= address[1] <= 65535
    return address


def _lookAtBlock(said: bytes, header: ProxyHeader) -> None:
    assert len(said) == 16 + int.from_bytes(said[14:16], "big") <= 16 + 4096
    if said[12] == 0x20 or said[13] in (0, 1):
        assert (header.source, header.destination) == (None, None)
    elif said[13] == 0x31:
        for path, start in ((header.source, 16), (header.destination, 124)):
            assert isinstance(path, bytes)
            assert said[start : start + 108].startswith(path)
    else:
        size = {0x11: 4, 0x21: 16}[said[13]]
        packed = b"".join(ip_address(_text(each)[0]).packed for each in (header.source, header.destination))
        ports = b"".join(_text(each)[1].to_bytes(2, "big") for each in (header.source, header.destination))
        assert packed + ports == said[16 : 16 + 2 * size + 4]
