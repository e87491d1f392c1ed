"""Autobahn's protocol, adopted: what our parser has read it is told, and what it lacks it gets (RFC 6455).

Autobahn has an ample interface of its own, and names of it are used here that it does not promise to keep.
They are all in this room: `prepare` and `open` stand for its handshake, `dataReceived` for its reading.
"""

from __future__ import annotations

__all__ = ["Adopted", "AdoptingFactory"]

from typing import Any, Self, cast

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.websocket.compress import (
    PerMessageDeflate,
    PerMessageDeflateOffer,
    PerMessageDeflateOfferAccept,
)
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from autobahn.websocket.xormasker import create_xor_masker  # type: ignore[attr-defined]
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from ._awaitables import asDeferred, isAwaitable
from ._deadlines import Deadlines
from .configuration import HttpServerConfiguration
from .errors import HttpError
from .request import HttpRequest
from .wire.frames import dataFrame, frameEnd, shortMessage
from .wire.handshake import Handshake, Parameters
from .wire.utf8 import Utf8Checker

#: How many pieces of a message are kept before they are joined: each is an object of its own.
PIECES = 512
#: What may follow the final block of a compressed message: an empty one, and what Autobahn adds.
UNUSED = 64

#: Autobahn's callbacks for those who want a message in parts.
_STEPS = (
    "onMessageBegin",
    "onMessageFrameBegin",
    "onMessageFrameData",
    "onMessageFrameEnd",
    "onMessageFrame",
    "onMessageEnd",
)

_log = Logger()


class Adopted(WebSocketServerProtocol):
    """A WebSocket on a `txabstracthttp._seams.Channel`, with deadlines on the server's clock.

    :ivar request: the request that opened it.
    :ivar subprotocol: the one that was agreed upon, or None.
    """

    transport: Any
    factory: AdoptingFactory
    configuration: HttpServerConfiguration
    request: HttpRequest
    subprotocol: str | None = None
    autoFragmentSize: int
    _isMessageCompressed: bool
    _perMessageCompress: Any
    maxMessagePayloadSize: int

    def __new__(cls, *arguments: Any, **more: Any) -> Self:
        """Not in `__init__`: a class of Autobahn's kind may call that of Autobahn, by its name."""
        self = super().__new__(cls)
        self._setUp()
        return self

    def _setUp(self) -> None:
        self._isLost = False
        self._heard = self._hasFailed = False
        self._owedPong: bytes | None = None
        self._takesParts = any(getattr(type(self), name) is not getattr(Adopted, name) for name in _STEPS)

    # The beginning:

    def prepare(self, request: HttpRequest, handshake: Handshake) -> ConnectionRequest:
        """Set what Autobahn would have read; called by the server.

        :return: what `onConnect` is to be called with.
        """
        self.request = request
        self.peer = _describe(request.remoteAddress)
        self.http_headers = {name.lower(): request.value(name) for name, _ in request.headers.items()}
        self.http_request_uri = request.target.decode("latin-1")
        self.http_request_path = request.path
        self.http_request_params = {name: request.query.getAll(name) for name in request.query}
        self.http_request_host = request.authority.decode("latin-1")
        self.http_status_line = f"{request.method} {self.http_request_uri} HTTP/{request.version}"
        self.http_request_data = b""
        self.websocket_version = 13
        self.websocket_origin = handshake.origin or ""
        self.websocket_protocols = handshake.protocols
        self.websocket_extensions = handshake.extensions
        return ConnectionRequest(
            self.peer,
            self.http_headers,
            self.http_request_host,
            self.http_request_path,
            self.http_request_params,
            13,
            self.websocket_origin,
            self.websocket_protocols,
            self.websocket_extensions,
        )

    async def consult(self, request: HttpRequest, handshake: Handshake) -> Any:
        """Ask `onConnect`, which an application may have overridden.

        :raises HttpError: it denies the connection.
        """
        try:
            answer = self.onConnect(self.prepare(request, handshake))
            return await asDeferred(answer) if isAwaitable(answer) else answer
        except ConnectionDeny as denial:
            status = denial.code if 400 <= denial.code <= 599 else 403
            raise HttpError(status, "denied by onConnect()") from denial

    def negotiate(self, offers: list[tuple[str, Parameters]]) -> str | None:
        """Choose an extension (RFC 7692 section 5); called by the server.

        :return: the Sec-WebSocket-Extensions that says so, or None.
        """
        self._chosen = _acceptDeflate(offers) if self.configuration.perMessageDeflate else None
        return None if self._chosen is None else cast("str", self._chosen.get_extension_string())

    def open(self, channel: Any, subprotocol: str | None) -> None:
        """The handshake is done; called by the server."""
        self._deadlines = Deadlines(self.factory.reactor, self._expired)
        self.makeConnection(channel)
        self.subprotocol = self.websocket_protocol_in_use = subprotocol
        self.websocket_extensions_in_use = []
        if self._chosen is not None:
            self._perMessageCompress = PerMessageDeflate.create_from_offer_accept(True, self._chosen)
            self.websocket_extensions_in_use.append(self._perMessageCompress)
        self.utf8validator = Utf8Checker()  # type: ignore[assignment]
        self.state = self.STATE_OPEN
        self.inside_message = False
        self.current_frame: Any = None
        self.configure(self.configuration)
        self._onOpen()
        self.is_open.callback(None)

    def configure(self, configuration: HttpServerConfiguration) -> None:
        """Other limits and deadlines apply from now on."""
        self.configuration = configuration
        self._limit = configuration.maximumWebSocketMessageSize
        self.maxMessagePayloadSize = self._limit or 0
        if self.state == self.STATE_CLOSING:
            self._deadlines.set("close", configuration.closeTimeout)
        elif configuration.webSocketPingInterval:
            self._deadlines.set("ping", configuration.webSocketPingInterval)
        else:
            self._deadlines.clear("ping")

    # What the channel says:

    def dataReceived(self, data: bytes) -> None:
        """Octets from the peer."""
        self._heard = True
        try:
            self._receiveFrames(data)
        except Exception:
            # A callback for a part of a message, say.  Autobahn is in the middle of something now.
            self.failed(Failure())
            self.dropConnection(abort=False)

    def _receiveFrames(self, data: bytes) -> None:
        """Frame by frame, the plain ones here, the others by Autobahn."""
        place, available = 0, len(data)
        while place < available and self.state != self.STATE_CLOSED:
            end = self._nextStop(data, place)
            whole = 0 < end <= available and self.current_frame is None and not self.data
            message = shortMessage(data, place, end, _unmask) if whole and self._isPlain else None
            if message is None or (self._limit is not None and end - place > self._limit):
                end = min(end, available) if end else available
                self._dataReceived(data[place:end])
                self._skipRefused()
            else:
                self._deliver(message)
            place = end

    def _nextStop(self, data: bytes, place: int) -> int:
        """Where the frame ends that is arriving."""
        if self.current_frame is not None:
            return place + cast("int", self.current_frame.length - self.current_frame_masker.pointer())
        # A header that came in pieces is completed by the octet.
        return place + 1 if self.data else frameEnd(data, place)

    def _skipRefused(self) -> None:
        # Autobahn stays in a frame that it could not inflate, and keeps all that follows.
        frame = self.current_frame
        if self.failedByMe and frame is not None and self.current_frame_masker.pointer() >= frame.length:
            self.current_frame = None

    @property
    def _isPlain(self) -> bool:
        """Whether nobody wants to see more of the next message than its content."""
        return (
            self.state == self.STATE_OPEN
            and not self.inside_message
            and not self._takesParts
            and not self._isListenedTo
        )

    @property
    def _isListenedTo(self) -> bool:
        """Whether somebody takes messages by Autobahn's own signal."""
        return bool(self._listeners and self._listeners.get("message"))

    def lost(self, reason: Failure) -> None:
        """The channel is gone; by a name that nobody overrides."""
        if self._isLost:
            return
        self._isLost = True
        try:
            self._call(self.connectionLost, reason)
        finally:
            self._deadlines.stop()
            self._finish()

    def _finish(self) -> None:
        """That was the end."""

    def outputFree(self) -> None:
        """The peer takes again what it is sent."""
        pong, self._owedPong = self._owedPong, None
        if pong is not None:
            self.sendPong(pong)

    def goAway(self) -> None:
        """The server closes: so say it (section 7.4.1)."""
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code=1001)

    # What Autobahn says, and an application may override; its failure is the end of this WebSocket only.

    def _deliver(self, message: str | bytes) -> None:
        """A message that was read here."""
        isBinary = isinstance(message, bytes)
        self._onMessage(message if isinstance(message, bytes) else message.encode(), isBinary)

    @property
    def isOpen(self) -> bool:
        """Whether messages can be sent; not so from the first close frame on, whoever sends it."""
        return bool(self.state == self.STATE_OPEN)

    @property
    def isReluctant(self) -> bool:
        """Whether it is not the peer's fault that nothing of it is heard."""
        return False

    def _onMessage(self, payload: bytes, isBinary: bool) -> None:
        self._call(self.onMessage, payload, isBinary)

    def _onOpen(self) -> None:
        self._call(self.onOpen)

    def _onPing(self, payload: bytes) -> None:
        self._call(self.onPing, payload)

    def _onPong(self, payload: bytes) -> None:
        self._call(self.onPong, payload)

    def _onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self._call(self.onClose, wasClean, code, reason)

    def _call(self, callback: Any, *args: Any) -> None:
        """Call what an application may have overridden: its failure is the end of this WebSocket only."""
        if self._hasFailed and callback not in (self.onClose, self.connectionLost):
            return
        try:
            result = callback(*args)
        except Exception:
            self.failed(Failure())
        else:
            if isAwaitable(result):
                asDeferred(result).addErrback(self.failed)

    def failed(self, failure: Failure) -> None:
        """Something of the application's failed: that is the end of this WebSocket, and of nothing else."""
        _log.failure("{webSocket!r}: a callback failed", failure, webSocket=self)
        self._hasFailed = True
        if self.state == self.STATE_OPEN:
            self.failedByMe = True
            self.sendCloseFrame(code=1011, reasonUtf8=b"internal error")

    def onPing(self, payload: bytes) -> None:
        """Answered with a pong; only the last one, if the peer does not read (section 5.5.3)."""
        if self.transport.isBlocked:
            self._owedPong = payload
        else:
            super().onPing(payload)

    def onMessageFrameBegin(self, length: int) -> None:
        """A limit of 0 octets, which is none to Autobahn, is one to us."""
        super().onMessageFrameBegin(length)
        if self._limit == 0 and length and not self.failedByMe:
            self._max_message_size_exceeded(length, 0, "no message may have any content")

    def onMessageFrameData(self, payload: bytes) -> None:
        """Pieces of a frame; a peer that sends it by the octet must not make us keep an object for each."""
        super().onMessageFrameData(payload)
        if self._isMessageCompressed:
            self._checkInflater()
        _join(self.frame_data)

    def _checkInflater(self) -> None:
        """A block may say that it is the last (RFC 7692 section 7.2.3.4); zlib keeps whatever follows."""
        inflater = self._perMessageCompress._decompressor
        if inflater.eof and len(inflater.unused_data) > UNUSED and not self.failedByMe:
            self._invalid_payload("more behind a final block")

    def onMessageFrame(self, payload: Any) -> None:
        """Fragments of a message, likewise."""
        super().onMessageFrame(payload)
        _join(self.message_data)

    def onMessageEnd(self) -> None:
        """The message is complete; Autobahn's own signal of it is for those who asked for it."""
        if self._isMessageCompressed and self._perMessageCompress._decompressor.eof:
            # The next message has to begin anew.
            self._perMessageCompress._decompressor = None
        if self._isListenedTo:
            super().onMessageEnd()
        else:
            if not self.failedByMe:
                self._onMessage(b"".join(self.message_data), self.message_is_binary)
            self.message_data = []

    def sendMessage(
        self,
        payload: bytes,
        isBinary: bool = False,
        fragmentSize: int | None = None,
        sync: bool = False,
        doNotCompress: bool = False,
    ) -> None:
        """Send a message, a plain one without a detour.

        The limit is one for what the peer sends, and not for this.
        """
        isPlain = not (fragmentSize or self.autoFragmentSize or sync or self.send_queue)
        if isPlain and self._perMessageCompress is None and self.isOpen and type(payload) is bytes:
            self.transport.write(dataFrame(payload, isBinary))
            return
        limit, self.maxMessagePayloadSize = self.maxMessagePayloadSize, 0
        try:
            super().sendMessage(payload, isBinary, fragmentSize, sync, doNotCompress)
        finally:
            self.maxMessagePayloadSize = limit

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Let `producer` send, at the pace of the peer; behind a close frame it is told to stop."""
        if self.isOpen:
            super().registerProducer(producer, streaming)
        else:
            producer.stopProducing()

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """Write; Autobahn's own does more for its log than for its data."""
        if chopsize or sync or self.send_queue:
            super().sendData(data, sync, chopsize)
        else:
            self.transport.write(data)

    def sendCloseFrame(
        self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False
    ) -> None:
        """From now on the end is waited for, but not for ever."""
        super().sendCloseFrame(code, reasonUtf8, isReply)
        if self.state == self.STATE_CLOSING:
            for name in ("ping", "pong"):
                self._deadlines.clear(name)
            self._deadlines.set("close", self.configuration.closeTimeout)
            self.transport.stopProduction()
            # The peer's own close frame may be behind messages that nobody takes.
            self.transport.resumeProducing()

    def dropConnection(self, abort: bool = False) -> None:
        """Autobahn forgets its producer, but does not tell it."""
        self.transport.stopProduction()
        super().dropConnection(abort)

    def _closeConnection(self, abort: bool = False) -> None:
        if abort and not self.wasClean:
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()

    # Deadlines:

    def _expired(self, name: str) -> None:
        configuration = self.configuration
        if name == "ping":
            self._deadlines.set("ping", configuration.webSocketPingInterval or 1)
            if self._heard:
                self._deadlines.clear("pong")
            elif not self.transport.isBlocked:
                self.sendPing()
                if "pong" not in self._deadlines:
                    self._deadlines.set("pong", configuration.webSocketPingTimeout)
            self._heard = False
        elif name == "close" and self.transport.isWriting:
            # It takes its time to read what comes before; while it moves, `writeTimeout` is content.
            self._deadlines.set("close", configuration.closeTimeout)
        elif name == "close" or not (self._heard or self.isReluctant or self.transport.isBlocked):
            self.wasNotCleanReason = (
                f"the peer did not answer a {'ping' if name == 'pong' else 'close'} in time"
            )
            self.dropConnection(abort=True)


class AdoptingFactory(WebSocketServerFactory):
    """What the WebSockets of one server have in common: Autobahn's options, all on the safe side."""

    def __init__(self, reactor: IReactorTime, configuration: HttpServerConfiguration) -> None:
        super().__init__(reactor=reactor)
        self.configuration = configuration
        self.setProtocolOptions(
            webStatus=False,
            failByDrop=False,
            echoCloseCodeReason=True,
            # Ours are counted on the server's own clock.
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
            autoPingInterval=0,
        )


def _describe(address: object) -> str:
    """A peer, in Autobahn's words."""
    if isinstance(address, IPv4Address | IPv6Address):
        return f"tcp{4 if isinstance(address, IPv4Address) else 6}:{address.host}:{address.port}"
    return "unix"


def _acceptDeflate(offers: list[tuple[str, Parameters]]) -> PerMessageDeflateOfferAccept | None:
    """The first offer of permessage-deflate that can be met."""
    for name, parameters in offers:
        if name == "permessage-deflate":
            try:
                return PerMessageDeflateOfferAccept(PerMessageDeflateOffer.parse(parameters))
            except Exception as error:
                # Autobahn raises nothing more exact; section 7 lets us decline what we cannot do.
                _log.debug("declined {parameters}: {error}", parameters=parameters, error=error)
    return None


def _unmask(mask: bytes, payload: bytes) -> bytes:
    return cast("bytes", create_xor_masker(mask, len(payload)).process(payload))


def _join(pieces: list[bytes] | None) -> None:
    if pieces is not None and len(pieces) > PIECES:
        pieces[:] = [b"".join(pieces)]
