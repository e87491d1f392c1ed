"""CPU time and memory of a process and all its descendants, from their clocks and from ``/proc``."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from pathlib import Path

PROC = Path("/proc")
CPUCLOCK_SCHED = 2  # the kernel's name for it; see clock_getcpuclockid(3)


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
    """User and system time of the whole family, all threads, to the nanosecond (``/proc`` has 10 ms)."""
    return sum(map(_clock, family(pid)))


def peakKiB(pid: int) -> int:
    """The most resident memory each process ever had, added up."""
    return sum(_status(member, "VmHWM") for member in family(pid))


def forgetPeak(pid: int) -> None:
    """From now on `peakKiB` is the most of what comes; see proc(5), ``clear_refs``."""
    for member in family(pid):
        (PROC / str(member) / "clear_refs").write_text("5")


def residentKiB(pid: int) -> int:
    return sum(_status(member, "VmRSS") for member in family(pid))


def _clock(pid: int) -> float:
    """The CPU clock of that process; 0 if it is gone."""
    with suppress(OSError):
        return time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED)
    return 0.0


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
