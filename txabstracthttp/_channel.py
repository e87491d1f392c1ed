"""What the channels behind an upgrade have in common, whichever version of HTTP they come from."""

from __future__ import annotations

__all__ = ["HOLD_BACK", "BaseChannel"]

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.interfaces import IAddress, ITransport
from twisted.python.failure import Failure
from zope.interface import implementer

from ._seams import ChannelUser
from ._stream import ResponseStream
from .configuration import HttpServerConfiguration
from .request import ConnectionInfo

#: A peer that does not read is dropped when so much waits for it: whoever writes has not looked at it either.
OUTPUT_LIMIT = 16 * 1024 * 1024
#: Or when so many pieces do, however small they are: each is an object of its own.
MOST_WAITING = 65536
#: And nothing more is read from it when so much waits: answers without end would wait for it, too.  Whoever
#: writes at the peer's pace stays below this, and hears the peer all the time.
HOLD_BACK = 256 * 1024


@implementer(ITransport)
class BaseChannel(ABC):
    """What a `ChannelUser` sees.  Fills `txabstracthttp._seams.Channel`, but for where octets go."""

    #: What Twisted's own protocols look for in a transport.
    disconnecting = False

    def __init__(
        self, info: ConnectionInfo, callSoon: Callable[[Callable[[], object]], None], blocked: bool
    ) -> None:
        self._info = info
        self._user: ChannelUser | None = None
        self._production = ResponseStream(None, True, callSoon, self._producerFailed)
        self._waiting = 0
        self._paused = False
        self._draining = False
        #: What was said to a user who was not there yet.
        self._configuration: HttpServerConfiguration | None = None
        self._failure: Failure | None = None
        self.isBlocked = blocked

    def _greet(self, user: ChannelUser) -> None:
        """From now on there is a user, who hears first what has changed meanwhile."""
        self._user = user
        if self._configuration is not None:
            user.configure(self._configuration)

    def _catchUp(self, user: ChannelUser) -> None:
        """And behind what the peer has sent, what has happened."""
        if self._draining:
            user.goAway()
        if self._failure is not None:
            user.failed(self._failure)

    def connectionLost(self, reason: Failure) -> None:
        """The end."""
        self.disconnecting = True
        self._production.stop()
        user, self._user = self._user, None
        if user is not None:
            user.lost(reason)

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

    @abstractmethod
    def write(self, data: bytes) -> None:
        """Send `data`."""

    @abstractmethod
    def loseConnection(self) -> None:
        """Close, when everything is written."""

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send several pieces."""
        self.write(b"".join(data))

    def stopProducing(self) -> None:
        """Nobody wants any more."""
        self.loseConnection()

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
        if self._user is None:
            self._failure = failure
        else:
            self._user.failed(failure)

    def _isTooMuch(self, pending: int) -> bool:
        """Whether one piece more is too much for a peer that does not read, behind so many octets."""
        self._waiting += 1
        return self._waiting > MOST_WAITING or pending > OUTPUT_LIMIT

    def getPeer(self) -> IAddress:
        """Who is there."""
        return self._info.remoteAddress

    def getHost(self) -> IAddress:
        """Our end."""
        return self._info.localAddress
