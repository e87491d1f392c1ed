"""Measure this server against its peers: ``python benchmarks/run.py`` (`README.md` tells how to read it).

Exit status: 0 if everything was measured, 1 if a request or a server failed or this server takes too much
memory, 2 if it could not begin.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NoReturn

from harness.catalogue import OURS, SERVERS, WORKLOADS, Server, Workload
from harness.machine import Cores, chooseCores, raiseDescriptorLimit
from harness.measure import Benchmark, Results
from harness.process import canImport
from harness.report import document, excess, overview, table, verdict, versions
from harness.target import Credentials

ALL = "all"
#: The packages that the tools are in.
DEBIAN = {"wrk": "wrk", "h2load": "nghttp2-client"}


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server under test is stopped
    options = parseOptions()
    workloads = [each for each in WORKLOADS if options.workload in (each.name, ALL)]
    requireTools(workloads)
    raiseDescriptorLimit()
    cores = chooseCores()
    introduce(options, cores)
    with credentials(workloads) as found:
        runs = [measure(each, options, cores, found) for each in workloads]
    return publish(runs, options, cores)


@contextmanager
def credentials(workloads: list[Workload]) -> Iterator[Credentials | None]:
    """A key and a certificate, for as long as the block lasts, if there is need of them."""
    if not any(each.tls for each in workloads):
        yield None
        return
    from harness.certificate import makeCredentials  # needs `cryptography`, as this server does

    with TemporaryDirectory() as folder:
        yield makeCredentials(Path(folder))


def measure(
    workload: Workload, options: argparse.Namespace, cores: Cores, found: Credentials | None
) -> Results:
    servers = available(chosen(options.peers, options.peers_only), workload)
    results = Benchmark(workload, cores, options.rounds, options.seconds, found, tell).run(servers)
    title = f"{workload.name}: medians; rounds: {options.rounds}" if workload.drive else workload.name
    print(f"\n{title}\n\n{table(results)}\n\n{verdict(results)}\n", flush=True)
    return results


def parseOptions() -> argparse.Namespace:
    about = "Measure this server and its peers on the same work."
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description=about)
    peers = ", ".join(server.name for server in SERVERS if server.name != OURS)
    parser.add_argument("--quick", action="store_true", help="2 rounds of 2 seconds: a look, not a result")
    parser.add_argument("--rounds", type=positive, metavar="N", help="how often each server runs (5)")
    parser.add_argument("--seconds", type=positive, metavar="S", help="how long it runs each time (5)")
    parser.add_argument("--peers", type=names, metavar="A,B", help=f"only these of: {peers}")
    parser.add_argument("--peers-only", action="store_true", help="leave this server out")
    workloads = [*(each.name for each in WORKLOADS), ALL]
    parser.add_argument("--workload", choices=workloads, default="plain", help="what they do (plain)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured to FILE")
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 5)
    options.seconds = options.seconds or (2 if options.quick else 5)
    return options


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def names(text: str) -> list[str]:
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    known = [server.name for server in SERVERS if server.name != OURS]
    for name in wanted:
        if name not in known:
            raise argparse.ArgumentTypeError(f"unknown peer {name!r}; known: {', '.join(known)}")
    return wanted


def requireTools(workloads: list[Workload]) -> None:
    if not Path("/proc/self/stat").exists():
        refuse("CPU time and memory are read from /proc: this needs Linux")
    for tool in {each.tool for each in workloads if each.tool}:
        if shutil.which(tool) is None:
            refuse(f"'{tool}' is not installed (Debian: apt install {DEBIAN[tool]})")
    for module in {each.module for each in workloads if each.module}:
        if find_spec(module) is None:
            refuse(f"'{module}' is not installed ({sys.executable} -m pip install {module})")


def chosen(peers: list[str] | None, peersOnly: bool) -> list[Server]:
    wanted = [server for server in SERVERS if server.name == OURS or peers is None or server.name in peers]
    return [server for server in wanted if not (peersOnly and server.name == OURS)]


def available(servers: list[Server], workload: Workload) -> list[Server]:
    """Peers may be missing, and are named; this server may not."""
    return [server for server in servers if isAvailable(server, workload)] or refuse("nothing to measure")


def isAvailable(server: Server, workload: Workload) -> bool:
    if workload.name not in server.workloads:
        tell(f"skipped: {server.name} does not serve the workload {workload.name!r}")
        return False
    if canImport(server):
        return True
    if server.name == OURS:
        refuse(f"{OURS} cannot be imported by {sys.executable} (--peers-only measures the others)")
    tell(f"skipped: {server.name}, cannot import {', '.join(server.imports)}")
    return False


def introduce(options: argparse.Namespace, cores: Cores) -> None:
    tell(", ".join(f"{name} {number}" for name, number in versions().items()))
    tell(f"{options.workload}: {options.rounds} x {options.seconds} s; {placement(cores)}")


def placement(cores: Cores) -> str:
    if cores.server is None:
        return "NOT PINNED: client and server share what there is, mistrust the numbers"
    return f"server on core {cores.server}, client on core {cores.client}"


def publish(runs: list[Results], options: argparse.Namespace, cores: Cores) -> int:
    """What the tables do not say; the exit status."""
    if len(runs) > 1:
        print(overview(runs))
    if options.json is not None:
        options.json.write_text(json.dumps(everything(runs, options, cores), indent=2) + "\n")
    failures = [failure for results in runs for failure in results.failures]
    if failures:
        print(f"\n*** {len(failures)} FAILED: these numbers are not to be trusted ***")
    wrong = failures + [line for results in runs for line in excess(results)]
    for line in wrong:
        print(f"*** {line}")
    return 1 if wrong else 0


def everything(runs: list[Results], options: argparse.Namespace, cores: Cores) -> dict[str, Any]:
    return {
        "rounds": options.rounds,
        "seconds": options.seconds,
        "cores": asdict(cores),
        "versions": versions(),
        "workloads": [document(results) for results in runs],
    }


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def refuse(reason: str) -> NoReturn:
    tell(f"benchmarks/run.py: {reason}")
    sys.exit(2)


if __name__ == "__main__":
    sys.exit(main())
