"""Memory per idle keep-alive connection: how much a fresh server grows while thousands of them stay open."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from sys import executable

from .errors import Failed
from .machine import pinnedTo
from .procfs import residentKiB
from .stage import Stage
from .survey import Survey
from .target import Target

CLIENT = Path(__file__).with_name("idle_client.py")
FIRST = 20  # so that caches and late imports are not counted
STEPS = (3000, 10000)


class Crowd:
    """Connections that have made one request each, and stay open."""

    def __init__(self, client: Popen[str]) -> None:
        self._client = client
        self._count = 0

    def grow(self, count: int) -> None:
        """Until there are so many."""
        assert self._client.stdin is not None
        assert self._client.stdout is not None
        print(count - self._count, file=self._client.stdin, flush=True)
        if self._client.stdout.readline().strip() != str(count):
            self._client.kill()
            raise Failed(
                f"could not open {count} connections: {self._client.communicate()[1].strip()[-300:]}"
            )
        self._count = count
        time.sleep(0.2)  # let the server come to rest

    def finish(self) -> None:
        """Close them; `Failed` unless the server has kept every one of them open."""
        output, _ = self._client.communicate()
        if output.strip() != str(self._count):
            raise Failed(f"only {output.strip()} of {self._count} idle connections were kept open")


@contextmanager
def crowd(target: Target, path: str, core: int | None) -> Iterator[Crowd]:
    command = [executable, str(CLIENT), str(target.port), path]
    with pinnedTo(core):
        client = Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True)
    with client:
        try:
            yield Crowd(client)
        finally:
            client.kill()


def take(stage: Stage) -> list[float]:
    """RSS growth of the server per connection, in KiB."""
    grown = []
    with stage.verified() as target, crowd(target, stage.path, stage.cores.client) as clients:
        clients.grow(FIRST)
        before = residentKiB(target.pid)
        for count in STEPS:
            clients.grow(FIRST + count)
            grown.append((residentKiB(target.pid) - before) / count)
        clients.finish()
    return grown


HEADINGS = tuple(f"KiB/conn, {count:,}" for count in STEPS)
IDLE = Survey(HEADINGS, take, HEADINGS[0])
