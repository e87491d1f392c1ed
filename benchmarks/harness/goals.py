"""What we want to reach, each kind of goal a class with ``judge(results) -> Verdict``.

A goal may have a `stretch`, which would make it the headline.  Missing one is no failure of the run, unless
it `isTest`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from .results import Results, differences, figures, middle, ratios, spread
from .server import OURS


@dataclass(frozen=True)
class Verdict:
    """:ivar what: the goal, as people read it.

    :ivar found: the median, None if it was not measured; `range` the smallest and the largest.
    """

    what: str
    limit: float
    stretch: float | None
    found: float | None
    range: list[float] | None
    isTest: bool = False

    @property
    def isMissed(self) -> bool:
        return self.found is not None and self.found > self.limit

    def __str__(self) -> str:
        return f"target: {self.what} <= {self._bound()}: {self.outcome()}"

    def outcome(self) -> str:
        if self.found is None or self.range is None:
            return "not measured"
        lowest, highest = self.range
        return f"{self.found:.2f} ({lowest:.2f}..{highest:.2f}), {self._word(self.found)}"

    def _bound(self) -> str:
        return f"{self.limit:.2f}" + (f" (stretch {self.stretch:.2f})" if self.stretch is not None else "")

    def _word(self, found: float) -> str:
        if self.stretch is not None and found <= self.stretch:
            return "stretch met"
        return "MISSED" if self.isMissed else "met"


class Goal(Protocol):
    def judge(self, results: Results) -> Verdict: ...


@dataclass(frozen=True)
class Ratio:
    """For the same work we want to take at most `limit` times this peer's CPU time."""

    peer: str
    limit: float
    stretch: float | None = None

    def judge(self, results: Results) -> Verdict:
        found = ratios(results, self.peer)
        what = f"ours / {self.peer}"
        return Verdict(what, self.limit, self.stretch, middle(found), spread(found))


@dataclass(frozen=True)
class AtMost:
    """One figure of ours is to be no larger."""

    heading: str
    limit: float
    isTest: bool = False

    def judge(self, results: Results) -> Verdict:
        found = figures(results, OURS, self.heading)
        what = f"{OURS}, {self.heading}"
        return Verdict(what, self.limit, None, middle(found), spread(found), self.isTest)


@dataclass(frozen=True)
class NotFarAbove:
    """One figure of ours is to be no more than so much above this peer's."""

    peer: str
    heading: str
    limit: float

    def judge(self, results: Results) -> Verdict:
        found = differences(results, self.peer, self.heading)
        what = f"{self.heading}, ours - {self.peer}"
        return Verdict(what, self.limit, None, middle(found), spread(found))
