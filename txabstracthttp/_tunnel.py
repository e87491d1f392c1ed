"""An HTTP/1 connection that goes on with another protocol of ours, behind the answer 101."""

from __future__ import annotations

__all__ = ["Tunnel"]


from ._channel import HOLD_BACK, BaseChannel
from ._outlet import Outlet
from ._seams import ChannelUser, Connection
from ._watch import Watch

#: What is written while octets are worked off is collected up to about this size.
WRITE_BATCH = 64 * 1024


class Tunnel(BaseChannel):
    """What a `ChannelUser` sees of the connection.  Fills `txabstracthttp._seams.Channel`.

    It is the connection's session, too.
    """

    def __init__(
        self, connection: Connection, outlet: Outlet, watch: Watch, blocked: bool, unread: bytes
    ) -> None:
        super().__init__(connection.info, connection.callSoon, blocked)
        self._connection = connection
        self._outlet = outlet
        self._watch = watch
        self._unread = unread
        self._output: list[bytes] = []
        self._size = 0
        self._collecting = False
        connection.continueWith(self)

    def begin(self, user: ChannelUser) -> None:
        """Everything is for `user` from now on; first of all, what came too early."""
        self._greet(user)
        unread, self._unread = self._unread, b""
        if unread:
            self.dataReceived(unread)
        if self._connection.readEnded and not self.disconnecting:
            self.readConnectionLost()
        else:
            self._catchUp(user)
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

    def _flush(self) -> None:
        if self._output:
            output, self._output = self._output, []
            self._size = 0
            self._send(output[0] if len(output) == 1 else b"".join(output))

    def _send(self, data: bytes) -> None:
        if self.disconnecting:
            return
        if self.isBlocked and self._isTooMuch(self._outlet.pending):
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

    def _regulate(self) -> None:
        if not self.disconnecting:
            isStuck = self.isBlocked and self._outlet.pending > HOLD_BACK
            self._connection.pauseReading(self._paused or isStuck)

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
