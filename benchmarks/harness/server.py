"""What a competitor is: a script, and what it needs."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent
PROJECT = FOLDER.parent
OURS = "txabstracthttp"


@dataclass(frozen=True)
class Server:
    """One competitor.

    :ivar arguments: a script in `servers/` and its arguments; the port is put behind the script.
    :ivar imports: the modules it needs; it is left out when one of them cannot be imported.
    :ivar workloads: names of the workloads it knows how to serve.
    :ivar late: packages that must not be loaded when it starts; its ``/modules`` lists what is.
    :ivar python: the interpreter that runs it.
    """

    name: str
    about: str
    arguments: tuple[str, ...]
    imports: tuple[str, ...]
    workloads: frozenset[str]
    late: tuple[str, ...] = ()
    python: str = sys.executable

    def command(self, port: int) -> list[str]:
        script, *rest = self.arguments
        return [self.python, str(FOLDER / "servers" / script), str(port), *rest]
