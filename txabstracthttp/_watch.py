"""What a connection waits for, and for how long."""

from __future__ import annotations

__all__ = ["Watch"]

from collections.abc import Callable

from ._deadlines import Deadlines
from ._outlet import Outlet
from ._seams import Connection, Site, Watched

#: How often a peer that does not take what it is sent is looked at, before it is said not to move.
LOOKS = 4


class Watch:
    """The deadlines of one connection, and what becomes of it when one passes.

    :ivar deadlines: by name; the content of requests and the end of the connection have theirs among them.
    """

    __slots__ = (
        "_connection",
        "_departed",
        "_headAwaited",
        "_looks",
        "_outlet",
        "_site",
        "deadlines",
        "session",
    )

    #: Whom it concerns, once there is a session.
    session: Watched

    def __init__(self, connection: Connection, site: Site, outlet: Outlet) -> None:
        self._connection = connection
        self._site = site
        self._outlet = outlet
        #: The deadline for input is that of a head; else it is that of an idle connection.
        self._headAwaited = False
        self._departed = self._looks = 0
        self.deadlines = Deadlines(site.clock, self._expired)

    def handshake(self, seconds: float) -> None:
        """TLS comes first."""
        self.deadlines.set("handshake", seconds)

    def input(self, head: bool) -> None:
        """The peer is to send the rest of a head, counted from its first octet; or anything at all."""
        if not head:
            self.deadlines.set("input", self._site.configuration.keepAliveTimeout)
        elif not self._headAwaited:
            self.deadlines.set("input", self._site.configuration.headerTimeout)
        self._headAwaited = head

    def parting(self, seconds: float) -> None:
        """We are about to go: what is on its way may still come."""
        self.deadlines.set("parting", seconds)

    def noInput(self) -> None:
        """It is not the peer's turn."""
        self.deadlines.clear("input")
        self._headAwaited = False

    def reconfigured(self) -> None:
        """Times may have changed, also for who is waiting already."""
        if "input" in self.deadlines:
            self.input(self._headAwaited)

    def handler(self) -> None:
        """The application has a request."""
        timeout = self._site.configuration.handlerTimeout
        if timeout:
            self.deadlines.set("handler", timeout)

    def handlerMoves(self) -> None:
        """The application has written something, so its time begins anew."""
        if "handler" in self.deadlines:
            self.handler()

    def output(self) -> None:
        """Something was written that the peer has not taken yet."""
        if "write" not in self.deadlines:
            self._look(LOOKS)

    def closing(self) -> None:
        """Nothing is waited for any more, but that what was written leaves."""
        for name in ("input", "parting", "body", "rate", "handler"):
            self.deadlines.clear(name)

    def stop(self) -> None:
        """Wait for nothing at all."""
        self.deadlines.stop()

    def _look(self, left: int) -> None:
        self._departed, self._looks = self._outlet.departed, left
        self.deadlines.set("write", self._site.configuration.writeTimeout / LOOKS)

    # What happens when the time is up:

    def _expired(self, name: str) -> None:
        _EXPIRIES[name](self)

    def _inputExpired(self) -> None:
        if self._headAwaited and self.session.isReceivingHead:
            self.session.refuse(None, 408)
        elif self._outlet.pending:
            # It still reads the last answer, and `writeTimeout` watches that.
            self.deadlines.set("input", max(self._site.configuration.keepAliveTimeout, 1.0))
        else:
            self.session.finish()

    def _writeExpired(self) -> None:
        """A peer may be slow, but it must move."""
        if not self._outlet.pending:
            return
        if self._outlet.departed > self._departed:
            self._look(LOOKS)
        elif self._looks > 1:
            self._look(self._looks - 1)
        else:
            self._connection.abort()

    def _handlerExpired(self) -> None:
        # What was answered in its own turn leaves its deadline behind; the configuration may have changed.
        if not self._site.configuration.handlerTimeout:
            return
        if self.session.isBlocked:
            # It is the peer who takes his time, and `writeTimeout` that rules.
            self.handler()
        else:
            self.session.handlerExpired()


_EXPIRIES: dict[str, Callable[[Watch], None]] = {
    "handshake": lambda watch: watch._connection.abort(),
    "input": Watch._inputExpired,
    "parting": lambda watch: watch.session.partingExpired(),
    "body": lambda watch: watch.session.contentExpired(),
    "rate": lambda watch: watch.session.rateExpired(),
    "handler": Watch._handlerExpired,
    "write": Watch._writeExpired,
    "linger": lambda watch: watch._connection.farewell.close(),
    "close": lambda watch: watch._connection.farewell.closeExpired(),
}
