from twisted.internet import defer, task
from txabstracthttp import AbstractHttpServer, Http2Configuration


class Both(AbstractHttpServer):
    def handleRequest(self, request, socket):
        if request.isWebSocketUpgrade:
            return request.path == "/echo"
        socket.respond(f"this is HTTP/{request.version}\n")
        return True


async def echo(webSocket):
    async for message in webSocket:
        await webSocket.sendTextMessage(f"{message} over HTTP/{webSocket.request.version}")


async def main(reactor):
    server = Both(reactor)
    server.setHttp2Configuration(Http2Configuration(maxConcurrentStreams=50))
    await server.bind("tcp:8080:interface=127.0.0.1")
    await server.bind("ssl:8443:privateKey=key.pem:certKey=cert.pem:interface=127.0.0.1")
    while True:
        defer.Deferred.fromCoroutine(echo(await server.whenWebSocketConnected()))


if __name__ == "__main__":
    task.react(main)
