from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase
from txabstracthttp import HttpServerConfiguration

from hello import Hello


class Transport(StringTransport):
    """What the server asks of a TCP transport beyond StringTransport."""

    def setTcpNoDelay(self, enabled):
        pass


class InMemory(SynchronousTestCase):
    def setUp(self):
        self.clock = Clock()
        self.server = Hello(self.clock, HttpServerConfiguration(headerTimeout=10))
        peer = IPv4Address("TCP", "192.0.2.1", 50000)
        self.transport = Transport(peerAddress=peer)
        self.protocol = self.server.buildProtocol(peer)
        self.protocol.makeConnection(self.transport)

    def test_answer(self):
        self.protocol.dataReceived(b"GET /hello HTTP/1.1\r\nHost: test\r\n\r\n")
        assert self.transport.value().startswith(b"HTTP/1.1 200 OK\r\n")
        assert self.transport.value().endswith(b"\r\n\r\nHello, world\n")

    def test_slowHead(self):
        self.protocol.dataReceived(b"GET /hello HTTP/1.1\r\nHo")
        self.clock.advance(9.9)
        assert self.transport.value() == b""
        self.clock.advance(0.2)
        assert self.transport.value().startswith(b"HTTP/1.1 408 ")
        assert self.transport.disconnecting
