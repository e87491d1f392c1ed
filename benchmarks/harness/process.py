"""Start a server on a free port, wait until it listens, stop it with all its children."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from .errors import Failed
from .machine import pinnedTo
from .server import PROJECT, Server
from .target import HOST, Credentials, Target

PATIENCE = 15.0  # seconds, to start
GRACE = 5.0  # seconds, to stop
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Launch:
    """A server that has been started, and may not listen yet."""

    process: subprocess.Popen[bytes]
    port: int
    certificate: Path | None

    def whenListening(self, pause: float = 0.05) -> Target:
        """Try, with so many seconds between; `Failed` if it ends, or takes too long."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Failed(f"ended with {self.process.returncode} before it listened")
            with suppress(OSError), socket.create_connection((HOST, self.port), timeout=1):
                return Target(self.process.pid, self.port, self.certificate)
            time.sleep(pause)
        raise Failed(f"did not listen within {PATIENCE:.0f} s")


@contextmanager
def running(server: Server, core: int | None, credentials: Credentials | None = None) -> Iterator[Target]:
    """The server, listening, for as long as the block lasts."""
    with launched(server, core, credentials) as launch:
        yield launch.whenListening()


@contextmanager
def launched(server: Server, core: int | None, credentials: Credentials | None = None) -> Iterator[Launch]:
    """The server, starting; what it printed is part of any failure."""
    port = freePort()
    tls = [] if credentials is None else ["--tls", *map(str, credentials)]
    with TemporaryFile("w+") as output:
        process = _start(server.command(port) + tls, core, output)
        try:
            yield Launch(process, port, credentials and credentials.certificate)
            if process.poll() is not None:
                raise Failed(f"died with {process.returncode}")
        except Failed as failure:
            raise Failed(f"{failure}{_lastLines(output)}") from failure
        finally:
            _stop(process)


@cache
def canImport(server: Server) -> bool:
    """Tried in a fresh interpreter: finding a module is not yet being able to import it."""
    command = [server.python, "-c", f"import {', '.join(server.imports)}"]
    try:
        done = subprocess.run(command, env=_environment(), capture_output=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def freePort() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _environment() -> dict[str, str]:
    """This checkout comes before an installed txabstracthttp."""
    paths = [str(PROJECT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def _start(command: list[str], core: int | None, output: IO[str]) -> subprocess.Popen[bytes]:
    with pinnedTo(core):
        return subprocess.Popen(
            command,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_dieWithParent,  # noqa: PLW1509  there are no threads here
        )


def _dieWithParent() -> None:
    """Called in the child: SIGTERM when this runner is gone, even if it was killed; see prctl(2)."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask; then kill the session, so that no worker outlives its parent."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _lastLines(output: IO[str], count: int = 8) -> str:
    output.seek(0)
    return "".join(f"\n    | {line.rstrip()}" for line in output.readlines()[-count:])
