"""Run the servers against each other, round by round, and keep what was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from .errors import Failed
from .load import Drive
from .machine import Cores
from .procfs import peakKiB
from .results import Results, Sample
from .server import Server
from .stage import Stage
from .survey import Survey
from .target import Credentials
from .workloads import Unit, Workload


class Run(NamedTuple):
    """What came of one workload."""

    workload: Workload
    servers: list[Server]
    results: Results


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

    def run(self, servers: list[Server]) -> Run:
        """A B C, A B C, ...: what disturbs the machine for a while disturbs all of them."""
        results = Results([server.name for server in servers])
        for number in range(1, self._rounds() + 1):
            for server in servers:
                self._try(results, number, server)
        return Run(self.workload, servers, results)

    def _rounds(self) -> int:
        survey = self.workload.survey
        return 1 if survey is not None and survey.isOnce else self.rounds

    def _try(self, results: Results, number: int, server: Server) -> None:
        """One failure does not stop the others; it is kept, and the run will not count as a success."""
        where = f"{self.workload.name}: round {number}: {server.name}"
        try:
            self.tell(f"{where}: {self._measure(results, number, server)}")
        except Failed as failure:
            results.failures.append(f"{where}: {failure}")
            self.tell(f"FAILED  {where}: {failure}")

    def _measure(self, results: Results, number: int, server: Server) -> str:
        workload = self.workload
        credentials = self.credentials if workload.tls else None
        stage = Stage(server, workload.path, workload.verify, self.cores, self.seconds, credentials)
        if workload.drive is not None:
            sample = sampled(stage, workload.drive, workload.unit)
            results.samples.setdefault(server.name, {})[number] = sample
            return f"{sample.cost:.2f} {workload.unit.cost}, {sample.rate:,.0f} {workload.unit.rate}"
        assert workload.survey is not None
        found = surveyed(stage, workload.survey)
        results.figures.setdefault(server.name, {})[number] = found
        return ", ".join(f"{heading}: {value:.2f}" for heading, value in found.items())


def sampled(stage: Stage, drive: Drive, unit: Unit) -> Sample:
    with stage.verified() as target:
        timed = stage.timed(drive, target)
        peak = peakKiB(target.pid)
    load = timed.load
    return Sample(timed.cpu / load.amount * unit.costScale, load.amount / load.seconds * unit.rateScale, peak)


def surveyed(stage: Stage, survey: Survey) -> dict[str, float]:
    return dict(zip(survey.headings, survey.take(stage), strict=True))
