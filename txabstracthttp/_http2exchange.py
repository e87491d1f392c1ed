"""One exchange on an HTTP/2 connection: its request, its content, its response, and its deadlines."""

from __future__ import annotations

__all__ = ["Http2Exchange"]

from collections.abc import Callable
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure

from ._deadlines import Deadlines
from ._events import Fields
from ._inflow import Inflow
from ._seams import Channel, Streams
from ._streamtransport import StreamTransport
from .configuration import HttpServerConfiguration
from .httpsocket import HttpSocket
from .request import HttpRequest
from .semantics import errorResponse, frameContent
from .wire.http2 import CANCEL, INTERNAL_ERROR, Http2Wire


class Http2Exchange:
    """What an `HttpSocket` has for a link, and content for an owner, on one stream.

    :ivar request: what is asked.
    :ivar streamId: where.
    :ivar socket: who answers, once the request is handled.
    """

    __slots__ = (
        "_continueOwed",
        "_deadlines",
        "_early",
        "_endedEarly",
        "_isOver",
        "_sent",
        "_session",
        "channel",
        "inflow",
        "request",
        "socket",
        "streamId",
    )

    def __init__(self, session: Streams, request: HttpRequest) -> None:
        self._session = session
        self._continueOwed = False
        self._deadlines = Deadlines(session.site.clock, self._expired)
        self._sent = 0
        #: What came for a channel that there is not yet, and whether that was all.
        self._early: list[bytes] = []
        self._endedEarly = False
        #: The stream has ended.
        self._isOver = False
        self.request = request
        self.streamId = request.streamId
        self.inflow: Inflow | None = None
        self.socket: HttpSocket | None = None
        self.channel: StreamTransport | None = None

    def configure(self, configuration: HttpServerConfiguration) -> None:
        """Other limits apply from now on."""
        if self.inflow is not None:
            self.inflow.configure(configuration)
        if self.channel is not None:
            self.channel.configure(configuration)

    # From the peer:

    def begin(self) -> None:
        """The request has begun; it is handled at once, or when its content is there."""
        request, site = self.request, self._session.site
        if request.contentLength == 0 or request.upgrade:
            return self._dispatch()
        policy = site.contentPolicy(request)
        if policy is None:
            return self.refuse(request, 500)
        streamed, limit = policy
        inflow = Inflow(self, request, limit, streamed, site.configuration, self._deadlines, site.clock)
        if inflow.exceeds():
            return self.refuse(request, 413)
        self.inflow = inflow
        self._continueOwed = request.expectsContinue
        request.receiveContent(inflow.body)
        if streamed:
            self._dispatch()
        else:
            inflow.want()

    def receive(self, data: bytes) -> None:
        """A piece of content; or, behind an upgrade, of what has come instead."""
        self._continueOwed = False
        if self.channel is not None:
            self.channel.receive(data)
        elif self.inflow is not None:
            self.inflow.arrived(len(data))
            self.inflow.receive(data)
            # What is streamed was taken, or will be, by its reader.
            if self.inflow is not None and not self.inflow.streamed:
                self._session.keeping.add(self, len(data))
        elif self.request.upgrade:
            # Its window bounds it: there is no room for more until somebody has taken it.
            self._early.append(data)
        else:
            # Nobody waits for it, but its framing goes on.
            self.wire.credit(self.streamId, len(data))

    def holdBack(self) -> None:
        """Enough is kept for requests of this connection."""
        if self.inflow is not None:
            self.inflow.rest()

    def goOn(self, size: int) -> None:
        """There is room for `size` octets more of what is collected."""
        self.wire.credit(self.streamId, size)
        if self.inflow is not None:
            self.inflow.want()
        self._session.flush()

    def end(self, trailers: Fields) -> None:
        """The request is complete."""
        if self.channel is not None:
            return self.channel.receiveEnd()
        self._endedEarly = True
        inflow, self.inflow = self.inflow, None
        if inflow is not None:
            inflow.end(trailers)
            if not inflow.streamed and not inflow.unwanted:
                self._session.keeping.complete(self)
                self._dispatch()

    def _dispatch(self) -> None:
        site = self._session.site
        self.socket = HttpSocket(self, self.request)
        if site.configuration.handlerTimeout:
            self._deadlines.set("handler", site.configuration.handlerTimeout)
        site.dispatch(self.request, self.socket)

    def over(self) -> bool:
        """The stream has ended on both sides; False if whoever answers has not said so yet."""
        self._isOver = True
        if self.socket is not None and not self.socket.isAnswered:
            return False
        self.lost(Failure(ConnectionDone("the stream has ended")))
        return True

    def lost(self, reason: Failure) -> None:
        """The peer has reset the stream, or the connection is gone."""
        socket, inflow, channel = self.socket, self.inflow, self.channel
        self.socket = self.inflow = self.channel = None
        self._deadlines.stop()
        self._session.keeping.forget(self)
        if socket is not None and not socket.isAnswered:
            socket.connectionLost(reason)
            self._recordCut(socket)
        if inflow is not None:
            inflow.cut(reason.getErrorMessage())
        if channel is not None:
            channel.connectionLost(reason)
        # It would keep us, and we it: a circle of much content.
        self.request.leaveContent()

    def _recordCut(self, socket: HttpSocket) -> None:
        if socket.status:
            # It was begun, so there is something to be told of it.
            self._session.record(socket)

    # What a reader of content says (`InflowOwner`):

    def contentWanted(self, request: HttpRequest | None) -> None:
        """Somebody reads the content: the peer may send it."""
        if self._continueOwed and (self.socket is None or self.socket.isUntouched):
            self._continueOwed = False
            self.wire.sendInformational(self.streamId, 100, [])
            self._session.flush()

    def contentTaken(self, size: int) -> None:
        """There is room again for what the peer sends."""
        self.wire.credit(self.streamId, size)
        self._session.flush()

    def readerFailed(self, request: HttpRequest | None, failure: Failure) -> None:
        """The application's reader raised an exception."""
        self._session.site.handlingFailed(failure, request, self.socket)

    def refuse(self, request: HttpRequest | None, status: int) -> None:
        """Answer in the server's own name; the connection goes on."""
        socket = self.socket
        if socket is not None:
            # Its handler may go on for long.
            self.wire.blame()
        if socket is not None and not socket.isUntouched:
            return self._reset(CANCEL, f"refused with {status}")
        self.socket = None
        if socket is not None:
            socket.connectionLost(Failure(ConnectionLost(f"refused with {status}")))
        fields, content = errorResponse(status, self.serverField)
        length, content = frameContent(self.request.method, status, content, None)
        self.wire.sendResponse(self.streamId, status, fields, length, content)
        self._session.recordRefusal(self.request, status, len(content))
        self._letGo(f"refused with {status}")
        self._session.flush()
        self.watchOutput()

    def _letGo(self, reason: str) -> None:
        """The response is complete: what is still to come of the request is wanted no more."""
        inflow, self.inflow = self.inflow, None
        if inflow is not None:
            inflow.cut(reason)
            if not inflow.streamed:
                self._session.keeping.forget(self)
        self._deadlines.clear("handler")
        self.wire.leave(self.streamId)

    # What goes out (`ExchangeLink`):

    @property
    def wire(self) -> Http2Wire:
        """Where the response goes."""
        return self._session.wire

    @property
    def serverField(self) -> bytes:
        """The value of the Server field."""
        return self._session.site.serverField

    @property
    def isBlocked(self) -> bool:
        """The peer does not take what it is sent."""
        return self._session.blocked or self.wire.isFull(self.streamId)

    def flush(self) -> None:
        """There is something to write."""
        if "handler" in self._deadlines:
            self._deadlines.set("handler", self._session.site.configuration.handlerTimeout)
        self._session.flush()
        self.watchOutput()
        if self.socket is not None and self.wire.isFull(self.streamId):
            self.socket.pauseProducing()

    def flushSoon(self) -> None:
        """There is something to write, and more may follow in this turn."""
        self._session.flushSoon()

    def callSoon(self, function: Callable[[], object]) -> None:
        """Call `function` in the next turn of the reactor."""
        self._session.callSoon(function)

    def outputBlocked(self) -> None:
        """The connection holds enough."""
        if self.channel is not None:
            self.channel.outputBlocked()
        elif self.socket is not None:
            self.socket.pauseProducing()

    def outputFree(self) -> None:
        """There is room again, on the connection and on this stream."""
        if "body" in self._deadlines:
            # Meanwhile nothing was read, whatever was sent.
            self._deadlines.set("body", self._session.site.configuration.bodyTimeout)
        if self.channel is not None:
            self.channel.outputFree()
        elif self.socket is not None and not self.isBlocked:
            self.socket.resumeProducing()

    def watchOutput(self) -> None:
        """A stream must move for which the peer has no room, just as a connection must."""
        if self._session.watchesLater(self):
            return
        if self.wire.waiting(self.streamId) and "write" not in self._deadlines:
            self._sent = self.wire.sent(self.streamId)
            self._deadlines.set("write", self._session.site.configuration.writeTimeout)

    def responseComing(self, socket: HttpSocket, whole: bool) -> None:
        """The head of an answer is about to go out."""

    def responseFinished(self, socket: HttpSocket) -> None:
        """The wire has the whole response."""
        self._session.record(socket)
        self._letGo("the request was answered before its content had come")
        self._session.flush()
        self.watchOutput()
        if self._isOver and self.over():
            self._session.forget(self.streamId)

    def producerFailed(self, socket: HttpSocket, failure: Failure) -> None:
        """The application's producer raised an exception."""
        self._session.site.handlingFailed(failure, socket.request, socket)

    def closeAfterwards(self) -> None:
        """The stream ends with its response, and takes nobody along."""

    def hangUp(self, socket: HttpSocket) -> None:
        """End the stream without any answer, as the application wishes."""
        self._reset(CANCEL, "closed without an answer", ConnectionDone)

    def abortExchange(self, socket: HttpSocket, failed: bool = False) -> None:
        """Reset the stream."""
        if self.channel is None:
            self.wire.reset(self.streamId, INTERNAL_ERROR if failed else CANCEL)
            if socket.isBegun:
                self._recordCut(socket)
            # Who asked for it knows already.
            self.socket = None
            self._letGo("the response was broken off")
            if self._isOver and self.over():
                self._session.forget(self.streamId)
            self._session.flush()

    def _reset(self, code: int, reason: str, kind: type[Exception] = ConnectionLost) -> None:
        self.wire.reset(self.streamId, code)
        self.lost(Failure(kind(reason)))
        self._session.flush()

    def detach(self, protocol: Any) -> Callable[[], None]:
        """A stream is no connection."""
        raise RuntimeError("HTTP/2 has no connection to let go of, only streams")

    def switchProtocols(self, socket: HttpSocket, fields: Fields) -> Channel:
        """Accept an extended CONNECT (RFC 8441 section 4)."""
        self.wire.sendHead(self.streamId, 200, fields, None, True)
        socket.status = 200
        self._session.record(socket)
        self._session.flush()
        self.socket = None
        early, self._early = self._early, []
        self.channel = StreamTransport(self, self._session, early, self._endedEarly)
        return self.channel

    # When time is up:

    def _expired(self, name: str) -> None:
        if name in ("body", "rate"):
            self._contentExpired(name)
        elif name == "handler":
            self._handlerExpired()
        elif name == "write":
            self._writeExpired()

    def _contentExpired(self, name: str) -> None:
        if self._session.blocked:
            # A peer that does not read is not read from either, so nobody knows what it has sent.
            self._deadlines.set(name, self._session.site.configuration.bodyTimeout)
        elif name == "body":
            self.refuse(self.request, 408)
        elif self.inflow is not None:
            self.inflow.rateExpired()

    def _handlerExpired(self) -> None:
        if self.socket is None or not self._session.site.configuration.handlerTimeout:
            return
        if self.isBlocked:
            self._deadlines.set("handler", self._session.site.configuration.handlerTimeout)
        else:
            self.socket.expire()

    def _writeExpired(self) -> None:
        if not self.wire.waiting(self.streamId):
            return
        if self._session.blocked or self.wire.sent(self.streamId) > self._sent:
            self.watchOutput()
        else:
            self._reset(CANCEL, "the peer had no room for the response")
