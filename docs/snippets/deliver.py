from twisted.internet import defer, protocol, task
from twisted.internet.error import ConnectionDone
from txabstracthttp import AbstractHttpServer


class CountLines(protocol.Protocol):
    def __init__(self, socket):
        self.socket = socket
        self.lines = 0

    def dataReceived(self, data):
        self.lines += data.count(b"\n")

    def connectionLost(self, reason=protocol.connectionDone):
        if reason.check(ConnectionDone):  # all of it came
            self.socket.respond({"lines": self.lines})


class LineServer(AbstractHttpServer):
    def streamsBody(self, request):
        return True

    def handleRequest(self, request, socket):
        request.deliverBody(CountLines(socket))
        return True


async def main(reactor):
    await LineServer(reactor).bind("tcp:8080:interface=127.0.0.1")
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main)
