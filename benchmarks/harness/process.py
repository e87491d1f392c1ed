"""Start a server on a free port, wait until it listens, stop it with all its children."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryFile
from typing import IO

from .catalogue import PROJECT, Server
from .errors import Failed
from .machine import pinnedTo
from .target import Credentials, Target

PATIENCE = 15.0  # seconds, to start
GRACE = 5.0  # seconds, to stop


@contextmanager
def running(server: Server, core: int | None, credentials: Credentials | None = None) -> Iterator[Target]:
    """The server, listening, for as long as the block lasts; what it printed is part of any failure."""
    port = freePort()
    tls = [] if credentials is None else ["--tls", *map(str, credentials)]
    with TemporaryFile("w+") as output:
        process = _start(server.command(sys.executable, port) + tls, core, output)
        try:
            _waitUntilListening(process, port)
            yield Target(process.pid, port, credentials and credentials.certificate)
            if process.poll() is not None:
                raise Failed(f"died with {process.returncode}")
        except Failed as failure:
            raise Failed(f"{failure}{_lastLines(output)}") from failure
        finally:
            _stop(process)


def canImport(server: Server) -> bool:
    """Tried in a fresh interpreter: finding a module is not yet being able to import it."""
    command = [sys.executable, "-c", f"import {', '.join(server.imports)}"]
    return subprocess.run(command, env=_environment(), capture_output=True, check=False).returncode == 0


def freePort() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
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
        )


def _waitUntilListening(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise Failed(f"ended with {process.returncode} before it listened")
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise Failed(f"did not listen within {PATIENCE:.0f} s")


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
