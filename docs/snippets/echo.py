from twisted.internet import defer, task
from txabstracthttp import AbstractHttpServer


class Echo(AbstractHttpServer):
    def handleRequest(self, request, socket):
        return request.path == "/echo" and request.isWebSocketUpgrade

    async def serve(self):
        while True:
            webSocket = await self.whenWebSocketConnected()
            defer.Deferred.fromCoroutine(self.talk(webSocket))  # and on to the next one

    async def talk(self, webSocket):
        async for message in webSocket:
            if isinstance(message, str):
                await webSocket.sendTextMessage(message)
            else:
                await webSocket.sendBinaryMessage(message)


async def main(reactor):
    server = Echo(reactor)
    await server.bind("tcp:8080:interface=127.0.0.1")
    await server.serve()


if __name__ == "__main__":
    task.react(main)
