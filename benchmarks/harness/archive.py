"""A run as a JSON document, and back."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .measure import Run
from .peers import SERVERS
from .results import Results, Sample, summary
from .workloads import WORKLOADS


def writeJson(path: Path, runs: list[Run], circumstances: list[str]) -> None:
    document = {"circumstances": circumstances, "workloads": [_workload(run) for run in runs]}
    path.write_text(json.dumps(document, indent=2) + "\n")


def readJson(path: Path) -> tuple[list[Run], list[str]]:
    """What `writeJson` wrote, so that tables and plots can be made of it again."""
    document = json.loads(path.read_text())
    return [_run(each) for each in document["workloads"]], document["circumstances"]


def _workload(run: Run) -> dict[str, Any]:
    """Everything that was measured under one workload, each round of it."""
    results = run.results
    return {
        "workload": run.workload.name,
        "unit": asdict(run.workload.unit),
        "summary": {name: summary(results, name) for name in results.names},
        "goals": [asdict(goal.judge(results)) for goal in run.workload.goals],
        "samples": {
            name: {number: asdict(sample) for number, sample in samples.items()}
            for name, samples in results.samples.items()
        },
        "figures": results.figures,
        "failures": results.failures,
    }


def _run(document: dict[str, Any]) -> Run:
    (workload,) = [each for each in WORKLOADS if each.name == document["workload"]]
    names = list(document["summary"])
    samples = {
        name: {int(number): Sample(**sample) for number, sample in rounds.items()}
        for name, rounds in document["samples"].items()
    }
    figures = {
        name: {int(number): found for number, found in rounds.items()}
        for name, rounds in document["figures"].items()
    }
    servers = [server for server in SERVERS if server.name in names]
    return Run(workload, servers, Results(names, samples, figures, document["failures"]))
