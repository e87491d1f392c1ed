from pathlib import Path

from twisted.internet import defer, reactor, task
from twisted.internet.interfaces import IPullProducer
from txabstracthttp import AbstractHttpServer
from zope.interface import implementer

FILES = {"/notes.txt": Path("notes.txt")}


class Downloads(AbstractHttpServer):
    def handleRequest(self, request, socket):
        if request.path == "/clock":
            return self.clock(socket)
        if request.path == "/numbers":
            socket.begin(headers={"Content-Type": "text/plain"})
            socket.registerProducer(Numbers(socket, 100_000), False)
            return True
        if request.path == "/page":
            return self.page(socket)
        if request.path == "/summed":
            return self.summed(socket)
        if request.path in FILES:
            socket.sendFile(FILES[request.path], {"Cache-Control": "max-age=60"})
            return True
        return False

    async def clock(self, socket):
        socket.begin(headers={"Content-Type": "text/event-stream"})
        for second in range(3):
            if socket.isResponseCanceled:
                break  # nobody listens any more
            socket.write(b"data: %d\n\n" % second)
            await task.deferLater(reactor, 0.1)
        socket.finish()
        return True

    async def page(self, socket):
        socket.inform(103, {"Link": "</style.css>; rel=preload; as=style"})
        await task.deferLater(reactor, 0.1)  # what takes its time
        socket.respond("<p>The page</p>", contentType="text/html")
        return True

    def summed(self, socket):
        socket.begin(headers={"Trailer": "X-Checksum"})
        total = 0
        for piece in (b"one ", b"two ", b"three"):
            socket.write(piece)
            total += sum(piece)
        socket.finish(trailers={"X-Checksum": str(total)})
        return True


@implementer(IPullProducer)
class Numbers:
    """Writes as many lines as it is asked for, one group at a time."""

    def __init__(self, socket, stop):
        self.socket, self.stop, self.next = socket, stop, 0

    def resumeProducing(self):
        group = range(self.next, min(self.next + 5000, self.stop))
        self.next = group.stop
        self.socket.write("".join(f"{number}\n" for number in group).encode())
        if self.next == self.stop:
            self.socket.unregisterProducer()
            self.socket.finish()

    def stopProducing(self):
        """The client has left."""


async def main(reactor):
    await Downloads(reactor).bind("tcp:8080:interface=127.0.0.1")
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main)
