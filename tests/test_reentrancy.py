"""Applications that act out of turn: behind the answer, from within a callback, for a request of old."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from connectionhelpers import (
    Conversation,
    FakeTcpTransport,
    HandlerServer,
    Later,
    SteadyClock,
    asked,
    capturedFailures,
    get,
    post,
    results,
    serve,
    take,
)
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from txabstracthttp import AlreadyAnswered, HttpRequest, HttpServerConfiguration, HttpSocket

EXPECTING = get("/", "Content-Length: 60", "Expect: 100-continue", method="POST")
UPLOAD = get("/", "Content-Length: 1000000", method="POST")
CONNECT = b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n"


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


class StreamingServer(HandlerServer):
    """Asks for all content as it comes."""

    def streamsBody(self, request: HttpRequest) -> bool:
        return True


def stream(handler: Callable[[HttpRequest, HttpSocket], Any], **configuration: Any) -> Conversation:
    """As `serve`, with content that comes as it comes."""
    clock = SteadyClock()
    server = StreamingServer(handler, clock, HttpServerConfiguration(**configuration))
    return Conversation(server, clock, FakeTcpTransport())


def typeOf(outcome: list[Any]) -> type[BaseException]:
    """The type of the one failure that a Deferred came to."""
    (failure,) = outcome
    assert isinstance(failure, Failure)
    return failure.type


class Producer:
    """Does nothing but what `stop` is."""

    def __init__(self, stop: Callable[[], object] = lambda: None) -> None:
        self.stop = stop
        self.stopped = 0

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        self.stopped += 1
        self.stop()


class TestReadingBehindTheAnswer:
    """One request has one answer, whatever its reader does."""

    def test_notAnsweredTwice(self) -> None:
        later = Later()
        peer = stream(later, bodyTimeout=1)
        peer.transport.stuck = True
        peer.send(UPLOAD)
        later.answer(body=b"x" * 100_000)
        (outcome,) = results(later.sockets[0].request.content())
        assert typeOf(outcome) is ConnectionLost
        for _ in range(5):
            peer.advance(1)
            peer.transport.release(1000)
        assert peer.transport.lost == []
        assert peer.statuses("POST") == [200]

    def test_noContinueBehindIt(self) -> None:
        outcomes: list[list[Any]] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.respond("no")
            outcomes.extend(results(request.content()))
            return True

        peer = stream(handler)
        peer.send(EXPECTING)
        assert peer.transport.lost == []
        assert peer.statuses("POST") == [200]
        assert typeOf(outcomes[0]) is ConnectionLost

    def test_noContinueInsideIt(self) -> None:
        outcomes: list[list[Any]] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.registerProducer(Producer(lambda: outcomes.extend(results(request.content()))), True)
            socket.write(b"abc")
            socket.finish()
            return True

        peer = stream(handler)
        peer.send(EXPECTING)
        assert [(each.status, each.body) for each in peer.responses("POST")] == [(200, b"abc")]
        assert peer.transport.lost == []
        assert typeOf(outcomes[0]) is ConnectionLost

    def test_noContinueFromAnObserver(self) -> None:
        outcomes: list[list[Any]] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.begin()
            socket.finish()
            return True

        peer = stream(handler)
        peer.server.exchangeFinished.connect(
            lambda record: outcomes.extend(results(record.request.content()))
        )
        peer.send(EXPECTING)
        assert peer.statuses("POST") == [200]
        assert peer.transport.lost == []
        assert typeOf(outcomes[0]) is ConnectionLost

    def test_whatFollowsIsNeitherContentNorRequest(self) -> None:
        """The peer was not told to send its content, so nobody can say what it sends instead."""
        seen: list[str] = []
        outcomes: list[list[Any]] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            seen.append(request.method)
            socket.begin()
            outcomes.extend(results(request.content()))
            socket.finish()
            return True

        peer = stream(handler)
        peer.send(EXPECTING)
        response = peer.response("POST")
        assert (response.status, response.all("connection")) == (200, ["close"])
        assert not peer.open
        peer.send(get("/next"))
        assert seen == ["POST"]
        assert peer.responses() == []
        assert typeOf(outcomes[0]) is ConnectionLost


class TestReaders:
    """A reader that fails is answered for in its own exchange, or not at all."""

    class Failing(Protocol):
        """Fails when it is told to go on."""

        def connectionMade(self) -> None:
            self.transport.pauseProducing()

        def connectionLost(self, reason: Failure = connectionDone) -> None:
            raise ZeroDivisionError

    @pytest.mark.parametrize("open_", [serve, stream], ids=["collected", "streamed"])
    def test_ofItsOwnRequest(self, open_: Callable[..., Conversation], failures: list[Failure]) -> None:
        later = Later()
        reader = self.Failing()
        peer = open_(later)
        peer.send(post(b"hello"))
        later.sockets[0].request.deliverBody(reader)
        reader.transport.resumeProducing()
        assert take(failures) == [ZeroDivisionError]
        assert peer.statuses() == [500]

    @pytest.mark.parametrize("open_", [serve, stream], ids=["collected", "streamed"])
    def test_ofAnOldRequest(self, open_: Callable[..., Conversation], failures: list[Failure]) -> None:
        later = Later()
        reader = self.Failing()
        peer = open_(later)
        peer.send(post(b"hello"))
        later.sockets[0].request.deliverBody(reader)
        later.answer(body="one")
        peer.send(get("/two"))
        reader.transport.resumeProducing()
        assert take(failures) == [ZeroDivisionError]
        later.answer(body="two")
        assert [(each.status, each.body) for each in peer.responses()] == [(200, b"one"), (200, b"two")]

    def test_oneThatStopsAtOnce(self) -> None:
        """Nobody waits for content then: it is not asked for, and the peer is not to blame."""

        class Stopping(Protocol):
            def connectionMade(self) -> None:
                self.transport.loseConnection()

        later = Later()
        peer = stream(later)
        peer.send(EXPECTING)
        later.sockets[0].request.deliverBody(Stopping())
        peer.advance(100)
        assert peer.transport.writes == []
        later.answer(body="enough")
        response = peer.response("POST")
        assert (response.status, response.all("connection")) == (200, ["close"])


class TestDetaching:
    def test_noDeadlineForWhatWasQueued(self) -> None:
        """What we wrote last may still be on its way; from then on the tunnel is its owner's business."""
        protocol = Protocol()

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            if request.method == "CONNECT":
                socket.detach(protocol)
            else:
                socket.respond("x")
            return True

        peer = serve(handler, secure=True)
        peer.connection.handshakeCompleted()
        peer.send(get() + CONNECT)
        assert peer.statuses() == [200]
        assert peer.clock.getDelayedCalls() == []
        peer.transport.stuck = True
        for _ in range(60):
            protocol.transport.write(b"y" * 1000)
            peer.advance(1)
            peer.transport.release(900)
        assert not peer.transport.closed

    def test_noAnswerAnyMore(self) -> None:
        refused: list[str] = []

        class Talkative(Protocol):
            def connectionMade(self) -> None:
                for method in ("respond", "begin", "finish"):
                    with pytest.raises(AlreadyAnswered):
                        getattr(socket, method)()
                    refused.append(method)

        peer, socket = asked(CONNECT)
        socket.detach(Talkative())
        assert len(refused) == 3
        assert peer.transport.writes == peer.transport.lost == []
        assert peer.open

    def test_aProtocolThatFails(self, failures: list[Failure]) -> None:
        class Failing(Protocol):
            def connectionMade(self) -> None:
                self.transport.write(b"HELLO")
                raise ZeroDivisionError

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.detach(Failing())
            return True

        peer = serve(handler)
        peer.send(CONNECT)
        assert take(failures) == [ZeroDivisionError]
        assert peer.transport.value == b"HELLO"
        assert peer.transport.lost == []
        assert peer.transport.aborted


class TestClosing:
    def test_nothingIsWaitedForWhenAllIsLost(self) -> None:
        """A reader that begins when it hears of the loss has nothing to wait for."""
        outcomes: list[list[Any]] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.notifyFinish().addErrback(lambda _: outcomes.extend(results(request.content())))
            return True

        peer = stream(handler)
        peer.send(get("/", "Content-Length: 10", method="POST"))
        peer.leave()
        assert peer.clock.getDelayedCalls() == []
        assert typeOf(outcomes[0]) is ConnectionLost

    def test_noRefusalBehindAHangUp(self) -> None:
        statuses: list[int] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.loseConnection()
            return True

        peer = serve(handler, secure=True, headerTimeout=3)
        peer.connection.handshakeCompleted()
        peer.server.exchangeFinished.connect(lambda record: statuses.append(record.status))
        peer.send(get() + b"GET /par")
        peer.advance(3.1)
        assert statuses == []
        assert peer.transport.writes == peer.transport.lost == []

    def test_aFileIsSentWhole(self, tmp_path: Path) -> None:
        path = tmp_path / "file"
        path.write_bytes(b"x" * 300_000)

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.sendFile(path)
            socket.loseConnection()
            return True

        peer = serve(handler)
        peer.send(get())
        peer.advance(1)
        assert len(peer.response().body) == 300_000
        assert peer.halfClosed

    def test_aProducerIsWaitedFor(self) -> None:
        producer = Producer()
        sockets: list[HttpSocket] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            sockets.append(socket)
            socket.registerProducer(producer, True)
            socket.loseConnection()
            return True

        peer = serve(handler)
        peer.send(get())
        peer.advance(1)
        assert peer.open
        sockets[0].write(b"abc")
        sockets[0].unregisterProducer()
        assert peer.response().body == b"abc"
        assert peer.halfClosed
        assert producer.stopped == 0

    def test_anOldSocketAbortsNobodyElse(self) -> None:
        later = Later()
        peer = serve(later)
        peer.send(get("/1"))
        later.answer()
        peer.send(get("/2"))
        later.sockets[0].abortConnection()
        assert peer.open
        later.answer()
        assert peer.bodies() == [b"/1", b"/2"]

    def test_butItsConnectionIfNobodyElseHasIt(self) -> None:
        later = Later()
        peer = serve(later)
        peer.send(get())
        later.answer()
        later.sockets[0].abortConnection()
        assert peer.transport.aborted


class TestRecords:
    """Whatever was begun is told of, once."""

    def records(self, handler: Callable[[HttpSocket], object]) -> list[tuple[int, int]]:
        seen: list[tuple[int, int]] = []
        peer = serve(lambda request, socket: handler(socket) or True)
        peer.server.exchangeFinished.connect(lambda record: seen.append((record.status, record.size)))
        peer.send(get())
        peer.leave()
        return seen

    def test_theClientLeft(self) -> None:
        def handler(socket: HttpSocket) -> None:
            socket.begin(202)
            socket.write(b"abc")

        assert self.records(handler) == [(202, 3)]

    def test_aborted(self) -> None:
        def handler(socket: HttpSocket) -> None:
            socket.write(b"abc")
            socket.abortConnection()

        assert self.records(handler) == [(200, 3)]

    def test_finished(self) -> None:
        assert self.records(lambda socket: socket.respond("abc")) == [(200, 3)]

    @pytest.mark.parametrize("method", ["claim", "loseConnection", "abortConnection"])
    def test_neverBegun(self, method: str) -> None:
        assert self.records(lambda socket: getattr(socket, method)()) == []
