"""Autobahn's WebSocket test cases, which `kosoku` runs, against `echoserver`: every one must pass strictly.

``python autobahncases.py [quick | full | GROUP...]``: ``quick``, the default, leaves out the groups that take
their time, 9 (long messages) and 12 and 13 (permessage-deflate); ``full`` does not.

Exit status: 0 if every case was there and went as it must, 1 otherwise.
"""

from __future__ import annotations

__all__ = ["COMPRESSED", "GROUPS", "INFORMATIONAL", "Verdict", "judge", "main", "readArguments"]

import asyncio
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from select import select
from typing import IO, TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from kosoku._kosoku import CaseResult

#: How many cases each group has.
GROUPS = {1: 16, 2: 11, 3: 7, 4: 10, 5: 20, 6: 145, 7: 37, 9: 54, 10: 1, 12: 90, 13: 126}
LONG = (9,)
COMPRESSED = (12, 13)
QUICK = tuple(group for group in GROUPS if group not in LONG + COMPRESSED)

#: What RFC 6455 leaves to the server: data behind a close frame, and close codes that mean nothing.
INFORMATIONAL = ("7.1.6", "7.13.1", "7.13.2")

#: How many compressed cases run at a time: zlib keeps both sides busy, and neither should wait for the other.
#: With many more, one server could not be done with each in the time that it has, up to eight minutes.
PARALLEL = 3
#: Seconds for the server to start, and to stop.
PATIENCE = 60


class Verdict(NamedTuple):
    """What became of one case.

    :ivar case: such as ``"6.4.1"``.
    :ivar behavior: what Autobahn calls it: ``"OK"``, ``"NON-STRICT"``, ``"FAILED"`` and others.
    :ivar close: the same for the end of the connection.
    :ivar story: more of it, for a reader.
    """

    case: str
    behavior: str
    close: str
    story: str = ""

    @property
    def isGood(self) -> bool:
        """Whether it is what it must be."""
        return self.behavior == self.close == ("INFORMATIONAL" if self.case in INFORMATIONAL else "OK")


def main(arguments: Sequence[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is stopped
    groups = readArguments(arguments)
    options = ["--deflate"] if {*groups} & {*COMPRESSED} else []
    verdicts: list[Verdict] = []
    with tempfile.TemporaryFile() as log:
        with echoServer(options, log) as (server, port):
            for group in groups:
                verdicts += runGroup(group, port)
        complaints = [*judge(groups, verdicts), *judgeServer(server.returncode, log)]
    say(f"{len(verdicts)} cases: {summary(verdicts)}")
    for complaint in complaints:
        say(f"BAD {complaint}")
    return 1 if complaints else 0


def readArguments(words: Sequence[str]) -> list[int]:
    """The groups that the command line asks for, each once."""
    sets: dict[str, Iterable[int]] = {str(group): (group,) for group in GROUPS}
    sets |= {"quick": QUICK, "full": GROUPS}
    if unknown := [word for word in words if word not in sets]:
        raise SystemExit(f"{unknown[0]!r} is none of {', '.join(sets)}")
    asked = {group for word in words or ["quick"] for group in sets[word]}
    return [group for group in GROUPS if group in asked]


def runGroup(group: int, port: int) -> list[Verdict]:
    """Run the cases of `group`, and say how it went."""
    started = time.monotonic()
    verdicts = asyncio.run(askKosoku(f"ws://127.0.0.1:{port}", group))
    took = time.monotonic() - started
    say(f"group {group:2}: {len(verdicts):3} cases in {took:6.1f} s: {summary(verdicts)}")
    return verdicts


async def askKosoku(url: str, group: int) -> list[Verdict]:
    """Let kosoku run the cases of `group`."""
    from kosoku import FailureError, run_fuzzingclient

    atOnce = PARALLEL if group in COMPRESSED else 1
    try:
        results = await run_fuzzingclient(url, [f"{group}.*"], concurrency=atOnce)
    except FailureError as failure:
        results = failure.results
    return [
        Verdict(each.case_id, each.behavior.value, each.behavior_close.value, story(each)) for each in results
    ]


def story(result: CaseResult) -> str:
    received, expected = (f"{events!r:.200}" for events in (result.received, result.expected))
    return f"{result.result} {result.result_close} Received: {received}; expected: {expected}."


def judge(groups: Iterable[int], verdicts: Sequence[Verdict]) -> Iterator[str]:
    """What there is to complain of: cases that did not go as they must, or did not run."""
    ran = Counter(int(case.partition(".")[0]) for case in {verdict.case for verdict in verdicts})
    for group in groups:
        if ran[group] != GROUPS[group]:
            yield f"group {group}: {ran[group]} cases instead of {GROUPS[group]}"
    for each in verdicts:
        if not each.isGood:
            yield f"case {each.case}: {each.behavior}, close: {each.close}. {each.story}"


def summary(verdicts: Iterable[Verdict]) -> str:
    """How many of which kind."""
    kinds = Counter(dict.fromkeys(("OK", "NON-STRICT", "INFORMATIONAL", "FAILED"), 0))
    kinds.update(each.behavior for each in verdicts)
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items())


def judgeServer(status: int | None, log: IO[bytes]) -> Iterator[str]:
    """A server that ends badly, or has errors to tell of, is no better than a case that fails."""
    said = contents(log)
    if status != 0 or said:
        yield f"server: ended with {status}, and said:\n{said}"


def contents(log: IO[bytes]) -> str:
    log.seek(0)
    return log.read().decode(errors="replace")


@contextmanager
def echoServer(options: Sequence[str], log: IO[bytes]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A server in a process of its own, as kosoku has modules with Autobahn's names; and its port."""
    command = [sys.executable, str(Path(__file__).with_name("echoserver.py")), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log) as server:
        try:
            yield server, readPort(server, log)
            server.terminate()
            server.wait(PATIENCE)
        finally:
            server.kill()


def readPort(server: subprocess.Popen[bytes], log: IO[bytes]) -> int:
    assert server.stdout is not None
    isReady = select([server.stdout], [], [], PATIENCE)[0]
    line = server.stdout.readline() if isReady else b""
    if not line:
        raise SystemExit(f"the server did not start:\n{contents(log)}")
    return int(line)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
