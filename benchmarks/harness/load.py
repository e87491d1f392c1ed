"""What puts a server under load, each behind one function ``drive(target, path, seconds) -> Load``."""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from .errors import Failed
from .target import Target

CONNECTIONS = 64
POST = Path(__file__).with_name("post_64k.lua")
BUFFER = 256 * 1024
GIB = 1024**3


@dataclass(frozen=True)
class Load:
    """:ivar amount: how much was served, in the workload's unit.

    :ivar seconds: as the driving program measured them.
    """

    amount: float
    seconds: float


def wrk(target: Target, path: str, seconds: int, *options: str) -> Load:
    """One thread, 64 keep-alive connections, one request in flight on each."""
    command = [
        "wrk",
        "-t1",
        f"-c{CONNECTIONS}",
        f"-d{seconds}s",
        "--timeout",
        "10s",
        *options,
        target.url(path),
    ]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30, check=False)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"wrk did not end: {error}") from error
    if done.returncode:
        raise Failed(f"wrk ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return readWrk(done.stdout)


def wrkPost(target: Target, path: str, seconds: int) -> Load:
    """The same, with a POST of 64 KiB."""
    return wrk(target, path, seconds, "-s", str(POST))


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


def download(target: Target, path: str, seconds: int) -> Load:
    """Whole downloads, one behind the other on one connection, for at least `seconds`; counted in GiB."""
    connection = target.connection()
    start = now = time.monotonic()
    size = 0
    try:
        while now < start + seconds:
            size += fetch(connection, path)
            now = time.monotonic()
    except (OSError, HTTPException) as error:
        raise Failed(f"download failed: {error!r}") from error
    finally:
        connection.close()
    return Load(size / GIB, now - start)


def fetch(connection: HTTPConnection, path: str, rest: float = 0) -> int:
    """One download, thrown away; the client rests for so many seconds behind the first of it."""
    connection.request("GET", path)
    response = connection.getresponse()
    buffer = memoryview(bytearray(BUFFER))
    size = response.readinto(buffer)
    time.sleep(rest)
    while count := response.readinto(buffer):
        size += count
    if response.status != 200 or response.length:
        raise Failed(f"status {response.status}, {response.length} octets short")
    return size
