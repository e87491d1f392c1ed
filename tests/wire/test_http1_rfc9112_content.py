"""RFC 9112 sections 6 and 8: where a request's content ends, and what if it does not."""

from __future__ import annotations

import pytest
from wirehelpers import (
    GET,
    Outcome,
    accepted,
    chunkedBody,
    feed,
    get,
    opened,
    parse,
    post,
    refused,
    unanswered,
)

from txabstracthttp._events import PeerError

CHUNKED = b"Transfer-Encoding: chunked\r\n"


class TestSection61TransferEncoding:
    @pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b"CHUNKED", b" \tchunked  "])
    def test_chunked(self, coding: bytes) -> None:
        assert accepted(post(b"Transfer-Encoding:" + coding + b"\r\n", b"1\r\nx\r\n0\r\n\r\n")).body == b"x"
        assert accepted(post(b"tRANSFER-eNCODING:" + coding + b"\r\n", b"0\r\n\r\n")).body == b""

    def test_tabBehindIt(self) -> None:
        # Legal white space, which llhttp takes for a part of the coding's name; nobody sends it.
        assert refused(post(b"Transfer-Encoding: chunked\t\r\n", b"0\r\n\r\n")) == 400

    @pytest.mark.parametrize(
        "codings",
        [
            b"gzip, chunked",
            b"gzip,chunked",
            b"GZIP , Chunked",
            b"deflate, chunked",
            b"x-gzip, compress, chunked",
        ],
    )
    def test_knownButNotImplemented(self, codings: bytes) -> None:
        assert refused(post(b"Transfer-Encoding: " + codings + b"\r\n", b"0\r\n\r\n")) == 501

    @pytest.mark.parametrize(
        "codings",
        [
            b"",
            b"identity",
            b"identity, chunked",
            b"chunked, identity",
            b"chunked, chunked",
            b"chunked,chunked",
            b"chunked, gzip",
            b"gzip",
            b"gzip, gzip",
            b"chunked,",
            b",chunked",
            b"gzip,, chunked",
            b"xchunked",
            b"chunkedx",
            b"x-chunked",
            b"x, chunked",
            b"chun ked",
            b"chun\tked",
            b"chunked;q=1",
            b"chunked; a=b",
            b'"chunked"',
            b"chunked gzip",
            b"\x0bchunked",
            b"chunked\x00",
            b"\x00chunked",
            b"chunked\x0b",
            b"chunked\x0c",
            b"\xa0chunked",
            b"chunked\x85",
            b"c\xc5\xbfhunked",
        ],
    )
    def test_malformed(self, codings: bytes) -> None:
        assert refused(post(b"Transfer-Encoding: " + codings + b"\r\n", b"0\r\n\r\n")) == 400
        assert refused(post(b"Transfer-Encoding: " + codings + b"\r\n", b"0\r\n\r\n", b"1.0")) == 400

    @pytest.mark.parametrize("second", [b"chunked", b"identity", b"gzip", b""])
    def test_twoFields(self, second: bytes) -> None:
        assert refused(post(CHUNKED + b"Transfer-Encoding: " + second + b"\r\n", b"0\r\n\r\n")) == 400
        assert refused(post(b"Transfer-Encoding: " + second + b"\r\n" + CHUNKED, b"0\r\n\r\n")) == 400

    @pytest.mark.parametrize("length", [b"0", b"5", b"x"])
    @pytest.mark.parametrize("version", [b"1.0", b"1.1"])
    def test_withContentLength(self, length: bytes, version: bytes) -> None:
        field = b"Content-Length: " + length + b"\r\n"
        assert refused(post(field + CHUNKED, b"0\r\n\r\n", version)) == 400
        assert refused(post(CHUNKED + field, b"0\r\n\r\n", version)) == 400
        assert refused(post(b"Transfer-Encoding: identity\r\n" + field, b"0\r\n\r\n", version)) == 400

    def test_http10HasNone(self) -> None:
        assert refused(post(CHUNKED, b"0\r\n\r\n", b"1.0")) == 400
        assert refused(post(CHUNKED + b"Connection: keep-alive\r\n", b"0\r\n\r\n", b"1.0")) == 400

    @pytest.mark.parametrize(
        "name", [b"TE", b"Transfer_Encoding", b"X-Transfer-Encoding", b"Transfer-Encodin"]
    )
    def test_otherFieldsAreOtherFields(self, name: bytes) -> None:
        assert accepted(get(name + b": chunked\r\n")).contentLength == 0


class TestSection62ContentLength:
    @pytest.mark.parametrize(
        ("value", "length"),
        [(b"3", 3), (b"03", 3), (b"0000000000000000003", 3), (b" \t3 ", 3)],
    )
    def test_accepted(self, value: bytes, length: int) -> None:
        request = accepted(post(b"Content-Length:" + value + b"\r\n", b"abc"))
        assert (request.contentLength, request.body) == (length, b"abc")

    @pytest.mark.parametrize("value", [b"0", b"00"])
    def test_zero(self, value: bytes) -> None:
        request = accepted(post(b"Content-Length: " + value + b"\r\n", b""))
        assert (request.contentLength, request.body, request.trailers) == (0, b"", [])

    @pytest.mark.parametrize(
        "value",
        [
            b"",
            b"+5",
            b"-5",
            b"-0",
            b"+0",
            b"1_0",
            b"0x5",
            b"5x",
            b"x5",
            b"5 x",
            b"5 5",
            b"5, 5",
            b"5,5",
            b"5,",
            b",5",
            b"5;",
            b"5.0",
            b"5e0",
            b'"5"',
            b"5\x0b",
            b"\x0c5",
            b"5\x00",
            b"5\xa0",
            b"\x855",
            "\u0665".encode(),
            "\uff15".encode(),
            b"\xb2",
        ],
    )
    @pytest.mark.parametrize("version", [b"1.0", b"1.1"])
    def test_malformed(self, value: bytes, version: bytes) -> None:
        assert refused(post(b"Content-Length: " + value + b"\r\n", b"abcde", version)) == 400

    @pytest.mark.parametrize("digits", [20, 21, 100, 5000])
    @pytest.mark.parametrize("digit", [b"0", b"1", b"9"])
    def test_absurdlyLong(self, digits: int, digit: bytes) -> None:
        assert refused(post(b"Content-Length: " + digit * digits + b"\r\n", b"")) == 400

    @pytest.mark.parametrize("length", [2**31, 2**32, 2**53, 2**63 - 1, 2**63, 10**19 - 1])
    def test_huge(self, length: int) -> None:
        outcome = parse(post(b"Content-Length: %d\r\n" % length, b"abc"))
        (request,) = outcome.requests
        assert (request.contentLength, request.body, request.trailers) == (length, b"abc", None)

    @pytest.mark.parametrize("second", [b"3", b"4", b"", b"x"])
    def test_twoFields(self, second: bytes) -> None:
        assert refused(post(b"Content-Length: 3\r\nContent-Length: " + second + b"\r\n", b"abc")) == 400
        assert (
            refused(post(b"Content-Length: 3\r\nx: y\r\ncontent-length: " + second + b"\r\n", b"abc")) == 400
        )


class TestSection63MessageBodyLength:
    def test_noneWithoutAField(self) -> None:
        for method in (b"GET", b"POST", b"PUT", b"DELETE", b"PATCH"):
            request = accepted(get(method=method))
            assert (request.contentLength, request.body, request.trailers) == (0, b"", [])

    @pytest.mark.parametrize("method", [b"GET", b"HEAD", b"DELETE", b"OPTIONS", b"TRACE", b"POST", b"QUERY"])
    def test_anyMethodMayHaveContent(self, method: bytes) -> None:
        request = get(b"Content-Length: 3\r\n", method=method) + b"GET"
        outcome = parse(request + GET)
        assert [each.body for each in outcome.requests] == [b"GET", b""]
        outcome = parse(get(CHUNKED, method=method) + b"3\r\nGET\r\n0\r\n\r\n" + GET)
        assert [each.body for each in outcome.requests] == [b"GET", b""]

    def test_contentIsNotLookedAt(self) -> None:
        body = GET + b"\0\xff\r\n\r\n" + CHUNKED
        assert accepted(post(b"Content-Length: %d\r\n" % len(body), body)).body == body

    def test_http10WithContent(self) -> None:
        assert accepted(post(b"Content-Length: 3\r\n", b"abc", b"1.0")).body == b"abc"

    def test_contentIsStreamed(self) -> None:
        outcome = feed([post(b"Content-Length: 9\r\n", b"abc"), b"def"])
        assert (outcome.requests[0].body, outcome.requests[0].trailers) == (b"abcdef", None)
        assert outcome.leftover == b""


class TestExpect:
    """RFC 9110 section 10.1.1."""

    LENGTH = b"Content-Length: 1\r\n"

    @pytest.mark.parametrize("value", [b"100-continue", b"100-Continue", b"100-CONTINUE", b"\t100-continue "])
    def test_continue(self, value: bytes) -> None:
        assert accepted(post(self.LENGTH + b"Expect:" + value + b"\r\n", b"x")).expectsContinue
        assert accepted(post(CHUNKED + b"Expect:" + value + b"\r\n", b"0\r\n\r\n")).expectsContinue

    def test_withoutContent(self) -> None:
        assert not accepted(get(b"Expect: 100-continue\r\n")).expectsContinue
        assert not accepted(get(b"Expect: 100-continue\r\nContent-Length: 0\r\n")).expectsContinue

    @pytest.mark.parametrize("value", [b"foo", b"200-ok", b"100-continue, foo", b"100-continue;x", b"100"])
    def test_unknown(self, value: bytes) -> None:
        assert refused(post(self.LENGTH + b"Expect: " + value + b"\r\n", b"x")) == 417
        assert refused(get(b"Expect: " + value + b"\r\n")) == 417

    def test_unknownBesideKnown(self) -> None:
        assert refused(get(b"Expect: 100-continue\r\nExpect: foo\r\n")) == 417

    def test_malformedFramingGoesFirst(self) -> None:
        assert refused(get(b"Expect: foo\r\nContent-Length: x\r\n")) == 400

    @pytest.mark.parametrize("value", [b"100-continue", b"foo"])
    def test_http10HasNone(self, value: bytes) -> None:
        octets = post(self.LENGTH + b"Expect: " + value + b"\r\n", b"x", b"1.0")
        assert not accepted(octets).expectsContinue


class TestSection8IncompleteMessages:
    @pytest.mark.parametrize(
        "octets",
        [
            GET[:1],
            GET[:-1],
            GET[:20],
            b"\r",
            post(b"Content-Length: 3\r\n", b""),
            post(b"Content-Length: 3\r\n", b"ab"),
            chunkedBody(b""),
            chunkedBody(b"3"),
            chunkedBody(b"3\r\n"),
            chunkedBody(b"3\r\nabc"),
            chunkedBody(b"3\r\nabc\r"),
            chunkedBody(b"3\r\nabc\r\n"),
            chunkedBody(b"3\r\nabc\r\n0"),
            chunkedBody(b"3\r\nabc\r\n0\r\n"),
            chunkedBody(b"3\r\nabc\r\n0\r\n\r"),
            chunkedBody(b"3\r\nabc\r\n0\r\nx: y\r\n"),
        ],
    )
    def test_endInTheMiddle(self, octets: bytes) -> None:
        wire = opened(octets)
        (event,) = wire.receiveEnd()
        assert isinstance(event, PeerError)
        assert event.error.status == 400
        assert wire.unread == b""
        assert list(wire.receiveEnd()) == []
        assert list(wire.receiveData(GET)) == []

    @pytest.mark.parametrize("octets", [b"", b"\r\n", GET, post(b"Content-Length: 3\r\n", b"abc")])
    def test_endBetweenMessages(self, octets: bytes) -> None:
        wire = opened(octets)
        assert list(wire.receiveEnd()) == []
        if octets == GET:
            wire.sendResponse(1, 200, [], 0, b"")
            assert wire.dataToSend().startswith(b"HTTP/1.1 200 OK\r\n")

    def test_whatWasSentAheadIsServedAfterTheEnd(self) -> None:
        wire = opened(GET + GET)
        assert list(wire.receiveEnd()) == []
        wire.sendResponse(1, 200, [], 0, b"")
        assert len(wire.receiveData(b"")) == 1

    def test_neverACompleteBody(self) -> None:
        body = b"3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nx: y\r\n\r\n"
        for size in range(len(body)):
            (request,) = feed([chunkedBody(body[:size])]).requests
            assert request.trailers is None

    def test_unansweredRequestHoldsBackTheNext(self) -> None:
        octets = chunkedBody(b"3\r\nabc\r\n0\r\n\r\n")
        outcome = unanswered(octets + b"garbage")
        assert isinstance(outcome, Outcome)
        assert (len(outcome.requests), outcome.error, outcome.leftover) == (1, None, b"garbage")
