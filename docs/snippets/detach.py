from twisted.internet import defer, protocol, task
from txabstracthttp import AbstractHttpServer


class Shout(protocol.Protocol):
    """Not HTTP: says everything back, louder."""

    def connectionMade(self):
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: shout\r\n\r\n"
        )

    def dataReceived(self, data):
        self.transport.write(data.upper())


class Upgrading(AbstractHttpServer):
    def handleRequest(self, request, socket):
        if request.value("Upgrade").lower() != "shout":
            socket.respond(status=426, headers={"Upgrade": "shout", "Connection": "upgrade"})
        else:
            socket.detach(Shout())
        return True


async def main(reactor):
    await Upgrading(reactor).bind("tcp:8080:interface=127.0.0.1")
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main)
