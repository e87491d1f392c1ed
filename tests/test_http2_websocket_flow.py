"""WebSockets over HTTP/2: back-pressure both ways, and how each ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from connectionhelpers import capturedFailures, results, take
from http2helpers import serve2
from http2websockets import Channel, ending, offer, opened, upgrade
from twisted.python.failure import Failure
from websockethelpers import CLOSE, Frame, accepting, binary, closing, parseFrames, ping, text
from wsproto.events import CloseConnection, TextMessage

from txabstracthttp import HttpServerConfiguration, WebSocket, WebSocketClosed

NO_ERROR, CANCEL = 0, 8
INITIAL_WINDOW_SIZE = 4
KIB, MIB = 1024, 1024 * 1024


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


def frames(channel: Channel) -> list[Frame]:
    """All that came, as frames."""
    return parseFrames(channel.peer.answer(channel.stream).body)


def flood(channel: Channel, limit: int = 1000) -> int:
    """Send for as long as there is room; how many messages of a thousand octets that were."""
    for count in range(limit):
        if channel.peer.window(channel.stream) < 1100:
            return count
        assert channel.raw(binary(bytes(1000))) == b""
    return limit


class TestInput:
    def test_nobodyReads(self) -> None:
        """The stream's window closes; and nothing is lost."""
        channel = opened()
        sent = flood(channel)
        assert 60 < sent < 200
        got = results(*[channel.webSocket.receive() for _ in range(sent)])
        assert got == [[bytes(1000)]] * sent
        assert flood(channel) > 30

    def test_pending(self) -> None:
        """Nobody has taken it."""
        peer = offer()
        stream = upgrade(peer)
        sent = 0
        while peer.window(stream) > 1100 and sent < 1000:
            peer.upload(stream, binary(bytes(1000)))
            sent += 1
        assert sent < 200

    def test_othersGoOn(self) -> None:
        peer = offer()
        stalled = [Channel(peer) for _ in range(20)]
        for channel in stalled:
            flood(channel)
        other = Channel(peer)
        other.webSocket.binaryMessageReceived.connect(lambda message: got.append(len(message)))
        got: list[int] = []
        peer.advance(0)
        assert flood(other, 300) == 300
        assert sum(got) == 300_000
        assert peer.isAlive

    def test_signalsTakeThemAll(self) -> None:
        channel = opened()
        sizes: list[int] = []
        channel.webSocket.binaryMessageReceived.connect(lambda message: sizes.append(len(message)))
        channel.peer.advance(0)
        assert flood(channel, 500) == 500
        assert len(sizes) == 500

    def test_oneLargerThanTheWindow(self) -> None:
        channel = opened()
        rest = binary(bytes(500_000))
        for _ in range(50):
            rest = channel.raw(rest)
        assert rest == b""
        assert len(results(channel.webSocket.receive())[0][0]) == 500_000

    def test_theApplicationPauses(self) -> None:
        channel = opened()
        transport: Any = channel.webSocket.transport
        transport.pauseProducing()
        assert flood(channel) < 100
        transport.resumeProducing()
        assert channel.peer.window(channel.stream) > 0


class TestOutput:
    def narrow(self, size: int = 100, **options: Any) -> Channel:
        client = {"settings": {INITIAL_WINDOW_SIZE: size}, "acknowledging": False}
        return opened(client=client, **options)

    def test_theWindowRules(self) -> None:
        channel = self.narrow()
        (sent,) = results(channel.webSocket.sendTextMessage("a" * 200))
        # It is not much, and may wait.
        assert sent == [None]
        assert len(channel.peer.answer(channel.stream).body) == 100
        channel.peer.makeRoom(1000, channel.stream)
        assert [each.payload for each in frames(channel)] == [b"a" * 200]

    def test_theDeferredWaits(self) -> None:
        channel = self.narrow()
        sent, second = results(
            channel.webSocket.sendBinaryMessage(bytes(100_000)), channel.webSocket.sendTextMessage("next")
        )
        assert (sent, second) == ([], [])
        channel.peer.makeRoom(20_000, channel.stream)
        assert sent == []
        channel.peer.makeRoom(40_000, channel.stream)
        assert (sent, second) == ([None], [None])
        channel.peer.makeRoom(MIB, channel.stream)
        channel.peer.makeRoom(MIB)
        assert [len(each.payload) for each in frames(channel)] == [100_000, 4]

    def test_whoWaitsKeepsThePace(self) -> None:
        channel = self.narrow()

        async def pour() -> None:
            for _ in range(100):
                await channel.webSocket.sendBinaryMessage(bytes(10_000))
                sent.append(None)

        from twisted.internet.defer import Deferred

        sent: list[None] = []
        results(Deferred.fromCoroutine(pour()))
        assert len(sent) < 10
        channel.peer.makeRoom(2 * MIB)
        for _ in range(30):
            channel.peer.makeRoom(50_000, channel.stream)
        assert len(sent) == 100
        assert len(frames(channel)) == 100

    def test_aPeerThatTakesNothing(self) -> None:
        """`writeTimeout`, on its stream alone."""
        channel = self.narrow(writeTimeout=30, webSocketPingInterval=0)
        end = ending(channel.webSocket)
        (sent,) = results(channel.webSocket.sendBinaryMessage(bytes(100_000)))
        channel.peer.advance(30.1)
        assert (channel.reset, sent) == (CANCEL, [None])
        assert [code for code, _ in end] == [1006]
        assert channel.peer.isAlive

    def test_aBoundForThoseWhoDoNotWait(self) -> None:
        channel = self.narrow()
        end = ending(channel.webSocket)
        for _ in range(40):
            channel.webSocket.sendBinaryMessage(bytes(MIB))
        assert channel.reset == CANCEL
        assert len(end) == 1
        assert channel.peer.isAlive

    def test_pongsAreOwed(self) -> None:
        """Only the last one, where nobody reads (RFC 6455 section 5.5.3)."""
        channel = self.narrow()
        channel.webSocket.sendBinaryMessage(bytes(100_000))
        for each in range(10):
            channel.raw(ping(b"%d" % each))
        channel.peer.makeRoom(MIB)
        channel.peer.makeRoom(MIB, channel.stream)
        assert [each.payload for each in frames(channel)[1:]] == [b"9"]

    def test_othersGoOn(self) -> None:
        peer = offer(client={"settings": {INITIAL_WINDOW_SIZE: 100}, "acknowledging": False})
        full, other = Channel(peer), Channel(peer)
        results(full.webSocket.sendBinaryMessage(bytes(100_000)))
        (sent,) = results(other.webSocket.sendTextMessage("through"))
        assert sent == [None]
        assert other.events() == [TextMessage("through")]

    def test_theTransportRulesToo(self) -> None:
        channel = opened(client={"settings": {INITIAL_WINDOW_SIZE: 10 * MIB}})
        channel.peer.makeRoom(10 * MIB)
        channel.peer.transport.stuck = True
        (sent,) = results(channel.webSocket.sendBinaryMessage(bytes(200_000)))
        assert channel.peer.transport.producerPaused
        assert sent == []
        channel.peer.transport.stuck = False
        channel.peer.transport.release()
        assert sent == [None]


class TestClosing:
    def test_byThePeer(self) -> None:
        channel = opened()
        end = ending(channel.webSocket)
        channel.send(CloseConnection(code=3000, reason="bye"))
        assert channel.events() == [CloseConnection(code=3000, reason="bye")]
        assert channel.ended
        channel.peer.advance(0)
        assert end == [(3000, "bye")]
        assert channel.peer.isAlive

    def test_byUs(self) -> None:
        channel = opened()
        end = ending(channel.webSocket)
        (closed,) = results(channel.webSocket.close(4000, "enough"))
        assert channel.events() == [CloseConnection(code=4000, reason="enough")]
        assert not channel.ended
        channel.raw(closing(4000, "enough"))
        channel.peer.advance(0)
        assert (channel.ended, closed) == (True, [None])
        assert end == [(4000, "enough")]
        assert channel.peer.isAlive

    def test_byUsWithoutAReply(self) -> None:
        channel = opened(closeTimeout=5)
        (closed,) = results(channel.webSocket.close())
        channel.peer.advance(5.1)
        assert (channel.reset, closed) == (CANCEL, [None])
        assert channel.peer.isAlive

    def test_endStreamWithoutAWord(self) -> None:
        """As TCP's FIN (RFC 8441 section 5)."""
        channel = opened()
        end = ending(channel.webSocket)
        (waiting,) = results(channel.webSocket.receive())
        channel.peer.end(channel.stream)
        channel.peer.advance(0)
        assert [code for code, _ in end] == [1006]
        assert waiting[0].check(WebSocketClosed)
        assert channel.ended or channel.reset is not None
        assert channel.peer.isAlive

    @pytest.mark.parametrize("code", [CANCEL, NO_ERROR, 2])
    def test_resetByThePeer(self, code: int) -> None:
        """As TCP's RST."""
        channel = opened()
        end = ending(channel.webSocket)
        (closed,) = results(channel.webSocket.close())
        channel.peer.reset(channel.stream, code)
        assert [code for code, _ in end] == [1006]
        assert closed == [None]
        channel.webSocket.sendTextMessage("nobody is there")
        assert channel.peer.isAlive

    def test_resetByUs(self) -> None:
        channel = opened()
        end = ending(channel.webSocket)
        channel.webSocket.dropConnection(abort=True)
        channel.peer.advance(0)
        assert channel.reset == CANCEL
        assert [code for code, _ in end] == [1006]
        assert channel.peer.isAlive

    def test_theConnectionIsLost(self) -> None:
        peer = offer()
        channels = [Channel(peer) for _ in range(3)]
        ends = [ending(channel.webSocket) for channel in channels]
        peer.leave()
        assert [[code for code, _ in end] for end in ends] == [[1006]] * 3
        peer.conversation.advance(0)
        assert [call for call in peer.clock.getDelayedCalls() if call.active()] == []

    @pytest.mark.parametrize("end", ["close", "END_STREAM", "RST_STREAM", "abort"])
    def test_nothingIsLeft(self, end: str) -> None:
        channel = opened()
        match end:
            case "close":
                channel.raw(closing(1000))
            case "END_STREAM":
                channel.peer.end(channel.stream)
            case "RST_STREAM":
                channel.peer.reset(channel.stream)
            case _:
                channel.webSocket.dropConnection(abort=True)
        channel.peer.advance(0)
        session = channel.peer.conversation.connection.session
        assert (session._exchanges, session.wire._streams) == ({}, {})
        assert channel.webSocket.isClosed
        assert channel.peer.isAlive

    def test_malformedFrames(self) -> None:
        channel = opened()
        other = Channel(channel.peer)
        channel.raw(b"\x81\x01a")
        assert [each.opcode for each in frames(channel)] == [CLOSE]
        assert int.from_bytes(frames(channel)[0].payload[:2], "big") == 1002
        other.send(TextMessage("x"))
        assert results(other.webSocket.receive()) == [["x"]]

    def test_aCallbackThatFails(self, failures: list[Failure]) -> None:
        class Failing(WebSocket):
            def onMessage(self, payload: bytes, isBinary: bool) -> None:
                raise RuntimeError

        peer = offer()
        peer.server.webSocketProtocol = Failing
        channel, other = Channel(peer), Channel(peer)
        channel.send(TextMessage("x"))
        assert take(failures) == [RuntimeError]
        assert [event.code for event in channel.events()] == [1011]
        assert other.events() == []
        assert peer.isAlive

    def test_theCloseFrameWaitsForRoom(self) -> None:
        channel = opened(client={"settings": {INITIAL_WINDOW_SIZE: 100}, "acknowledging": False})
        channel.webSocket.sendTextMessage("a" * 500)
        channel.raw(closing(1000))
        assert not channel.ended
        channel.peer.makeRoom(1000, channel.stream)
        assert [each.opcode for each in frames(channel)] == [1, CLOSE]
        assert channel.ended


class TestServerCloses:
    def test_goingAway(self) -> None:
        peer = offer()
        channels = [Channel(peer) for _ in range(3)]
        closed = peer.server.close()
        for channel in channels:
            assert [event.code for event in channel.events()] == [1001]
            channel.raw(closing(1001))
        peer.hear()
        assert [code for code, _ in peer.goneAway] == [NO_ERROR, NO_ERROR]
        assert all(channel.ended for channel in channels)
        assert not peer.conversation.open
        peer.leave()
        assert closed.called

    def test_thosePeersThatDoNotReply(self) -> None:
        channel = opened(closeTimeout=5)
        closed = channel.peer.server.close(100)
        channel.peer.advance(5.1)
        assert channel.reset == CANCEL
        channel.peer.leave()
        assert closed.called

    def test_atOnce(self) -> None:
        channel = opened()
        end = ending(channel.webSocket)
        channel.peer.server.close(0)
        channel.peer.conversation.advance(0)
        assert channel.peer.transport.aborted
        assert len(end) == 1

    def test_noMoreOfThem(self) -> None:
        """While it closes, and before the peer has heard of it."""
        peer = offer(client={"replying": False})
        Channel(peer)
        peer.server.close()
        answer = peer.answer(upgrade(peer))
        assert answer.status == 503 or answer.reset == 7

    def test_aRequestAlongside(self) -> None:
        from http2helpers import Keeper

        keeper = Keeper()
        peer = serve2(lambda request, socket: True if request.isWebSocketUpgrade else keeper(request, socket))
        peer.server.newWebSocketConnection.connect(lambda: None)
        channel = Channel(peer)
        stream = peer.ask("/slow")
        peer.server.close()
        channel.events()
        channel.raw(closing(1001))
        assert peer.conversation.open
        keeper.socket.respond("x")
        assert peer.brief(stream) == (200, b"x")
        assert not peer.conversation.open


class TestSetConfiguration:
    def test_whileOpen(self) -> None:
        channel = opened()
        channel.peer.server.setConfiguration(HttpServerConfiguration(maximumWebSocketMessageSize=3))
        channel.raw(text("abc") + text("abcd"))
        assert results(channel.webSocket.receive()) == [["abc"]]
        assert [event.code for event in channel.events()] == [1009]

    def test_interestOnly(self) -> None:
        peer = serve2(accepting)
        assert peer.answer(upgrade(peer)).status == 404
