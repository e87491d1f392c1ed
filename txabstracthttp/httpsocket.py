"""What a handler sees of a connection, for one exchange: the right to answer one request."""

from __future__ import annotations

__all__ = ["HttpSocket"]

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IAddress
from twisted.python.failure import Failure

from ._boundaries import ExchangeLink
from ._events import FieldPairs
from .errors import AlreadyAnswered
from .headers import HeadersLike
from .request import HttpRequest
from .semantics import (
    Content,
    checkStatus,
    composeHead,
    encodeContent,
    encodeMediaType,
    errorResponse,
    frameContent,
    standardFields,
)

# What has become of the exchange.  GONE, the client left, may follow on each of the others.
NEW, BEGUN, FINISHED, GONE = range(4)


class HttpSocket:
    """The connection, as far as one request is concerned (the QTcpSocket of Qt 6.4's handlers).

    Keep it, and answer whenever you like.  When the client has left meanwhile, answering does nothing.

    :ivar request: the request that is answered.
    :ivar status: the status of the response; 0 before there is one.
    :ivar bodyBytesSent: octets of content that were sent.
    :ivar handling: what an asynchronous handler is waited for by; None for others, and when it is done.
    """

    __slots__ = ("_claimed", "_link", "_state", "_waiters", "bodyBytesSent", "handling", "request", "status")

    def __init__(self, link: ExchangeLink, request: HttpRequest) -> None:
        self._link = link
        self.request = request
        self._state = NEW
        self._claimed = False
        self._waiters: list[Deferred[None]] | None = None
        self.handling: Deferred[Any] | None = None
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
        if status != 200:
            checkStatus(status)
        content, mediaType = encodeContent(body)
        if contentType is not None:
            mediaType = encodeMediaType(contentType)
        declared = None
        fields: FieldPairs
        if headers is None:
            fields = standardFields(mediaType, self._link.serverField)
        else:
            fields, declared, closes = composeHead(headers, mediaType, self._link.serverField)
            if closes:
                self._link.closeAfterwards()
        length: int | None = len(content)
        if status != 200 or declared is not None or self.request.method == "HEAD":
            length, content = frameContent(self.request.method, status, content, declared)
        self._send(status, fields, length, content)

    def refuse(self, status: int) -> None:
        """Answer with a plain error page of our own; nothing if the exchange was answered already."""
        if self._state == NEW:
            fields, content = errorResponse(status)
            length, content = frameContent(self.request.method, status, content, None)
            self._send(status, fields, length, content)

    def fail(self) -> None:
        """The handler failed; called by the server."""
        self.refuse(500)

    def expire(self) -> None:
        """The handler took too long; called by the connection."""
        self.refuse(503)
        self.cancelHandling()

    def cancelHandling(self) -> None:
        """Cancel a handler that is still awaited."""
        if self.handling is not None:
            self.handling.cancel()

    def _send(self, status: int, fields: FieldPairs, length: int | None, content: bytes) -> None:
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
    def isAnswered(self) -> bool:
        """Whether the response has been finished, or the client has gone."""
        return self._state >= FINISHED

    def loseConnection(self) -> None:
        """Close the connection once this exchange is over; without an answer, at once."""
        self._link.closeAfterwards()
        if self._state == NEW:
            self._link.hangUp(self)

    def abortConnection(self) -> None:
        """Drop the connection now, whatever is still on its way."""
        self._link.abort()

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

    def _fire(self, outcome: Failure | None) -> None:
        waiters, self._waiters = self._waiters or (), None
        for waiter in waiters:
            # Whoever cancelled his own has heard already.
            if not waiter.called:
                waiter.callback(outcome)
