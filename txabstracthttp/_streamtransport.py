"""One stream of an HTTP/2 connection that goes on with another protocol of ours (RFC 8441)."""

from __future__ import annotations

__all__ = ["StreamTransport"]

from collections.abc import Iterable
from typing import Any

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

from ._seams import ChannelUser, StreamOwner, Streams
from ._stream import ResponseStream
from ._tunnel import HOLD_BACK, MOST_WAITING, OUTPUT_LIMIT
from .configuration import HttpServerConfiguration
from .wire.http2 import CANCEL


@implementer(ITransport)
class StreamTransport:
    """What a `ChannelUser` sees of the stream.  Fills `txabstracthttp._seams.Channel`."""

    #: What Twisted's own protocols look for in a transport.
    disconnecting = False

    def __init__(self, exchange: StreamOwner, session: Streams, early: list[bytes], ended: bool) -> None:
        self._exchange = exchange
        self._session = session
        self._streamId = exchange.streamId
        self._user: ChannelUser | None = None
        self._early = early
        self._endedEarly = ended
        self._production = ResponseStream(None, True, session.callSoon, self._producerFailed)
        self._paused = False
        self._waiting = 0
        #: Octets that were received while paused: the peer gets room for as many when that is over.
        self._owed = 0
        self._draining = False
        #: What was said to a user who was not there yet.
        self._configuration: HttpServerConfiguration | None = None
        self.isBlocked = exchange.isBlocked

    def begin(self, user: ChannelUser) -> None:
        """Everything is for `user` from now on."""
        self._user = user
        if self._configuration is not None:
            user.configure(self._configuration)
        early, self._early = self._early, []
        for data in early:
            self.receive(data)
        if self._endedEarly:
            self.receiveEnd()
        elif self._draining:
            user.goAway()

    # From the peer:

    def receive(self, data: bytes) -> None:
        """Octets; there is room for as many more, unless somebody is busy."""
        if self._user is None:
            self._early.append(data)
        elif self.disconnecting:
            self._session.wire.credit(self._streamId, len(data))
        else:
            self._owed += len(data)
            self._user.dataReceived(data)
            self._credit()

    def receiveEnd(self) -> None:
        """The peer sends no more; half a WebSocket is none (RFC 8441 section 5)."""
        if self._user is None:
            self._endedEarly = True
        elif not self.disconnecting:
            self.loseConnection()
        self._lose(Failure(ConnectionDone("the stream has ended")))

    def connectionLost(self, reason: Failure) -> None:
        """The stream was reset, or its connection is gone."""
        self._lose(reason)

    def _lose(self, reason: Failure) -> None:
        user, self._user = self._user, None
        self.disconnecting = True
        self._production.stop()
        if user is not None:
            user.lost(reason)

    def outputBlocked(self) -> None:
        """The peer does not take what it is sent."""
        if not self.isBlocked:
            self.isBlocked = True
            self._production.pause()

    def outputFree(self) -> None:
        """The peer takes it again."""
        if self.isBlocked and not self._exchange.isBlocked:
            self.isBlocked = False
            self._waiting = 0
            self._production.resume()
            if self._user is not None:
                self._user.outputFree()
            self._credit()

    def configure(self, configuration: HttpServerConfiguration) -> None:
        """Other limits apply from now on."""
        if self._user is None:
            self._configuration = configuration
        else:
            self._user.configure(configuration)

    def drain(self) -> None:
        """The server closes."""
        if self._user is None:
            self._draining = True
        else:
            self._user.goAway()

    # What the user says:

    @property
    def isWriting(self) -> bool:
        """Whether something waits to be sent, at the peer's pace."""
        return self._session.wire.waiting(self._streamId) > 0

    def write(self, data: bytes) -> None:
        """Send `data`."""
        wire = self._session.wire
        if self.disconnecting or not data:
            return None
        self._waiting += self.isBlocked
        if self._waiting > MOST_WAITING or (self.isBlocked and wire.waiting(self._streamId) > OUTPUT_LIMIT):
            return self.abortConnection()
        wire.sendBody(self._streamId, data)
        self._session.flush()
        self._exchange.watchOutput()
        if wire.isFull(self._streamId) or self._session.blocked:
            self.outputBlocked()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send several pieces."""
        self.write(b"".join(data))

    def pauseProducing(self) -> None:
        """Give the peer no more room for now."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Give it room again."""
        self._paused = False
        self._credit()

    def stopProducing(self) -> None:
        """Nobody wants any more."""
        self.loseConnection()

    def _credit(self) -> None:
        isStuck = self._session.wire.waiting(self._streamId) > HOLD_BACK
        if self._owed and not (self._paused or isStuck):
            owed, self._owed = self._owed, 0
            self._session.wire.credit(self._streamId, owed)
            self._session.flush()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Let `producer` write, at the pace of the peer."""
        if self.disconnecting:
            producer.stopProducing()
        else:
            self._production.register(producer, streaming, self.isBlocked)

    def unregisterProducer(self) -> None:
        """It has no more."""
        self._production.unregister()

    def stopProduction(self) -> None:
        """Nobody may write any more; a producer is told so."""
        self._production.stop()

    def _producerFailed(self, failure: Failure) -> None:
        if self._user is not None:
            self._user.failed(failure)

    def loseConnection(self) -> None:
        """End the stream, behind what was written; the peer's half of it may end later."""
        if not self.disconnecting:
            self.disconnecting = True
            self._session.wire.sendEnd(self._streamId, [])
            self._session.wire.leave(self._streamId)
            self._session.flush()
            self._session.callSoon(lambda: self._lose(Failure(ConnectionDone("closed"))))

    def abortConnection(self) -> None:
        """Reset the stream."""
        self.disconnecting = True
        self._session.wire.reset(self._streamId, CANCEL)
        self._session.flush()
        self._session.callSoon(lambda: self._lose(Failure(ConnectionDone("aborted"))))

    def getPeer(self) -> IAddress:
        """Who is there."""
        return self._exchange.request.remoteAddress

    def getHost(self) -> IAddress:
        """Our end."""
        return self._exchange.request.localAddress
