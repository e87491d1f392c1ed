"""What the tests of faults share: failures that are planned, who logs them, and what is left behind."""

from __future__ import annotations

__all__ = ["FaultyTransport", "Planned", "failuresLogged", "keep", "remains"]

import gc
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from connectionhelpers import FakeTcpTransport
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure

#: Those that live as long as one connection or one exchange.
OURS = (
    "Answer",
    "Deadlines",
    "Detached",
    "Farewell",
    "Http1Session",
    "Http1Wire",
    "Http2Exchange",
    "Http2Session",
    "Http2Wire",
    "HttpConnection",
    "HttpRequest",
    "HttpSocket",
    "Inbox",
    "Inflow",
    "Outlet",
    "RequestBody",
    "ResponseStream",
    "StreamTransport",
    "Tunnel",
    "Watch",
    "WebSocket",
)


class Planned(Exception):
    """What the application raises, as the test wants it."""


@contextmanager
def failuresLogged() -> Iterator[list[Failure | str]]:
    """All that is logged as an error or worse: the failure, or what is said where there is none."""
    logged: list[Failure | str] = []

    def observe(event: LogEvent) -> None:
        text = formatEvent(event)
        # Of what nobody waits for, Twisted tells in two events.
        isPreface = text == "Unhandled error in Deferred:"
        if event.get("log_level", LogLevel.info) >= LogLevel.error and not isPreface:
            # Twisted's reactors still log in the old way.
            logged.append(event.get("log_failure") or event.get("failure") or text)

    # Alone: what Twisted keeps for those who begin to log later would keep our objects, too.
    others, globalLogPublisher._observers = globalLogPublisher._observers, [cast("ILogObserver", observe)]
    try:
        yield logged
    finally:
        globalLogPublisher._observers = others


@contextmanager
def keep() -> Iterator[None]:
    """What is there already, garbage too, is not looked at by `remains`."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def remains() -> dict[str, int]:
    """How many objects there are of ours that belong to a connection, by class; `keep` says since when."""
    gc.collect()
    found: Counter[str] = Counter()
    for each in gc.get_objects():
        kinds = type(each).__mro__
        if any(kind.__name__ in OURS and kind.__module__.startswith("txabstracthttp") for kind in kinds):
            found[type(each).__name__] += 1
    return dict(found)


class FaultyTransport(FakeTcpTransport):
    """What lies between a peer and the server, where anything may happen; in turns, as with a reactor.

    :ivar protocol: whom it tells.
    :ivar arriving: octets that the peer has sent and nobody has read.
    :ivar gone: the protocol has heard that the connection is lost.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.protocol: Any = None
        self.arriving: deque[bytes] = deque()
        self.gone = False
        self.received = b""
        self._ended = self._endTold = False
        self._halfClosed = False

    # The peer:

    @property
    def isReadable(self) -> bool:
        """Whether what arrives is read."""
        return self.reading and not self.closed and not self.gone and not self._endTold

    @property
    def mayRead(self) -> bool:
        """Whether what the server says still comes to the peer."""
        return not self.gone

    def arrive(self, size: int | None = None) -> None:
        """The server reads some octets, or all that there are, as far as it wants to read."""
        data = b"".join(self.arriving)
        self.arriving.clear()
        size = len(data) if size is None else size
        if data[size:] or not self.isReadable:
            self.arriving.append(data[size:] if self.isReadable else data)
        if data[:size] and self.isReadable:
            self.protocol.dataReceived(data[:size])
        if self._ended and not any(self.arriving) and self.isReadable:
            self._endTold = True
            self.protocol.readConnectionLost()

    def end(self) -> None:
        """The peer sends no more; behind what is on its way."""
        self._ended = True
        self.clock.callLater(0, self.arrive)

    def lose(self, reason: Exception) -> None:
        """The connection is gone."""
        if not self.gone:
            self.gone = True
            self.held.clear()
            self.protocol.connectionLost(Failure(reason))

    def reset(self) -> None:
        """The peer has dropped the connection."""
        self.lose(ConnectionLost())

    def release(self, size: int | None = None) -> None:
        """The peer reads: some octets, or all that there are."""
        if self.aborted or self.gone:
            return
        data = b"".join(self.held)
        size = len(data) if size is None else size
        self.writes.append(data[:size])
        super().release(size)
        self._drained()

    # The server:

    def write(self, data: bytes) -> None:
        if self.gone:
            self.lost.append(data)
            return
        before = len(self.writes)
        super().write(data)
        if self.stuck:
            # It is held, and has not reached anybody.
            del self.writes[before:]

    def loseConnection(self) -> None:
        if not self.closed and not self.gone:
            super().loseConnection()
            if self._halfClosed:
                # Twisted does not wait for another turn then.
                self.lose(ConnectionDone())
            else:
                self.clock.callLater(0, self._drained)

    def loseWriteConnection(self) -> None:
        super().loseWriteConnection()
        self.clock.callLater(0, self._drained)

    def abortConnection(self) -> None:
        if not self.aborted and not self.gone:
            super().abortConnection()
            self.clock.callLater(0, self.lose, ConnectionAborted())

    def resumeProducing(self) -> None:
        super().resumeProducing()
        self.clock.callLater(0, self.arrive)

    def _drained(self) -> None:
        if self.held or self.gone or self.aborted:
            return
        if self.closed:
            self.lose(ConnectionDone())
        elif "loseWriteConnection" in self.log and not self._halfClosed:
            self._halfClosed = True
            self.protocol.writeConnectionLost()
