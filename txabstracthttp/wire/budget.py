"""How much of what costs us and is of no use to anybody a peer may send."""

from __future__ import annotations

__all__ = ["Budget"]

from collections.abc import Callable


class Budget:
    """A bucket of tokens: full at first, and filled up as time goes by."""

    __slots__ = ("_burst", "_left", "_rate", "_seconds", "_since")

    def __init__(self, burst: int, rate: float, seconds: Callable[[], float]) -> None:
        """
        :param burst: what may be spent at once.
        :param rate: what is added in a second.
        :param seconds: tells the time.
        """
        self._burst = burst
        self._rate = rate
        self._seconds = seconds
        self._left = float(burst)
        self._since = seconds()

    def spend(self, amount: int = 1) -> bool:
        """Take `amount`; False if there is not so much left."""
        self._left -= amount
        if self._left < 0:
            now = self._seconds()
            self._left = min(self._left + (now - self._since) * self._rate, self._burst)
            self._since = now
        return self._left >= 0

    def earn(self, amount: int) -> None:
        """Give some back, for something useful."""
        if self._left < self._burst:
            self._left = min(self._left + amount, self._burst)
