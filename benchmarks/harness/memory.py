"""How much memory a server takes for 1 GiB, up or down: the growth of its resident memory, at the peak.

A server that holds its peer, or its own application, back needs next to none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException

from .errors import Failed
from .load import GIB, fetch
from .procfs import forgetPeak, peakKiB, residentKiB
from .target import Target

PIECE = bytes(64 * 1024)
REST = 1.0  # seconds without reading: what a server cannot hold back would pile up


@dataclass(frozen=True)
class Growth:
    """In MiB."""

    up: float
    down: float


def growthMiB(target: Target, transfer: Callable[[Target], int]) -> float:
    """How much the server grows while 1 GiB is transferred."""
    before = residentKiB(target.pid)
    forgetPeak(target.pid)
    try:
        size = transfer(target)
    except (OSError, HTTPException, ValueError) as error:
        raise Failed(f"transfer failed: {error!r}") from error
    if size != GIB:
        raise Failed(f"{size} octets were transferred, not {GIB}")
    return (peakKiB(target.pid) - before) / 1024


def upload(target: Target) -> int:
    """As fast as the server takes it.

    :return: how much the application says it got.
    """
    connection = target.connection()
    try:
        fields = {"Content-Length": str(GIB), "Content-Type": "application/octet-stream"}
        connection.request("POST", "/up", (PIECE for _ in range(GIB // len(PIECE))), fields)
        return int(connection.getresponse().read())
    finally:
        connection.close()


def download(target: Target) -> int:
    """Slow to start with, then fast."""
    connection = target.connection()
    try:
        return fetch(connection, "/1g", REST)
    finally:
        connection.close()
