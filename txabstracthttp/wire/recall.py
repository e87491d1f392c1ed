"""Header sections that come again.

A client says the same of itself with each request, so most sections were read before, octet for octet.
What was made of them then is what would be made of them now: that depends on nothing else, where the request
line is one of the usual kind.
"""

from __future__ import annotations

__all__ = ["LONGEST", "MOST", "Known", "Recall"]

from .._events import Fields

#: Octets of a section that is remembered, and how many sections are.
LONGEST, MOST = 2048, 128


#: What a section says: its fields, and how they frame the message, in the order of `framing.Framing`.
Known = tuple[Fields, bytes, int | None, bool, bool, bool]


class Recall:
    """The sections that were read last, under one configuration."""

    __slots__ = ("_known", "get")

    def __init__(self) -> None:
        self._known: dict[bytes, Known] = {}
        #: What is known of a section, by its octets; None: nothing.
        self.get = self._known.get

    def keep(self, octets: bytes, known: Known) -> None:
        """Remember what `octets` say; the oldest is forgotten for it."""
        if len(octets) <= LONGEST:
            if len(self._known) >= MOST:
                del self._known[next(iter(self._known))]
            self._known[octets] = known
