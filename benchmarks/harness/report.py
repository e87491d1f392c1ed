"""What a run says about itself: on the terminal, and for whoever reads its tables."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from .machine import Cores
from .measure import Run
from .tables import table, text, title

PACKAGES = (
    "twisted",
    "httptools",
    "h2",
    "uvicorn",
    "uvloop",
    "granian",
    "aiohttp",
    "hypercorn",
    "klein",
    "daphne",
    "autobahn",
    "websockets",
    "wsproto",
)


def chapter(run: Run) -> str:
    """The table of one workload, and what became of its goals."""
    verdicts = [str(goal.judge(run.results)) for goal in run.workload.goals]
    return "\n".join(["", title(run), "", text(table(run)), "", *verdicts, ""])


def excess(run: Run) -> list[str]:
    """The tests among the goals that are missed."""
    verdicts = [goal.judge(run.results) for goal in run.workload.goals]
    return [f"{run.workload.name}: {each}" for each in verdicts if each.isTest and each.isMissed]


def circumstances(rounds: int, seconds: int, cores: Cores) -> list[str]:
    """When, on what, and with what it was measured."""
    machine = f"{platform.system()} {platform.release()}, {platform.machine()}, {_processor()}"
    return [
        f"{datetime.now(UTC):%Y-%m-%d}: {rounds} rounds of {seconds} s; {placement(cores)}",
        machine,
        ", ".join(f"{name} {number}" for name, number in versions().items()),
    ]


def placement(cores: Cores) -> str:
    if cores.server is None:
        return "NOT PINNED: client and server share what there is, mistrust the numbers"
    return f"server on core {cores.server}, client on core {cores.client}"


def versions() -> dict[str, str]:
    """Of the interpreter and of the packages that matter and are installed."""
    found = {platform.python_implementation(): platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "unknown processor"
