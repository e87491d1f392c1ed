"""The command line of ``run.py``."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from .peers import PEERS
from .workloads import WORKLOADS, Workload

ALL = "all"


@dataclass(frozen=True)
class Options:
    """:ivar peers: None for all of them.

    :ivar sources: earlier runs, to be shown again in place of a new one.
    """

    workloads: list[Workload]
    rounds: int
    seconds: int
    peers: list[str] | None
    peersOnly: bool
    qtPython: str | None
    json: Path | None
    rst: Path | None
    plot: Path | None
    sources: list[Path]


def parseOptions() -> Options:
    found = _parser().parse_args()
    return Options(
        found.workload,
        found.rounds or (2 if found.quick else 5),
        found.seconds or (2 if found.quick else 5),
        found.peers,
        found.peers_only,
        found.qt_python,
        found.json,
        found.rst,
        found.plot,
        found.sources,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks/run.py", description="Measure this server and its peers on the same work."
    )
    add = parser.add_argument
    workloads = ", ".join(each.name for each in WORKLOADS)
    add(
        "--workload",
        type=workloadNames,
        default="plain",
        metavar="A,B",
        help=f"what they do (plain): {workloads}, or {ALL}",
    )
    add("--quick", action="store_true", help="2 rounds of 2 seconds: a look, not a result")
    add("--rounds", type=positive, metavar="N", help="how often each server runs (5)")
    add("--seconds", type=positive, metavar="S", help="how long it runs each time (5)")
    add("--peers", type=peerNames, metavar="A,B", help=f"only these of: {', '.join(PEERS)}")
    add("--peers-only", action="store_true", help="leave this server out")
    add("--qt-python", metavar="PATH", help="the Python that has PySide6 6.4.3 (this one)")
    add("--json", type=newFile, metavar="FILE", help="write everything measured to FILE")
    add("--rst", type=newFile, metavar="FILE", help="write the tables as reStructuredText")
    add(
        "--plot", type=newFile, metavar="FILE", help="draw the medians: .svg, .png or .pdf (needs matplotlib)"
    )
    add(
        "--from",
        dest="sources",
        type=oldFile,
        nargs="+",
        default=[],
        metavar="FILE",
        help="measure nothing; show again what earlier runs wrote with --json",
    )
    return parser


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def newFile(text: str) -> Path:
    """A run takes long: that it cannot be written shall be known before."""
    if not Path(text).absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder for {text!r}")
    return Path(text)


def oldFile(text: str) -> Path:
    if not Path(text).is_file():
        raise argparse.ArgumentTypeError(f"there is no file {text!r}")
    return Path(text)


def workloadNames(text: str) -> list[Workload]:
    known = {each.name: [each] for each in WORKLOADS} | {ALL: WORKLOADS}
    return [each for name in _names(text, list(known), "workload") for each in known[name]]


def peerNames(text: str) -> list[str]:
    return _names(text, PEERS, "peer")


def _names(text: str, known: list[str], kind: str) -> list[str]:
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    for name in wanted:
        if name not in known:
            raise argparse.ArgumentTypeError(f"unknown {kind} {name!r}; known: {', '.join(known)}")
    return wanted
