from twisted.internet import defer, task
from txabstracthttp import AbstractHttpServer


class Shout(AbstractHttpServer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.newWebSocketConnection.connect(self.welcome)

    def handleRequest(self, request, socket):
        return request.isWebSocketUpgrade

    def welcome(self):
        webSocket = self.nextPendingWebSocketConnection()

        @webSocket.textMessageReceived.connect
        def shout(text):
            webSocket.sendTextMessage(text.upper())

        @webSocket.disconnected.connect
        def left(code, reason):
            print(webSocket.request.remoteAddress.host, "left:", code, reason, flush=True)


async def main(reactor):
    await Shout(reactor).bind("tcp:8080:interface=127.0.0.1")
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main)
