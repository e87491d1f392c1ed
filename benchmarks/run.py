"""Measure this server against its peers: ``python benchmarks/run.py`` (`README.md` tells how to read it).

Exit status: 0 if everything was measured, 1 if a request or a server failed or this server takes too much
memory, 2 if it could not begin.
"""

from __future__ import annotations

import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NoReturn

from harness.archive import readJson, writeJson
from harness.machine import chooseCores, raiseDescriptorLimit
from harness.measure import Benchmark, Run
from harness.options import Options, parseOptions
from harness.peers import QT_MODULES, SERVERS
from harness.process import canImport
from harness.report import chapter, circumstances, excess
from harness.rst import writeRst
from harness.server import OURS, Server
from harness.tables import overview, text
from harness.target import Credentials
from harness.workloads import Workload

#: The packages that the tools are in.
DEBIAN = {"wrk": "wrk", "h2load": "nghttp2-client"}


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))  # so that the server under test is stopped
    options = parseOptions()
    requireModules(["matplotlib"] if options.plot else [])
    runs, about = shownAgain(options) if options.sources else measured(options)
    return publish(runs, about, options)


def measured(options: Options) -> tuple[list[Run], list[str]]:
    """A run, and what is to be known about it."""
    requireTools(options.workloads)
    raiseDescriptorLimit()
    cores = chooseCores()
    about = circumstances(options.rounds, options.seconds, cores)
    for line in about:
        tell(line)
    runs = []
    with credentials(options.workloads) as found:
        for workload in options.workloads:
            servers = available(chosen(options), workload)
            runs.append(Benchmark(workload, cores, options.rounds, options.seconds, found, tell).run(servers))
            print(chapter(runs[-1]), flush=True)
            save(runs, about, options)  # what there is of it, should the rest be broken off
    return runs, about


def shownAgain(options: Options) -> tuple[list[Run], list[str]]:
    """Earlier runs, one behind the other."""
    runs, about = [], []
    for path in options.sources:
        more, lines = readJson(path)
        runs += more
        about += [line for line in lines if line not in about]
    for run in runs:
        print(chapter(run))
    return runs, about


@contextmanager
def credentials(workloads: list[Workload]) -> Iterator[Credentials | None]:
    """A key and a certificate, for as long as the block lasts, if there is need of them."""
    if not any(each.tls for each in workloads):
        yield None
        return
    from harness.certificate import makeCredentials  # needs `cryptography`, as this server does

    with TemporaryDirectory() as folder:
        yield makeCredentials(Path(folder))


def requireTools(workloads: list[Workload]) -> None:
    if not Path("/proc/self/stat").exists():
        refuse("CPU time and memory are read from /proc: this needs Linux")
    for tool in {each.tool for each in workloads if each.tool}:
        if shutil.which(tool) is None:
            refuse(f"'{tool}' is not installed (Debian: apt install {DEBIAN[tool]})")
    requireModules([each.module for each in workloads if each.module])


def requireModules(modules: list[str]) -> None:
    for module in modules:
        if find_spec(module) is None:
            refuse(f"'{module}' is not installed ({sys.executable} -m pip install {module})")


def chosen(options: Options) -> list[Server]:
    peers = [server for server in SERVERS if options.peers is None or server.name in options.peers]
    ours = [server for server in SERVERS if server.name == OURS and not options.peersOnly]
    wanted = ours + [server for server in peers if server.name != OURS]
    return [withPython(server, options.qtPython) for server in wanted]


def withPython(server: Server, qtPython: str | None) -> Server:
    """Qt may be in an environment of its own: its last version for this needs Python 3.11 or less."""
    return replace(server, python=qtPython) if qtPython and server.imports == QT_MODULES else server


def available(servers: list[Server], workload: Workload) -> list[Server]:
    """Peers may be missing, and are named; this server may not."""
    serving = [server for server in servers if workload.name in server.workloads]
    found = [server for server in serving if canImport(server)]
    for server in serving:
        if server not in found:
            skip(server)
    return found or refuse(f"nothing to measure under {workload.name!r}")


def skip(server: Server) -> None:
    if server.name == OURS:
        refuse(f"{OURS} cannot be imported by {sys.executable} (--peers-only measures the others)")
    tell(f"skipped: {server.name}, {server.python} cannot import {', '.join(server.imports)}")


def publish(runs: list[Run], about: list[str], options: Options) -> int:
    """What the tables do not say; the exit status."""
    if len([run for run in runs if run.workload.drive]) > 1:
        print(text(overview(runs)))
    save(runs, about, options)
    failures = [failure for run in runs for failure in run.results.failures]
    if failures:
        print(f"\n*** {len(failures)} FAILED: these numbers are not to be trusted ***")
    wrong = failures + [line for run in runs for line in excess(run)]
    for line in wrong:
        print(f"*** {line}")
    return 1 if wrong else 0


def save(runs: list[Run], about: list[str], options: Options) -> None:
    if options.json is not None:
        writeJson(options.json, runs, about)
    if options.rst is not None:
        writeRst(options.rst, runs, about)
    if options.plot is not None:
        from harness.plot import writePlot

        writePlot(options.plot, runs)


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def refuse(reason: str) -> NoReturn:
    tell(f"benchmarks/run.py: {reason}")
    sys.exit(2)


if __name__ == "__main__":
    sys.exit(main())
