"""HttpSocket: how an exchange ends, and who is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from connectionhelpers import (
    asked,
    capturedFailures,
    get,
    results,
    serve,
    take,
)
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
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


class TestOnce:
    def test_secondAnswer(self) -> None:
        peer, socket = asked()
        socket.respond("first")
        with pytest.raises(AlreadyAnswered):
            socket.respond("second")
        assert peer.bodies() == [b"first"]

    def test_ofAnExchangeLongPast(self) -> None:
        peer, socket = asked()
        socket.respond("first")
        peer.send(get())
        with pytest.raises(AlreadyAnswered):
            socket.respond("second")
        assert peer.bodies() == [b"first"]

    def test_whatIsKnownAfterwards(self) -> None:
        _, socket = asked()
        assert (socket.status, socket.bodyBytesSent, socket.isAnswered) == (0, 0, False)
        socket.respond("abc", 201)
        assert (socket.status, socket.bodyBytesSent, socket.isAnswered) == (201, 3, True)

    def test_claiming(self) -> None:
        _, socket = asked()
        assert not socket.isClaimed
        socket.claim()
        socket.claim()
        assert socket.isClaimed
        _, socket = asked()
        socket.respond()
        assert socket.isClaimed


class TestNotifyFinish:
    def test_finish(self) -> None:
        _, socket = asked()
        first, second = socket.notifyFinish(), socket.notifyFinish()
        assert first is not second
        outcomes = results(first, second)
        assert outcomes == [[], []]
        socket.respond()
        assert outcomes == [[None], [None]]

    def test_oneCannotSpoilTheOthers(self, failures: list[Failure]) -> None:
        _, socket = asked()
        first, second = socket.notifyFinish(), socket.notifyFinish()
        first.addCallback(lambda _: 1 / 0)
        outcomes = results(second)
        socket.respond()
        assert outcomes == [[None]]
        first.addErrback(lambda failure: failure.trap(ZeroDivisionError))

    @pytest.mark.parametrize("reason", [ConnectionDone(), ConnectionLost()])
    def test_theClientLeaves(self, reason: Exception) -> None:
        peer, socket = asked()
        outcomes = results(socket.notifyFinish(), socket.notifyFinish())
        peer.leave(reason)
        assert [outcome[0].value for outcome in outcomes] == [reason, reason]

    def test_afterwards(self) -> None:
        _, socket = asked()
        socket.respond()
        assert results(socket.notifyFinish()) == [[None]]
        peer, socket = asked()
        peer.leave()
        ((failure,),) = results(socket.notifyFinish())
        assert failure.check(ConnectionLost)

    def test_finishedIsFinished(self) -> None:
        """The connection ends later, which concerns this exchange no more."""
        peer, socket = asked()
        outcomes = results(socket.notifyFinish())
        socket.respond()
        peer.leave()
        assert outcomes == [[None]]
        assert not socket.isResponseCanceled

    def test_cancelling(self) -> None:
        _, socket = asked()
        first, second = socket.notifyFinish(), socket.notifyFinish()
        outcomes = results(first, second)
        first.cancel()
        socket.respond()
        assert outcomes[0][0].check(CancelledError)
        assert outcomes[1] == [None]

    def test_ourOwnAnswersCount(self) -> None:
        waiters: list[Deferred[None]] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            waiters.append(socket.notifyFinish())
            return False

        peer = serve(handler)
        peer.send(get())
        assert results(*waiters) == [[None]]
        assert peer.statuses() == [404]


class TestLoseConnection:
    @pytest.mark.parametrize("secure", [False, True])
    def test_beforeAnswering(self, secure: bool) -> None:
        peer, socket = asked(get() + get(), secure=secure)
        outcomes = results(socket.notifyFinish())
        socket.loseConnection()
        assert peer.transport.closed
        assert not peer.transport.aborted
        assert outcomes[0][0].check(ConnectionDone)
        assert socket.isResponseCanceled
        socket.respond("too late")
        assert "write" not in peer.transport.log

    def test_inTheHandler(self) -> None:
        """None is fine then, and False is no 404."""
        for result in (True, False, None):
            peer = serve(lambda request, socket, result=result: (socket.loseConnection(), result)[1])
            peer.send(get())
            assert "write" not in peer.transport.log
            assert peer.transport.closed

    def test_answersBeforeItArrive(self) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            if request.path == "/b":
                socket.loseConnection()
            else:
                socket.respond("a")
            return True

        peer = serve(handler)
        peer.send(get("/a") + get("/b"))
        assert peer.transport.lost == []
        assert peer.bodies() == [b"a"]
        assert peer.transport.closed

    def test_afterAnsweringInTheHandler(self) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.respond("a")
            socket.loseConnection()
            return True

        peer = serve(handler)
        peer.send(get())
        assert peer.bodies() == [b"a"]
        assert peer.transport.lost == []
        assert not peer.open

    def test_afterAnsweringLate(self) -> None:
        peer, socket = asked()
        socket.respond("a")
        socket.loseConnection()
        assert peer.bodies() == [b"a"]
        assert not peer.open

    def test_ofAnExchangeLongPast(self) -> None:
        """The next exchange is the last one then."""
        sockets: list[HttpSocket] = []
        peer = serve(lambda request, socket: sockets.append(socket) or True)
        peer.send(get() + get() + get())
        sockets[0].respond("a")
        sockets[0].loseConnection()
        assert len(sockets) == 2
        assert peer.open
        sockets[1].respond("b")
        assert [each.all("connection") for each in peer.responses()] == [[], ["close"]]
        assert not peer.open


class TestAbortConnection:
    def test_now(self) -> None:
        peer, socket = asked()
        outcomes = results(socket.notifyFinish())
        socket.abortConnection()
        assert peer.transport.aborted
        peer.leave(ConnectionLost())
        assert outcomes[0][0].check(ConnectionLost)

    def test_nothingIsWrittenAfterwards(self) -> None:
        peer, socket = asked(get() + get())
        socket.abortConnection()
        socket.respond("never mind")
        assert peer.transport.value == b""

    def test_nothingIsHandledAfterwards(self) -> None:
        sockets: list[HttpSocket] = []
        peer = serve(lambda request, socket: sockets.append(socket) or True)
        peer.send(get() + get())
        sockets[0].abortConnection()
        sockets[0].respond("never mind")
        assert len(sockets) == 1

    def test_inTheHandler(self) -> None:
        peer = serve(lambda request, socket: socket.abortConnection() or True)
        peer.send(get() + get())
        assert peer.transport.aborted
        assert peer.transport.value == b""

    def test_answersOnTheirWayAreDropped(self) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            if request.path == "/b":
                socket.abortConnection()
            else:
                socket.respond("a")
            return True

        peer = serve(handler)
        peer.send(get("/a") + get("/b") + get("/a"))
        assert peer.transport.aborted
        assert peer.transport.value == b""

    def test_noneAfterwardsIsLogged(self, failures: list[Failure]) -> None:
        """It neither answered nor claimed; but nothing is sent."""
        peer = serve(lambda request, socket: socket.abortConnection())
        peer.send(get())
        assert peer.transport.value == b""
        assert take(failures) in ([], [TypeError])

    def test_timersDoNotAnswerAfterwards(self) -> None:
        peer, socket = asked(handlerTimeout=1)
        socket.abortConnection()
        peer.advance(5)
        assert peer.transport.value == b""


def test_addresses() -> None:
    peer, socket = asked()
    assert socket.getPeer() == peer.transport.getPeer()
    assert socket.getHost() == peer.transport.getHost()
