"""Look for octets that break something.

    python tests/fuzz/run.py                               all targets, for a minute together
    python tests/fuzz/run.py --seconds 600 --target http1  one of them, for ten
    python tests/fuzz/run.py --keep 10                     and keep up to ten inputs that do what is new

With atheris, which is coverage-guided, where it is installed; else with a plain loop that changes what is in
the corpus.  Each target has its own process.  The exit status is 1 if something was found: it is printed, and
left in the folder that is named.
"""

from __future__ import annotations

__all__: list[str] = []

import argparse
import base64
import hashlib
import re
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from fuzz.engines import PATIENCE
from fuzz.targets import CORPUS, TARGETS

_COVERAGE = re.compile(r"^#\d+\s+(INITED|DONE)\s+cov: (\d+)", re.MULTILINE)
_COUNT = re.compile(r"^stat::number_of_executed_units:\s+(\d+)", re.MULTILINE)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="may be said several times")
    parser.add_argument("--engine", choices=["atheris", "plain"], help="the first, if it is installed")
    parser.add_argument("--seed", type=int, default=0, help="0: another one each time")
    parser.add_argument(
        "--keep", type=int, default=0, help="add so many inputs to each corpus; needs atheris"
    )
    parser.add_argument("--folder", type=Path, help="for what is found, and for notes")
    return parser.parse_args()


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


class Work(NamedTuple):
    """What is asked for."""

    engine: str
    seed: int
    folder: Path
    keep: int

    def start(self, engine: str, name: str, seconds: float, fresh: Path) -> tuple[int, str]:
        """Run an engine to its end, in a process of its own: the status, and what it said."""
        worker = Path(__file__).with_name("engines.py")
        command = [sys.executable, str(worker), engine, name, str(seconds), str(self.seed)]
        command += [str(self.folder), str(fresh)]
        log = self.folder / f"{name}.log"
        with log.open("wb") as output:
            try:
                status = subprocess.run(
                    command,
                    stdout=output,
                    stderr=output,
                    timeout=seconds * 2 + 60 + 3 * PATIENCE,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                status = 124
        return status, log.read_text(errors="replace")

    def look(self, name: str, seconds: float) -> bool:
        """Give a target its time; whether nothing was found."""
        fresh = self.folder / f"{name}.new"
        fresh.mkdir()
        started = time.monotonic()
        status, said = self.start(self.engine, name, seconds, fresh)
        count = sum(map(int, _COUNT.findall(said)))
        line = f"{name}: {self.engine}, {count} executions, {count / max(seconds, 1):.0f} a second"
        coverage = dict(_COVERAGE.findall(said))
        if "DONE" in coverage:
            line += (
                f", coverage {coverage['INITED']} -> {coverage['DONE']}, {len([*fresh.iterdir()])} new inputs"
            )
        say(f"{line} ({time.monotonic() - started:.0f} s)")
        if status:
            self.tell(name, status, said)
        elif self.keep and "DONE" in coverage:
            self.choose(name, fresh)
        return not status

    def tell(self, name: str, status: int, said: str) -> None:
        """What was found, and where it is."""
        say(f"{name}: FOUND something (status {status}); the end of what was said:")
        say("\n".join(said.splitlines()[-60:]))
        for path in sorted(self.folder.glob(f"{name}-*")):
            data = path.read_bytes()
            say(f"{path}\n  {data!r}\n  base64: {base64.b64encode(data).decode()}")

    def choose(self, name: str, fresh: Path) -> None:
        """Add some of the inputs that do what none in the corpus does, the smallest first."""
        status, said = self.start("choose", name, 600, fresh)
        if status:
            say(f"{name}: nothing was chosen (status {status}): {said[-500:]}")
        for place in re.findall(r"^chosen (.*)$", said, re.MULTILINE)[: self.keep]:
            data = Path(place).read_bytes()
            path = CORPUS / name / f"found-{hashlib.sha1(data).hexdigest()[:10]}"
            path.write_bytes(data)
            say(f"  kept {path.name}: {data[:100]!r}")


def main() -> int:
    options = arguments()
    engine = options.engine or ("atheris" if find_spec("atheris") else "plain")
    folder = options.folder or Path(tempfile.mkdtemp(prefix="fuzz-"))
    folder.mkdir(parents=True, exist_ok=True)
    seed = options.seed or int(time.time()) % 2**31
    names = options.target or list(TARGETS)
    shares = sum(TARGETS[name].share for name in names)
    say(f"engine {engine}, seed {seed}, {folder}")
    work = Work(engine, seed, folder, options.keep)
    good = [work.look(name, options.seconds * TARGETS[name].share / shares) for name in names]
    say("nothing was found" if all(good) else "something was found")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
