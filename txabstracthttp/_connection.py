"""One connection: how it begins, which version of HTTP it speaks, and how it ends.

What it says is its session's business; what must happen in time is `_watch`'s.
"""

from __future__ import annotations

__all__ = ["HttpConnection"]

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    ISSLTransport,
)
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from ._addresses import normalise
from ._farewell import Farewell
from ._http1 import Http1Session
from ._outlet import outletFor
from ._seams import Session, Site
from ._secured import agreedUpon, peerCertificate
from ._tlsinlet import receiveLean
from ._watch import Watch
from .configuration import HttpServerConfiguration
from .request import ConnectionInfo
from .wire.preface import isForeign, isPreface

if TYPE_CHECKING:
    from ._http2 import Http2Session

#: For how many seconds a handshake may go on when the server closes.
PARTING = 1.0


@implementer(IHalfCloseableProtocol, IHandshakeListener, IPushProducer)
class HttpConnection(TwistedProtocol):
    """One connection of an `AbstractHttpServer`.  Fills `txabstracthttp._seams.Connection`.

    What the transport says goes to `session`, and octets do so without a detour: `dataReceived` of this
    object is the session's own, once there is one.
    """

    transport: Any

    def __init__(self, site: Site) -> None:
        self._site = site
        #: Who speaks; None until TLS is up.
        self.session: Session | None = None
        #: It belongs to another protocol, and is nobody's business here any more.
        self.isDetached = False
        #: The status that the connection is refused with, once it can be told; it is not counted then.
        self._refusal: int | None = None
        self._gone = self._isDraining = False
        self.readPaused = False
        self.readEnded = False
        self._farewell: Farewell | None = None

    # Coming:

    def connectionMade(self) -> None:
        """Take the connection up; over TLS, when the handshake is done."""
        transport, site = self.transport, self._site
        self.info = ConnectionInfo(
            normalise(transport.getPeer()),
            normalise(transport.getHost()),
            ISSLTransport.providedBy(transport),
        )
        self.info.maximumBodySize = site.configuration.maximumBodySize
        self._outlet = outletFor(transport, site.clock)
        receiveLean(transport)
        self._watch = Watch(self, site, self._outlet)
        if isinstance(self.info.remoteAddress, IPv4Address | IPv6Address) and hasattr(
            transport, "setTcpNoDelay"
        ):
            # Head and body may leave as two segments; Nagle would hold the second for the peer's ACK.
            transport.setTcpNoDelay(True)
        transport.registerProducer(self, True)
        site.connectionOpened(self)
        self._refusal = site.admission.connect(self.info.remoteAddress)
        if self._refusal is not None and not site.admission.isTelling:
            self.abort()
            # What is on its way from it is nobody's business.
            self._gone = True
        elif self.info.isSecure:
            self._watch.handshake(site.configuration.handshakeTimeout)
        else:
            self._admit()

    def configure(self, configuration: HttpServerConfiguration) -> None:
        """Other limits apply from now on."""
        self.info.maximumBodySize = configuration.maximumBodySize
        if self.session is not None:
            self.session.configure(configuration)
        self._watch.reconfigured()

    def handshakeCompleted(self) -> None:
        """TLS is up (`IHandshakeListener`)."""
        if self.session is None and not self._gone:
            self._watch.deadlines.clear("handshake")
            self.info.peerCertificate = peerCertificate(self.transport)
            self.info.tlsVersion, self.info.tlsCipher = agreedUpon(self.transport)
            self._admit()

    def _admit(self) -> None:
        session: Http1Session | Http2Session
        if getattr(self.transport, "negotiatedProtocol", None) == b"h2":
            session = self._speakHttp2()
        else:
            self._watch.session = session = Http1Session(self, self._site, self._outlet, self._watch)
            self.continueWith(session)
            if not self.info.isSecure:
                # HTTP/2 without being asked for it; over TLS that is negotiated (RFC 9113 section 3.3).
                self.dataReceived = partial(self._look, session)  # type: ignore[method-assign]
        if self._refusal is None:
            self._watch.input(True)
        else:
            session.refuse(None, self._refusal)
        if self._isDraining:
            session.drain()
            # A request can follow the handshake one round trip later only.
            self._watch.parting(PARTING)

    def _speakHttp2(self) -> Http2Session:
        from ._http2 import Http2Session

        self._watch.session = session = Http2Session(self, self._site, self._outlet, self._watch)
        self.continueWith(session)
        return session

    def _look(self, session: Http1Session, data: bytes) -> None:
        """The first octets say which version of HTTP is spoken."""
        wire = session.wire
        begun, wire.unread = wire.unread + data, b""
        verdict = isPreface(begun)
        if verdict is None and session.isServing:
            wire.unread = begun
        elif verdict and session.isServing:
            taking = self._speakHttp2()
            taking.dataReceived(begun)
            if self._isDraining:
                taking.drain()
        else:
            self.continueWith(session)
            if isForeign(begun) and session.isServing:
                session.finish()
            else:
                session.dataReceived(begun)

    def continueWith(self, session: Session) -> None:
        """From now on `session` speaks."""
        self.session = session
        self.dataReceived = session.dataReceived  # type: ignore[method-assign]

    # What the transport says:

    def dataReceived(self, data: bytes) -> None:
        """The first octets, where something stands between us and TLS that does not say when that is up."""
        self.handshakeCompleted()
        if self.session is not None:
            self.session.dataReceived(data)

    def readConnectionLost(self) -> None:
        """The peer sends no more, but may still read (`IHalfCloseableProtocol`)."""
        self.readEnded = True
        if self.session is not None:
            self.session.readConnectionLost()
        else:
            self.farewell.close()

    def writeConnectionLost(self) -> None:
        """Our own end was closed, as we asked."""

    def pauseProducing(self) -> None:
        """The transport holds enough."""
        if self.session is not None:
            self.session.outputBlocked()

    def resumeProducing(self) -> None:
        """The transport has room again."""
        if self.session is not None:
            self.session.outputFree()

    def stopProducing(self) -> None:
        """The connection is gone; `connectionLost` says so too."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The connection is gone."""
        self._gone = True
        self._watch.stop()
        try:
            if self.session is not None:
                self.session.connectionLost(reason)
        finally:
            self._site.admission.disconnect(self.info.remoteAddress, self._refusal is not None)
            self._site.connectionClosed(self)

    # What a session asks:

    def callSoon(self, function: Callable[[], object]) -> None:
        """Call `function` in the next turn of the reactor."""
        self._site.clock.callLater(0, function)

    def pauseReading(self, pause: bool) -> None:
        """Read from the peer, or do not, for now."""
        if pause != self.readPaused:
            self.readPaused = pause
            (self.transport.pauseProducing if pause else self.transport.resumeProducing)()

    def detach(self) -> None:
        """Let go of the connection: it goes on as somebody else's."""
        self.isDetached = True
        self._watch.stop()
        self.transport.unregisterProducer()
        self.pauseReading(False)
        self._site.connectionDetached(self)

    # Going:

    def drain(self) -> None:
        """Close when what runs is over, and what is on its way has had its time."""
        if self._isDraining:
            return
        self._isDraining = True
        if self.session is None:
            self._watch.handshake(PARTING)
        else:
            self.session.drain()

    @property
    def farewell(self) -> Farewell:
        """How the connection ends; made when it comes to that."""
        if self._farewell is None:
            timeout = self._site.configuration.closeTimeout
            self._farewell = Farewell(self.transport, self._outlet, self._watch.deadlines, timeout)
        return self._farewell

    def leave(self) -> None:
        """Close, when everything is written, so that the peer can read it (RFC 9112 section 9.6)."""
        self._watch.closing()
        self.pauseReading(False)
        if self.readEnded:
            self.farewell.close()
        else:
            self.farewell.linger(self.info.isSecure)

    def close(self) -> None:
        """Close, when everything is written, and wait for nothing else."""
        self._watch.closing()
        self.farewell.close()

    def abort(self) -> None:
        """Drop the connection, whatever is still on its way."""
        if not self._gone:
            self.transport.abortConnection()

    def cancel(self) -> None:
        """Drop the connection, and whom it serves."""
        self.abort()
        if self.session is not None:
            self.session.connectionLost(Failure(ConnectionAborted()))
