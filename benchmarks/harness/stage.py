"""One server and all it takes to start it, as often as somebody wants to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .load import Drive, Load
from .machine import Cores, pinnedTo
from .process import running
from .procfs import cpuSeconds
from .server import Server
from .target import Credentials, Target

WARM_UP = 1  # seconds


@dataclass(frozen=True)
class Timed:
    """:ivar cpu: seconds of the server's CPU time that the load took."""

    load: Load
    cpu: float


@dataclass(frozen=True)
class Stage:
    """:ivar path: what clients ask for.

    :ivar verify: ``verify(target, path)`` raises `Failed` unless the answer is right.
    :ivar seconds: how long to put it under load.
    :ivar credentials: None for workloads without TLS.
    """

    server: Server
    path: str
    verify: Callable[[Target, str], None]
    cores: Cores
    seconds: int
    credentials: Credentials | None = None

    @contextmanager
    def verified(self) -> Iterator[Target]:
        """A fresh server that gives the right answer."""
        with running(self.server, self.cores.server, self.credentials) as target:
            self.verify(target, self.path)
            yield target

    def timed(self, drive: Drive, target: Target) -> Timed:
        """Warmed up, then measured."""
        with pinnedTo(self.cores.client):
            drive(target, self.path, WARM_UP)
            before = cpuSeconds(target.pid)
            load = drive(target, self.path, self.seconds)
            return Timed(load, cpuSeconds(target.pid) - before)
