"""Sockets that listen: on addresses, or somebody else's."""

from __future__ import annotations

__all__ = ["BACKLOG", "adopt", "checkEndpoint", "checkPort", "hasIPv6", "listenOn", "listeningSocket"]

import socket
from ipaddress import IPv6Address, ip_address
from typing import Any

from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint

#: How many connections may wait to be accepted; the kernel has a bound of its own, often lower.
BACKLOG = 1024

_ANY = IPv6Address("::")


def checkEndpoint(endpoint: object) -> None:
    """Refuse what cannot be an endpoint at all.

    :raises TypeError: neither an endpoint string, an endpoint, a socket nor None.
    """
    if endpoint is None or isinstance(endpoint, str | socket.socket):
        return
    if not IStreamServerEndpoint.providedBy(endpoint):
        raise TypeError(
            f"bind() takes an endpoint string, an IStreamServerEndpoint, a listening socket or None, "
            f"not {type(endpoint).__name__}"
        )


def listenOn(reactor: Any, address: str, port: int, factory: Any) -> IListeningPort:
    """Listen on an IP literal, now.

    :raises ValueError: no IP literal, or no port number.
    :raises OSError: it cannot be listened on.
    """
    listener = listeningSocket(address, port)
    try:
        return adopt(reactor, listener, factory)
    finally:
        listener.close()


def listeningSocket(address: str, port: int) -> socket.socket:
    """A socket that listens on an IP literal; ``"::"`` is both families where the host has both.

    :raises ValueError: no IP literal, or no port number.
    :raises OSError: it cannot be listened on.
    """
    checkPort(port)
    if not isinstance(address, str):
        raise ValueError(f"an address is an IP literal, not {address!r}")
    ip = ip_address(address)
    if ip == _ANY:
        address = "::"  # which has other spellings
        if not hasIPv6():
            return _listen(socket.AF_INET, "0.0.0.0", port)  # noqa: S104  # "::" means all interfaces
    elif isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        # A socket of IPv6 alone, as we make them, could not be bound to it.
        ip = ip.ipv4_mapped
        address = str(ip)
    return _listen(socket.AF_INET if ip.version == 4 else socket.AF_INET6, address, port)


def checkPort(port: object) -> None:
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise ValueError(f"a port is an int from 0 to 65535, not {port!r}")


def hasIPv6() -> bool:
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::", 0))
    except OSError:
        return False
    return True


def _listen(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(address != "::"))
        listener.bind(socket.getaddrinfo(address, port, family, socket.SOCK_STREAM)[0][4])
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def adopt(reactor: Any, listener: socket.socket, factory: Any) -> IListeningPort:
    """Let the reactor accept from a listening socket; on success `listener` itself is closed.

    :raises ValueError: it does not listen, so nobody could connect.
    """
    try:
        listening = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise ValueError(f"cannot adopt {listener!r}: {error.strerror}") from error
    if not listening:
        raise ValueError(f"cannot adopt {listener!r}: it does not listen")
    port: IListeningPort = reactor.adoptStreamPort(listener.fileno(), listener.family, factory)
    # The duplicate shares this mode, and is not accepted from before the reactor's next turn.  A listener
    # that could not be adopted is its owner's, as it was.
    listener.setblocking(False)
    listener.close()
    return port
