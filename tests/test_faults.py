"""Applications that fail, stall or are cancelled, and peers that make work: who hears, and what remains."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from socket import create_connection
from time import process_time
from typing import Any

import pytest
import pytest_twisted
from connectionhelpers import (
    Conversation,
    FakeTcpTransport,
    HandlerServer,
    SteadyClock,
    asked,
    capturedFailures,
    echoPath,
    get,
    post,
    results,
    serve,
    take,
)
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.protocol import Protocol
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure

from txabstracthttp import AbstractHttpServer, HttpError, HttpRequest, HttpServerConfiguration, HttpSocket

CHUNKED = get("/", "Transfer-Encoding: chunked", method="POST")


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


class Producer:
    """Fails in one of its methods.

    :ivar told: what it heard, in order.
    """

    def __init__(self, failing: str) -> None:
        self.failing = failing
        self.told: list[str] = []

    def _hear(self, name: str) -> None:
        self.told.append(name)
        if name == self.failing:
            raise ZeroDivisionError

    def pauseProducing(self) -> None:
        self._hear("pause")

    def resumeProducing(self) -> None:
        self._hear("resume")

    def stopProducing(self) -> None:
        self._hear("stop")


class TestProducers:
    def test_oneThatCannotBeStopped(self, failures: list[Failure]) -> None:
        """Everybody else hears of the loss all the same."""
        peer, socket = asked()
        socket.registerProducer(Producer("stop"), True)
        outcomes = results(socket.notifyFinish(), socket.notifyFinish())
        peer.leave()
        assert take(failures) == [ZeroDivisionError]
        assert [[each.type for each in outcome] for outcome in outcomes] == [[ConnectionDone]] * 2
        assert peer.server.close(0).called

    def test_norAtTheEnd(self, failures: list[Failure]) -> None:
        peer, socket = asked()
        socket.registerProducer(Producer("stop"), True)
        (outcome,) = results(socket.notifyFinish())
        socket.write(b"abc")
        socket.finish()
        assert take(failures) == [ZeroDivisionError]
        assert peer.response().body == b"abc"
        assert outcome == [None]
        peer.send(get())
        peer.server.handler.sockets[1].respond("next")
        assert peer.bodies() == [b"next"]

    def test_onePulled(self, failures: list[Failure]) -> None:
        class Pulled:
            def resumeProducing(self) -> None:
                if next(turns):
                    raise ZeroDivisionError
                socket.write(b"x")

            def stopProducing(self) -> None:
                pass

        turns = count()
        peer, socket = asked()
        (outcome,) = results(socket.notifyFinish())
        socket.registerProducer(Pulled(), False)
        peer.advance(10)
        assert take(failures) == [ZeroDivisionError]
        assert peer.transport.aborted
        assert [each.type for each in outcome] == [ConnectionAborted]

    def test_onePaused(self, failures: list[Failure]) -> None:
        peer, socket = asked()
        peer.transport.stuck = True
        producer = Producer("pause")
        socket.registerProducer(producer, True)
        socket.write(b"x" * 100_000)
        assert take(failures) == [ZeroDivisionError]
        assert producer.told == ["pause"]
        assert peer.transport.aborted

    def test_oneResumed(self, failures: list[Failure]) -> None:
        peer, socket = asked()
        peer.transport.stuck = True
        producer = Producer("resume")
        socket.registerProducer(producer, True)
        socket.write(b"x" * 100_000)
        peer.transport.release()
        assert take(failures) == [ZeroDivisionError]
        assert producer.told == ["pause", "resume"]
        assert peer.transport.aborted

    @pytest_twisted.inlineCallbacks
    def test_onePausedByARealTransport(self, failures: list[Failure]) -> Any:
        class Server(AbstractHttpServer):
            def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> bool:
                socket.registerProducer(Producer("pause"), True)
                reactor.callLater(0, socket.write, b"x" * 8_000_000)
                return True

        def ask(port: int) -> int:
            with create_connection(("127.0.0.1", port), 10) as client:
                client.sendall(get())
                size = 0
                try:
                    while piece := client.recv(65536):
                        size += len(piece)
                except ConnectionResetError:
                    pass
                return size

        server = Server()
        size = yield deferToThread(ask, server.listen("127.0.0.1"))
        yield server.close(0)
        assert size < 8_000_000
        assert take(failures) == [ZeroDivisionError]


class TestWork:
    """What a peer sends must not cost much more than what it sends."""

    @pytest.mark.parametrize("size", [1, 2])
    @pytest.mark.parametrize("streamed", [False, True])
    def test_contentInSmallPieces(self, streamed: bool, size: int) -> None:
        class Server(HandlerServer):
            def streamsBody(self, request: HttpRequest) -> bool:
                return streamed

        clock = SteadyClock()
        server = Server(lambda request, socket: True, clock, HttpServerConfiguration())
        peer = Conversation(server, clock, FakeTcpTransport())
        peer.send(get("/", "Content-Length: 100000", method="POST"))
        tracemalloc.start()
        try:
            for i in range(60_000 // size):
                peer.send(bytes((i % 251, i % 241))[:size])
            held, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert held < 3 * 60_000

    def test_manyTrailers(self) -> None:
        peer = serve(echoPath, maximumHeaderFieldCount=None)
        trailers = b"a:\r\n" * 18_000
        began = process_time()
        peer.send(CHUNKED + b"0\r\n", trailers[:65_536], trailers[65_536:] + b"\r\n")
        assert process_time() - began < 2
        assert peer.statuses() == [200]

    def test_longHosts(self) -> None:
        """They are refused, and nothing of them is kept."""
        peer = serve(echoPath)
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            for number in range(100):
                peer = peer.another()
                peer.send(b"GET / HTTP/1.1\r\nHost: %05d%b\r\n\r\n" % (number, b"b" * 49_000))
                assert peer.statuses() == [400]
                peer.leave()
            gc.collect()
            after, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # Those that were kept came to 4.9 million.
        assert after - before < 3_000_000


class TestTime:
    @pytest.mark.parametrize("pieces", [1, 2])
    def test_theRateCountsWhatCameWithTheHead(self, pieces: int) -> None:
        peer = serve(echoPath)
        head = get("/", "Content-Length: 20000", method="POST")
        first = [head + b"x" * 10_000] if pieces == 1 else [head, b"x" * 10_000]
        peer.send(*first)
        peer.advance(10.1)
        assert peer.transport.writes == []
        peer.send(b"x" * 10_000)
        assert peer.statuses() == [200]

    def test_aDownloadThatMoves(self, tmp_path: Path) -> None:
        """It is the peer who takes his time, and not the handler."""
        path = tmp_path / "file"
        path.write_bytes(b"x" * 300_000)
        peer, socket = asked(handlerTimeout=5)
        peer.transport.stuck = True
        socket.sendFile(path)
        for _ in range(40):
            peer.advance(1)
            assert not peer.transport.closed
            peer.transport.release(10_000)
        peer.transport.stuck = False
        peer.transport.release()
        peer.advance(1)
        assert len(peer.response().body) == 300_000

    def test_aHandlerThatMoves(self) -> None:
        peer, socket = asked(handlerTimeout=5)
        socket.begin()
        for _ in range(5):
            peer.advance(4)
            socket.write(b"x")
        socket.finish()
        assert peer.response().body == b"x" * 5

    def test_aHandlerThatStalls(self) -> None:
        peer, socket = asked(handlerTimeout=5)
        socket.write(b"x")
        peer.advance(4)
        socket.write(b"x")
        peer.advance(4.9)
        assert peer.open
        peer.advance(0.2)
        assert peer.transport.aborted


class TestContent:
    """Content that was collected is there for all who ask."""

    def test_afterContent(self) -> None:
        seen: list[bytes] = []

        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            seen.extend((await request.content(), request.body))
            return echoPath(request, socket)

        peer = serve(handler)
        peer.send(post(b"hello"))
        assert seen == [b"hello", b"hello"]
        assert peer.statuses() == [200]

    def test_afterDelivery(self) -> None:
        seen: list[bytes] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            request.deliverBody(Protocol())
            seen.append(request.body)
            return echoPath(request, socket)

        peer = serve(handler)
        peer.send(post(b"hello"))
        assert seen == [b"hello"]
        assert peer.statuses() == [200]


class TestCancelling:
    """`close` waits for nobody beyond its grace."""

    def test_anObserver(self) -> None:
        cancelled: list[Deferred[Any]] = []
        peer = serve(lambda request, socket: False)
        peer.server.missingHandler.connect(lambda request, socket: Deferred(cancelled.append))
        peer.send(get())
        peer.server.close(0)
        peer.advance(1)
        assert len(cancelled) == 1
        assert peer.transport.aborted

    @pytest.mark.parametrize("others", [0, 1])
    def test_aHandlerWhoseClientHasGone(self, others: int) -> None:
        cancelled: list[Deferred[Any]] = []
        peer = serve(lambda request, socket: Deferred(cancelled.append))
        for _ in range(others):
            peer.another().send(get())
        peer.send(get())
        peer.leave()
        peer.server.close(0)
        peer.advance(1)
        assert len(cancelled) == 1 + others

    def test_itsWayOutIsNoNews(self) -> None:
        """A library that is used to asyncio ends with another exception."""

        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            try:
                await Deferred()
            except BaseException:
                raise asyncio.CancelledError from None
            return True

        peer = serve(handler)
        peer.send(get())
        peer.server.close(0)
        peer.advance(1)
        assert peer.transport.aborted


class TestExceptions:
    @pytest.mark.parametrize("status", [101, 204, 399, 600, 700, "404", 404.0, None, True])
    def test_noStatusOfAnError(self, status: Any, failures: list[Failure]) -> None:
        with pytest.raises(ValueError):
            HttpError(status, "")

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            raise HttpError(status, "")

        peer = serve(handler)
        peer.send(get())
        assert take(failures) == [ValueError]
        assert peer.statuses() == [500]

    @pytest.mark.parametrize("status", [400, 404, 503, 599])
    def test_oneOfAnError(self, status: int) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            raise HttpError(status)

        peer = serve(handler)
        peer.send(get())
        assert peer.statuses() == [status]

    def test_oneThatNobodyCatches(self) -> None:
        """What is answered afterwards must not wait for an end that never comes."""

        class Interrupt(BaseException):
            pass

        sockets: list[HttpSocket] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            sockets.append(socket)
            raise Interrupt

        peer = serve(handler)
        with pytest.raises(Interrupt):
            peer.send(get())
        sockets[0].respond("still here")
        assert peer.bodies() == [b"still here"]

    def test_aDeferredKeepsItsResult(self) -> None:
        """It is the application's, and others may wait for it."""
        shared = succeed(True)

        def handler(request: HttpRequest, socket: HttpSocket) -> Deferred[bool]:
            echoPath(request, socket)
            return shared

        peer = serve(handler)
        peer.send(get("/a"), get("/b"))
        assert peer.bodies() == [b"/a", b"/b"]
        assert results(shared) == [[True]]
