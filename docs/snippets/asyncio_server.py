from twisted.internet import asyncioreactor

asyncioreactor.install()

import asyncio  # noqa: E402  (the reactor must be installed first)

from twisted.internet import defer, task  # noqa: E402
from txabstracthttp import AbstractHttpServer  # noqa: E402


class Mixed(AbstractHttpServer):
    async def handleRequest(self, request, socket):
        if request.path == "/future":
            return asyncio.ensure_future(self.answer(socket))
        await defer.Deferred.fromFuture(asyncio.ensure_future(asyncio.sleep(0.1)))
        socket.respond("asyncio slept")
        return True

    async def answer(self, socket):
        await asyncio.sleep(0.1)  # plain asyncio in here
        socket.respond("a Future")
        return True


async def main(reactor):
    await Mixed(reactor).bind("tcp:8080:interface=127.0.0.1")
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main)
