"""What a handler may return and raise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from connectionhelpers import (
    capturedFailures,
    get,
    serve,
    take,
)
from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from txabstracthttp import (
    AbstractHttpServer,
    HttpRequest,
    HttpSocket,
)


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


class Oops(Exception):
    """What goes wrong here."""


def answering(result: Any) -> Callable[[HttpRequest, HttpSocket], Any]:
    def handler(request: HttpRequest, socket: HttpSocket) -> Any:
        socket.respond("ok")
        return result

    return handler


class TestReturnValues:
    def test_true(self) -> None:
        peer = serve(answering(True))
        peer.send(get() * 2)
        assert peer.bodies() == [b"ok", b"ok"]

    def test_trueWithoutAnAnswerYet(self) -> None:
        peer = serve(lambda request, socket: True)
        peer.send(get())
        assert peer.transport.writes == []
        assert peer.open

    def test_falseIsNotFound(self) -> None:
        peer = serve(lambda request, socket: False)
        peer.send(get())
        response = peer.response()
        assert (response.status, response.all("connection")) == (404, [])
        assert response.body == b"404 Not Found\n"
        assert peer.open

    def test_falseAfterAnsweringStands(self) -> None:
        peer = serve(answering(False))
        missing = []
        peer.server.missingHandler.connect(lambda *args: missing.append(args))
        peer.send(get() * 2)
        assert peer.bodies() == [b"ok", b"ok"]
        assert len(missing) == 2

    def test_falseAfterClaiming(self) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.claim()
            sockets.append(socket)
            return False

        sockets: list[HttpSocket] = []
        peer = serve(handler)
        peer.send(get())
        assert peer.transport.writes == []
        sockets[0].respond("mine")
        assert peer.bodies() == [b"mine"]

    def test_noneAfterAnswering(self) -> None:
        peer = serve(answering(None))
        peer.send(get())
        assert peer.bodies() == [b"ok"]

    def test_noneAfterClaiming(self) -> None:
        peer = serve(lambda request, socket: socket.claim())
        peer.send(get())
        assert peer.transport.writes == []

    @pytest.mark.parametrize("result", [None, 1, 0, "True", b"", [], object, 404])
    def test_anythingElseIsAMistake(self, result: Any, failures: list[Failure]) -> None:
        peer = serve(lambda request, socket: result)
        peer.send(get() + get())
        assert str(failures[0].value).startswith(f"handleRequest() returned {result!r} for")
        assert take(failures) == [TypeError, TypeError]
        assert peer.statuses() == [500, 500]
        assert peer.open

    def test_aMistakeAfterAnsweringIsLoggedOnly(self, failures: list[Failure]) -> None:
        peer = serve(answering(1))
        peer.send(get())
        assert take(failures) == [TypeError]
        assert peer.bodies() == [b"ok"]


class TestExceptions:
    def test_beforeAnswering(self, failures: list[Failure]) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            raise Oops("secret")

        peer = serve(handler)
        peer.send(get() + get())
        assert take(failures) == [Oops, Oops]
        assert b"secret" not in peer.transport.value
        assert b"Oops" not in peer.transport.value
        assert peer.statuses() == [500, 500]
        assert peer.open

    def test_afterAnswering(self, failures: list[Failure]) -> None:
        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.respond("ok")
            raise Oops

        peer = serve(handler)
        peer.send(get() + get())
        assert take(failures) == [Oops, Oops]
        assert peer.bodies() == [b"ok", b"ok"]

    def test_afterTheClientLeft(self, failures: list[Failure]) -> None:
        event: Deferred[bool] = Deferred()
        peer = serve(lambda request, socket: event)
        peer.send(get())
        peer.leave(ConnectionLost())
        event.errback(Oops())
        assert take(failures) == [Oops]
        assert "write" not in peer.transport.log

    def test_whileAnsweringWrongly(self, failures: list[Failure]) -> None:
        """Nothing was sent when `respond` refused, so there is room for a 500."""

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.respond("ok", headers={"X": "a\r\nb"})
            return True

        peer = serve(handler)
        peer.send(get())
        assert take(failures) == [ValueError]
        assert peer.statuses() == [500]


class TestAwaitables:
    def test_coroutineWithoutAnyWaiting(self) -> None:
        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.respond("ok")
            return True

        peer = serve(handler)
        peer.send(get() * 3)
        assert peer.bodies() == [b"ok"] * 3
        assert len(peer.connection.session.wire.unread) == 0

    def test_aThousandCoroutinesDoNotRecurse(self) -> None:
        import inspect

        depths = set()

        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            depths.add(len(inspect.stack(0)))
            socket.respond("ok")
            return True

        peer = serve(handler)
        peer.send(get() * 1000)
        assert len(peer.bodies()) == 1000
        assert len(depths) == 1

    def test_coroutineThatWaits(self) -> None:
        event: Deferred[str] = Deferred()

        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.respond(await event)
            return True

        peer = serve(handler)
        peer.send(get())
        assert peer.transport.writes == []
        event.callback("late")
        assert peer.bodies() == [b"late"]

    @pytest.mark.parametrize(
        ("result", "status", "logged"),
        [(True, None, []), (False, 404, []), (None, 500, [TypeError]), ("x", 500, [TypeError])],
    )
    @pytest.mark.parametrize("late", [False, True])
    def test_deferred(
        self,
        result: Any,
        status: int | None,
        logged: list[type[Exception]],
        late: bool,
        failures: list[Failure],
    ) -> None:
        event: Deferred[Any] = Deferred() if late else succeed(result)
        peer = serve(lambda request, socket: event)
        peer.send(get())
        if late:
            assert peer.transport.writes == []
            event.callback(result)
        assert peer.statuses() == ([status] if status else [])
        assert take(failures) == logged

    @pytest.mark.parametrize("late", [False, True])
    def test_failure(self, late: bool, failures: list[Failure]) -> None:
        event: Deferred[bool] = Deferred() if late else fail(Oops())
        peer = serve(lambda request, socket: event)
        peer.send(get())
        if late:
            event.errback(Oops())
        assert take(failures) == [Oops]
        assert peer.statuses() == [500]

    def test_coroutineThatFailsAfterAnswering(self, failures: list[Failure]) -> None:
        event: Deferred[None] = Deferred()

        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.respond("ok")
            await event
            raise Oops

        peer = serve(handler)
        peer.send(get())
        assert peer.bodies() == [b"ok"]
        event.callback(None)
        assert take(failures) == [Oops]
        assert peer.transport.writes == []

    def test_theNextRequestDoesNotWaitForTheRestOfAHandler(self) -> None:
        """One that has answered may tidy up at leisure."""

        async def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            socket.respond("ok")
            await Deferred()
            return True

        peer = serve(handler)
        peer.send(get() * 3)
        assert peer.bodies() == [b"ok"] * 3

    def test_somebodyElseAnswersMeanwhile(self) -> None:
        event: Deferred[bool] = Deferred()
        sockets: list[HttpSocket] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> Deferred[bool]:
            sockets.append(socket)
            return event

        peer = serve(handler)
        peer.send(get())
        sockets[0].respond("ok")
        event.callback(False)
        assert peer.bodies() == [b"ok"]

    def test_cancelledByItsOwn(self, failures: list[Failure]) -> None:
        """Nobody asked for that, so it is as bad as any other failure."""
        event: Deferred[bool] = Deferred()
        peer = serve(lambda request, socket: event)
        peer.send(get())
        event.cancel()
        assert take(failures) == [CancelledError]
        assert peer.statuses() == [500]

    def test_anAwaitableOfAnAwaitable(self) -> None:
        event: Deferred[bool] = Deferred()

        async def handler(request: HttpRequest, socket: HttpSocket) -> Any:
            async def inner() -> bool:
                await event
                socket.respond("ok")
                return True

            return inner()

        peer = serve(handler)
        peer.send(get())
        event.callback(True)
        assert peer.bodies() == [b"ok"]


class TestAbstractness:
    def test_theAbstractServerCannotBeMade(self) -> None:
        with pytest.raises(TypeError):
            AbstractHttpServer()  # type: ignore[abstract]

    def test_initMustBeCalled(self) -> None:
        class Careless(AbstractHttpServer):
            def __init__(self) -> None:
                pass

            def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> bool:
                return False

        with pytest.raises(RuntimeError, match=r"Careless.__init__\(\) must call super"):
            Careless().buildProtocol(None)  # type: ignore[arg-type]
