"""HTTP/1 on the wire: the octets are what a peer sends, and nothing but them, so that files are readable."""

from __future__ import annotations

__all__ = ["http1", "odd", "pieces", "single"]

import random
import re
import zlib
from typing import Any

import httptools
from wire.test_http1_differential import (
    MORE_LENIENT,
    STRICTER,
    Reason,
    Said,
    goodAuthority,
    h11Says,
    lowered,
    oddTarget,
    reasons,
    values,
    weSay,
)
from wirehelpers import AT_HEAD, NEVER, Outcome, Parsed, cutUp, feed

#: So small that they matter.
SMALL = {
    "maximumUrlSize": 40,
    "maximumHeaderFieldSize": 60,
    "maximumTotalHeaderSize": 120,
    "maximumHeaderFieldCount": 5,
}
#: Longer inputs come in pieces of some octets, not one by one.
LARGE, PIECE = 3000, 97
TOO_MUCH = (414, 431)


def pieces(octets: bytes) -> list[bytes]:
    """`octets`, cut at places that only they decide."""
    chance = random.Random(zlib.crc32(octets))
    return cutUp(octets, [chance.randrange(len(octets) + 1) for _ in range(chance.randrange(1, 6))])


def single(octets: bytes) -> list[bytes]:
    """`octets`, one by one."""
    return cutUp(octets, range(0, len(octets), 1 if len(octets) < LARGE else PIECE))


def http1(data: bytes) -> None:
    """However they are cut up, the same comes of them; within the limits; and as others read it.

    `feed` asserts what is told in which order, and the bound on what is kept.
    """
    roomy, small = read(data, {}), read(data, SMALL)
    within(small, SMALL)
    if small.error not in TOO_MUCH:
        assert small == roomy
    else:
        compareComplete(small.requests, roomy.requests)
    compare(data)


def read(data: bytes, limits: dict[str, Any]) -> Outcome:
    """The outcome, which is the same in every way to have it."""
    whole = feed([data], **limits)
    for parts in (pieces(data), single(data)):
        assert feed(parts, **limits) == whole
    assert feed(pieces(data), answer=AT_HEAD, **limits) == whole
    assert feed(single(data), answer=NEVER, **limits) == feed([data], answer=NEVER, **limits)
    return whole


def within(outcome: Outcome, limits: dict[str, int]) -> None:
    """What was told of keeps to the limits."""
    for request in outcome.requests:
        assert len(request.target) <= limits["maximumUrlSize"]
        for section in (request.fields, request.trailers or []):
            sizes = [len(name) + 1 + len(value) for name, value in section]
            assert len(sizes) <= limits["maximumHeaderFieldCount"]
            assert max(sizes, default=0) <= limits["maximumHeaderFieldSize"]
            assert sum(sizes) <= limits["maximumTotalHeaderSize"]


def compareComplete(some: list[Parsed], more: list[Parsed]) -> None:
    """A limit ends the story, and does not change it."""
    assert len(some) <= len(more)
    for ours, theirs in zip(some, more, strict=False):
        if ours.trailers is not None:
            assert ours == theirs
        else:
            assert ours._replace(trailers=theirs.trailers, body=theirs.body) == theirs
            assert theirs.body.startswith(ours.body)


# llhttp alone, which reads our fields, but neither our request lines nor our content:


class Llhttp:
    """What llhttp makes of the first request in some octets."""

    def __init__(self, octets: bytes) -> None:
        self.said: Said | None = None
        self.target = self.body = b""
        self.fields: list[tuple[bytes, bytes]] = []
        self.sections: list[list[tuple[bytes, bytes]]] = [self.fields]
        self.parser = httptools.HttpRequestParser(self)
        try:
            self.parser.feed_data(octets)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            # Of what comes behind the first request, or the first was none.
            pass

    def on_url(self, target: bytes) -> None:
        self.target += target

    def on_header(self, name: bytes, value: bytes) -> None:
        self.sections[-1].append((name, value.rstrip()))

    def on_headers_complete(self) -> None:
        self.sections.append([])

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        if self.said is None:
            method, version = self.parser.get_method().decode("ascii"), self.parser.get_http_version()
            sections = [lowered(section) for section in self.sections]
            self.said = Said(method, self.target, version, sections[0], self.body, sections[1])


def otherThanHttp1(octets: bytes, said: Said) -> bool:
    """The one that llhttp adds to h11's: spaces before a target, or none, and versions."""
    line = octets.lstrip(b"\r\n").partition(b"\r\n")[0]
    return not re.fullmatch(rb"[^ ]+ [^ ]+ HTTP/1\.[01]", line)


def emptyLines(octets: bytes, said: Said) -> bool:
    """More than one, or none that is whole; of a single CR or LF before a request, too."""
    start = octets[: len(octets) - len(octets.lstrip(b"\r\n"))]
    return start not in (b"", b"\r\n")


def overLimits(octets: bytes, said: Said) -> bool:
    """More than `HttpServerConfiguration` allows by itself, which is all that is asked here."""
    return any(len(section) > 128 for section in (said.fields, said.trailers)) or len(octets) > 40_000


def odd(method: str, octets: bytes) -> bool:
    """A target that is none of the forms that the method may have."""
    wrong = oddTarget(Said(method, octets, "1.1", [], b"", []))
    return wrong or (method == "CONNECT" and (b"%00" in octets or not goodAuthority(octets)))


#: Why others accept what we refuse, beside the reasons that h11's list has; every one is our choice.
STRICTER_STILL: dict[str, Reason] = {
    **STRICTER,
    "3.2: target of CONNECT": lambda octets, said: odd(said.method, said.target),
    "6.1: codings": lambda octets, said: values(said, b"transfer-encoding") not in ([], [b"chunked"]),
    "limits": overLimits,
}
STRICTER_THAN_LLHTTP: dict[str, Reason] = {
    **STRICTER_STILL,
    "2.2: empty lines before the request": emptyLines,
    "3: request line": otherThanHttp1,
    "9110 9.3.6: CONNECT that announces content": lambda octets, said: (
        said.method == "CONNECT" and values(said, b"content-length")
    ),
    "3.2: no Host": lambda octets, said: said.version == "1.1" and not values(said, b"host"),
}

#: Why we accept what llhttp refuses: all of it is legal.
MORE_LENIENT_THAN_LLHTTP: dict[str, Reason] = {
    "7.1.1: white space, quotes or obs-text in chunk extensions": MORE_LENIENT[
        "7.1.1: white space, quotes or obs-text in chunk extensions"
    ],
}


def compare(data: bytes) -> None:
    """Whatever both accept says the same, and where one refuses, there is a reason."""
    ours = weSay(data)
    hold(data, ours, h11Says(data), STRICTER_STILL, MORE_LENIENT)
    if ours is not None and ours.body and values(ours, b"upgrade"):
        # llhttp takes it for another protocol's (but see RFC 9110 section 7.8).
        return
    hold(data, ours, Llhttp(data).said, STRICTER_THAN_LLHTTP, MORE_LENIENT_THAN_LLHTTP)


def hold(
    data: bytes,
    ours: Said | None,
    theirs: Said | None,
    stricter: dict[str, Reason],
    lenient: dict[str, Reason],
) -> None:
    if ours is not None and theirs is not None:
        assert ours == theirs
    elif ours is not None:
        assert reasons(lenient, data, ours), f"only we accept {data!r}"
    elif theirs is not None:
        assert reasons(stricter, data, theirs), f"only we refuse {data!r}"
