"""Many named deadlines on one delayed call, which is moved as seldom as possible."""

from __future__ import annotations

__all__ = ["Deadlines"]

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Deadlines:
    """The deadlines of one connection.

    Setting one later than the last is an entry in a dict, and no more: the delayed call that is under way
    finds out when it comes.
    """

    __slots__ = ("_at", "_call", "_clock", "_due", "_expire", "_stopped")

    def __init__(self, clock: IReactorTime, expire: Callable[[str], None]) -> None:
        """
        :param expire: called with the name of a deadline that has passed and was neither moved nor cleared.
        """
        self._clock = clock
        self._expire = expire
        self._due: dict[str, float] = {}
        self._call: IDelayedCall | None = None
        self._at = 0.0
        self._stopped = False

    def set(self, name: str, seconds: float) -> None:
        """Let `name` pass `seconds` from now, whatever was set for it before; never, after `stop`."""
        if self._stopped:
            return
        when = self._clock.seconds() + seconds
        self._due[name] = when
        if self._call is None or when < self._at:
            self._schedule(when, seconds)

    def clear(self, name: str) -> None:
        """Forget `name`."""
        self._due.pop(name, None)

    def __contains__(self, name: str) -> bool:
        return name in self._due

    def stop(self) -> None:
        """Forget them all, and those to come."""
        self._stopped = True
        # Whoever is called may well own this.
        self._expire = _ignore
        self._due.clear()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _schedule(self, when: float, seconds: float) -> None:
        self._at = when
        if self._call is not None:
            self._call.reset(seconds)
        else:
            self._call = self._clock.callLater(seconds, self._wake)

    def _wake(self) -> None:
        self._call = None
        now = self._clock.seconds()
        for name in [name for name, when in self._due.items() if when <= now]:
            # One that expires may clear or move another.
            if self._due.get(name, now + 1) <= now:
                del self._due[name]
                self._expire(name)
        if self._due:
            when = min(self._due.values())
            # One that expired may have set another, later than what is still waited for.
            if self._call is None or when < self._at:
                self._schedule(when, max(when - now, 0))


def _ignore(name: str) -> None:
    """Nobody waits any more."""
