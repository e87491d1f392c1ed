from http.cookies import CookieError, SimpleCookie

from twisted.internet import defer, reactor, task
from txabstracthttp import AbstractHttpServer, WebSocketUpgrade

SESSIONS = {"6f1c9a": "Alice"}  # in earnest: random, and in a database


async def userOf(request):
    await task.deferLater(reactor, 0.01)  # what a database takes
    try:
        morsel = SimpleCookie(request.value("Cookie")).get("session")
    except CookieError:
        return None
    return None if morsel is None else SESSIONS.get(morsel.value)


def isHere(request):
    return WebSocketUpgrade.passToNext() if request.path == "/notes" else WebSocketUpgrade.deny(404)


async def isKnown(request):
    if await userOf(request) is None:
        return WebSocketUpgrade.deny(403, "Log in first.\n")
    return WebSocketUpgrade.passToNext()


def speaksNotes(request):
    offered = [name.strip() for name in request.value("Sec-WebSocket-Protocol").split(",")]
    for known in ("notes.v2", "notes.v1"):  # the best first
        if known in offered:
            return WebSocketUpgrade.accept(known)
    return WebSocketUpgrade.deny(400, "This place speaks notes.v2 and notes.v1.\n")


class Guarded(AbstractHttpServer):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        for verifier in (isHere, isKnown, speaksNotes):
            self.addWebSocketUpgradeVerifier(verifier)
        self.newWebSocketConnection.connect(self.welcome)

    def handleRequest(self, request, socket):
        return False  # is not asked about WebSockets, since there are verifiers

    async def welcome(self):
        webSocket = self.nextPendingWebSocketConnection()
        user = await userOf(webSocket.request)
        await webSocket.sendTextMessage(f"{user} speaks {webSocket.subprotocol}")
        await webSocket.close()


async def main(reactor):
    await Guarded(reactor).bind("tcp:8080:interface=127.0.0.1")
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main)
