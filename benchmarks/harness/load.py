"""Programs that put a server under load, each behind one function ``drive(url, seconds) -> Load``."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

from .errors import Failed

CONNECTIONS = 64


@dataclass(frozen=True)
class Load:
    """:ivar seconds: as the driving program measured them."""

    requests: int
    seconds: float


def wrk(url: str, seconds: int) -> Load:
    """One thread, 64 keep-alive connections, one request in flight on each."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", url]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"wrk did not end: {error}") from error
    if done.returncode:
        raise Failed(f"wrk ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return readWrk(done.stdout)


def readWrk(output: str) -> Load:
    """What wrk printed; `Failed` if it saw a single failed request."""
    bad = re.findall(r"^ *((?:Non-2xx or 3xx responses|Socket errors): .*)$", output, re.MULTILINE)
    if bad:
        raise Failed(f"failed requests: {'; '.join(bad)}")
    total = re.search(r"^ *(\d+) requests in ([\d.]+)(us|ms|s|m),", output, re.MULTILINE)
    if total is None or total[1] == "0":
        raise Failed(f"wrk counted no requests: {output.strip()!r}")
    unit = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}[total[3]]
    return Load(int(total[1]), float(total[2]) * unit)
