"""Text that comes in pieces (RFC 6455 sections 5.6 and 8.1): is it UTF-8, as far as it came?"""

from __future__ import annotations

__all__ = ["Utf8Checker"]

from codecs import utf_8_decode

#: Octets that are looked at in one go: what they say is a copy, and four times as large at worst.
PIECE = 64 * 1024


class Utf8Checker:
    """Reads with the interpreter's own decoder, which is as strict as RFC 3629, and fast.

    It has the interface of Autobahn's validators, whose automaton takes longer than all else for a long text.
    """

    __slots__ = ("_begun", "_isBad", "_total")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Another text begins."""
        #: Nothing makes it good again.  It is said once: else Autobahn waits for no close frame.
        self._isBad = False
        #: Octets of a character that is not complete, and how many came before them.
        self._begun = b""
        self._total = 0

    def validate(self, octets: bytes) -> tuple[bool, bool, int, int]:
        """Look at more of it.

        :return: whether it is UTF-8 so far, and ends with a character; how many of `octets`, and of all, it
            has taken: those before the one that is wrong, if one is.  Behind that it never ends.
        """
        if self._isBad:
            return True, False, len(octets), self._total
        taken = 0
        while taken < len(octets) and not self._isBad:
            piece = self._begun + octets[taken : taken + PIECE]
            good, begun = _readPiece(piece)
            self._isBad = begun is None
            taken += (good if begun is None else len(piece)) - len(self._begun)
            self._begun = begun or b""
        self._total += taken
        return not self._isBad, not (self._isBad or self._begun), taken, self._total


def _readPiece(piece: bytes) -> tuple[int, bytes | None]:
    """How many octets are whole characters, and those of one that has begun.

    Or how many there are before the one that makes it no text, and None.
    """
    try:
        whole = utf_8_decode(piece, "strict", False)[1]
    except UnicodeDecodeError as error:
        whole = error.start
    else:
        if _mayBegin(piece[whole:]):
            return whole, piece[whole:]
    end = whole + 1
    while _mayBegin(piece[whole:end]):
        end += 1
    return end - 1, None


def _mayBegin(octets: bytes) -> bool:
    """Whether a character can begin like this."""
    try:
        utf_8_decode(octets, "strict", False)
    except UnicodeDecodeError:
        return False
    # The interpreter waits for the third octet of what can only be a surrogate.
    return not (octets[:1] == b"\xed" and octets[1:2] >= b"\xa0")
