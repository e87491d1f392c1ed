"""Requests whose content is read as it comes: limits, back-pressure, deadlines, and the rest of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from connectionhelpers import (
    PEER,
    Conversation,
    FakeTcpTransport,
    FakeTlsTransport,
    FakeTransport,
    Handler,
    HandlerServer,
    SteadyClock,
    capturedFailures,
    get,
    parseResponses,
    post,
    take,
)
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from txabstracthttp import HttpRequest, HttpServerConfiguration, HttpSocket
from txabstracthttp.errors import HttpError

CHUNKED = "Transfer-Encoding: chunked"
CONTINUE = "Expect: 100-continue"
#: What is kept for a busy reader, and what is thrown away of content that nobody reads.
KIB64 = 64 * 1024


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


class StreamingServer(HandlerServer):
    """Says of every request what `policy` says."""

    policy: Any = True

    def __init__(self, handler: Handler, clock: Any, configuration: HttpServerConfiguration) -> None:
        super().__init__(handler, clock, configuration)
        self.asked: list[HttpRequest] = []

    def streamsBody(self, request: HttpRequest) -> Any:
        self.asked.append(request)
        return self.policy(request) if callable(self.policy) else self.policy


def stream(
    handler: Handler,
    policy: Any = True,
    transport: type[FakeTransport] = FakeTcpTransport,
    **configuration: Any,
) -> Conversation:
    """A server that streams content to `handler`, and a connection to it."""
    clock = SteadyClock()
    server = StreamingServer(handler, clock, HttpServerConfiguration(**configuration))
    server.policy = policy
    return Conversation(server, clock, transport(PEER))


def head(length: int, *fields: str, target: str = "/", version: str = "1.1") -> bytes:
    """The head of a request whose content follows."""
    return get(target, f"Content-Length: {length}", *fields, method="POST", version=version)


def chunkedHead(*fields: str, target: str = "/") -> bytes:
    return get(target, CHUNKED, *fields, method="POST")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Keeper:
    """A handler that does nothing by itself."""

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []
        self.sockets: list[HttpSocket] = []

    def __call__(self, request: HttpRequest, socket: HttpSocket) -> bool:
        self.requests.append(request)
        self.sockets.append(socket)
        return True

    @property
    def request(self) -> HttpRequest:
        return self.requests[-1]

    @property
    def socket(self) -> HttpSocket:
        return self.sockets[-1]


class Reader(Protocol):
    """Notes what it is given, and how it ended."""

    def __init__(self) -> None:
        self.data = b""
        self.ends: list[type[BaseException]] = []

    def dataReceived(self, data: bytes) -> None:
        assert self.ends == []
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ends.append(type(reason.value))

    @property
    def producer(self) -> Any:
        return self.transport


class Got:
    """The same, of any of the three ways to read."""

    def __init__(self, way: str, request: HttpRequest) -> None:
        self.data = b""
        self.ends: list[type[BaseException]] = []
        if way == "deliverBody":
            self._deliver(request)
        else:
            coroutine = self._collect(request) if way == "content" else self._iterate(request)
            Deferred.fromCoroutine(coroutine).addCallbacks(
                lambda _: self.ends.append(ConnectionDone), lambda failure: self.ends.append(failure.type)
            )

    def _deliver(self, request: HttpRequest) -> None:
        got = self

        class Into(Reader):
            def dataReceived(self, data: bytes) -> None:
                got.data += data

            def connectionLost(self, reason: Failure = connectionDone) -> None:
                got.ends.append(type(reason.value))

        request.deliverBody(Into())

    async def _collect(self, request: HttpRequest) -> None:
        self.data = await request.content()

    async def _iterate(self, request: HttpRequest) -> None:
        async for piece in request:
            self.data += piece


everyWay = pytest.mark.parametrize("way", ["deliverBody", "content", "async for"])


def begun(length: int = 1_000_000, *fields: str, **options: Any) -> tuple[Conversation, Keeper]:
    """A request whose head has arrived."""
    keeper = Keeper()
    peer = stream(keeper, **options)
    if options.get("transport") is FakeTlsTransport:
        peer.connection.handshakeCompleted()
    peer.send(head(length, *fields))
    assert len(keeper.requests) == 1
    return peer, keeper


class TestPolicy:
    def test_theHandlerIsCalledAtTheHead(self) -> None:
        peer, keeper = begun(6)
        with pytest.raises(RuntimeError, match="streamed"):
            assert keeper.request.body
        got = Got("content", keeper.request)
        peer.send(b"abc", b"def")
        assert got.data == b"abcdef"
        keeper.socket.respond("ok")
        assert peer.bodies() == [b"ok"]

    def test_notAskedWithoutContent(self) -> None:
        keeper = Keeper()
        peer = stream(keeper)
        peer.send(get(), post(b""))
        assert peer.server.asked == []  # type: ignore[attr-defined]
        assert keeper.request.body == b""

    @everyWay
    def test_contentThatComesWithTheHead(self, way: str) -> None:
        gots: list[Got] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            gots.append(Got(way, request))
            socket.notifyFinish()
            return True

        peer = stream(handler)
        peer.send(post(b"abc"))
        assert (gots[0].data, gots[0].ends) == (b"abc", [ConnectionDone])

    def test_false(self) -> None:
        keeper = Keeper()
        peer = stream(keeper, False)
        peer.send(head(6) + b"abc")
        assert keeper.requests == []
        peer.send(b"def")
        assert keeper.request.body == b"abcdef"

    def test_falseIsLimitedByTheConfiguration(self) -> None:
        peer = stream(Keeper(), False, maximumBodySize=5)
        peer.send(head(6))
        assert peer.statuses() == [413]

    def test_trueHasNoLimit(self) -> None:
        peer, keeper = begun(10**12, maximumBodySize=5)
        reader = Reader()
        keeper.request.deliverBody(reader)
        peer.send(b"x" * 1000)
        assert len(reader.data) == 1000

    def test_eachRequestIsAskedFor(self) -> None:
        keeper = Keeper()
        peer = stream(keeper, lambda request: request.path == "/stream")
        peer.send(head(3, target="/stream") + b"abc")
        assert [each.path for each in keeper.requests] == ["/stream"]
        keeper.socket.respond()
        peer.send(head(3, target="/whole") + b"a")
        assert len(keeper.requests) == 1
        peer.send(b"bc")
        assert keeper.request.body == b"abc"

    @pytest.mark.parametrize(("length", "good"), [(9, True), (10, True), (11, False)])
    def test_limitByContentLength(self, length: int, good: bool) -> None:
        """It is refused before anything of it is read."""
        keeper = Keeper()
        peer = stream(keeper, 10)
        peer.send(head(length))
        assert len(keeper.requests) == good
        if not good:
            response = peer.response()
            assert (response.status, response.all("connection")) == (413, ["close"])
            assert peer.halfClosed

    def test_limitBeforeContinue(self) -> None:
        peer = stream(Keeper(), 10)
        peer.send(head(11, CONTINUE))
        assert peer.statuses() == [413]

    @everyWay
    @pytest.mark.parametrize("last", [b"f", b"fg"])
    def test_limitByTheRunningTotal(self, last: bytes, way: str) -> None:
        keeper = Keeper()
        peer = stream(keeper, 6)
        peer.send(chunkedHead())
        got = Got(way, keeper.request)
        peer.send(chunk(b"abc"), chunk(b"de"))
        assert got.ends == []
        peer.send(chunk(last))
        if last == b"f":
            peer.send(b"0\r\n\r\n")
            assert (got.data, got.ends) == (b"abcdef", [ConnectionDone])
        else:
            assert got.ends == [ConnectionLost]
            assert b"g" not in got.data
            assert keeper.socket.isResponseCanceled
            keeper.socket.respond("too late")
            assert peer.statuses() == [413]
            assert peer.halfClosed

    def test_theLimitIsThatOfTheHead(self) -> None:
        """`maximumBodySize` has no say in what is streamed."""
        keeper = Keeper()
        peer = stream(keeper, 1000)
        peer.send(chunkedHead())
        got = Got("async for", keeper.request)
        peer.server.setConfiguration(HttpServerConfiguration(maximumBodySize=5))
        peer.send(chunk(b"x" * 1000) + b"0\r\n\r\n")
        assert (len(got.data), got.ends) == (1000, [ConnectionDone])

    def test_nothingAllowed(self) -> None:
        keeper = Keeper()
        peer = stream(keeper, 0)
        peer.send(chunkedHead() + b"0\r\n\r\n")
        assert len(keeper.requests) == 1
        keeper.socket.respond()
        peer.send(head(1))
        assert peer.statuses() == [200, 413]

    @pytest.mark.parametrize("answer", [None, -1, 1.5, "yes", [], object()])
    def test_badAnswers(self, answer: Any, failures: list[Failure]) -> None:
        keeper = Keeper()
        peer = stream(keeper, lambda request: answer)
        peer.send(head(3) + b"abc" + get())
        assert take(failures) == [TypeError]
        assert peer.statuses() == [500]
        assert keeper.requests == []
        assert peer.halfClosed

    def test_raising(self, failures: list[Failure]) -> None:
        keeper = Keeper()
        peer = stream(keeper, lambda request: 1 / 0)
        peer.send(head(3), b"abc" + get())
        assert take(failures) == [ZeroDivisionError]
        assert peer.statuses() == [500]
        assert keeper.requests == []

    def test_anAwaitableIsNoAnswer(self, failures: list[Failure]) -> None:
        peer = stream(Keeper(), lambda request: Deferred())
        peer.send(head(3))
        assert take(failures) == [TypeError]
        assert peer.statuses() == [500]


class TestContinue:
    @everyWay
    def test_atTheFirstRead(self, way: str) -> None:
        peer, keeper = begun(3, CONTINUE)
        peer.advance(1)
        assert peer.transport.writes == []
        got = Got(way, keeper.request)
        assert peer.transport.value == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.send(b"abc")
        assert got.data == b"abc"
        keeper.socket.respond("ok")
        assert peer.statuses() == [100, 200]

    def test_once(self) -> None:
        peer, keeper = begun(6, CONTINUE)
        reader = Reader()
        keeper.request.deliverBody(reader)
        for _ in range(3):
            reader.producer.pauseProducing()
            reader.producer.resumeProducing()
        peer.send(b"abc")
        reader.producer.pauseProducing()
        reader.producer.resumeProducing()
        assert peer.transport.value == b"HTTP/1.1 100 Continue\r\n\r\n"

    def test_inTheHandler(self) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> Any:
            return request.content().addCallback(lambda content: (socket.respond(content), True)[1])

        peer = stream(handler)
        peer.send(head(3, CONTINUE))
        assert peer.transport.value == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.send(b"abc")
        assert [(each.status, each.body) for each in peer.responses()] == [(100, b""), (200, b"abc")]

    def test_whenAPausedReaderGoesOn(self) -> None:
        peer, keeper = begun(3, CONTINUE)

        class Shy(Reader):
            def connectionMade(self) -> None:
                self.producer.pauseProducing()

        reader = Shy()
        keeper.request.deliverBody(reader)
        assert peer.transport.writes == []
        reader.producer.resumeProducing()
        assert peer.transport.value == b"HTTP/1.1 100 Continue\r\n\r\n"

    def test_notForContentThatIsThere(self) -> None:
        peer, keeper = begun(3, CONTINUE)
        peer.send(b"a")
        reader = Reader()
        keeper.request.deliverBody(reader)
        assert peer.transport.writes == []
        peer.send(b"bc")
        assert reader.ends == [ConnectionDone]

    def test_notWhenTheAnswerHasBegun(self) -> None:
        peer, keeper = begun(3, CONTINUE)
        keeper.socket.begin()
        got = Got("content", keeper.request)
        peer.send(b"abc")
        assert got.data == b"abc"
        keeper.socket.write(b"x")
        keeper.socket.finish()
        assert [(each.status, each.body) for each in peer.responses()] == [(200, b"x")]

    def test_notOnHttp10(self) -> None:
        keeper = Keeper()
        peer = stream(keeper)
        peer.send(head(3, CONTINUE, version="1.0"))
        got = Got("content", keeper.request)
        peer.send(b"abc")
        assert got.data == b"abc"
        assert peer.transport.writes == []

    def test_notAfterAnInterimResponseOfTheApplication(self) -> None:
        """Another one does no harm."""
        peer, keeper = begun(3, CONTINUE)
        keeper.socket.inform(103, {"Link": "</a>"})
        Got("content", keeper.request)
        peer.send(b"abc")
        keeper.socket.respond()
        assert peer.statuses() == [103, 100, 200]

    def test_anAnswerInsteadCloses(self) -> None:
        """The peer may or may not send its content now; who could tell it from a request?"""
        peer, keeper = begun(3, CONTINUE)
        keeper.socket.respond("no", 403)
        response = peer.response()
        assert (response.status, response.all("connection")) == (403, ["close"])
        assert peer.halfClosed
        peer.send(get())
        assert len(keeper.requests) == 1

    def test_aStreamedAnswerInsteadCloses(self) -> None:
        peer, keeper = begun(3, CONTINUE)
        keeper.socket.write(b"no")
        keeper.socket.finish()
        assert peer.bodies() == [b"no"]
        assert peer.halfClosed

    def test_aStreamedAnswerThatReadsInVainCloses(self) -> None:
        peer, keeper = begun(3, CONTINUE)
        keeper.socket.write(b"no")
        Got("async for", keeper.request)
        keeper.socket.finish()
        assert peer.bodies() == [b"no"]
        assert peer.halfClosed


class TestBackPressure:
    def test_aBusyReaderHoldsThePeerBack(self) -> None:
        peer, keeper = begun()
        reader = Reader()
        keeper.request.deliverBody(reader)
        reader.producer.pauseProducing()
        peer.send(b"x" * KIB64)
        assert peer.transport.reading
        peer.send(b"x")
        assert not peer.transport.reading
        reader.producer.resumeProducing()
        assert peer.transport.reading
        assert len(reader.data) == KIB64 + 1

    def test_nobodyReadsYet(self) -> None:
        peer, keeper = begun()
        peer.send(b"x" * (KIB64 + 1))
        assert not peer.transport.reading
        keeper.request.deliverBody(reader := Reader())
        assert peer.transport.reading
        assert len(reader.data) == KIB64 + 1

    def test_chunked(self) -> None:
        keeper = Keeper()
        peer = stream(keeper)
        peer.send(chunkedHead())
        peer.send(chunk(b"x" * KIB64))
        assert peer.transport.reading
        peer.send(chunk(b"x"))
        assert not peer.transport.reading

    def test_anIteratorThatIsBusy(self) -> None:
        busy: list[Deferred[None]] = []
        sizes: list[int] = []

        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            async for piece in request:
                sizes.append(len(piece))
                busy.append(Deferred())
                await busy[-1]
            socket.respond("ok")
            return True

        peer = stream(handler)
        peer.send(head(140_001) + b"x")
        peer.send(b"x" * 70_000)
        assert not peer.transport.reading
        busy[0].callback(None)
        assert sizes == [1, 70_000]
        assert peer.transport.reading
        peer.send(b"x" * 69_999)
        assert not peer.transport.reading
        busy[1].callback(None)
        assert peer.transport.reading
        busy[2].callback(None)
        peer.send(b"x")
        assert peer.transport.writes == []
        busy[3].callback(None)
        assert peer.bodies() == [b"ok"]

    def test_theEndReleasesThePeer(self) -> None:
        """Its next request is another matter."""
        peer, keeper = begun(70_000)
        peer.send(b"x" * 69_999)
        assert not peer.transport.reading
        peer.send(b"x")
        assert peer.transport.reading
        keeper.request.deliverBody(reader := Reader())
        assert (len(reader.data), reader.ends) == (70_000, [ConnectionDone])

    def test_anAnswerReleasesThePeer(self) -> None:
        peer, keeper = begun(120_000)
        peer.send(b"x" * 70_000)
        assert not peer.transport.reading
        keeper.socket.respond("enough")
        assert peer.transport.reading
        peer.send(b"x" * 50_000)
        assert peer.open
        assert peer.bodies() == [b"enough"]

    def test_aReaderThatStoppedDoesNotHoldItForGood(self) -> None:
        peer, keeper = begun(120_000)
        keeper.request.deliverBody(reader := Reader())
        reader.producer.stopProducing()
        assert reader.ends == [ConnectionLost]
        peer.send(b"x" * 70_000)
        keeper.socket.respond("enough")
        assert peer.transport.reading
        peer.send(b"x" * 50_000)
        assert peer.open

    def test_overTls(self) -> None:
        peer, keeper = begun(transport=FakeTlsTransport)
        peer.send(b"x" * 70_000)
        assert not peer.transport.reading
        keeper.request.deliverBody(Reader())
        assert peer.transport.reading

    def test_neitherLostNorTwice(self) -> None:
        peer, keeper = begun(300_000)
        keeper.request.deliverBody(reader := Reader())
        sent = b"".join(b"%05d" % number for number in range(60_000))
        for start in range(0, len(sent), 10_007):
            if start % 3 == 0:
                reader.producer.pauseProducing()
            elif start % 3 == 1:
                reader.producer.resumeProducing()
            peer.send(sent[start : start + 10_007])
        reader.producer.resumeProducing()
        assert (reader.data, reader.ends) == (sent, [ConnectionDone])


class TestTrailers:
    @everyWay
    def test_behindTheEnd(self, way: str) -> None:
        keeper = Keeper()
        peer = stream(keeper)
        peer.send(chunkedHead())
        got = Got(way, keeper.request)
        peer.send(chunk(b"abc"))
        assert len(keeper.request.trailers) == 0
        peer.send(b"0\r\nX-Sum: 1\r\n", b"x-sum: 2\r\n\r\n")
        assert got.ends == [ConnectionDone]
        assert keeper.request.trailers.getAll("X-Sum") == ["1", "2"]
        assert "X-Sum" not in keeper.request.headers

    def test_whenTheEndIsTold(self) -> None:
        keeper = Keeper()
        peer = stream(keeper)
        peer.send(chunkedHead())
        seen: list[str] = []

        class Summer(Reader):
            def connectionLost(self, reason: Failure = connectionDone) -> None:
                seen.append(keeper.request.trailers["X-Sum"])

        keeper.request.deliverBody(Summer())
        peer.send(chunk(b"abc") + b"0\r\nX-Sum: 1\r\n\r\n")
        assert seen == ["1"]

    def test_forbidden(self) -> None:
        keeper = Keeper()
        peer = stream(keeper)
        peer.send(chunkedHead())
        got = Got("async for", keeper.request)
        peer.send(chunk(b"abc") + b"0\r\nContent-Length: 3\r\n\r\n")
        assert (got.data, got.ends) == (b"abc", [ConnectionLost])
        assert peer.statuses() == [400]


class TestCut:
    @everyWay
    def test_thePeerLeaves(self, way: str) -> None:
        peer, keeper = begun()
        got = Got(way, keeper.request)
        peer.send(b"abc")
        peer.leave()
        assert got.ends == [ConnectionLost]
        assert keeper.socket.isResponseCanceled

    @everyWay
    def test_halfClosed(self, way: str) -> None:
        """It has sent its last, but may still read."""
        peer, keeper = begun()
        got = Got(way, keeper.request)
        peer.send(b"abc")
        peer.halfClose()
        assert got.ends == [ConnectionLost]
        assert peer.statuses() == [400]
        assert peer.transport.closed
        assert not peer.transport.aborted

    @everyWay
    @pytest.mark.parametrize("bad", [b"zz\r\n", b"3\r\nabcd", b"-1\r\n", b"\r\n"])
    def test_malformedChunk(self, way: str, bad: bytes) -> None:
        keeper = Keeper()
        peer = stream(keeper)
        peer.send(chunkedHead())
        got = Got(way, keeper.request)
        peer.send(chunk(b"abc"), bad)
        assert got.ends == [ConnectionLost]
        assert peer.statuses() == [400]
        assert peer.halfClosed

    @everyWay
    def test_beforeAnybodyReads(self, way: str) -> None:
        peer, keeper = begun()
        peer.send(b"abc")
        peer.leave()
        got = Got(way, keeper.request)
        assert got.ends == [ConnectionLost]
        if way != "content":
            assert got.data == b"abc"

    def test_whatCameBeforeIsDelivered(self) -> None:
        peer, keeper = begun()
        keeper.request.deliverBody(reader := Reader())
        reader.producer.pauseProducing()
        peer.send(b"abc")
        peer.leave()
        assert (reader.data, reader.ends) == (b"", [])
        reader.producer.resumeProducing()
        assert (reader.data, reader.ends) == (b"abc", [ConnectionLost])

    @everyWay
    def test_afterTheAnswerBegan(self, way: str) -> None:
        """Nothing that looks like an end may follow, so the connection is dropped."""
        for cut in (lambda peer: peer.halfClose(), lambda peer: peer.send(b"zz\r\n")):
            keeper = Keeper()
            peer = stream(keeper)
            peer.send(chunkedHead())
            got = Got(way, keeper.request)
            keeper.socket.write(b"abc")
            before = peer.transport.value
            cut(peer)
            assert got.ends == [ConnectionLost]
            assert peer.transport.aborted
            assert peer.transport.value == before

    @pytest.mark.parametrize("reading", ["content", "async for"])
    def test_aHandlerThatFailsWithItIsNoNews(self, reading: str) -> None:
        """The peer's leaving is nobody's fault: nothing is logged, and nothing is answered."""

        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            if reading == "content":
                await request.content()
            else:
                async for _ in request:
                    pass
            return True

        cuts: list[Callable[[Conversation], None]] = [
            lambda peer: peer.leave(),
            lambda peer: peer.halfClose(),
            lambda peer: peer.send(b"zz\r\n"),
            lambda peer: peer.advance(31),
        ]
        for cut, statuses in zip(cuts, ([], [400], [400], [408]), strict=True):
            peer = stream(handler)
            peer.send(chunkedHead() + chunk(b"abc"))
            cut(peer)
            assert peer.statuses() == statuses

    def test_theApplicationMayAnswerNothingAfterwards(self) -> None:
        peer, keeper = begun()
        keeper.request.deliverBody(Reader())
        peer.halfClose()
        keeper.socket.respond("too late")
        keeper.socket.write(b"too late")
        assert peer.statuses() == [400]

    def test_notifyFinish(self) -> None:
        peer, keeper = begun()
        outcomes: list[Any] = []
        keeper.socket.notifyFinish().addErrback(lambda failure: outcomes.append(failure.type))
        peer.halfClose()
        assert outcomes == [ConnectionLost]


class TestReaderThatFails:
    def test_itsException(self, failures: list[Failure]) -> None:
        peer, keeper = begun(6)

        class Bad(Reader):
            def dataReceived(self, data: bytes) -> None:
                raise ZeroDivisionError

        keeper.request.deliverBody(Bad())
        peer.send(b"abc")
        assert take(failures) == [ZeroDivisionError]
        assert peer.statuses() == [500]
        peer.send(b"def", get("/next"))
        assert keeper.request.path == "/next"

    def test_afterTheAnswerBegan(self, failures: list[Failure]) -> None:
        peer, keeper = begun(6)

        class Bad(Reader):
            def dataReceived(self, data: bytes) -> None:
                keeper.socket.write(data)
                raise ZeroDivisionError

        keeper.request.deliverBody(Bad())
        peer.send(b"abc")
        assert take(failures) == [ZeroDivisionError]
        assert peer.transport.aborted

    def test_whenThePeerLeaves(self, failures: list[Failure]) -> None:
        """It is a mistake, whoever has left."""
        peer, keeper = begun(6)

        class Bad(Reader):
            def connectionLost(self, reason: Failure = connectionDone) -> None:
                raise ZeroDivisionError

        keeper.request.deliverBody(Bad())
        peer.leave()
        assert take(failures) == [ZeroDivisionError]
        assert peer.transport.writes == []

    def test_ofAnExchangeLongPast(self, failures: list[Failure]) -> None:
        """What runs now has nothing to do with it."""
        keeper = Keeper()
        peer = stream(keeper, False)
        peer.send(post(b"abc"))
        old = keeper.request
        keeper.socket.respond("old")
        peer.send(get())

        class Bad(Reader):
            def dataReceived(self, data: bytes) -> None:
                raise ZeroDivisionError

        try:
            old.deliverBody(Bad())
        except ZeroDivisionError:
            pass
        take(failures)
        keeper.socket.respond("new")
        assert peer.bodies() == [b"old", b"new"]

    def test_anIteratingHandler(self, failures: list[Failure]) -> None:
        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            async for _ in request:
                raise ZeroDivisionError
            return True

        peer = stream(handler)
        peer.send(head(6) + b"abc")
        assert take(failures) == [ZeroDivisionError]
        assert peer.statuses() == [500]
        assert peer.open


class TestUnread:
    @pytest.mark.parametrize("size", [1, KIB64])
    def test_aLittleIsDiscarded(self, size: int) -> None:
        peer, keeper = begun(size)
        keeper.socket.respond("ok")
        response = peer.response()
        assert (response.body, response.all("connection")) == (b"ok", [])
        body = b"GET /evil HTTP/1.1\r\n\r\n" * size
        peer.send(body[: size // 2], body[size // 2 : size] + get("/next"))
        assert keeper.request.path == "/next"
        keeper.socket.respond("next")
        assert peer.bodies() == [b"next"]

    def test_muchCloses(self) -> None:
        peer, keeper = begun(KIB64 + 1)
        keeper.socket.respond("ok")
        response = peer.response()
        assert (response.body, response.all("connection")) == (b"ok", ["close"])
        assert peer.halfClosed
        peer.send(b"x" * 30_000)
        assert peer.halfClosed
        peer.advance(2)
        assert peer.transport.closed
        assert not peer.transport.aborted
        assert len(keeper.requests) == 1

    def test_whatWasReadDoesNotCount(self) -> None:
        peer, keeper = begun(1_000_000)
        keeper.request.deliverBody(Reader())
        peer.send(b"x" * (1_000_000 - KIB64))
        keeper.socket.respond("ok")
        peer.send(b"x" * KIB64 + get("/next"))
        assert keeper.request.path == "/next"

    def test_streamedAnswer(self) -> None:
        for size, closes in ((KIB64, False), (KIB64 + 1, True)):
            peer, keeper = begun(size)
            keeper.socket.write(b"ok")
            keeper.socket.finish()
            assert peer.bodies() == [b"ok"]
            assert peer.halfClosed == closes
            peer.send(b"x" * size + get("/next"))
            assert len(keeper.requests) == (1 if closes else 2)

    @pytest.mark.parametrize("closing", [False, True])
    def test_chunked(self, closing: bool) -> None:
        """How much it is shows later; and the answer is out: there must not be a second one."""
        keeper = Keeper()
        peer = stream(keeper)
        peer.send(chunkedHead())
        keeper.socket.respond("ok")
        peer.send(chunk(b"x" * 40_000), chunk(b"x" * (25_536 + closing)))
        if closing:
            assert peer.halfClosed
            assert len(keeper.requests) == 1
        else:
            peer.send(b"0\r\nX: y\r\n\r\n" + get("/next"))
            assert keeper.request.path == "/next"
            keeper.socket.respond("ok")
        assert peer.bodies() == [b"ok"] * (1 if closing else 2)

    def test_malformedRest(self) -> None:
        keeper = Keeper()
        peer = stream(keeper)
        peer.send(chunkedHead())
        keeper.socket.respond("ok")
        peer.send(b"zz\r\n")
        assert peer.bodies() == [b"ok"]
        assert not peer.open

    def test_halfClosedRest(self) -> None:
        peer, keeper = begun(10)
        keeper.socket.respond("ok")
        peer.send(b"abc")
        peer.halfClose()
        assert peer.bodies() == [b"ok"]
        assert not peer.open

    @pytest.mark.parametrize("pace", [31, 9])
    def test_theRestMustComeInTime(self, pace: int) -> None:
        """Neither silence nor a trickle may keep the connection."""
        peer, keeper = begun(1000)
        keeper.socket.respond("ok")
        for _ in range(8):
            peer.advance(pace)
            if not peer.open:
                break
            peer.send(b"x")
        assert peer.bodies() == [b"ok"]
        assert not peer.open

    def test_inTheHandler(self) -> None:
        """All of it has come already."""
        requests: list[HttpRequest] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            requests.append(request)
            socket.respond(request.path)
            return True

        peer = stream(handler)
        peer.send(post(b"x" * 100, target="/a") + post(b"y" * 100, target="/b") + get("/c"))
        assert peer.bodies() == [b"/a", b"/b", b"/c"]
        assert peer.open

    def test_theNextIsServedWhenItHasGone(self) -> None:
        peer, keeper = begun(10)
        keeper.socket.respond("ok")
        peer.send(b"x" * 9)
        assert len(keeper.requests) == 1
        peer.send(b"x" + get("/next") + get("/after"))
        assert [each.path for each in keeper.requests] == ["/", "/next"]

    @everyWay
    def test_aReaderThatIsStillAtItIsTold(self, way: str) -> None:
        """It must not take what it has for all that there was."""
        peer, keeper = begun(6)
        got = Got(way, keeper.request)
        peer.send(b"abc")
        keeper.socket.respond("enough")
        peer.send(b"def" + get("/next"))
        assert got.ends in ([ConnectionLost], [ConnectionDone])
        if got.ends == [ConnectionDone]:
            assert got.data == b"abcdef"
        assert keeper.request.path == "/next"

    def test_aPausedReaderThatWakesUpLate(self) -> None:
        """Its time is over; the deadlines of its content must not be those of the next request."""
        peer, keeper = begun(6)
        keeper.request.deliverBody(reader := Reader())
        reader.producer.pauseProducing()
        keeper.socket.respond("enough")
        peer.send(b"abcdef" + get("/next"))
        reader.producer.resumeProducing()
        assert reader.ends == [ConnectionLost]
        peer.advance(100)
        keeper.socket.respond("next")
        assert peer.bodies() == [b"enough", b"next"]

    def test_aReaderThatAnswersEarly(self) -> None:
        peer, keeper = begun(6)

        class Early(Reader):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                keeper.socket.respond("enough", 403)

        keeper.request.deliverBody(reader := Early())
        peer.send(b"abc")
        peer.send(b"def" + get("/next"))
        assert (reader.data, reader.ends) == (b"abc", [ConnectionLost])
        assert keeper.request.path == "/next"
        assert peer.statuses() == [403]

    def test_thePeerLeavesMeanwhile(self) -> None:
        peer, keeper = begun(6)
        keeper.socket.respond("ok")
        peer.leave()
        assert peer.bodies() == [b"ok"]
        assert not keeper.socket.isResponseCanceled
        assert peer.clock.getDelayedCalls() == []


class TestDeadlines:
    def test_anApplicationThatDoesNotReadIsNotBlamedOnThePeer(self) -> None:
        peer, keeper = begun(6)
        peer.advance(600)
        assert peer.open
        keeper.request.deliverBody(reader := Reader())
        peer.send(b"abc")
        reader.producer.pauseProducing()
        peer.advance(600)
        assert peer.open
        reader.producer.resumeProducing()
        peer.send(b"def")
        assert (reader.data, reader.ends) == (b"abcdef", [ConnectionDone])
        peer.advance(600)
        keeper.socket.respond("ok")
        assert peer.bodies() == [b"ok"]

    def test_anIteratorThatThinks(self) -> None:
        thoughts: list[Deferred[None]] = []

        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            async for _ in request:
                thoughts.append(Deferred())
                await thoughts[-1]
            socket.respond("ok")
            return True

        peer = stream(handler)
        peer.send(head(3))
        for data in (b"a", b"b", b"c"):
            peer.send(data)
            peer.advance(300)
            thoughts[-1].callback(None)
            peer.advance(1)
        assert peer.bodies() == [b"ok"]

    @everyWay
    def test_silence(self, way: str) -> None:
        peer, keeper = begun(bodyTimeout=30, minimumBodyRate=0)
        peer.advance(100)
        got = Got(way, keeper.request)
        peer.advance(29.9)
        assert got.ends == []
        peer.advance(0.2)
        assert got.ends == [ConnectionLost]
        assert peer.statuses() == [408]
        assert peer.halfClosed

    def test_silenceCountsFromTheLastOctet(self) -> None:
        peer, keeper = begun(bodyTimeout=30, minimumBodyRate=0)
        Got("async for", keeper.request)
        for _ in range(10):
            peer.advance(29)
            peer.send(b"x")
        assert peer.open
        peer.advance(31)
        assert peer.statuses() == [408]

    def test_silenceCountsFromTheRead(self) -> None:
        peer, keeper = begun(bodyTimeout=30, minimumBodyRate=0)
        keeper.request.deliverBody(reader := Reader())
        peer.advance(29)
        reader.producer.pauseProducing()
        peer.advance(100)
        reader.producer.resumeProducing()
        peer.advance(29)
        assert peer.open
        peer.advance(2)
        assert peer.statuses() == [408]

    @everyWay
    def test_aTrickle(self, way: str) -> None:
        peer, keeper = begun(minimumBodyRate=500)
        got = Got(way, keeper.request)
        for _ in range(9):
            peer.advance(1)
            peer.send(b"x" * 499)
        assert got.ends == []
        peer.advance(1)
        assert got.ends == [ConnectionLost]
        assert peer.statuses() == [408]

    @everyWay
    def test_justEnough(self, way: str) -> None:
        peer, keeper = begun(minimumBodyRate=500)
        got = Got(way, keeper.request)
        for _ in range(60):
            peer.send(b"x" * 500)
            peer.advance(1)
        assert got.ends == []
        assert peer.open

    def test_aQuickStartDoesNotCountForEver(self) -> None:
        peer, keeper = begun(minimumBodyRate=500)
        got = Got("async for", keeper.request)
        peer.send(b"x" * 500_000)
        for _ in range(25):
            peer.advance(1)
            peer.send(b"x")
        assert got.ends == [ConnectionLost]
        assert peer.statuses() == [408]

    def test_aTrickleWhileTheReaderPausesNowAndThen(self) -> None:
        """What counts is the time in which somebody waited for the peer."""
        peer, keeper = begun(minimumBodyRate=500)
        keeper.request.deliverBody(reader := Reader())
        for _ in range(9):
            peer.send(b"x" * 100)
            peer.advance(1)
            reader.producer.pauseProducing()
            peer.advance(50)
            reader.producer.resumeProducing()
        assert peer.open
        peer.advance(2)
        assert peer.statuses() == [408]

    def test_whatComesWhileTheReaderIsBusyCounts(self) -> None:
        """5,000 octets each ten seconds are 500 a second, however busy the reader is."""
        peer, keeper = begun(minimumBodyRate=500)
        keeper.request.deliverBody(reader := Reader())
        for _ in range(6):
            peer.send(b"x" * 100)
            reader.producer.pauseProducing()
            peer.advance(0.01)
            peer.send(b"x" * 4950)
            peer.advance(0.01)
            reader.producer.resumeProducing()
            peer.advance(9.98)
        assert peer.open

    def test_framingCounts(self) -> None:
        keeper = Keeper()
        peer = stream(keeper, minimumBodyRate=50)
        peer.send(chunkedHead())
        Got("async for", keeper.request)
        for _ in range(120):
            peer.send(chunk(b"x"))
            peer.advance(0.1)
        assert peer.open

    def test_noRate(self) -> None:
        peer, keeper = begun(minimumBodyRate=0)
        got = Got("async for", keeper.request)
        for _ in range(20):
            peer.advance(20)
            peer.send(b"x")
        assert got.ends == []

    def test_aReaderThatStopped(self) -> None:
        """Nobody waits for the peer."""
        peer, keeper = begun()
        keeper.request.deliverBody(reader := Reader())
        reader.producer.stopProducing()
        peer.advance(600)
        assert peer.open

    def test_aReaderThatWasCancelled(self) -> None:
        peer, keeper = begun()
        reading = keeper.request.content()
        reading.addErrback(lambda failure: None)
        reading.cancel()
        peer.advance(600)
        assert peer.open

    def test_exactlyOneResponse(self) -> None:
        """Whatever else the handler does when it hears."""

        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            try:
                await request.content()
            except ConnectionLost:
                socket.respond("sorry", 500)
                socket.write(b"more")
                socket.finish()
            return False

        peer = stream(handler)
        peer.send(head(10) + b"abc")
        peer.advance(100)
        assert peer.statuses() == [408]

    def test_afterTheAnswerBegan(self) -> None:
        peer, keeper = begun()
        keeper.socket.write(b"abc")
        got = Got("async for", keeper.request)
        before = peer.transport.value
        peer.advance(31)
        assert got.ends == [ConnectionLost]
        assert peer.transport.aborted
        assert peer.transport.value == before

    def test_otherDeadlinesWhileTheConfigurationChanges(self) -> None:
        peer, keeper = begun(bodyTimeout=30, minimumBodyRate=0)
        Got("async for", keeper.request)
        peer.server.setConfiguration(HttpServerConfiguration(bodyTimeout=5, minimumBodyRate=0))
        peer.send(b"x")
        peer.advance(5.1)
        assert peer.statuses() == [408]

    def test_nothingIsLeftBehind(self) -> None:
        peer, keeper = begun(3)
        got = Got("content", keeper.request)
        peer.send(b"abc")
        assert got.data == b"abc"
        keeper.socket.respond("ok")
        peer.leave()
        assert peer.clock.getDelayedCalls() == []


class TestContentSize:
    """`content()` is bounded by `maximumBodySize`, although the request is not."""

    @pytest.mark.parametrize(("size", "status"), [(10, 200), (11, 413)])
    def test_bound(self, size: int, status: int) -> None:
        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.respond(await request.content())
            return True

        for framed in (head(size) + b"x" * size, chunkedHead() + chunk(b"x" * size) + b"0\r\n\r\n"):
            peer = stream(handler, maximumBodySize=10)
            peer.send(framed)
            assert peer.statuses() == [status]
            assert peer.open

    def test_refusedBeforeItIsAllHere(self) -> None:
        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            await request.content()
            return True

        peer = stream(handler, maximumBodySize=10)
        peer.send(head(1_000_000) + b"x" * 11)
        response = peer.response()
        assert (response.status, response.all("connection")) == (413, ["close"])
        assert peer.halfClosed

    def test_theApplicationMayAnswerItself(self) -> None:
        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            try:
                await request.content()
            except HttpError as error:
                socket.respond(f"{error.status}", 400)
            return True

        peer = stream(handler, maximumBodySize=10)
        peer.send(head(100) + b"x" * 100)
        response = peer.response()
        assert (response.status, response.body) == (400, b"413")

    def test_cancelling(self) -> None:
        peer, keeper = begun(6)
        reading = keeper.request.content()
        reading.addErrback(lambda failure: None)
        peer.send(b"abc")
        reading.cancel()
        keeper.socket.respond("never mind")
        peer.send(b"def" + get("/next"))
        assert keeper.request.path == "/next"


class Echo(Reader):
    """Sends back what it is given, at the pace of the slower of the two."""

    def __init__(self, socket: HttpSocket) -> None:
        super().__init__()
        self.socket = socket

    def connectionMade(self) -> None:
        assert IPushProducer.providedBy(self.transport)
        self.socket.begin()
        self.socket.registerProducer(self.transport, True)

    def dataReceived(self, data: bytes) -> None:
        self.socket.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.socket.unregisterProducer()
        if reason.check(ConnectionDone):
            self.socket.finish()


class TestDuplex:
    """The answer begins while the content still arrives."""

    def echoing(self, **options: Any) -> tuple[Conversation, list[Echo]]:
        echoes: list[Echo] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            echoes.append(Echo(socket))
            request.deliverBody(echoes[-1])
            return True

        return stream(handler, **options), echoes

    def test_echo(self) -> None:
        peer, _ = self.echoing()
        peer.send(chunkedHead(), chunk(b"abc"))
        assert peer.transport.value.endswith(b"\r\n\r\n3\r\nabc\r\n")
        peer.send(chunk(b"de"))
        assert peer.transport.value.endswith(b"2\r\nde\r\n")
        peer.send(b"0\r\n\r\n")
        assert peer.bodies() == [b"abcde"]
        peer.send(post(b"next"))
        assert peer.bodies() == [b"next"]
        assert peer.open

    def test_allAtOnce(self) -> None:
        peer, _ = self.echoing()
        peer.send(b"".join(post(b"%d" % number) for number in range(50)))
        assert peer.bodies() == [b"%d" % number for number in range(50)]

    def test_aPeerThatDoesNotReadIsNotRead(self) -> None:
        peer, _ = self.echoing()
        peer.transport.stuck = True
        sent = 0
        peer.send(head(10_000_000))
        while peer.transport.reading:
            peer.send(b"x" * 10_000)
            sent += 10_000
            assert sent < 1_000_000
        held = sum(map(len, peer.transport.held))
        assert held < 200_000
        peer.transport.stuck = False
        peer.transport.release()
        assert peer.transport.reading
        peer.send(b"x" * (10_000_000 - sent))
        assert len(peer.response().body) == 10_000_000

    def test_thePeerLeaves(self) -> None:
        peer, echoes = self.echoing()
        peer.send(head(1000), b"abc")
        peer.leave()
        assert echoes[0].ends == [ConnectionLost]

    def test_theAnswerEndsFirst(self) -> None:
        peer, keeper = begun(6)
        keeper.request.deliverBody(reader := Reader())
        keeper.socket.write(b"early")
        peer.send(b"abc")
        keeper.socket.finish()
        peer.send(b"def" + get("/next"))
        assert reader.ends == [ConnectionLost]
        assert keeper.request.path == "/next"
        assert peer.bodies() == [b"early"]

    def test_theContentEndsFirst(self) -> None:
        peer, keeper = begun(6)
        keeper.request.deliverBody(reader := Reader())
        keeper.socket.write(b"a")
        peer.send(b"abcdef" + get("/next"))
        assert reader.ends == [ConnectionDone]
        assert keeper.request.path == "/"
        keeper.socket.finish()
        assert keeper.request.path == "/next"

    def test_pipelinedBehindIt(self) -> None:
        """What is kept of requests sent ahead is bounded, whatever the reader does."""
        peer, keeper = begun(6)
        peer.send(b"abcdef")
        peer.send(get("/next") * 3000)
        assert not peer.transport.reading
        assert len(keeper.requests) == 1


def test_httpTenHasStreamsToo() -> None:
    keeper = Keeper()
    peer = stream(keeper)
    peer.send(head(6, version="1.0"))
    got = Got("async for", keeper.request)
    peer.send(b"abc", b"def")
    assert (got.data, got.ends) == (b"abcdef", [ConnectionDone])
    keeper.socket.respond("ok")
    assert peer.bodies() == [b"ok"]
    assert peer.halfClosed


def test_closingWaitsForTheContent() -> None:
    """A server that closes lets the exchange end."""
    peer, keeper = begun(6)
    got = Got("content", keeper.request)
    done: list[Any] = []
    peer.server.close(10).addBoth(done.append)
    peer.send(b"abcdef")
    assert got.data == b"abcdef"
    keeper.socket.respond("ok")
    (response,) = parseResponses(peer.transport.value, ["POST"], True)
    assert (response.body, response.all("connection")) == (b"ok", ["close"])
    peer.leave()
    assert done == [None]


@everyWay
def test_closingCutsInTheEnd(way: str) -> None:
    peer, keeper = begun(6)
    got = Got(way, keeper.request)
    peer.server.close(5)
    peer.advance(4.9)
    assert got.ends == []
    peer.advance(0.2)
    assert got.ends == [ConnectionLost]
    assert peer.transport.aborted
