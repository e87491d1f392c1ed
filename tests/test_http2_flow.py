"""Flow control of HTTP/2 (RFC 9113 section 5.2): whoever is faster waits, on his own stream alone."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from connectionhelpers import capturedFailures, echoPath, results
from http2helpers import Http2Peer, Keeper, serve2
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from txabstracthttp import HttpRequest, HttpSocket

WINDOW = 65535
MIB = 1024 * 1024
INITIAL_WINDOW_SIZE = 4


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


class Reader(Protocol):
    """Notes what it is given."""

    def __init__(self) -> None:
        self.data = b""
        self.ends: list[type[BaseException]] = []

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        assert reason.type is not None
        self.ends.append(reason.type)


def uploading(length: int = 1_000_000, **options: Any) -> tuple[Http2Peer, Keeper, int]:
    """A request whose content is streamed to somebody who does not read yet."""
    keeper = Keeper()
    peer = serve2(keeper, policy=True, **options)
    stream = peer.ask("/up", f"content-length: {length}", method="POST", end=False)
    return peer, keeper, stream


class TestUploads:
    def test_heldBackUntilItIsRead(self) -> None:
        peer, keeper, stream = uploading()
        rest = peer.upload(stream, bytes(1_000_000))
        assert len(rest) == 1_000_000 - WINDOW
        peer.advance(1)
        assert peer.window(stream) == 0
        reader = Reader()
        keeper.request.deliverBody(reader)
        assert len(reader.data) == WINDOW
        # Half of it at a time is said, at least.
        assert peer.window(stream) >= WINDOW // 2
        while rest:
            rest = peer.upload(stream, rest, end=True)
        assert (len(reader.data), len(reader.ends)) == (1_000_000, 1)

    def test_aReaderThatPauses(self) -> None:
        peer, keeper, stream = uploading()
        reader = Reader()
        keeper.request.deliverBody(reader)
        peer.upload(stream, b"abc")
        transport: Any = reader.transport
        transport.pauseProducing()
        rest = peer.upload(stream, bytes(500_000))
        assert (len(reader.data), peer.window(stream)) == (3, 0)
        transport.resumeProducing()
        assert len(reader.data) + len(rest) == 500_003
        assert peer.window(stream) > 0

    def test_piecesAreTakenOneByOne(self) -> None:
        """An `async for` that takes its time."""
        peer, keeper, stream = uploading()
        pieces = aiter(keeper.request)
        rest = peer.upload(stream, bytes(500_000))
        taken = 0
        while taken < 40_000:
            (got,) = results(Deferred.fromCoroutine(anext(pieces)))  # type: ignore[arg-type]
            taken += len(got[0])
        assert 0 < peer.window(stream) <= taken
        assert len(rest) == 500_000 - WINDOW

    @pytest.mark.parametrize("window", [1, 2, 100, 65535, 65536, MIB])
    def test_anyWindow(self, window: int) -> None:
        """SETTINGS_INITIAL_WINDOW_SIZE; and what is read makes room again."""
        size = min(500 * window, 300_000)
        peer, keeper, stream = uploading(size, http2={"streamReceiveWindowSize": window})
        assert peer.window(stream) == window
        reader = Reader()
        keeper.request.deliverBody(reader)
        rest = bytes(size)
        for _ in range(1000):
            rest = peer.upload(stream, rest, end=True)
            if not rest:
                break
        assert (len(reader.data), reader.ends != []) == (size, True)

    @pytest.mark.parametrize("padding", [0, 1, 255])
    def test_padding(self, padding: int) -> None:
        """It counts, and nobody reads it (section 6.1)."""
        peer, keeper, stream = uploading()
        reader = Reader()
        keeper.request.deliverBody(reader)
        sent = 0
        for _ in range(900):
            if not peer.upload(stream, b"x", padding=padding):
                sent += 1
        assert (sent, len(reader.data)) == (900, 900)
        assert peer.window(stream) > WINDOW // 4
        assert peer.isAlive

    def test_smallPieces(self) -> None:
        """A measured value every few milliseconds: that is little, but not nothing."""
        peer, keeper, stream = uploading()
        reader = Reader()
        keeper.request.deliverBody(reader)
        for _ in range(400):
            for _ in range(10):
                peer.upload(stream, bytes(100))
            peer.advance(0.05)
        assert (peer.goneAway, len(reader.data)) == ([], 400_000)

    def test_oneThatStallsHoldsBackNobody(self) -> None:
        peer, keeper, stalled = uploading()
        first = keeper.request
        assert peer.upload(stalled, bytes(WINDOW)) == b""
        for number in range(30):
            stream = peer.ask(f"/{number}", method="POST", end=False)
            reader = Reader()
            keeper.request.deliverBody(reader)
            assert peer.upload(stream, bytes(60_000), end=True) == b""
            assert len(reader.data) == 60_000
            keeper.socket.respond("x")
            assert peer.brief(stream) == (200, b"x")
        reader = Reader()
        first.deliverBody(reader)
        assert len(reader.data) == WINDOW

    def test_manyThatStallHoldBackNobody(self) -> None:
        """Not even when together they fill a connection's window many times."""
        peer, keeper, _ = uploading(http2={"sessionReceiveWindowSize": WINDOW})
        for number in range(20):
            stream = peer.ask(f"/{number}", method="POST", end=False)
            assert peer.upload(stream, bytes(WINDOW)) == b""
        stream = peer.ask("/last", method="POST", end=False)
        reader = Reader()
        keeper.request.deliverBody(reader)
        assert peer.upload(stream, bytes(WINDOW), end=True) == b""
        assert len(reader.data) == WINDOW

    @pytest.mark.parametrize("size", [WINDOW + 1, 300_000])
    def test_whatIsCollectedIsTaken(self, size: int) -> None:
        peer = serve2(lambda request, socket: socket.respond(str(len(request.body))) or True)
        stream = peer.ask("/", method="POST", end=False)
        rest = bytes(size)
        for _ in range(10):
            rest = peer.upload(stream, rest, end=True)
        assert peer.brief(stream) == (200, str(size).encode())

    def test_whatIsThrownAwayMakesRoomToo(self) -> None:
        """The answer waits for room, so the stream goes on for a while."""
        peer = serve2(
            lambda request, socket: socket.respond(bytes(100)) or True,
            policy=True,
            client={"settings": {INITIAL_WINDOW_SIZE: 10}, "acknowledging": False},
        )
        stream = peer.ask("/", method="POST", end=False)
        assert peer.upload(stream, bytes(500_000)) == b""
        peer.end(stream)
        peer.makeRoom(100, stream)
        answer = peer.answer(stream)
        assert (len(answer.body), answer.reset) == (100, None)

    def test_beyondTheWindowIsAnError(self) -> None:
        """FLOW_CONTROL_ERROR (section 6.9.1)."""
        peer, _, stream = uploading()
        peer.h2.outbound_flow_control_window = MIB
        peer.h2.streams[stream].outbound_flow_control_window = MIB
        peer.upload(stream, bytes(WINDOW + 1))
        assert [code for code, _ in peer.goneAway] == [3] or peer.answer(stream).reset == 3


def narrow(size: int = 10, **options: Any) -> tuple[Http2Peer, Keeper]:
    """A client that has room for `size` octets on each stream, until it says so."""
    keeper = Keeper()
    client = {"settings": {INITIAL_WINDOW_SIZE: size}, "acknowledging": False}
    return serve2(keeper, client=client, **options), keeper


class TestDownloads:
    def test_theWindowRules(self) -> None:
        peer, keeper = narrow()
        stream = peer.ask()
        keeper.socket.respond(b"0123456789abcdef")
        assert peer.brief(stream) == (200, b"0123456789")
        peer.makeRoom(1, stream)
        assert peer.brief(stream)[1] == b"0123456789a"
        peer.makeRoom(100, stream)
        assert (peer.brief(stream)[1], peer.answer(stream).ended) == (b"0123456789abcdef", True)

    def test_theWindowOfTheConnectionRulesToo(self) -> None:
        peer, keeper = narrow(10 * MIB)
        streams = [peer.ask(f"/{number}") for number in range(4)]
        for socket in keeper.sockets:
            socket.respond(bytes(100_000))
        assert sum(len(peer.answer(stream).body) for stream in streams) == WINDOW
        peer.makeRoom(10 * MIB)
        assert [len(peer.answer(stream).body) for stream in streams] == [100_000] * 4

    def test_nothingAtAll(self) -> None:
        """The head needs no room, and neither has an empty end."""
        peer, keeper = narrow(0)
        streams = [peer.ask(), peer.ask(), peer.ask(method="HEAD")]
        keeper.sockets[0].respond(b"")
        keeper.sockets[1].respond(b"x")
        keeper.sockets[2].respond(b"x")
        assert [peer.answer(stream).status for stream in streams] == [200] * 3
        assert [peer.answer(stream).ended for stream in streams] == [True, False, True]
        peer.makeRoom(1, streams[1])
        assert peer.answer(streams[1]).ended

    def test_aWindowThatGrowsLater(self) -> None:
        """SETTINGS_INITIAL_WINDOW_SIZE is for streams that are open, too (section 6.9.2)."""
        peer, keeper = narrow(0)
        stream = peer.ask()
        keeper.socket.respond(bytes(5000))
        assert peer.answer(stream).body == b""
        peer.h2.update_settings({INITIAL_WINDOW_SIZE: 1000})
        peer.say()
        assert len(peer.answer(stream).body) == 1000
        peer.h2.update_settings({INITIAL_WINDOW_SIZE: 0})
        peer.say()
        peer.makeRoom(500, stream)
        assert len(peer.answer(stream).body) == 1000
        peer.makeRoom(600, stream)
        assert len(peer.answer(stream).body) == 1100

    def test_trailersWait(self) -> None:
        peer, keeper = narrow()
        stream = peer.ask()
        keeper.socket.write(bytes(20))
        keeper.socket.finish({"X-Sum": "7"})
        assert peer.answer(stream).trailers == []
        peer.makeRoom(10, stream)
        assert (peer.answer(stream).trailers, peer.answer(stream).ended) == ([("x-sum", "7")], True)

    def test_fairness(self) -> None:
        """Streams take turns, frame by frame."""
        keeper = Keeper()
        peer = serve2(keeper, client={"settings": {INITIAL_WINDOW_SIZE: 10 * MIB}})
        peer.makeRoom(10 * MIB)
        streams = [peer.ask(f"/{number}") for number in range(4)]
        # Nothing of it leaves before they have all said what they have to say.
        session = peer.conversation.connection.session
        session._batching = True
        for socket in keeper.sockets:
            socket.respond(bytes(500_000))
        session._batching = False
        session.flush()
        peer.hear()
        assert [len(peer.answer(stream).body) for stream in streams] == [500_000] * 4
        assert len(peer.order) >= 4 * 500_000 // 16384
        last = [len(peer.order) - peer.order[::-1].index(stream) for stream in streams]
        assert max(last) - min(last) < 8
        assert sum(first == second for first, second in pairwise(peer.order)) < 8

    def test_aSmallAnswerOvertakes(self) -> None:
        peer, keeper = narrow(10 * MIB)
        big = peer.ask("/big")
        keeper.socket.respond(bytes(MIB))
        peer.server.handler = echoPath  # type: ignore[attr-defined]
        small = peer.ask("/small")
        assert peer.answer(small).body == b""
        peer.makeRoom(20_000)
        assert peer.brief(small) == (200, b"/small")
        assert not peer.answer(big).ended


@implementer(IPushProducer, IPullProducer)
class Producer:
    """Writes pieces, when it is asked to or as fast as it can, and notes what it is told."""

    def __init__(self, socket: HttpSocket, streaming: bool) -> None:
        self.socket = socket
        self.log: list[str] = []
        self.written = 0
        socket.registerProducer(self, streaming)

    def write(self, pieces: int) -> None:
        """As fast as it may."""
        for _ in range(pieces):
            if self.log and self.log[-1] != "resume":
                break
            self.piece()

    def piece(self) -> None:
        self.written += 10_000
        self.socket.write(bytes(10_000))

    def resumeProducing(self) -> None:
        self.log.append("resume")
        if len(self.log) > 1 or self.written == 0:
            self.piece()

    def pauseProducing(self) -> None:
        self.log.append("pause")

    def stopProducing(self) -> None:
        self.log.append("stop")


class Eager(Producer):
    """Writes for as long as it may."""

    def __init__(self, socket: HttpSocket, streaming: bool) -> None:
        self._streaming, self._paused = streaming, False
        super().__init__(socket, streaming)
        if streaming:
            self.pour()

    def pour(self) -> None:
        while not self._paused:
            self.piece()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        if self._streaming:
            self.pour()
        else:
            self.piece()


class TestProducers:
    def test_pushOnAFullStream(self) -> None:
        peer, keeper = narrow(1000)
        stream = peer.ask()
        producer = Producer(keeper.socket, True)
        producer.write(1000)
        assert (producer.log, producer.written) == (["pause"], 70_000)
        peer.makeRoom(3000, stream)
        assert producer.log == ["pause"]
        peer.makeRoom(3000, stream)
        assert producer.log[:2] == ["pause", "resume"]

    def test_pushOnAnotherStreamGoesOn(self) -> None:
        peer, keeper = narrow(1000)
        peer.ask("/full")
        full = Producer(keeper.socket, True)
        stream = peer.ask("/free")
        peer.makeRoom(MIB, stream)
        peer.makeRoom(MIB)
        free = Producer(keeper.socket, True)
        full.write(100)
        free.write(50)
        assert (full.log, free.log) == (["pause"], [])
        assert len(peer.answer(stream).body) == 500_000

    def test_pull(self) -> None:
        peer, keeper = narrow(1000)
        stream = peer.ask()
        producer = Producer(keeper.socket, False)
        peer.advance(1, 1, 1)
        assert producer.written == 70_000
        peer.makeRoom(50_000, stream)
        peer.advance(1)
        assert producer.written == 120_000
        peer.reset(stream)
        assert producer.log[-1] == "stop"
        peer.advance(1)
        assert producer.written == 120_000

    def test_registeredOnAFullStream(self) -> None:
        peer, keeper = narrow(1000)
        stream = peer.ask()
        keeper.socket.write(bytes(100_000))
        producer = Producer(keeper.socket, True)
        assert producer.log == ["pause"]
        peer.makeRoom(90_000, stream)
        assert producer.log[:2] == ["pause", "resume"]

    @pytest.mark.parametrize("streaming", [True, False])
    def test_theTransportRulesToo(self, streaming: bool) -> None:
        """Where windows are wide and the peer does not read all the same."""
        keeper = Keeper()
        peer = serve2(keeper, client={"settings": {INITIAL_WINDOW_SIZE: 10 * MIB}, "acknowledging": False})
        peer.makeRoom(10 * MIB)
        stream, other = peer.ask("/1"), peer.ask("/2")
        producers = [Producer(socket, streaming) for socket in keeper.sockets]
        peer.transport.stuck = True
        for _ in range(10):
            for producer in producers:
                if streaming:
                    producer.write(10)
            peer.conversation.advance(1)
        assert peer.transport.producerPaused
        assert sum(producer.written for producer in producers) < 500_000
        assert not peer.transport.reading
        peer.transport.stuck = False
        peer.transport.release()
        peer.conversation.advance(1)
        assert peer.transport.reading
        got = len(peer.answer(stream).body) + len(peer.answer(other).body)
        assert got > 80_000
        if streaming:
            assert got == sum(producer.written for producer in producers)

    @pytest.mark.parametrize("streaming", [True, False])
    def test_aSlowTransportIsShared(self, streaming: bool) -> None:
        """Whoever was first is not the first each time that there is room again."""
        keeper = Keeper()
        peer = serve2(keeper, client={"settings": {INITIAL_WINDOW_SIZE: 2**30}})
        peer.makeRoom(2**30)
        for number in range(4):
            peer.ask(f"/{number}")
        peer.transport.stuck = True
        producers = [Eager(socket, streaming) for socket in keeper.sockets]
        for _ in range(100):
            peer.conversation.advance(0)
            peer.transport.release()
        written = [producer.written for producer in producers]
        assert min(written) > 500_000
        assert max(written) < 2 * min(written)

    def test_finishedByItsEnd(self) -> None:
        peer, keeper = narrow(1000)
        stream = peer.ask()
        producer = Producer(keeper.socket, True)
        producer.write(100)
        keeper.socket.unregisterProducer()
        keeper.socket.finish()
        peer.makeRoom(MIB, stream)
        peer.makeRoom(MIB)
        answer = peer.answer(stream)
        assert (len(answer.body), answer.ended, producer.log) == (70_000, True, ["pause"])


class TestExpect:
    """``100 Continue`` at the first read, and not before."""

    def test_lazily(self) -> None:
        peer, keeper, _ = uploading()
        stream = peer.ask("/x", "expect: 100-continue", method="POST", end=False)
        peer.advance(1)
        assert peer.answer(stream).interim == []
        reader = Reader()
        keeper.request.deliverBody(reader)
        assert [status for status, _ in peer.answer(stream).interim] == [100]
        peer.upload(stream, b"abc", end=True)
        keeper.socket.respond("x")
        assert (reader.data, peer.brief(stream)) == (b"abc", (200, b"x"))

    def test_atOnceWhereItIsCollected(self) -> None:
        peer = serve2(echoPath)
        stream = peer.ask("/x", "expect: 100-continue", method="POST", end=False)
        assert [status for status, _ in peer.answer(stream).interim] == [100]
        peer.upload(stream, b"abc", end=True)
        assert peer.brief(stream) == (200, b"/x")

    def test_notWithoutNeed(self) -> None:
        """It has sent its content already, or it is refused, or it is answered."""
        peer = serve2(echoPath, policy=True, maximumBodySize=2)
        stream = peer.ask("/x", "expect: 100-continue", method="POST", body=b"abc", end=False)
        assert (peer.brief(stream), peer.answer(stream).interim) == ((200, b"/x"), [])
        peer.server.policy = False  # type: ignore[attr-defined]
        fields = ("expect: 100-continue", "content-length: 3")
        answer = peer.got("/x", *fields, method="POST", end=False)
        assert (answer.status, answer.interim, answer.reset) == (413, [], 0)
        assert peer.got("/x", "expect: something", method="POST", body=b"a").status == 417

    def test_onceOnly(self) -> None:
        peer, keeper, _ = uploading()
        stream = peer.ask("/x", "expect: 100-continue", method="POST", end=False)

        async def read(request: HttpRequest) -> None:
            async for _ in request:
                pass

        results(Deferred.fromCoroutine(read(keeper.request)))
        for piece in (b"a", b"b"):
            peer.upload(stream, piece)
        assert [status for status, _ in peer.answer(stream).interim] == [100]
