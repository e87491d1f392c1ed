"""Which connections are ready: asked for all of a port at once, and not by the reactor for each.

A reactor hands every event over by itself, in a log context made for it: a quarter of what the plainest
protocol costs.  But an epoll(7) can be waited for itself.  So one stands here for all connections of a port,
inside whatever reactor runs, and those that a turn finds ready are served in one go.
"""

from __future__ import annotations

__all__ = ["pollerFor"]

import select
from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IHalfCloseableDescriptor, IReactorFDSet, IReadDescriptor
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python import context
from twisted.python.failure import Failure
from twisted.python.log import ILogContext, callWithLogger, err
from zope.interface import directlyProvides, providedBy

#: Connections that are served in one turn of the reactor; others have theirs in the next.
AT_ONCE = 128


def pollerFor(reactor: Any) -> Any:
    """What connections take for `reactor`: a `Poller` inside it, or itself.

    Itself where there is no epoll(7), and on asyncio, which gives each of them a context of its own
    (`contextvars`): there they must not be called from a common one.
    """
    isFit = IReactorFDSet.providedBy(reactor) and not hasattr(reactor, "_asyncioEventloop")
    return Poller(reactor) if isFit and hasattr(select, "epoll") else reactor


class Poller:
    """Stands in for the reactor of many connections, and for the connections with the reactor.

    It does for them what Twisted's reactors do (`twisted.internet.posixbase`); what is not about descriptors
    is left to the reactor itself.  Without connections it is not in the reactor's way.
    """

    def __init__(self, reactor: Any) -> None:
        """
        :param reactor: an `IReactorFDSet`.
        """
        self._reactor = reactor
        #: Made with the first connection: whoever forks before that has one of his own.
        self._epoll: Any = None
        self._isRetired = False
        self._descriptors: dict[int, Any] = {}
        self._events: dict[int, int] = {}
        directlyProvides(self, providedBy(reactor), IReadDescriptor)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._reactor, name)

    def __repr__(self) -> str:
        return f"<Poller of {list(self._descriptors.values())}>"

    # For connections, the reactor (`IReactorFDSet`):

    def addReader(self, reader: Any) -> None:
        """Tell `reader` when there is something to read."""
        self._add(reader, select.EPOLLIN)

    def addWriter(self, writer: Any) -> None:
        """Tell `writer` when there is room to write."""
        self._add(writer, select.EPOLLOUT)

    def removeReader(self, reader: Any) -> None:
        """Do so no more."""
        self._remove(reader, select.EPOLLIN)

    def removeWriter(self, writer: Any) -> None:
        """Do so no more."""
        self._remove(writer, select.EPOLLOUT)

    def _add(self, descriptor: Any, event: int) -> None:
        number = descriptor.fileno()
        events = self._events.get(number, 0)
        if not events:
            if self._epoll is None:
                self._epoll = select.epoll()
            self._epoll.register(number, event)
            self._descriptors[number] = descriptor
            self._reactor.addReader(self)
        elif not events & event:
            self._epoll.modify(number, events | event)
        self._events[number] = events | event

    def _remove(self, descriptor: Any, event: int) -> None:
        number = descriptor.fileno()
        events = self._events.get(number, 0)
        if not events & event:
            return
        if events != event:
            self._epoll.modify(number, events & ~event)
            self._events[number] = events & ~event
        else:
            self._epoll.unregister(number)
            del self._events[number], self._descriptors[number]
            if not self._descriptors:
                self._reactor.removeReader(self)
                self._closeIfRetired()

    def retire(self) -> None:
        """No connection will come any more: with the last one, give the descriptor back."""
        self._isRetired = True
        self._closeIfRetired()

    def _closeIfRetired(self) -> None:
        if self._isRetired and self._epoll is not None and not self._descriptors:
            self._epoll.close()
            self._epoll = None

    # For the reactor, somebody who reads (`IReadDescriptor`):

    def fileno(self) -> int:
        """The descriptor that is ready when one of the others is; -1 if there is none."""
        return -1 if self._epoll is None else int(self._epoll.fileno())

    def logPrefix(self) -> str:
        """Who speaks, before it is known which connection does."""
        return "-"

    def doRead(self) -> None:
        """Serve those that are ready."""
        context.call({}, self._serve, self._epoll.poll(0, AT_ONCE), context.get(ILogContext))

    def _serve(self, ready: list[tuple[int, int]], logContext: dict[str, Any]) -> None:
        contexts = context.theContextTracker.currentContext().contexts
        for number, events in ready:
            # One that was served before it may have closed it.
            descriptor = self._descriptors.get(number)
            if descriptor is None:
                continue
            try:
                # Each has a context of its own: a thread may keep it.
                contexts[-1] = {ILogContext: {**logContext, "system": descriptor.logPrefix()}}
                if events == select.EPOLLIN:
                    why, isReading = descriptor.doRead(), True
                else:
                    why, isReading = self._serveOther(descriptor, number, events)
            except BaseException as error:
                err()
                why, isReading = error, False
            if why:
                callWithLogger(descriptor, self._disconnect, descriptor, why, isReading)

    def _serveOther(self, descriptor: Any, number: int, events: int) -> tuple[BaseException | None, bool]:
        """Why the connection is lost, if it is, and whether that was found in reading."""
        why = None
        isReading = bool(events & select.EPOLLIN)
        if isReading:
            why = descriptor.doRead()
        elif events & (select.EPOLLHUP | select.EPOLLERR):
            # Whatever it had to say was read.
            isReading = bool(self._events[number] & select.EPOLLIN)
            return (CONNECTION_DONE if isReading else CONNECTION_LOST), isReading
        if not why and events & select.EPOLLOUT:
            return descriptor.doWrite(), False
        return why, isReading

    def _disconnect(self, descriptor: Any, why: BaseException, isReading: bool) -> None:
        self.removeReader(descriptor)
        kind = type(why)
        reason = Failure(kind() if kind in (ConnectionDone, ConnectionLost) else why)
        if isReading and kind is ConnectionDone and IHalfCloseableDescriptor.providedBy(descriptor):
            descriptor.readConnectionLost(reason)
        else:
            self.removeWriter(descriptor)
            descriptor.connectionLost(reason)

    def connectionLost(self, reason: Failure) -> None:
        """The reactor has ended, and so do all connections."""
        for descriptor in list(self._descriptors.values()):
            self.removeReader(descriptor)
            self.removeWriter(descriptor)
            callWithLogger(descriptor, descriptor.connectionLost, reason)
