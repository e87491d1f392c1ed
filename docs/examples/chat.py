"""A chat room with its page.

Run it with ``python chat.py 8080``, and open http://127.0.0.1:8080/ in two windows.
"""

import json
import sys
import time
from collections import deque
from itertools import count
from pathlib import Path

from twisted.internet import defer, task

from txabstracthttp import AbstractHttpServer, HttpServerConfiguration

HERE = Path(__file__).parent / "chat"
FILES = {
    "/": ("chat.html", "text/html; charset=utf-8"),
    "/chat.css": ("chat.css", "text/css; charset=utf-8"),
    "/chat.js": ("chat.js", "text/javascript; charset=utf-8"),
}
# The page loads what is here, talks to who is here, and nothing else, whatever anybody might write.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}
LIMITS = HttpServerConfiguration(maximumWebSocketMessageSize=4096, maximumConnectionsPerHost=50)

NAME_LENGTH, TEXT_LENGTH = 24, 500
#: How many messages are kept for those who come later.
HISTORY = 50
#: How many messages somebody may be behind.
PATIENCE = 100
#: Seconds between two messages of one guest: more of them wait, first here, then in the guest's own machine.
PACE = 0.1


def cleaned(text, length):
    """What can be read of `text`: no controls, no line ends, nothing that turns the direction."""
    return "".join(each for each in " ".join(text.split()) if each.isprintable())[:length].strip()


class Guest:
    """Somebody in the room."""

    def __init__(self, webSocket, name):
        self.webSocket, self.name, self.behind = webSocket, name, 0

    def hear(self, message):
        """Send a message; say goodbye to who does not keep up, so that nobody's memory fills."""
        room = self.webSocket.sendTextMessage(message)
        self.behind = 0 if room.called else self.behind + 1
        if self.behind > PATIENCE:
            self.webSocket.close(1013, "You were too far behind. Come in again!")
        return self.behind <= PATIENCE


class ChatServer(AbstractHttpServer):
    def __init__(self, reactor):
        super().__init__(reactor, LIMITS)
        self.reactor = reactor
        self.guests = {}  # by their names in one case
        self.history = deque(maxlen=HISTORY)
        self.newWebSocketConnection.connect(self.welcome)

    def handleRequest(self, request, socket):
        if request.path == "/room":
            return request.isWebSocketUpgrade
        if request.path not in FILES:
            return False
        name, mediaType = FILES[request.path]
        socket.sendFile(HERE / name, HEADERS | {"Content-Type": mediaType})
        return True

    async def welcome(self):
        webSocket = self.nextPendingWebSocketConnection()
        guest = None
        try:
            async for message in webSocket:
                content = json.loads(message)
                if guest is None:
                    guest = self.enter(webSocket, cleaned(content["name"], NAME_LENGTH))
                else:
                    self.say(guest, cleaned(content["text"], TEXT_LENGTH))
                    await task.deferLater(self.reactor, PACE)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            webSocket.close(1008, "That was no message of a chat.")
        finally:
            if guest is not None:
                self.leave(guest)

    def enter(self, webSocket, wanted):
        wanted = wanted or "Guest"
        names = (wanted if number == 1 else f"{wanted} {number}" for number in count(1))
        guest = Guest(webSocket, next(name for name in names if name.casefold() not in self.guests))
        for other in self.guests.values():
            webSocket.sendTextMessage(encoded(kind="here", name=other.name))
        for message in self.history:
            webSocket.sendTextMessage(message)
        webSocket.sendTextMessage(encoded(kind="you", name=guest.name))
        self.guests[guest.name.casefold()] = guest
        self.tell(encoded(kind="came", name=guest.name))
        return guest

    def say(self, guest, text):
        if text and self.isHere(guest):
            message = encoded(kind="said", name=guest.name, text=text, time=int(time.time()))
            self.history.append(message)
            self.tell(message)

    def isHere(self, guest):
        # Who had to go may be back under the same name before we see the end of the first connection.
        return self.guests.get(guest.name.casefold()) is guest

    def leave(self, guest):
        if self.isHere(guest):
            del self.guests[guest.name.casefold()]
            self.tell(encoded(kind="left", name=guest.name))

    def tell(self, message):
        behind = [guest for guest in list(self.guests.values()) if not guest.hear(message)]
        for guest in behind:
            self.leave(guest)


def encoded(**content):
    return json.dumps(content, ensure_ascii=False)


async def main(reactor, port="8080"):
    server = ChatServer(reactor)
    listening = await server.bind(f"tcp:{port}:interface=127.0.0.1")
    reactor.addSystemEventTrigger("before", "shutdown", server.close)
    print(f"http://127.0.0.1:{listening.getHost().port}/", flush=True)  # noqa: T201  # a command may print
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main, sys.argv[1:])
