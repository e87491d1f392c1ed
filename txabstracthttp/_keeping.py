"""How much content one HTTP/2 connection makes us keep."""

from __future__ import annotations

__all__ = ["Keeping"]

from typing import Protocol


class Collector(Protocol):
    """A request whose content is collected before it is handled."""

    def holdBack(self) -> None:
        """The peer has no room for more of it, and is not to blame."""

    def goOn(self, size: int) -> None:
        """There is room for `size` octets more."""


class Keeping:
    """Content that is kept for requests of one connection: collected, or with a handler.

    All of them together may have what one may have on HTTP/1, where they come one by one.  Beyond that only
    the eldest is collected, lest none ever be complete; and not even that one while handlers have as much.
    """

    __slots__ = ("_collected", "_handled", "_limit", "_total", "_withheld")

    def __init__(self, limit: int | None) -> None:
        """
        :param limit: `maximumBodySize`; None: there is none.
        """
        self._limit = limit
        #: Octets kept for those that still collect, in the order of their first.
        self._collected: dict[Collector, int] = {}
        #: Those of which handlers have not let go.
        self._handled: dict[Collector, int] = {}
        #: Octets for which no room was made again.
        self._withheld: dict[Collector, int] = {}
        self._total = 0

    def configure(self, limit: int | None) -> None:
        """Another limit applies from now on."""
        self._limit = limit
        self._relieve()

    def add(self, collector: Collector, size: int) -> None:
        """So much came."""
        self._total += size
        self._collected[collector] = self._collected.get(collector, 0) + size
        if self._mayGoOn(collector):
            collector.goOn(size)
        else:
            self._withheld[collector] = self._withheld.get(collector, 0) + size
            collector.holdBack()

    def complete(self, collector: Collector) -> None:
        """It is all there, and its handler has it."""
        if collector in self._collected:
            self._withheld.pop(collector, None)
            self._handled[collector] = self._collected.pop(collector)
            self._relieve()

    def forget(self, collector: Collector) -> None:
        """Nothing is kept for it any more."""
        self._withheld.pop(collector, None)
        size = self._collected.pop(collector, 0) + self._handled.pop(collector, 0)
        if size:
            self._total -= size
            self._relieve()

    def stop(self) -> None:
        """Nobody goes on any more."""
        self._withheld.clear()

    def _mayGoOn(self, collector: Collector) -> bool:
        limit = self._limit
        if limit is None or self._total <= limit:
            return True
        return collector is next(iter(self._collected)) and sum(self._handled.values()) <= limit

    def _relieve(self) -> None:
        for collector in list(self._withheld):
            if collector in self._withheld and self._mayGoOn(collector):
                collector.goOn(self._withheld.pop(collector))
