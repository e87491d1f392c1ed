"""Back-pressure in both directions: whoever is faster has to wait, and does not fill our memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from connectionhelpers import FakeTcpTransport, FakeTransport, capturedFailures, results, take
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionAborted
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from websockethelpers import (
    PONG,
    Frame,
    Peer,
    another,
    binary,
    connect,
    offer,
    opened,
    ping,
    text,
)

from txabstracthttp import WebSocket

KIB, MIB = 1024, 1024 * 1024


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


def held(peer: Peer) -> int:
    """How many octets wait for the peer."""
    return sum(map(len, peer.transport.held))


class TellingOnce(FakeTcpTransport):
    """It says only once that it has enough, as TLS does."""

    def write(self, data: bytes) -> None:
        self.bufferSize = 1 << 40 if self.producerPaused else FakeTransport.bufferSize
        super().write(data)


def stuck(**options: Any) -> tuple[Peer, WebSocket]:
    """As `opened`, with a peer that reads no more, and more written than the transport likes."""
    peer, webSocket = opened(**options)
    peer.transport.stuck = True
    webSocket.sendBinaryMessage(bytes(FakeTransport.bufferSize + 1))
    assert peer.transport.producerPaused
    peer.frames()
    return peer, webSocket


class TestInput:
    """A peer that sends faster than the application takes."""

    def flood(self, peer: Peer, limit: int = 10_000) -> int:
        """Send for as long as we are read from; how many messages that were."""
        for count in range(limit):
            if not peer.transport.reading:
                return count
            peer.send(binary(bytes(1000)))
        return limit

    def test_unattached(self) -> None:
        peer, webSocket = opened()
        sent = self.flood(peer)
        assert sent < 80
        got = results(*[webSocket.receive() for _ in range(sent)])
        assert got == [[bytes(1000)]] * sent
        assert peer.transport.reading
        assert 10 < self.flood(peer) < 80

    def test_pending(self) -> None:
        peer = offer()
        peer.upgrade()
        assert self.flood(peer) < 80

    def test_emptyMessagesCountToo(self) -> None:
        peer, _ = opened()
        sent = 0
        while peer.transport.reading and sent < 10_000:
            peer.send(text(""))
            sent += 1
        assert sent < 2000

    def test_oneLargerThanTheBound(self) -> None:
        peer, webSocket = opened()
        peer.send(binary(bytes(MIB)))
        assert not peer.transport.reading
        assert len(results(webSocket.receive())[0][0]) == MIB
        assert peer.transport.reading

    def test_signalsTakeThemAll(self) -> None:
        peer, webSocket = opened()
        sizes: list[int] = []
        sent = self.flood(peer)
        webSocket.binaryMessageReceived.connect(lambda message: sizes.append(len(message)))
        peer.advance(0)
        assert len(sizes) == sent
        assert peer.transport.reading
        assert self.flood(peer, 500) == 500

    def test_aSlowReader(self) -> None:
        """It sets the pace."""
        peer, webSocket = opened()

        async def read() -> None:
            async for _ in webSocket:
                taken.append(None)
                await deferLater(peer.conversation.clock, 1)

        taken: list[None] = []
        results(Deferred.fromCoroutine(read()))
        sent = self.flood(peer)
        assert sent < 80
        peer.advance(10)
        assert len(taken) == 11

    def test_theApplicationMayPauseItself(self) -> None:
        """Autobahn's users know `pauseProducing`."""
        peer, webSocket = opened()
        webSocket.transport.pauseProducing()
        assert not peer.transport.reading
        webSocket.transport.resumeProducing()
        assert peer.transport.reading


async def produce(webSocket: WebSocket, count: int, sent: list[None]) -> None:
    """Send so many messages, and wait for room after each."""
    for _ in range(count):
        await webSocket.sendBinaryMessage(bytes(10_000))
        sent.append(None)


class TestOutput:
    """A peer that does not take what it is sent."""

    def test_room(self) -> None:
        peer, webSocket = opened()
        assert webSocket.sendTextMessage("x").called
        peer.transport.stuck = True
        first = webSocket.sendBinaryMessage(bytes(100_000))
        second = webSocket.sendTextMessage("x")
        outcomes = results(first, second)
        assert outcomes == [[], []]
        peer.transport.release(50_000)
        assert outcomes == [[], []]
        peer.transport.release()
        assert outcomes == [[None], [None]]

    def test_roomAtTheEnd(self) -> None:
        """Nobody waits for ever, and nobody has to catch anything."""
        peer, webSocket = stuck()
        outcomes = results(webSocket.sendTextMessage("x"), webSocket.sendBinaryMessage(b"y"))
        peer.leave(ConnectionAborted())
        assert outcomes == [[None], [None]]

    def test_roomThatNobodyWaitsFor(self) -> None:
        peer, webSocket = stuck()
        waiter = webSocket.sendTextMessage("x")
        outcomes = results(waiter, webSocket.sendTextMessage("y"))
        waiter.cancel()
        peer.transport.release()
        assert outcomes[1] == [None]

    def test_whoWaitsForRoomKeepsThePace(self) -> None:
        peer, webSocket = opened()
        sent: list[None] = []
        peer.transport.stuck = True
        (done,) = results(Deferred.fromCoroutine(produce(webSocket, 100, sent)))
        assert held(peer) < 100_000
        for _ in range(20):
            peer.transport.release()
            assert held(peer) < 100_000
        assert (len(sent), done) == (100, [None])

    @pytest.mark.parametrize("how", ["waiter", "observer", "onOpen"])
    def test_alsoFromTheFirstMoment(self, how: str) -> None:
        """What is sent as soon as it is there: a history, or all there is."""

        class Sending(WebSocket):
            def onOpen(self) -> Any:
                return produce(self, 1000, sent) if how == "onOpen" else None

        def observer() -> None:
            results(Deferred.fromCoroutine(consume()))

        async def consume() -> None:
            await produce(await peer.server.whenWebSocketConnected(), 1000, sent)

        sent: list[None] = []
        peer = offer()
        peer.server.webSocketProtocol = Sending
        peer.transport.stuck = True
        if how == "observer":
            peer.server.newWebSocketConnection.connect(observer)
        elif how == "waiter":
            results(Deferred.fromCoroutine(consume()))
        peer.upgrade()
        assert held(peer) < 200_000

    @pytest.mark.parametrize("kind", [FakeTcpTransport, TellingOnce])
    def test_itIsNotReadFromEither(self, kind: type[FakeTransport]) -> None:
        """Else a peer could have us keep answers that it never takes."""
        peer = another(offer(), kind())
        webSocket = connect(peer)
        webSocket.binaryMessageReceived.connect(webSocket.sendBinaryMessage)
        peer.advance(0)
        peer.transport.stuck = True
        sent = 0
        while peer.transport.reading and sent < 1000:
            peer.send(binary(bytes(10_000)))
            sent += 1
        assert held(peer) < 300_000
        peer.transport.release(10_000)
        assert not peer.transport.reading
        peer.transport.release()
        assert peer.transport.reading

    def test_whoKeepsThePaceHears(self) -> None:
        """A peer that takes its time is heard meanwhile: it may have something to say, such as a pong."""
        peer, webSocket = stuck()
        assert peer.transport.reading
        peer.send(text("stop"))
        assert results(webSocket.receive()) == [["stop"]]

    def test_bothAreNeeded(self) -> None:
        """With room in the output, but a full inbox, nothing is read; and the other way round."""
        peer, webSocket = stuck()
        webSocket.sendBinaryMessage(bytes(500_000))
        peer.send(binary(bytes(100_000)))
        peer.transport.release()
        assert not peer.transport.reading
        peer.transport.stuck = True
        webSocket.sendBinaryMessage(bytes(500_000))
        results(webSocket.receive())
        assert not peer.transport.reading
        peer.transport.release()
        assert peer.transport.reading

    def test_whoNeverReads(self) -> None:
        """With an application that does not look: it is dropped before much memory is gone."""
        peer, webSocket = opened()
        (end,) = results(webSocket.disconnected.next())
        peer.transport.stuck = True
        while not peer.transport.aborted:
            webSocket.sendBinaryMessage(bytes(100_000))
            assert held(peer) < 17 * MIB
        before = held(peer)
        webSocket.sendBinaryMessage(bytes(100_000))
        assert held(peer) == before
        peer.leave(ConnectionAborted())
        assert end[0][0] == 1006

    def test_oneLargeMessage(self) -> None:
        """It is not its size that is wrong: the peer may well take it."""
        peer, webSocket = opened(maximumWebSocketMessageSize=None)
        peer.transport.stuck = True
        webSocket.sendBinaryMessage(bytes(20 * MIB))
        assert not peer.transport.aborted

    def test_writeTimeout(self) -> None:
        peer, webSocket = opened(writeTimeout=8, webSocketPingInterval=0)
        (end,) = results(webSocket.disconnected.next())
        peer.advance(100)
        peer.transport.stuck = True
        webSocket.sendBinaryMessage(bytes(100_000))
        peer.advance(7.9)
        assert not peer.transport.aborted
        peer.advance(0.1)
        assert peer.transport.aborted
        peer.leave(ConnectionAborted())
        assert end[0][0] == 1006

    def test_slowButMoving(self) -> None:
        peer, webSocket = opened(writeTimeout=8, webSocketPingInterval=0)
        peer.transport.stuck = True
        webSocket.sendBinaryMessage(bytes(100_000))
        for _ in range(50):
            peer.advance(2)
            peer.transport.release(2000)
        assert not peer.transport.aborted
        assert peer.conversation.open

    def test_aFloodOfPings(self) -> None:
        """Only the latest is answered (RFC 6455 section 5.5.3), when the peer reads again."""
        peer, _ = stuck()
        peer.send(b"".join(ping(b"%d" % number) for number in range(1000)))
        assert peer.frames() == []
        peer.transport.stuck = False
        peer.transport.release()
        assert peer.frames() == [Frame(PONG, b"999")]
        peer.send(ping(b"now"))
        assert peer.frames() == [Frame(PONG, b"now")]

    def test_pingsAreAnsweredOneByOneOtherwise(self) -> None:
        peer, _ = opened()
        peer.send(ping(b"a") + ping() + ping(b"x" * 125))
        assert peer.frames() == [Frame(PONG, b"a"), Frame(PONG, b""), Frame(PONG, b"x" * 125)]


class Producer:
    """Writes as fast as it may."""

    def __init__(self, webSocket: WebSocket, failing: bool = False) -> None:
        self.webSocket, self.failing = webSocket, failing
        self.told: list[str] = []

    def resumeProducing(self) -> None:
        self.told.append("resume")
        if self.failing:
            raise ZeroDivisionError
        self.webSocket.sendMessage(bytes(10_000), True)

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def stopProducing(self) -> None:
        self.told.append("stop")


class TestProducers:
    def test_push(self) -> None:
        peer, webSocket = opened()
        producer = Producer(webSocket)
        webSocket.registerProducer(producer, True)
        peer.transport.stuck = True
        webSocket.sendBinaryMessage(bytes(100_000))
        assert producer.told == ["pause"]
        peer.transport.release()
        assert producer.told == ["pause", "resume"]
        webSocket.unregisterProducer()
        webSocket.sendBinaryMessage(bytes(100_000))
        assert producer.told == ["pause", "resume"]

    def test_pushToOneWhoDoesNotRead(self) -> None:
        _, webSocket = stuck()
        producer = Producer(webSocket)
        webSocket.registerProducer(producer, True)
        assert producer.told == ["pause"]

    def test_pull(self) -> None:
        peer, webSocket = opened()
        producer = Producer(webSocket)
        peer.transport.stuck = True
        webSocket.registerProducer(producer, False)
        peer.conversation.clock.pump([0] * 50)
        assert 5 < len(producer.told) < 12
        assert held(peer) < 120_000
        before = len(producer.told)
        peer.transport.release()
        peer.conversation.clock.pump([0] * 50)
        assert len(producer.told) > before
        webSocket.unregisterProducer()

    def test_thereIsOne(self) -> None:
        _, webSocket = opened()
        webSocket.registerProducer(Producer(webSocket), True)
        with pytest.raises(RuntimeError):
            webSocket.registerProducer(Producer(webSocket), True)

    def test_theConnectionIsLost(self) -> None:
        peer, webSocket = opened()
        producer = Producer(webSocket)
        webSocket.registerProducer(producer, True)
        peer.leave()
        assert producer.told == ["stop"]

    def test_thePeerCloses(self) -> None:
        peer, webSocket = opened()
        producer = Producer(webSocket)
        webSocket.registerProducer(producer, True)
        peer.part()
        assert producer.told == ["stop"]

    @pytest.mark.parametrize("streaming", [False, True])
    def test_oneThatFails(self, streaming: bool, failures: list[Failure]) -> None:
        peer, webSocket = opened()
        webSocket.registerProducer(Producer(webSocket, failing=True), streaming)
        if streaming:
            peer.transport.stuck = True
            webSocket.sendBinaryMessage(bytes(100_000))
            peer.frames()
            peer.transport.release()
        assert take(failures) == [ZeroDivisionError]
        assert peer.closed()[0] == 1011
