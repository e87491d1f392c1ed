"""Requests that are sent ahead: their order, and how many of them are kept."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
from connectionhelpers import (
    Handler,
    Later,
    capturedFailures,
    echoPath,
    get,
    post,
    serve,
)
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from txabstracthttp import (
    HttpRequest,
    HttpSocket,
)

READ_AHEAD = 64 * 1024


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


class TestPipelining:
    def test_oneExchangeAtATime(self) -> None:
        later = Later()
        peer = serve(later)
        peer.send(get("/a") + get("/b"), get("/c"))
        assert later.paths == ["/a"]
        later.answer()
        assert later.paths == ["/a", "/b"]
        assert peer.bodies() == [b"/a"]
        later.answer()
        later.answer()
        assert peer.bodies() == [b"/b", b"/c"]
        assert later.paths == ["/a", "/b", "/c"]

    def test_theOrderOfAnswersIsThatOfRequests(self) -> None:
        """The second answer is ready before the first; coroutines wait for their own events."""
        events: dict[str, Deferred[None]] = {"/a": Deferred(), "/b": Deferred()}

        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            await events[request.path]
            socket.respond(request.path)
            return True

        peer = serve(handler)
        peer.send(get("/a") + get("/b"))
        events["/b"].callback(None)
        assert peer.transport.writes == []
        events["/a"].callback(None)
        assert peer.bodies() == [b"/a", b"/b"]

    def test_synchronousAnswersLeaveTogether(self) -> None:
        peer = serve(echoPath)
        peer.send(get("/a") + get("/b") + get("/c"))
        assert len(peer.transport.writes) == 1
        assert peer.bodies() == [b"/a", b"/b", b"/c"]

    def test_aThousandDoNotRecurse(self) -> None:
        depths = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            depths.append(len(inspect.stack(0)))
            socket.respond(request.path)
            return True

        peer = serve(handler)
        peer.send(b"".join(get(f"/{i}") for i in range(1000)))
        assert len(depths) == 1000
        assert len(set(depths)) == 1
        # Collected up to about 64 KiB.
        total = len(peer.transport.value)
        assert len(peer.transport.writes) == pytest.approx(total / 65536, abs=1.5)
        assert max(map(len, peer.transport.writes)) < 65536 + 1024
        assert peer.bodies() == [f"/{i}".encode() for i in range(1000)]

    def test_aThousandBehindALateOneDoNotRecurse(self) -> None:
        depths = []
        first: list[HttpSocket] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            depths.append(len(inspect.stack(0)))
            if not first:
                first.append(socket)
            else:
                socket.respond(request.path)
            return True

        peer = serve(handler)
        peer.send(b"".join(get(f"/{i}") for i in range(1000)))
        first[0].respond("/0")
        assert len(set(depths[1:])) == 1
        assert peer.bodies() == [f"/{i}".encode() for i in range(1000)]

    def test_aThousandLateOnes(self) -> None:
        later = Later()
        peer = serve(later)
        peer.send(b"".join(get(f"/{i}") for i in range(1000)))
        for i in range(1000):
            assert len(later.sockets) == i + 1
            later.answer()
        assert peer.bodies() == [f"/{i}".encode() for i in range(1000)]

    def test_bodiesInBetween(self) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.respond(request.body)
            return True

        peer = serve(handler)
        chunked = get("/", "Transfer-Encoding: chunked", method="POST") + b"2\r\nhi\r\n0\r\n\r\n"
        peer.send(get() + post(b"one") + chunked + get() + post(b"two"))
        assert peer.bodies() == [b"", b"one", b"hi", b"", b"two"]

    def test_whatFollowsACloseIsNotHandled(self) -> None:
        later = Later()
        peer = serve(later)
        peer.send(get("/a", "Connection: close"), get("/b"))
        later.answer()
        peer.send(get("/c"))
        assert later.paths == ["/a"]
        assert peer.bodies() == [b"/a"]

    def test_aMalformedRequestBehindGoodOnes(self) -> None:
        later = Later()
        peer = serve(later)
        peer.send(get("/a") + b"what?\r\n\r\n" + get("/b"))
        assert peer.transport.writes == []
        later.answer()
        assert peer.statuses() == [200, 400]
        assert later.paths == ["/a"]
        assert peer.halfClosed


class TestReadAhead:
    def test_readingStopsAndGoesOn(self) -> None:
        later = Later()
        peer = serve(later)
        request = get("/a", "X: " + "x" * 1000)
        peer.send(request)
        sent = 0
        while peer.transport.reading:
            peer.send(request)
            sent += len(request)
            assert sent <= READ_AHEAD + len(request)
        assert sent > READ_AHEAD
        assert peer.transport.log.count("pauseProducing") == 1
        later.answer()
        # One request less, and there is room again.
        assert peer.transport.reading
        assert peer.transport.log.count("resumeProducing") == 1
        while len(peer.connection.session.wire.unread):
            later.answer()
        later.answer()
        assert set(peer.bodies()) == {b"/a"}

    def test_aWholeBlockIsWorkedOff(self) -> None:
        later = Later()
        peer = serve(later)
        requests = b"".join(get(f"/{i:04}") for i in range(4000))
        peer.send(requests)
        assert not peer.transport.reading
        for _ in range(4000):
            later.answer()
        assert peer.transport.reading
        assert len(later.paths) == 4000

    def test_readingResumesWhenTheConnectionCloses(self) -> None:
        """Otherwise nobody would notice that the peer has gone."""
        later = Later()
        peer = serve(later)
        peer.send(get("/a", "Connection: close"), get("/b") * 3000)
        later.answer()
        assert peer.halfClosed
        assert peer.transport.reading


class TestPeerThatDoesNotRead:
    def big(self, size: int = 100_000) -> Handler:
        self.handled: list[str] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            self.handled.append(request.path)
            socket.respond(b"x" * size)
            return True

        return handler

    def test_handlingStopsUntilItReads(self) -> None:
        peer = serve(self.big())
        peer.transport.stuck = True
        peer.send(b"".join(get(f"/{i}") for i in range(10)))
        assert self.handled == ["/0"]
        assert peer.connection.session.wire.unread
        peer.transport.release(50_000)
        assert self.handled == ["/0"]
        peer.transport.release()
        assert self.handled == ["/0", "/1"]
        peer.transport.stuck = False
        peer.transport.release()
        assert self.handled == [f"/{i}" for i in range(10)]
        assert len(peer.bodies()) == 10

    def test_requestsThatArriveMeanwhileWait(self) -> None:
        """Otherwise each small segment of a peer that never reads would cost one more answer in memory."""
        peer = serve(self.big())
        peer.transport.stuck = True
        for i in range(10):
            peer.send(get(f"/{i}"))
        assert self.handled == ["/0"]
        peer.transport.release()
        assert self.handled == ["/0", "/1"]
        while len(self.handled) < 10:
            peer.transport.release()
        assert self.handled == [f"/{i}" for i in range(10)]

    def test_smallAnswersDoNotStopIt(self) -> None:
        peer = serve(self.big(10))
        peer.transport.stuck = True
        peer.send(b"".join(get(f"/{i}") for i in range(10)))
        assert len(self.handled) == 10

    def test_lateAnswersWaitForItToo(self) -> None:
        later = Later()
        peer = serve(later)
        peer.transport.stuck = True
        peer.send(get("/a") + get("/b") + get("/c"))
        later.answer(body=b"x" * 100_000)
        assert later.paths == ["/a"]
        peer.transport.release()
        assert later.paths == ["/a", "/b"]
        later.answer(body=b"x" * 100_000)
        assert later.paths == ["/a", "/b"]
        peer.transport.release()
        assert later.paths == ["/a", "/b", "/c"]
