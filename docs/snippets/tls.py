from twisted.internet import defer, task
from txabstracthttp import AbstractHttpServer


class Hello(AbstractHttpServer):
    def handleRequest(self, request, socket):
        socket.respond("secret" if request.isSecure else "plain")
        return True


async def main(reactor):
    server = Hello(reactor)
    server.listen("127.0.0.1", 8080)  # before sslSetup: plain
    server.sslSetup("cert.pem", "key.pem")
    if not server.listen("127.0.0.1", 8443):  # after it: TLS
        raise SystemExit("the log tells why")
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main)
