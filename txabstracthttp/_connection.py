"""One connection: octets from the transport to the wire, requests to the server, answers back.

What may happen next depends on `_phase`; what must happen in time stands in `_deadlines`.
"""

from __future__ import annotations

__all__ = ["HttpConnection", "Site"]

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableDescriptor,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
)
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from ._addresses import normalise
from ._admission import Admission
from ._boundaries import Wire
from ._deadlines import Deadlines
from ._events import BodyData, BodyEnd, Event, PeerError
from ._outlet import outletFor
from .configuration import HttpServerConfiguration
from .httpsocket import HttpSocket
from .records import ExchangeRecord
from .request import ConnectionInfo, HttpRequest
from .semantics import errorResponse, frameContent
from .signals import Signal
from .wire.http1 import Http1Wire

#: What is kept of requests sent ahead before reading stops; a paused transport hides that a peer has left.
READ_AHEAD = 64 * 1024
#: Answers to pipelined requests are collected up to about this size, then written.
WRITE_BATCH = 64 * 1024
#: RFC 9112 section 9.6: what is still read, so that the peer can read our last words, and for how long.
LINGER_SIZE = 64 * 1024
LINGER_TIME = 2.0
#: `minimumBodyRate` is measured over windows of this many seconds.
RATE_WINDOW = 10.0

#: The life of a connection.  SHAKING: TLS first.  SERVING: requests and answers.  LINGERING: the last answer
#: is out, what comes is thrown away.  CLOSING: the transport was told to go.
SHAKING, SERVING, LINGERING, CLOSING = range(4)


class Site(Protocol):
    """What a connection needs of its server.

    :ivar exchangeFinished: emitted with an `ExchangeRecord` when a response is out.
    """

    clock: IReactorTime
    admission: Admission
    exchangeFinished: Signal
    serverField: bytes

    @property
    def configuration(self) -> HttpServerConfiguration:
        """The limits in force."""

    def dispatch(self, request: HttpRequest, socket: HttpSocket) -> None:
        """Have a whole request handled.  Never raises."""

    def connectionOpened(self, connection: HttpConnection) -> None:
        """One more."""

    def connectionClosed(self, connection: HttpConnection) -> None:
        """One less."""


@implementer(IHalfCloseableProtocol, IHandshakeListener, IPushProducer)
class HttpConnection(TwistedProtocol):
    """One connection of an `AbstractHttpServer`."""

    transport: Any
    wire: Wire

    def __init__(self, site: Site) -> None:
        self._site = site
        self._phase = SHAKING
        #: The exchange that waits for its answer.
        self._exchange: HttpSocket | None = None
        #: The request whose content is arriving, and what came of it.
        self._incoming: HttpRequest | None = None
        self._pieces: list[bytes] = []
        self._received = self._bodySize = 0
        self._admitted = False
        #: Events are being worked off; answers are collected and written together at the end.
        self._batching = False
        #: The peer does not read: the transport holds enough.
        self._blocked = False
        self._readPaused = False
        self._readEnded = False
        #: The deadline for input is that of a head; else it is that of an idle connection.
        self._headAwaited = False
        self._lingered = 0
        self._departed = 0

    # Coming and going:

    def connectionMade(self) -> None:
        """Take the connection up; over TLS, when the handshake is done."""
        transport, site = self.transport, self._site
        self.info = ConnectionInfo(
            normalise(transport.getPeer()),
            normalise(transport.getHost()),
            ISSLTransport.providedBy(transport),
        )
        self.wire = Http1Wire(site.configuration, HttpRequest)
        self.serverField = site.serverField
        self._outlet = outletFor(transport, site.clock)
        self._deadlines = Deadlines(site.clock, self._expired)
        if isinstance(self.info.remoteAddress, IPv4Address | IPv6Address):
            # Head and body may leave as two segments; Nagle would hold the second for the peer's ACK.
            transport.setTcpNoDelay(True)
        transport.registerProducer(self, True)
        site.connectionOpened(self)
        if self.info.isSecure:
            self._deadlines.set("handshake", site.configuration.handshakeTimeout)
        else:
            self._admit()

    def configure(self, configuration: HttpServerConfiguration, serverField: bytes) -> None:
        """Other limits apply from now on."""
        self.wire.configuration = configuration
        self.serverField = serverField

    def handshakeCompleted(self) -> None:
        """TLS is up (`IHandshakeListener`)."""
        if self._phase == SHAKING:
            self._deadlines.clear("handshake")
            self._admit()

    def _admit(self) -> None:
        self._phase = SERVING
        status = self._site.admission.connect(self.info.remoteAddress)
        if status is not None:
            return self._refuse(None, status)
        self._admitted = True
        self._awaitInput(True)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone; so is the exchange that waited for its answer."""
        self._phase = CLOSING
        self._deadlines.stop()
        self._incoming = None
        if self._admitted:
            self._site.admission.disconnect(self.info.remoteAddress)
        self._site.connectionClosed(self)
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.connectionLost(reason)

    # What comes in:

    def dataReceived(self, data: bytes) -> None:
        """Octets from the peer."""
        if self._phase != SERVING:
            return self._discard(data)
        if self._incoming is not None:
            self._received += len(data)
            self._deadlines.set("body", self._site.configuration.bodyTimeout)
        self._advance(self.wire.receiveData(data))

    def readConnectionLost(self) -> None:
        """The peer sends no more, but may still read (`IHalfCloseableProtocol`)."""
        self._readEnded = True
        if self._phase != SERVING:
            self._close()
        elif self._exchange is None:
            self._advance(self.wire.receiveEnd())

    def writeConnectionLost(self) -> None:
        """Our own end was closed, as we asked."""

    def _discard(self, data: bytes) -> None:
        self._lingered += len(data)
        if self._phase == LINGERING and self._lingered > LINGER_SIZE:
            self._close()

    def _advance(self, events: Sequence[Event]) -> None:
        """Work off `events`, and go on with what was sent ahead for as long as answers come at once."""
        wire = self.wire
        self._batching = True
        while events:
            for event in events:
                _HANDLERS[type(event)](self, event)
                if self._phase != SERVING:
                    break
            if not wire.unread or self._exchange is not None or self._phase != SERVING:
                break
            if wire.queued > WRITE_BATCH:
                self._flush()
            events = () if self._blocked else wire.receiveData(b"")
        self._batching = False
        self._flush()
        if self._phase == SERVING:
            self._settle()

    def _flush(self) -> None:
        data = self.wire.dataToSend()
        if data and not self._outlet.write(data) and "write" not in self._deadlines:
            self._watchWrites()

    def _settle(self) -> None:
        """Nothing more to do for now: what is waited for, and how long?"""
        unread = len(self.wire.unread)
        if self._exchange is not None or self._incoming is not None:
            self._deadlines.clear("input")
            self._headAwaited = False
        elif self.wire.finished:
            return self._finish()
        elif self._readEnded and not self._blocked:
            return self._endOfRequests()
        else:
            self._awaitInput(unread > 0 and not self._blocked)
        if self._readPaused or unread > READ_AHEAD:
            self._pauseReading(unread > READ_AHEAD)

    def _awaitInput(self, head: bool) -> None:
        """Wait for the rest of a head, from its first octet on, or for anything at all."""
        if not head:
            self._deadlines.set("input", self._site.configuration.keepAliveTimeout)
        elif not self._headAwaited:
            self._deadlines.set("input", self._site.configuration.headerTimeout)
        self._headAwaited = head

    def _pauseReading(self, pause: bool) -> None:
        if pause != self._readPaused:
            self._readPaused = pause
            (self.transport.pauseProducing if pause else self.transport.resumeProducing)()

    def _endOfRequests(self) -> None:
        """The peer has closed its side, and has its answers."""
        events = self.wire.receiveEnd()
        if events:
            self._advance(events)
        else:
            self._finish()

    # One method for each kind of event:

    def _beginRequest(self, request: HttpRequest) -> None:
        request.connection = self.info
        site = self._site
        if site.admission.judgesRequests:
            status = site.admission.request(self.info.remoteAddress)
            if status is not None:
                return self._refuse(request, status)
        if request.contentLength == 0:
            self._dispatch(request)
        else:
            self._beginBody(request)

    def _beginBody(self, request: HttpRequest) -> None:
        configuration = self._site.configuration
        limit, length = configuration.maximumBodySize, request.contentLength
        if limit is not None and length is not None and length > limit:
            return self._refuse(request, 413)
        self._incoming = request
        self._received = self._bodySize = 0
        if request.expectsContinue:
            self.wire.sendInformational(request.streamId, 100, [])
        self._deadlines.set("body", configuration.bodyTimeout)
        self._deadlines.set("rate", RATE_WINDOW)

    def _receiveBody(self, event: BodyData) -> None:
        self._pieces.append(event.data)
        self._bodySize += len(event.data)
        limit = self._site.configuration.maximumBodySize
        if limit is not None and self._bodySize > limit:
            self._refuse(self._incoming, 413)

    def _endBody(self, event: BodyEnd) -> None:
        request, self._incoming = self._incoming, None
        pieces, self._pieces = self._pieces, []
        self._deadlines.clear("body")
        self._deadlines.clear("rate")
        if request is not None:
            request.complete(b"".join(pieces), event.trailers)
            self._dispatch(request)

    def _peerFailed(self, event: PeerError) -> None:
        self._refuse(self._incoming, event.error.status)

    def _dispatch(self, request: HttpRequest) -> None:
        self._exchange = socket = HttpSocket(self, request)
        timeout = self._site.configuration.handlerTimeout
        if timeout:
            self._deadlines.set("handler", timeout)
        self._site.dispatch(request, socket)

    # What goes out (`ExchangeLink`):

    def responseFinished(self, socket: HttpSocket) -> None:
        """The wire has the whole response: the next request, if there is one."""
        self._exchange = None
        finished = self._site.exchangeFinished
        if finished.isConnected:
            finished.emit(
                ExchangeRecord(self.info.remoteAddress, socket.request, socket.status, socket.bodyBytesSent)
            )
        if not self._batching:
            self._deadlines.clear("handler")
            self._advance(self.wire.receiveData(b""))

    def closeAfterwards(self) -> None:
        """This exchange is the last one."""
        self.wire.drain()

    def hangUp(self, socket: HttpSocket) -> None:
        """Close without any answer, as the application wishes."""
        self._exchange = None
        self._close()
        socket.connectionLost(Failure(ConnectionDone("closed without an answer")))

    def _refuse(self, request: HttpRequest | None, status: int) -> None:
        """Answer in the server's own name, and close so that the peer can read it (RFC 9112 section 9.6)."""
        self._incoming = None
        self._pieces = []
        fields, content = errorResponse(status)
        method = "GET" if request is None else request.method
        length, content = frameContent(method, status, content, None)
        self.wire.drain()
        self.wire.sendResponse(1 if request is None else request.streamId, status, fields, length, content)
        self._site.exchangeFinished.emit(
            ExchangeRecord(self.info.remoteAddress, request, status, len(content))
        )
        self._flush()
        self._finish()

    # Back-pressure (`IPushProducer`): the transport says whether the peer takes what it is sent.

    def pauseProducing(self) -> None:
        """The transport holds enough: nothing more is answered until it has less."""
        self._blocked = True

    def resumeProducing(self) -> None:
        """The transport has room again."""
        self._blocked = False
        if self._phase == SERVING and self._exchange is None and not self._batching:
            self._advance(self.wire.receiveData(b""))

    def stopProducing(self) -> None:
        """The connection is gone; `connectionLost` says so too."""

    # The end, and what must happen in time:

    def drain(self) -> None:
        """Close when the exchange that runs is over; at once if none does."""
        if self._phase == SHAKING:
            self.abort()
        elif self._phase == SERVING:
            self.wire.drain()
            if self.wire.finished and self._exchange is None and self._incoming is None:
                self._finish()

    def abort(self) -> None:
        """Drop the connection, whatever is still on its way."""
        self._phase = CLOSING
        self.transport.abortConnection()

    def cancel(self) -> None:
        """Drop the connection, and the handler that is still at work for it."""
        exchange = self._exchange
        self.abort()
        if exchange is not None:
            exchange.connectionLost(Failure(ConnectionAborted()))
            exchange.cancelHandling()

    def _finish(self) -> None:
        """The last answer is out.  Close our end, and wait a little for the peer to close its own.

        To close both at once while the peer still sends would reset the connection, and might destroy what
        it has not read yet.
        """
        self._phase = LINGERING
        for name in ("input", "body", "rate", "handler"):
            self._deadlines.clear(name)
        # Over TLS a half-close would go behind its back; its own closing waits for the peer anyway.
        halfCloses = IHalfCloseableDescriptor.providedBy(self.transport) and not self.info.isSecure
        if self._readEnded or not halfCloses:
            return self._close()
        self.transport.unregisterProducer()
        self._pauseReading(False)
        self.transport.loseWriteConnection()
        self._deadlines.set("linger", LINGER_TIME)

    def _close(self) -> None:
        self._phase = CLOSING
        self.transport.unregisterProducer()
        self._pauseReading(False)
        self.transport.loseConnection()
        self._deadlines.set("close", self._site.configuration.closeTimeout)

    def _watchWrites(self) -> None:
        self._departed = self._outlet.departed
        self._deadlines.set("write", self._site.configuration.writeTimeout)

    def _expired(self, name: str) -> None:
        _EXPIRIES[name](self)

    def _writeExpired(self) -> None:
        """A peer may be slow, but it must move."""
        if self._outlet.pending:
            if self._outlet.departed > self._departed:
                self._watchWrites()
            else:
                self.abort()

    def _inputExpired(self) -> None:
        if self._headAwaited and self.wire.unread:
            self._refuse(None, 408)
        elif self._outlet.pending:
            # It still reads the last answer.
            self._awaitInput(False)
        else:
            self._finish()

    def _bodyExpired(self) -> None:
        self._refuse(self._incoming, 408)

    def _rateExpired(self) -> None:
        if self._received < self._site.configuration.minimumBodyRate * RATE_WINDOW:
            self._refuse(self._incoming, 408)
        else:
            self._received = 0
            self._deadlines.set("rate", RATE_WINDOW)

    def _handlerExpired(self) -> None:
        if self._exchange is not None:
            self._exchange.expire()

    def _closeExpired(self) -> None:
        # While octets wait for a slow peer, it is `writeTimeout` that decides.
        if self._outlet.pending and "write" in self._deadlines:
            self._deadlines.set("close", self._site.configuration.closeTimeout)
        else:
            self.abort()


_HANDLERS: dict[type, Callable[[HttpConnection, Any], None]] = {
    HttpRequest: HttpConnection._beginRequest,
    BodyData: HttpConnection._receiveBody,
    BodyEnd: HttpConnection._endBody,
    PeerError: HttpConnection._peerFailed,
}

_EXPIRIES: dict[str, Callable[[HttpConnection], None]] = {
    "handshake": HttpConnection.abort,
    "input": HttpConnection._inputExpired,
    "body": HttpConnection._bodyExpired,
    "rate": HttpConnection._rateExpired,
    "handler": HttpConnection._handlerExpired,
    "write": HttpConnection._writeExpired,
    "linger": HttpConnection._close,
    "close": HttpConnection._closeExpired,
}
