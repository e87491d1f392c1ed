"""Servers whose application fails, each in another place: the cases of `test_faults_hooks`."""

from __future__ import annotations

__all__ = ["Failing", "cases"]

import asyncio
from typing import Any, ClassVar

from connectionhelpers import SteadyClock
from hardening.faults import Planned
from hardening.faultsvisit import Visitor
from twisted.internet.defer import Deferred, fail
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from txabstracthttp import AbstractHttpServer, ExchangeRecord, HttpRequest, HttpSocket


class Failing(AbstractHttpServer):
    """A server that fails somewhere; each subclass in another place.

    :ivar answer: what the client gets: a status, or "abort"; on HTTP/2 as on HTTP/1.
    """

    answer: ClassVar[int | str] = 500

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> Any:
        if request.path != "/fine":
            return self.handle(request, socket)
        socket.respond("fine")
        return True

    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        """What is asked for."""
        socket.respond("ok")
        return True

    def visited(self, visitor: Visitor) -> None:
        """What the client does."""
        visitor.ask()


class Handler(Failing):
    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        raise Planned


class HandlerOfContent(Handler):
    def visited(self, visitor: Visitor) -> None:
        visitor.ask(body=b"content")


class HandlerBegun(Failing):
    answer: ClassVar[int | str] = "abort"

    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        socket.begin()
        raise Planned


class HandlerWritten(Failing):
    answer: ClassVar[int | str] = "abort"

    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        socket.write(b"half")
        raise Planned


class HandlerFinished(Failing):
    answer: ClassVar[int | str] = 200

    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        socket.respond("whole")
        raise Planned


class HandlerClaimed(Failing):
    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        socket.claim()
        raise Planned


class HandlerInformed(Failing):
    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        socket.inform(103)
        raise Planned


class Coroutine(Failing):
    async def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        raise Planned


class LateCoroutine(Failing):
    async def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        await self.pause()
        raise Planned

    def pause(self) -> Deferred[None]:
        """As an application would wait."""
        self.waiting: Deferred[None] = Deferred()
        return self.waiting

    def visited(self, visitor: Visitor) -> None:
        visitor.ask()
        self.waiting.callback(None)


class CoroutineBegun(LateCoroutine):
    answer: ClassVar[int | str] = "abort"

    async def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        socket.write(b"half")
        await self.pause()
        raise Planned


class CoroutineFinished(LateCoroutine):
    answer: ClassVar[int | str] = 200

    async def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        socket.respond("ok")
        await self.pause()
        raise Planned


class CoroutineForsaken(LateCoroutine):
    """Its client has gone."""

    answer: ClassVar[int | str] = "abort"

    def visited(self, visitor: Visitor) -> None:
        visitor.ask()
        visitor.leave()
        self.waiting.callback(None)


class FailedDeferred(Failing):
    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        return fail(Planned())


class StreamsBody(Failing):
    def streamsBody(self, request: HttpRequest) -> bool:
        raise Planned

    def visited(self, visitor: Visitor) -> None:
        visitor.ask(body=b"content")


class MissingHandler(Failing):
    """Defined as Qt has it."""

    answer: ClassVar[int | str] = 404

    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        return False

    def missingHandler(self, request: HttpRequest, socket: HttpSocket) -> Any:  # type: ignore[override]
        raise Planned


class MissingHandlerCoroutine(MissingHandler):
    async def missingHandler(self, request: HttpRequest, socket: HttpSocket) -> Any:  # type: ignore[override]
        raise Planned


class ExchangeFinished(Failing):
    answer: ClassVar[int | str] = 200

    def __init__(self, clock: SteadyClock) -> None:
        super().__init__(clock)
        self.exchangeFinished.connect(self.note)

    def note(self, record: ExchangeRecord) -> Any:
        """An observer."""
        if record.request is not None and record.request.path != "/fine":
            raise Planned


class ExchangeFinishedCoroutine(ExchangeFinished):
    async def note(self, record: ExchangeRecord) -> Any:
        if record.request is not None and record.request.path != "/fine":
            raise Planned


class NotifyFinish(Failing):
    answer: ClassVar[int | str] = 200

    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        socket.notifyFinish().addCallback(self.fail)
        socket.respond("ok")
        return True

    def fail(self, result: object) -> None:
        """A callback."""
        raise Planned


class NotifyLoss(NotifyFinish):
    answer: ClassVar[int | str] = "abort"

    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        socket.notifyFinish().addErrback(self.fail)
        return True

    def visited(self, visitor: Visitor) -> None:
        visitor.ask()
        visitor.leave()


# Producers:


class Pull(Failing):
    answer: ClassVar[int | str] = "abort"

    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        self.socket: HttpSocket | None = socket
        socket.registerProducer(self, False)
        return True

    def resumeProducing(self) -> None:
        """The first piece."""
        raise Planned

    def stopProducing(self) -> None:
        """The peer has gone."""

    def visited(self, visitor: Visitor) -> None:
        visitor.ask()
        self.socket = None


class SecondPull(Pull):
    def resumeProducing(self) -> None:
        assert self.socket is not None
        socket, self.socket = self.socket, None
        socket.write(b"piece")
        self.resumeProducing = self.refuse  # type: ignore[method-assign]

    def refuse(self) -> None:
        """The second piece."""
        raise Planned

    def visited(self, visitor: Visitor) -> None:
        visitor.ask()
        visitor.turn()


class PullStopped(Pull):
    def resumeProducing(self) -> None:
        assert self.socket is not None
        self.socket.write(bytes(300_000))

    def stopProducing(self) -> None:
        raise Planned

    def visited(self, visitor: Visitor) -> None:
        visitor.transport.stuck = True
        visitor.ask()
        visitor.leave()
        self.socket = None


class Push(Failing):
    """Paused as soon as it has written."""

    answer: ClassVar[int | str] = "abort"

    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        socket.registerProducer(self, True)
        socket.write(bytes(100_000))
        return True

    def pauseProducing(self) -> None:
        """The peer does not read."""
        raise Planned

    def resumeProducing(self) -> None:
        """It does."""

    def stopProducing(self) -> None:
        """It has gone."""

    def visited(self, visitor: Visitor) -> None:
        visitor.transport.stuck = True
        visitor.ask()
        visitor.transport.stuck = False
        visitor.transport.release()


class PushResumed(Push):
    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        raise Planned


class PushStopped(Push):
    def pauseProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        raise Planned

    def visited(self, visitor: Visitor) -> None:
        visitor.transport.stuck = True
        visitor.ask()
        visitor.leave()


class PushStoppedAtTheEnd(Push):
    answer: ClassVar[int | str] = 200

    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        socket.registerProducer(self, True)
        socket.finish()
        return True

    def stopProducing(self) -> None:
        raise Planned


# Readers of content:


class Reader(Failing, Protocol):
    """It is its own reader, as a part of many applications is."""

    def streamsBody(self, request: HttpRequest) -> bool:
        return request.path != "/fine"

    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        request.deliverBody(self)
        return True

    def makeConnection(self, transport: Any) -> None:
        pass

    def dataReceived(self, data: bytes) -> None:
        raise Planned

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        pass

    def visited(self, visitor: Visitor) -> None:
        visitor.ask(body=b"content")


class ReaderConnected(Reader):
    def makeConnection(self, transport: Any) -> None:
        raise Planned


class LateReader(Reader):
    def visited(self, visitor: Visitor) -> None:
        visitor.ask(body=b"", length=7)
        visitor.more(b"content")


class ReaderAtTheEnd(LateReader):
    def dataReceived(self, data: bytes) -> None:
        pass

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        raise Planned


class ReaderCut(ReaderAtTheEnd):
    answer: ClassVar[int | str] = "abort"

    def visited(self, visitor: Visitor) -> None:
        visitor.ask(body=b"cont", length=7)
        visitor.leave()


class ReaderOfAnswered(ReaderAtTheEnd):
    """Nobody waits for what it reads."""

    answer: ClassVar[int | str] = 200

    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        request.deliverBody(self)
        socket.respond("ok")
        return True


class Iteration(Reader):
    async def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        async for _ in request:
            raise Planned


class Content(Reader):
    async def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        await request.content()
        raise Planned


# What Python itself raises:


class Cancelled(Failing):
    """By itself, and not since anybody asked for it."""

    error: ClassVar[type[BaseException]] = asyncio.CancelledError

    async def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        raise self.error


class CancelledByTwisted(Failing):
    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        awaited: Deferred[None] = Deferred()
        awaited.cancel()
        return awaited


class Exiting(Cancelled):
    error = GeneratorExit


def cases(kind: type[Failing] = Failing) -> list[type[Failing]]:
    """All there are, but for what only others are made of."""
    return [each for kind_ in kind.__subclasses__() for each in (kind_, *cases(kind_))]
