from itertools import count

from twisted.internet import defer, reactor, task
from twisted.internet.interfaces import IPushProducer
from txabstracthttp import AbstractHttpServer, WebSocketClosed
from zope.interface import implementer


class Pressure(AbstractHttpServer):
    def handleRequest(self, request, socket):
        return request.isWebSocketUpgrade and request.path in ("/numbers", "/ticks", "/slow")

    async def serve(self):
        while True:
            webSocket = await self.whenWebSocketConnected()
            talk = getattr(self, webSocket.request.path[1:])
            defer.Deferred.fromCoroutine(talk(webSocket))

    async def numbers(self, webSocket):
        for number in count():
            if webSocket.state != webSocket.STATE_OPEN:
                break  # who only sends must look
            await webSocket.sendTextMessage(f"number {number}")

    async def ticks(self, webSocket):
        ticks = Ticks(webSocket)
        webSocket.registerProducer(ticks, True)
        webSocket.disconnected.connect(lambda code, reason: ticks.stopProducing())

    async def slow(self, webSocket):
        try:
            await webSocket.sendTextMessage("what is your name?")
            name = await webSocket.receive()
            await task.deferLater(reactor, 0.1)  # whatever takes its time; the peer waits meanwhile
            await webSocket.sendTextMessage(f"hello, {name}")
            print("says", await webSocket.receive(), flush=True)
        except WebSocketClosed as closed:
            print("left with", closed.code, closed.reason, flush=True)


@implementer(IPushProducer)
class Ticks:
    """Counts ten times a second, for as long as somebody takes it."""

    def __init__(self, webSocket):
        self.webSocket, self.numbers = webSocket, count()
        self.loop = task.LoopingCall(self.tick)
        self.resumeProducing()

    def tick(self):
        self.webSocket.sendTextMessage(f"tick {next(self.numbers)}")

    def resumeProducing(self):
        self.loop.start(0.1)

    def pauseProducing(self):
        self.loop.stop()

    def stopProducing(self):
        if self.loop.running:
            self.loop.stop()


async def main(reactor):
    server = Pressure(reactor)
    await server.bind("tcp:8080:interface=127.0.0.1")
    await server.serve()


if __name__ == "__main__":
    task.react(main)
