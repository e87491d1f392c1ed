"""Requests that no handler took: `missingHandler`, and upgrades that nobody wants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from connectionhelpers import (
    HandlerServer,
    SteadyClock,
    capturedFailures,
    echoPath,
    get,
    serve,
    take,
)
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from txabstracthttp import (
    HttpRequest,
    HttpServerConfiguration,
    HttpSocket,
)


@pytest.fixture(autouse=True)
def failures() -> Iterator[list[Failure]]:
    with capturedFailures() as failures:
        yield failures


class Oops(Exception):
    """What goes wrong here."""


def missing(request: HttpRequest, socket: HttpSocket) -> bool:
    return False


class TestMissingHandler:
    def test_theSameObjects(self) -> None:
        given: list[Any] = []
        seen: list[Any] = []
        peer = serve(lambda *args: given.append(args) or False)
        peer.server.missingHandler.connect(lambda *args: seen.append(args))
        peer.send(get())
        assert len(seen) == 1
        assert all(one is other for one, other in zip(given[0], seen[0], strict=True))
        assert peer.statuses() == [404]

    def test_notEmittedWhenHandled(self) -> None:
        seen: list[Any] = []
        peer = serve(echoPath)
        peer.server.missingHandler.connect(lambda *args: seen.append(args))
        peer.send(get())
        assert seen == []

    def test_synchronousAnswer(self) -> None:
        peer = serve(missing)
        peer.server.missingHandler.connect(lambda request, socket: socket.respond("here"))
        peer.send(get() * 2)
        assert peer.bodies() == [b"here"] * 2

    def test_claim(self) -> None:
        sockets: list[HttpSocket] = []

        def observer(request: HttpRequest, socket: HttpSocket) -> None:
            socket.claim()
            sockets.append(socket)

        peer = serve(missing)
        peer.server.missingHandler.connect(observer)
        peer.send(get())
        assert peer.transport.writes == []
        sockets[0].respond("mine")
        assert peer.bodies() == [b"mine"]

    @pytest.mark.parametrize("last", [0, 1])
    def test_allAsynchronousObserversAreAwaited(self, last: int) -> None:
        events: list[Deferred[None]] = [Deferred(), Deferred()]
        peer = serve(missing)
        for event in events:
            peer.server.missingHandler.connect(lambda request, socket, event=event: event)
        peer.send(get())
        events[1 - last].callback(None)
        assert peer.transport.writes == []
        events[last].callback(None)
        assert peer.statuses() == [404]

    def test_oneOfThemAnswers(self) -> None:
        event: Deferred[None] = Deferred()

        async def observer(request: HttpRequest, socket: HttpSocket) -> None:
            await event
            socket.respond("late")

        peer = serve(missing)
        peer.server.missingHandler.connect(observer)
        peer.server.missingHandler.connect(lambda request, socket: succeed(None))
        peer.send(get())
        assert peer.transport.writes == []
        event.callback(None)
        assert peer.bodies() == [b"late"]

    def test_failingObserversStopNobody(self, failures: list[Failure]) -> None:
        event: Deferred[None] = Deferred()

        def observer(request: HttpRequest, socket: HttpSocket) -> None:
            raise Oops

        peer = serve(missing)
        peer.server.missingHandler.connect(observer)
        peer.server.missingHandler.connect(lambda request, socket: event)
        peer.send(get())
        assert take(failures) == [Oops]
        event.errback(Oops())
        assert take(failures) == [Oops]
        assert peer.statuses() == [404]

    def test_nextMayAnswerAtOnce(self) -> None:
        peer = serve(missing)
        peer.server.missingHandler.next().addCallback(lambda args: args[1].respond("waited"))
        peer.send(get() * 2)
        assert [(each.status, each.body[:6]) for each in peer.responses()] == [
            (200, b"waited"),
            (404, b"404 No"),
        ]

    def test_nextMayClaim(self) -> None:
        got: list[HttpSocket] = []

        def claim(args: tuple[HttpRequest, HttpSocket]) -> None:
            args[1].claim()
            got.append(args[1])

        peer = serve(missing)
        peer.server.missingHandler.next().addCallback(claim)
        peer.send(get())
        assert peer.transport.writes == []
        got[0].respond("later")
        assert peer.bodies() == [b"later"]

    def test_theClientLeavesMeanwhile(self) -> None:
        event: Deferred[None] = Deferred()
        peer = serve(missing)
        peer.server.missingHandler.connect(lambda request, socket: event)
        peer.send(get())
        peer.leave(ConnectionLost())
        event.callback(None)
        assert "write" not in peer.transport.log

    def test_timeRunsForObserversToo(self) -> None:
        event: Deferred[None] = Deferred()
        peer = serve(missing, handlerTimeout=5)
        peer.server.missingHandler.connect(lambda request, socket: event)
        peer.send(get())
        peer.advance(5)
        event.callback(None)
        assert peer.statuses() == [503]

    def test_aMethodOfThatName(self) -> None:
        """Qt 6.4 final's form: a virtual function instead of a signal."""

        class Server(HandlerServer):
            def missingHandler(self, request: HttpRequest, socket: HttpSocket) -> None:  # type: ignore[override]
                order.append("method")
                socket.respond(request.path)

        order: list[str] = []
        server = Server(missing, SteadyClock(), HttpServerConfiguration())
        server.missingHandler.connect(lambda request, socket: order.append("observer"))
        peer = serve(missing)
        peer.server = server
        other = peer.another()
        other.send(get("/x"))
        assert other.bodies() == [b"/x"]
        assert order == ["method", "observer"]

    def test_anInheritedMethodIsConnectedOnce(self) -> None:
        calls: list[str] = []

        class Server(HandlerServer):
            async def missingHandler(self, request: HttpRequest, socket: HttpSocket) -> None:  # type: ignore[override]
                calls.append("base")

        class Derived(Server):
            async def missingHandler(self, request: HttpRequest, socket: HttpSocket) -> None:
                calls.append("derived")
                await super().missingHandler(request, socket)

        peer = serve(missing)
        peer.server = Derived(missing, SteadyClock(), HttpServerConfiguration())
        other = peer.another()
        other.send(get("/x"))
        assert other.statuses() == [404]
        assert calls == ["derived", "base"]


WEBSOCKET = get(
    "/chat",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


class TestUpgrade:
    def test_nobodyIsInterested(self) -> None:
        """404 and close, without the handler; what stands behind it is never looked at (smuggling)."""
        handled: list[str] = []
        peer = serve(lambda request, socket: handled.append(request.path) or True)
        seen: list[str] = []
        peer.server.missingHandler.connect(lambda request, socket: seen.append(request.path))
        peer.send(WEBSOCKET + get("/smuggled"))
        response = peer.response()
        assert (response.status, response.all("connection")) == (404, ["close"])
        assert (handled, seen) == ([], ["/chat"])
        assert not peer.open

    def test_missingHandlerMayAnswer(self) -> None:
        peer = serve(lambda request, socket: True)
        peer.server.missingHandler.connect(lambda request, socket: socket.respond("no", 426))
        peer.send(WEBSOCKET)
        assert peer.statuses() == [426]
        assert not peer.open

    def test_otherProtocolsAreIgnored(self) -> None:
        """RFC 9110 section 7.8: a server may ignore an Upgrade field; the connection ends with the answer."""
        peer = serve(echoPath)
        peer.send(get("/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c") + get("/smuggled"))
        response = peer.response()
        assert (response.body, response.all("connection")) == (b"/", ["close"])
        assert not peer.open

    def test_connectIsHandledAndCloses(self) -> None:
        seen: list[HttpRequest] = []

        def handler(request: HttpRequest, socket: HttpSocket) -> bool:
            seen.append(request)
            socket.respond(status=405)
            return True

        peer = serve(handler)
        peer.send(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n" + get("/smuggled"))
        assert [each.method for each in seen] == ["CONNECT"]
        assert peer.statuses("GET") == [405]
        assert not peer.open

    def test_upgradeWithoutConnectionIsNone(self) -> None:
        peer = serve(echoPath)
        peer.send(get("/", "Upgrade: websocket") + get())
        assert peer.bodies() == [b"/", b"/"]
        assert peer.open
