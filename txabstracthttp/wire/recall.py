"""Header sections that come again, and heads that do.

A client says the same of itself with each request, so most sections were read before, octet for octet.
What was made of them then is what would be made of them now: that depends on nothing else, where the request
line is one of the usual kind.  And who asks for something again and again says the same line again, too.
"""

from __future__ import annotations

__all__ = ["LONGEST", "MOST", "Known", "Recall"]

from typing import Generic, TypeVar

from .._events import Fields

#: Octets of a section, or a head, that is remembered, and how many of each are.
LONGEST, MOST = 2048, 128

What = TypeVar("What")

#: What a section says: its fields, and how they frame the message, in the order of `framing.Framing`.
Known = tuple[Fields, bytes, int | None, bool, bool, bool]


class Recall(Generic[What]):
    """What was read last, under one configuration."""

    __slots__ = ("_every", "_known", "_seen", "get")

    def __init__(self, every: int = 1) -> None:
        """
        :param every: one of so many is kept: what comes often is soon among them, the rest costs less.
        """
        self._every = every
        self._seen = 0
        self._known: dict[bytes, What] = {}
        #: What certain octets say; None: nobody knows.
        self.get = self._known.get

    def keep(self, octets: bytes, known: What) -> None:
        """Remember what `octets` say, if it is their turn; the oldest is forgotten for it."""
        self._seen += 1
        if len(octets) <= LONGEST and not self._seen % self._every:
            if len(self._known) >= MOST:
                del self._known[next(iter(self._known))]
            self._known[octets] = known
