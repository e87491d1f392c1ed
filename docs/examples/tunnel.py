"""A tunnel to what listens on this machine, by CONNECT, and to nowhere else.

Run it with ``python tunnel.py 8080``, and go through it with::

    curl --proxytunnel --proxy http://127.0.0.1:8080 http://127.0.0.1:8000/
"""

import sys

from twisted.internet import defer, endpoints, task
from twisted.internet.protocol import Protocol

from txabstracthttp import AbstractHttpServer

HERE = {"localhost": "127.0.0.1", "127.0.0.1": "127.0.0.1", "[::1]": "::1"}


class End(Protocol):
    """One end of a tunnel: what comes in here leaves there, and no faster than it is taken there."""

    other = None

    def join(self, other):
        self.other, other.other = other, self
        self.transport.registerProducer(other.transport, True)
        other.transport.registerProducer(self.transport, True)

    def dataReceived(self, data):
        self.other.transport.write(data)

    def connectionLost(self, reason):
        if self.other is not None:
            # A transport that closes waits until its producer has left.
            self.other.transport.unregisterProducer()
            self.other.transport.loseConnection()


class NearEnd(End):
    """The client's end, which has been HTTP until now."""

    def __init__(self, far):
        self.far = far

    def connectionMade(self):
        self.transport.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        self.join(self.far)


class TunnelServer(AbstractHttpServer):
    async def handleRequest(self, request, socket):
        if request.method != "CONNECT":
            return False
        host, _, port = request.target.decode("ascii").rpartition(":")
        address = HERE.get(host.lower())
        if address is None:
            return socket.respond("This tunnel ends on this machine.\n", status=403)
        try:
            endpoint = endpoints.HostnameEndpoint(self.reactor, address, int(port))
            far = await endpoints.connectProtocol(endpoint, End())
        except Exception as error:
            return socket.respond(f"Nobody is there: {error}\n", status=502)
        if socket.isResponseCanceled:
            far.transport.loseConnection()
        else:
            socket.detach(NearEnd(far))
        return True


async def main(reactor, port="8080"):
    server = TunnelServer(reactor)
    server.reactor = reactor
    listening = await server.bind(f"tcp:{port}:interface=127.0.0.1")
    print(f"http://127.0.0.1:{listening.getHost().port}/", flush=True)  # noqa: T201  # a command may print
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main, sys.argv[1:])
