"""The ports of one server: in which order, and until when."""

from __future__ import annotations

__all__ = ["ListeningPort", "PortRegistry"]

from typing import Any

from twisted.internet import tcp
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress, IListeningPort
from twisted.python.failure import Failure
from zope.interface import implementer

from ._poller import Poller, pollerFor

try:
    from twisted.internet import unix
except ImportError:  # there are none on Windows
    unix = None  # type: ignore[assignment]


#: Connections that a port accepts in one turn of the reactor.
AT_ONCE = 8
#: How often that at the end, at most.
LAST_TURNS = 128


class _SteadyPort(tcp.Port):
    """Accepts a few connections a turn, so that others have theirs, and that it can be paused in time.

    Twisted's accept as many as there are, a hundred and ever more.
    """

    numberAccepts = property(lambda port: AT_ONCE, lambda port, number: None)

    #: What a connection is here.
    _connection: type = tcp.Server
    #: What its connections take for the reactor.
    poller: Any

    #: Nobody else accepts from the socket, neither now nor when this process has gone.
    isOwn = True

    def transport(self, *arguments: Any) -> Any:  # type: ignore[override]
        """A connection that was accepted; the last of `arguments` is its reactor: here all share a poller."""
        return self._connection(*arguments[:-1], self.poller)

    def connectionLost(self, reason: Failure) -> None:
        """Close, when those are in that wait: the kernel would reset them, requests and all."""
        # Not so when the reactor ends all by itself: nobody would serve them.
        if self.isOwn and self.disconnecting:
            for _ in range(LAST_TURNS):
                seen = self.sessionno
                self.doRead()
                if self.sessionno == seen:
                    break
        super().connectionLost(reason)
        if isinstance(self.poller, Poller):
            self.poller.retire()


_STEADY: dict[type, type] = {tcp.Port: _SteadyPort}

if unix is not None:

    class _SteadyUnixPort(_SteadyPort, unix.Port):  # type: ignore[misc]
        """The same on a Unix socket."""

        _connection = unix.Server

    _STEADY[unix.Port] = _SteadyUnixPort


@implementer(IListeningPort)
class ListeningPort:
    """A port that is listed by its server from when it listens until it is stopped.

    It remembers its address, which Twisted's own forget when they stop.
    """

    def __init__(self, registry: PortRegistry, place: int, port: IListeningPort, isOwn: bool) -> None:
        self._registry = registry
        self._place = place
        self._port = port
        self._host = port.getHost()
        if type(port) in _STEADY:
            port.__class__ = _STEADY[type(port)]
            port.isOwn = isOwn  # type: ignore[attr-defined]
            port.poller = pollerFor(port.reactor)  # type: ignore[attr-defined]

    def startListening(self) -> None:
        """Listen again, after a stop.

        :raises CannotListenError: the address is taken.
        """
        self._port.startListening()
        self._host = self._port.getHost()
        self._registry.add(self._place, self)

    def stopListening(self) -> Deferred[None]:
        """Stop to listen; connections that are open stay so."""
        self._registry.remove(self._place)
        return self._port.stopListening() or succeed(None)

    def getHost(self) -> IAddress:
        """The address that it listens on, or did."""
        return self._host

    def pause(self) -> None:
        """Accept no connection for now; the kernel keeps those that come."""
        port: Any = self._port
        if hasattr(port, "pauseProducing"):
            port.pauseProducing()

    def resume(self) -> None:
        """Accept again."""
        port: Any = self._port
        if hasattr(port, "resumeProducing"):
            port.resumeProducing()

    def __repr__(self) -> str:
        return f"<ListeningPort {self._host}>"


class PortRegistry:
    """Ports in the order in which they were asked for, however long each took to listen."""

    def __init__(self) -> None:
        self._places = 0
        self._ports: dict[int, ListeningPort] = {}

    def reserve(self) -> int:
        """The next place in the order."""
        self._places += 1
        return self._places

    def listed(self, place: int, port: IListeningPort, isOwn: bool = True) -> ListeningPort:
        """List `port`, which listens, at `place`.

        :param isOwn: false: its socket is somebody else's too, or will be.
        """
        listed = ListeningPort(self, place, port, isOwn)
        self.add(place, listed)
        return listed

    def add(self, place: int, port: ListeningPort) -> None:
        """List `port` at `place`."""
        self._ports[place] = port

    def remove(self, place: int) -> None:
        """List it no more."""
        self._ports.pop(place, None)

    def pause(self) -> None:
        """Accept no connections for now."""
        for port in self._ports.values():
            port.pause()

    def resume(self) -> None:
        """Accept again."""
        for port in self._ports.values():
            port.resume()

    def ports(self) -> list[ListeningPort]:
        """Those that listen, the newest last."""
        return [self._ports[place] for place in sorted(self._ports)]
