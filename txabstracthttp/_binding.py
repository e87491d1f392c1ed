"""From what a person says to a port that listens: endpoint strings, sockets and addresses."""

from __future__ import annotations

__all__ = ["adopt", "checkEndpoint", "listeningSocket", "resolveEndpoint"]

import socket
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any

from twisted.internet.endpoints import (
    StandardIOEndpoint,
    TCP4ServerEndpoint,
    serverFromString,
    wrapServerTLS,
)
from twisted.internet.interfaces import IListeningPort, IStreamServerEndpoint
from twisted.internet.ssl import DiffieHellmanParameters
from twisted.python.filepath import FilePath

from ._tls import connectionCreator

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


def resolveEndpoint(reactor: Any, text: str) -> IStreamServerEndpoint:
    """The endpoint that a string describes.

    :raises ValueError: it describes none, whatever the parser made of it; the cause is chained.
    """
    try:
        words, options = parseDescription(text)
        if words[0] in {"tcp", "tcp6", "ssl"}:
            _checkPort(int(options.get("port") or words[1]))
        if words[0] == "ssl" and "sslmethod" not in options:
            return _sslEndpoint(reactor, *words[1:], **options)
        if words[0] == "tls":
            _checkFolder(options.get("path") or words[1])
        endpoint: IStreamServerEndpoint = serverFromString(reactor, text)
        if isinstance(endpoint, StandardIOEndpoint):
            raise ValueError("standard input and output are nothing to listen on")
        return endpoint
    except Exception as error:
        # Twisted leaks eight types here, from IndexError to OpenSSL's own.
        said = str(error) or type(error).__name__
        raise ValueError(f"bad endpoint {text!r}: {said}") from error


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
    interface: str = "",
    backlog: str = str(BACKLOG),
    extraCertChain: str | None = None,
    dhParameters: str | None = None,
) -> IStreamServerEndpoint:
    """Twisted's ``ssl:``, with our list of ciphers; its own still offers key exchange without secrecy."""
    creator = connectionCreator(
        privateKey if certKey is None else certKey,
        privateKey,
        extraChain=extraCertChain,
        dhParameters=None
        if dhParameters is None
        else DiffieHellmanParameters.fromFile(FilePath(dhParameters)),
    )
    return wrapServerTLS(creator, TCP4ServerEndpoint(reactor, int(port), int(backlog), interface))


def _checkFolder(path: str) -> None:
    """``tls:`` listens happily on a folder that is not there, and then has no certificate for anybody."""
    if not Path(path).is_dir():
        raise ValueError(f"{path!r} is no folder of certificates")
    if not any(Path(path).glob("*.pem")):
        raise ValueError(f"there is no .pem file in {path!r}")


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
    listener.setblocking(False)
    port: IListeningPort = reactor.adoptStreamPort(listener.fileno(), listener.family, factory)
    listener.close()
    return port
