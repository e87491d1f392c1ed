"""One stream of an HTTP/2 connection that goes on with another protocol of ours (RFC 8441)."""

from __future__ import annotations

__all__ = ["StreamTransport"]


from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from ._channel import HOLD_BACK, BaseChannel
from ._seams import ChannelUser, StreamOwner, Streams
from .wire.http2 import CANCEL


class StreamTransport(BaseChannel):
    """What a `ChannelUser` sees of the stream.  Fills `txabstracthttp._seams.Channel`."""

    def __init__(self, exchange: StreamOwner, session: Streams, early: list[bytes], ended: bool) -> None:
        super().__init__(exchange.request.connection, session.callSoon, exchange.isBlocked)
        self._exchange = exchange
        self._session = session
        self._streamId = exchange.streamId
        self._early = early
        self._endedEarly = ended
        #: Octets that were received while paused: the peer gets room for as many when that is over.
        self._owed = 0

    def begin(self, user: ChannelUser) -> None:
        """Everything is for `user` from now on."""
        self._greet(user)
        early, self._early = self._early, []
        for data in early:
            self.receive(data)
        if self._endedEarly:
            self.receiveEnd()
        else:
            self._catchUp(user)

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
        self.connectionLost(Failure(ConnectionDone("the stream has ended")))

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
        if self.isBlocked and self._isTooMuch(wire.waiting(self._streamId)):
            return self.abortConnection()
        wire.sendBody(self._streamId, data)
        self._session.flush()
        self._exchange.watchOutput()
        if wire.isFull(self._streamId) or self._session.blocked:
            self.outputBlocked()

    def pauseProducing(self) -> None:
        """Give the peer no more room for now."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Give it room again."""
        self._paused = False
        self._credit()

    def _credit(self) -> None:
        isStuck = self._session.wire.waiting(self._streamId) > HOLD_BACK
        if self._owed and not (self._paused or isStuck):
            owed, self._owed = self._owed, 0
            self._session.wire.credit(self._streamId, owed)
            self._session.flush()

    def loseConnection(self) -> None:
        """End the stream, behind what was written; the peer's half of it may end later."""
        if not self.disconnecting:
            self.disconnecting = True
            self._session.wire.sendEnd(self._streamId, [])
            self._session.wire.leave(self._streamId)
            self._session.flush()
            self._session.callSoon(lambda: self.connectionLost(Failure(ConnectionDone("closed"))))

    def abortConnection(self) -> None:
        """Reset the stream."""
        self.disconnecting = True
        self._session.wire.reset(self._streamId, CANCEL)
        self._session.flush()
        self._session.callSoon(lambda: self.connectionLost(Failure(ConnectionDone("aborted"))))
