"""How much memory a server takes for much that it is sent, or asked for: the growth of its resident memory,
at the peak.

A server that holds its peer, or its own application, back needs next to none.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException

from . import ws_client
from .errors import Failed
from .load import GIB, fetch
from .machine import pinnedTo
from .procfs import forgetPeak, peakKiB, residentKiB
from .stage import Stage
from .survey import Survey
from .target import Target

PIECE = bytes(64 * 1024)
REST = 1.0  # seconds without reading: what a server cannot hold back would pile up

MESSAGES = ws_client.question(4096) * 16
MOST = 256 * 1024**2  # octets of messages
LONGEST = 5.0  # seconds


@dataclass(frozen=True)
class Burden:
    """One way to make a server take memory.

    :ivar heading: tells people what it is.
    :ivar load: does it; raises `Failed` when it was not what it should be.
    """

    heading: str
    load: Callable[[Target], None]


def growthMiB(target: Target, burden: Burden) -> float:
    """How much the server grows under it."""
    before = residentKiB(target.pid)
    forgetPeak(target.pid)
    try:
        burden.load(target)
    except (OSError, HTTPException, ValueError, ws_client.Wrong) as error:
        raise Failed(f"transfer failed: {error!r}") from error
    return (peakKiB(target.pid) - before) / 1024


def survey(*burdens: Burden) -> Survey:
    """Each of them on a fresh server."""

    def take(stage: Stage) -> list[float]:
        return [_grown(stage, burden) for burden in burdens]

    headings = tuple(f"MiB on {each.heading}" for each in burdens)
    return Survey(headings, take, headings[0], isOnce=True)


def _grown(stage: Stage, burden: Burden) -> float:
    with stage.verified() as target, pinnedTo(stage.cores.client):
        return growthMiB(target, burden)


def upload(target: Target) -> None:
    """1 GiB, as fast as the server takes it; the application says how much it got."""
    connection = target.connection()
    try:
        fields = {"Content-Length": str(GIB), "Content-Type": "application/octet-stream"}
        connection.request("POST", "/up", (PIECE for _ in range(GIB // len(PIECE))), fields)
        _requireGiB(int(connection.getresponse().read()))
    finally:
        connection.close()


def download(target: Target) -> None:
    """1 GiB, slow to start with, then fast."""
    connection = target.connection()
    try:
        _requireGiB(fetch(connection, "/1g", REST))
    finally:
        connection.close()


def unread(target: Target) -> None:
    """Messages that the application echoes; nobody reads the echoes."""
    _pour(target, "/ws")


def unhurried(target: Target) -> None:
    """Messages that the application takes one by one, 100 in a second."""
    _pour(target, "/ws-slow")


def _pour(target: Target, path: str) -> None:
    """Send, as fast as the server takes it, for 5 seconds or until it has taken 256 MiB."""
    deadline = time.monotonic() + LONGEST
    with ws_client.openWebSocket(target.port, path) as connection:
        sent = 0
        while sent < MOST and (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            try:
                sent += connection.send(MESSAGES[sent % len(MESSAGES) :])
            except TimeoutError:
                return


def _requireGiB(size: int) -> None:
    if size != GIB:
        raise Failed(f"{size} octets were transferred, not {GIB}")


TRANSFERS = survey(Burden("1 GiB up", upload), Burden("1 GiB down", download))
FLOODS = survey(Burden("echoes unread", unread), Burden("a slow application", unhurried))
