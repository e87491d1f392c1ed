"""Run the servers against each other, round by round, and keep what was measured."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from .catalogue import Server, Workload
from .errors import Failed
from .idle import idleKiB
from .load import Load
from .machine import Cores, pinnedTo
from .memory import Burden, growthMiB
from .process import running
from .procfs import cpuSeconds, peakKiB
from .target import Credentials, Target

WARM_UP = 1  # seconds

Drive = Callable[[Target, str, int], Load]


@dataclass(frozen=True)
class Sample:
    """One server in one round; `cost` and `rate` in the workload's unit."""

    cost: float
    rate: float
    peakKiB: int


@dataclass
class Results:
    """:ivar samples: for each server, the sample of each round that did not fail.

    :ivar growth: for each server, how much it grew under each burden, in MiB.
    """

    workload: Workload
    servers: list[Server]
    samples: dict[str, dict[int, Sample]] = field(default_factory=dict)
    idleKiB: dict[str, float] = field(default_factory=dict)
    growth: dict[str, dict[str, float]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Benchmark:
    """:ivar credentials: for workloads over TLS.

    :ivar tell: takes one line of progress.
    """

    workload: Workload
    cores: Cores
    rounds: int
    seconds: int
    credentials: Credentials | None
    tell: Callable[[str], None]

    def run(self, servers: list[Server]) -> Results:
        results = Results(self.workload, servers, {server.name: {} for server in servers})
        if self.workload.drive is not None:
            self._rounds(results, self.workload.drive)
        if self.workload.idle:
            self._each(results, "idle connections", self._idle)
        if self.workload.growth:
            self._each(results, "growth", self._growth)
        return results

    def _rounds(self, results: Results, drive: Drive) -> None:
        """A B C, A B C, ...: what disturbs the machine for a while disturbs all of them."""
        for number in range(1, self.rounds + 1):
            self._each(results, f"round {number}", partial(self._speed, drive, number))

    def _each(self, results: Results, what: str, step: Callable[[Results, Server], str]) -> None:
        """One failure does not stop the others; it is kept, and the run will not count as a success."""
        for server in results.servers:
            where = f"{self.workload.name}: {what}: {server.name}"
            try:
                self.tell(f"{where}: {step(results, server)}")
            except Failed as failure:
                results.failures.append(f"{where}: {failure}")
                self.tell(f"FAILED  {where}: {failure}")

    def _speed(self, drive: Drive, number: int, results: Results, server: Server) -> str:
        with self._verified(server) as target:
            sample = self._sample(drive, target)
        results.samples[server.name][number] = sample
        unit = self.workload.unit
        return f"{sample.cost:.2f} {unit.cost}, {sample.rate:,.0f} {unit.rate}"

    def _sample(self, drive: Drive, target: Target) -> Sample:
        path, unit = self.workload.path, self.workload.unit
        with pinnedTo(self.cores.client):
            drive(target, path, WARM_UP)
            before = cpuSeconds(target.pid)
            load = drive(target, path, self.seconds)
            used = cpuSeconds(target.pid) - before
        cost = used / load.amount * unit.costScale
        return Sample(cost, load.amount / load.seconds * unit.rateScale, peakKiB(target.pid))

    def _idle(self, results: Results, server: Server) -> str:
        with self._verified(server) as target:
            grown = idleKiB(target, self.workload.path, self.cores.client)
        results.idleKiB[server.name] = grown
        return f"{grown:.2f} KiB per connection"

    def _growth(self, results: Results, server: Server) -> str:
        burdens = self.workload.growth
        grown = results.growth[server.name] = {each.name: self._grown(server, each) for each in burdens}
        return ", ".join(f"{grown[each.name]:.1f} MiB on {each.heading}" for each in burdens)

    def _grown(self, server: Server, burden: Burden) -> float:
        with self._verified(server) as target, pinnedTo(self.cores.client):
            return growthMiB(target, burden)

    @contextmanager
    def _verified(self, server: Server) -> Iterator[Target]:
        """A fresh server that gives the right answer."""
        credentials = self.credentials if self.workload.tls else None
        with running(server, self.cores.server, credentials) as target:
            self.workload.verify(target, self.workload.path)
            yield target
