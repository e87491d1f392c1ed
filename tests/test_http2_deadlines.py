"""What must happen in time on an HTTP/2 connection, and on each of its streams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from connectionhelpers import capturedFailures, echoPath, results
from http2helpers import Http2Peer, Keeper, frame, serve2
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure

from txabstracthttp import HttpRequest, HttpSocket

NO_ERROR, CANCEL = 0, 8
INITIAL_WINDOW_SIZE = 4


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


def gone(peer: Http2Peer) -> bool:
    """Whether the connection was ended, with a word about it."""
    peer.hear()
    return not peer.conversation.open and [code for code, _ in peer.goneAway] == [NO_ERROR]


class TestHead:
    def test_aSilentNewConnection(self) -> None:
        peer = serve2(echoPath, headerTimeout=10, keepAliveTimeout=100)
        peer.advance(9.9)
        assert peer.conversation.open
        peer.advance(0.2)
        assert gone(peer)

    def test_pingsAreNoRequest(self) -> None:
        """A total deadline, which nobody can push on."""
        peer = serve2(echoPath, headerTimeout=10, keepAliveTimeout=100)
        for _ in range(12):
            if peer.conversation.open:
                peer.h2.ping(b"12345678")
                peer.say()
            peer.advance(1)
        assert gone(peer)

    @pytest.mark.parametrize("rest", ["never", "trickling"])
    def test_halfAHeaderBlock(self, rest: str) -> None:
        peer = serve2(echoPath, headerTimeout=10)
        peer.got()
        block = peer.h2.encoder.encode(peer.head("/", ("x: " + "y" * 100,), "GET"))
        peer.raw(frame(1, 1, 3, block[:10]))
        for each in range(10, 20):
            assert peer.conversation.open
            peer.advance(1.1)
            if rest == "trickling" and peer.conversation.open:
                peer.raw(frame(9, 0, 3, block[each : each + 1]))
        assert gone(peer)

    def test_halfAFrameWhileNothingRuns(self) -> None:
        """It does not make the time longer that an idle connection has."""
        peer = serve2(echoPath, headerTimeout=10, keepAliveTimeout=15)
        peer.got()
        peer.advance(8)
        for each in (b"\0", b"\0", b"\x20", b"\1"):
            peer.raw(each)
            peer.advance(2)
        assert gone(peer)

    def test_aHeadInTime(self) -> None:
        peer = serve2(echoPath, headerTimeout=10, keepAliveTimeout=15)
        peer.h2.send_headers(1, peer.head("/x", (), "GET"), True)
        data = peer.h2.data_to_send()
        peer.raw(data[:15])
        peer.advance(9)
        peer.raw(data[15:])
        assert peer.brief(1) == (200, b"/x")
        peer.advance(14)
        assert peer.conversation.open


class TestIdle:
    def test_keepAlive(self) -> None:
        peer = serve2(echoPath, keepAliveTimeout=15, headerTimeout=3)
        for _ in range(3):
            assert peer.got().status == 200
            peer.advance(14.9)
            assert peer.conversation.open
        peer.advance(0.2)
        assert gone(peer)

    def test_notWhileAHandlerTakesItsTime(self) -> None:
        keeper = Keeper()
        peer = serve2(keeper, keepAliveTimeout=15)
        stream = peer.ask()
        peer.advance(1000)
        keeper.socket.respond("late")
        assert peer.brief(stream) == (200, b"late")
        peer.advance(14.9)
        assert peer.conversation.open
        peer.advance(0.2)
        assert gone(peer)

    def test_noKeepAlive(self) -> None:
        peer = serve2(echoPath, keepAliveTimeout=0)
        assert peer.got("/1").brief == (200, b"/1")
        peer.advance(0)
        assert gone(peer)

    def test_pingsAreNoRequests(self) -> None:
        """DESIGN: every timeout is a total deadline that a trickling peer cannot push on."""
        peer = serve2(echoPath, keepAliveTimeout=15)
        peer.got()
        for _ in range(8):
            if peer.conversation.open:
                peer.h2.ping(b"12345678")
                peer.say()
            peer.advance(5)
        assert gone(peer)


class TestContent:
    def upload(self, policy: Any = False, **options: Any) -> tuple[Http2Peer, Keeper, int]:
        keeper = Keeper()
        peer = serve2(keeper, policy=policy, minimumBodyRate=0, bodyTimeout=30, **options)
        return peer, keeper, peer.ask("/up", method="POST", end=False)

    def test_nothingComes(self) -> None:
        peer, _, stream = self.upload()
        other = peer.ask("/other")
        peer.advance(29.9)
        assert peer.answer(stream).status == 0
        peer.advance(0.2)
        answer = peer.answer(stream)
        assert (answer.status, answer.ended, answer.reset) == (408, True, NO_ERROR)
        assert (peer.answer(other).status, peer.answer(other).reset) == (0, None)
        assert peer.isAlive

    def test_somethingComes(self) -> None:
        peer, keeper, stream = self.upload()
        for _ in range(5):
            peer.advance(29)
            peer.upload(stream, b"x")
        peer.end(stream)
        assert keeper.request.body == b"xxxxx"

    def test_whatComesElsewhereDoesNotCount(self) -> None:
        peer, _, stream = self.upload()
        for number in range(4):
            peer.ask(f"/{number}")
            peer.advance(10)
        assert peer.answer(stream).status == 408

    def test_nobodyReads(self) -> None:
        peer, keeper, stream = self.upload(True)
        peer.advance(1000)
        assert peer.answer(stream).reset is None

        class Reader(Protocol):
            pass

        keeper.request.deliverBody(Reader())
        peer.advance(30.1)
        assert peer.answer(stream).status == 408

    def test_behindTheHeadOfTheAnswer(self) -> None:
        """There is no room for another one."""
        peer, keeper, stream = self.upload(True)
        keeper.socket.write(b"begun")
        (content,) = results(keeper.request.content())
        peer.advance(30.1)
        assert (peer.brief(stream), peer.answer(stream).reset) == ((200, b"begun"), CANCEL)
        assert content[0].check(ConnectionLost)
        assert peer.isAlive

    def test_tooSlow(self) -> None:
        peer = serve2(echoPath, minimumBodyRate=500, bodyTimeout=30)
        slow = peer.ask("/slow", method="POST", end=False)
        fast = peer.ask("/fast", method="POST", end=False)
        for _ in range(11):
            if peer.answer(slow).reset is None:
                peer.upload(slow, bytes(400))
            peer.upload(fast, bytes(600))
            peer.advance(1)
        peer.end(fast)
        assert peer.answer(slow).status == 408
        assert peer.brief(fast) == (200, b"/fast")

    def test_notWhileWeDoNotRead(self) -> None:
        """A peer that reads slowly is not read from; so it cannot send, and is not to blame for it."""
        peer, keeper, stream = self.upload(True, client={"settings": {INITIAL_WINDOW_SIZE: 10**7}})
        results(keeper.request.content())
        peer.makeRoom(10**7)
        peer.ask("/download")
        peer.transport.stuck = True
        keeper.socket.respond(bytes(1_000_000))
        assert not peer.transport.reading
        for _ in range(4):
            peer.transport.release(10_000)
            peer.conversation.advance(10)
        assert peer.conversation.open
        peer.transport.stuck = False
        peer.transport.release()
        assert peer.transport.reading
        assert peer.answer(stream).status == 0


class TestHandler:
    def test_noAnswer(self) -> None:
        keeper = Keeper()
        peer = serve2(keeper, handlerTimeout=5)
        first = peer.ask("/1")
        peer.advance(3)
        second = peer.ask("/2")
        peer.advance(2.1)
        assert (peer.answer(first).status, peer.answer(second).status) == (503, 0)
        keeper.at("/2").respond("in time")
        keeper.at("/1").respond  # noqa: B018  # it is still there for whoever has it
        peer.advance(10)
        assert peer.brief(second) == (200, b"in time")
        assert peer.conversation.open

    def test_itIsCancelled(self) -> None:
        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            return await waiting

        cancelled: list[Any] = []
        waiting: Deferred[bool] = Deferred(cancelled.append)
        peer = serve2(handler, handlerTimeout=5)
        stream = peer.ask()
        peer.advance(5.1)
        assert (peer.answer(stream).status, len(cancelled)) == (503, 1)

    def test_oneThatWritesHasTime(self) -> None:
        keeper = Keeper()
        peer = serve2(keeper, handlerTimeout=5)
        stream = peer.ask()
        for _ in range(4):
            keeper.socket.write(b"x")
            peer.advance(4)
        keeper.socket.finish()
        assert peer.brief(stream) == (200, b"xxxx")

    def test_behindTheHead(self) -> None:
        keeper = Keeper()
        peer = serve2(keeper, handlerTimeout=5)
        stream = peer.ask()
        keeper.socket.write(b"x")
        peer.advance(5.1)
        assert (peer.answer(stream).reset, peer.answer(stream).ended) == (2, False)
        assert peer.isAlive

    def test_theTimeOfContentIsThePeers(self) -> None:
        peer = serve2(echoPath, handlerTimeout=5, minimumBodyRate=0)
        stream = peer.ask("/up", method="POST", end=False)
        peer.advance(20)
        peer.upload(stream, b"abc", end=True)
        assert peer.brief(stream) == (200, b"/up")

    def test_thePeerHasNoRoom(self) -> None:
        """It is he who takes his time, and `writeTimeout` that rules."""
        keeper = Keeper()
        client = {"settings": {INITIAL_WINDOW_SIZE: 10}, "acknowledging": False}
        peer = serve2(keeper, handlerTimeout=5, writeTimeout=30, client=client)
        stream = peer.ask()
        keeper.socket.write(bytes(100_000))
        peer.advance(20)
        assert peer.answer(stream).reset is None
        peer.makeRoom(200_000, stream)
        peer.makeRoom(200_000)
        keeper.socket.finish()
        assert peer.answer(stream).ended


class TestWriting:
    def narrow(self, **options: Any) -> tuple[Http2Peer, Keeper]:
        keeper = Keeper()
        client = {"settings": {INITIAL_WINDOW_SIZE: 10}, "acknowledging": False}
        return serve2(keeper, client=client, writeTimeout=30, **options), keeper

    @pytest.mark.parametrize("finished", [True, False])
    def test_aStreamThatStalls(self, finished: bool) -> None:
        """Others go on, and so does the connection."""
        peer, keeper = self.narrow()
        stalled, other = peer.ask("/stalled"), peer.ask("/other")
        keeper.at("/stalled").write(bytes(100))
        (end,) = results(keeper.at("/stalled").notifyFinish())
        if finished:
            keeper.at("/stalled").finish()
        for _ in range(4):
            peer.advance(10)
            keeper.at("/other").write(b"x")
        assert peer.answer(stalled).reset == CANCEL
        assert finished == (end == [None])
        keeper.at("/other").finish()
        assert peer.brief(other) == (200, b"xxxx")
        assert peer.isAlive

    def test_aStreamThatMoves(self) -> None:
        peer, keeper = self.narrow()
        stream = peer.ask()
        keeper.socket.respond(bytes(15))
        for _ in range(5):
            peer.advance(29)
            peer.makeRoom(1, stream)
        assert (peer.answer(stream).ended, peer.answer(stream).reset) == (True, None)

    def test_nothingToSendIsNoStall(self) -> None:
        peer, keeper = self.narrow()
        stream = peer.ask()
        keeper.socket.write(b"x")
        peer.advance(1000)
        keeper.socket.finish()
        assert peer.brief(stream) == (200, b"x")

    def test_theConnectionStalls(self) -> None:
        """The peer does not read at all."""
        peer, keeper = self.narrow()
        peer.makeRoom(10**7, peer.ask())
        peer.makeRoom(10**7)
        (end,) = results(keeper.socket.notifyFinish())
        peer.transport.stuck = True
        keeper.socket.write(bytes(1_000_000))
        assert peer.transport.producerPaused
        peer.conversation.advance(29)
        assert not peer.transport.aborted
        peer.conversation.advance(9)
        assert peer.transport.aborted
        peer.leave(ConnectionLost())
        assert end[0].check(ConnectionLost)

    def test_theConnectionMoves(self) -> None:
        """Slowly is well enough."""
        peer, keeper = self.narrow()
        peer.makeRoom(10**7, peer.ask())
        peer.makeRoom(10**7)
        peer.transport.stuck = True
        keeper.socket.write(bytes(1_000_000))
        for _ in range(6):
            peer.conversation.advance(20)
            peer.transport.release(1000)
        assert not peer.transport.aborted

    def test_theLastWords(self) -> None:
        """A connection that ends is not waited for for ever, either."""
        peer = serve2(echoPath, keepAliveTimeout=1, closeTimeout=5)
        peer.got()
        peer.advance(1.1)
        assert gone(peer)
        peer.advance(8)
        assert peer.transport.closed
        peer.conversation.advance(6)
        assert peer.transport.aborted
