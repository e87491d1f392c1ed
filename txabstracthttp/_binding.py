"""From what a person says to what can be listened on: endpoint strings.

Imported when there is one: Twisted's endpoints take longer to load than all the rest of a server.
"""

from __future__ import annotations

__all__ = ["parseDescription", "resolveEndpoint"]

from collections.abc import Callable
from typing import Any

from twisted.internet.endpoints import (
    StandardIOEndpoint,
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    serverFromString,
    wrapServerTLS,
)
from twisted.internet.interfaces import IStreamServerEndpoint

from ._listening import BACKLOG, checkPort, hasIPv6
from ._proxy import ProxyHost, wrapServerProxy
from ._tls import connectionCreator, folderConnectionCreator


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
        checkPort(_portNumber(options.get("port") or "".join(words[1:2])))
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
    checkPort(number)
    if interface == "::" and not hasIPv6():
        interface = ""
    creator = folderConnectionCreator(path)
    return wrapServerTLS(creator, TCP6ServerEndpoint(reactor, number, int(backlog), interface))


#: The endpoints that we make ourselves; all others are Twisted's, or a plugin's.
_OWN_ENDPOINTS: dict[str, Callable[..., IStreamServerEndpoint]] = {"ssl": _sslEndpoint, "tls": _tlsEndpoint}
