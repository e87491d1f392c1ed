"""Answers that take their time: a peer that reads slowly, and a handler that thinks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from connectionhelpers import (
    Conversation,
    capturedFailures,
    get,
    serve,
    take,
)
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from txabstracthttp import (
    AlreadyAnswered,
    HttpRequest,
    HttpSocket,
)


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


def big(request: HttpRequest, socket: HttpSocket) -> bool:
    socket.respond(b"x" * 1000)
    return True


class TestWrite:
    def stuck(self, **configuration: float) -> Conversation:
        peer = serve(big, **{"writeTimeout": 10, "keepAliveTimeout": 1000, **configuration})
        peer.transport.stuck = True
        peer.send(get())
        return peer

    def test_noProgress(self) -> None:
        peer = self.stuck()
        peer.advance(9.9)
        assert peer.open
        peer.advance(0.2)
        assert peer.transport.aborted

    def test_slowProgressIsProgress(self) -> None:
        peer = self.stuck()
        for _ in range(100):
            peer.advance(9)
            peer.transport.release(9)
        assert not peer.transport.closed
        peer.advance(20.1)
        assert peer.transport.aborted

    def test_allGone(self) -> None:
        peer = self.stuck()
        peer.advance(5)
        peer.transport.release()
        peer.advance(20)
        assert peer.open

    def test_aNewAnswerIsNoProgress(self) -> None:
        """What we write must not be taken for what the peer reads."""
        peer = self.stuck()
        for _ in range(3):
            peer.advance(3)
            peer.send(get())
        assert peer.open
        peer.advance(1.1)
        assert peer.transport.aborted

    def test_aLaterAnswerHasItsOwnTime(self) -> None:
        peer = self.stuck()
        peer.transport.release()
        peer.advance(9)
        peer.send(get())
        peer.advance(9.9)
        assert peer.open
        peer.advance(10)
        assert peer.transport.aborted

    def test_aSlowReaderGetsItsLastAnswerInFull(self) -> None:
        """Neither the lingering nor `closeTimeout` cuts it off."""
        peer = serve(big, writeTimeout=10, closeTimeout=3)
        peer.transport.stuck = True
        peer.send(get("/", "Connection: close"))
        for _ in range(20):
            peer.advance(9)
            peer.transport.release(50)
        assert not peer.transport.aborted
        peer.transport.release()
        peer.advance(14)
        assert peer.transport.aborted

    def test_aReaderThatStopsDoesNotHoldUpTheClosing(self) -> None:
        peer = serve(big, writeTimeout=10, closeTimeout=3)
        peer.transport.stuck = True
        peer.send(get("/", "Connection: close"))
        peer.advance(9)
        assert not peer.transport.aborted
        peer.advance(2)
        assert peer.transport.aborted


class TestHandler:
    def test_off(self) -> None:
        peer = serve(lambda request, socket: True)
        peer.send(get())
        peer.advance(10_000)
        assert peer.open
        assert peer.transport.writes == []

    def test_503(self) -> None:
        exchanges: list[HttpSocket] = []
        peer = serve(lambda request, socket: exchanges.append(socket) or True, handlerTimeout=5)
        peer.send(get())
        peer.advance(4.9)
        assert peer.transport.writes == []
        peer.advance(0.2)
        assert peer.statuses() == [503]
        with pytest.raises(AlreadyAnswered):
            exchanges[0].respond("too late")
        assert peer.transport.writes == []

    def test_theConnectionGoesOn(self) -> None:
        paths: list[str] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            paths.append(request.path)
            if request.path == "/b":
                socket.respond("b")
            return True

        peer = serve(handler, handlerTimeout=5)
        peer.send(get("/a") + get("/b"))
        peer.advance(5)
        assert peer.statuses() == [503, 200]
        assert paths == ["/a", "/b"]

    def test_awaitedHandlersAreCancelled(self) -> None:
        cancelled: list[Deferred[bool]] = []
        peer = serve(lambda request, socket: Deferred(cancelled.append), handlerTimeout=5)
        peer.send(get())
        peer.advance(5)
        assert len(cancelled) == 1
        assert peer.statuses() == [503]

    def test_coroutinesMayClearUp(self, failures: list[Failure]) -> None:
        ends: list[str] = []

        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            try:
                await Deferred()
            except CancelledError:
                ends.append("cancelled")
                if request.path == "/oops":
                    raise ZeroDivisionError from None
                raise
            return True

        peer = serve(handler, handlerTimeout=5)
        peer.send(get())
        peer.advance(5)
        assert (ends, failures) == (["cancelled"], [])
        peer.send(get("/oops"))
        peer.advance(5)
        assert take(failures) == [ZeroDivisionError]
        assert peer.statuses() == [503, 503]

    def test_eachHasItsOwn(self) -> None:
        sockets: list[HttpSocket] = []
        peer = serve(lambda request, socket: sockets.append(socket) or True, handlerTimeout=5)
        for _ in range(3):
            peer.send(get())
            peer.advance(4)
            sockets[-1].respond()
        peer.advance(4)
        assert peer.statuses() == [200] * 3
