"""Turn results into medians and ratios, a table for people and a JSON document for programs."""

from __future__ import annotations

import platform
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from statistics import median
from typing import Any

from .catalogue import OURS, Server
from .measure import Benchmark, Results

HEADINGS = ("server", "set-up", "us CPU/req", "ours / it", "min..max", "req/s", "peak MiB", "KiB/idle conn")
PACKAGES = ("twisted", "httptools", "uvicorn", "uvloop", "granian", "aiohttp")


def ratios(results: Results, peer: str) -> list[float]:
    """Our CPU per request divided by the peer's, for each round in which both were measured."""
    ours, theirs = results.samples.get(OURS, {}), results.samples[peer]
    both = sorted(ours.keys() & theirs.keys())
    return [ours[number].cpuMicros / theirs[number].cpuMicros for number in both]


def summary(results: Results, name: str) -> dict[str, Any]:
    """The medians of one server; None for what was not measured."""
    samples = list(results.samples[name].values())
    found = ratios(results, name)
    return {
        "cpuMicros": _median([sample.cpuMicros for sample in samples]),
        "requestsPerSecond": _median([sample.requestsPerSecond for sample in samples]),
        "peakKiB": _median([sample.peakKiB for sample in samples]),
        "idleKiB": results.idleKiB.get(name),
        "ratio": _median(found),
        "ratioRange": [min(found), max(found)] if found else None,
    }


def table(results: Results) -> str:
    """Text, one line for each server, columns aligned."""
    rows = [HEADINGS, *(_row(results, server) for server in results.servers)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join(_line(row, widths) for row in rows)


def document(benchmark: Benchmark, results: Results) -> dict[str, Any]:
    """Everything that was measured, each round of it."""
    return {
        "workload": benchmark.workload.name,
        "rounds": benchmark.rounds,
        "seconds": benchmark.seconds,
        "cores": asdict(benchmark.cores),
        "versions": versions(),
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


def _row(results: Results, server: Server) -> tuple[str, ...]:
    seen = summary(results, server.name)
    spread = "{:.2f}..{:.2f}".format(*seen["ratioRange"]) if seen["ratioRange"] else "-"
    itself = server.name == OURS
    return (
        server.name,
        server.about,
        _number(seen["cpuMicros"], ".2f"),
        "" if itself else _number(seen["ratio"], ".2f"),
        "" if itself else spread,
        _number(seen["requestsPerSecond"], ",.0f"),
        _number(seen["peakKiB"] and seen["peakKiB"] / 1024, ".1f"),
        _number(seen["idleKiB"], ".2f"),
    )


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    """Words to the left, numbers to the right."""
    padded = zip("<<>>>>>>", row, widths, strict=True)
    return "  ".join(f"{cell:{side}{width}}" for side, cell, width in padded).rstrip()


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _median(values: list[float] | list[int]) -> float | None:
    return median(values) if values else None
