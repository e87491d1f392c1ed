"""Hypothesis strategies for HTTP/1.1 requests: well-formed ones with what they say, and spoilt ones."""

from __future__ import annotations

__all__ = ["chunkedBodies", "cuts", "limits", "requests", "spoilt"]

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st
from wirehelpers import Parsed

from txabstracthttp.wire.fields import FORBIDDEN_TRAILERS

TCHAR = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
METHODS = [
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "DELETE",
    "OPTIONS",
    "TRACE",
    "PATCH",
    "M-SEARCH",
    "QUERY",
    "PROPFIND",
]
HOSTS = [b"a", b"a.example:80", b"[::1]", b"[2001:db8::1]:8080", b"127.0.0.1", b"xn--bcher-kva.example:"]

#: Whatever once broke a parser.
NASTY = [
    b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\n\n", b"\n\r", b" ", b"\t", b"\r\n ", b"\0", b"\x0b", b"\x0c",
    b"\x1c", b"\x7f", b"\x80", b"\x85", b"\xa0", b"\xff", b":", b" :", b",", b";", b'"', b"\\", b"=", b"#",
    b"?", b"*", b"@", b"/", b"%00", b"0", b"00", b"0x", b"-", b"+", b"_", b"5", b"f", b"ffffffffffffffff",
    b"0\r\n", b"0\r\n\r\n", b"1\r\nx\r\n", b";a=b", b';a="b', b"chunked", b"identity", b"gzip, ", b"close",
    b"keep-alive", b"upgrade", b"GET ", b"CONNECT ", b"get ", b"BREW ", b"HTTP/1.0", b"HTTP/1.1",
    b"HTTP/1.2", b"HTTP/2.0", b"http://b", b"b:443", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"Host: b\r\n",
    b"Host:\r\n", b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Content-Length: 5, 5\r\n",
    b"Transfer-Encoding: chunked\r\n", b"transfer-encoding: gzip, chunked\r\n", b"Connection: close\r\n",
    b"Connection: upgrade\r\nUpgrade: x\r\n", b"Proxy-Connection: close\r\n", b"Expect: 100-continue\r\n",
    b"Expect: x\r\n", b"X: y\r\n", b" X: y\r\n", b"X : y\r\n", b"X\r\n", b": y\r\n", b"X: y\r\n z\r\n",
    b"X: " + b"y" * 100 + b"\r\n",
]  # fmt: skip

_names = st.text(TCHAR, min_size=1, max_size=12).map(str.encode)
_values = st.one_of(
    st.sampled_from([b"", b"y", b"a, b", b"close", b"chunked", b"5"]),
    st.binary(max_size=20).map(
        lambda octets: bytes(c for c in octets if c >= 0x20 and c != 0x7F).strip(b" \t")
    ),
)
_blanks = st.text(" \t", max_size=3).map(str.encode)
_contents = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"0\r\n\r\n", b"\r\n\r\n", b"\n"]),
)


def _ordinary(field: tuple[bytes, bytes]) -> bool:
    return field[0].lower() not in FORBIDDEN_TRAILERS


@st.composite
def _fieldLines(draw: Callable[..., Any], most: int = 4) -> tuple[list[bytes], list[tuple[bytes, bytes]]]:
    fields = draw(st.lists(st.tuples(_names, _values).filter(_ordinary), max_size=most))
    # White space that may be any only because these are no framing fields: llhttp minds a tab behind those.
    lines = [name + b":" + draw(_blanks) + value + draw(_blanks) + b"\r\n" for name, value in fields]
    return lines, fields


def _quoted(text: bytes) -> bytes:
    return b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


@st.composite
def _extensions(draw: Callable[..., Any]) -> bytes:
    parts = []
    for name in draw(st.lists(_names, max_size=2)):
        parts += [draw(_blanks), b";", draw(_blanks), name]
        value = draw(st.one_of(st.none(), _names, _values.map(_quoted)))
        if value is not None:
            parts += [draw(_blanks), b"=", draw(_blanks), value]
    return b"".join(parts)


@st.composite
def chunkedBodies(draw: Callable[..., Any]) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]]:
    """A chunked body, what it decodes to, and its trailers."""
    pieces = [piece for piece in draw(st.lists(_contents, max_size=4)) if piece]
    octets = b""
    for piece in [*pieces, b""]:
        size = draw(st.sampled_from([b"%x", b"%X", b"%04x", b"%016X"])) % len(piece)
        octets += size + draw(_extensions()) + b"\r\n"
        if piece:
            octets += piece + b"\r\n"
    lines, trailers = draw(_fieldLines())
    return octets + b"".join(lines) + b"\r\n", b"".join(pieces), trailers


_paths = st.text([chr(c) for c in range(0x21, 0x7F) if chr(c) != "#"], max_size=15).map(
    lambda text: b"/" + text.replace("%00", "%01").encode()
)


@st.composite
def _targets(draw: Callable[..., Any], method: str, host: bytes) -> tuple[bytes, bytes]:
    """A target, and the authority in force with it."""
    form = draw(st.sampled_from(["origin", "origin", "absolute", "asterisk"]))
    if form == "asterisk" and method == "OPTIONS":
        return b"*", host
    path = draw(_paths)
    if form == "absolute":
        authority = draw(st.sampled_from(HOSTS))
        return draw(st.sampled_from([b"http", b"HTTPS"])) + b"://" + authority + path, authority
    return path, host


@st.composite
def requests(draw: Callable[..., Any], last: bool = False) -> tuple[bytes, Parsed]:
    """A request and what it says.  Another one may follow it, except behind the `last`."""
    method = draw(st.sampled_from(METHODS))
    version = draw(st.sampled_from(["1.1", "1.1", "1.1", "1.0"]))
    host = draw(st.sampled_from(HOSTS))
    target, authority = draw(_targets(method, host))
    lines, fields = draw(_fieldLines())

    def put(name: bytes, value: bytes) -> None:
        spelled = draw(st.sampled_from([name, name.lower(), name.upper()]))
        place = draw(st.integers(0, len(lines)))
        lines.insert(place, spelled + b":" + draw(st.sampled_from([b"", b" ", b" \t "])) + value + b"\r\n")
        fields.insert(place, (spelled, value))

    put(b"Host", host)
    options = [b"x", b"Keep-Alive"] if version == "1.0" and not last else draw(st.sampled_from([[], [b"TE"]]))
    if last and draw(st.booleans()):
        options = [b"close"]
    if options:
        put(b"Connection", b" , ".join(options))
    kind = draw(st.sampled_from(["none", "length", "chunked" if version == "1.1" else "length"]))
    body, content, trailers, length = b"", b"", [], 0
    if kind == "length":
        body = content = draw(_contents)
        length = len(content)
        put(b"Content-Length", b"%d" % length)
    elif kind == "chunked":
        body, content, trailers = draw(chunkedBodies())
        length = None
        put(b"Transfer-Encoding", draw(st.sampled_from([b"chunked", b"Chunked"])))
    expects = draw(st.sampled_from([False, False, True]))
    if expects:
        put(b"Expect", b"100-Continue")
        expects = version == "1.1" and length != 0
    octets = (
        b"%b %b HTTP/%b\r\n" % (method.encode(), target, version.encode()) + b"".join(lines) + b"\r\n" + body
    )
    if draw(st.integers(0, 5)) == 0:
        octets = b"\r\n" + octets
    return octets, Parsed(
        method, target, version, fields, authority, length, False, expects, content, trailers
    )


@st.composite
def spoilt(draw: Callable[..., Any], source: st.SearchStrategy[bytes]) -> bytes:
    """What `source` gives, with up to four wounds."""
    octets = draw(source)
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(octets)))
        stop = start + draw(st.sampled_from([0, 0, 1, 2, 10]))
        wound = draw(
            st.one_of(st.sampled_from(NASTY), st.binary(max_size=3), st.just(octets[start:stop] * 2))
        )
        octets = octets[:start] + wound + octets[stop:]
    return octets


cuts = st.lists(st.integers(1, 400), max_size=12)

#: Limits that requests of the size above reach.
limits = st.fixed_dictionaries(
    {},
    optional={
        "maximumUrlSize": st.sampled_from([None, 0, 5, 10, 20]),
        "maximumTotalHeaderSize": st.sampled_from([None, 0, 10, 40, 80]),
        "maximumHeaderFieldSize": st.sampled_from([None, 0, 7, 20, 30]),
        "maximumHeaderFieldCount": st.sampled_from([None, 0, 1, 2, 4]),
    },
)
