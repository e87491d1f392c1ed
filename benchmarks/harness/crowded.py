"""What a request costs while ever more idle connections are open beside those that make requests."""

from __future__ import annotations

from .idle import crowd
from .load import wrk
from .stage import Stage
from .survey import Survey

STEPS = (10, 100, 1000, 10000)
ASCENT = f"{STEPS[-1]:,} / {STEPS[0]}"


def take(stage: Stage) -> list[float]:
    """Microseconds of CPU time per request, one figure for each step; then the last divided by the first."""
    costs = []
    with stage.verified() as target, crowd(target, stage.path, stage.cores.client) as clients:
        for count in STEPS:
            clients.grow(count)
            timed = stage.timed(wrk, target)
            costs.append(timed.cpu / timed.load.amount * 1e6)
        clients.finish()
    return [*costs, costs[-1] / costs[0]]


CROWDED = Survey((*(f"us, {count:,} open" for count in STEPS), ASCENT), take, f"us, {STEPS[-1]:,} open")
