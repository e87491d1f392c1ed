"""TLS as a person configures it: certificate and key in, a connection creator for Twisted out.

The contexts are our own and not those of `CertificateOptions`: that has no word for the alert of
`_selectProtocol`, and what has been used once cannot be changed any more.
"""

from __future__ import annotations

__all__ = [
    "CIPHERS",
    "CertificateLike",
    "KeyLike",
    "connectionCreator",
    "folderConnectionCreator",
]

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from OpenSSL import SSL
from OpenSSL._util import lib
from twisted.internet.interfaces import (
    IOpenSSLServerConnectionCreator,
    IProtocolNegotiationFactory,
)
from twisted.internet.ssl import CertificateOptions, TLSVersion
from twisted.logger import Logger
from zope.interface import implementer

from ._certificates import CertificateLike, Credentials, KeyLike
from ._pemfolder import PemFolder
from ._reloading import Find, WatchedPair, lookUp

if TYPE_CHECKING:
    from constantly import NamedConstant

_log = Logger()

#: Authenticated encryption with forward secrecy alone; TLS 1.3 has its own list, all of that kind.
CIPHERS = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:"
    b"DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305"
)

#: What keys are agreed upon with, the best first; lists for older versions of OpenSSL behind it.  No finite
#: fields, and no curves that nobody needs: each is more to be wrong.
GROUPS = (b"X25519MLKEM768:X25519:P-256:P-384", b"X25519:P-256:P-384")

#: For how many seconds files are taken to be what they were.
RELOAD_INTERVAL = 1.0

_VERSIONS = {TLSVersion.TLSv1_2: SSL.TLS1_2_VERSION, TLSVersion.TLSv1_3: SSL.TLS1_3_VERSION}

#: As `CertificateOptions` has it: our order of ciphers, fresh keys, and nothing to resume a session with.
_OPTIONS = (
    SSL.OP_NO_COMPRESSION
    | SSL.OP_CIPHER_SERVER_PREFERENCE
    | SSL.OP_SINGLE_DH_USE
    | SSL.OP_SINGLE_ECDH_USE
    | SSL.OP_NO_TICKET
)

_HOST_NAME = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")


def connectionCreator(
    certificate: CertificateLike | CertificateOptions | IOpenSSLServerConnectionCreator,
    privateKey: KeyLike | None = None,
    protocol: NamedConstant | None = None,
    certificates: Mapping[str, tuple[CertificateLike, KeyLike | None]] | None = None,
    dhParameters: str | os.PathLike[str] | None = None,
    extraChain: CertificateLike | None = None,
    seconds: Callable[[], float] = time.monotonic,
) -> IOpenSSLServerConnectionCreator:
    """See `AbstractHttpServer.sslSetup`.

    :param dhParameters: a PEM file, for clients that know no elliptic curves.
    :param extraChain: more certificates between that of the server and its authority.
    :param seconds: what time it is; files that were given by path are looked at once a second.
    :raises ValueError: material that would fail at the first handshake.
    :raises TypeError: none of the types that are taken.
    """
    if IOpenSSLServerConnectionCreator.providedBy(certificate):
        if privateKey is not None or protocol is not None or certificates:
            raise ValueError("a ready connection creator has its own key, protocol and certificates")
        _check(certificate)
        return _Guarded(certificate)
    more = [] if dhParameters is None else [Path(dhParameters).absolute()]
    build = partial(_buildContext, _version(protocol), more)
    byName: dict[bytes, WatchedPair] = {}
    find = partial(_findContext, byName)
    for name, each, key in _named(certificates):
        byName[name] = WatchedPair(build, find, (_anchor(each), _anchor(key), None), more)
    sources = (_anchor(certificate), _anchor(privateKey), _anchor(extraChain))
    pair = WatchedPair(build, find, sources, more)
    return _ConnectionCreator(pair, [pair, *byName.values()], seconds)


def _findContext(byName: Mapping[bytes, WatchedPair], name: bytes) -> SSL.Context | None:
    pair = lookUp(byName, name)
    return None if pair is None else pair.context


def folderConnectionCreator(
    folder: str | os.PathLike[str], seconds: Callable[[], float] = time.monotonic
) -> IOpenSSLServerConnectionCreator:
    """For every host that has a certificate and a key in the PEM files of a folder; see `PemFolder`.

    :param seconds: what time it is; the folder is looked at once a second.
    :raises ValueError: there is no folder, or not a single pair in it.
    """
    pairs = PemFolder(Path(folder).absolute(), partial(_buildContext, SSL.TLS1_2_VERSION, []))
    return _ConnectionCreator(pairs, [pairs], seconds)


def _version(protocol: NamedConstant | None) -> int:
    try:
        return _VERSIONS[TLSVersion.TLSv1_2 if protocol is None else protocol]
    except (KeyError, TypeError):
        raise ValueError(f"the least TLS version is TLSv1_2 or TLSv1_3, not {protocol!r}") from None


def _anchor(source: object) -> object:
    """A path that means the same when the process has gone to another directory."""
    return Path(source).absolute() if isinstance(source, str | os.PathLike) else source


def _named(certificates: object) -> Iterator[tuple[bytes, object, object]]:
    """Name, certificate and key of each entry."""
    if certificates is None:
        return
    if not isinstance(certificates, Mapping):
        raise TypeError(f"certificates is a mapping of host names, not {type(certificates).__name__}")
    for name, pair in certificates.items():
        if not isinstance(name, str) or not isinstance(pair, tuple | list) or len(pair) != 2:
            raise TypeError(f"certificates maps a host name to a certificate and its key, not {name!r}")
        if not _HOST_NAME.fullmatch(name.lower()):
            raise ValueError(f"{name!r} is no host name that a client could ask for; beyond ASCII it is xn--")
        yield name.lower().encode("ascii"), *pair


def _check(options: object) -> None:
    """Build the context now, so that what is wrong with it is said now."""
    if isinstance(options, CertificateOptions):
        try:
            options.getContext()
        except Exception as error:
            raise ValueError(f"unusable TLS material: {error}") from error


@implementer(IOpenSSLServerConnectionCreator)
class _Guarded:
    """A creator that is not ours, and may raise: Twisted would leave the connection to itself, for ever."""

    def __init__(self, creator: IOpenSSLServerConnectionCreator) -> None:
        self._creator = creator

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """See `IOpenSSLServerConnectionCreator`."""
        try:
            return self._creator.serverConnectionForTLS(tlsProtocol)
        except Exception:
            _log.failure("{creator!r} made no TLS connection", creator=self._creator)
            # Without a certificate nobody can agree with it.
            return SSL.Connection(SSL.Context(SSL.TLS_SERVER_METHOD))


class _Source(Protocol):
    """Where contexts come from.

    :ivar context: the one to begin with.
    """

    context: SSL.Context

    def refresh(self) -> None:
        """Look whether there is a new one.  Never raises."""


@implementer(IOpenSSLServerConnectionCreator)
class _ConnectionCreator:
    """Gives each connection the context that is current when it comes; the others keep theirs."""

    def __init__(self, source: _Source, watched: Sequence[_Source], seconds: Callable[[], float]) -> None:
        """
        :param watched: all that may change, those for other host names too.
        """
        self._source = source
        self._watched = watched
        self._seconds = seconds
        self._nextLook = seconds() + RELOAD_INTERVAL

    def serverConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """See `IOpenSSLServerConnectionCreator`."""
        now = self._seconds()
        if now >= self._nextLook:
            self._nextLook = now + RELOAD_INTERVAL
            for each in self._watched:
                each.refresh()
        connection = SSL.Connection(self._source.context)
        # Twisted does so, too; here it is what `_selectProtocol` relies on.
        connection.set_app_data(tlsProtocol)
        return connection


def _buildContext(
    version: int, dhParameters: list[Path], credentials: Credentials, find: Find
) -> SSL.Context:
    """
    :raises ValueError: OpenSSL will not have them.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(version)
    context.set_options(_OPTIONS)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_tlsext_servername_callback(partial(_selectContext, find))
    context.set_alpn_select_callback(_selectProtocol)
    context.set_cipher_list(CIPHERS)
    _limitGroups(context)
    try:
        _useCredentials(context, credentials)
        for path in dhParameters:
            context.load_tmp_dh(str(path))
    except Exception as error:
        raise ValueError(f"unusable TLS material: {error}") from error
    return context


def _limitGroups(context: SSL.Context) -> None:
    # pyOpenSSL has no word of its own for it.  Without one what OpenSSL takes to be good stays in force.
    choose = getattr(lib, "SSL_CTX_set1_curves_list", None)
    if choose is not None and not any(choose(context._context, groups) for groups in GROUPS):
        SSL._raise_current_error()


def _useCredentials(context: SSL.Context, credentials: Credentials) -> None:
    # OpenSSL refuses the wrong kinds of key, whatever their types are called here.
    key: Any = credentials.key
    context.use_certificate(credentials.certificate)
    context.use_privatekey(key)
    for each in credentials.chain:
        context.add_extra_chain_cert(each)
    context.check_privatekey()
    staple = credentials.staple
    if staple is not None:
        context.set_ocsp_server_callback(lambda connection, data: staple.current())


def _selectContext(find: Find, connection: SSL.Connection) -> None:
    """The client says which host it wants (SNI); unknown ones get the context they have."""
    name = connection.get_servername()
    context = None if name is None else find(name.lower())
    if context is not None:
        connection.set_context(context)


def _selectProtocol(connection: SSL.Connection, offered: list[bytes]) -> Any:
    """The client says which protocols it speaks (ALPN); ours are in the order of our preference."""
    factory = connection.get_app_data().factory.wrappedFactory
    if not IProtocolNegotiationFactory.providedBy(factory):
        return SSL.NO_OVERLAPPING_PROTOCOLS  # it has never heard of ALPN, and neither have we
    for protocol in factory.acceptableProtocols():
        if protocol in offered:
            return protocol
    # An exception is pyOpenSSL's way to the alert that is due (RFC 7301 section 3.2).  It comes back from
    # the handshake, where Twisted expects OpenSSL's, with OpenSSL's kind of arguments.
    raise SSL.Error([("SSL routines", "", "no application protocol")])
