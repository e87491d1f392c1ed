"""What is measured of a server apart from its speed under a load: a row of figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .stage import Stage


@dataclass(frozen=True)
class Survey:
    """:ivar headings: what the figures are, in the order in which `take` returns them.

    :ivar take: starts the server, as often as it needs to, and measures.
    :ivar isOnce: one round is enough, because the figures hardly differ and take long.
    :ivar headline: the figure that a plot shows.
    """

    headings: tuple[str, ...]
    take: Callable[[Stage], list[float]]
    headline: str
    isOnce: bool = False
