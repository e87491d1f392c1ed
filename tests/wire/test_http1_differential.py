"""Second opinions (RFC 9112): h11 on whole requests, llhttp itself on the chunked coding.

Where two servers read the same octets differently, requests can be smuggled past one of them.  So whatever
both accept must say the same, and where only one accepts, the reason must be in a list here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

import h11
import httptools
import pytest
from hypothesis import example, given, settings
from wirehelpers import GET, METHODS, NEVER, Parsed, chunkedBody, feed, get, post
from wirestrategies import chunkedBodies, requests, spoilt

from txabstracthttp._events import Fields
from txabstracthttp.configuration import HttpServerConfiguration
from txabstracthttp.errors import HttpError
from txabstracthttp.wire.chunked import ChunkedReader
from txabstracthttp.wire.fields import FORBIDDEN_TRAILERS, FieldSection

# The oracles are fast and the lists below are long: look harder here.
harder = settings(max_examples=max(300, settings().max_examples))


class Said(NamedTuple):
    """What a server makes of the first request in some octets."""

    method: str
    target: bytes
    version: str
    fields: Fields
    body: bytes
    trailers: Fields


def lowered(fields: Fields) -> Fields:
    """With lower-case names; h11 writes Transfer-Encoding in lower case, too."""
    pairs = [(bytes(name).lower(), bytes(value)) for name, value in fields]
    return [(name, value.lower() if name == b"transfer-encoding" else value) for name, value in pairs]


def weSay(octets: bytes) -> Said | None:
    """None where the request is refused, or not complete."""
    requests_ = feed([octets], answer=NEVER).requests
    if not requests_ or requests_[0].trailers is None:
        return None
    ours: Parsed = requests_[0]
    return Said(
        ours.method,
        ours.target,
        ours.version,
        lowered(ours.fields),
        ours.body,
        lowered(ours.trailers or []),
    )


def h11Says(octets: bytes) -> Said | None:
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(octets)
    request: h11.Request | None = None
    body = b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                request = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert request is not None
                return Said(
                    request.method.decode("ascii"),
                    bytes(request.target),
                    request.http_version.decode("ascii"),
                    lowered(list(request.headers)),
                    body,
                    lowered(list(event.headers)),
                )
            else:
                return None
    except h11.RemoteProtocolError:
        return None


def head(octets: bytes) -> bytes:
    """The head of the first request, as far as its empty line, however that is written."""
    octets = octets.lstrip(b"\r\n")
    end = re.search(rb"\n\r?\n", octets)
    return octets[: end.end()] if end else octets


def values(said: Said, name: bytes) -> list[bytes]:
    return [value for each, value in said.fields if each == name]


def lines(octets: bytes, said: Said) -> bytes:
    """The octets without content that has a length; in chunked content there are lines as well."""
    return octets if values(said, b"transfer-encoding") else head(octets)


Reason = Callable[[bytes, Said], object]
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
AUTHORITY = re.compile(rb"(\[[0-9a-fA-F:.]+\]|([A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+)(:[0-9]{0,5})?")
CHUNK_LINE = re.compile(
    rb'[0-9A-Fa-f]{1,16}([ \t]*;[ \t]*%b([ \t]*=[ \t]*(%b|"([\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|'
    rb'\\[\t \x21-\x7e\x80-\xff])*"))?)*\r' % (TOKEN, TOKEN)
)


def oddTarget(said: Said) -> bool:
    """A target that is none of the forms that the method may have (section 3.2)."""
    if said.method == "CONNECT":
        return not re.fullmatch(rb".+:[0-9]{1,5}", said.target) or not AUTHORITY.fullmatch(said.target)
    if b"#" in said.target or re.match(rb"[^?]*%00", said.target):
        return True
    if said.target == b"*":
        return said.method != "OPTIONS"
    absolute = re.fullmatch(rb"(?i:https?)://([^/?]*)(.*)", said.target)
    if absolute is not None:
        return not goodAuthority(absolute[1])
    return not said.target.startswith(b"/")


def goodAuthority(authority: bytes) -> bool:
    if not AUTHORITY.fullmatch(authority):
        return False
    port = authority.rpartition(b":")[2] if not authority.endswith(b"]") and b":" in authority else b""
    v6 = re.match(rb"\[(.*)\]", authority)
    if v6 is not None:
        from ipaddress import IPv6Address

        try:
            IPv6Address(v6[1].decode())
        except ValueError:
            return False
    return int(port or 0) <= 65535


def oddCoding(octets: bytes, said: Said) -> bool:
    """Beside Content-Length (6.3), in HTTP/1.0 (6.1), or with a tab that llhttp minds."""
    if not values(said, b"transfer-encoding"):
        return False
    return (
        said.version != "1.1"
        or bool(values(said, b"content-length"))
        or re.search(rb"(?i)\ntransfer-encoding:[^\n]*\t\r", head(octets)) is not None
    )


def oddLength(octets: bytes, said: Said) -> bool:
    """Twice, as a list, or beyond 19 digits; h11 accepts the first two if all are the same."""
    lines = re.findall(rb"(?i)\ncontent-length:([^\n]*)", head(octets))
    return len(lines) > 1 or any(not re.fullmatch(rb"[0-9]{1,19}", line.strip()) for line in lines)


def oddHost(octets: bytes, said: Said) -> bool:
    """h11 counts the Host fields of HTTP/1.1, and looks at none of them."""
    hosts = values(said, b"host")
    return len(hosts) > 1 or not all(goodAuthority(host) for host in hosts)


def unknownExpectation(octets: bytes, said: Said) -> bool:
    listed = b",".join(values(said, b"expect")).lower().split(b",")
    return any(member.strip() != b"100-continue" for member in listed)


def oddChunks(octets: bytes, said: Said) -> bool:
    """h11 takes 20 digits, white space behind them, any extension, bare line feeds, any trailer."""
    if not values(said, b"transfer-encoding"):
        return False
    return not chunksAreStrict(octets.lstrip(b"\r\n")[len(head(octets)) :]) or any(
        name in FORBIDDEN_TRAILERS for name, _ in said.trailers
    )


def chunkLines(body: bytes) -> list[bytes]:
    """The size lines of a chunked body, read in the plainest way; ends with the first that is malformed."""
    lines = []
    while True:
        line, _, body = body.partition(b"\n")
        lines.append(line)
        if not CHUNK_LINE.fullmatch(line):
            return lines
        size = int(re.split(rb"[^0-9A-Fa-f]", line)[0], 16)
        if not size or body[size : size + 2] != b"\r\n":
            return lines
        body = body[size + 2 :]


def chunksAreStrict(body: bytes) -> bool:
    """Whether the size lines of a chunked body keep to section 7.1."""
    return CHUNK_LINE.fullmatch(chunkLines(body)[-1]) is not None


#: Why h11 accepts what we refuse: every one is our choice, and the stricter one.
STRICTER: dict[str, Reason] = {
    "2.2: bare LF ends a line": lambda octets, said: re.search(rb"(?<!\r)\n", lines(octets, said)),
    "2.2: bare CR or another control in a value": lambda octets, said: re.search(
        rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)", lines(octets, said)
    ),
    "2.3: version": lambda octets, said: said.version not in ("1.0", "1.1"),
    "3.1: method": lambda octets, said: said.method not in [*METHODS, "CONNECT"],
    "3.2: target": lambda octets, said: oddTarget(said),
    "3.2: Host": oddHost,
    "5.2: obsolete line folding": lambda octets, said: re.search(rb"\r\n[ \t]", lines(octets, said)),
    "6.1: Transfer-Encoding": oddCoding,
    "6.2: Content-Length": oddLength,
    "7.1: chunks": oddChunks,
    "9110 9.3.6: CONNECT with content": lambda octets, said: (
        said.method == "CONNECT" and octets != head(octets)
    ),
    "9110 10.1.1: Expect": lambda octets, said: (
        said.version == "1.1" and values(said, b"expect") and unknownExpectation(octets, said)
    ),
}

#: Why we accept what h11 refuses: all of it is legal.
MORE_LENIENT: dict[str, Reason] = {
    "2.2: an empty line before the request": lambda octets, said: octets.startswith(b"\r\n"),
    "3.2: absolute-form and HTTP/1.0 without Host": lambda octets, said: not values(said, b"host"),
    "7.1.1: white space, quotes or obs-text in chunk extensions": lambda octets, said: (
        values(said, b"transfer-encoding") and b";" in octets[len(head(octets)) :]
    ),
}


def reasons(table: dict[str, Reason], octets: bytes, said: Said) -> list[str]:
    return [name for name, applies in table.items() if applies(octets, said)]


def compare(octets: bytes) -> None:
    ours, theirs = weSay(octets), h11Says(octets)
    if ours is not None and theirs is not None:
        assert ours == theirs
    elif ours is not None:
        assert reasons(MORE_LENIENT, octets, ours), f"h11 refuses {octets!r}"
    elif theirs is not None:
        assert reasons(STRICTER, octets, theirs), f"we refuse {octets!r}"


@given(requests())
def test_h11OnWellFormedRequests(given: tuple[bytes, Parsed]) -> None:
    octets, parsed = given
    ours = weSay(octets)
    assert ours is not None
    assert ours.fields == lowered(parsed.fields)
    compare(octets)


@harder
@given(spoilt(requests().map(lambda request: request[0])))
@example(b"\r\n" + GET)
@example(get(b"X: y\r\n z\r\n"))
@example(get(b"X: y\x01\r\n"))
@example(get(b"X: y\n"))
@example(post(b"Content-Length: 1\r\nContent-Length: 1\r\n", b"x"))
@example(post(b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", b"0\r\n\r\n"))
@example(chunkedBody(b"1 ;a\r\nx\r\n0\r\n\r\n"))
@example(chunkedBody(b"1 \r\nx\r\n0\r\n\r\n"))
@example(chunkedBody(b"1;a b\r\nx\r\n0\r\n\r\n"))
@example(chunkedBody(b"0\r\nHost: b\r\n\r\n"))
def test_h11OnSpoiltRequests(octets: bytes) -> None:
    compare(octets)


@pytest.mark.parametrize(
    ("reason", "octets"),
    [
        ("2.2: bare LF ends a line", b"GET / HTTP/1.1\nHost: a\n\n"),
        ("3.1: method", get(method=b"BREW")),
        ("3.2: target", get(target=b"foo")),
        ("3.2: Host", b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"),
        ("5.2: obsolete line folding", get(b"X: y\r\n z\r\n")),
        (
            "6.1: Transfer-Encoding",
            post(b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", b"0\r\n\r\n"),
        ),
        ("6.2: Content-Length", post(b"Content-Length: 1, 1\r\n", b"x")),
        ("7.1: chunks", chunkedBody(b"1 \r\nx\r\n0\r\n\r\n")),
        ("9110 9.3.6: CONNECT with content", get(b"Content-Length: 1\r\n", b"b:1", method=b"CONNECT") + b"x"),
        ("9110 10.1.1: Expect", get(b"Expect: x\r\n")),
    ],
)
def test_reasonsToBeStricterAreReal(reason: str, octets: bytes) -> None:
    assert weSay(octets) is None
    said = h11Says(octets)
    assert said is not None
    assert reasons(STRICTER, octets, said) == [reason]


@pytest.mark.parametrize(
    ("reason", "octets"),
    [
        ("2.2: an empty line before the request", b"\r\n" + GET),
        ("7.1.1: white space, quotes or obs-text in chunk extensions", chunkedBody(b"0 ;a\r\n\r\n")),
    ],
)
def test_reasonsToBeMoreLenientAreReal(reason: str, octets: bytes) -> None:
    assert h11Says(octets) is None
    said = weSay(octets)
    assert said is not None
    assert reasons(MORE_LENIENT, octets, said) == [reason]


# The chunked coding:


class Llhttp:
    """llhttp's own reading of a chunked body."""

    def __init__(self) -> None:
        self.body = b""
        self.complete = False
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(chunkedBody(b""))

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.complete = True

    def feed(self, data: bytes) -> bool:
        """Whether it is content so far."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            return False
        return True


def weRead(body: bytes) -> tuple[bytes, int] | None:
    """The content of a complete chunked body, and how long it is on the wire; None if it is none."""
    reader = ChunkedReader(FieldSection(HttpServerConfiguration()))
    pieces: list[bytes] = []
    try:
        used = reader.read(body, pieces)
    except HttpError:
        return None
    return (b"".join(pieces), used) if reader.trailers is not None else None


def llhttpReads(body: bytes) -> tuple[bytes, int] | None:
    llhttp = Llhttp()
    for position in range(len(body)):
        if not llhttp.feed(body[position : position + 1]):
            return None
        if llhttp.complete:
            return llhttp.body, position + 1
    return None


def forbiddenTrailer(body: bytes) -> bool:
    names = b"|".join(FORBIDDEN_TRAILERS)
    return re.search(rb"(?i)\r\n(%b):" % names, body) is not None


def richExtension(body: bytes) -> bool:
    """White space in extensions, and obs-text in their strings: section 7.1.1 has it, llhttp has not."""
    return any(re.search(rb"[ \t\x80-\xff]", line) for line in chunkLines(body))


@harder
@given(spoilt(chunkedBodies().map(lambda chunked: chunked[0])))
def test_llhttpOnChunkedBodies(body: bytes) -> None:
    ours, theirs = weRead(body), llhttpReads(body)
    if ours is not None:
        assert theirs == ours or (theirs is None and richExtension(body))
    elif theirs is not None:
        # Seventeen digits and more, and extensions that section 7.1.1 does not know; trailers of 6.5.1.
        assert not chunksAreStrict(body) or forbiddenTrailer(body)


@given(chunkedBodies())
def test_llhttpOnWellFormedChunkedBodies(given: tuple[bytes, bytes, Fields]) -> None:
    body, content, _ = given
    assert weRead(body + GET) == (content, len(body))
    assert llhttpReads(body) == (content, len(body)) or richExtension(body)
