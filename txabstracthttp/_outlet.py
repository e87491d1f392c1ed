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

from OpenSSL import SSL
from twisted.internet import tcp, unix
from twisted.internet.interfaces import IReactorTime
from twisted.protocols.tls import BufferingTLSTransport

from ._proxied import ProxiedTransport
from ._tlsinlet import RECORD_SIZE

#: What the reactor may offer the kernel in one go.  Twisted's 128 KiB make eight turns of a megabyte, each
#: with a copy of what is left; how much is taken is up to the peer and the kernel anyway.
SEND_LIMIT = 1024 * 1024
#: What TLS adds to what is sent at once: there are five records at most, unless the peer wants smaller ones.
RECORDS_OVERHEAD = 1024
#: The most that is sent at once: 64 KiB, and what TLS or a transfer coding adds.  More is better left to the
#: reactor.
EAGER_SIZE = 64 * 1024 + RECORDS_OVERHEAD
#: The most that is sent at once in one turn of the reactor, so that one fast peer cannot starve the others: a
#: millisecond's worth.  With a quarter of it, 100 MiB cost a tenth more; the kernel's buffer is mostly less.
EAGER_PER_TURN = 4 * SEND_LIMIT


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

    __slots__ = ("_clock", "_eager", "_resetting", "_send")

    def __init__(self, transport: Any, clock: IReactorTime) -> None:
        super().__init__(transport)
        transport.SEND_LIMIT = SEND_LIMIT
        # Over TCP Twisted does no more than this, in three calls; a Unix socket may have files to pass.
        self._send = transport.socket.send if type(transport) is tcp.Server else transport.writeSomeData
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
            return super().write(data)
        self._eager += size
        if self._eager > EAGER_PER_TURN // 2 and not self._resetting:
            self._resetLater()
        self._written += size
        try:
            sent = self._send(data)
        except OSError:
            # Whether that means trouble or just a full buffer is the reactor's business to find out.
            sent = 0
        if sent == size:
            return True
        t.write(data[sent:] if isinstance(sent, int) else data)
        return False

    def _resetLater(self) -> None:
        # What went in earlier turns counts until it is half of too much: no timer for the many small answers.
        self._resetting = True
        self._clock.callLater(0, self._reset)

    def _reset(self) -> None:
        self._eager = 0
        self._resetting = False


class TlsOutlet(Outlet):
    """Encrypts at once, and sends at once what came of it, over TLS on plain TCP.

    Twisted collects small writes until the next turn of the reactor, and then queues them for another one.
    """

    __slots__ = ("_below",)

    def __init__(self, transport: Any, clock: IReactorTime) -> None:
        super().__init__(transport)
        self._below = EagerOutlet(transport.transport, clock)

    def write(self, data: bytes) -> bool:
        size = len(data)
        t = self._transport
        if (
            not 0 < size <= EAGER_SIZE - RECORDS_OVERHEAD
            or not t.transport.connected
            or t._aggregator._buffer
            or t._appSendBuffer
            or t.disconnecting
            or t._lostTLSConnection
            or not t._handshakeDone
        ):
            return super().write(data)
        self._written += size
        tls = t._tlsConnection
        sent = 0
        try:
            while sent < size:
                sent += tls.send(data[sent : sent + RECORD_SIZE] if size > RECORD_SIZE else data)
        except SSL.Error:
            # What it means is Twisted's business, which finds the same when it tries.
            self._passOn(tls, size + RECORDS_OVERHEAD)
            t.write(data[sent:])
            return False
        return self._passOn(tls, size + RECORDS_OVERHEAD)

    def _passOn(self, tls: SSL.Connection, expected: int) -> bool:
        """Send what was encrypted; it is less than `expected`, unless the peer wants small records."""
        isTaken, size = True, expected
        while size == expected:
            try:
                sealed = tls.bio_read(expected)
            except SSL.WantReadError:
                break
            size = len(sealed)
            isTaken = self._below.write(sealed)
        return isTaken


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
    if type(transport) is BufferingTLSTransport and type(transport.transport) is tcp.Server:
        return TlsOutlet(transport, clock)
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
