import socket
from pathlib import Path

from twisted.internet import defer, endpoints, task
from txabstracthttp import AbstractHttpServer


class Hello(AbstractHttpServer):
    def handleRequest(self, request, socket):
        socket.respond(f"hello through {type(request.localAddress).__name__}")
        return True


async def main(reactor):
    server = Hello(reactor)
    await server.bind("tcp:8080:interface=127.0.0.1")  # an endpoint string,
    await server.bind(endpoints.TCP4ServerEndpoint(reactor, 0))  # an endpoint object,
    adopted = socket.create_server(("127.0.0.1", 0))
    await server.bind(adopted)  # a socket that listens,
    await server.bind()  # all interfaces and a random port,
    await server.bind(f"unix:{Path('hello.sock').absolute()}:mode=660")  # a Unix socket.
    print("ports", server.serverPorts(), flush=True)
    print("paths", [port.getHost().name for port in server.localServers()], flush=True)
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main)
