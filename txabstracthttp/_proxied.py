"""The transport of a connection that a proxy relays."""

from __future__ import annotations

__all__ = ["ProxiedTransport"]

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import (
    IAddress,
    IConsumer,
    IHalfCloseableDescriptor,
    IPushProducer,
    ISystemHandle,
    ITCPTransport,
    ITransport,
)
from zope.interface import alsoProvides, implementer

from .wire.proxyheader import Address, ProxyHeader

#: What a transport may or may not provide; the one in front of it provides the same.
_OPTIONAL = (ITCPTransport, IHalfCloseableDescriptor, ISystemHandle)


@implementer(ITransport, IConsumer, IPushProducer)
class ProxiedTransport:
    """A transport that answers with the addresses of the relayed connection, and is the real one otherwise.

    :ivar transport: the real one.
    """

    def __init__(self, transport: Any, header: ProxyHeader) -> None:
        self.transport = transport
        self._peer = _addressOf(header.source, transport.getPeer)
        self._host = _addressOf(header.destination, transport.getHost)
        alsoProvides(self, *(each for each in _OPTIONAL if each.providedBy(transport)))

    def getPeer(self) -> IAddress:
        """Who connected to the proxy."""
        return self._peer

    def getHost(self) -> IAddress:
        """Where that one connected to."""
        return self._host

    # ITransport:

    def write(self, data: bytes) -> None:
        self.transport.write(data)

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.transport.writeSequence(data)

    def loseConnection(self) -> None:
        self.transport.loseConnection()

    @property
    def disconnecting(self) -> Any:
        """Twisted's own protocols look at it, though no interface has it."""
        return self.transport.disconnecting

    # IConsumer and IPushProducer:

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.transport.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        self.transport.unregisterProducer()

    def pauseProducing(self) -> None:
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        self.transport.stopProducing()

    # ITCPTransport, IHalfCloseableDescriptor and ISystemHandle, where the real one provides them:

    def abortConnection(self) -> None:
        self.transport.abortConnection()

    def loseWriteConnection(self) -> None:
        self.transport.loseWriteConnection()

    def getTcpNoDelay(self) -> Any:
        return self.transport.getTcpNoDelay()

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.transport.setTcpNoDelay(enabled)

    def getTcpKeepAlive(self) -> Any:
        return self.transport.getTcpKeepAlive()

    def setTcpKeepAlive(self, enabled: bool) -> None:
        self.transport.setTcpKeepAlive(enabled)

    def getHandle(self) -> Any:
        return self.transport.getHandle()


def _addressOf(said: Address | None, own: Callable[[], IAddress]) -> IAddress:
    if said is None:
        return own()
    if isinstance(said, bytes):
        return UNIXAddress(said or None)
    kind = IPv6Address if ":" in said[0] else IPv4Address
    return kind("TCP", *said)
