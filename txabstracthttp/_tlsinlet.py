"""Where octets arrive over TLS.  The only room that knows how Twisted's TLS transport receives.

To find out that nothing more has come, Twisted asks OpenSSL twice more: for content, and for something to
send.  Both answers are exceptions, and cost more than all the rest.  But a record says where it ends: where
one came whole, and nothing else, the answers are known.
"""

from __future__ import annotations

__all__ = ["RECORD_SIZE", "receiveLean"]

from sys import maxsize
from typing import Any

from OpenSSL import SSL
from twisted.internet import tcp
from twisted.protocols.tls import BufferingTLSTransport
from twisted.python.failure import Failure

#: The most content that a record has (RFC 8446 section 5.1).
RECORD_SIZE = 16 * 1024
#: Each record begins with its type, a version and its length, in two octets.
HEADER_SIZE = 5
APPLICATION_DATA = 23
#: Behind anything else, such as the greeting of SSL 2, nobody knows where a record begins.
RECORD_TYPES = range(20, 25)


class LeanTransport(BufferingTLSTransport):
    """Twisted's TLS transport, with a short way for what is most common: one record, and all of it."""

    #: How much is missing of the record that is arriving, and what came of the next one's header.
    _missing = 0
    _header = b""

    def dataReceived(self, data: bytes) -> None:
        """Octets from the peer."""
        if (
            self._missing
            or self._header
            or len(data) < HEADER_SIZE
            or data[0] != APPLICATION_DATA
            or len(data) != HEADER_SIZE + (data[3] << 8 | data[4])
            or not self._handshakeDone
            or self._lostTLSConnection
            or self._appSendBuffer
            or self._aborted
        ):
            self._followRecords(data)
            super().dataReceived(data)
        else:
            self._receiveRecord(data)

    def _followRecords(self, data: bytes) -> None:
        """Find out where the last record of `data` ends."""
        data = self._header + data
        end, size = self._missing, len(data)
        while end + HEADER_SIZE <= size:
            known = data[end] in RECORD_TYPES
            end += HEADER_SIZE + (data[end + 3] << 8 | data[end + 4]) if known else maxsize
        self._missing = max(end - size, 0)
        self._header = data[end:]

    def _receiveRecord(self, record: bytes) -> None:
        tls = self._tlsConnection
        tls.bio_write(record)
        try:
            content = tls.recv(RECORD_SIZE)
        except (SSL.WantReadError, SSL.ZeroReturnError):
            # It was about TLS itself.  OpenSSL says the same again, and may have something to send.
            self._flushReceiveBIO()
        except SSL.Error:
            # This it says only once; so what follows is what Twisted does.
            self._tlsShutdownFinished(Failure())
            self._flushSendBIO()
        else:
            # A record with content makes OpenSSL send nothing, and no octet is left that it could read.
            self.wrappedProtocol.dataReceived(content)


def receiveLean(transport: Any) -> None:
    """Let `transport` take the short way, if it is exactly what is known here and nothing has arrived yet."""
    if type(transport) is not BufferingTLSTransport or type(transport.transport) is not tcp.Server:
        return
    # As soon as the handshake was tried, it waits for octets or is done.
    if not transport._handshakeDone and not transport._tlsConnection.want_read():
        transport.__class__ = LeanTransport
