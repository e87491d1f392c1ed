"""A WebSocket that is open: messages that come and go, and who gets them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from connectionhelpers import capturedFailures, results
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from websockethelpers import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    Peer,
    binary,
    closing,
    connect,
    frame,
    offer,
    opened,
    ping,
    text,
)

from txabstracthttp import WebSocket, WebSocketClosed

#: Octets of the longest messages whose length is said in one, three and nine octets.
SIZES = [0, 1, 125, 126, 127, 511, 512, 513, 65535, 65536, 200_000]


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


def received(webSocket: WebSocket, count: int) -> list[Any]:
    """So many messages, which must be there."""
    return [outcome[0] for outcome in results(*[webSocket.receive() for _ in range(count)])]


class Watch:
    """Connected to both signals of a WebSocket."""

    def __init__(self, webSocket: WebSocket) -> None:
        self.texts: list[str] = []
        self.binaries: list[bytes] = []
        self.all: list[str | bytes] = []
        webSocket.textMessageReceived.connect(self.texts.append)
        webSocket.textMessageReceived.connect(self.all.append)
        webSocket.binaryMessageReceived.connect(self.binaries.append)
        webSocket.binaryMessageReceived.connect(self.all.append)


async def collect(webSocket: WebSocket, into: list[Any]) -> None:
    async for message in webSocket:
        into.append(message)  # noqa: PERF401  # each is looked at when it comes
    into.append("the end")


class TestReceive:
    @pytest.mark.parametrize("size", SIZES)
    def test_sizes(self, size: int) -> None:
        peer, webSocket = opened()
        peer.send(text("x" * size) + binary(b"y" * size))
        assert received(webSocket, 2) == ["x" * size, b"y" * size]

    def test_waiting(self) -> None:
        peer, webSocket = opened()
        first, second = results(webSocket.receive(), webSocket.receive())
        peer.send(text("a"))
        assert (first, second) == (["a"], [])
        peer.send(binary(b"b"))
        assert second == [b"b"]

    def test_fragments(self) -> None:
        """With a ping between them (RFC 6455 section 5.4)."""
        peer, webSocket = opened()
        parts = [frame(TEXT, b"\xc3", fin=False), frame(CONTINUATION, b"", fin=False)]
        peer.send(*parts, ping(b"?"), frame(CONTINUATION, b"\xa4!"))
        assert received(webSocket, 1) == ["ä!"]
        assert peer.frames() == [Frame(PONG, b"?")]

    @pytest.mark.parametrize("ended", [False, True])
    def test_cancellingLosesNothing(self, ended: bool) -> None:
        peer, webSocket = opened()
        waiters = [webSocket.receive() for _ in range(3)]
        outcomes = results(*waiters)
        waiters[0].cancel()
        waiters[2].cancel()
        peer.send(text("a") + text("b"))
        assert outcomes[1] == ["a"]
        assert [outcomes[place][0].type for place in (0, 2)] == [CancelledError, CancelledError]
        if ended:
            peer.part()
        assert received(webSocket, 1) == ["b"]

    def test_oneWaiterCancelsAnother(self) -> None:
        peer, webSocket = opened()
        first = webSocket.receive()
        second = webSocket.receive()
        first.addCallback(lambda _: second.cancel())
        results(second)
        peer.send(text("a") + text("b"))
        assert received(webSocket, 1) == ["b"]

    def test_theEnd(self) -> None:
        peer, webSocket = opened()
        waiting = webSocket.receive()
        outcomes = results(waiting, webSocket.receive())
        peer.send(text("a"))
        peer.part(4000, "over")
        outcomes += results(webSocket.receive())
        assert outcomes[0] == ["a"]
        for (failure,) in outcomes[1:]:
            failure.trap(WebSocketClosed)
            assert (failure.value.code, failure.value.reason) == (4000, "over")

    def test_whatIsLeftComesBeforeTheEnd(self) -> None:
        peer, webSocket = opened()
        peer.send(text("a") + text("b"))
        peer.leave(ConnectionLost())
        assert received(webSocket, 2) == ["a", "b"]
        ((end,),) = results(webSocket.receive())
        assert end.value.code == 1006

    def test_asyncFor(self) -> None:
        got: list[Any] = []
        peer, webSocket = opened()
        peer.send(text("early"))
        results(Deferred.fromCoroutine(collect(webSocket, got)))
        peer.send(binary(b"a") + text("b"))
        assert got == ["early", b"a", "b"]
        peer.part()
        assert got == ["early", b"a", "b", "the end"]

    def test_asyncForTwice(self) -> None:
        """Whoever stops in the middle may go on later."""
        got: list[Any] = []
        peer, webSocket = opened()
        peer.send(text("a") + text("b") + text("c"))

        async def first() -> None:
            async for message in webSocket:
                got.append(message)
                break

        results(Deferred.fromCoroutine(first()), Deferred.fromCoroutine(collect(webSocket, got)))
        assert got == ["a", "b", "c"]

    @given(st.data())
    def test_howeverTheyWereCutUp(self, data: st.DataObject) -> None:
        message = st.text(max_size=300) | st.binary(max_size=700)
        messages = data.draw(st.lists(message, max_size=8))
        octets = b"".join(text(each) if isinstance(each, str) else binary(each) for each in messages)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=20)))
        peer, webSocket = opened()
        for start, end in zip([0, *cuts], [*cuts, len(octets)], strict=True):
            peer.send(octets[start:end])
        assert received(webSocket, len(messages)) == messages
        peer.leave()

    @given(st.lists(st.binary(max_size=40), max_size=10))
    def test_whateverComes(self, pieces: list[bytes]) -> None:
        """Nothing raises, and what is answered are frames."""
        peer, _ = opened()
        for piece in pieces:
            peer.send(piece)
        frames = peer.frames()
        assert all(each.opcode in (PONG, 8) for each in frames)
        assert peer.conversation.open or frames
        peer.leave()


class TestSignals:
    def test_eachKindHasItsOwn(self) -> None:
        peer, webSocket = opened()
        watch = Watch(webSocket)
        peer.send(text("a") + binary(b"b"), text("c"))
        peer.advance(0)
        assert (watch.texts, watch.binaries, watch.all) == (["a", "c"], [b"b"], ["a", b"b", "c"])

    def test_next(self) -> None:
        peer, webSocket = opened()
        peer.send(text("a"))
        (message,) = results(webSocket.textMessageReceived.next())
        peer.advance(0)
        assert message == ["a"]

    def test_connectedOneAfterTheOther(self) -> None:
        """In one turn, whichever comes first: what waits for the other is not lost."""
        peer, webSocket = opened()
        got: list[Any] = []
        peer.send(text("a") + binary(b"b"))
        webSocket.binaryMessageReceived.connect(got.append)
        assert got == []
        webSocket.textMessageReceived.connect(got.append)
        peer.advance(0)
        assert got == ["a", b"b"]

    def test_itIsAnObserverLikeAnyOther(self) -> None:
        peer, webSocket = opened()
        got: list[str] = []
        assert webSocket.textMessageReceived.connect(got.append) == got.append
        peer.advance(0)
        webSocket.textMessageReceived.disconnect(got.append)
        peer.send(text("a"))
        assert got == []
        assert not webSocket.textMessageReceived.isConnected

    @pytest.mark.parametrize("name", ["textMessageReceived", "binaryMessageReceived"])
    def test_noObserver(self, name: str) -> None:
        peer, webSocket = opened()
        nothing: Any = None
        with pytest.raises(TypeError, match="an observer is a callable"):
            getattr(webSocket, name).connect(nothing)
        peer.advance(0)
        peer.send(text("a"))
        assert received(webSocket, 1) == ["a"]

    def test_disconnectedComesLast(self) -> None:
        peer, webSocket = opened()
        order: list[Any] = []
        webSocket.textMessageReceived.connect(order.append)
        webSocket.disconnected.connect(lambda *args: order.append(args))
        peer.advance(0)
        peer.send(text("a") + text("b") + closing(1000))
        peer.leave()
        assert order == ["a", "b", (1000, "")]


ATTACH: list[Callable[[WebSocket, list[Any]], object]] = [
    lambda webSocket, got: (
        webSocket.textMessageReceived.connect(got.append),
        webSocket.binaryMessageReceived.connect(got.append),
    ),
    lambda webSocket, got: [webSocket.receive().addCallback(got.append) for _ in range(6)],
    lambda webSocket, got: Deferred.fromCoroutine(collect(webSocket, got)),
]


class TestAttaching:
    """A message goes to one of its possible readers: whoever is used first."""

    @pytest.mark.parametrize("attach", ATTACH)
    @pytest.mark.parametrize("taken", [False, True])
    def test_earlyMessagesAreKept(self, attach: Callable[..., object], taken: bool) -> None:
        """Before it is taken, and after."""
        got: list[Any] = []
        peer = offer()
        peer.upgrade(early=text("0"))
        peer.handshake()
        peer.send(binary(b"1"))
        webSocket = peer.server.nextPendingWebSocketConnection()
        assert webSocket is not None
        if taken:
            peer.advance(3)
            peer.send(text("2"))
        attach(webSocket, got)
        peer.advance(0)
        peer.send(text("3"))
        assert got == (["0", b"1", "2", "3"] if taken else ["0", b"1", "3"])

    @pytest.mark.parametrize("attach", ATTACH)
    def test_byTheWaiterForIt(self, attach: Callable[..., object]) -> None:
        got: list[Any] = []
        peer = offer()
        peer.server.whenWebSocketConnected().addCallback(attach, got)
        peer.upgrade(early=text("0") + binary(b"1"))
        peer.advance(0)
        assert got[:2] == ["0", b"1"]

    def test_byASubclass(self) -> None:
        """It is attached from the beginning."""

        class Noting(WebSocket):
            got: list[Any] = []

            def onMessage(self, payload: bytes, isBinary: bool) -> None:
                self.got.append((payload, isBinary))

        peer = offer()
        peer.server.webSocketProtocol = Noting
        peer.upgrade(early=text("0") + binary(b"1"))
        assert Noting.got == [(b"0", False), (b"1", True)]

    def test_byAnAttribute(self) -> None:
        """As Autobahn's users do; it must not lose what came before."""
        got: list[Any] = []
        peer, webSocket = opened()
        peer.send(text("0"))
        webSocket.onMessage = lambda payload, isBinary: got.append(payload)  # type: ignore[method-assign]
        peer.send(text("1"))
        peer.advance(0)
        assert got == [b"0", b"1"]

    def test_byAnAttributeInOrder(self) -> None:
        got: list[Any] = []
        peer, webSocket = opened()
        peer.send(text("0"))
        webSocket.onMessage = lambda payload, isBinary: got.append(payload)  # type: ignore[method-assign]
        peer.send(binary(bytes(1000)))
        assert got == [b"0", bytes(1000)]

    def test_lateAndFull(self) -> None:
        """Whoever comes when the bound was reached must not wait for ever."""
        got: list[Any] = []
        peer, webSocket = opened()
        peer.send(binary(bytes(100_000)))
        webSocket.on("message", lambda payload, is_binary: got.append(payload))
        peer.advance(1)
        if peer.transport.reading:
            peer.send(text("more"))
        assert got[-1:] == [b"more"]

    def test_byAutobahnsListeners(self) -> None:
        got: list[int] = []
        peer, webSocket = opened()
        webSocket.on("message", lambda payload, is_binary: got.append(len(payload)))
        peer.send(*[binary(bytes(10_000))] * 20)
        assert len(got) == 20
        assert peer.transport.reading

    def test_theFirstOneStays(self) -> None:
        peer, webSocket = opened()
        (first,) = results(webSocket.receive())
        watch = Watch(webSocket)
        peer.advance(0)
        peer.send(text("a") + text("b"))
        assert (first, watch.all) == (["a"], [])
        assert received(webSocket, 1) == ["b"]

    def test_signalsFirst(self) -> None:
        peer, webSocket = opened()
        watch = Watch(webSocket)
        peer.advance(0)
        (late,) = results(webSocket.receive())
        peer.send(text("a"))
        peer.part()
        assert watch.all == ["a"]
        late[0].trap(WebSocketClosed)

    def test_signalsAfterTheEnd(self) -> None:
        peer, webSocket = opened()
        peer.send(text("a") + binary(b"b"))
        peer.leave()
        watch = Watch(webSocket)
        peer.advance(0)
        assert watch.all == ["a", b"b"]

    def test_observersOfTheEndDoNotAttach(self) -> None:
        peer, webSocket = opened()
        webSocket.disconnected.connect(lambda code, reason: None)
        peer.advance(0)
        peer.send(text("a"))
        assert received(webSocket, 1) == ["a"]


class TestSending:
    @pytest.mark.parametrize("size", SIZES)
    def test_sizes(self, size: int) -> None:
        peer, webSocket = opened()
        webSocket.sendTextMessage("x" * size)
        webSocket.sendBinaryMessage(b"y" * size)
        assert peer.messages() == ["x" * size, b"y" * size]

    @pytest.mark.parametrize("message", [b"ab", bytearray(b"ab"), memoryview(b"abc")[:2]])
    def test_kindsOfBytes(self, message: Any) -> None:
        peer, webSocket = opened()
        webSocket.sendBinaryMessage(message)
        assert peer.messages() == [b"ab"]

    @pytest.mark.parametrize("message", [b"a", None, 1, ["a"]])
    def test_noText(self, message: Any) -> None:
        peer, webSocket = opened()
        with pytest.raises(TypeError, match="a text message is a str"):
            webSocket.sendTextMessage(message)
        assert peer.frames() == []

    @pytest.mark.parametrize("message", ["a", None, 1, [1]])
    def test_noBytes(self, message: Any) -> None:
        peer, webSocket = opened()
        with pytest.raises(TypeError, match="a binary message is bytes"):
            webSocket.sendBinaryMessage(message)
        assert peer.frames() == []

    def test_surrogates(self) -> None:
        peer, webSocket = opened()
        with pytest.raises(ValueError):
            webSocket.sendTextMessage("\ud800")
        assert peer.frames() == []

    def test_autobahnsOwnNames(self) -> None:
        peer, webSocket = opened()
        webSocket.sendMessage(b"abc", isBinary=True, fragmentSize=2)
        webSocket.sendPing(b"p")
        webSocket.sendPong(b"q")
        webSocket.sendClose(3000, "r")
        assert peer.frames() == [
            Frame(BINARY, b"ab", fin=False),
            Frame(CONTINUATION, b"c"),
            Frame(PING, b"p"),
            Frame(PONG, b"q"),
            Frame(8, b"\x0b\xb8r"),
        ]

    @pytest.mark.parametrize("how", ["closing", "closed", "lost"])
    def test_afterTheEnd(self, how: str) -> None:
        """Nobody could have known; whoever tells many must not have to catch the one that has left."""
        peer, webSocket = opened()
        if how == "closing":
            webSocket.close()
        else:
            peer.leave(ConnectionLost()) if how == "lost" else peer.part()
        peer.frames()
        outcomes = results(webSocket.sendTextMessage("a"), webSocket.sendBinaryMessage(b"b"))
        assert peer.frames() == []
        if how == "closing":
            peer.leave()
        peer.advance(0)
        assert outcomes == [[None], [None]]

    def test_whoOnlySendsStopsNobody(self) -> None:
        """Everybody else has a turn between two messages to one that has gone."""
        peer, webSocket = opened()
        peer.leave()
        (outcome,) = results(webSocket.sendTextMessage("still there?"))
        assert outcome == []
        peer.advance(0)
        assert outcome == [None]

    def test_answersLeaveTogether(self) -> None:
        """What is answered to one packet leaves in one write."""
        peer, webSocket = opened()
        webSocket.textMessageReceived.connect(webSocket.sendTextMessage)
        peer.advance(0)
        peer.send(b"".join(text(str(number)) for number in range(100)))
        assert len(peer.transport.writes) == 1
        assert peer.messages() == [str(number) for number in range(100)]

    def test_answersAreNotCollectedWithoutEnd(self) -> None:
        peer, webSocket = opened()
        webSocket.binaryMessageReceived.connect(webSocket.sendBinaryMessage)
        peer.advance(0)
        peer.send(binary(bytes(10_000)) * 100)
        assert max(map(len, peer.transport.writes)) < 100_000
        assert len(peer.messages()) == 100


class TestWhoItIs:
    def test_request(self) -> None:
        _, webSocket = opened("Cookie: a=b")
        assert webSocket.request.headers["Cookie"] == "a=b"
        assert repr(webSocket) == f"<WebSocket /chat of {webSocket.request.remoteAddress}>"

    def test_addresses(self) -> None:
        peer, webSocket = opened()
        assert webSocket.transport.getPeer() == peer.transport.peer
        assert webSocket.transport.getHost() == peer.transport.local

    def test_manyAtOnce(self) -> None:
        """One does not hear what the other is told."""
        peer = offer()
        peers = [Peer(peer.conversation.another()) for _ in range(3)]
        webSockets = [connect(each, target=f"/{number}") for number, each in enumerate(peers)]
        for number, each in enumerate(peers):
            each.send(text(str(number)))
        webSockets[1].sendTextMessage("you")
        assert [received(each, 1) for each in webSockets] == [["0"], ["1"], ["2"]]
        assert [each.messages() for each in peers] == [[], ["you"], []]
