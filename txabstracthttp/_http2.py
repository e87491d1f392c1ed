"""HTTP/2 on one connection: many exchanges at a time, each on a stream of its own.

Imported at the first connection that speaks it.
"""

from __future__ import annotations

__all__ = ["Http2Session"]

from collections.abc import Callable, Sequence
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure

from ._events import BodyData, BodyEnd, Event, PeerError, StreamReset
from ._http2exchange import Http2Exchange
from ._keeping import Keeping
from ._outlet import Outlet
from ._seams import Connection, Site
from ._watch import Watch
from .configuration import HttpServerConfiguration
from .httpsocket import HttpSocket
from .records import ExchangeRecord
from .request import HttpRequest
from .semantics import errorResponse
from .wire.http2 import CANCEL, Http2Wire

#: For how many seconds a peer with nothing to do may take to say that it knows that we go.
PARTING = 1.0


class Http2Session:
    """Serves the requests of one HTTP/2 connection.  Fills `txabstracthttp._seams.Session`.

    :ivar site: the server.
    :ivar blocked: the transport holds enough: nothing more is made ready for it, and nothing read.
    :ivar keeping: how much content is kept for requests that are not answered.
    """

    def __init__(self, connection: Connection, site: Site, outlet: Outlet, watch: Watch) -> None:
        self._connection = connection
        self._outlet = outlet
        self._watch = watch
        self._serving = True
        self._draining = False
        self._batching = False
        self._flushing = False
        #: No request has come yet; there is none now, and for how long is being counted.
        self._isNew, self._isIdle = True, False
        self._exchanges: dict[int, Http2Exchange] = {}
        #: Those who have written something while events are worked off: mostly all of it leaves behind them.
        self._written: list[Http2Exchange] = []
        #: Streams with an error page for which there may be no room.
        self._unheard: list[int] = []
        self.site = site
        self.blocked = False
        self.keeping = Keeping(site.configuration.maximumBodySize)
        self.wire = Http2Wire(site.configuration, site.http2Configuration, site.clock.seconds, HttpRequest)
        self.flush()

    def configure(self, configuration: HttpServerConfiguration) -> None:
        """Other limits apply from now on."""
        self.wire.configuration = configuration
        for exchange in self._exchanges.values():
            exchange.configure(configuration)
        self.keeping.configure(configuration.maximumBodySize)

    # What comes in:

    def dataReceived(self, data: bytes) -> None:
        """Octets from the peer."""
        if not self._serving:
            self._connection.farewell.discard(data)
        else:
            self._work(self.wire.receiveData(data))

    def _work(self, events: Sequence[Event]) -> None:
        """Work off `events`; what is to be written for them leaves together."""
        self._batching = True
        try:
            for event in events:
                if self._serving:
                    _HANDLERS[type(event)](self, event)
        finally:
            self._batching = False
        self.flush()
        written, self._written = self._written, []
        for exchange in written:
            exchange.watchOutput()
        self._settle()

    def watchesLater(self, exchange: Http2Exchange) -> bool:
        """Whether what is left of what `exchange` has written will be looked at behind the events."""
        if self._batching:
            self._written.append(exchange)
        return self._batching

    def readConnectionLost(self) -> None:
        """The peer sends no more, but may still read."""
        if not self._serving:
            return self._connection.farewell.close()
        self._work(self.wire.receiveEnd())
        if self._serving:
            # Nobody is there any more to answer a PING.
            self.wire.beLast()
            self.drain()

    def _settle(self) -> None:
        """Nothing more to do for now: what is waited for, and how long?"""
        if not self._serving:
            return
        if self.wire.finished:
            # Not before the last answer could be written.
            if not self.blocked:
                self.finish()
        elif self.wire.isReceivingHead or (self._isNew and not self._exchanges and not self._draining):
            self._isIdle = False
            self._watch.input(True)
        elif self._exchanges:
            self._isIdle = False
            self._watch.noInput()
        elif not self._isIdle:
            # Frames that ask for nothing do not make it longer.
            self._isIdle = True
            if self._draining:
                self._watch.parting(PARTING)
            else:
                self._watch.input(False)

    # One method for each kind of event:

    def _beginRequest(self, request: HttpRequest) -> None:
        self._isNew = self._isIdle = False
        self._watch.noInput()
        request.connection = self._connection.info
        exchange = self._exchanges[request.streamId] = Http2Exchange(self, request)
        admission = self.site.admission
        if admission.judgesRequests:
            status = admission.request(self._connection.info.remoteAddress)
            if status is not None:
                return exchange.refuse(request, status)
        exchange.begin()

    def _receiveContent(self, event: BodyData) -> None:
        exchange = self._exchanges.get(event.streamId)
        if exchange is not None:
            exchange.receive(event.data)

    def _endContent(self, event: BodyEnd) -> None:
        exchange = self._exchanges.get(event.streamId)
        if exchange is not None:
            exchange.end(event.trailers)

    def _streamReset(self, event: StreamReset) -> None:
        exchange = self._exchanges.pop(event.streamId, None)
        if exchange is not None:
            exchange.lost(Failure(ConnectionLost(f"the stream was reset (code {event.code})")))

    def _peerFailed(self, event: PeerError) -> None:
        """A request that is answered with an error; or, for the connection as a whole, its end."""
        if not event.streamId:
            return self.finish()
        self._isNew = self._isIdle = False
        streamId, status = event.streamId, event.error.status
        if self.site.admission.judgesRequests:
            status = self.site.admission.request(self._connection.info.remoteAddress) or status
        fields, content = errorResponse(status, self.site.serverField)
        self.wire.sendResponse(streamId, status, fields, len(content), content)
        self.wire.leave(streamId)
        self._unheard.append(streamId)
        self.recordRefusal(None, status, len(content))

    # What goes out:

    def flush(self) -> None:
        """Write what there is, as far as the transport takes it; not in the middle of events."""
        if self._batching:
            return
        wire = self.wire
        while not self.blocked:
            data = wire.dataToSend()
            if not data:
                break
            if not self._outlet.write(data):
                self._watch.output()
        self._tellStreams()

    def _tellStreams(self) -> None:
        """Some have room again, and some are over."""
        wire = self.wire
        while wire.relieved:
            exchange = self._exchanges.get(wire.relieved.pop())
            if exchange is not None:
                exchange.outputFree()
        while self._unheard and not self.blocked:
            # Who has no room for an error page gets none.
            streamId = self._unheard.pop()
            if wire.waiting(streamId):
                wire.reset(streamId, CANCEL)
                self.callSoon(self._flushNow)
        while wire.ended:
            streamId = wire.ended.pop()
            exchange = self._exchanges.get(streamId)
            if exchange is not None and exchange.over():
                self.forget(streamId)
        if wire.finished or not self._exchanges:
            self._settle()

    def forget(self, streamId: int) -> None:
        """An exchange is over, and its stream too."""
        self._exchanges.pop(streamId, None)

    def flushSoon(self) -> None:
        """There is something to write, and more may follow in this turn."""
        if not self._batching and not self._flushing:
            self._flushing = True
            self.callSoon(self._flushNow)

    def _flushNow(self) -> None:
        self._flushing = False
        if self._serving:
            self.flush()

    def callSoon(self, function: Callable[[], object]) -> None:
        """Call `function` in the next turn of the reactor."""
        self._connection.callSoon(function)

    def record(self, socket: HttpSocket) -> None:
        """An exchange is over."""
        if self.site.exchangeFinished.isConnected:
            self._emit(socket.request, socket.status, socket.bodyBytesSent)

    def recordRefusal(self, request: HttpRequest | None, status: int, size: int) -> None:
        """One is over that nobody has handled."""
        self._emit(request, status, size)

    def _emit(self, request: HttpRequest | None, status: int, size: int) -> None:
        self.site.exchangeFinished.emit(
            ExchangeRecord(self._connection.info.remoteAddress, request, status, size)
        )

    def outputBlocked(self) -> None:
        """The transport holds enough; and who does not read is not read from."""
        self.blocked = True
        self._connection.pauseReading(True)
        for exchange in list(self._exchanges.values()):
            exchange.outputBlocked()

    def outputFree(self) -> None:
        """The transport has room again."""
        self.blocked = False
        self._connection.pauseReading(False)
        self.flush()
        for exchange in list(self._exchanges.values()):
            if self.blocked:
                break
            exchange.outputFree()
        # Whoever comes first may take all the room there is; so next time it is another.
        for streamId in list(self._exchanges)[:1]:
            self._exchanges[streamId] = self._exchanges.pop(streamId)

    # The end, and what must happen in time (`Watched`):

    def drain(self) -> None:
        """Take on nothing new, and close when what runs is over."""
        if not self._serving:
            return
        self._draining, self._isIdle = True, False
        for exchange in list(self._exchanges.values()):
            if exchange.channel is not None:
                exchange.channel.drain()
        self.wire.drain()
        if not self._batching:
            self.flush()
            self._settle()

    def connectionLost(self, reason: Failure) -> None:
        """The connection is gone, and every stream with it."""
        self._serving = False
        self.keeping.stop()
        exchanges, self._exchanges = self._exchanges, {}
        for exchange in exchanges.values():
            exchange.lost(reason)

    def finish(self) -> None:
        """Say what there is to say, and go."""
        if self._serving:
            self._serving = self._batching = False
            self.wire.beLast()
            self.flush()
            self.connectionLost(Failure(ConnectionLost("the connection ends")))
            self._connection.leave()

    def refuse(self, request: HttpRequest | None, status: int) -> None:
        """There is no request that could be answered."""
        self.finish()

    @property
    def isBlocked(self) -> bool:
        """The peer does not take what it is sent."""
        return self.blocked

    @property
    def isReceivingHead(self) -> bool:
        """Whether a head has begun to arrive."""
        return self.wire.isReceivingHead

    def partingExpired(self) -> None:
        """The peer does not say that it knows that we go."""
        if self.blocked:
            # There are answers that it has not read.
            self._watch.parting(PARTING)
        elif self._isIdle:
            self.finish()

    def contentExpired(self) -> None:
        """Streams have deadlines of their own."""

    def rateExpired(self) -> None:
        """Likewise."""

    def handlerExpired(self) -> None:
        """Likewise."""


_HANDLERS: dict[type, Callable[[Http2Session, Any], None]] = {
    HttpRequest: Http2Session._beginRequest,
    BodyData: Http2Session._receiveContent,
    BodyEnd: Http2Session._endContent,
    StreamReset: Http2Session._streamReset,
    PeerError: Http2Session._peerFailed,
}
