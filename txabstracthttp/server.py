"""The abstract HTTP server: subclass it, say how a request is handled, and bind it wherever you like."""

from __future__ import annotations

__all__ = ["AbstractHttpServer"]

import socket as sockets
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IOpenSSLServerConnectionCreator,
    IProtocolNegotiationFactory,
    ISSLTransport,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from ._closing import Closing
from ._connection import HttpConnection
from ._listening import adopt, checkEndpoint, listenOn
from ._ports import PortRegistry
from ._site import Site
from ._upgrades import Upgrades, Verifier
from .configuration import Http2Configuration, HttpServerConfiguration
from .httpsocket import HttpSocket
from .request import HttpRequest
from .signals import Signal

if TYPE_CHECKING:
    from constantly import NamedConstant

    from ._tls import CertificateLike, KeyLike
    from .websocket import WebSocket

_log = Logger()

Endpoint = str | IStreamServerEndpoint | sockets.socket | None


@implementer(IProtocolNegotiationFactory)
class AbstractHttpServer(Factory, ABC):
    """An HTTP server without an opinion on what is served (Qt's QAbstractHttpServer).

    Override `handleRequest`, then `bind` to endpoints or `listen` on addresses; `close` ends it.  It is a
    Twisted factory too, for those who would rather listen themselves.  Everything belongs to the reactor's
    thread.

    :ivar exchangeFinished: emitted with an `ExchangeRecord` when a response is out.
    :ivar webSocketProtocol: the class of the WebSockets, derived from `WebSocket` or from Autobahn's
        `WebSocketServerProtocol`; None is `WebSocket`.  For the upgrades to come.
    """

    noisy = False

    webSocketProtocol: type[Any] | None = None

    exchangeFinished: Signal

    def __init__(self, reactor: Any = None, configuration: HttpServerConfiguration | None = None) -> None:
        """
        :param reactor: what listens and keeps time; None is the global reactor, when it is first needed.
        :param configuration: limits, deadlines and filters; None is the default of each.
        """
        if isinstance(reactor, HttpServerConfiguration):
            raise TypeError("the reactor comes first; say configuration=")
        self._missingHandler = Signal()
        overridden: Any = self.missingHandler
        if overridden is not self._missingHandler:
            self._missingHandler.connect(overridden)
            # From here on it is the signal also for those who have overridden it.
            self.__dict__["missingHandler"] = self._missingHandler
        self.exchangeFinished = Signal()
        self._reactor = reactor
        self._ports = PortRegistry()
        #: Those who wait for an endpoint that has not listened yet.
        self._binding: set[Deferred[IListeningPort]] = set()
        self._creator: IOpenSSLServerConnectionCreator | None = None
        self._closing: Closing | None = None
        self._upgrades = Upgrades(self.handleRequest, lambda: self.webSocketProtocol)
        self._site = Site(
            self.handleRequest,
            self.streamsBody,
            self._missingHandler,
            self.exchangeFinished,
            self._upgrades,
            self._ports,
        )
        if configuration is not None:
            self.setConfiguration(configuration)

    def __getattr__(self, name: str) -> Any:
        if name in _SET_UP:
            raise RuntimeError(f"{type(self).__name__}.__init__() must call super().__init__()")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def missingHandler(self) -> Signal:
        """Emitted with ``(request, socket)`` for a request that nobody handled (Qt 6.4: missingHandler).

        It is answered with 404 unless an observer answers or claims it.  A subclass that defines a *method*
        of this name has it connected as the first observer.
        """
        return self._missingHandler

    # What a subclass says:

    @abstractmethod
    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> bool | Awaitable[bool | None] | None:
        """Handle one request (Qt: QAbstractHttpServer::handleRequest).

        :param request: what is asked, its content included.
        :param socket: the right to answer it, now or later.
        :return: True: it is handled.  False: it is not, and `missingHandler` is emitted.  None counts as
            True if the socket was answered or claimed; None otherwise is taken for a forgotten ``return
            True``, logged, and answered with 500.  Or an awaitable of one of these.

        An exception is logged, and answered with 500 if nothing was sent yet.
        """

    def streamsBody(self, request: HttpRequest) -> bool | int:
        """Whether `handleRequest` is called with the head of `request`, to read its content as it comes.

        Called at the head of every request that has content.

        :return: False: the content is collected first, up to `maximumBodySize`, as in Qt.  True: it is
            streamed, however much it is.  A number: it is streamed, up to so many octets.
        """
        return False

    # WebSockets:

    @property
    def newWebSocketConnection(self) -> Signal:
        """Emitted, without arguments, each time a WebSocket is available (Qt: newWebSocketConnection)."""
        return self._upgrades.connected

    def hasPendingWebSocketConnections(self) -> bool:
        """Whether a WebSocket waits to be taken (Qt: hasPendingWebSocketConnections)."""
        return self._upgrades.hasPending

    def nextPendingWebSocketConnection(self) -> WebSocket | None:
        """Take the one that has waited longest, or None (Qt: nextPendingWebSocketConnection)."""
        return self._upgrades.takePending()

    def whenWebSocketConnected(self) -> Deferred[WebSocket]:
        """Take the next WebSocket, now or later; cancelling the Deferred loses none."""
        return self._upgrades.whenConnected()

    def addWebSocketUpgradeVerifier(self, verifier: Verifier) -> None:
        """Let `verifier` have a say in who may open a WebSocket (Qt 6.8: addWebSocketUpgradeVerifier).

        Verifiers are asked in the order in which they were added, until one accepts or denies; when none
        does, `missingHandler` is emitted.  Without any, `handleRequest` decides: True accepts (Qt 6.4).

        :param verifier: called with the request; it returns a `WebSocketUpgrade` or an awaitable of one.  One
            that raises is logged, and answered with 500.
        :raises TypeError: it cannot be called.
        """
        self._upgrades.addVerifier(verifier)

    # Listening:

    def bind(self, endpoint: Endpoint = None) -> Deferred[IListeningPort]:
        """Serve on one more endpoint (Qt: QAbstractHttpServer::bind).

        :param endpoint: an endpoint string (``tcp:``, ``tcp6:``, ``ssl:``, ``tls:``, ``unix:``,
            ``systemd:``, an installed plugin's, or ``haproxy:`` in front of one of the former), an
            `IStreamServerEndpoint`, or a socket that listens already, which is closed once its duplicate has
            taken over.  None: all interfaces, a random port, plain TCP.
        :return: a Deferred of the port.  It fails with `ValueError` for an endpoint that makes no sense,
            with `CannotListenError` when it cannot be listened on, with `RuntimeError` after `close` and
            with `CancelledError` when `close` comes first.  Nothing is listed then.
        :raises TypeError: none of these.
        """
        checkEndpoint(endpoint)
        return Deferred.fromCoroutine(self._bind(endpoint, self._ports.reserve()))

    async def _bind(self, endpoint: Endpoint, place: int) -> IListeningPort:
        self._requireOpen()
        try:
            reactor = self._resolveReactor()
            if endpoint is None:
                port = listenOn(reactor, "::", 0, self)
            elif isinstance(endpoint, sockets.socket):
                port = adopt(reactor, endpoint, self)
            else:
                from ._binding import resolveEndpoint

                port = await self._listen(resolveEndpoint(reactor, endpoint, self._site))
        except OSError as error:
            raise CannotListenError(None, str(endpoint), error) from error
        except (CannotListenError, CancelledError, ValueError):
            raise
        except Exception as error:
            raise ValueError(f"cannot listen on {endpoint!r}: {error}") from error
        # Of sockets that were handed to us, Twisted remembers not to shut them down for others.
        isOwn = endpoint is None or getattr(port, "_shouldShutdown", True)
        return self._ports.listed(place, port, isOwn)

    async def _listen(self, endpoint: IStreamServerEndpoint) -> IListeningPort:
        listening = maybeDeferred(endpoint.listen, self)
        waiter: Deferred[IListeningPort] = Deferred(lambda _: _cancel(listening))
        self._binding.add(waiter)
        listening.addCallback(_arrived, waiter).addErrback(_failed, waiter)
        try:
            return await waiter
        finally:
            self._binding.discard(waiter)

    def listen(self, address: str = "::", port: int = 0) -> int:
        """Serve on one more TCP port, at once; with TLS after `sslSetup` (Qt 6.4: listen).

        :param address: an IP literal; ``"::"`` is all interfaces of both families, on one port.
        :param port: 0 to 65535; 0 lets the system choose.
        :return: the port number, or 0 if it could not be listened on; the reason is logged then.
        :raises ValueError: no IP literal, or no port number.
        :raises RuntimeError: after `close`.
        """
        self._requireOpen()
        reactor = self._resolveReactor()
        try:
            opened = listenOn(reactor, address, port, self._listeningFactory())
        except OSError as error:
            _log.critical(
                "listen failed on {address} port {port}: {error}", address=address, port=port, error=error
            )
            return 0
        return _portOf(self._ports.listed(self._ports.reserve(), opened))

    def _listeningFactory(self) -> Any:
        if self._creator is None:
            return self
        from twisted.protocols.tls import TLSMemoryBIOFactory

        return TLSMemoryBIOFactory(self._creator, False, self, clock=self._reactor)

    def sslSetup(
        self,
        certificate: CertificateLike | IOpenSSLServerConnectionCreator,
        privateKey: KeyLike | None = None,
        protocol: NamedConstant | None = None,
        *,
        certificates: Mapping[str, tuple[CertificateLike, KeyLike | None]] | None = None,
    ) -> None:
        """Let the next calls of `listen` use TLS; what listens already, and `bind`, stay as they are.

        Files given by path are looked at again, at most once a second, and taken when they have changed.  An
        OCSP response (DER) beside a certificate's file, with ``.ocsp`` behind its name, is stapled (RFC 6066
        section 8).

        :param certificate: the path of a PEM file, PEM as bytes, or a Twisted `Certificate`; further
            certificates in the PEM are its chain.  Or, alone, a `CertificateOptions` or any other
            `IOpenSSLServerConnectionCreator`.
        :param privateKey: its key, likewise, or a Twisted `KeyPair`; None: it is in the same PEM.
        :param protocol: the least `twisted.internet.ssl.TLSVersion`; None is TLS 1.2, and less is refused.
        :param certificates: host names and the certificate and key for each, for clients that ask for one
            by SNI (RFC 6066 section 3), in ASCII; ``*.`` in front stands for one label.
        :raises ValueError: material that could not serve: unreadable, encrypted, or of two minds.
        :raises TypeError: none of these types.
        """
        from ._tls import connectionCreator

        self._creator = connectionCreator(certificate, privateKey, protocol, certificates)

    def servers(self) -> list[IListeningPort]:
        """The TCP and TLS ports that listen, in the order in which they were asked for (Qt: servers)."""
        return [port for port in self._ports.ports() if _hasPort(port.getHost())]

    def serverPorts(self) -> list[int]:
        """Their port numbers, in the same order (Qt: serverPorts)."""
        return [_portOf(port) for port in self.servers()]

    def localServers(self) -> list[IListeningPort]:
        """The ports on Unix sockets that listen (Qt 6.7: localServers)."""
        return [port for port in self._ports.ports() if not _hasPort(port.getHost())]

    # Configuration:

    @property
    def configuration(self) -> HttpServerConfiguration:
        """Limits, deadlines and filters (Qt 6.9: configuration)."""
        return self._site.configuration

    def setConfiguration(self, configuration: HttpServerConfiguration) -> None:
        """Replace them, at once and for connections that are open too (Qt 6.9: setConfiguration).

        :raises TypeError: no `HttpServerConfiguration`.
        """
        if not isinstance(configuration, HttpServerConfiguration):
            raise TypeError(f"this takes an HttpServerConfiguration, not {type(configuration).__name__}")
        self._site.configure(configuration)

    @property
    def http2Configuration(self) -> Http2Configuration:
        """What HTTP/2 connections are told (Qt 6.8: http2Configuration)."""
        return self._site.http2Configuration

    def setHttp2Configuration(self, configuration: Http2Configuration) -> None:
        """Replace that, for the HTTP/2 connections to come (Qt 6.8: setHttp2Configuration).

        :raises TypeError: no `Http2Configuration`.
        """
        if not isinstance(configuration, Http2Configuration):
            raise TypeError(f"this takes an Http2Configuration, not {type(configuration).__name__}")
        self._site.http2Configuration = configuration

    # The end:

    def close(self, grace: float | None = None) -> Deferred[None]:
        """Listen no more, let exchanges that run be finished, then go.

        :param grace: for how many seconds at most; None is `drainTimeout`, and 0 drops everything at once.
            Handlers that are still awaited then are cancelled.  A further call can only shorten it.
        :return: a Deferred that fires when nothing is left; cancelling it drops everything now.
        :raises ValueError, TypeError: a negative number of seconds, or no number.
        """
        seconds = self.configuration.drainTimeout if grace is None else grace
        if not isinstance(seconds, int | float):
            raise TypeError(f"a grace is a number of seconds, not {grace!r}")
        if not seconds >= 0:
            raise ValueError(f"a grace of {grace!r} seconds")
        self._resolveReactor()
        if self._closing is None:
            self._closing = Closing(self._site)
            for waiter in list(self._binding):
                waiter.cancel()
            self._closing.begin(self._ports.ports(), seconds)
        else:
            self._closing.shorten(seconds)
        return self._closing.wait()

    def _requireOpen(self) -> None:
        if self._closing is not None:
            raise RuntimeError("the server was closed")

    # What Twisted asks of a factory:

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """A new connection; after `close`, one that is dropped at once."""
        if self._closing is not None and self._closing.isShut:
            # Not None, which Twisted's TLS does not expect from what it wraps.
            return _Refusal()
        self._resolveReactor()
        connection = HttpConnection(self._site)
        connection.factory = self
        return connection

    def acceptableProtocols(self) -> list[bytes]:
        """What is offered in the TLS handshake (ALPN, RFC 7301), the best first."""
        return [b"h2", b"http/1.1"]

    def _resolveReactor(self) -> Any:
        if self._reactor is None:
            from twisted.internet import reactor

            self._reactor = reactor
        self._site.clock = self._upgrades.clock = self._reactor
        return self._reactor


#: What `__init__` sets up and everything else relies on.
_SET_UP = frozenset(
    (
        "_binding",
        "_closing",
        "_creator",
        "_ports",
        "_reactor",
        "_site",
        "_upgrades",
        "_missingHandler",
        "exchangeFinished",
    )
)


class _Refusal(Protocol):
    transport: Any

    def connectionMade(self) -> None:
        if ISSLTransport.providedBy(self.transport):
            # Its closing would wait for the handshake.
            self.transport.abortConnection()
        else:
            self.transport.loseConnection()


def _cancel(listening: Deferred[IListeningPort]) -> None:
    # One that does not know how to be cancelled would swallow a port that comes all the same.
    if listening._canceller is not None:
        listening.cancel()


def _arrived(port: IListeningPort, waiter: Deferred[IListeningPort]) -> Deferred[Any] | None:
    if waiter.called:
        # Whoever wanted it has gone; what fails now is reported as unhandled.
        return maybeDeferred(port.stopListening)
    waiter.callback(port)
    return None


def _failed(failure: Failure, waiter: Deferred[IListeningPort]) -> Failure | None:
    if waiter.called:
        return None if failure.check(CancelledError) else failure
    waiter.errback(failure)
    return None


def _portOf(port: IListeningPort) -> int:
    host: Any = port.getHost()
    number: int = host.port
    return number


def _hasPort(address: IAddress) -> bool:
    return hasattr(address, "port")
