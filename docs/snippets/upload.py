import tempfile
from hashlib import sha256

from twisted.internet import defer, task
from twisted.internet.error import ConnectionLost
from txabstracthttp import AbstractHttpServer


class Uploads(AbstractHttpServer):
    def streamsBody(self, request):
        return 1024**3 if request.path == "/upload" else False

    async def handleRequest(self, request, socket):
        if request.path != "/upload" or request.method != "PUT":
            return False
        total = int(request.value("Content-Length") or 0)  # 0: chunked, nobody knows yet
        received, digest = 0, sha256()
        with tempfile.TemporaryFile() as file:
            try:
                async for piece in request:
                    file.write(piece)
                    digest.update(piece)
                    received += len(piece)
                    self.progress(request, received, total)
            except ConnectionLost:
                print("the client left after", received, "bytes", flush=True)
                return True  # there is nobody to answer
        socket.respond({"bytes": received, "sha256": digest.hexdigest()})
        return True

    def progress(self, request, received, total):
        print(request.path, received, "of", total or "?", flush=True)


async def main(reactor):
    await Uploads(reactor).bind("tcp:8080:interface=127.0.0.1")
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main)
