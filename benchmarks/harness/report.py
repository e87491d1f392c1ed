"""Turn results into medians and ratios, tables for people and a JSON document for programs."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any, NamedTuple

from .catalogue import GROWTH_LIMIT, OURS, Goal, Server
from .measure import Results
from .memory import Burden

PACKAGES = (
    "twisted",
    "httptools",
    "h2",
    "uvicorn",
    "uvloop",
    "granian",
    "aiohttp",
    "hypercorn",
    "autobahn",
    "websockets",
    "wsproto",
)

Summary = dict[str, Any]


class Column(NamedTuple):
    """Words to the left (``<``), numbers to the right (``>``)."""

    heading: str
    side: str
    cell: Callable[[Server, Summary], str]


def ratios(results: Results, peer: str) -> list[float]:
    """Our CPU time per unit divided by the peer's, for each round in which both were measured."""
    ours, theirs = results.samples.get(OURS, {}), results.samples.get(peer, {})
    both = sorted(ours.keys() & theirs.keys())
    return [ours[number].cost / theirs[number].cost for number in both]


def summary(results: Results, name: str) -> Summary:
    """The medians of one server; None for what was not measured."""
    samples = list(results.samples[name].values())
    found = ratios(results, name)
    return {
        "cost": _median([sample.cost for sample in samples]),
        "rate": _median([sample.rate for sample in samples]),
        "peakKiB": _median([sample.peakKiB for sample in samples]),
        "idleKiB": results.idleKiB.get(name),
        "growthMiB": results.growth.get(name),
        "ratio": _median(found),
        "ratioRange": [min(found), max(found)] if found else None,
    }


def table(results: Results) -> str:
    """Text, one line for each server, columns aligned."""
    columns = _columns(results)
    sides = "".join(column.side for column in columns)
    rows = [tuple(column.heading for column in columns)]
    for server in results.servers:
        seen = summary(results, server.name)
        rows.append(tuple(column.cell(server, seen) for column in columns))
    return _aligned(rows, sides)


def verdict(results: Results) -> str:
    """Our targets under this workload, and whether they are met."""
    if results.workload.growth:
        return f"target: {OURS} grows by less than {GROWTH_LIMIT} MiB: {_met(not excess(results))}"
    return "\n".join(_judge(results, goal) for goal in results.workload.goals)


def _judge(results: Results, goal: Goal) -> str:
    found = _median(ratios(results, goal.peer))
    outcome = "not measured" if found is None else f"{found:.2f}, {_met(found <= goal.ratio)}"
    return f"target: ours / {goal.peer} <= {goal.ratio:.2f}: {outcome}"


def excess(results: Results) -> list[str]:
    """Where we grow more than we may."""
    grown = results.growth.get(OURS, {})
    return [
        f"{OURS} GREW BY {grown[each.name]:.1f} MiB ({each.heading}): {GROWTH_LIMIT} MiB ARE TOO MUCH"
        for each in results.workload.growth
        if grown.get(each.name, 0) >= GROWTH_LIMIT
    ]


def overview(runs: list[Results]) -> str:
    """Ours / it, a line for each workload and a column for each peer."""
    timed = [results for results in runs if results.workload.drive is not None]
    peers = list(dict.fromkeys(s.name for results in timed for s in results.servers if s.name != OURS))
    rows = [("CPU, ours / it", *peers)]
    for results in timed:
        cells = [_number(_median(ratios(results, peer)), ".2f") for peer in peers]
        rows.append((results.workload.name, *cells))
    return _aligned(rows, "<" + ">" * len(peers))


def document(results: Results) -> dict[str, Any]:
    """Everything that was measured under one workload, each round of it."""
    return {
        "workload": results.workload.name,
        "unit": asdict(results.workload.unit),
        "summary": {server.name: summary(results, server.name) for server in results.servers},
        "samples": {
            name: {str(number): asdict(sample) for number, sample in samples.items()}
            for name, samples in results.samples.items()
        },
        "failures": results.failures,
    }


def versions() -> dict[str, str]:
    """Of the interpreter and of the packages that matter and are installed."""
    found = {platform.python_implementation(): platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _columns(results: Results) -> list[Column]:
    workload = results.workload
    columns = [
        Column("server", "<", lambda server, _: server.name),
        Column("set-up", "<", lambda server, _: server.about),
    ]
    columns += _speedColumns(workload.unit.cost, workload.unit.rate) if workload.drive else []
    columns += [_figure("KiB/idle conn", "idleKiB", ".2f")] if workload.idle else []
    columns += [_grown(burden) for burden in workload.growth]
    return columns


def _speedColumns(cost: str, rate: str) -> list[Column]:
    return [
        _figure(cost, "cost", ".2f"),
        Column("ours / it", ">", lambda server, seen: _ofPeer(server, _number(seen["ratio"], ".2f"))),
        Column("min..max", ">", lambda server, seen: _ofPeer(server, _spread(seen))),
        _figure(rate, "rate", ",.0f"),
        Column("peak MiB", ">", lambda _, seen: _number(seen["peakKiB"] and seen["peakKiB"] / 1024, ".1f")),
    ]


def _figure(heading: str, key: str, form: str) -> Column:
    return Column(heading, ">", lambda _, seen: _number(seen[key], form))


def _grown(burden: Burden) -> Column:
    heading = f"MiB on {burden.heading}"
    return Column(heading, ">", lambda _, seen: _number((seen["growthMiB"] or {}).get(burden.name), ".1f"))


def _ofPeer(server: Server, text: str) -> str:
    return "" if server.name == OURS else text


def _spread(seen: Summary) -> str:
    return "{:.2f}..{:.2f}".format(*seen["ratioRange"]) if seen["ratioRange"] else "-"


def _aligned(rows: list[tuple[str, ...]], sides: str) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(_line(row, sides, widths) for row in rows)


def _line(row: tuple[str, ...], sides: str, widths: list[int]) -> str:
    padded = zip(sides, row, widths, strict=True)
    return "  ".join(f"{cell:{side}{width}}" for side, cell, width in padded).rstrip()


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _met(met: bool) -> str:
    return "met" if met else "MISSED"


def _median(values: list[float] | list[int]) -> float | None:
    return median(values) if values else None
