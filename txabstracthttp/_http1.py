"""HTTP/1 on one connection: one exchange at a time, its events to the server, and answers back."""

from __future__ import annotations

__all__ = ["Http1Session"]

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from ._detached import Detached
from ._events import BodyData, BodyEnd, Event, Fields, PeerError
from ._inflow import Inflow
from ._outlet import Outlet
from ._seams import Channel, Connection, Site
from ._tunnel import Tunnel
from ._watch import Watch
from .configuration import HttpServerConfiguration
from .httpsocket import HttpSocket
from .records import ExchangeRecord
from .request import ConnectionInfo, HttpRequest
from .semantics import errorResponse, frameContent
from .wire.http1 import Http1Wire

#: What is kept of requests sent ahead before reading stops; a paused transport hides that a peer has left.
READ_AHEAD = 64 * 1024
#: What is written in one turn is collected up to about this size.
WRITE_BATCH = 64 * 1024
#: Before an idle connection is closed for good, for how many seconds a request may be on its way.
PARTING = 0.1


class Http1Session:
    """Serves the requests of one HTTP/1 connection.  Fills `txabstracthttp._seams.Session`.

    It is what an `HttpSocket` has for a link, what content has for an owner, and what deadlines act upon.

    :ivar isServing: requests are answered; not so behind the last one.
    """

    __slots__ = (
        "_batching",
        "_blocked",
        "_connection",
        "_continueOwed",
        "_exchange",
        "_flushing",
        "_inflow",
        "_outlet",
        "_site",
        "_watch",
        "info",
        "isServing",
        "serverField",
        "wire",
    )

    info: ConnectionInfo
    wire: Http1Wire
    serverField: bytes

    def __init__(self, connection: Connection, site: Site, outlet: Outlet, watch: Watch) -> None:
        self._connection = connection
        self._site = site
        self._outlet = outlet
        self._watch = watch
        self.info = connection.info
        self.wire = Http1Wire(site.configuration, HttpRequest)
        self.isServing = True
        #: The exchange that waits for its answer.
        self._exchange: HttpSocket | None = None
        #: The content that is arriving.
        self._inflow: Inflow | None = None
        #: The peer waits for ``100 Continue``.
        self._continueOwed = False
        #: Events are being worked off; what is to be written is collected and written at the end.
        self._batching = False
        self._flushing = False
        #: The peer does not read: the transport holds enough.
        self._blocked = False
        self.configure(site.configuration)

    def configure(self, configuration: HttpServerConfiguration) -> None:
        """Other limits apply from now on."""
        self.serverField = self._site.serverField
        self.wire.configuration = configuration
        if self._inflow is not None:
            self._inflow.configure(configuration)
        if not configuration.keepAliveTimeout:
            self.wire.beLast()

    # What comes in:

    def dataReceived(self, data: bytes) -> None:
        """Octets from the peer."""
        if not self.isServing:
            return self._connection.farewell.discard(data)
        if self._inflow is not None:
            self._inflow.arrived(len(data))
        if self._blocked:
            self._advance(self._read(data))
        else:
            self._advance(self.wire.receiveData(data))

    def _read(self, data: bytes = b"") -> Sequence[Event]:
        """What `data` means; later, if the peer does not take what it is answered."""
        if self._blocked and self._inflow is None:
            self.wire.unread += data
            return ()
        return self.wire.receiveData(data)

    def readConnectionLost(self) -> None:
        """The peer sends no more, but may still read (`IHalfCloseableProtocol`)."""
        if not self.isServing:
            self._connection.farewell.close()
        elif self._inflow is not None:
            self._advance(self.wire.receiveEnd())
        elif self._exchange is None:
            self._settle()

    def _advance(self, events: Sequence[Event]) -> None:
        """Work off `events`, and go on with what was sent ahead for as long as answers come at once."""
        wire = self.wire
        self._batching = True
        try:
            while events:
                for event in events:
                    _HANDLERS[type(event)](self, event)
                    if not self.isServing:
                        break
                if not wire.unread or self._exchange is not None or not self.isServing:
                    break
                if wire.queued > WRITE_BATCH:
                    self._flush()
                events = self._read()
        finally:
            self._batching = False
        self._flush()
        if self.isServing:
            self._settle()

    def _flush(self) -> None:
        wire = self.wire
        data = wire.dataToSend()
        if data:
            isTaken = self._outlet.write(data)
            while wire.queued:
                isTaken = self._outlet.write(wire.dataToSend())
            if not isTaken:
                self._watch.output()

    def _settle(self) -> None:
        """Nothing more to do for now: what is waited for, and how long?"""
        unread = len(self.wire.unread)
        isBusy = self._exchange is not None or self._inflow is not None
        if isBusy:
            self._watch.noInput()
        elif self.wire.finished:
            return self.finish()
        elif self._connection.readEnded and not self._blocked:
            return self._endOfRequests()
        elif not unread and not self._connection.readPaused:
            return self._watch.input(False)
        else:
            self._watch.input(unread > 0 and not self._blocked)
        # A head that is arriving has bounds of its own, and whoever stops to read it will never have it.
        isAhead = unread > READ_AHEAD and (isBusy or self._blocked)
        full = isAhead or (self._inflow is not None and self._inflow.isFull)
        if self._connection.readPaused or full:
            self._connection.pauseReading(full)

    def _endOfRequests(self) -> None:
        """The peer has closed its side, and has its answers."""
        events = self.wire.receiveEnd()
        if events:
            self._advance(events)
        else:
            self.finish()

    # One method for each kind of event:

    def _beginRequest(self, request: HttpRequest) -> None:
        request.connection = self.info
        site = self._site
        if site.admission.judgesRequests:
            status = site.admission.request(self.info.remoteAddress)
            if status is not None:
                return self.refuse(request, status)
        if request.contentLength == 0:
            self._dispatch(request)
        else:
            self._beginContent(request)

    def _beginContent(self, request: HttpRequest) -> None:
        site = self._site
        policy = site.contentPolicy(request)
        if policy is None:
            return self.refuse(request, 500)
        streamed, limit = policy
        inflow = Inflow(self, request, limit, streamed, site.configuration, self._watch.deadlines, site.clock)
        if inflow.exceeds():
            return self.refuse(request, 413)
        self._inflow = inflow
        self._continueOwed = request.expectsContinue
        request.receiveContent(inflow.body)
        if streamed:
            self._dispatch(request)
        else:
            inflow.want()

    def _receiveContent(self, event: BodyData) -> None:
        self._continueOwed = False
        if self._inflow is not None:
            self._inflow.receive(event.data)

    def _endContent(self, event: BodyEnd) -> None:
        inflow, self._inflow = self._inflow, None
        if inflow is not None:
            request = inflow.request
            inflow.end(event.trailers)
            if request is not None and not inflow.streamed and not inflow.unwanted:
                self._dispatch(request)

    def _peerFailed(self, event: PeerError) -> None:
        self.refuse(None if self._inflow is None else self._inflow.request, event.error.status)

    def _dispatch(self, request: HttpRequest) -> None:
        self._exchange = socket = HttpSocket(self, request)
        if self._site.configuration.handlerTimeout:
            self._watch.handler()
        self._site.dispatch(request, socket)

    # What a reader of content says (`InflowOwner`):

    def contentWanted(self, request: HttpRequest | None) -> None:
        """Somebody reads the content: the peer may send it."""
        if request and self._continueOwed and self.isServing and self._isUnanswered(request):
            self._continueOwed = False
            self.wire.sendInformational(request.streamId, 100, [])
            self.flush()
        self.contentTaken(0)

    def _isUnanswered(self, request: HttpRequest | None) -> bool:
        exchange, inflow = self._exchange, self._inflow
        if exchange is not None:
            return exchange.request is request and exchange.isUntouched
        # Content that is collected first comes before its exchange.
        return inflow is not None and not inflow.streamed

    def contentTaken(self, size: int) -> None:
        """There is room again for what the peer sends."""
        if self._connection.readPaused and self.isServing and not self._batching:
            self._settle()

    def readerFailed(self, request: HttpRequest | None, failure: Failure) -> None:
        """The application's reader raised an exception."""
        exchange = self._exchange
        isCurrent = exchange is not None and exchange.request is request
        self._site.handlingFailed(failure, request, exchange if isCurrent else None)

    def producerFailed(self, socket: HttpSocket, failure: Failure) -> None:
        """The application's producer raised an exception."""
        self._site.handlingFailed(failure, socket.request, socket)

    # What goes out (`ExchangeLink`):

    @property
    def isBlocked(self) -> bool:
        """The peer does not take what it is sent."""
        return self._blocked

    def flush(self) -> None:
        """There is something to write; with what else comes of the events at hand, if there are some."""
        if self._site.configuration.handlerTimeout:
            self._watch.handlerMoves()
        if not self._batching or self.wire.queued > WRITE_BATCH:
            self._flush()

    def flushSoon(self) -> None:
        """There is something to write, and more may follow in this turn."""
        if not self._batching and not self._flushing:
            self._flushing = True
            self._connection.callSoon(self._flushNow)

    def _flushNow(self) -> None:
        self._flushing = False
        if self.isServing:
            self._flush()

    def callSoon(self, function: Callable[[], object]) -> None:
        """Call `function` in the next turn of the reactor."""
        self._connection.callSoon(function)

    def responseComing(self, socket: HttpSocket, whole: bool) -> None:
        """The head of an answer is about to go out: will the connection outlive it?"""
        # A peer that waits for 100 Continue may or may not send its content after another answer.
        if self._inflow is not None and (self._continueOwed or (whole and not self._inflow.canDiscard())):
            self.wire.drain()

    def responseFinished(self, socket: HttpSocket) -> None:
        """The wire has the whole response: the next request, if there is one."""
        self._exchange = None
        canGoOn = self._inflow is None or self._discardContent(self._inflow)
        if self._site.exchangeFinished.isConnected:
            self._record(socket)
        if not canGoOn:
            return self.finish()
        if not self._batching and self.isServing:
            self._watch.deadlines.clear("handler")
            if self.wire.queued > WRITE_BATCH:
                self._flush()
            self._advance(self._read())

    def _discardContent(self, inflow: Inflow) -> bool:
        """Let go of content that came too late; False if it is better to close."""
        if self._continueOwed or self.wire.endsWithConnection or not inflow.canDiscard():
            return False
        inflow.discard()
        return True

    def _record(self, socket: HttpSocket) -> None:
        self._site.exchangeFinished.emit(
            ExchangeRecord(self.info.remoteAddress, socket.request, socket.status, socket.bodyBytesSent)
        )

    def closeAfterwards(self) -> None:
        """The exchange that runs is the last one; without one, close now."""
        self.wire.drain()
        if not self._batching and self.isServing:
            self._settle()

    def hangUp(self, socket: HttpSocket) -> None:
        """Close without any answer, as the application wishes."""
        self._loseExchange(Failure(ConnectionDone("closed without an answer")))
        self._flush()
        self.isServing = False
        self._connection.close()

    def detach(self, protocol: Any) -> Callable[[], None]:
        """Let go of the connection, from the first octet that is not part of the request.

        :return: what gives it to `protocol`.
        """
        if self._inflow is not None:
            raise RuntimeError("the content of the request is still on its way: read it first")
        unread, self._exchange = self.wire.unread, None
        self.isServing = False
        self._flush()
        self._connection.detach()
        detached = Detached(self._connection, protocol)
        return lambda: detached.begin(unread, self._connection.readEnded)

    def switchProtocols(self, socket: HttpSocket, fields: Fields) -> Channel:
        """Leave HTTP with the answer 101 (RFC 9110 section 15.2.2), but not the server."""
        wire = self.wire
        unread, self._exchange = wire.unread, None
        wire.sendInformational(socket.request.streamId, 101, fields)
        self._flush()
        self.isServing = False
        self._watch.closing()
        tunnel = Tunnel(self._connection, self._outlet, self._watch, self._blocked, unread)
        # Whoever hears of it may close the server.
        self._record(socket)
        return tunnel

    def refuse(self, request: HttpRequest | None, status: int) -> None:
        """Answer in the server's own name, and close so that the peer can read it (RFC 9112 section 9.6)."""
        if not self.isServing:
            return None
        begun = self._exchange is not None and self._exchange.isBegun
        answered = self._inflow is not None and self._inflow.unwanted
        self._loseExchange(Failure(ConnectionLost(f"refused with {status}")))
        if begun:
            return self._connection.abort()
        if answered:
            # A second answer would be taken for that of the next request.
            return self.finish()
        fields, content = errorResponse(status, self.serverField)
        method = "GET" if request is None else request.method
        length, content = frameContent(method, status, content, None)
        self.wire.drain()
        self.wire.sendResponse(1 if request is None else request.streamId, status, fields, length, content)
        self._site.exchangeFinished.emit(
            ExchangeRecord(self.info.remoteAddress, request, status, len(content))
        )
        self.finish()

    # Back-pressure: the transport says whether the peer takes what it is sent.

    def outputBlocked(self) -> None:
        """The transport holds enough: nothing more is answered until it has less."""
        self._blocked = True
        if self._exchange is not None:
            self._exchange.pauseProducing()

    def outputFree(self) -> None:
        """The transport has room again."""
        self._blocked = False
        if self._exchange is not None:
            self._exchange.resumeProducing()
        elif self.isServing and not self._batching:
            self._advance(self._read())

    # The end, and what must happen in time (`Watched`):

    def drain(self) -> None:
        """Close when the exchange that runs is over.

        If none does, a request may be on its way to us.
        """
        if self.isServing:
            self.wire.beLast()
            self._watch.parting(PARTING)

    def partingExpired(self) -> None:
        """None was."""
        if self.isServing:
            self.closeAfterwards()

    def abortExchange(self, socket: HttpSocket, failed: bool = False) -> None:
        """Drop the connection, unless it serves another exchange by now, or another protocol."""
        isBusy = self._inflow is not None and self._inflow.request is not socket.request
        isTaken = self._connection.isDetached and not socket.isDetached
        if self._exchange is socket or not (self._exchange or isBusy or isTaken):
            self.isServing = False
            self._connection.abort()

    def connectionLost(self, reason: Failure) -> None:
        """The connection is gone; so is the exchange that waited for its answer."""
        self.isServing = False
        self._loseExchange(reason)
        self.wire.close()

    def _loseExchange(self, reason: Failure) -> None:
        # The writing side first: a reader that fails with the loss must not be answered for.
        exchange, self._exchange = self._exchange, None
        inflow, self._inflow = self._inflow, None
        if inflow is not None:
            inflow.stop()
        if exchange is not None:
            exchange.connectionLost(reason)
            if exchange.status:
                # It was begun, so there is something to be told of it.
                self._record(exchange)
        if inflow is not None:
            inflow.cut(reason.getErrorMessage())

    def finish(self) -> None:
        """The last answer is known: write it, and go."""
        self._flush()
        self.isServing = False
        self._loseExchange(Failure(ConnectionLost("the connection ends with the last answer")))
        self._connection.leave()

    @property
    def isReceivingHead(self) -> bool:
        """Whether a head has begun to arrive."""
        return bool(self.wire.unread)

    def contentExpired(self) -> None:
        """Nothing of a request's content came for too long."""
        if self._inflow is not None:
            self.refuse(self._inflow.request, 408)

    def rateExpired(self) -> None:
        """It is time to look how fast content comes."""
        if self._inflow is not None:
            self._inflow.rateExpired()

    def handlerExpired(self) -> None:
        """The application takes too long."""
        if self._exchange is not None:
            self._exchange.expire()


_HANDLERS: dict[type, Callable[[Http1Session, Any], None]] = {
    HttpRequest: Http1Session._beginRequest,
    BodyData: Http1Session._receiveContent,
    BodyEnd: Http1Session._endContent,
    PeerError: Http1Session._peerFailed,
}
