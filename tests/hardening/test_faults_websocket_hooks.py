"""As `test_faults_hooks`, for what has to do with WebSockets: on a connection, and on a stream of HTTP/2."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from connectionhelpers import SteadyClock
from hardening.faults import Planned, failuresLogged, keep, remains
from hardening.faultsvisit import VERSIONS, Visitor, visit
from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure
from websockethelpers import closing, ping, pong, text

from txabstracthttp import (
    AbstractHttpServer,
    HttpRequest,
    HttpSocket,
    WebSocket,
    WebSocketUpgrade,
)


class Failing(AbstractHttpServer):
    """A server that fails somewhere; each subclass in another place.

    :ivar answer: to the upgrade: the status, or "open".
    :ivar code: of the close frame that the client gets then.
    """

    answer: ClassVar[int | str] = "open"
    code: ClassVar[int | None] = None

    def __init__(self, clock: SteadyClock) -> None:
        super().__init__(clock)
        self.newWebSocketConnection.connect(self.welcome)

    def welcome(self) -> None:
        """An observer."""
        webSocket = self.nextPendingWebSocketConnection()
        assert webSocket is not None
        self.attend(webSocket)

    def attend(self, webSocket: WebSocket) -> None:
        """What the application does with one."""

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> Any:
        if not request.isWebSocketUpgrade:
            socket.respond("fine")
        return True

    def visited(self, visitor: Visitor) -> None:
        """What the client does with it."""
        visitor.say(text("a"))


class Handler(Failing):
    answer: ClassVar[int | str] = 500

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> Any:
        if request.path == "/fine":
            return super().handleRequest(request, socket)
        raise Planned


class Verifier(Failing):
    answer: ClassVar[int | str] = 500

    def __init__(self, clock: SteadyClock) -> None:
        super().__init__(clock)
        self.addWebSocketUpgradeVerifier(self.verify)

    def verify(self, request: HttpRequest) -> Any:
        """A verifier."""
        raise Planned


class VerifierCoroutine(Verifier):
    async def verify(self, request: HttpRequest) -> Any:
        raise Planned


class VerifierDeferred(Verifier):
    def verify(self, request: HttpRequest) -> Any:
        return fail(Planned())


class VerifierMistaken(Verifier):
    def verify(self, request: HttpRequest) -> Any:
        return True


class VerifierInventing(Verifier):
    """It accepts what the client has not offered."""

    def verify(self, request: HttpRequest) -> Any:
        return WebSocketUpgrade.accept("invented")


class Observer(Failing):
    """The WebSocket waits for somebody who does better."""

    def welcome(self) -> None:
        raise Planned

    def visited(self, visitor: Visitor) -> None:
        assert self.nextPendingWebSocketConnection() is not None


class ObserverCoroutine(Observer):
    async def welcome(self) -> None:  # type: ignore[override]
        raise Planned


class MessageObserver(Failing):
    def attend(self, webSocket: WebSocket) -> None:
        webSocket.textMessageReceived.connect(self.hear)

    def hear(self, message: str) -> Any:
        """An observer."""
        raise Planned

    def visited(self, visitor: Visitor) -> None:
        visitor.say(text("a"))
        visitor.turn()


class MessageObserverCoroutine(MessageObserver):
    async def hear(self, message: str) -> Any:
        raise Planned


class EndObserver(Failing):
    code: ClassVar[int | None] = 1000

    def attend(self, webSocket: WebSocket) -> None:
        webSocket.disconnected.connect(self.hear)

    def hear(self, code: int, reason: str) -> None:
        """An observer."""
        raise Planned

    def visited(self, visitor: Visitor) -> None:
        visitor.say(closing(1000))
        visitor.leave()


class Loop(Failing):
    """The failure is its own, and Twisted tells of it; the WebSocket knows nothing."""

    def attend(self, webSocket: WebSocket) -> None:
        Deferred.fromCoroutine(self.follow(webSocket))

    async def follow(self, webSocket: WebSocket) -> None:
        """A coroutine that nobody waits for."""
        async for _ in webSocket:
            raise Planned


# Producers:


class Push(Failing):
    code: ClassVar[int | None] = 1011

    def attend(self, webSocket: WebSocket) -> None:
        self.webSocket = webSocket
        webSocket.registerProducer(self, True)

    def pauseProducing(self) -> None:
        """The peer does not read."""
        raise Planned

    def resumeProducing(self) -> None:
        """It does."""

    def stopProducing(self) -> None:
        """It has gone."""

    def visited(self, visitor: Visitor) -> None:
        visitor.transport.stuck = True
        self.webSocket.sendMessage(bytes(100_000), True)
        visitor.transport.stuck = False
        visitor.transport.release()
        del self.webSocket


class PushStopped(Push):
    code = None

    def stopProducing(self) -> None:
        raise Planned

    def visited(self, visitor: Visitor) -> None:
        del self.webSocket
        visitor.leave()


class Pull(Push):
    def attend(self, webSocket: WebSocket) -> None:
        self.webSocket = webSocket

    def resumeProducing(self) -> None:
        raise Planned

    def visited(self, visitor: Visitor) -> None:
        # See test_faults_found.py for why not before.
        self.webSocket.registerProducer(self, False)
        del self.webSocket


# Classes of WebSockets:


class OfClass(Failing):
    """One with a class of its own, one of whose callbacks fails."""

    code: ClassVar[int | None] = 1011
    callback = "onMessage"

    def __init__(self, clock: SteadyClock) -> None:
        super().__init__(clock)
        self.webSocketProtocol = type("Failing", (WebSocket,), {self.callback: self.hear})

    @staticmethod
    def hear(webSocket: WebSocket, *args: Any) -> Any:
        """The callback."""
        raise Planned


class OfClassCoroutine(OfClass):
    @staticmethod
    async def hear(webSocket: WebSocket, *args: Any) -> Any:
        raise Planned


class OnConnect(OfClass):
    answer: ClassVar[int | str] = 500
    code = None
    callback = "onConnect"


class OnConnectCoroutine(OfClassCoroutine):
    answer: ClassVar[int | str] = 500
    code = None
    callback = "onConnect"


class OnOpen(OfClass):
    callback = "onOpen"

    def visited(self, visitor: Visitor) -> None:
        pass


class OnPing(OfClass):
    callback = "onPing"

    def visited(self, visitor: Visitor) -> None:
        visitor.say(ping(b"a"))


class OnPong(OfClass):
    callback = "onPong"

    def visited(self, visitor: Visitor) -> None:
        visitor.say(pong(b"a"))


class OnMessageBegin(OfClass):
    callback = "onMessageBegin"


class OnMessageFrameData(OfClass):
    callback = "onMessageFrameData"


class OnMessageEnd(OfClass):
    callback = "onMessageEnd"


class OnClose(OfClass):
    code: ClassVar[int | None] = 1000
    callback = "onClose"

    def visited(self, visitor: Visitor) -> None:
        visitor.say(closing(1000))
        visitor.leave()


class ConnectionLost(OnClose):
    callback = "connectionLost"


class ConnectionLostSuddenly(ConnectionLost):
    code = None

    def visited(self, visitor: Visitor) -> None:
        visitor.leave()


class ConnectionMade(OfClass):
    """There is no telling what it has missed."""

    answer: ClassVar[int | str] = "abort"
    code = None
    callback = "connectionMade"


def cases(kind: type[Failing] = Failing) -> list[type[Failing]]:
    """All there are."""
    return [each for kind_ in kind.__subclasses__() for each in (kind_, *cases(kind_))]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", cases(), ids=lambda kind: kind.__name__)
def test_hook(kind: Any, version: str) -> None:
    """The client hears of it, the log has it once, the server goes on, and nothing remains."""
    with keep(), failuresLogged() as logged:
        clock = SteadyClock()
        server = kind(clock)
        visitor = visit(version, server, clock)
        visitor.open()
        if kind.answer == "open":
            server.visited(visitor)
            visitor.turn()
            assert visitor.closeCode() == kind.code
        else:
            visitor.turn()
            assert visitor.outcome() == kind.answer
        visitor.leave()
        del visitor
        proveLife(version, server, clock)
        remains()
        failures = [each for each in logged if isinstance(each, Failure)]
        assert len(failures) == len(logged) == 1, logged
        failures.clear()
        logged.clear()
        assert not server._site.connections
        assert not clock.getDelayedCalls()
        assert remains() == {}


def proveLife(version: str, server: Failing, clock: SteadyClock) -> None:
    """The next one is served."""
    visitor = visit(version, server, clock)
    visitor.ask("/fine")
    visitor.turn()
    assert visitor.outcome() == 200
    visitor.leave()
