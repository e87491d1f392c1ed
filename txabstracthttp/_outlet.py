"""Where octets leave for the peer.  The only room that knows the inside of a Twisted transport.

`ITransport.write` only queues: it costs two system calls and one more turn of the reactor for each response.
So what fits is sent at once, under a rule whose every clause was a measured failure without it.
"""

from __future__ import annotations

__all__ = ["Outlet", "outletFor"]

from fcntl import ioctl
from sys import byteorder
from termios import TIOCOUTQ
from typing import Any

from twisted.internet import tcp, unix
from twisted.internet.interfaces import IReactorTime

from ._proxy import ProxiedTransport

#: What the reactor may offer the kernel in one go.  Twisted's 128 KiB make eight turns of a megabyte, each
#: with a copy of what is left; how much is taken is up to the peer and the kernel anyway.
SEND_LIMIT = 1024 * 1024
#: The most that is sent at once; more is better left to the reactor.
EAGER_SIZE = 64 * 1024
#: The most that is sent at once in one turn of the reactor, so that one fast peer cannot starve the others.
EAGER_PER_TURN = 256 * 1024


class Outlet:
    """Writes to a transport, and knows how much of it has not left yet."""

    __slots__ = ("_transport", "_written")

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self._written = 0

    def write(self, data: bytes) -> bool:
        """Write `data`, in order.

        :return: whether all of it, and all before it, was taken by the kernel already.
        """
        self._written += len(data)
        self._transport.write(data)
        return False

    @property
    def pending(self) -> int:
        """How many octets wait in this process, as far as the transport tells; TLS's own among them."""
        return _buffered(self._transport)

    @property
    def departed(self) -> int:
        """A number that grows when octets leave for the peer, and only then.

        The kernel's own buffer is counted as here: it may hold so much that nothing moves in ours for long,
        while a slow peer takes one piece after the other from it.
        """
        return self._written - self.pending - _inKernel(self._transport)


class EagerOutlet(Outlet):
    """Sends at once what it may, over plain TCP or a Unix socket."""

    __slots__ = ("_clock", "_eager", "_resetting")

    def __init__(self, transport: Any, clock: IReactorTime) -> None:
        super().__init__(transport)
        transport.SEND_LIMIT = SEND_LIMIT
        self._clock = clock
        self._eager = 0
        self._resetting = False

    def write(self, data: bytes) -> bool:
        size = len(data)
        t = self._transport
        if (
            size > EAGER_SIZE
            or t.dataBuffer
            or t._tempDataBuffer
            or not t.connected
            or t.disconnecting
            or t._writeDisconnecting
            or t._writeDisconnected
            or t._aborting
            or not (t.producer is None or t.streamingProducer)
            or self._eager + size > EAGER_PER_TURN
        ):
            if self._eager + size > EAGER_PER_TURN:
                self._resetLater()
            return super().write(data)
        self._eager += size
        sent = t.writeSomeData(data)
        if sent == size:
            self._written += size
            return True
        if isinstance(sent, int):
            self._written += sent
            return super().write(data[sent:])
        # Anything that is no number means trouble, and to find that out is the reactor's business.
        return super().write(data)

    def _resetLater(self) -> None:
        # What went in earlier turns counts until it is too much: no timer for the many who never get there.
        if not self._resetting:
            self._resetting = True
            self._clock.callLater(0, self._reset)

    def _reset(self) -> None:
        self._eager = 0
        self._resetting = False


def outletFor(transport: Any, clock: IReactorTime) -> Outlet:
    """The outlet for `transport`, decided once and by its exact class.

    A subclass, or a wrapper that answers for what it wraps, may do something else with the octets, such as
    encrypt them.
    """
    if type(transport) is ProxiedTransport:
        # It answers for nothing but addresses.
        transport = transport.transport
    if type(transport) in (tcp.Server, unix.Server) and not transport.TLS:
        return EagerOutlet(transport, clock)
    return Outlet(transport)


def _inKernel(transport: Any) -> int:
    """How many octets the peer has not acknowledged (SIOCOUTQ, tcp(7) and unix(7)); 0 if nobody can tell."""
    while not isinstance(transport, tcp.Connection) and hasattr(transport, "transport"):
        transport = transport.transport
    try:
        answer = ioctl(transport.fileno(), TIOCOUTQ, bytes(4))
    except (AttributeError, OSError, ValueError):
        return 0
    return int.from_bytes(answer, byteorder)


def _buffered(transport: Any) -> int:
    if isinstance(transport, tcp.Connection | unix.Server):
        return len(transport.dataBuffer) - transport.offset + transport._tempDataLen
    # TLS collects small writes until the end of the turn, and keeps what it cannot encrypt yet.
    collected = getattr(getattr(transport, "_aggregator", None), "_buffer", ())
    held = getattr(transport, "_appSendBuffer", ())
    inner = getattr(transport, "transport", None)
    return sum(map(len, collected)) + sum(map(len, held)) + (0 if inner is None else _buffered(inner))
