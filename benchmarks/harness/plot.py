"""A picture of the medians: one panel for each workload, one bar for each server, ours marked."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

from .measure import Run
from .results import figures, middle, spread, summary
from .server import OURS

COLUMNS = 3
OURS_COLOUR, PEER_COLOUR = "#c2410c", "#94a3b8"


class Bar(NamedTuple):
    name: str
    value: float
    range: list[float]


def writePlot(path: Path, runs: list[Run]) -> None:
    """In the format that the name ends with: ``.svg``, ``.png`` or ``.pdf``."""
    import matplotlib as mpl

    mpl.use("Agg")  # no screen
    mpl.rcParams["svg.hashsalt"] = "txabstracthttp"  # so that the same figures make the same file
    mpl.rcParams["svg.fonttype"] = "none"  # letters as text: half the file, and it can be searched
    from matplotlib import pyplot as plt

    shown = [(run, bars) for run in runs if (bars := _bars(run))]
    columns = min(COLUMNS, len(shown)) or 1
    rows = ceil(len(shown) / columns) or 1
    figure, axes = plt.subplots(rows, columns, figsize=(5.5 * columns, 3.6 * rows), squeeze=False)
    for place in axes.flat[len(shown) :]:
        place.set_axis_off()
    for place, (run, bars) in zip(axes.flat, shown, strict=False):
        _panel(place, run, bars)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def _panel(axes: Any, run: Run, bars: list[Bar]) -> None:
    bars = sorted(bars, key=lambda bar: bar.value, reverse=True)
    values = [bar.value for bar in bars]
    below = [bar.value - bar.range[0] for bar in bars]
    above = [bar.range[1] - bar.value for bar in bars]
    colours = [OURS_COLOUR if bar.name.startswith(OURS) else PEER_COLOUR for bar in bars]
    axes.barh([bar.name for bar in bars], values, xerr=[below, above], color=colours, ecolor="#475569")
    for place, value in enumerate(values):
        axes.annotate(
            f" {value:,.0f}" if value >= 100 else f" {value:.3g}", (value, place), va="bottom", fontsize=7
        )
    axes.set_title(f"{run.workload.name}: {run.workload.about}", fontsize=10)
    axes.set_xlabel(f"{_unit(run)}; less is better", fontsize=8)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


def _unit(run: Run) -> str:
    return run.workload.unit.cost if run.workload.survey is None else run.workload.survey.headline


def _bars(run: Run) -> list[Bar]:
    return [bar for server in run.servers if (bar := _bar(run, server.name))]


def _bar(run: Run, name: str) -> Bar | None:
    """None for a server of which there is nothing."""
    if run.workload.survey is None:
        seen = summary(run.results, name)
        return Bar(name, seen["cost"], seen["costRange"]) if seen["cost"] is not None else None
    found = figures(run.results, name, run.workload.survey.headline)
    value, extent = middle(found), spread(found)
    return None if value is None or extent is None else Bar(name, value, extent)
