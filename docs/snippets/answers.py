from twisted.internet import defer, reactor, task, threads
from txabstracthttp import AbstractHttpServer


class Answers(AbstractHttpServer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.waiting = []

    def handleRequest(self, request, socket):
        handler = getattr(self, f"on_{request.path[1:]}", None)
        return False if handler is None else handler(request, socket)

    def on_now(self, request, socket):
        socket.respond({"query": dict(request.query.items())})
        return True

    async def on_coroutine(self, request, socket):
        await task.deferLater(reactor, 0.1)
        socket.respond("a coroutine")
        return True

    def on_deferred(self, request, socket):
        waiting = threads.deferToThread(sum, range(1000))
        return waiting.addCallback(lambda total: socket.respond(f"{total}") or True)

    def on_later(self, request, socket):
        self.waiting.append(socket)
        return True  # and answered by somebody else

    def on_wake(self, request, socket):
        waiting, self.waiting = self.waiting, []
        for each in waiting:
            each.respond("woken up")
        socket.respond(f"{len(waiting)} woken up")
        return True

    def on_head(self, request, socket):
        socket.respond(
            "<p>Headers are checked before a byte is sent.</p>",
            headers=[("Cache-Control", "no-store"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")],
            contentType="text/html; charset=utf-8",
        )
        return True

    def on_broken(self, request, socket):
        raise RuntimeError("logged, and answered with 500")

    def missingHandler(self, request, socket):
        socket.respond(f"no handler for {request.path}", status=404)


async def main(reactor):
    await Answers(reactor).bind("tcp:8080:interface=127.0.0.1")
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main)
