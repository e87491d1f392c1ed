"""While descriptors run out, new connections wait in the kernel's queue and not here."""

from __future__ import annotations

__all__ = ["PAUSE", "Intake", "descriptorLimit"]

import os
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from ._ports import PortRegistry

try:
    import resource
except ImportError:  # on Windows descriptors have no such limit
    resource = None  # type: ignore[assignment]

_log = Logger()

#: Descriptors that are left when ports pause: what one turn may still accept, and the files that are sent.
RESERVE = 32
#: Seconds until it is looked whether others have closed something.
PAUSE = 0.25
#: Seconds in which it is said once.
QUIET = 60.0


def descriptorLimit() -> int | None:
    """How many descriptors this process may have; None: nobody knows."""
    if resource is None:
        return None
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if limit == resource.RLIM_INFINITY else limit


class Intake:
    """Pauses the ports of one server.

    The number of a new descriptor is the lowest that is free, so it tells how many are in use.  If there is
    none for accept(), Twisted takes all that wait and closes them, with a line in the log for each.
    """

    def __init__(self, ports: PortRegistry, isBusy: Callable[[], bool]) -> None:
        """
        :param isBusy: whether there are connections that will close some time.
        """
        self._ports = ports
        self._isBusy = isBusy
        self._resuming: IDelayedCall | None = None
        self._quietUntil = -QUIET
        self._stopped = False

    def opened(self, transport: Any, clock: IReactorTime) -> None:
        """One more connection is here: may there be others?"""
        if self._stopped or not _isHigh(_descriptor(transport)):
            return
        # Also such as were opened meanwhile.
        self._ports.pause()
        if self._resuming is None:
            self._complain(clock.seconds())
            self._wait(clock)

    def _complain(self, now: float) -> None:
        if now >= self._quietUntil:
            self._quietUntil = now + QUIET
            _log.warn("Hardly any descriptors are left: new connections wait until others close")

    def _wait(self, clock: IReactorTime) -> None:
        self._resuming = clock.callLater(PAUSE, self._look, clock)

    def _look(self, clock: IReactorTime) -> None:
        self._resuming = None
        if self._mayResume():
            self._ports.resume()
        else:
            self._wait(clock)

    def _mayResume(self) -> bool:
        """Others may hold the descriptors for ever: then some of ours are better than none."""
        return not self._isBusy() or not _isHigh(_lowestFree())

    def closed(self) -> None:
        """A connection has gone: is there room for others?"""
        if self._resuming is not None and self._mayResume():
            self._resuming.cancel()
            self._resuming = None
            self._ports.resume()

    def stop(self) -> None:
        """There will be no others."""
        self._stopped = True
        if self._resuming is not None:
            self._resuming.cancel()
            self._resuming = None


def _isHigh(descriptor: int | None) -> bool:
    limit = descriptorLimit()
    return limit is not None and descriptor is not None and limit - descriptor <= min(RESERVE, limit // 4)


def _descriptor(transport: Any) -> int | None:
    """That of a connection, if it has one."""
    fileno = getattr(transport, "fileno", None)
    number = None if fileno is None else fileno()
    return number if isinstance(number, int) and number >= 0 else None


def _lowestFree() -> int | None:
    try:
        descriptor = os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return descriptorLimit()
    os.close(descriptor)
    return descriptor
