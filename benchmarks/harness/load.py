"""What puts a server under load, each behind one function ``drive(target, path, seconds) -> Load``."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from .errors import Failed
from .target import Target

CONNECTIONS = 64
H2_CONNECTIONS, H2_STREAMS = 8, 16
H2_FIRST = 1024  # requests, to see how many are made in a second
WEB_SOCKETS = 32
WS_CLIENT = Path(__file__).with_name("ws_client.py")
POST = Path(__file__).with_name("post_64k.lua")
BUFFER = 256 * 1024
GIB = 1024**3
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


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
    return Load(int(total[1]), float(total[2]) * UNITS[total[3]])


def h2load(target: Target, path: str, seconds: int) -> Load:
    """One thread, 8 connections of HTTP/2, 16 requests in flight on each.

    Some to begin with, and then as many as take about `seconds`: all that are begun are finished and counted.
    """
    first = _h2load(target, path, H2_FIRST, seconds)
    more = _h2load(target, path, max(H2_FIRST, int(first.amount / first.seconds * seconds)), seconds)
    return Load(first.amount + more.amount, first.seconds + more.seconds)


def _h2load(target: Target, path: str, count: int, seconds: int) -> Load:
    command = ["h2load", f"-n{count}", f"-c{H2_CONNECTIONS}", f"-m{H2_STREAMS}", target.url(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=4 * seconds + 60, check=False)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"h2load did not end: {error}") from error
    if done.returncode:
        raise Failed(f"h2load ended with {done.returncode}: {(done.stderr or done.stdout).strip()}")
    return readH2load(done.stdout, count)


def readH2load(output: str, count: int) -> Load:
    """What h2load printed; `Failed` unless each of `count` requests had a 2xx by way of HTTP/2."""
    spoken = re.search(r"^Application protocol: (.*)$", output, re.MULTILINE)
    if spoken is None or spoken[1] not in ("h2", "h2c"):
        raise Failed(f"no HTTP/2 but {spoken and spoken[1]!r}: {output.strip()[-300:]}")
    seen = re.findall(r"^(?:requests|status codes): .*$", output, re.MULTILINE)
    wanted = [f", {count} succeeded, 0 failed, 0 errored, 0 timeout", f" {count} 2xx, 0 3xx, 0 4xx, 0 5xx"]
    if len(seen) != 2 or not all(line.endswith(end) for line, end in zip(seen, wanted, strict=True)):
        raise Failed(f"failed requests: {'; '.join(seen)}")
    taken = re.search(r"^finished in ([\d.]+)(us|ms|s|m),", output, re.MULTILINE)
    if taken is None:
        raise Failed(f"h2load did not say how long it took: {output.strip()[-300:]}")
    return Load(count, float(taken[1]) * UNITS[taken[2]])


def webSockets(target: Target, path: str, seconds: int, size: int) -> Load:
    """32 WebSockets, and one text message of `size` octets in flight on each."""
    command = [sys.executable, str(WS_CLIENT)]
    command += map(str, (target.port, path, size, WEB_SOCKETS, seconds))
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"the WebSockets did not end: {error}") from error
    if done.returncode:
        raise Failed(f"WebSockets failed: {done.stderr.strip()[-300:]}")
    count, taken = done.stdout.split()
    return Load(int(count), float(taken))


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
