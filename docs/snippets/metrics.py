from collections import Counter

from twisted.internet import defer, task
from txabstracthttp import AbstractHttpServer


class Counting(AbstractHttpServer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.statuses = Counter()
        self.exchangeFinished.connect(self.count)

    def count(self, record):
        self.statuses[record.status] += 1

    def handleRequest(self, request, socket):
        if request.path != "/metrics":
            return False
        socket.respond({str(status): count for status, count in self.statuses.items()})
        return True


async def main(reactor):
    await Counting(reactor).bind("tcp:8080:interface=127.0.0.1")
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main)
