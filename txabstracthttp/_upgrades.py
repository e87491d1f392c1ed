"""The WebSocket half of a server: who may have one, and who takes it."""

from __future__ import annotations

__all__ = ["Upgrades"]

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from ._awaitables import asDeferred, isAwaitable
from ._events import Fields
from .configuration import HttpServerConfiguration
from .errors import HttpError
from .httpsocket import HttpSocket
from .request import HttpRequest
from .semantics import errorPage, standardFields
from .signals import Signal
from .upgrade import WebSocketUpgrade
from .wire.handshake import (
    Handshake,
    VersionRefused,
    acceptance,
    isOriginAllowed,
    readHandshake,
)

if TYPE_CHECKING:
    from .websocket import WebSocket, WebSocketFactory

Verifier = Callable[[HttpRequest], WebSocketUpgrade | Awaitable[WebSocketUpgrade]]
Handler = Callable[[HttpRequest, HttpSocket], Any]

_log = Logger()


class Upgrades:
    """Decides about upgrades, and keeps the WebSockets that nobody has taken yet.

    :ivar connected: emitted each time a WebSocket becomes available.
    :ivar closed: the server closes, and takes no more.
    """

    clock: IReactorTime

    def __init__(self, handle: Handler, protocol: Callable[[], type[Any] | None]) -> None:
        """
        :param handle: decides where there is no verifier.
        :param protocol: the class of the WebSockets; None is our own.
        """
        self._handle = handle
        self._protocol = protocol
        self._verifiers: list[Verifier] = []
        self._queue: DeferredQueue[WebSocket] = DeferredQueue()
        self._awaited = False
        self._factory: WebSocketFactory | None = None
        self.connected = Signal()
        self.closed = False
        self.serverField = b""
        self.configuration = HttpServerConfiguration()

    # What an application asks:

    def addVerifier(self, verifier: Verifier) -> None:
        """One more who decides."""
        if not callable(verifier):
            raise TypeError(f"a verifier is a callable, not {verifier!r}")
        self._verifiers.append(verifier)

    @property
    def hasPending(self) -> bool:
        """Whether a WebSocket waits to be taken."""
        return bool(self._queue.pending)

    def takePending(self) -> WebSocket | None:
        """The one that has waited longest."""
        return self._queue.pending.pop(0) if self._queue.pending else None

    def whenConnected(self) -> Deferred[WebSocket]:
        """The next one, now or later."""
        self._awaited = True
        return self._queue.get()

    # What becomes of a request; with the contract of `handleRequest`:

    def handle(self, request: HttpRequest, socket: HttpSocket) -> Any:
        """Decide about an upgrade, and carry it out."""
        if not (self._awaited or self._verifiers or self.connected.wasEverConnected):
            return False
        try:
            handshake = readHandshake(request)
        except VersionRefused as error:
            socket.refuse(error.status, error.fields)
            return True
        allowed = self.configuration.allowedOrigins
        if not isOriginAllowed(handshake.origin, request.authority, allowed):
            raise HttpError(403, "a page of that origin may not open a WebSocket here")
        if self._verifiers:
            return self._verify(request, socket, handshake)
        return self._ask(request, socket, handshake)

    async def _verify(self, request: HttpRequest, socket: HttpSocket, handshake: Handshake) -> bool:
        for verifier in tuple(self._verifiers):
            answer = verifier(request)
            if isAwaitable(answer):
                answer = await asDeferred(answer)
            if not isinstance(answer, WebSocketUpgrade):
                raise TypeError(f"the verifier {verifier!r} returned {answer!r}, not a WebSocketUpgrade")
            if answer.outcome == "accept":
                await self._accept(request, socket, handshake, answer)
                return True
            if answer.outcome == "deny":
                _deny(socket, answer)
                return True
        return False

    async def _ask(self, request: HttpRequest, socket: HttpSocket, handshake: Handshake) -> Any:
        answer = self._handle(request, socket)
        if isAwaitable(answer):
            answer = await asDeferred(answer)
        if answer is True and not socket.isClaimed:
            await self._accept(request, socket, handshake, WebSocketUpgrade.accept())
        return answer

    async def _accept(
        self, request: HttpRequest, socket: HttpSocket, handshake: Handshake, upgrade: WebSocketUpgrade
    ) -> None:
        webSocket = self._makeWebSocket()
        subprotocol, fields = _merge(upgrade, await webSocket.consult(request, handshake))
        if subprotocol is not None and subprotocol not in handshake.protocols:
            raise ValueError(f"the client did not offer the subprotocol {subprotocol!r}")
        if not socket.isUntouched:
            # The client has left, or somebody has answered after all.
            return None
        if self.closed or not self._hasRoom():
            return socket.refuse(503)
        extensions = webSocket.negotiate(handshake.extensions)
        answer = _handshakeFields(handshake, subprotocol, extensions)
        given = {name.lower() for name, _ in fields}
        standard = [each for each in standardFields(None, self.serverField) if each[0].lower() not in given]
        channel = socket.switchProtocols([*standard, *answer, *fields])
        try:
            webSocket.configuration = self.configuration
            webSocket.open(channel, subprotocol)
        except BaseException:
            channel.abortConnection()
            raise
        self._offer(webSocket)
        channel.begin(webSocket)

    def _makeWebSocket(self) -> WebSocket:
        if self._factory is None or self._factory.configuration is not self.configuration:
            from .websocket import WebSocketFactory

            self._factory = WebSocketFactory(self.clock, self.configuration)
        return self._factory.make(self._protocol())

    # The queue:

    def _hasRoom(self) -> bool:
        """Whether one more may wait; what only waits to be read gives way, the oldest first."""
        most = self.configuration.maximumPendingWebSockets
        pending = self._queue.pending
        if self._queue.waiting or most is None:
            return True
        for webSocket in [each for each in pending if each.isClosed]:
            if len(pending) >= most:
                pending.remove(webSocket)
        return len(pending) < most

    def _offer(self, webSocket: WebSocket) -> None:
        webSocket.left = lambda: self._left(webSocket)
        self._queue.put(webSocket)
        self.connected.emit()

    def _left(self, webSocket: WebSocket) -> None:
        webSocket.left = None
        if webSocket in self._queue.pending and not webSocket.hasUnread:
            self._queue.pending.remove(webSocket)


def _deny(socket: HttpSocket, upgrade: WebSocketUpgrade) -> None:
    body, headers = upgrade.body, upgrade.headers
    if body is None:
        body, headers = errorPage(upgrade.status, headers)
    socket.respond(body, upgrade.status, headers)


def _merge(upgrade: WebSocketUpgrade, asked: Any) -> tuple[str | None, Fields]:
    """What was accepted, and what Autobahn's `onConnect` has to add: a subprotocol, or that and fields."""
    subprotocol, headers = (*asked, None)[:2] if isinstance(asked, tuple) else (asked, None)
    more = {name: _listed(value) for name, value in (headers or {}).items()}
    added = WebSocketUpgrade.accept(subprotocol, more)
    return upgrade.subprotocol or added.subprotocol, upgrade.fields + added.fields


def _listed(value: Any) -> Any:
    if isinstance(value, bytes):
        raise TypeError(f"a header's value is a str, not {value!r}")
    return value if isinstance(value, str) else [str(each) for each in value]


def _handshakeFields(handshake: Handshake, subprotocol: str | None, extensions: str | None) -> Fields:
    """RFC 6455 section 4.2.2; HTTP/2 has no use for the first three (RFC 8441 section 5)."""
    fields: Fields = []
    if handshake.key:
        fields.append((b"Upgrade", b"websocket"))
        fields.append((b"Connection", b"Upgrade"))
        fields.append((b"Sec-WebSocket-Accept", acceptance(handshake.key)))
    if subprotocol is not None:
        fields.append((b"Sec-WebSocket-Protocol", subprotocol.encode("ascii")))
    if extensions is not None:
        fields.append((b"Sec-WebSocket-Extensions", extensions.encode("ascii")))
    return fields
