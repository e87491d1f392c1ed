"""The floor of HTTP/2: a bare loop on the h2 library, which answers every request with a constant.

It feeds h2, answers what h2 calls a request, and writes what h2 has to say: no limits, no deadlines, no flow
control and no application.  A second argument, ``unchecked``, leaves out h2's own look at the fields, which
this server does not use either, since it looks at them itself.
"""

from __future__ import annotations

from typing import Any

from common import readOptions
from endpoints import endpoint
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived
from h2.exceptions import ProtocolError
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.internet.protocol import Protocol, ServerFactory
from zope.interface import implementer

FIELDS = [(b":status", b"200"), (b"content-type", b"text/plain"), (b"content-length", b"12")]


class Loop(Protocol):
    transport: Any
    factory: Factory

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self._h2 = H2Connection(self.factory.configuration)
        self._h2.initiate_connection()
        self.transport.write(self._h2.data_to_send())

    def dataReceived(self, data: bytes) -> None:
        connection = self._h2
        try:
            for event in connection.receive_data(data):
                if type(event) is RequestReceived:
                    connection.send_headers(event.stream_id, FIELDS)
                    connection.send_data(event.stream_id, b"Hello, world", end_stream=True)
        except ProtocolError:
            self.transport.loseConnection()
        self.transport.write(connection.data_to_send())


@implementer(IProtocolNegotiationFactory)
class Factory(ServerFactory):
    protocol: Any = Loop

    def __init__(self, isChecked: bool) -> None:
        self.configuration = H2Configuration(
            client_side=False,
            header_encoding=None,
            validate_inbound_headers=isChecked,
            normalize_inbound_headers=isChecked,
            validate_outbound_headers=isChecked,
            normalize_outbound_headers=isChecked,
        )

    def acceptableProtocols(self) -> list[bytes]:
        return [b"h2"]


if __name__ == "__main__":
    options = readOptions()
    serverFromString(reactor, endpoint(options)).listen(Factory(options.interface != "unchecked"))
    reactor.run()
