"""What this machine offers: two cores to keep apart, and enough file descriptors."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True)
class Cores:
    """Where the client and the server run; None is anywhere."""

    client: int | None
    server: int | None


def chooseCores() -> Cores:
    """The first two cores that we may use, 0 and 1 as a rule; no pinning where there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[1]) if len(allowed) > 1 else Cores(None, None)


@contextmanager
def pinnedTo(core: int | None) -> Iterator[None]:
    """Processes started inside inherit the core, and so do all the threads and workers they start."""
    before = os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def raiseDescriptorLimit(wanted: int = 16384) -> None:
    """Children inherit it: 10,000 idle connections do not fit into the usual 1,024."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        best = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (best, hard))
