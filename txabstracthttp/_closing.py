"""The end of a server: everybody may finish, but not for ever."""

from __future__ import annotations

__all__ = ["Closing"]

from collections.abc import Iterable

from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.interfaces import IDelayedCall

from ._ports import ListeningPort
from ._site import Site


class Closing:
    """Stops the ports, drains the connections, and aborts those that are left when the time is up.

    :ivar isShut: who comes now comes too late.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._waiters: list[Deferred[None]] = []
        self._patience: IDelayedCall | None = None
        self._portsStopped = False
        self._ended = False
        self.isShut = False

    def begin(self, ports: Iterable[ListeningPort], grace: float) -> None:
        """Let it end within `grace` seconds from now."""
        site = self._site
        site.emptied = self._mayEnd
        site.upgrades.closed = True
        self._patience = site.clock.callLater(grace, self._abort)
        stopping = [port.stopListening() for port in ports]
        DeferredList(stopping, consumeErrors=True).addCallback(self._stopped)
        for connection in list(site.connections):
            connection.drain()

    def shorten(self, grace: float) -> None:
        """Let it end within `grace` seconds from now, if that is sooner than it would anyway."""
        patience = self._patience
        if patience is not None and patience.getTime() > self._site.clock.seconds() + grace:
            patience.reset(grace)

    def wait(self) -> Deferred[None]:
        """A Deferred that fires at the end; cancelling it makes that now."""
        waiter: Deferred[None] = Deferred(lambda _: self.shorten(0))
        if self._ended:
            waiter.callback(None)
        else:
            self._waiters.append(waiter)
        return waiter

    def _stopped(self, _: object) -> None:
        self._portsStopped = self.isShut = True
        # Some were accepted at the last moment.
        for connection in list(self._site.connections):
            if self._patience is None:
                connection.cancel()
            else:
                connection.drain()
        self._site.intake.stop()
        self._mayEnd()

    def _abort(self) -> None:
        self._patience = None
        for connection in list(self._site.connections):
            connection.cancel()
        self._site.cancelHandlers()

    def _mayEnd(self) -> None:
        if self._ended or not self._portsStopped or self._site.connections:
            return
        self._ended = True
        # Those whose client has gone are awaited by no connection.
        self._site.cancelHandlers()
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.called:
                waiter.callback(None)
