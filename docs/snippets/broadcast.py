from twisted.internet import defer, task
from txabstracthttp import AbstractHttpServer


class News(AbstractHttpServer):
    """What is posted to /news is sent to everybody who listens there."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.listeners = {}  # each with the Deferred of what it was sent last
        self.newWebSocketConnection.connect(self.welcome)

    def handleRequest(self, request, socket):
        if request.path != "/news":
            return False
        if request.method == "POST":
            reached = self.publish(request.body.decode())
            socket.respond({"reached": reached, "of": len(self.listeners)})
            return True
        return request.isWebSocketUpgrade

    def welcome(self):
        webSocket = self.nextPendingWebSocketConnection()
        self.listeners[webSocket] = defer.succeed(None)
        webSocket.textMessageReceived.connect(lambda text: None)  # what listeners say is dropped
        webSocket.disconnected.connect(lambda code, reason: self.listeners.pop(webSocket))

    def publish(self, text):
        ready = [webSocket for webSocket, room in self.listeners.items() if room.called]
        for webSocket in ready:
            self.listeners[webSocket] = webSocket.sendTextMessage(text)
        return len(ready)


async def main(reactor):
    await News(reactor).bind("tcp:8080:interface=127.0.0.1")
    await defer.Deferred()


if __name__ == "__main__":
    task.react(main)
