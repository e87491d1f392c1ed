"""What is known of a connection that is secured by TLS, once its handshake is done."""

from __future__ import annotations

__all__ = ["agreedUpon", "peerCertificate"]

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import ISSLTransport

if TYPE_CHECKING:
    from twisted.internet.ssl import Certificate


def peerCertificate(transport: Any) -> Certificate | None:
    """Whom the peer has proved to be (mutual TLS), once the handshake is done; None: nobody."""
    if not ISSLTransport.providedBy(transport):
        return None
    original = transport.getPeerCertificate()
    if original is None:
        return None
    from twisted.internet.ssl import Certificate

    return Certificate(original)


def agreedUpon(transport: Any) -> tuple[str, str]:
    """The version of TLS and the cipher suite, once the handshake is done; empty where nobody can tell."""
    handle: Any = getattr(transport, "getHandle", lambda: None)()
    if not hasattr(handle, "get_cipher_name"):
        return "", ""
    return handle.get_protocol_version_name(), handle.get_cipher_name() or ""
