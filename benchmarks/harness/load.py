"""What puts a server under load, each behind one function ``drive(target, path, seconds) -> Load``."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from . import browser
from .errors import Failed
from .target import Target

CONNECTIONS = 64
H2_CONNECTIONS, H2_STREAMS = 8, 16
H2_FIRST = 1024  # requests, to see how many are made in a second
FOLDER = Path(__file__).parent
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


Drive = Callable[[Target, str, int], Load]


def wrk(
    target: Target, path: str, seconds: int, options: Sequence[str] = (), script: Sequence[str] = ()
) -> Load:
    """One thread, 64 keep-alive connections, one request in flight on each.

    :param script: what stands behind the URL, for the script that is among the options.
    """
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", *options]
    return readWrk(_output([*command, target.url(path), *script], seconds + 30))


def wrkBrowser(target: Target, path: str, seconds: int) -> Load:
    """The same, with the head that a browser sends."""
    fields = [f"-H{name}: {value}" for name, value in browser.FIELDS.items()]
    return wrk(target, path, seconds, fields)


def wrkPipelined(target: Target, path: str, seconds: int) -> Load:
    """The same, with 16 requests in flight on each connection."""
    return wrk(target, path, seconds, ["-s", str(FOLDER / "pipelined.lua")])


def wrkPost(target: Target, path: str, seconds: int, size: int) -> Load:
    """The same, with a POST of `size` octets."""
    return wrk(target, path, seconds, ["-s", str(FOLDER / "post.lua")], ["--", str(size)])


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
    return readH2load(_output(command, 4 * seconds + 60), count)


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


def webSockets(target: Target, path: str, seconds: int, size: int, connections: int = 32) -> Load:
    """Some WebSockets, and one text message of `size` octets in flight on each."""
    return _program("ws_client.py", seconds, target.port, path, size, connections, seconds)


def handshakes(target: Target, path: str, seconds: int) -> Load:
    """Four clients, each with a new connection over TLS for every request."""
    return _program("tls_client.py", seconds, target.port, path, target.certificate, seconds)


def _program(name: str, seconds: int, *arguments: object) -> Load:
    """A client of our own, which prints how much was served and how many seconds it took."""
    output = _output([sys.executable, str(FOLDER / name), *map(str, arguments)], seconds + 60)
    count, taken = output.split()
    return Load(int(count), float(taken))


def _output(command: list[str], patience: float) -> str:
    """What a client that ends well prints."""
    name = Path(command[1] if command[0] == sys.executable else command[0]).name
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=patience, check=False)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{name} did not end: {error}") from error
    if done.returncode:
        raise Failed(f"{name} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[-300:]}")
    return done.stdout


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
