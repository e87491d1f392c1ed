"""Klein: one function for each route, on a twisted.web Site and the stock epoll reactor."""

from __future__ import annotations

from typing import Any

import twisted_web_server as plain
from common import KEEP, readOptions
from endpoints import endpoint
from klein import Klein
from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString

app = Klein()


def whole(request: Any, content: bytes) -> bytes:
    """With its length: Klein would send chunks."""
    request.setHeader(b"content-length", b"%d" % len(content))
    return content


@app.route("/")
def hello(request: Any) -> bytes:
    return whole(request, plain.hello(request))


@app.route("/1m")
def mebibyte(request: Any) -> bytes:
    return whole(request, plain.mebibyte(request))


@app.route("/echo", methods=["POST"])
def echo(request: Any) -> bytes:
    return whole(request, plain.echo(request))


@app.route("/chunked")
def chunked(request: Any) -> Any:
    return plain.chunked(request)


@app.route("/100m")
@app.route("/1g")
async def pieces(request: Any) -> None:
    done = request.notifyFinish()
    plain.pieces(request)
    await done


if __name__ == "__main__":
    site: Any = plain.QuietSite(app.resource(), timeout=KEEP)
    serverFromString(reactor, endpoint(readOptions())).listen(site)
    reactor.run()
