"""What a handler sees of a connection, for one exchange: the right to answer one request."""

from __future__ import annotations

__all__ = ["HttpSocket"]

import os
from collections.abc import Iterable
from typing import Any, BinaryIO

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, ConnectionLost
from twisted.internet.interfaces import IAddress, IConsumer, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

from ._boundaries import ExchangeLink
from ._events import FieldPairs, Fields
from ._stream import FileProducer, ResponseStream, fileFields, openFile
from .errors import AlreadyAnswered
from .headers import HeadersLike, encodeFields
from .request import HttpRequest
from .semantics import (
    TEXT,
    Content,
    checkStatus,
    composeHead,
    encodeContent,
    encodeMediaType,
    encodeTrailers,
    errorResponse,
    forbidsLength,
    frameContent,
    mayHaveContent,
    standardFields,
)

_OCTETS = (bytes, bytearray, memoryview)

# What has become of the exchange.  GONE, the client left, may follow on each of the others.
NEW, BEGUN, FINISHED, GONE = range(4)


@implementer(ITransport, IConsumer)
class HttpSocket:
    """The connection, as far as one request is concerned (the QTcpSocket of Qt 6.4's handlers).

    It provides `ITransport` and `IConsumer`: what writes to a Twisted transport writes a response to it.
    Keep it, and answer whenever you like.  When the client has left meanwhile, answering does nothing.

    :ivar request: the request that is answered.
    :ivar status: the status of the response; 0 before there is one.
    :ivar bodyBytesSent: octets of content that were sent.
    :ivar isDetached: the connection was handed to another protocol.
    :ivar handling: what an asynchronous handler is waited for by; None for others, and when it is done.
    """

    __slots__ = (
        "_claimed",
        "_link",
        "_state",
        "_stream",
        "_waiters",
        "bodyBytesSent",
        "handling",
        "isDetached",
        "request",
        "status",
    )

    def __init__(self, link: ExchangeLink, request: HttpRequest) -> None:
        self._link = link
        self.request = request
        self._state = NEW
        self._claimed = False
        self._waiters: list[Deferred[None]] | None = None
        self._stream: ResponseStream | None = None
        self.handling: Deferred[Any] | None = None
        self.isDetached = False
        self.status = 0
        self.bodyBytesSent = 0

    def respond(
        self,
        body: Content = b"",
        status: int = 200,
        headers: HeadersLike = None,
        contentType: str | None = None,
    ) -> None:
        """Answer, with everything at once (Qt: QHttpServerResponder::write).

        :param body: `str` is sent as UTF-8 ``text/plain``, `bytes` as ``application/octet-stream``, `dict`
            and `list` as JSON.
        :param status: a final status code, 200 to 599.
        :param headers: more fields, in any form that `HttpHeaders` takes.
        :param contentType: the media type, if it is another than the body's type suggests.
        :raises AlreadyAnswered: the response was begun already.
        :raises ValueError: a status, field or body that must not be sent; nothing was sent then.
        :raises TypeError: a body or fields of no type that is taken.
        """
        if self._state != NEW:
            return self._refuseUnlessGone()
        if type(status) is not int or status != 200:
            checkStatus(status)
        mediaType: bytes | None
        if type(body) is str:
            content, mediaType = body.encode(), TEXT
        else:
            content, mediaType = encodeContent(body)
        if contentType is not None:
            mediaType = encodeMediaType(contentType)
        declared, closes = None, False
        fields: FieldPairs
        if headers is None:
            fields = standardFields(mediaType, self._link.serverField)
        else:
            fields, declared, closes = composeHead(headers, mediaType, self._link.serverField)
        length: int | None = len(content)
        if status != 200 or declared is not None or self.request.method in ("HEAD", "CONNECT"):
            length, content = frameContent(self.request.method, status, content, declared)
        if closes:
            self._link.closeAfterwards()
        self._send(status, fields, length, content)

    def begin(self, status: int = 200, headers: HeadersLike = None) -> None:
        """Begin an answer whose content follows, by `write` or from a producer, until `finish`.

        Without a Content-Length it is chunked on HTTP/1.1, and ends with the connection on HTTP/1.0.  The
        head leaves together with the first content, or at the end of this turn of the reactor.

        :raises AlreadyAnswered: the response was begun already.
        :raises ValueError: a status or field that must not be sent.
        """
        if self._state != NEW:
            return self._refuseUnlessGone()
        checkStatus(status)
        head = composeHead(headers, None, self._link.serverField)
        hasContent = mayHaveContent(self.request.method, status)
        if head.closes:
            self._link.closeAfterwards()
        self._link.responseComing(self, False)
        self._state = BEGUN
        self.status = status
        self._stream = ResponseStream(
            head.length if hasContent else None, hasContent, self._link.callSoon, self._producerFailed
        )
        length = 0 if status == 205 else head.length
        if forbidsLength(self.request.method, status):
            length = None
        self._link.wire.sendHead(self.request.streamId, status, head.fields, length, hasContent)
        self._link.flushSoon()

    def write(self, data: bytes) -> None:
        """Send a piece of content; begins the answer, with 200, if that was not done.

        :raises TypeError: not bytes.
        :raises ValueError: more than the Content-Length that was given.
        :raises AlreadyAnswered: the response was finished.
        """
        if type(data) is not bytes:
            if not isinstance(data, _OCTETS):
                raise TypeError(f"content is written as bytes, not {type(data).__name__}")
            data = bytes(data)
        if self._state == NEW:
            if not data:
                return None
            self.begin()
        stream = self._stream
        if self._state != BEGUN or stream is None:
            return self._refuseUnlessGone()
        size = len(data)
        stream.count(size)
        if size and stream.hasContent:
            self.bodyBytesSent += size
            self._link.wire.sendBody(self.request.streamId, data)
            self._link.flush()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send several pieces."""
        self.write(b"".join(data))

    def finish(self, trailers: HeadersLike = None) -> None:
        """End the answer.

        :param trailers: fields behind the content (RFC 9110 section 6.5); where the framing has no room for
            them, they are left out.
        :raises AlreadyAnswered: it was finished already.
        :raises ValueError: a trailer that must not be sent, or less content than the Content-Length says; the
            connection is dropped then, since nothing else can tell the peer.
        """
        fields = encodeTrailers(trailers)
        if self._state == NEW:
            self.begin()
        stream = self._stream
        if self._state != BEGUN or stream is None:
            return self._refuseUnlessGone()
        if stream.missing:
            missing = stream.missing
            self.abortConnection()
            raise ValueError(f"the response ends {missing} octets short of its Content-Length")
        self._state = FINISHED
        self._link.wire.sendEnd(self.request.streamId, fields)
        self._link.responseFinished(self)
        if self._waiters is not None:
            self._fire(None)
        stream.stop()

    def sendFile(self, source: str | os.PathLike[str] | BinaryIO, headers: HeadersLike = None) -> None:
        """Answer with a file, read as fast as the peer takes it (Qt: QHttpServerResponse::fromFile).

        :param source: a path, or a file opened for reading in binary mode, from where it stands to its end.
            It is closed in the end.  A path that cannot be opened, or is no regular file, is answered with
            404.
        :param headers: more fields.  Content-Type is guessed from the name if it is not among them.
        :raises AlreadyAnswered, ValueError: as for `begin`.
        """
        if self._state != NEW:
            if not isinstance(source, str | os.PathLike):
                source.close()
            return self._refuseUnlessGone()
        try:
            file = openFile(source) if isinstance(source, str | os.PathLike) else source
        except OSError:
            return self.refuse(404)
        try:
            fields = fileFields(file, headers)
            self.begin(headers=fields)
        except BaseException:
            file.close()
            raise
        if self._stream is None or not self._stream.hasContent:
            file.close()
            return self.finish()
        self.registerProducer(FileProducer(file, self, self._stream.declared), False)

    def inform(self, status: int, headers: HeadersLike = None) -> None:
        """Send an interim response, such as 103 Early Hints (RFC 8297), before the answer.

        :param status: 100 to 199, but not 101.
        :raises AlreadyAnswered: the answer was begun already.
        :raises ValueError: another status, or a field that must not be sent.
        """
        if self._state != NEW:
            return self._refuseUnlessGone()
        if (
            isinstance(status, bool)
            or not isinstance(status, int)
            or not 100 <= status <= 199
            or status == 101
        ):
            raise ValueError(f"an interim status is 100 or 102 to 199, not {status!r}")
        fields = encodeFields(headers)
        if any(name.lower() in (b"content-length", b"transfer-encoding") for name, _ in fields):
            raise ValueError("an interim response has no content, and nothing that frames it")
        self._link.wire.sendInformational(self.request.streamId, status, fields)
        self._link.flush()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Let `producer` write the content, at the pace of the peer; `finish` stays yours to call.

        :param streaming: it is an `IPushProducer`; else an `IPullProducer`.
        :raises RuntimeError: there is a producer already.
        """
        if self._state == NEW:
            self.begin()
        if self._stream is None or self._state != BEGUN:
            producer.stopProducing()
            return self._refuseUnlessGone()
        self._stream.register(producer, streaming, self._link.isBlocked)

    def unregisterProducer(self) -> None:
        """The producer has no more; the answer goes on, unless `loseConnection` waits for this."""
        if self._stream is not None:
            self._stream.unregister()
            if self._stream.ending and self._state == BEGUN:
                self.finish()

    def _producerFailed(self, failure: Failure) -> None:
        self._link.producerFailed(self, failure)

    def pauseProducing(self) -> None:
        """The peer does not keep up; called by the connection."""
        if self._stream is not None:
            self._stream.pause()

    def resumeProducing(self) -> None:
        """The peer has caught up; called by the connection."""
        if self._stream is not None:
            self._stream.resume()

    def detach(self, protocol: Any) -> None:
        """Leave HTTP: let `protocol` have the connection (HTTP/1 only).

        It is connected to the transport, gets what the peer has sent behind the request, and then everything
        that follows.  Nothing of ours stays between: no deadline and no producer.

        :param protocol: an `IProtocol`.
        :raises AlreadyAnswered: something was sent already.
        :raises RuntimeError: HTTP/2, or content of the request that is still on its way.
        """
        if self._state != NEW:
            return self._refuseUnlessGone()
        start = self._link.detach(protocol)
        self._state = FINISHED
        self.isDetached = True
        start()
        self._fire(None)

    def switchProtocols(self, fields: Fields) -> Any:
        """Continue with another protocol, on the channel that is returned; called by the server."""
        self._state = FINISHED
        self.status = 101
        channel = self._link.switchProtocols(self, fields)
        self._fire(None)
        return channel

    def refuse(self, status: int, more: FieldPairs = ()) -> None:
        """Answer with a plain error page of our own; nothing if the exchange was answered already.

        :param more: fields, already checked.
        """
        if self._state == NEW:
            fields, content = errorResponse(status, self._link.serverField)
            fields += more
            length, content = frameContent(self.request.method, status, content, None)
            self._send(status, fields, length, content)

    def fail(self, status: int = 500) -> None:
        """The handler failed; called by the server."""
        if self._state == BEGUN:
            # The peer has the head: an end that looks complete would be a lie.
            self._abort(True)
        else:
            self.refuse(status)

    def expire(self) -> None:
        """The handler took too long; called by the connection."""
        self.fail(503)
        self.cancelHandling()

    def cancelHandling(self) -> None:
        """Cancel a handler that is still awaited."""
        if self.handling is not None:
            self.handling.cancel()

    def _send(self, status: int, fields: FieldPairs, length: int | None, content: bytes) -> None:
        if self.request.contentLength != 0:
            self._link.responseComing(self, True)
        self._state = FINISHED
        self.status = status
        self.bodyBytesSent = len(content)
        self._link.wire.sendResponse(self.request.streamId, status, fields, length, content)
        self._link.responseFinished(self)
        if self._waiters is not None:
            self._fire(None)

    def _refuseUnlessGone(self) -> None:
        """To write to a client that left is no error: nobody could have known."""
        if self._state != GONE:
            raise AlreadyAnswered("this request was answered already")

    def claim(self) -> None:
        """Say "I shall answer later": nobody else will then answer with 404, or with 500 for a None."""
        self._claimed = True

    @property
    def isClaimed(self) -> bool:
        """Whether somebody has answered, or said that he would."""
        return self._claimed or self._state != NEW

    @property
    def isUntouched(self) -> bool:
        """Whether nothing of the answer was sent, and somebody is there to have it."""
        return self._state == NEW

    @property
    def isBegun(self) -> bool:
        """Whether the answer was begun and is not finished."""
        return self._state == BEGUN

    @property
    def isAnswered(self) -> bool:
        """Whether the response has been finished, or the client has gone."""
        return self._state >= FINISHED

    def loseConnection(self) -> None:
        """Finish the answer, and close the connection; without an answer, close at once.

        A producer that is registered has its time, as with any Twisted transport.
        """
        if self._state == NEW:
            self._link.hangUp(self)
        elif self._state != GONE:
            self._link.closeAfterwards()
            if self._state == BEGUN and self._stream is not None:
                self._stream.ending = True
                if not self._stream.hasProducer:
                    self.finish()

    def abortConnection(self) -> None:
        """Drop the connection now, whatever is still on its way; on HTTP/2, the stream."""
        self._abort(False)

    def _abort(self, failed: bool) -> None:
        self._link.abortExchange(self, failed)
        self.connectionLost(Failure(ConnectionAborted()))

    def getPeer(self) -> IAddress:
        """Who asks."""
        return self.request.remoteAddress

    def getHost(self) -> IAddress:
        """The end of the connection that the request came in by."""
        return self.request.localAddress

    @property
    def isResponseCanceled(self) -> bool:
        """Whether the client left before the response was finished (Qt 6.11's member of that name)."""
        return self._state == GONE

    def notifyFinish(self) -> Deferred[None]:
        """Wait for the end of this exchange; a new Deferred for each call.

        :return: it fires with None when the response has been finished, and fails with the reason the
            connection was lost for when the client left before.
        """
        if self._state == FINISHED:
            return succeed(None)
        if self._state == GONE:
            return fail(ConnectionLost("the client has left"))
        waiter: Deferred[None] = Deferred()
        if self._waiters is None:
            self._waiters = []
        self._waiters.append(waiter)
        return waiter

    def connectionLost(self, reason: Failure) -> None:
        """The client has left; called by the connection."""
        if self._state < FINISHED:
            self._state = GONE
            self._fire(reason)
            if self._stream is not None:
                self._stream.stop()

    def _fire(self, outcome: Failure | None) -> None:
        waiters, self._waiters = self._waiters or (), None
        for waiter in waiters:
            # Whoever cancelled his own has heard already.
            if not waiter.called:
                waiter.callback(outcome)
