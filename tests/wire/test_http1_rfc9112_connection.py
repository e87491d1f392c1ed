"""RFC 9112 section 9: how long a connection lasts, and what it may carry meanwhile."""

from __future__ import annotations

import pytest
from wirehelpers import GET, Outcome, chunkedBody, feed, get, opened, parse, post, unanswered

from txabstracthttp._events import Head, PeerError

CLOSE = b"Connection: close\r\n"


def persists(request: bytes) -> bool:
    """Whether another request may follow `request`; held against what the answer says."""
    outcome = parse(request + GET)
    assert outcome.error is None
    wire = opened(request)
    wire.sendResponse(1, 200, [], 0, b"")
    saysClose = CLOSE in wire.dataToSend()
    assert saysClose == outcome.finished == (len(outcome.requests) == 1)
    return not saysClose


class TestSection93Persistence:
    def test_defaults(self) -> None:
        assert persists(get(version=b"1.1"))
        assert not persists(get(version=b"1.0"))

    @pytest.mark.parametrize(
        "option",
        [
            b"close",
            b"Close",
            b"CLOSE",
            b"foo,close",
            b"foo, close",
            b"close, foo",
            b" ,\tclose\t, ",
            b"keep-alive, close",
            b"close, keep-alive",
            b"close,close",
        ],
    )
    def test_close(self, option: bytes) -> None:
        for version in (b"1.0", b"1.1"):
            assert not persists(get(b"Connection: " + option + b"\r\n", version=version))

    def test_closeInASecondField(self) -> None:
        assert not persists(get(b"Connection: keep-alive\r\nConnection: close\r\n"))
        assert not persists(get(b"Connection: close\r\nconnection: keep-alive\r\n", version=b"1.0"))

    @pytest.mark.parametrize(
        "option", [b"keep-alive", b"Keep-Alive", b"foo, KEEP-ALIVE", b"keep-alive,", b"TE,keep-alive"]
    )
    def test_keepAlive(self, option: bytes) -> None:
        assert persists(get(b"Connection: " + option + b"\r\n", version=b"1.0"))
        assert persists(get(b"Connection: " + option + b"\r\n", version=b"1.1"))

    @pytest.mark.parametrize(
        "option",
        [
            b"",
            b"closed",
            b"clos",
            b"close x",
            b"x close",
            b'"close"',
            b"close;x",
            b"xclose",
            b"clo se",
            b"close\xa0",
            b"TE",
        ],
    )
    def test_otherOptions(self, option: bytes) -> None:
        assert persists(get(b"Connection: " + option + b"\r\n", version=b"1.1"))
        assert not persists(get(b"Connection: " + option + b"\r\n", version=b"1.0"))

    @pytest.mark.parametrize("value", [b"close", b"keep-alive", b"upgrade"])
    def test_proxyConnectionMeansNothing(self, value: bytes) -> None:
        field = b"Proxy-Connection: " + value + b"\r\n"
        assert persists(get(field))
        assert not persists(get(field, version=b"1.0"))
        assert persists(get(field + b"Connection: keep-alive\r\n", version=b"1.0"))
        assert persists(post(field + b"Content-Length: 1\r\n", b"x"))

    def test_keepAliveFieldMeansNothing(self) -> None:
        assert not persists(get(b"Keep-Alive: timeout=5\r\n", version=b"1.0"))

    def test_manyRequests(self) -> None:
        request = get(version=b"1.0", fields=b"Connection: keep-alive\r\n")
        posts = post(b"Content-Length: 1\r\n", b"x") + chunkedBody(b"1\r\ny\r\n0\r\nz: 1\r\n\r\n")
        outcome = parse((GET + request + posts) * 3 + get(CLOSE) + GET)
        assert (len(outcome.requests), outcome.error, outcome.finished) == (13, None, True)

    def test_contentNobodyReadIsNoRequest(self) -> None:
        body = GET * 2
        wire = opened(post(b"Content-Length: %d\r\n" % len(body), b""))
        wire.sendResponse(1, 200, [], 0, b"")
        assert not any(isinstance(event, Head) for event in wire.receiveData(body))
        (head,) = wire.receiveData(GET)
        assert isinstance(head, Head)


class TestSection932Pipelining:
    def test_oneExchangeAtATime(self) -> None:
        outcome = unanswered(GET + get(target=b"/2"))
        assert (len(outcome.requests), outcome.error) == (1, None)
        assert outcome.leftover == get(target=b"/2")

    @pytest.mark.parametrize(
        "ahead", [b"garbage\r\n\r\n", b"\0", b"\n", b"GET / HTTP/1.2\r\n\r\n", b"x" * 100_000]
    )
    def test_errorBehindARunningExchange(self, ahead: bytes) -> None:
        assert unanswered(GET + ahead) == Outcome(parse(GET).requests, None, ahead, finished=False)
        outcome = parse(GET + ahead)
        assert len(outcome.requests) == 1
        assert outcome.error in (400, 414, 505)

    def test_inOrder(self) -> None:
        targets = [b"/%d" % number for number in range(50)]
        outcome = parse(b"".join(get(target=target) for target in targets))
        assert [request.target for request in outcome.requests] == targets

    def test_manyAtOnce(self) -> None:
        # Neither recursion nor quadratic time.
        assert len(feed([GET * 3000]).requests) == 3000

    def test_answersLeaveInOrder(self) -> None:
        wire = opened(GET + GET)
        wire.sendResponse(1, 200, [], 1, b"1")
        assert len(wire.receiveData(b"")) == 1
        wire.sendResponse(1, 404, [], 1, b"2")
        assert wire.dataToSend() == (
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\n2"
        )


class TestSection96TearDown:
    def test_nothingIsReadBehindTheLastRequest(self) -> None:
        for ahead in (GET, b"garbage", b"\0" * 1000):
            outcome = parse(get(CLOSE) + ahead)
            assert (len(outcome.requests), outcome.error, outcome.finished) == (1, None, True)

    def test_notFinishedBeforeItsContentIsRead(self) -> None:
        wire = opened(post(CLOSE + b"Content-Length: 3\r\n", b"ab"))
        wire.sendResponse(1, 200, [], 0, b"")
        assert not wire.finished
        wire.receiveData(b"c")
        assert wire.finished

    @pytest.mark.parametrize("earlier", [b"", GET, get(b"Connection: keep-alive\r\n", version=b"1.0")])
    def test_answerToAnErrorSaysClose(self, earlier: bytes) -> None:
        wire = opened(earlier)
        if earlier:
            wire.sendResponse(1, 200, [], 0, b"")
            assert CLOSE not in wire.dataToSend()
        (event,) = wire.receiveData(b"garbage\r\n")
        assert isinstance(event, PeerError)
        wire.sendResponse(1, event.error.status, [], 0, b"")
        answer = wire.dataToSend()
        assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        assert answer.count(b"Connection: ") == answer.count(CLOSE) == 1

    def test_answerToAnErrorInTheContentSaysClose(self) -> None:
        wire = opened(chunkedBody(b""))
        (event,) = wire.receiveData(b"x\r\n")
        assert isinstance(event, PeerError)
        wire.sendResponse(1, 400, [], 0, b"")
        assert CLOSE in wire.dataToSend()


class TestDrain:
    """Section 9.6, when the server means to go."""

    def test_idle(self) -> None:
        for octets in (b"", GET):
            wire = opened(octets)
            if octets:
                wire.sendResponse(1, 200, [], 0, b"")
            wire.drain()
            assert wire.finished
            assert list(wire.receiveData(GET)) == []

    def test_running(self) -> None:
        wire = opened(GET + GET)
        wire.drain()
        assert not wire.finished
        wire.sendResponse(1, 200, [], 0, b"")
        assert CLOSE in wire.dataToSend()
        assert wire.finished
        assert list(wire.receiveData(b"")) == []

    @pytest.mark.parametrize("request_", [GET, get(b"X: y\r\n"), post(b"Content-Length: 1\r\n", b"x")])
    def test_headArriving(self, request_: bytes) -> None:
        wire = opened(request_[:10])
        wire.drain()
        assert not wire.finished
        assert isinstance(wire.receiveData(request_[10:])[0], Head)
        wire.sendResponse(1, 200, [], 0, b"")
        assert CLOSE in wire.dataToSend()
        assert wire.finished

    def test_afterTheHeadOfTheAnswer(self) -> None:
        wire = opened(GET)
        wire.sendHead(1, 200, [], None, hasBody=True)
        wire.drain()
        wire.sendBody(1, b"x")
        assert not wire.finished
        wire.sendEnd(1, [])
        assert wire.finished

    def test_twice(self) -> None:
        wire = opened(GET)
        wire.drain()
        wire.drain()
        wire.sendResponse(1, 200, [], 0, b"")
        wire.drain()
        assert wire.finished
        assert wire.dataToSend().count(CLOSE) == 1
