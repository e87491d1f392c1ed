"""The part of a server that its connections see: who is there, what is allowed, and who handles what."""

from __future__ import annotations

__all__ = ["Site"]

from asyncio import CancelledError as AsyncioCancelledError
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, DeferredList
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from ._admission import Admission
from ._awaitables import asDeferred, isAwaitable
from ._connection import HttpConnection
from ._intake import Intake
from ._ports import PortRegistry
from ._upgrades import Upgrades
from .configuration import Http2Configuration, HttpServerConfiguration
from .errors import HttpError
from .httpsocket import HttpSocket
from .request import HttpRequest
from .signals import Signal

_log = Logger()


class Site:
    """Fills `txabstracthttp._seams.Site`.

    It is an object of its own so that a subclass of the server can give its members any name it likes.
    """

    clock: IReactorTime

    def __init__(
        self,
        handle: Callable[[HttpRequest, HttpSocket], Any],
        streamsBody: Callable[[HttpRequest], bool | int],
        missingHandler: Signal,
        exchangeFinished: Signal,
        upgrades: Upgrades,
        ports: PortRegistry,
    ) -> None:
        self._handle = handle
        self._streamsBody = streamsBody
        self._missingHandler = missingHandler
        self.exchangeFinished = exchangeFinished
        self.upgrades = upgrades
        self.intake = Intake(ports, lambda: bool(self.connections))
        self.connections: set[HttpConnection] = set()
        self.http2Configuration = Http2Configuration()
        configuration = HttpServerConfiguration()
        self.admission = Admission(configuration, lambda: self.clock.seconds())  # noqa: PLW0108  # it comes later
        self._awaited: dict[Deferred[Any], HttpSocket] = {}
        self.emptied: Callable[[], None] | None = None
        self.configure(configuration)

    def configure(self, configuration: HttpServerConfiguration) -> None:
        """Apply `configuration`, to connections that are open too."""
        self.configuration = configuration
        self.serverField = configuration.serverHeader.encode("latin-1")
        self.admission.configure(configuration)
        self.upgrades.configuration = configuration
        self.upgrades.serverField = self.serverField
        for connection in self.connections:
            connection.configure(configuration)

    # Connections:

    def connectionOpened(self, connection: HttpConnection) -> None:
        """One more."""
        self.connections.add(connection)
        self.accepted(connection.transport)

    def accepted(self, transport: Any) -> None:
        """A descriptor is in use, though perhaps nobody to talk to yet."""
        self.intake.opened(transport, self.clock)

    def connectionDetached(self, connection: HttpConnection) -> None:
        """It counts until it is closed, but `close` leaves it alone."""
        self.connections.discard(connection)
        self._tellIfEmpty()

    def connectionClosed(self, connection: HttpConnection) -> None:
        """One less."""
        self.connections.discard(connection)
        self.intake.closed()
        self._tellIfEmpty()

    def _tellIfEmpty(self) -> None:
        if self.emptied is not None and not self.connections:
            self.emptied()

    # Requests:

    def contentPolicy(self, request: HttpRequest) -> tuple[bool, int | None] | None:
        """Ask the application how it wants content: whether streamed, and how much at most."""
        try:
            answer = self._streamsBody(request)
            if answer is False:
                return False, self.configuration.maximumBodySize
            if isinstance(answer, int) and answer >= 0:
                return True, None if answer is True else answer
            raise TypeError(f"streamsBody() returned {answer!r}, not a bool or a number of octets")
        except Exception:
            _log.failure("{request!r}: streamsBody() failed", request=request)
            return None

    def dispatch(self, request: HttpRequest, socket: HttpSocket) -> None:
        """Have a request handled, and see to it that it is answered."""
        try:
            if request.upgrade and request.isWebSocketUpgrade:
                result = self.upgrades.handle(request, socket)
            else:
                result = self._handle(request, socket)
        except Exception:
            return self.handlingFailed(Failure(), request, socket)
        if result is not True:
            self._conclude(result, request, socket)

    def _conclude(self, result: object, request: HttpRequest, socket: HttpSocket) -> None:
        """Anything a handler may return but True."""
        if result is False:
            self._missing(request, socket)
        elif isAwaitable(result):
            handling = self._await(asDeferred(result), socket)
            handling.addCallback(self._settled, request, socket)
            handling.addErrback(self.handlingFailed, request, socket)
        elif result is not None or not socket.isClaimed:
            mistake = TypeError(f"handleRequest() returned {result!r} for {request!r}, not True or False")
            self.handlingFailed(Failure(mistake), request, socket)

    def _await(self, awaited: Deferred[Any], socket: HttpSocket) -> Deferred[Any]:
        """Remember what is waited for, so that it can be cancelled, until it has its result."""
        socket.handling = awaited
        self._awaited[awaited] = socket
        return awaited.addBoth(self._forget, awaited, socket)

    def _forget(self, result: Any, awaited: Deferred[Any], socket: HttpSocket) -> Any:
        socket.handling = None
        self._awaited.pop(awaited, None)
        return result

    def cancelHandlers(self) -> None:
        """Cancel every handler and observer that is still awaited, also those whose client has gone.

        Not those who have taken their connection for themselves: the end of HTTP is not theirs.
        """
        for awaited, socket in list(self._awaited.items()):
            if not socket.isDetached:
                awaited.cancel()

    def _settled(self, result: object, request: HttpRequest, socket: HttpSocket) -> object:
        if result is not True:
            self._conclude(result, request, socket)
        return result

    def handlingFailed(
        self, failure: Failure, request: HttpRequest | None, socket: HttpSocket | None
    ) -> None:
        """500 if nothing was sent, else an abort; `socket` is None where the exchange is over.

        That a handler was cancelled, or that content was cut short by a peer that left, is news to nobody.
        """
        isOver = socket is None or socket.isAnswered
        if isOver and isinstance(failure.value, CancelledError | AsyncioCancelledError | ConnectionLost):
            return None
        if isinstance(failure.value, HttpError) and socket is not None:
            return socket.fail(failure.value.status)
        _log.failure("{request!r} could not be handled", failure, request=request)
        if socket is not None:
            socket.fail()

    def _missing(self, request: HttpRequest, socket: HttpSocket) -> None:
        answers = self._missingHandler.emit(request, socket)
        if answers:
            waiting = self._await(DeferredList(answers), socket)
            waiting.addCallback(lambda _: self._notFound(socket))
        else:
            self._notFound(socket)

    def _notFound(self, socket: HttpSocket) -> None:
        if not socket.isClaimed:
            socket.refuse(404)
