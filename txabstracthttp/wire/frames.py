"""Frames of WebSocket as they arrive (RFC 6455 section 5.2): where each ends, and what the plain ones say.

Autobahn reads frames; but it copies all that is left behind each of them, so that a packet of many small
ones would cost the square of its size.  It is given them one by one.
"""

from __future__ import annotations

__all__ = ["LONGEST", "SHORT", "dataFrame", "frameEnd", "shortMessage", "unmask"]

from collections.abc import Callable

#: The longest frame that is read here: they come whole in what is received at a time.
LONGEST = 64 * 1024
#: Up to this, one large number is unmasked sooner than another language is called.
SHORT = 512
_KINDS = {0x81: False, 0x82: True}


def frameEnd(data: bytes, place: int) -> int:
    """Where the frame ends that begins at `place`; 0 if not even its length is there.

    That may be behind the end of `data`.
    """
    available = len(data) - place
    if available < 2:
        return 0
    length = data[place + 1] & 0x7F
    masked = 4 if data[place + 1] & 0x80 else 0
    if length < 126:
        return place + 2 + masked + length
    size = 2 if length == 126 else 8
    if available < 2 + size:
        return 0
    return place + 2 + size + masked + int.from_bytes(data[place + 2 : place + 2 + size], "big")


def unmask(mask: bytes, payload: bytes) -> bytes:
    """Section 5.3; as one large number, which is fast for short ones."""
    length = len(payload)
    repeated = (mask * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "little") ^ int.from_bytes(repeated, "little")).to_bytes(length, "little")


def shortMessage(
    data: bytes, place: int, end: int, unmaskLong: Callable[[bytes, bytes], bytes] = unmask
) -> bytes | str | None:
    """The message that the whole frame from `place` to `end` is; None for any that wants a closer look.

    That is a fragment, a control frame, one with an extension or of invalid text, a very long one, or one
    that is not masked, or does not say its length in the shortest way.
    """
    isBinary = _KINDS.get(data[place])
    if isBinary is None or not data[place + 1] & 0x80 or end - place > LONGEST:
        return None
    length = data[place + 1] & 0x7F
    start = place + 6
    if length > 125:
        start = place + 8
        length = end - start
        if data[place + 1] != 0xFE or length < 126:
            return None
    mask, payload = data[start - 4 : start], data[start:end]
    payload = unmaskLong(mask, payload) if length > SHORT else unmask(mask, payload)
    if isBinary:
        return payload
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None


def dataFrame(payload: bytes, isBinary: bool) -> bytes:
    """A whole message in one frame, as a server sends it."""
    first, length = 0x82 if isBinary else 0x81, len(payload)
    if length < 126:
        return b"%c%c%b" % (first, length, payload)
    if length < 65536:
        return b"%c\x7e%b%b" % (first, length.to_bytes(2, "big"), payload)
    return b"%c\x7f%b%b" % (first, length.to_bytes(8, "big"), payload)
