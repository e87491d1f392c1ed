"""RFC 9112 sections 4, 6 and 7 for what the server says: status lines and the framing of responses."""

from __future__ import annotations

import pytest
from wirehelpers import GET, chunkedBody, get, opened, post

from txabstracthttp._events import FieldPairs
from txabstracthttp.wire.http1 import Http1Wire

GET10 = get(version=b"1.0")
GET10_KEEP_ALIVE = get(b"Connection: keep-alive\r\n", version=b"1.0")
HEAD = get(method=b"HEAD")


def said(wire: Http1Wire) -> bytes:
    """What the wire has to say now; held against what it says of the size of it."""
    queued = wire.queued
    data = wire.dataToSend()
    assert len(data) == queued
    assert (wire.queued, wire.dataToSend()) == (0, b"")
    return data


def answer(
    request: bytes, length: int | None, body: bytes = b"", fields: FieldPairs = (), status: int = 200
) -> bytes:
    wire = opened(request)
    wire.sendResponse(1, status, fields, length, body)
    return said(wire)


class TestSection4StatusLine:
    @pytest.mark.parametrize(
        ("status", "line"),
        [
            (200, b"HTTP/1.1 200 OK\r\n"),
            (404, b"HTTP/1.1 404 Not Found\r\n"),
            (413, b"HTTP/1.1 413 Content Too Large\r\n"),
            (414, b"HTTP/1.1 414 URI Too Long\r\n"),
            (416, b"HTTP/1.1 416 Range Not Satisfiable\r\n"),
            (418, b"HTTP/1.1 418 I'm a Teapot\r\n"),
            (422, b"HTTP/1.1 422 Unprocessable Content\r\n"),
            (505, b"HTTP/1.1 505 HTTP Version Not Supported\r\n"),
        ],
    )
    def test_phrase(self, status: int, line: bytes) -> None:
        answered = answer(GET, 0, status=status)
        assert answered[: answered.index(b"\n") + 1].lower() == line.lower()

    @pytest.mark.parametrize("status", [299, 599, 799, 999])
    def test_unnamedStatusKeepsItsSpace(self, status: int) -> None:
        assert answer(GET, 0, status=status).startswith(b"HTTP/1.1 %d \r\n" % status)

    def test_versionIsTheServers(self) -> None:
        assert answer(GET10, 0).startswith(b"HTTP/1.1 200 OK\r\n")

    @pytest.mark.parametrize("kind", [list, tuple])
    def test_fields(self, kind: type) -> None:
        fields = kind([(b"A", b"1"), (b"b", b""), (b"A", b"\xe4, 2")])
        for _ in range(2):
            assert answer(GET, 2, b"ok", fields) == (
                b"HTTP/1.1 200 OK\r\nA: 1\r\nb: \r\nA: \xe4, 2\r\nContent-Length: 2\r\n\r\nok"
            )

    def test_rememberedFieldsAreNotMixedUp(self) -> None:
        for status in (200, 201):
            for value in (b"1", b"2"):
                expected = b"HTTP/1.1 %d " % status
                answered = answer(GET, 0, fields=((b"A", value),), status=status)
                assert answered.startswith(expected)
                assert b"\r\nA: " + value + b"\r\n" in answered


class TestSection6Framing:
    def test_contentLength(self) -> None:
        assert answer(GET, 2, b"ok") == b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    def test_empty(self) -> None:
        assert answer(GET, 0) == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    @pytest.mark.parametrize("status", [204, 304])
    def test_noContentAtAll(self, status: int) -> None:
        answered = answer(GET, None, status=status)
        assert answered.endswith(b"\r\n\r\n")
        assert b"Content-Length" not in answered
        assert b"Transfer-Encoding" not in answered

    def test_head(self) -> None:
        wire = opened(HEAD + GET)
        wire.sendResponse(1, 200, [], 5, b"")
        assert said(wire) == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        assert len(wire.receiveData(b"")) == 1

    def test_headOfAStream(self) -> None:
        wire = opened(HEAD + GET)
        wire.sendHead(1, 200, [], None, hasBody=False)
        wire.sendEnd(1, [])
        assert said(wire) == b"HTTP/1.1 200 OK\r\n\r\n"
        assert len(wire.receiveData(b"")) == 1

    def test_streamOfKnownLength(self) -> None:
        wire = opened()
        wire.sendHead(1, 200, [(b"A", b"1")], 3, hasBody=True)
        assert said(wire) == b"HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 3\r\n\r\n"
        wire.sendBody(1, b"ab")
        wire.sendBody(1, b"c")
        wire.sendEnd(1, [])
        assert said(wire) == b"abc"
        assert not wire.finished

    @pytest.mark.parametrize(
        ("request_", "extra"),
        [(GET10, b"Connection: close\r\n"), (GET10_KEEP_ALIVE, b"Connection: keep-alive\r\n")],
    )
    def test_http10WithContentLength(self, request_: bytes, extra: bytes) -> None:
        wire = opened(request_)
        wire.sendResponse(1, 200, [], 2, b"ok")
        answered = said(wire)
        assert extra in answered
        assert b"Content-Length: 2\r\n" in answered
        assert answered.endswith(b"\r\n\r\nok")
        assert wire.finished == (extra == b"Connection: close\r\n")

    @pytest.mark.parametrize("request_", [GET10, GET10_KEEP_ALIVE])
    def test_http10StreamEndsWithTheConnection(self, request_: bytes) -> None:
        wire = opened(request_)
        wire.sendHead(1, 200, [], None, hasBody=True)
        assert said(wire) == b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
        wire.sendBody(1, b"0\r\n")
        assert not wire.finished
        wire.sendEnd(1, [(b"A", b"1")])
        assert said(wire) == b"0\r\n", "no chunks and no trailers"
        assert wire.finished

    def test_http10StreamWithoutContentKeepsTheConnection(self) -> None:
        wire = opened(GET10_KEEP_ALIVE)
        wire.sendHead(1, 304, [], None, hasBody=False)
        wire.sendEnd(1, [])
        assert said(wire) == b"HTTP/1.1 304 Not Modified\r\nConnection: keep-alive\r\n\r\n"
        assert not wire.finished

    def test_closeIsSaid(self) -> None:
        request = get(b"Connection: close\r\n")
        assert answer(request, 0).count(b"Connection: close\r\n") == 1
        wire = opened(request)
        wire.sendHead(1, 200, [], None, hasBody=True)
        assert said(wire).count(b"Connection: close\r\n") == 1


class TestSection71ChunkedResponses:
    def test_pieces(self) -> None:
        wire = opened()
        wire.sendHead(1, 200, [(b"A", b"1")], None, hasBody=True)
        assert said(wire) == b"HTTP/1.1 200 OK\r\nA: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
        wire.sendBody(1, b"abc")
        assert said(wire) == b"3\r\nabc\r\n"
        wire.sendBody(1, b"x" * 255)
        wire.sendBody(1, b"\r\n")
        assert said(wire) == b"ff\r\n" + b"x" * 255 + b"\r\n2\r\n\r\n\r\n"
        wire.sendEnd(1, [])
        assert said(wire) == b"0\r\n\r\n"

    def test_nothing(self) -> None:
        wire = opened()
        wire.sendHead(1, 200, [], None, hasBody=True)
        wire.sendEnd(1, [])
        assert said(wire).endswith(b"\r\n\r\n0\r\n\r\n")

    def test_trailers(self) -> None:
        wire = opened()
        wire.sendHead(1, 200, [], None, hasBody=True)
        said(wire)
        wire.sendEnd(1, [(b"Digest", b"a"), (b"b", b"")])
        assert said(wire) == b"0\r\nDigest: a\r\nb: \r\n\r\n"

    def test_onlyTheChunkedCodingCarriesTrailers(self) -> None:
        wire = opened()
        wire.sendHead(1, 200, [], 1, hasBody=True)
        wire.sendBody(1, b"x")
        wire.sendEnd(1, [(b"A", b"1")])
        assert said(wire).endswith(b"\r\n\r\nx")

    def test_nextResponseStartsAfresh(self) -> None:
        wire = opened(GET + GET)
        wire.sendHead(1, 200, [], None, hasBody=True)
        wire.sendBody(1, b"x")
        wire.sendEnd(1, [])
        said(wire)
        assert len(wire.receiveData(b"")) == 1
        wire.sendHead(1, 200, [], 1, hasBody=True)
        wire.sendBody(1, b"y")
        wire.sendEnd(1, [(b"A", b"1")])
        assert said(wire) == b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ny"

    def test_nextRequestComesAfterTheLastChunk(self) -> None:
        wire = opened(GET + GET)
        wire.sendHead(1, 200, [], None, hasBody=True)
        wire.sendBody(1, b"x")
        assert list(wire.receiveData(b"")) == []
        wire.sendEnd(1, [])
        assert len(wire.receiveData(b"")) == 1

    def test_requestErrorWhileTheAnswerIsRunning(self) -> None:
        wire = opened(chunkedBody(b""))
        wire.sendHead(1, 200, [], None, hasBody=True)
        wire.sendBody(1, b"x")
        assert len(wire.receiveData(b"zz\r\n")) == 1
        wire.sendEnd(1, [])
        assert said(wire).endswith(b"1\r\nx\r\n0\r\n\r\n")


class TestInformational:
    """RFC 9110 section 15.2."""

    def test_continue(self) -> None:
        wire = opened(post(b"Content-Length: 1\r\nExpect: 100-continue\r\n", b""))
        wire.sendInformational(1, 100, [])
        assert said(wire) == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.receiveData(b"x")
        wire.sendResponse(1, 200, [], 0, b"")
        assert said(wire) == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    def test_earlyHints(self) -> None:
        wire = opened()
        for _ in range(2):
            wire.sendInformational(1, 103, [(b"Link", b"</a>"), (b"Link", b"</b>")])
            assert said(wire) == b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n"

    def test_saysNothingOfTheConnection(self) -> None:
        wire = opened(get(b"Connection: close\r\n"))
        wire.sendInformational(1, 103, [])
        assert said(wire) == b"HTTP/1.1 103 Early Hints\r\n\r\n"

    @pytest.mark.parametrize("request_", [GET10, GET10_KEEP_ALIVE])
    def test_notForHttp10(self, request_: bytes) -> None:
        wire = opened(request_)
        wire.sendInformational(1, 103, [])
        assert said(wire) == b""
