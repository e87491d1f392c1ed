"""Stock Autobahn: a WebSocketServerProtocol as its documentation shows it, on the stock epoll reactor."""

from __future__ import annotations

from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from common import TAKES_SECONDS, readOptions
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import deferLater


class Echo(WebSocketServerProtocol):
    """`/ws` sends everything back; on `/ws-slow` a loop takes the messages one by one, at its leisure."""

    def onConnect(self, request: Any) -> None:
        self._isSlow = request.path == "/ws-slow"
        if self._isSlow:
            self._queue: DeferredQueue[bytes] = DeferredQueue()
            Deferred.fromCoroutine(self._take())

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self._isSlow:
            self._queue.put(payload)
        else:
            self.sendMessage(payload, isBinary)

    async def _take(self) -> None:
        clock: Any = reactor
        while True:
            await self._queue.get()
            await deferLater(clock, TAKES_SECONDS)


if __name__ == "__main__":
    factory = WebSocketServerFactory()
    factory.protocol = Echo
    where = f"tcp:{readOptions().port}:interface=127.0.0.1:backlog=1024"
    serverFromString(reactor, where).listen(factory)
    reactor.run()
