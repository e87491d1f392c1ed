"""Content on its way in: how much, how fast, and for whom."""

from __future__ import annotations

__all__ = ["Inflow"]

from weakref import ref

from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from ._deadlines import Deadlines
from ._events import Fields
from ._seams import InflowOwner
from .body import RequestBody
from .configuration import HttpServerConfiguration
from .request import HttpRequest

#: What is kept for a reader that is busy, before reading from the peer stops.
BACKLOG = 64 * 1024
#: What is read and thrown away of content that nobody wants, before the connection closes instead.
DISCARD = 64 * 1024
#: `minimumBodyRate` is measured over windows of this many seconds of waiting for the peer.
RATE_WINDOW = 10.0

_OVER = RequestBody.complete()


class Inflow:
    """The content of one request while it arrives.  Fills `txabstracthttp.body.BodyFlow`.

    :ivar body: where it goes, while it arrives.
    :ivar streamed: it goes there as it comes; else it is kept until it is whole.
    :ivar unwanted: the answer is out, and what still comes is thrown away.
    """

    __slots__ = (
        "_announced",
        "_clock",
        "_configuration",
        "_deadlines",
        "_isFirst",
        "_kept",
        "_limit",
        "_owner",
        "_request",
        "_since",
        "_size",
        "_waited",
        "_waitedFor",
        "body",
        "streamed",
        "unwanted",
    )

    def __init__(
        self,
        owner: InflowOwner,
        request: HttpRequest,
        limit: int | None,
        streamed: bool,
        configuration: HttpServerConfiguration,
        deadlines: Deadlines,
        clock: IReactorTime,
    ) -> None:
        self._owner = owner
        self._limit = limit
        self._configuration = configuration
        self._deadlines = deadlines
        self._clock = clock
        self._size = 0
        self._announced = request.contentLength
        #: The octets are those that came together with the head.
        self._isFirst = True
        #: Seconds that the reader waited for the peer, octets that came since, and since when it waits.
        self._waited = 0.0
        self._waitedFor = 0
        self._since: float | None = None
        #: Kept for as long as content arrives.  Later it is with whoever answers it: we are with its content.
        self._kept: HttpRequest | None = request
        self._request = ref(request)
        self.streamed = streamed
        self.body = RequestBody(self, streamed)
        self.unwanted = False

    def configure(self, configuration: HttpServerConfiguration) -> None:
        """Other limits and deadlines apply from now on; to streamed content, only the deadlines."""
        self._configuration = configuration
        if not self.streamed:
            self._limit = configuration.maximumBodySize

    @property
    def request(self) -> HttpRequest | None:
        """Whose content it is; None when nobody has it any more."""
        return self._request()

    # From the peer:

    def exceeds(self) -> bool:
        """Whether the peer announces more than it may send."""
        length = self._announced
        return self._limit is not None and length is not None and length > self._limit

    def arrived(self, size: int) -> None:
        """Octets of it came, framing included: the peer moves."""
        # What comes while the reader is busy counts for the peer, too.
        self._isFirst = False
        self._waitedFor += size
        if self._since is not None:
            self._deadlines.set("body", self._configuration.bodyTimeout)

    def receive(self, data: bytes) -> None:
        """A piece of content."""
        self._size += len(data)
        if self._isFirst:
            self._waitedFor += len(data)
        if self.unwanted:
            if self._size > DISCARD:
                self._owner.refuse(self.request, 413)
        elif self._limit is not None and self._size > self._limit:
            self._owner.refuse(self.request, 413)
        else:
            self.body.receive(data)

    @property
    def isFull(self) -> bool:
        """Whether the reader has enough for now."""
        return self.streamed and not self.unwanted and self.body.backlog > BACKLOG

    def stop(self) -> None:
        """It ended, one way or the other: nobody waits any more."""
        self._kept = None
        self._pause()

    def end(self, trailers: Fields) -> None:
        """That was all of it."""
        self._letGo().end(trailers)

    def cut(self, reason: str) -> None:
        """There will be no more; what was collected has no reader, nor will have one."""
        body = self._letGo()
        if self.streamed:
            body.cut(reason)
        else:
            body.discard()

    def _letGo(self) -> RequestBody:
        """Forget where it goes: who reads it keeps us, and there must be no circle of much content."""
        self.stop()
        body, self.body = self.body, _OVER
        return body

    def _pause(self) -> None:
        self._since = None
        self._deadlines.clear("body")
        self._deadlines.clear("rate")

    def canDiscard(self) -> bool:
        """Whether what is still to come may be little enough to be thrown away."""
        length = self._announced
        return length is None or length - self._size <= DISCARD

    def discard(self) -> None:
        """The answer is out: throw away what still comes."""
        self._size = 0
        self.unwanted = True
        self.want()
        self.body.discard()

    # From the reader:

    def want(self) -> None:
        """The reader waits: from now on the peer is to blame."""
        if self._since is None and self.body.ended is None:
            self._since = self._clock.seconds()
            self._deadlines.set("body", self._configuration.bodyTimeout)
            self._deadlines.set("rate", max(RATE_WINDOW - self._waited, 0))
            self._owner.contentWanted(self.request)

    def rest(self) -> None:
        """The reader is busy."""
        if self._since is not None and not self.unwanted:
            self._waited += self._clock.seconds() - self._since
            self._pause()

    def taken(self, size: int) -> None:
        """The reader has less to do."""
        self._owner.contentTaken(size)

    def readerFailed(self, failure: Failure) -> None:
        """The reader raised an exception."""
        self._owner.readerFailed(self.request, failure)

    def rateExpired(self) -> None:
        """The reader has waited for a whole window: did enough come meanwhile?"""
        if self._waitedFor < self._configuration.minimumBodyRate * RATE_WINDOW:
            self._owner.refuse(self.request, 408)
        else:
            self._waited, self._waitedFor = 0.0, 0
            self._since = self._clock.seconds()
            self._deadlines.set("rate", RATE_WINDOW)
