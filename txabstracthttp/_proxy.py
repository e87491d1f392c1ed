"""Connections that a proxy relays: its header first, then whatever they would be without it, TLS included.

    transport -> ProxyProtocol -> (TLS ->) HttpConnection -> (TLS ->) ProxiedTransport -> transport

The header comes before TLS, where HAProxy's ``send-proxy`` puts it; Twisted's ``haproxy:ssl:`` looks for it
inside.
"""

from __future__ import annotations

__all__ = ["ProxyFactory", "ProxyHost", "ProxyProtocol", "wrapServerProxy"]

from copy import copy
from typing import Any
from typing import Protocol as TypingProtocol

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ServerEndpoint, StandardIOEndpoint
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHalfCloseableProtocol,
    IListeningPort,
    ILoggingContext,
    IProtocolFactory,
    IReactorTime,
    IStreamServerEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from ._proxied import ProxiedTransport
from .configuration import HttpServerConfiguration
from .wire.proxyheader import ProxyError, ProxyHeader, ProxyHeaderReader

_log = Logger()


class ProxyHost(TypingProtocol):
    """The server, to which nobody has come yet."""

    @property
    def configuration(self) -> HttpServerConfiguration:
        """The limits in force: `handshakeTimeout` and `maximumConnections` apply."""

    def accepted(self, transport: Any) -> None:
        """A connection was accepted."""


class ProxyProtocol(Protocol):
    """Reads the header, then hands everything on to a protocol of the wrapped factory.

    It is half-closeable where that one is: Twisted asks when it happens, and by then the header has come.
    """

    transport: Any

    def __init__(self, factory: ProxyFactory) -> None:
        self._factory = factory
        self._reader: ProxyHeaderReader | None = ProxyHeaderReader()
        self._deadline: IDelayedCall | None = None
        self._wrapped: Any = None

    def connectionMade(self) -> None:
        """Wait for the header, but not for ever."""
        factory = self._factory
        factory.waits(self)
        if ITCPTransport.providedBy(self.transport):
            # Those above go by the peer, and leave out what came to the proxy through a Unix socket.
            self.transport.setTcpNoDelay(True)
        timeout = factory.host.configuration.handshakeTimeout
        self._deadline = factory.clock.callLater(timeout, self.refuse, "no header in time")

    def dataReceived(self, data: bytes) -> None:
        """Octets from the proxy, and later through it."""
        if self._wrapped is not None:
            self._wrapped.dataReceived(data)
        elif self._reader is not None:
            self._readHeader(self._reader, data)

    def _readHeader(self, reader: ProxyHeaderReader, data: bytes) -> None:
        try:
            header = reader.receive(data)
        except ProxyError as error:
            return self.refuse(str(error))
        if header is not None:
            self._stopWaiting()
            self._relay(header)

    def _relay(self, header: ProxyHeader) -> None:
        transport = ProxiedTransport(self.transport, header)
        wrapped: Any = self._factory.wrappedFactory.buildProtocol(transport.getPeer())
        if wrapped is None:
            self.transport.abortConnection()
            return
        self._wrapped = wrapped
        if IHalfCloseableProtocol.providedBy(wrapped):
            alsoProvides(self, IHalfCloseableProtocol)
        wrapped.makeConnection(transport)
        if header.rest:
            self.dataReceived(header.rest)

    def refuse(self, reason: str) -> None:
        """Drop a connection that has sent no header."""
        _log.debug("dropped {peer}: {reason}", peer=self.transport.getPeer(), reason=reason)
        self._stopWaiting()
        self.transport.abortConnection()

    def _stopWaiting(self) -> None:
        self._reader = None
        self._factory.waiting.pop(self, None)
        deadline, self._deadline = self._deadline, None
        if deadline is not None and deadline.active():
            deadline.cancel()

    def readConnectionLost(self) -> None:
        """The peer sends no more (`IHalfCloseableProtocol`)."""
        self._wrapped.readConnectionLost()

    def writeConnectionLost(self) -> None:
        """Our own end was closed (`IHalfCloseableProtocol`)."""
        self._wrapped.writeConnectionLost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self._stopWaiting()
        wrapped, self._wrapped = self._wrapped, None
        if wrapped is not None:
            wrapped.connectionLost(reason)


class ProxyFactory(Factory):
    """Puts the PROXY protocol beneath whatever the connections of another factory speak.

    A header is required, never guessed (section 2): anybody who may connect may say who he is, so only
    proxies should be able to.

    :ivar waiting: the connections that have not sent their header yet.
    """

    noisy = False

    def __init__(
        self,
        wrappedFactory: IProtocolFactory,
        clock: IReactorTime,
        host: ProxyHost,
    ) -> None:
        """
        :param wrappedFactory: asked for a protocol with the address of the real peer, once that is known.
        :param host: its limits apply to those who wait.
        """
        self.wrappedFactory: Any = wrappedFactory
        self.clock = clock
        self.host = host
        self.waiting: dict[ProxyProtocol, None] = {}

    def buildProtocol(self, addr: IAddress | None) -> ProxyProtocol:
        """A protocol that waits for a header."""
        protocol = ProxyProtocol(self)
        protocol.factory = self
        return protocol

    def waits(self, protocol: ProxyProtocol) -> None:
        """One more waits; perhaps too many do."""
        self.waiting[protocol] = None
        most = self.host.configuration.maximumConnections
        if most and len(self.waiting) > most:
            # A proxy sends its header at once, so it is the eldest that will not.
            next(iter(self.waiting)).refuse("too many wait for their header")
        self.host.accepted(protocol.transport)

    def doStart(self) -> None:
        """One more port listens."""
        self.wrappedFactory.doStart()
        super().doStart()

    def doStop(self) -> None:
        """One port less."""
        self.wrappedFactory.doStop()
        super().doStop()

    def stopFactory(self) -> None:
        """No port is left: nobody knows of those who still wait, so nobody else would close them."""
        for protocol in list(self.waiting):
            protocol.refuse("no longer listening")

    def logPrefix(self) -> str:
        """What a port is called in the log (`ILoggingContext`)."""
        wrapped = self.wrappedFactory
        known = ILoggingContext.providedBy(wrapped)
        return f"{wrapped.logPrefix() if known else type(wrapped).__name__} (PROXY)"


@implementer(IStreamServerEndpoint)
class _ProxyServerEndpoint:
    """Listens where another endpoint does, for proxies alone."""

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        clock: IReactorTime,
        host: ProxyHost,
    ) -> None:
        self._endpoint = endpoint
        self._clock = clock
        self._host = host

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """See `IStreamServerEndpoint`."""
        return self._endpoint.listen(ProxyFactory(protocolFactory, self._clock, self._host))


def wrapServerProxy(
    endpoint: IStreamServerEndpoint,
    clock: IReactorTime,
    host: ProxyHost,
) -> IStreamServerEndpoint:
    """An endpoint for what proxies relay to `endpoint`: beneath its TLS, if that is what it speaks.

    :param host: whose limits apply to those who wait for a header.
    :raises ValueError: an endpoint that takes no connections, or whose TLS nothing can be put beneath.
    """
    if isinstance(endpoint, SSL4ServerEndpoint | StandardIOEndpoint):
        raise ValueError(f"no PROXY header can come first on a {type(endpoint).__name__}")
    beneath = getattr(endpoint, "endpoint", None)
    if not IStreamServerEndpoint.providedBy(beneath):
        return _ProxyServerEndpoint(endpoint, clock, host)
    # What `wrapServerTLS` makes, `tls:` too: a layer around another endpoint.
    layer: Any = copy(endpoint)
    layer.endpoint = wrapServerProxy(beneath, clock, host)
    wrapped: IStreamServerEndpoint = layer
    return wrapped
