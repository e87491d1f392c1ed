"""Start-up: from the command to the first answer, the whole process with its interpreter and imports."""

from __future__ import annotations

import time

from .errors import Failed
from .machine import pinnedTo
from .process import launched
from .procfs import cpuSeconds, residentKiB
from .stage import Stage
from .survey import Survey
from .target import Target
from .verify import answer

CPU = "ms CPU"


def take(stage: Stage) -> list[float]:
    """Milliseconds of CPU time and on the clock, and resident MiB; the first start only fills the caches."""
    _start(stage)
    return _start(stage)


def _start(stage: Stage) -> list[float]:
    begin = time.monotonic()
    with launched(stage.server, stage.cores.server) as launch, pinnedTo(stage.cores.client):
        target = launch.whenListening(pause=0.002)
        stage.verify(target, stage.path)
        taken = time.monotonic() - begin
        figures = [cpuSeconds(target.pid) * 1e3, taken * 1e3, residentKiB(target.pid) / 1024]
        if stage.server.late:
            _requireLate(target, stage.server.late)
    return figures


def _requireLate(target: Target, late: tuple[str, ...]) -> None:
    """None of these packages is loaded before it is needed."""
    with answer(target, "/modules") as response:
        loaded = {name.partition(".")[0] for name in response.read().decode().split()}
    if "twisted" not in loaded:
        raise Failed("/modules does not tell what is loaded")
    if early := loaded.intersection(late):
        raise Failed(f"loaded at start: {', '.join(sorted(early))}")


STARTUP = Survey((CPU, "ms clock", "MiB"), take, CPU)
