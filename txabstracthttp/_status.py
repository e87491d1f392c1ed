"""Status codes and their reason phrases (RFC 9110 section 15)."""

from __future__ import annotations

__all__ = ["reasonPhrase"]

from http import HTTPStatus

# Python's own table renamed these to RFC 9110's words only in 3.13.
_PHRASES = {status.value: status.phrase for status in HTTPStatus} | {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}


def reasonPhrase(status: int) -> str:
    """The phrase for `status`; empty for one that no RFC names."""
    return _PHRASES.get(status, "")
