"""Hold our speed: the CPU time of a tiny GET against that of a bare Twisted Protocol, in the same run.

``python benchmarks/guard.py`` needs nothing but this package and Linux, and takes less than 40 seconds.  Both
servers run all the time and take turns, many short ones, so that what disturbs the machine disturbs both; the
median of the turns' ratios is what counts.  If it is above the bound, more turns decide.

Exit status: 0 if it is within the bound, 1 if it is above or a server failed, 2 if this is not Linux.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import NamedTuple

from harness.batch_client import Batch, Wrong
from harness.errors import Failed
from harness.machine import Cores, chooseCores, pinnedTo
from harness.peers import SERVERS
from harness.process import running
from harness.procfs import cpuSeconds
from harness.server import OURS, Server
from harness.target import Target
from harness.verify import helloWorld

FLOOR = "floor"
#: Generous: we aim at 1.7, and a noisy machine adds a tenth or two. It is there for what nobody noticed.
BOUND = 2.0
REQUESTS = 6400  # in a turn
WARM_UP = 3200
ROUNDS = 21
MOST = 3 * ROUNDS
LONGEST = 30.0  # seconds; a slow machine makes fewer rounds
FEWEST = 5


class Costs(NamedTuple):
    """Seconds of CPU time per request, in one round."""

    ours: float
    floor: float

    @property
    def ratio(self) -> float:
        return self.ours / self.floor


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))  # so that the servers are stopped
    bound = parseBound()
    if not Path("/proc/self/stat").exists():
        print("skipped: CPU time is read from /proc, which this system does not have")
        return 2
    try:
        costs = measure(chooseCores(), bound)
    except (Failed, OSError, Wrong) as error:
        print(f"the guard could not measure: {error}")
        return 1
    return judge(costs, bound)


def parseBound() -> float:
    parser = argparse.ArgumentParser(
        prog="benchmarks/guard.py", description="Fail if a tiny GET costs too much."
    )
    parser.add_argument(
        "--bound",
        type=float,
        default=BOUND,
        metavar="R",
        help=f"the most that ours / {FLOOR} may be ({BOUND})",
    )
    bound: float = parser.parse_args().bound
    return bound


def measure(cores: Cores, bound: float) -> list[Costs]:
    with ExitStack() as stack:
        targets = [stack.enter_context(running(named(name), cores.server)) for name in (OURS, FLOOR)]
        stack.enter_context(pinnedTo(cores.client))
        turns = [turn(target, stack) for target in targets]
        for each in turns:
            each(WARM_UP)
        return rounds(turns[0], turns[1], bound)


def named(name: str) -> Server:
    (server,) = [each for each in SERVERS if each.name == name]
    return server


def turn(target: Target, stack: ExitStack) -> Callable[[int], float]:
    """A function that makes requests and returns what each of them cost."""
    helloWorld(target, "/")
    batch = stack.enter_context(Batch(target.port))

    def take(count: int) -> float:
        before = cpuSeconds(target.pid)
        batch.run(count)
        return (cpuSeconds(target.pid) - before) / count

    return take


def rounds(ours: Callable[[int], float], floor: Callable[[int], float], bound: float) -> list[Costs]:
    """Who is first changes from round to round."""
    deadline = time.monotonic() + LONGEST
    costs: list[Costs] = []
    while not isEnough(costs, bound, time.monotonic() > deadline):
        if len(costs) % 2:
            mine, its = ours(REQUESTS), floor(REQUESTS)
        else:
            its, mine = floor(REQUESTS), ours(REQUESTS)
        costs.append(Costs(mine, its))
    return costs


def isEnough(costs: list[Costs], bound: float, isLate: bool) -> bool:
    if len(costs) < ROUNDS:
        return isLate and len(costs) >= FEWEST
    return isLate or len(costs) >= MOST or median(each.ratio for each in costs) <= bound


def judge(costs: list[Costs], bound: float) -> int:
    ratios = [each.ratio for each in costs]
    ratio = median(ratios)
    mine, its = (median(each) * 1e6 for each in zip(*costs, strict=True))
    print(
        f"tiny GET: {mine:.1f} us of CPU time; a bare Protocol: {its:.1f} us; "
        f"ratio {ratio:.2f} ({min(ratios):.2f}..{max(ratios):.2f}, {len(ratios)} rounds); bound {bound:.2f}"
    )
    if ratio > bound:
        print("TOO SLOW: find out which change it was (benchmarks/README.md, the guard)")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
