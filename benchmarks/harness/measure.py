"""Run the servers against each other, round by round, and keep what was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from .catalogue import Server, Workload
from .errors import Failed
from .idle import idleKiB
from .machine import Cores, pinnedTo
from .process import Running, running
from .procfs import cpuSeconds, peakKiB

WARM_UP = 1  # seconds


@dataclass(frozen=True)
class Sample:
    """One server in one round."""

    requestsPerSecond: float
    cpuMicros: float
    peakKiB: int


@dataclass
class Results:
    """:ivar samples: for each server, the sample of each round that did not fail."""

    servers: list[Server]
    samples: dict[str, dict[int, Sample]] = field(default_factory=dict)
    idleKiB: dict[str, float] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Benchmark:
    """:ivar tell: takes one line of progress."""

    workload: Workload
    cores: Cores
    rounds: int
    seconds: int
    tell: Callable[[str], None]

    def run(self, servers: list[Server]) -> Results:
        """A B C, A B C, ...: what disturbs the machine for a while disturbs all of them."""
        results = Results(servers, {server.name: {} for server in servers})
        for number in range(1, self.rounds + 1):
            for server in servers:
                measure = partial(self._speed, results, server, number)
                self._attempt(results, f"round {number}: {server.name}", measure)
        for server in servers:
            measure = partial(self._idle, results, server)
            self._attempt(results, f"idle connections: {server.name}", measure)
        return results

    def _attempt(self, results: Results, where: str, step: Callable[[], str]) -> None:
        """One failure does not stop the others; it is kept, and the run will not count as a success."""
        try:
            self.tell(f"{where}: {step()}")
        except Failed as failure:
            results.failures.append(f"{where}: {failure}")
            self.tell(f"FAILED  {where}: {failure}")

    def _speed(self, results: Results, server: Server, number: int) -> str:
        with running(server, self.cores.server) as process:
            sample = self._sample(process)
        results.samples[server.name][number] = sample
        return f"{sample.cpuMicros:.2f} us CPU per request, {sample.requestsPerSecond:,.0f} requests/s"

    def _sample(self, process: Running) -> Sample:
        self.workload.verify(process.port, self.workload.path)
        url = f"{self.workload.scheme}://127.0.0.1:{process.port}{self.workload.path}"
        with pinnedTo(self.cores.client):
            self.workload.drive(url, WARM_UP)
            before = cpuSeconds(process.pid)
            load = self.workload.drive(url, self.seconds)
            used = cpuSeconds(process.pid) - before
        return Sample(load.requests / load.seconds, used / load.requests * 1e6, peakKiB(process.pid))

    def _idle(self, results: Results, server: Server) -> str:
        with running(server, self.cores.server) as process:
            self.workload.verify(process.port, self.workload.path)
            grown = idleKiB(process, self.workload.path, self.cores.client)
        results.idleKiB[server.name] = grown
        return f"{grown:.2f} KiB per connection"
