"""How a client says that it speaks HTTP/2 without asking (RFC 9113 section 3.4)."""

from __future__ import annotations

__all__ = ["PREFACE", "isForeign", "isPreface"]

import re

#: Three words, and nothing that HTTP/1 has: neither a target nor a version.
_FOREIGN = re.compile(rb"[^ \r\n]+ (?![/*]|(?i:http))[^ \r\n]+ (?!(?i:http))[^ \r\n]+\r\n")

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def isPreface(data: bytes) -> bool | None:
    """Whether a connection that begins with `data` speaks HTTP/2; None while that cannot be told."""
    if data.startswith(PREFACE):
        return True
    return None if PREFACE.startswith(data) else False


def isForeign(data: bytes) -> bool:
    """Whether `data` begins with a preface that is nobody's: it is better to say nothing to that."""
    return _FOREIGN.match(data) is not None
