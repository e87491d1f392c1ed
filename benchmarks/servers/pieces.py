"""How the two servers on Twisted stream: a push producer that writes until it is paused."""

from __future__ import annotations

from typing import Any

from common import PIECE
from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
class Pieces:
    """Writes `count` pieces of 64 KiB as fast as the peer takes them, and finishes the response."""

    def __init__(self, consumer: Any, count: int) -> None:
        self._consumer = consumer
        self._left = count
        self._paused = True

    def start(self) -> None:
        self._consumer.registerProducer(self, True)
        self.resumeProducing()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        while self._left and not self._paused:
            self._left -= 1
            self._consumer.write(PIECE)
        if not self._left:
            self._consumer.unregisterProducer()
            self._consumer.finish()

    def stopProducing(self) -> None:
        self._paused, self._left = True, 0
