from twisted.internet import defer, task
from txabstracthttp import AbstractHttpServer


class Hello(AbstractHttpServer):
    def handleRequest(self, request, socket):
        if request.path != "/hello":
            return False
        socket.respond("Hello, world\n")
        return True


async def main(reactor):
    await Hello(reactor).bind("tcp:8080:interface=127.0.0.1")
    await defer.Deferred()  # serve until Ctrl-C


if __name__ == "__main__":
    task.react(main)
