"""What the rooms of this floor need of each other, as typing Protocols: no logic."""

from __future__ import annotations

__all__ = [
    "Channel",
    "ChannelUser",
    "Connection",
    "InflowOwner",
    "Session",
    "Site",
    "StreamOwner",
    "Streams",
    "Watched",
]

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from ._admission import Admission
from ._farewell import Farewell
from ._keeping import Keeping
from .configuration import Http2Configuration, HttpServerConfiguration
from .httpsocket import HttpSocket
from .request import ConnectionInfo, HttpRequest
from .signals import Signal

if TYPE_CHECKING:
    from .wire.http2 import Http2Wire


class Site(Protocol):
    """What a connection needs of its server.

    :ivar exchangeFinished: emitted with an `ExchangeRecord` when a response is out.
    """

    clock: IReactorTime
    admission: Admission
    exchangeFinished: Signal
    serverField: bytes
    http2Configuration: Http2Configuration

    @property
    def configuration(self) -> HttpServerConfiguration:
        """The limits in force."""

    def contentPolicy(self, request: HttpRequest) -> tuple[bool, int | None] | None:
        """Whether content is streamed, and how much may come; None if the application failed to say."""

    def handlingFailed(
        self, failure: Failure, request: HttpRequest | None, socket: HttpSocket | None
    ) -> None:
        """The application failed.  Never raises."""

    def dispatch(self, request: HttpRequest, socket: HttpSocket) -> None:
        """Have a whole request handled.  Never raises."""

    def connectionOpened(self, connection: Any) -> None:
        """One more."""

    def connectionDetached(self, connection: Any) -> None:
        """It is there, and counts, but is nobody's business here any more."""

    def connectionClosed(self, connection: Any) -> None:
        """One less."""


class Connection(Protocol):
    """What a session needs of its connection.

    :ivar info: what all its requests have in common.
    :ivar readPaused: nothing is read from the peer for now.
    :ivar readEnded: the peer has closed its side.
    :ivar isDetached: it belongs to somebody else.
    """

    info: ConnectionInfo
    readPaused: bool
    readEnded: bool
    isDetached: bool

    @property
    def farewell(self) -> Farewell:
        """How the connection ends."""

    def callSoon(self, function: Callable[[], object]) -> None:
        """Call `function` in the next turn of the reactor."""

    def pauseReading(self, pause: bool) -> None:
        """Read from the peer, or do not, for now."""

    def continueWith(self, session: Session) -> None:
        """From now on `session` speaks."""

    def detach(self) -> None:
        """Let go of the connection: it goes on as somebody else's."""

    def leave(self) -> None:
        """Close, when everything is written, so that the peer can read it."""

    def close(self) -> None:
        """Close, when everything is written, and wait for nothing else."""

    def abort(self) -> None:
        """Drop the connection."""


class Session(Protocol):
    """Who speaks on a connection, and hears what its transport says."""

    def dataReceived(self, data: bytes) -> None:
        """Octets from the peer."""

    def readConnectionLost(self) -> None:
        """The peer sends no more."""

    def connectionLost(self, reason: Failure) -> None:
        """The connection is gone, or as good as gone."""

    def outputBlocked(self) -> None:
        """The peer does not take what it is sent."""

    def outputFree(self) -> None:
        """It takes it again."""

    def configure(self, configuration: HttpServerConfiguration) -> None:
        """Other limits apply from now on."""

    def drain(self) -> None:
        """Take on nothing new, and close when what runs is over."""


class ChannelUser(Protocol):
    """What goes on with a connection, or with a stream of one, where HTTP has ended."""

    def dataReceived(self, data: bytes) -> None:
        """Octets from the peer."""

    def lost(self, reason: Failure) -> None:
        """The end."""

    def outputFree(self) -> None:
        """The peer takes again what it is sent."""

    def goAway(self) -> None:
        """The server closes."""

    def configure(self, configuration: HttpServerConfiguration) -> None:
        """Other limits apply from now on."""

    def failed(self, failure: Failure) -> None:
        """Something of the application's failed."""


class Channel(Protocol):
    """What a `ChannelUser` writes to: an `ITransport` and `IPushProducer`, on either version of HTTP.

    :ivar isBlocked: the peer does not take what it is sent.
    """

    isBlocked: bool

    @property
    def isWriting(self) -> bool:
        """Whether something waits to be sent, at the peer's pace."""

    def begin(self, user: ChannelUser) -> None:
        """Everything is for `user` from now on; first of all, what came too early."""


class Streams(Protocol):
    """What one stream of an HTTP/2 connection needs of all of them.

    :ivar site: the server.
    :ivar wire: where everything goes.
    :ivar blocked: the connection holds enough.
    :ivar keeping: how much content is kept for all of them.
    """

    site: Site
    wire: Http2Wire
    blocked: bool
    keeping: Keeping

    def flush(self) -> None:
        """The wire has something to say."""

    def flushSoon(self) -> None:
        """The wire has something to say, and more may follow in this turn."""

    def callSoon(self, function: Callable[[], object]) -> None:
        """Call `function` in the next turn of the reactor."""

    def forget(self, streamId: int) -> None:
        """An exchange is over, and its stream too."""

    def watchesLater(self, exchange: Any) -> bool:
        """Whether what is left of what `exchange` has written will be looked at later."""

    def record(self, socket: HttpSocket) -> None:
        """An exchange is over."""

    def recordRefusal(self, request: HttpRequest | None, status: int, size: int) -> None:
        """One is over that nobody has handled."""


class StreamOwner(Protocol):
    """What a stream that has become a channel needs of its exchange."""

    request: HttpRequest
    streamId: int

    @property
    def isBlocked(self) -> bool:
        """The peer has no room."""

    def watchOutput(self) -> None:
        """Something was written for which there may be no room."""


class InflowOwner(Protocol):
    """What an inflow needs of its connection."""

    def contentWanted(self, request: HttpRequest | None) -> None:
        """Somebody reads: the peer may send (``100 Continue``)."""

    def contentTaken(self, size: int) -> None:
        """There is room again for `size` octets of what the peer sends."""

    def refuse(self, request: HttpRequest | None, status: int) -> None:
        """Too much, or too slow."""

    def readerFailed(self, request: HttpRequest | None, failure: Failure) -> None:
        """The application's reader raised an exception."""


class Watched(Protocol):
    """What the deadlines of a connection can do to its session."""

    @property
    def isBlocked(self) -> bool:
        """The peer does not take what it is sent."""

    @property
    def isReceivingHead(self) -> bool:
        """Whether a head has begun to arrive."""

    def refuse(self, request: HttpRequest | None, status: int) -> None:
        """Answer in the server's own name, and close."""

    def finish(self) -> None:
        """Close, since there is nothing more to say."""

    def partingExpired(self) -> None:
        """Nothing came any more that would keep us from going."""

    def contentExpired(self) -> None:
        """Nothing of a request's content came for too long."""

    def rateExpired(self) -> None:
        """It is time to look how fast content comes."""

    def handlerExpired(self) -> None:
        """The application takes too long."""
