"""Content that is collected before it is handled: all requests of a connection share what one may have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from connectionhelpers import capturedFailures
from http2helpers import Http2Peer, Keeper, serve2
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from txabstracthttp import HttpRequest, HttpServerConfiguration, HttpSocket

WINDOW = 65535
LIMIT = 400_000


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


class Uploads:
    """Requests with `size` octets each, whose peer sends as much as it may, in turns."""

    def __init__(self, number: int, size: int, **options: Any) -> None:
        self.keeper = Keeper()
        self.peer: Http2Peer = serve2(self.keeper, maximumBodySize=LIMIT, **options)
        self.size = size
        self.left = {self.begin(): bytes(size) for _ in range(number)}

    def begin(self) -> int:
        """One more request."""
        return self.peer.ask("/up", f"content-length: {self.size}", method="POST", end=False)

    def go(self) -> int:
        """Everybody sends what he may; how much is on the server's side and was not handled."""
        self.peer.hear()
        moved = True
        while moved:
            before = sum(map(len, self.left.values()))
            for streamId, rest in list(self.left.items()):
                self.left[streamId] = self.peer.upload(streamId, rest, end=True)
            moved = sum(map(len, self.left.values())) < before
        return sum(self.size - len(rest) for rest in self.left.values() if rest)


def test_whatFitsComesAtOnce() -> None:
    uploads = Uploads(4, 100_000)
    assert uploads.go() == 0
    assert len(uploads.keeper.requests) == 4


def test_beyondThatTheEldestGoesFirst() -> None:
    uploads = Uploads(10, 300_000)
    kept = uploads.go()
    # The first was collected, and its handler is not done; the others wait, but for their windows.
    assert [request.streamId for request in uploads.keeper.requests] == [1, 3]
    assert kept <= LIMIT + 8 * WINDOW


def test_answersMakeRoom() -> None:
    uploads = Uploads(10, 300_000)
    handled = 0
    while any(uploads.left.values()):
        uploads.go()
        for socket in uploads.keeper.sockets[handled:]:
            socket.respond(str(len(socket.request.body)))
            handled += 1
    uploads.peer.hear()
    assert {uploads.peer.brief(each) for each in uploads.left} == {(200, b"300000")}


def test_whoWaitsIsNotToBlame() -> None:
    uploads = Uploads(10, 300_000, bodyTimeout=1)
    uploads.go()
    uploads.peer.advance(5, 5, 5)
    assert not any(uploads.peer.answer(each).status for each in uploads.left)
    uploads.keeper.sockets[0].respond("done")
    uploads.go()
    assert len(uploads.keeper.requests) == 3


def test_butWhoIsNext() -> None:
    uploads = Uploads(10, 300_000, bodyTimeout=1)
    uploads.go()
    uploads.keeper.sockets[0].respond("done")
    # Now the third has room, and does not use it.
    uploads.peer.advance(0.5, 0.6)
    assert [each for each in uploads.left if uploads.peer.answer(each).status == 408] == [5]
    uploads.left[5] = b""
    uploads.go()
    assert [request.streamId for request in uploads.keeper.requests] == [1, 3, 7]


@pytest.mark.parametrize("way", ["reset", "refused"])
def test_whoGoesMakesRoom(way: str) -> None:
    uploads = Uploads(3, 300_000)
    uploads.left = {1: uploads.left[1][:250_000], 3: bytes(300_000), 5: bytes(300_000)}
    # The first stays incomplete.
    uploads.left[1] = uploads.peer.upload(1, uploads.left[1])
    assert uploads.go() + 250_000 > LIMIT
    assert not uploads.keeper.requests
    if way == "reset":
        uploads.peer.reset(1)
    else:
        uploads.peer.advance(31)
        assert uploads.peer.answer(1).status == 408
    del uploads.left[1]
    uploads.go()
    assert [request.streamId for request in uploads.keeper.requests] == [3, 5]


def test_aHandlerThatTakesItsTimeHoldsNobodyBackByItself() -> None:
    uploads = Uploads(1, 10)
    uploads.go()
    assert len(uploads.keeper.requests) == 1
    uploads.size = 390_000
    uploads.left |= {uploads.begin(): bytes(390_000) for _ in range(3)}
    uploads.go()
    assert [request.streamId for request in uploads.keeper.requests] == [1, 3, 5]


def test_aLargerLimitSetsThemFree() -> None:
    uploads = Uploads(10, 300_000)
    uploads.go()
    server = uploads.peer.server
    server.setConfiguration(HttpServerConfiguration(maximumBodySize=None))
    uploads.go()
    assert len(uploads.keeper.requests) == 10


def test_streamedContentIsNotKept() -> None:
    keeper = Keeper()
    peer = serve2(keeper, policy=True, maximumBodySize=1000)
    streams = [peer.ask("/up", method="POST", end=False) for _ in range(5)]
    for request in keeper.requests:
        request.deliverBody(Sink())
    assert [peer.upload(each, bytes(300_000), end=True) for each in streams] == [b""] * 5


@pytest.mark.parametrize("how", ["abort", "raise"])
def test_whoBreaksOffBehindTheEnd(how: str, failures: list[Failure]) -> None:
    """The head of a 204 ends the stream; what its handler does then must not keep the content for ever."""

    async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
        if request.path != "/leak":
            socket.respond(str(len(request.body)))
            return True
        socket.begin(204)
        await deferLater(peer.clock, 0.01)  # type: ignore[arg-type]
        if how == "raise":
            raise RuntimeError("behind the head")
        socket.abortConnection()
        return True

    peer = serve2(handler, maximumBodySize=LIMIT)
    for _ in range(8):
        peer.ask("/leak", "content-length: 60000", method="POST", body=bytes(60_000))
        peer.advance(0.1)
    failures.clear()
    stream = peer.ask("/up", "content-length: 300000", method="POST", end=False)
    rest = bytes(300_000)
    while rest:
        left = len(rest)
        rest = peer.upload(stream, rest, end=True)
        assert len(rest) < left
    assert peer.brief(stream) == (200, b"300000")


def test_theConnectionEndsAsAlways() -> None:
    uploads = Uploads(10, 300_000)
    uploads.go()
    uploads.peer.leave()
    assert not uploads.peer.clock.getDelayedCalls()


class Sink:
    """Takes content."""

    def makeConnection(self, transport: object) -> None:
        """Nothing to do."""

    def dataReceived(self, data: bytes) -> None:
        """Likewise."""

    def connectionLost(self, reason: Failure) -> None:
        """Likewise."""


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=60), st.integers(1, LIMIT))
def test_neverMuchMoreAndNobodyIsForgotten(steps: list[tuple[int, int]], size: int) -> None:
    """Whatever comes in whatever order, all are handled in the end if all are answered."""
    uploads = Uploads(10, size)
    streams = list(uploads.left)
    for which, what in steps:
        take(uploads, streams[which], what)
        kept = sum(len(socket.request.body) for socket in uploads.keeper.sockets if not socket.isAnswered)
        assert kept <= 2 * LIMIT
    while any(uploads.left.values()):
        uploads.go()
        for socket in uploads.keeper.sockets:
            if not socket.isAnswered:
                socket.respond("done")
    assert {uploads.peer.answer(each).status for each in uploads.left} <= {200}


def take(uploads: Uploads, streamId: int, what: int) -> None:
    """One step: some content, all that there is room for, an answer, or a reset."""
    rest = uploads.left.get(streamId, b"")
    waiting = [each for each in uploads.keeper.sockets if not each.isAnswered]
    if what == 0 and rest:
        unsent = uploads.peer.upload(streamId, rest[:9000], end=len(rest) <= 9000)
        uploads.left[streamId] = unsent + rest[9000:]
    elif what == 1 and rest:
        uploads.left[streamId] = uploads.peer.upload(streamId, rest, end=True)
    elif what == 2 and waiting:
        waiting[0].respond("done")
    elif what == 3 and rest:
        uploads.peer.reset(streamId)
        del uploads.left[streamId]
