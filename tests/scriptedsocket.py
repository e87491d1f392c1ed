"""A socket that takes what its script says, and a reactor that turns when it is told to: for Twisted's own
transports.
"""

from __future__ import annotations

__all__ = ["AGAIN", "NO_BUFFERS", "RESET", "Mood", "Reactor", "ScriptedSocket"]

import errno
from typing import Any

from twisted.internet.task import Clock
from twisted.python.failure import Failure

#: How a socket may take it; a number is how many octets it takes at most.
AGAIN, NO_BUFFERS, RESET = "again", "no buffers", "reset"
Mood = int | str


class ScriptedSocket:
    """A connected socket; when its script is over it takes everything."""

    def __init__(self, moods: list[Mood]) -> None:
        self.moods = list(moods)
        self.received = bytearray()
        self.sends = 0
        self.wasReset = False

    def send(self, data: Any) -> int:
        self.sends += 1
        mood = RESET if self.wasReset else self.moods.pop(0) if self.moods else len(data)
        if mood == AGAIN:
            raise BlockingIOError(errno.EWOULDBLOCK, "not now")
        if mood == NO_BUFFERS:
            raise OSError(errno.ENOBUFS, "nor now")
        if mood == RESET:
            self.wasReset = True
            raise ConnectionResetError(errno.ECONNRESET, "never again")
        assert isinstance(mood, int)
        self.received += data[:mood]
        return min(mood, len(data))

    def setblocking(self, flag: bool) -> None: ...

    def setsockopt(self, *args: Any) -> None: ...

    def shutdown(self, how: int) -> None: ...

    def close(self) -> None: ...

    def fileno(self) -> int:
        return -1


class Reactor(Clock):
    """Asks those who want to write, when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: set[Any] = set()
        self.writers: set[Any] = set()
        self.addReader, self.removeReader = self.readers.add, self.readers.discard
        self.addWriter, self.removeWriter = self.writers.add, self.writers.discard

    def turn(self) -> None:
        """As Twisted's reactors do it (`PosixReactorBase._disconnectSelectable`)."""
        self.advance(0)
        for descriptor in list(self.writers):
            why = descriptor.doWrite()
            if why:
                self.removeReader(descriptor)
                self.removeWriter(descriptor)
                descriptor.connectionLost(Failure(why))
