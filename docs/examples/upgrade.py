r"""HTTP until the client asks for something else: here, for every line said backwards.

Run it with ``python upgrade.py 8080``, and talk to it with::

    (printf 'GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: mirror\r\n\r\n'; cat) |
        nc localhost 8080
"""

import sys

from twisted.internet import defer, task
from twisted.protocols.basic import LineOnlyReceiver

from txabstracthttp import AbstractHttpServer


class Mirror(LineOnlyReceiver):
    """Another protocol.  It knows nothing of HTTP but how to say goodbye to it."""

    delimiter = b"\n"

    def connectionMade(self):
        # The answer to the upgrade is the first that this protocol says (RFC 9110 section 15.2.2).
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: mirror\r\n\r\n"
        )

    def lineReceived(self, line):
        self.sendLine(line[::-1])


class UpgradingServer(AbstractHttpServer):
    def handleRequest(self, request, socket):
        wanted = [name.strip().lower() for name in request.value("Upgrade").split(",")]
        if "mirror" in wanted and request.version == "1.1":
            # What the client has sent behind its request is the first that the protocol gets.
            socket.detach(Mirror())
        else:
            fields = {"Upgrade": "mirror", "Connection": "upgrade"}
            socket.respond("This place speaks mirror.\n", status=426, headers=fields)
        return True


async def main(reactor, port="8080"):
    listening = await UpgradingServer(reactor).bind(f"tcp:{port}:interface=127.0.0.1")
    print(f"http://127.0.0.1:{listening.getHost().port}/", flush=True)  # noqa: T201  # a command may print
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main, sys.argv[1:])
