"""A connection that was handed to another protocol."""

from __future__ import annotations

__all__ = ["Detached"]

from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.python.failure import Failure


class Detached:
    """Passes everything on to the protocol that has taken the connection over.

    The transport keeps the protocol that it knows, whatever it is wrapped in: TLS, PROXY or nothing.
    """

    def __init__(self, connection: Any, protocol: Any) -> None:
        self._transport = connection.transport
        self._protocol = protocol
        self._connectionLost = connection.connectionLost
        connection.dataReceived = self.dataReceived
        connection.connectionLost = self.connectionLost
        connection.readConnectionLost = self.readConnectionLost
        connection.writeConnectionLost = self.writeConnectionLost

    def begin(self, unread: bytes, readEnded: bool) -> None:
        """Introduce the protocol to the transport, and give it what came too early for it."""
        try:
            self._protocol.makeConnection(self._transport)
            if unread:
                self._protocol.dataReceived(unread)
            if readEnded:
                self.readConnectionLost()
        except BaseException:
            # Nobody speaks HTTP here any more, so there is no other answer.
            self._transport.abortConnection()
            raise

    def dataReceived(self, data: bytes) -> None:
        """Octets; by the method that the protocol has now, for it may change that."""
        self._protocol.dataReceived(data)

    def connectionLost(self, reason: Failure) -> None:
        """The end, for both."""
        self._connectionLost(reason)
        self._protocol.connectionLost(reason)

    def readConnectionLost(self) -> None:
        """Half an end; the whole one for a protocol that does not know halves."""
        if IHalfCloseableProtocol.providedBy(self._protocol):
            self._protocol.readConnectionLost()
        else:
            self._transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """Likewise."""
        if IHalfCloseableProtocol.providedBy(self._protocol):
            self._protocol.writeConnectionLost()
