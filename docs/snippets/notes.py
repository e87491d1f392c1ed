import json

from twisted.internet import defer, task
from txabstracthttp import AbstractHttpServer, HttpServerConfiguration


class Notes(AbstractHttpServer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.notes = {}
        self.missingHandler.connect(self.explain)

    def handleRequest(self, request, socket):
        if request.path == "/notes":
            return self.collection(request, socket)
        _, _, number = request.path.rpartition("/notes/")
        if number in self.notes:
            return self.note(number, request, socket)
        return False

    def collection(self, request, socket):
        if request.method == "GET":
            socket.respond({"notes": sorted(self.notes)})
        elif request.method == "POST":
            self.add(request, socket)
        else:
            socket.respond(status=405, headers={"Allow": "GET, POST"})
        return True

    def add(self, request, socket):
        try:
            text = json.loads(request.body)["text"]
        except (ValueError, TypeError, KeyError):
            socket.respond({"error": 'this takes {"text": "..."}'}, status=400)
            return
        number = str(len(self.notes) + 1)
        self.notes[number] = text
        socket.respond({"number": number}, status=201, headers={"Location": f"/notes/{number}"})

    def note(self, number, request, socket):
        if request.method != "GET":
            socket.respond(status=405, headers={"Allow": "GET"})
        else:
            socket.respond({"number": number, "text": self.notes[number]})
        return True

    def explain(self, request, socket):
        socket.respond({"error": f"there is no {request.path} here"}, status=404)


LIMITS = HttpServerConfiguration(
    maximumBodySize=16 * 1024,
    maximumUrlSize=1024,
    maximumConnectionsPerHost=20,
    headerTimeout=5,
    handlerTimeout=30,
)


async def main(reactor):
    server = Notes(reactor, LIMITS)
    await server.bind("tcp:8080:interface=127.0.0.1")
    reactor.addSystemEventTrigger("before", "shutdown", server.close)
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main)
