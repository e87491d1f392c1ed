"""What the rooms of this floor need of each other, as typing Protocols: no logic."""

from __future__ import annotations

__all__ = ["InflowOwner", "Site", "Watched"]

from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from ._admission import Admission
from ._boundaries import Wire
from ._farewell import Farewell
from .configuration import HttpServerConfiguration
from .httpsocket import HttpSocket
from .request import HttpRequest
from .signals import Signal


class Site(Protocol):
    """What a connection needs of its server.

    :ivar exchangeFinished: emitted with an `ExchangeRecord` when a response is out.
    """

    clock: IReactorTime
    admission: Admission
    exchangeFinished: Signal
    serverField: bytes

    @property
    def configuration(self) -> HttpServerConfiguration:
        """The limits in force."""

    def contentPolicy(self, request: HttpRequest) -> tuple[bool, int | None] | None:
        """Whether content is streamed, and how much may come; None if the application failed to say."""

    def handlingFailed(self, failure: Failure, request: HttpRequest, socket: HttpSocket | None) -> None:
        """The application failed.  Never raises."""

    def dispatch(self, request: HttpRequest, socket: HttpSocket) -> None:
        """Have a whole request handled.  Never raises."""

    def connectionOpened(self, connection: Any) -> None:
        """One more."""

    def connectionDetached(self, connection: Any) -> None:
        """It is there, and counts, but is nobody's business here any more."""

    def connectionClosed(self, connection: Any) -> None:
        """One less."""


class InflowOwner(Protocol):
    """What an inflow needs of its connection."""

    def contentWanted(self, request: HttpRequest) -> None:
        """Somebody reads: the peer may send (``100 Continue``)."""

    def contentTaken(self) -> None:
        """There is room again for what the peer sends."""

    def refuse(self, request: HttpRequest | None, status: int) -> None:
        """Too much, or too slow."""

    def readerFailed(self, request: HttpRequest, failure: Failure) -> None:
        """The application's reader raised an exception."""


class Watched(Protocol):
    """What the deadlines of a connection can do to it.

    :ivar wire: what was received and not understood yet is there.
    """

    wire: Wire

    @property
    def isBlocked(self) -> bool:
        """The peer does not take what it is sent."""

    @property
    def farewell(self) -> Farewell:
        """How the connection ends."""

    def refuse(self, request: HttpRequest | None, status: int) -> None:
        """Answer in the server's own name, and close."""

    def finish(self) -> None:
        """Close, since there is nothing more to say."""

    def abort(self) -> None:
        """Drop the connection."""

    def contentExpired(self) -> None:
        """Nothing of a request's content came for too long."""

    def rateExpired(self) -> None:
        """It is time to look how fast content comes."""

    def handlerExpired(self) -> None:
        """The application takes too long."""
