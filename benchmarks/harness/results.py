"""What was measured under one workload, and the medians and ratios of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Any

from .server import OURS

Summary = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """One server in one round; `cost` and `rate` in the workload's unit."""

    cost: float
    rate: float
    peakKiB: int


@dataclass
class Results:
    """What failed has no entry.

    :ivar samples: for each server, its speed in each round.
    :ivar figures: for each server, the figures of a survey, by their headings, in each round.
    """

    names: list[str]
    samples: dict[str, dict[int, Sample]] = field(default_factory=dict)
    figures: dict[str, dict[int, dict[str, float]]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


def ratios(results: Results, peer: str) -> list[float]:
    """Our CPU time per unit divided by the peer's, for each round in which both were measured."""
    ours, theirs = results.samples.get(OURS, {}), results.samples.get(peer, {})
    both = sorted(ours.keys() & theirs.keys())
    return [ours[number].cost / theirs[number].cost for number in both]


def figures(results: Results, name: str, heading: str) -> list[float]:
    """One figure of a survey, from each round that has it."""
    return [found[heading] for found in results.figures.get(name, {}).values() if heading in found]


def differences(results: Results, peer: str, heading: str) -> list[float]:
    """Our figure less the peer's, for each round in which both were measured."""
    ours, theirs = results.figures.get(OURS, {}), results.figures.get(peer, {})
    return [ours[number][heading] - theirs[number][heading] for number in sorted(ours.keys() & theirs.keys())]


def summary(results: Results, name: str) -> Summary:
    """The medians of one server; None for what was not measured."""
    samples = list(results.samples.get(name, {}).values())
    found = ratios(results, name)
    return {
        "cost": middle([sample.cost for sample in samples]),
        "costRange": spread([sample.cost for sample in samples]),
        "rate": middle([sample.rate for sample in samples]),
        "peakKiB": middle([sample.peakKiB for sample in samples]),
        "ratio": middle(found),
        "ratioRange": spread(found),
        "figures": {each: middle(figures(results, name, each)) for each in _headings(results, name)},
    }


def middle(values: list[float] | list[int]) -> float | None:
    return median(values) if values else None


def spread(values: list[float]) -> list[float] | None:
    return [min(values), max(values)] if values else None


def _headings(results: Results, name: str) -> list[str]:
    return list(dict.fromkeys(key for found in results.figures.get(name, {}).values() for key in found))
