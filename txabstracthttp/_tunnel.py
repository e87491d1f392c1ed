"""An HTTP/1 connection that goes on with another protocol of ours, behind the answer 101."""

from __future__ import annotations

__all__ = ["Tunnel"]

from collections.abc import Iterable
from typing import Any

from twisted.internet.interfaces import IAddress, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

from ._outlet import Outlet
from ._seams import ChannelUser, Connection
from ._stream import ResponseStream
from ._watch import Watch
from .configuration import HttpServerConfiguration
from .request import ConnectionInfo

#: What is written while octets are worked off is collected up to about this size.
WRITE_BATCH = 64 * 1024
#: A peer that does not read is dropped when so much waits for it: whoever writes has not looked at it either.
OUTPUT_LIMIT = 16 * 1024 * 1024
#: Or when so many pieces do, however small they are: each is an object of its own.
MOST_WAITING = 65536
#: And nothing more is read from it when so much waits: answers without end would wait for it, too.  Whoever
#: writes at the peer's pace stays below this, and hears the peer all the time.
HOLD_BACK = 256 * 1024


@implementer(ITransport)
class Tunnel:
    """What a `ChannelUser` sees of the connection.  Fills `txabstracthttp._seams.Channel`.

    It is the connection's session, too.
    """

    #: What Twisted's own protocols look for in a transport.
    disconnecting = False

    def __init__(
        self, connection: Connection, outlet: Outlet, watch: Watch, blocked: bool, unread: bytes
    ) -> None:
        self._connection = connection
        self._info: ConnectionInfo = connection.info
        self._outlet = outlet
        self._watch = watch
        self._unread = unread
        self._user: ChannelUser | None = None
        self._production = ResponseStream(None, True, connection.callSoon, self._producerFailed)
        self._output: list[bytes] = []
        self._size = self._waiting = 0
        self._collecting = False
        self._paused = self._reading = False
        self._draining = False
        #: What was said to a user who was not there yet.
        self._configuration: HttpServerConfiguration | None = None
        self.isBlocked = blocked
        connection.continueWith(self)

    def begin(self, user: ChannelUser) -> None:
        """Everything is for `user` from now on; first of all, what came too early."""
        self._user = user
        if self._configuration is not None:
            user.configure(self._configuration)
        unread, self._unread = self._unread, b""
        if unread:
            self.dataReceived(unread)
        if self._connection.readEnded and not self.disconnecting:
            self.readConnectionLost()
        elif self._draining:
            user.goAway()
        self._regulate()

    # What the transport says:

    def dataReceived(self, data: bytes) -> None:
        """Octets from the peer; what they are answered with leaves together."""
        if self.disconnecting:
            self._connection.farewell.discard(data)
            return
        if self._user is None:
            self._unread += data
            return
        self._collecting = True
        try:
            self._user.dataReceived(data)
        finally:
            self._collecting = False
            self._flush()

    def connectionLost(self, reason: Failure) -> None:
        """The end."""
        self.disconnecting = True
        self._production.stop()
        user, self._user = self._user, None
        if user is not None:
            user.lost(reason)

    def readConnectionLost(self) -> None:
        """The peer sends no more; half a WebSocket is none."""
        self.disconnecting = True
        self._connection.farewell.close()

    def outputBlocked(self) -> None:
        """The peer does not take what it is sent."""
        self.isBlocked = True
        self._production.pause()
        self._regulate()

    def outputFree(self) -> None:
        """The peer takes it again."""
        self.isBlocked = False
        self._waiting = 0
        self._production.resume()
        if self._user is not None:
            self._user.outputFree()
        self._regulate()

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
        return self._outlet.pending > 0

    def write(self, data: bytes) -> None:
        """Send `data`."""
        if self._collecting:
            self._output.append(data)
            self._size += len(data)
            if self._size > WRITE_BATCH:
                self._flush()
        else:
            self._send(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send several pieces."""
        self.write(b"".join(data))

    def _flush(self) -> None:
        if self._output:
            output, self._output = self._output, []
            self._size = 0
            self._send(output[0] if len(output) == 1 else b"".join(output))

    def _send(self, data: bytes) -> None:
        if self.disconnecting:
            return
        self._waiting += self.isBlocked
        if self._waiting > MOST_WAITING or (self.isBlocked and self._outlet.pending > OUTPUT_LIMIT):
            self.abortConnection()
        elif not self._outlet.write(data):
            self._watch.output()
            self._regulate()

    def pauseProducing(self) -> None:
        """Read no more for now."""
        self._paused = True
        self._regulate()

    def resumeProducing(self) -> None:
        """Read on."""
        self._paused = False
        self._regulate()

    def stopProducing(self) -> None:
        """Nobody wants any more."""
        self.loseConnection()

    def _regulate(self) -> None:
        if not self.disconnecting:
            isStuck = self.isBlocked and self._outlet.pending > HOLD_BACK
            self._connection.pauseReading(self._paused or isStuck)

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
        """Close, when everything is written."""
        if not self.disconnecting:
            self._flush()
            self.disconnecting = True
            self._connection.leave()

    def abortConnection(self) -> None:
        """Drop the connection."""
        self.disconnecting = True
        self._connection.abort()

    def getPeer(self) -> IAddress:
        """Who is there."""
        return self._info.remoteAddress

    def getHost(self) -> IAddress:
        """Our end."""
        return self._info.localAddress
