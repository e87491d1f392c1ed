"""The chunked transfer coding on its own (RFC 9112 section 7.1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from wirehelpers import cutUp
from wirestrategies import chunkedBodies, cuts, spoilt

from txabstracthttp._events import Fields
from txabstracthttp.configuration import HttpServerConfiguration
from txabstracthttp.errors import HttpError
from txabstracthttp.wire.chunked import BODY_LIMIT, LINE_LIMIT, ChunkedReader
from txabstracthttp.wire.fields import FieldSection

Reading = tuple[bytes, Fields | None, int | None, bytes]


def read(pieces: list[bytes]) -> Reading:
    """Content, trailers, the status of an error, and what was not used."""
    reader = ChunkedReader(FieldSection(HttpServerConfiguration()))
    content: list[bytes] = []
    rest = b""
    for piece in pieces:
        rest += piece
        try:
            used = reader.read(rest, content)
        except HttpError as error:
            return b"".join(content), reader.trailers, error.status, b""
        assert 0 <= used <= len(rest)
        assert all(content)
        rest = rest[used:]
    return b"".join(content), reader.trailers, None, rest


def test_limits() -> None:
    assert (LINE_LIMIT, BODY_LIMIT) == (4096, 65536)


@pytest.mark.parametrize("behind", [b"", b"x", b"0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"\r\n"])
def test_endToTheOctet(behind: bytes) -> None:
    body = b"3;a=b\r\nabc\r\n0\r\nx: y\r\n\r\n" + behind
    expected = (b"abc", [(b"x", b"y")], None, behind)
    assert read([body]) == read(cutUp(body, range(len(body)))) == expected


def test_contentLeavesBeforeItsChunkIsComplete() -> None:
    assert read([b"ffff\r\nabc"]) == (b"abc", None, None, b"")


def test_lineStaysUntilItIsWhole() -> None:
    assert read([b"5;a=b\r"]) == (b"", None, None, b"5;a=b\r")
    assert read([b"5\r\nabcde\r"]) == (b"abcde", None, None, b"\r")


@given(chunkedBodies(), cuts)
def test_wellFormed(given: tuple[bytes, bytes, Fields], where: list[int]) -> None:
    body, content, trailers = given
    for pieces in ([body], cutUp(body, where), cutUp(body, range(len(body)))):
        assert read(pieces) == (content, trailers, None, b"")


@given(spoilt(chunkedBodies().map(lambda chunked: chunked[0])), cuts)
def test_spoilt(body: bytes, where: list[int]) -> None:
    whole = read([body])
    assert read(cutUp(body, where)) == whole
    assert read(cutUp(body, range(len(body)))) == whole
    assert whole[2] in (None, 400, 431)


@given(chunkedBodies(), cuts)
def test_cutShort(given: tuple[bytes, bytes, Fields], where: list[int]) -> None:
    body, content, _ = given
    for size in where:
        decoded, trailers, error, _ = read([body[: min(size, len(body) - 1)]])
        assert (trailers, error) == (None, None)
        assert content.startswith(decoded)
