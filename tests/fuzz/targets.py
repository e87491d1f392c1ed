"""The targets by name, and the corpus of each."""

from __future__ import annotations

__all__ = ["CORPUS", "TARGETS", "Target", "entries", "load"]

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

CORPUS = Path(__file__).parent / "corpus"


class Target(NamedTuple):
    """Where a target is.

    :ivar share: how much of the time it gets, beside the others.
    :ivar longest: octets of an input that are still of use.
    """

    module: str
    function: str
    share: int = 1
    longest: int = 400


TARGETS = {
    "http1": Target("http1", "http1", 3, 1000),
    "http2octets": Target("http2", "http2Octets", 2),
    "http2frames": Target("http2", "http2Frames", 3),
    "http2client": Target("http2client", "http2Client", 2),
    "connection": Target("connection", "connection", 3, 1000),
    "chunked": Target("parts", "chunked"),
    "target": Target("parts", "target", longest=200),
    "fields": Target("parts", "fields"),
    "proxyheader": Target("parts", "proxyHeader", longest=300),
    "handshake": Target("websocket", "handshake"),
    "websocket": Target("websocket", "webSocket"),
}


def load(name: str) -> Callable[[bytes], None]:
    """The function; `AssertionError` or any other exception says that its argument breaks something."""
    target = TARGETS[name]
    function: Callable[[bytes], None] = getattr(import_module(f"fuzz.{target.module}"), target.function)
    return function


def entries(name: str) -> list[Path]:
    """The files of a target's corpus."""
    return sorted((CORPUS / name).iterdir())
