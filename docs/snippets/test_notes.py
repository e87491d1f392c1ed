import json

from twisted.internet.address import IPv4Address
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from notes import LIMITS, Notes


class NotesTest(SynchronousTestCase):
    def setUp(self):
        peer = IPv4Address("TCP", "192.0.2.1", 50000)
        self.transport = StringTransport(peerAddress=peer)
        self.transport.setTcpNoDelay = lambda enabled: None  # StringTransport lacks it
        self.protocol = Notes(Clock(), LIMITS).buildProtocol(peer)
        self.protocol.makeConnection(self.transport)

    def ask(self, head, content=b""):
        self.transport.clear()
        self.protocol.dataReceived(
            b"%b HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%b" % (head, len(content), content)
        )
        answer, _, body = self.transport.value().partition(b"\r\n\r\n")
        return int(answer.split()[1]), json.loads(body)

    def test_addAndGet(self):
        status, answer = self.ask(b"POST /notes", b'{"text": "buy milk"}')
        assert (status, answer) == (201, {"number": "1"})
        assert self.ask(b"GET /notes/1") == (200, {"number": "1", "text": "buy milk"})
        assert self.ask(b"GET /notes") == (200, {"notes": ["1"]})

    def test_nothingThere(self):
        assert self.ask(b"GET /elsewhere") == (404, {"error": "there is no /elsewhere here"})

    def test_noJson(self):
        status, _ = self.ask(b"POST /notes", b"buy milk")
        assert status == 400
