import sqlite3
import threading

from twisted.internet import defer, reactor, task, threads
from txabstracthttp import AbstractHttpServer


def query(number):
    with sqlite3.connect(":memory:") as database:
        return database.execute("select ? * ?", (number, number)).fetchone()[0]


class Threaded(AbstractHttpServer):
    async def handleRequest(self, request, socket):
        if request.path == "/square":
            result = await threads.deferToThread(query, int(request.query["of"]))
            socket.respond({"square": result})  # here we are back in the reactor's thread
            return True
        if request.path == "/thread":
            socket.claim()
            threading.Thread(target=work, args=(socket,)).start()
            return True
        return False


def work(socket):
    reactor.callFromThread(socket.respond, "from another thread")


async def main(reactor):
    await Threaded(reactor).bind("tcp:8080:interface=127.0.0.1")
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main)
