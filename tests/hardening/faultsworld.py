"""An application whose every request says how it is to be answered, and what must be true of all of them."""

from __future__ import annotations

__all__ = ["BEHAVIOURS", "LATE", "Application", "Exchange", "Pull"]

from collections import Counter
from collections.abc import Callable
from itertools import count
from typing import Any

from hardening.faults import Planned
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from txabstracthttp import (
    AbstractHttpServer,
    ExchangeRecord,
    HttpRequest,
    HttpServerConfiguration,
    HttpSocket,
    WebSocket,
)

#: Those whose exchange waits for somebody to go on with it.
LATE = ("later", "stream", "wait", "claim")
#: What a request may ask for, by the first part of its path.
BEHAVIOURS = (
    *LATE,
    "now",
    "hint",
    "pull",
    "raise",
    "break",
    "missing",
    "read",
    "deliver",
    "iterate",
    "close",
    "hangup",
    "abort",
    "short",
)


class Exchange:
    """One request that came to the application, and how it ends.

    :ivar outcome: of `notifyFinish`: nothing before the end, and then one thing.
    :ivar content: how its content ended: nothing before, or where nobody reads, and then one thing.
    """

    def __init__(self, request: HttpRequest, socket: HttpSocket) -> None:
        _, self.behaviour, number, *_ = request.path.split("/")
        self.number = int(number)
        self.request, self.socket = request, socket
        self.event: Deferred[bool] = Deferred()
        self.outcome: list[Any] = []
        self.content: list[Any] = []
        socket.notifyFinish().addBoth(self.outcome.append)

    @property
    def fields(self) -> dict[str, str]:
        """What tells which request an answer belongs to."""
        return {"X-Number": str(self.number)}

    def respond(self) -> None:
        """Answer, unless that was done; to nobody, if the peer has gone."""
        if not self.socket.isAnswered and not self.socket.isBegun:
            self.socket.respond(f"{self.number}", headers=self.fields)


class Pull:
    """A pull producer of so many pieces."""

    def __init__(self, exchange: Exchange, pieces: int) -> None:
        self._socket, self._left = exchange.socket, pieces
        self._socket.begin(headers=exchange.fields)
        self._socket.registerProducer(self, False)

    def resumeProducing(self) -> None:
        """One piece more, or the end."""
        self._left -= 1
        self._socket.write(b"x" * 5000)
        if not self._left:
            self._socket.unregisterProducer()
            self._socket.finish()

    def stopProducing(self) -> None:
        """The peer has gone."""


class _Reader(Protocol):
    def __init__(self, done: Callable[[Any], None]) -> None:
        self._done = done

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._done(reason.getErrorMessage())


class Application(AbstractHttpServer):
    """Does what the path of a request says: ``/behaviour/number``, and perhaps ``/streamed``.

    :ivar waiting: exchanges with which somebody is to go on.
    :ivar raised: what was raised here, each of which must be logged once.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.exchanges: list[Exchange] = []
        self.waiting: list[Exchange] = []
        self.raised: list[Planned] = []
        self.records: Counter[int] = Counter()
        self.webSockets: list[WebSocket] = []
        self._numbers = count(1)
        self.exchangeFinished.connect(self._note)
        self.newWebSocketConnection.connect(self._welcome)

    def number(self) -> int:
        """That of the next request, whoever sends it."""
        return next(self._numbers)

    def _note(self, record: ExchangeRecord) -> None:
        if record.request is not None:
            self.records[int(record.request.path.split("/")[2])] += 1

    def _welcome(self) -> None:
        webSocket = self.nextPendingWebSocketConnection()
        assert webSocket is not None
        webSocket.textMessageReceived.connect(webSocket.sendTextMessage)
        self.webSockets.append(webSocket)

    def fail(self) -> Planned:
        """What is to be raised now."""
        self.raised.append(Planned(len(self.raised)))
        return self.raised[-1]

    def streamsBody(self, request: HttpRequest) -> bool | int:
        if not request.path.endswith("/streamed"):
            return False
        return 50_000

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> Any:
        if request.isWebSocketUpgrade:
            return True
        exchange = Exchange(request, socket)
        self.exchanges.append(exchange)
        if exchange.behaviour in LATE:
            self.waiting.append(exchange)
        answer = getattr(self, f"do{exchange.behaviour.capitalize()}")(exchange)
        return True if answer is None else answer

    def doLater(self, exchange: Exchange) -> None:
        """Not now."""

    def doStream(self, exchange: Exchange) -> None:
        """It begins now."""
        exchange.socket.begin(headers=exchange.fields)

    async def doWait(self, exchange: Exchange) -> bool:
        """A coroutine."""
        await exchange.event
        exchange.respond()
        return True

    def doClaim(self, exchange: Exchange) -> bool:
        """No, but yes."""
        exchange.socket.claim()
        return False

    def doNow(self, exchange: Exchange) -> None:
        """At once."""
        exchange.respond()

    def doHint(self, exchange: Exchange) -> None:
        """An interim answer first."""
        exchange.socket.inform(103, {"Link": "</a>; rel=preload"})
        exchange.respond()

    def doPull(self, exchange: Exchange) -> None:
        """By a producer, more than a transport holds."""
        Pull(exchange, 20)

    def doRaise(self, exchange: Exchange) -> None:
        """Nothing."""
        raise self.fail()

    def doBreak(self, exchange: Exchange) -> None:
        """Half an answer."""
        exchange.socket.begin(headers=exchange.fields)
        exchange.socket.write(b"half")
        raise self.fail()

    def doMissing(self, exchange: Exchange) -> bool:
        """There is no such thing."""
        return False

    async def doRead(self, exchange: Exchange) -> bool:
        """When the content is there."""
        try:
            await exchange.request.content()
        finally:
            exchange.content.append("read")
        exchange.respond()
        return True

    def doDeliver(self, exchange: Exchange) -> None:
        """Likewise."""

        def done(how: str) -> None:
            exchange.content.append(how)
            exchange.respond()

        exchange.request.deliverBody(_Reader(done))

    async def doIterate(self, exchange: Exchange) -> bool:
        """Likewise, and an answer that begins before."""
        exchange.socket.begin(headers=exchange.fields)
        try:
            async for piece in exchange.request:
                exchange.socket.write(piece)
        finally:
            exchange.content.append("iterated")
        exchange.socket.finish()
        return True

    def doClose(self, exchange: Exchange) -> None:
        """The last one on its connection."""
        exchange.respond()
        exchange.socket.loseConnection()

    def doHangup(self, exchange: Exchange) -> None:
        """No answer."""
        exchange.socket.loseConnection()

    def doAbort(self, exchange: Exchange) -> None:
        """No answer, and no manners."""
        exchange.socket.abortConnection()

    def doShort(self, exchange: Exchange) -> None:
        """Less than was promised."""
        exchange.socket.begin(headers={"Content-Length": "5", **exchange.fields})
        exchange.socket.write(b"123")
        try:
            exchange.socket.loseConnection()
        except ValueError:
            raise self.fail() from None

    def configure(self, **configuration: Any) -> None:
        """Other limits."""
        self.setConfiguration(HttpServerConfiguration(**configuration))
