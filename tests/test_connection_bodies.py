"""Requests with content: buffered, limited, expected, and lingering after a refusal."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from connectionhelpers import Conversation, HandlerServer, capturedFailures, echoPath, get, post, serve
from twisted.python.failure import Failure

from txabstracthttp import HttpRequest, HttpServerConfiguration, HttpSocket

CHUNKED = "Transfer-Encoding: chunked"
CONTINUE = "Expect: 100-continue"


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


class Keeper:
    """A handler that keeps the requests it saw, and echoes their content."""

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []

    def __call__(self, request: HttpRequest, socket: HttpSocket) -> bool:
        self.requests.append(request)
        socket.respond(request.body)
        return True


def chunks(*pieces: bytes, trailers: bytes = b"") -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n%b\r\n" % trailers


class TestContent:
    @pytest.mark.parametrize("size", [0, 1, 1000, 100_000])
    def test_contentLength(self, size: int) -> None:
        keeper = Keeper()
        peer = serve(keeper)
        body = bytes(i % 251 for i in range(size))
        peer.send(post(body))
        assert keeper.requests[0].body == body
        assert peer.response().body == body

    def test_handlerRunsWhenAllIsThere(self) -> None:
        keeper = Keeper()
        peer = serve(keeper)
        whole = post(b"abc")
        peer.send(*(whole[i : i + 1] for i in range(len(whole) - 1)))
        assert keeper.requests == []
        peer.send(whole[-1:])
        assert [each.body for each in keeper.requests] == [b"abc"]

    @pytest.mark.parametrize("step", [1, 3, 1000])
    def test_chunked(self, step: int) -> None:
        keeper = Keeper()
        peer = serve(keeper)
        whole = get("/", CHUNKED, method="POST") + chunks(b"abc", b"d" * 20) + get("/next")
        peer.send(*(whole[i : i + step] for i in range(0, len(whole), step)))
        assert [each.body for each in keeper.requests] == [b"abc" + b"d" * 20, b""]
        assert peer.bodies() == [b"abc" + b"d" * 20, b""]

    def test_trailers(self) -> None:
        keeper = Keeper()
        peer = serve(keeper)
        peer.send(get("/", CHUNKED, method="POST") + chunks(b"abc", trailers=b"X-Sum: 1\r\nx-sum: 2\r\n"))
        peer.send(post(b"abc") + get())
        assert [each.trailers.getAll("X-Sum") for each in keeper.requests] == [["1", "2"], [], []]
        assert "X-Sum" not in keeper.requests[0].headers

    def test_contentOfOneIsNotThatOfTheNext(self) -> None:
        keeper = Keeper()
        peer = serve(keeper)
        peer.send(post(b"one"), post(b"two"), get())
        assert [each.body for each in keeper.requests] == [b"one", b"two", b""]
        assert keeper.requests[0].body == b"one"

    def test_refusedContentIsForgotten(self) -> None:
        """Its pieces must not turn up anywhere else."""
        keeper = Keeper()
        peer = serve(keeper, maximumBodySize=5)
        peer.send(get("/", CHUNKED, method="POST") + b"3\r\nabc\r\n4\r\ndefg\r\n")
        peer.send(b"0\r\n\r\n")
        assert keeper.requests == []
        assert peer.statuses() == [413]

    def test_malformedChunk(self) -> None:
        keeper = Keeper()
        peer = serve(keeper)
        peer.send(get("/", CHUNKED, method="POST") + b"3\r\nabc\r\nzz\r\n")
        assert peer.statuses() == [400]
        assert keeper.requests == []
        assert peer.halfClosed

    def test_headHasContentToo(self) -> None:
        """Nothing forbids it (RFC 9110 section 9.3.2), and it must not be read as a request."""
        keeper = Keeper()
        peer = serve(keeper)
        peer.send(get("/", "Content-Length: 3", method="HEAD") + b"abc" + get())
        assert [each.body for each in keeper.requests] == [b"abc", b""]
        assert peer.statuses("HEAD", "GET") == [200, 200]


class TestExpect:
    def test_continueComesBeforeTheContent(self) -> None:
        peer = serve(Keeper())
        peer.send(get("/", "Content-Length: 3", CONTINUE, method="POST"))
        assert peer.transport.value == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.send(b"abc")
        assert [(each.status, each.body) for each in peer.responses()] == [(100, b""), (200, b"abc")]

    def test_continueForChunked(self) -> None:
        peer = serve(Keeper())
        peer.send(get("/", CHUNKED, CONTINUE, method="POST"))
        assert peer.transport.value == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.send(chunks(b"abc"))
        assert peer.statuses() == [100, 200]

    def test_continueWaitsForTheAnswerBeforeIt(self) -> None:
        sockets: list[HttpSocket] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            if request.method == "GET":
                sockets.append(socket)
            else:
                socket.respond(request.body)
            return True

        peer = serve(handler)
        peer.send(get() + get("/", "Content-Length: 3", CONTINUE, method="POST"))
        assert peer.transport.writes == []
        sockets[0].respond("first")
        peer.send(b"abc")
        assert [each.status for each in peer.responses()] == [200, 100, 200]

    @pytest.mark.parametrize(
        "request_",
        [
            get("/", CONTINUE),
            get("/", "Content-Length: 0", CONTINUE, method="POST"),
            get("/", "Content-Length: 1", CONTINUE, method="POST", version="1.0") + b"x",
        ],
        ids=["GET", "empty", "HTTP/1.0"],
    )
    def test_nothingToContinueWith(self, request_: bytes) -> None:
        peer = serve(Keeper())
        peer.send(request_)
        assert peer.statuses() == [200]

    def test_unknownExpectation(self) -> None:
        keeper = Keeper()
        peer = serve(keeper)
        peer.send(get("/", "Content-Length: 3", "Expect: the-spanish-inquisition", method="POST"))
        assert peer.statuses() == [417]
        assert keeper.requests == []
        assert peer.halfClosed

    def test_refusedAtOnceInsteadOfContinue(self) -> None:
        peer = serve(Keeper(), maximumBodySize=2)
        peer.send(get("/", "Content-Length: 3", CONTINUE, method="POST"))
        assert peer.statuses() == [413]


class TestLimit:
    def test_contentLengthTellsInAdvance(self) -> None:
        keeper = Keeper()
        peer = serve(keeper, maximumBodySize=1000)
        peer.send(get("/", "Content-Length: 1001", method="POST"))
        response = peer.response()
        assert (response.status, response.all("connection")) == (413, ["close"])
        assert keeper.requests == []

    def test_inclusive(self) -> None:
        peer = serve(Keeper(), maximumBodySize=1000)
        peer.send(post(b"x" * 1000))
        assert peer.statuses() == [200]

    @pytest.mark.parametrize("size", [1000, 1001])
    def test_chunkedByTheRunningTotal(self, size: int) -> None:
        keeper = Keeper()
        peer = serve(keeper, maximumBodySize=1000)
        peer.send(get("/", CHUNKED, method="POST"))
        peer.send(b"1f4\r\n" + b"x" * 500 + b"\r\n")
        left = size - 500
        peer.send(b"%x\r\n" % left + b"x" * left)
        assert (peer.transport.value == b"") == (size == 1000)
        peer.send(b"\r\n0\r\n\r\n")
        assert peer.statuses() == [200 if size == 1000 else 413]
        assert len(keeper.requests) == (size == 1000)

    def test_nothingAllowed(self) -> None:
        peer = serve(Keeper(), maximumBodySize=0)
        peer.send(get() + post(b"") + post(b"x"))
        assert peer.statuses() == [200, 200, 413]

    def test_noLimit(self) -> None:
        peer = serve(Keeper(), maximumBodySize=None)
        peer.send(post(b"x" * 200_000))
        assert len(peer.response().body) == 200_000

    def test_raisedWhileTheConnectionIsOpen(self) -> None:
        peer = serve(Keeper(), maximumBodySize=2)
        peer.server.setConfiguration(HttpServerConfiguration(maximumBodySize=3))
        peer.send(post(b"abc"))
        assert peer.statuses() == [200]


class StreamingServer(HandlerServer):
    """Asks for all content as it comes."""

    def streamsBody(self, request: HttpRequest) -> bool:
        return True


class TestAnsweredBeforeItsContent:
    """A peer that pipelines takes a second answer for that of its next request."""

    def answered(self) -> Conversation:
        first = serve(echoPath)
        first.server = StreamingServer(echoPath, first.clock, first.server.configuration)
        peer = first.another()
        peer.send(get("/a", CHUNKED, method="POST"))
        assert peer.bodies() == [b"/a"]
        return peer

    def test_littleIsDiscarded(self) -> None:
        peer = self.answered()
        peer.send(chunks(b"x" * 60_000) + get("/b"))
        assert peer.bodies() == [b"/b"]
        assert peer.open

    def test_muchIsNot(self) -> None:
        peer = self.answered()
        peer.send(chunks(b"x" * 70_000) + get("/b"))
        assert peer.responses() == []
        assert not peer.open

    def test_norIsSlowContent(self) -> None:
        peer = self.answered()
        peer.advance(31)
        assert peer.responses() == []
        assert not peer.open

    def test_norIsMalformedContent(self) -> None:
        peer = self.answered()
        peer.send(b"zz\r\n")
        assert peer.responses() == []
        assert not peer.open

    def test_norIsContentCutShort(self) -> None:
        peer = self.answered()
        peer.send(b"3\r\n")
        peer.halfClose()
        assert peer.responses() == []
        assert not peer.open


def refused(secure: bool = False) -> Conversation:
    peer = serve(Keeper(), maximumBodySize=10, secure=secure)
    if secure:
        peer.connection.handshakeCompleted()
    peer.send(get("/", "Content-Length: 1000000", method="POST"))
    assert peer.statuses() == [413]
    return peer


class TestLingering:
    """RFC 9112 section 9.6: a peer that still sends would be reset, and might lose our last words."""

    def test_theAnswerThenAHalfClose(self) -> None:
        peer = refused()
        log = peer.transport.log
        assert log.index("write") < log.index("unregisterProducer") < log.index("loseWriteConnection")
        assert peer.halfClosed
        assert peer.transport.reading
        assert peer.transport.lost == []

    def test_whatComesIsDiscarded(self) -> None:
        peer = refused()
        peer.send(b"x" * 30_000, b"x" * 30_000, get())
        assert peer.transport.writes == []
        assert peer.halfClosed

    def test_butNotWithoutABound(self) -> None:
        peer = refused()
        for _ in range(256):
            peer.send(b"x" * 65_536)
        assert peer.halfClosed
        assert peer.transport.reading
        peer.send(b"x")
        # It may still look up and read, until the time is over.
        assert not peer.transport.reading
        assert peer.halfClosed
        peer.advance(2)
        assert peer.transport.closed
        assert not peer.transport.aborted

    def test_norForLong(self) -> None:
        peer = refused()
        peer.advance(1.0, 0.9)
        peer.send(b"x")
        assert peer.halfClosed
        peer.advance(0.2)
        assert peer.transport.closed
        assert not peer.transport.aborted

    def test_thePeerClosesFirst(self) -> None:
        peer = refused()
        peer.advance(0.5)
        peer.halfClose()
        assert peer.transport.closed

    def test_theLastResort(self) -> None:
        peer = refused()
        peer.advance(2, 4.9)
        assert not peer.transport.aborted
        peer.advance(0.2)
        assert peer.transport.aborted

    def test_closeTimeoutIsConfigurable(self) -> None:
        peer = serve(Keeper(), closeTimeout=1)
        peer.send(b"what?\r\n\r\n")
        peer.advance(2, 0.9)
        assert not peer.transport.aborted
        peer.advance(0.2)
        assert peer.transport.aborted

    def test_aGonePeerIsNotAborted(self) -> None:
        peer = refused()
        peer.leave()
        peer.advance(2, 5, 100)
        assert not peer.transport.closed
        assert peer.clock.getDelayedCalls() == []

    def test_afterAnOrdinaryLastAnswerToo(self) -> None:
        peer = serve(Keeper())
        peer.send(get("/", "Connection: close"))
        assert peer.halfClosed
        peer.send(b"x" * 1000)
        peer.advance(2)
        assert peer.transport.closed

    def test_overTlsThereIsNoHalfClose(self) -> None:
        """The fake would say so; TLS's own closing waits for the peer anyway."""
        peer = refused(secure=True)
        log = peer.transport.log
        assert log.index("write") < log.index("unregisterProducer") < log.index("loseConnection")
        assert "loseWriteConnection" not in log
        peer.send(b"x" * 1_000_000)
        peer.advance(4.9)
        assert not peer.transport.aborted
        peer.advance(0.2)
        assert peer.transport.aborted
        assert peer.transport.writes == []
