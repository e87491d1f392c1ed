from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet import defer, reactor
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.trial.unittest import TestCase

from echo import Echo


class Client(WebSocketClientProtocol):
    def __init__(self):
        super().__init__()
        self.messages = defer.DeferredQueue()

    def onMessage(self, payload, isBinary):
        self.messages.put(payload)


class EchoTest(TestCase):
    async def setUp(self):
        server = Echo(reactor)
        self.addCleanup(server.close, 0)
        port = (await server.bind("tcp:0:interface=127.0.0.1")).getHost().port
        waiting = defer.Deferred.fromCoroutine(server.serve())
        waiting.addErrback(lambda failure: failure.trap(defer.CancelledError))
        self.addCleanup(waiting.cancel)
        factory = WebSocketClientFactory(f"ws://127.0.0.1:{port}/echo", reactor=reactor)
        factory.protocol = Client
        # Timers of its own would be left over at the end of a test.
        factory.setProtocolOptions(openHandshakeTimeout=0, closeHandshakeTimeout=0)
        self.client = await TCP4ClientEndpoint(reactor, "127.0.0.1", port).connect(factory)
        await self.client.is_open

    async def test_echo(self):
        self.client.sendMessage(b"hello")
        assert await self.client.messages.get() == b"hello"

    async def test_close(self):
        self.client.sendClose(4000, "enough")
        await self.client.is_closed
        assert (self.client.wasClean, self.client.remoteCloseCode) == (True, 4000)
