"""Measure this server against its peers: ``python benchmarks/run.py`` (`README.md` tells how to read it).

Exit status: 0 if everything was measured, 1 if a request or a server failed, 2 if it could not begin.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
from pathlib import Path
from typing import NoReturn

from harness.catalogue import OURS, SERVERS, WORKLOADS, Server, Workload
from harness.machine import Cores, chooseCores, raiseDescriptorLimit
from harness.measure import Benchmark, Results
from harness.process import canImport
from harness.report import document, table, versions


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server under test is stopped
    options = parseOptions()
    workload = next(each for each in WORKLOADS if each.name == options.workload)
    requireTools(workload)
    raiseDescriptorLimit()
    servers = available(chosen(options.peers, options.peers_only), workload)
    benchmark = Benchmark(workload, chooseCores(), options.rounds, options.seconds, tell)
    introduce(benchmark)
    results = benchmark.run(servers)
    publish(benchmark, results, options.json)
    return 1 if results.failures else 0


def parseOptions() -> argparse.Namespace:
    about = "Measure this server and its peers on the same work."
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description=about)
    peers = ", ".join(server.name for server in SERVERS if server.name != OURS)
    parser.add_argument("--quick", action="store_true", help="2 rounds of 2 seconds: a look, not a result")
    parser.add_argument("--rounds", type=positive, metavar="N", help="how often each server runs (5)")
    parser.add_argument("--seconds", type=positive, metavar="S", help="how long it runs each time (5)")
    parser.add_argument("--peers", type=names, metavar="A,B", help=f"only these of: {peers}")
    parser.add_argument("--peers-only", action="store_true", help="leave this server out")
    parser.add_argument("--workload", choices=[each.name for each in WORKLOADS], default="plain")
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


def requireTools(workload: Workload) -> None:
    if not Path("/proc/self/stat").exists():
        refuse("CPU time and memory are read from /proc: this needs Linux")
    if shutil.which(workload.tool) is None:
        refuse(f"'{workload.tool}' is not installed (Debian: apt install {workload.tool})")


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


def introduce(benchmark: Benchmark) -> None:
    tell(", ".join(f"{name} {number}" for name, number in versions().items()))
    plan = f"{benchmark.rounds} x {benchmark.seconds} s; {placement(benchmark.cores)}"
    tell(f"{benchmark.workload.name}: {plan}")


def placement(cores: Cores) -> str:
    if cores.server is None:
        return "NOT PINNED: client and server share what there is, mistrust the numbers"
    return f"server on core {cores.server}, client on core {cores.client}"


def publish(benchmark: Benchmark, results: Results, file: Path | None) -> None:
    print(f"\nMedians; rounds: {benchmark.rounds}\n\n{table(results)}")
    if file is not None:
        file.write_text(json.dumps(document(benchmark, results), indent=2) + "\n")
    if results.failures:
        print(f"\n*** {len(results.failures)} FAILED: these numbers are not to be trusted ***")
        print("\n".join(f"*** {failure}" for failure in results.failures))


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def refuse(reason: str) -> NoReturn:
    tell(f"benchmarks/run.py: {reason}")
    sys.exit(2)


if __name__ == "__main__":
    sys.exit(main())
