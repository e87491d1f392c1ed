"""The tables that a run prints and publishes, apart from how they are set."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .measure import Run
from .results import Summary, middle, ratios, summary
from .server import OURS, Server
from .workloads import Unit


class Table(NamedTuple):
    """:ivar sides: for each column, ``<`` for words and ``>`` for numbers."""

    headings: tuple[str, ...]
    sides: str
    rows: list[tuple[str, ...]]


class Column(NamedTuple):
    heading: str
    side: str
    cell: Callable[[Server, Summary], str]


def table(run: Run) -> Table:
    """One line for each server."""
    columns = _columns(run)
    rows = []
    for server in run.servers:
        seen = summary(run.results, server.name)
        rows.append(tuple(column.cell(server, seen) for column in columns))
    return Table(tuple(each.heading for each in columns), "".join(each.side for each in columns), rows)


def overview(runs: list[Run]) -> Table:
    """Ours / it, a line for each peer and a column for each workload that has a speed."""
    timed = [run for run in runs if run.workload.drive is not None]
    peers = list(dict.fromkeys(s.name for run in timed for s in run.servers if s.name != OURS))
    rows: list[tuple[str, ...]] = [
        (peer, *(number(middle(ratios(run.results, peer)), ".2f", "") for run in timed)) for peer in peers
    ]
    headings = ("CPU, ours / it", *(run.workload.name for run in timed))
    return Table(headings, "<" + ">" * len(timed), rows)


def title(run: Run) -> str:
    results = run.results
    rounds = [len(each) for found in (results.samples, results.figures) for each in found.values()]
    return f"{run.workload.name}: {run.workload.about}; medians of {max(rounds, default=0)}"


def text(shown: Table) -> str:
    """For a terminal, columns aligned."""
    rows: list[tuple[str, ...]] = [shown.headings, *shown.rows]
    widths = [max(len(row[place]) for row in rows) for place in range(len(shown.headings))]
    return "\n".join(_line(row, shown.sides, widths) for row in rows)


def number(value: float | None, form: str, nothing: str = "-") -> str:
    return nothing if value is None else format(value, form)


def _line(row: tuple[str, ...], sides: str, widths: list[int]) -> str:
    padded = zip(sides, row, widths, strict=True)
    return "  ".join(f"{cell:{side}{width}}" for side, cell, width in padded).rstrip()


def _columns(run: Run) -> list[Column]:
    columns = [
        Column("server", "<", lambda server, _: server.name),
        Column("set-up", "<", lambda server, _: server.about),
    ]
    if run.workload.survey is not None:
        return columns + [_surveyed(heading) for heading in run.workload.survey.headings]
    return columns + _speed(run.workload.unit)


def _speed(unit: Unit) -> list[Column]:
    return [
        Column(unit.cost, ">", lambda _, seen: number(seen["cost"], ".2f")),
        Column("ours / it", ">", lambda server, seen: _ofPeer(server, number(seen["ratio"], ".2f"))),
        Column("min..max", ">", lambda server, seen: _ofPeer(server, _range(seen["ratioRange"]))),
        Column(unit.rate, ">", lambda _, seen: number(seen["rate"], ",.0f")),
        Column("peak MiB", ">", lambda _, seen: number(seen["peakKiB"] and seen["peakKiB"] / 1024, ".1f")),
    ]


def _surveyed(heading: str) -> Column:
    return Column(heading, ">", lambda _, seen: number(seen["figures"].get(heading), ".2f"))


def _ofPeer(server: Server, cell: str) -> str:
    return "" if server.name == OURS else cell


def _range(found: list[float] | None) -> str:
    return "{:.2f}..{:.2f}".format(*found) if found else "-"
