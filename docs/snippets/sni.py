from twisted.internet import defer, task
from txabstracthttp import AbstractHttpServer


class Hosts(AbstractHttpServer):
    def handleRequest(self, request, socket):
        socket.respond(f"this is {request.url.host}")
        return True


async def main(reactor):
    server = Hosts(reactor)
    server.sslSetup(
        "cert.pem",  # for everybody else, and for clients without SNI
        "key.pem",
        certificates={
            "alpha.test": ("alpha.pem", "alpha.key"),
            "*.wild.test": ("wild.pem", "wild.key"),
        },
    )
    server.listen("127.0.0.1", 8443)
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main)
