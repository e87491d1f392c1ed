"""From what a person says to a port that listens: endpoint strings, sockets and addresses."""

from __future__ import annotations

__all__ = ["adopt", "checkEndpoint", "listenOn", "listeningSocket", "resolveEndpoint"]

import socket
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Any

from twisted.internet.endpoints import (
    StandardIOEndpoint,
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    serverFromString,
    wrapServerTLS,
)
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint

from ._proxy import ProxyHost, wrapServerProxy
from ._tls import connectionCreator, folderConnectionCreator

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


def resolveEndpoint(
    reactor: Any, endpoint: str | IStreamServerEndpoint, host: ProxyHost
) -> IStreamServerEndpoint:
    """The endpoint that a string describes; an endpoint is one already.

    :param host: whose limits apply to those who wait for a PROXY header, with ``haproxy:``.
    :raises ValueError: there is none, whatever the parser made of it; the cause is chained.
    """
    try:
        found = _parse(reactor, endpoint, host) if isinstance(endpoint, str) else endpoint
        if isinstance(found, StandardIOEndpoint):
            raise ValueError("standard input and output are nothing to listen on")
        return found
    except Exception as error:
        # Twisted leaks eight types here, from IndexError to OpenSSL's own.
        said = str(error) or type(error).__name__
        raise ValueError(f"bad endpoint {endpoint!r}: {said}") from error


def _parse(reactor: Any, text: str, host: ProxyHost) -> IStreamServerEndpoint:
    words, options = parseDescription(text)
    if words[0] == "haproxy":
        return wrapServerProxy(_parse(reactor, _proxied(text), host), reactor, host)
    if words[0] in {"http", "https"}:
        raise ValueError("that is a URL; an endpoint is, for example, tcp:8080")
    if words[0] in {"tcp", "tcp6", "ssl"}:
        _checkPort(_portNumber(options.get("port") or "".join(words[1:2])))
    own = _OWN_ENDPOINTS.get(words[0])
    if own is not None:
        return own(reactor, *words[1:], **options)
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, text)
    except (IndexError, KeyError) as error:
        if words[0] == "systemd":
            raise ValueError("systemd has passed no such socket") from error
        raise
    return endpoint


def _portNumber(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{text!r} is no port number" if text else "the port number is missing")
    return int(text)


def _proxied(text: str) -> str:
    """What stands behind ``haproxy:``, which is not left to Twisted: it looks for the header inside TLS."""
    inner = text.removeprefix("haproxy:")
    if inner == text or parseDescription(inner)[0][0] == "haproxy":
        raise ValueError("haproxy: stands once, in front of another endpoint")
    return inner


def parseDescription(text: str) -> tuple[list[str], dict[str, str]]:
    """Positional and named parts of an endpoint string, as `serverFromString` would read them."""
    words: list[str] = []
    options: dict[str, str] = {}
    for part in _split(text, ":"):
        name, *rest = _split(part, "=", 1)
        if rest:
            options[_unquote(name)] = _unquote(rest[0])
        else:
            words.append(_unquote(name))
    return words, options


def _split(text: str, separator: str, most: int = -1) -> list[str]:
    """Split where `separator` is not escaped by a backslash; escapes stay."""
    parts: list[str] = []
    current, escaped = "", False
    for character in text:
        if character == separator and not escaped and most != len(parts):
            parts.append(current)
            current = ""
        else:
            current += character
        escaped = character == "\\" and not escaped
    return [*parts, current]


def _unquote(text: str) -> str:
    parts = iter(text)
    return "".join(next(parts, "") if character == "\\" else character for character in parts)


def _sslEndpoint(
    reactor: Any,
    port: str,
    privateKey: str = "server.pem",
    certKey: str | None = None,
    sslmethod: str | None = None,
    interface: str = "",
    backlog: str = str(BACKLOG),
    extraCertChain: str | None = None,
    dhParameters: str | None = None,
) -> IStreamServerEndpoint:
    """Twisted's ``ssl:``, with our list of ciphers; its own still offers key exchange without secrecy."""
    if sslmethod is not None:
        raise ValueError("sslmethod is obsolete: TLS 1.2 is the least version, and later ones are negotiated")
    creator = connectionCreator(
        privateKey if certKey is None else certKey,
        privateKey,
        extraChain=extraCertChain,
        dhParameters=dhParameters,
    )
    return wrapServerTLS(creator, TCP4ServerEndpoint(reactor, int(port), int(backlog), interface))


def _tlsEndpoint(
    reactor: Any,
    path: str,
    port: str = "443",
    backlog: str = str(BACKLOG),
    interface: str = "::",
) -> IStreamServerEndpoint:
    """Twisted's ``tls:``, with our list of ciphers, and with a folder that is looked at again."""
    number = int(port)
    _checkPort(number)
    if interface == "::" and not _hasIPv6():
        interface = ""
    creator = folderConnectionCreator(path)
    return wrapServerTLS(creator, TCP6ServerEndpoint(reactor, number, int(backlog), interface))


#: The endpoints that we make ourselves; all others are Twisted's, or a plugin's.
_OWN_ENDPOINTS: dict[str, Callable[..., IStreamServerEndpoint]] = {"ssl": _sslEndpoint, "tls": _tlsEndpoint}


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
    _checkPort(port)
    if not isinstance(address, str):
        raise ValueError(f"an address is an IP literal, not {address!r}")
    ip = ip_address(address)
    if ip == _ANY:
        address = "::"  # which has other spellings
        if not _hasIPv6():
            return _listen(socket.AF_INET, "0.0.0.0", port)  # noqa: S104  # "::" means all interfaces
    elif isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        # A socket of IPv6 alone, as we make them, could not be bound to it.
        ip = ip.ipv4_mapped
        address = str(ip)
    return _listen(socket.AF_INET if ip.version == 4 else socket.AF_INET6, address, port)


def _checkPort(port: object) -> None:
    if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port <= 65535:
        raise ValueError(f"a port is an int from 0 to 65535, not {port!r}")


def _hasIPv6() -> bool:
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
