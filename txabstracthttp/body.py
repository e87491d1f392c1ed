"""The content of one request, on its way to one reader."""

from __future__ import annotations

__all__ = ["BodyFlow", "RequestBody"]

from collections import deque
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from ._events import Fields
from .errors import HttpError

#: Pieces that wait are joined up to this many octets; those of streamed content, when there are many.
SMALL_PIECE = 16 * 1024
MANY_PIECES = 64


class BodyFlow(Protocol):
    """Where content comes from, and how to have more or less of it."""

    def want(self) -> None:
        """The reader waits for content."""

    def rest(self) -> None:
        """The reader is busy: the peer is not to blame for what does not arrive now."""

    def taken(self, size: int) -> None:
        """The reader took `size` octets."""

    def readerFailed(self, failure: Failure) -> None:
        """The reader raised an exception."""


class _Nowhere:
    """Where the content of most requests comes from."""

    def want(self) -> None:
        pass

    def rest(self) -> None:
        pass

    def taken(self, size: int) -> None:
        pass

    def readerFailed(self, failure: Failure) -> None:
        failure.raiseException()


_NOWHERE = _Nowhere()


@implementer(IPushProducer)
class RequestBody:
    """Content as it arrives: for a protocol, for a Deferred or for an ``async for``, but for one of them.

    :ivar streamed: the application takes it as it comes; else it is whole before a handler runs.
    :ivar trailers: the trailer section, once the content has ended.
    :ivar backlog: octets that arrived and were not taken.
    :ivar ended: why nothing more will come, `ConnectionDone` or `ConnectionLost`; None while more may.
    """

    __slots__ = (
        "_flow",
        "_paused",
        "_pieces",
        "_protocol",
        "_pushing",
        "_read",
        "_waiter",
        "backlog",
        "ended",
        "streamed",
        "trailers",
    )

    #: What Twisted's own protocols look for in a transport.
    disconnecting = False

    def __init__(self, flow: BodyFlow, streamed: bool) -> None:
        self.streamed = streamed
        self.trailers: Fields = []
        self.backlog = 0
        self.ended: ConnectionDone | ConnectionLost | None = None
        self._flow = flow
        self._pieces: deque[bytes] = deque()
        self._read = False
        self._paused = False
        self._pushing = False
        self._protocol: Any = None
        self._waiter: Deferred[None] | None = None

    @classmethod
    def complete(cls, content: bytes = b"") -> RequestBody:
        """Content that is all there from the beginning."""
        return cls._complete(_NOWHERE, content)

    @classmethod
    def _complete(cls, flow: BodyFlow, content: bytes) -> RequestBody:
        body = cls(flow, False)
        if content:
            body.receive(content)
        body.end([])
        return body

    # What the connection says:

    def receive(self, data: bytes) -> None:
        """A piece arrived."""
        # A peer that sends it by the octet must not make us keep an object for each.
        isMuch = not self.streamed or len(self._pieces) > MANY_PIECES
        if isMuch and self._pieces and len(self._pieces[-1]) + len(data) <= SMALL_PIECE:
            self._pieces[-1] += data
        else:
            self._pieces.append(data)
        self.backlog += len(data)
        self._stir()

    def end(self, trailers: Fields) -> None:
        """That was all of it."""
        if self.ended is None:
            self.trailers = trailers
            self.ended = ConnectionDone("the content is complete")
            self._stir()

    def cut(self, reason: str) -> None:
        """There should be more, but it will not come.  Behind the end this means nothing."""
        if self.ended is None:
            self.ended = ConnectionLost(reason)
            self._stir()

    def whole(self) -> bytes:
        """All of it, without taking it: for content that nobody streams."""
        if len(self._pieces) > 1:
            joined = b"".join(self._pieces)
            self._pieces.clear()
            self._pieces.append(joined)
        return self._pieces[0] if self._pieces else b""

    def discard(self) -> None:
        """What is left is thrown away; a reader that is still at it must not take that for the end."""
        self._read = True
        self._pieces.clear()
        self.backlog = 0
        self.cut("the request was answered before its content had come")

    def leave(self) -> None:
        """Where it came from is told no more: neither how it is read, nor what readers raise."""
        self._flow = _NOWHERE

    # What a reader says:

    def deliver(self, protocol: Any) -> None:
        """See `HttpRequest.deliverBody`."""
        self._beRead()
        self._protocol = protocol
        protocol.makeConnection(self)
        if self._protocol is not None and not self._paused:
            self._flow.want()
        self._push()

    async def next(self) -> bytes | None:
        """The next piece; None behind the last.

        :raises ConnectionLost: the content was cut short.
        """
        while not self._pieces:
            if isinstance(self.ended, ConnectionLost):
                raise self.ended
            if self.ended is not None:
                return None
            await self._wait()
        return self._take()

    def collect(self, limit: int | None) -> Coroutine[Any, Any, bytes]:
        """See `HttpRequest.content`."""
        self._beRead()
        return self._collect(limit)

    async def _collect(self, limit: int | None) -> bytes:
        pieces, size = [], 0
        while (piece := await self.next()) is not None:
            size += len(piece)
            if limit is not None and size > limit:
                raise HttpError(413, f"the content has more than {limit} octets")
            pieces.append(piece)
        return b"".join(pieces)

    def __aiter__(self) -> _Pieces:
        self._beRead()
        return _Pieces(self)

    def copy(self) -> RequestBody:
        """The same once more, for a reader: what was collected stays there for those who ask later.

        :raises RuntimeError: there is a reader already.
        """
        self._beRead()
        return self._complete(self._flow, self.whole())

    def _beRead(self) -> None:
        if self._read:
            raise RuntimeError("a request's content has one reader, and there is one already")
        self._read = True

    # Waiting and passing on:

    def _wait(self) -> Deferred[None]:
        self._waiter = Deferred(self._waitedEnough)
        self._flow.want()
        return self._waiter

    def _waitedEnough(self, waiter: Deferred[None]) -> None:
        self._waiter = None
        self._flow.rest()

    def _stir(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            self._flow.rest()
            waiter.callback(None)
        elif self._protocol is not None:
            self._push()

    def _take(self) -> bytes:
        piece = self._pieces.popleft()
        self.backlog -= len(piece)
        self._flow.taken(len(piece))
        return piece

    def _push(self) -> None:
        # A protocol that pauses and resumes while it is given something must not nest what follows.
        if self._pushing:
            return
        self._pushing = True
        try:
            while self._pieces and not self._paused and self._protocol is not None:
                self._protocol.dataReceived(self._take())
            if self.ended is not None and not self._pieces and not self._paused:
                self._pushEnd(self.ended)
        except Exception:
            self._protocol = None
            self._flow.readerFailed(Failure())
        finally:
            self._pushing = False

    def _pushEnd(self, reason: ConnectionDone | ConnectionLost) -> None:
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connectionLost(Failure(reason))

    # The transport of a protocol that reads (`IPushProducer`):

    def pauseProducing(self) -> None:
        """Hold the content back; the peer's sending is held back, too."""
        self._paused = True
        self._flow.rest()

    def resumeProducing(self) -> None:
        """Go on."""
        if self._paused:
            self._paused = False
            self._flow.want()
            self._push()

    def stopProducing(self) -> None:
        """Read no more of it; the protocol is told that its connection was lost."""
        self._flow.rest()
        self._pieces.clear()
        self.backlog = 0
        self._paused = False
        self._pushEnd(ConnectionLost("the reader stopped"))

    loseConnection = stopProducing


class _Pieces(AsyncIterator[bytes]):
    """One reader's way through the content; like every iterator it may be iterated on."""

    __slots__ = ("_body",)

    def __init__(self, body: RequestBody) -> None:
        self._body = body

    async def __anext__(self) -> bytes:
        piece = await self._body.next()
        if piece is None:
            raise StopAsyncIteration
        return piece
