"""Octets as decisions, so that a change to a few of them changes a story a little."""

from __future__ import annotations

__all__ = ["Choices"]

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Takes decisions from `data`, from its front on; when it is used up, the first of what there is."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    @property
    def more(self) -> bool:
        """Whether there is anything left to decide."""
        return self._place < len(self._data)

    def octet(self) -> int:
        """The next one."""
        self._place += 1
        return self._data[self._place - 1] if self._place <= len(self._data) else 0

    def flag(self) -> bool:
        """Yes or no."""
        return self.octet() % 2 == 1

    def pick(self, options: Sequence[T]) -> T:
        """One of `options`, which is not empty."""
        return options[self.octet() % len(options)]

    def octets(self, longest: int = 32) -> bytes:
        """Some of them, as they are."""
        size = self.octet() % (longest + 1)
        self._place += size
        return self._data[self._place - size : self._place]
