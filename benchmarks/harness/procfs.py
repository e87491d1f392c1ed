"""CPU time and memory of a process and all its descendants, from ``/proc``."""

from __future__ import annotations

import os
import re
from pathlib import Path

PROC = Path("/proc")
TICK = os.sysconf("SC_CLK_TCK")


def family(pid: int) -> list[int]:
    """`pid` and its descendants that are alive now."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for member in found:  # grows while it is walked
        found += children.get(member, [])
    return found


def cpuSeconds(pid: int) -> float:
    """utime + stime of the whole family, all threads."""
    rows = [_stat(member) for member in family(pid)]
    return sum(int(fields[11]) + int(fields[12]) for fields in rows if fields) / TICK


def peakKiB(pid: int) -> int:
    """The most resident memory each process ever had, added up."""
    return sum(_status(member, "VmHWM") for member in family(pid))


def forgetPeak(pid: int) -> None:
    """From now on `peakKiB` is the most of what comes; see proc(5), ``clear_refs``."""
    for member in family(pid):
        (PROC / str(member) / "clear_refs").write_text("5")


def residentKiB(pid: int) -> int:
    return sum(_status(member, "VmRSS") for member in family(pid))


def _stat(pid: int) -> list[str]:
    """The fields behind the command name (state, ppid, ...); none if the process is gone."""
    try:
        return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _status(pid: int, name: str) -> int:
    try:
        text = (PROC / str(pid) / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    match = re.search(rf"^{name}:\s*(\d+) kB$", text, re.MULTILINE)
    return int(match[1]) if match else 0
