"""How a connection ends: politely first, then by force."""

from __future__ import annotations

__all__ = ["Farewell"]

from typing import Any

from twisted.internet.interfaces import IHalfCloseableDescriptor

from ._deadlines import Deadlines
from ._outlet import Outlet

#: RFC 9112 section 9.6: for how long we read on, so that the peer can read our last words.
LINGER_TIME = 2.0
#: And how much.  A peer in the middle of an upload has some megabytes on their way before it looks up; beyond
#: this it is no longer read from, and may still look up until the time is over.
LINGER_SIZE = 16 * 1024 * 1024


class Farewell:
    """The end of one connection.

    To close both directions at once while the peer still sends would reset the connection, and might destroy
    what it has not read yet.  So our end is closed first, and the peer has a little time to close its own.
    """

    __slots__ = ("_closing", "_deadlines", "_discarded", "_outlet", "_timeout", "_transport")

    def __init__(self, transport: Any, outlet: Outlet, deadlines: Deadlines, timeout: float) -> None:
        """
        :param timeout: `closeTimeout`.
        """
        self._transport = transport
        self._outlet = outlet
        self._deadlines = deadlines
        self._timeout = timeout
        self._discarded = 0
        self._closing = False

    def linger(self, isSecure: bool) -> None:
        """Say that nothing more will come, and wait for the peer to say so, too."""
        # Over TLS a half-close would go behind its back; its own closing waits for the peer anyway.
        halfCloses = IHalfCloseableDescriptor.providedBy(self._transport) and not isSecure
        if not halfCloses:
            return self.close()
        self._deadlines.set("linger", LINGER_TIME)
        self._transport.unregisterProducer()
        self._transport.loseWriteConnection()

    def discard(self, data: bytes) -> None:
        """The peer still sends, and nobody looks at it."""
        self._discarded += len(data)
        if self._discarded > LINGER_SIZE and not self._closing:
            self._transport.pauseProducing()

    def close(self) -> None:
        """Close once everything is written."""
        self._closing = True
        # Before the transport hears of it: a connection may be lost at once, and its deadlines with it.
        self._deadlines.clear("linger")
        self._deadlines.set("close", self._timeout)
        self._transport.unregisterProducer()
        self._transport.loseConnection()

    def closeExpired(self) -> None:
        """It takes long.  While octets wait for a slow peer, it is `writeTimeout` that decides."""
        if self._outlet.pending and "write" in self._deadlines:
            self._deadlines.set("close", self._timeout)
        else:
            self._transport.abortConnection()
