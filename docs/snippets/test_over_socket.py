from twisted.internet import reactor
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, readBody

from hello import Hello


class OverSocket(TestCase):
    async def setUp(self):
        self.server = Hello(reactor)
        self.addCleanup(self.server.close, 0)
        port = await self.server.bind("tcp:0:interface=127.0.0.1")
        self.base = f"http://127.0.0.1:{port.getHost().port}"

    async def test_hello(self):
        answer = await Agent(reactor).request(b"GET", f"{self.base}/hello".encode())
        assert answer.code == 200
        assert await readBody(answer) == b"Hello, world\n"

    async def test_elsewhere(self):
        answer = await Agent(reactor).request(b"GET", f"{self.base}/elsewhere".encode())
        assert answer.code == 404
        await readBody(answer)
