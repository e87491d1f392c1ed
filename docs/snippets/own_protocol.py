from autobahn.twisted.websocket import WebSocketServerProtocol
from twisted.internet import defer, task
from txabstracthttp import AbstractHttpServer


class EchoProtocol(WebSocketServerProtocol):
    """As one writes it for Autobahn's own factory."""

    def onConnect(self, request):
        return "echo" if "echo" in request.protocols else None

    def onOpen(self):
        self.sendMessage(f"hello, {self.peer}".encode())

    def onMessage(self, payload, isBinary):
        self.sendMessage(payload, isBinary)

    def onClose(self, wasClean, code, reason):
        print("closed:", wasClean, code, reason, flush=True)


class Server(AbstractHttpServer):
    webSocketProtocol = EchoProtocol

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        # Nobody else takes them, and they must not wait.
        self.newWebSocketConnection.connect(self.nextPendingWebSocketConnection)

    def handleRequest(self, request, socket):
        return request.isWebSocketUpgrade


async def main(reactor):
    await Server(reactor).bind("tcp:8080:interface=127.0.0.1")
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main)
