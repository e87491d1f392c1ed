"""For tests of the poller: a reactor that is turned by hand, real sockets, and descriptors with a script."""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple

import pytest
from twisted.internet.interfaces import IHalfCloseableDescriptor, IReadWriteDescriptor
from twisted.internet.main import CONNECTION_DONE, CONNECTION_LOST
from twisted.python.failure import Failure
from zope.interface import implementer

from txabstracthttp._poller import Poller

if not hasattr(select, "epoll"):
    pytest.skip("there is no epoll(7)", allow_module_level=True)

from twisted.internet.epollreactor import EPollReactor

SOON = 10
#: A script is quiet after fewer turns than this.
MOST_TURNS = 64
HUNG_UP = select.POLLRDHUP | select.POLLHUP | select.POLLERR


# ------------------------------------------------------------------------------------- reactors and sockets


@contextmanager
def epollReactor() -> Iterator[Any]:
    """Twisted's own, which nobody runs and nobody has installed."""
    reactor: Any = EPollReactor()
    try:
        yield reactor
    finally:
        for reader in list(reactor._internalReaders):
            reactor.removeReader(reader)
            reader.connectionLost(None)
        reactor._internalReaders.clear()
        reactor._poller.close()


@pytest.fixture
def reactor() -> Iterator[Any]:
    with epollReactor() as reactor:
        yield reactor


@pytest.fixture
def poller(reactor: Any) -> Poller:
    return Poller(reactor)


def readersOf(reactor: Any) -> list[Any]:
    """Who reads, but for what is the reactor's own."""
    return [reader for reader in reactor.getReaders() if reader not in reactor._internalReaders]


def connected(kind: str) -> tuple[socket.socket, socket.socket]:
    """Our end and the peer's, which hold little.

    Two kinds have no peer, and say so without anything to read: "lone", a socket that was never connected,
    has hung up, and "broken", a pipe that nobody reads from, has an error.
    """
    if kind == "broken":
        reading, writing = os.pipe()
        os.close(reading)
        ours = socket.socket()
        os.dup2(writing, ours.fileno())
        os.close(writing)
        return ours, socket.socket()
    if kind == "unix":
        ours, peers = socket.socketpair()
    else:
        peers = socket.socket()
        peers.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        if kind == "lone":
            return socket.socket(), peers
        with socket.create_server(("127.0.0.1", 0)) as listening:
            peers.connect(listening.getsockname())
            ours, _ = listening.accept()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return ours, peers


def waitFor(end: socket.socket, events: int, seconds: float = SOON) -> bool:
    """Whether one of `events` shows at `end` in time."""
    waiting = select.poll()
    waiting.register(end, events)
    return bool(waiting.poll(seconds * 1000))


class Line:
    """A connected pair; what the peer has done shows at our end before the next thing happens."""

    def __init__(self, kind: str = "unix") -> None:
        self.ours, self.peers = connected(kind)
        self.ours.setblocking(False)
        self.peers.setblocking(False)
        self._hasPeer = kind not in ("lone", "broken")

    def peerDoes(self, name: str) -> None:
        """One of the methods below, while there are two ends."""
        if self._hasPeer and -1 not in (self.ours.fileno(), self.peers.fileno()):
            with suppress(OSError):
                getattr(self, name)()

    def send(self) -> None:
        self.peers.send(b"some")
        assert waitFor(self.ours, select.POLLIN)

    def shutdown(self) -> None:
        self.peers.shutdown(socket.SHUT_WR)
        assert waitFor(self.ours, HUNG_UP)

    def hangUp(self) -> None:
        self.peers.close()
        assert waitFor(self.ours, HUNG_UP)

    def reset(self) -> None:
        self.peers.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.hangUp()

    def fill(self) -> None:
        """No more goes in at our end."""
        while waitFor(self.ours, select.POLLOUT, 0.002):
            with suppress(BlockingIOError):
                while True:
                    self.ours.send(bytes(4096))

    def drain(self) -> None:
        """Then some does."""
        while not waitFor(self.ours, select.POLLOUT, 0):
            assert waitFor(self.peers, select.POLLIN)
            self.peers.recv(65536)

    def shutOurs(self) -> None:
        """We have no more to send."""
        self.ours.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self.ours.close()
        self.peers.close()


# --------------------------------------------------------------------------------------------- descriptors


class Turn(NamedTuple):
    """What a descriptor does when it is called.

    :ivar act: what it does to itself, a method of `Descriptor`.
    :ivar why: what it returns,
    :ivar isRaised: or raises.
    """

    act: str = ""
    why: BaseException | None = None
    isRaised: bool = False


def told(reason: Failure) -> tuple[str, str]:
    """What there is to see of a reason."""
    assert reason.type is not None
    return reason.type.__name__, reason.getErrorMessage()


@implementer(IReadWriteDescriptor)
class Descriptor:
    """Does what its script says, then what Twisted's connections do; remembers what it was told."""

    def __init__(
        self, line: Line, reactor: Any, reads: tuple[Turn, ...] = (), writes: tuple[Turn, ...] = ()
    ) -> None:
        self.line, self.reactor = line, reactor
        self.scripts = {"doRead": list(reads), "doWrite": list(writes)}
        self.calls: list[tuple[str, ...]] = []
        self.reasons: list[Failure] = []
        self.prefix = "somebody"
        #: Called with each call's name.
        self.also: Callable[[str], object] = lambda name: None

    @property
    def names(self) -> list[str]:
        return [call[0] for call in self.calls]

    def fileno(self) -> int:
        return self.line.ours.fileno()

    def logPrefix(self) -> str:
        return self.prefix

    def __repr__(self) -> str:
        return f"<Descriptor {self.prefix}>"

    def _called(self, name: str, reason: Failure | None = None) -> None:
        self.calls.append((name, *(told(reason) if reason else ())))
        if reason is not None:
            self.reasons.append(reason)
        self.also(name)

    def _follow(self, name: str, usual: Callable[[], Any]) -> Any:
        self._called(name)
        script = self.scripts[name]
        if not script:
            return usual()
        act, why, isRaised = script.pop(0)
        self.do(act)
        if isRaised:
            assert why is not None
            raise why.with_traceback(None)
        return why

    def doRead(self) -> Any:
        return self._follow("doRead", self._receive)

    def _receive(self) -> BaseException | None:
        try:
            data = self.line.ours.recv(65536)
        except BlockingIOError:
            return None
        except OSError:
            return CONNECTION_LOST
        return None if data else CONNECTION_DONE

    def doWrite(self) -> Any:
        return self._follow("doWrite", self.stopWriting)

    def connectionLost(self, reason: Failure) -> None:
        self._called("connectionLost", reason)
        self.leave()

    # What it may do:

    def do(self, act: str) -> None:
        if act and (act == "leave" or self.fileno() != -1):
            getattr(self, act)()

    def read(self) -> None:
        self.reactor.addReader(self)

    def write(self) -> None:
        self.reactor.addWriter(self)

    def stopReading(self) -> None:
        self.reactor.removeReader(self)

    def stopWriting(self) -> None:
        self.reactor.removeWriter(self)

    def leave(self) -> None:
        self.stopReading()
        self.stopWriting()
        self.line.close()


@implementer(IHalfCloseableDescriptor)
class HalfCloseable(Descriptor):
    """May go on to write when the peer has no more to say."""

    def readConnectionLost(self, reason: Failure) -> None:
        self._called("readConnectionLost", reason)

    def writeConnectionLost(self, reason: Failure) -> None: ...


Company = Callable[..., list[Any]]


@pytest.fixture
def company(poller: Poller) -> Iterator[Company]:
    """A function that makes so many descriptors, who read, and for whom there is something to read."""
    lines: list[Line] = []

    def make(number: int, kind: type[Descriptor] = Descriptor) -> list[Descriptor]:
        made = []
        for place in range(number):
            lines.append(Line())
            descriptor = kind(lines[-1], poller)
            descriptor.prefix = f"number {place}"
            descriptor.read()
            lines[-1].send()
            made.append(descriptor)
        return made

    yield make
    for line in lines:
        line.close()


def failuresIn(events: Any) -> list[str]:
    """What kinds of failures were logged."""
    # Twisted itself says it the old way.
    failures = (event.get("log_failure") or event.get("failure") for event in events)
    return sorted(failure.type.__name__ for failure in failures if failure)


def raisingOnce(*names: str) -> Callable[[str], None]:
    """For `Descriptor.also`."""
    left = [True]

    def also(name: str) -> None:
        if name in names and left:
            left.clear()
            raise LookupError(name)

    return also


def turnUntilQuiet(reactor: Any, cast: list[Descriptor]) -> None:
    """Turn while somebody is called."""
    for _ in range(MOST_TURNS):
        seen = sum(len(descriptor.calls) for descriptor in cast)
        reactor.doIteration(0)
        if seen == sum(len(descriptor.calls) for descriptor in cast):
            return
    raise AssertionError("there is no end to it")
