"""``python -m txabstracthttp``: serve in the foreground, and log to stderr."""

from __future__ import annotations

__all__ = ["main"]

import sys
from collections.abc import Sequence

from twisted.logger import globalLogBeginner, textFileLogObserver

from .tap import Options, makeService


def main(words: Sequence[str] | None = None) -> None:
    """Run until SIGINT or SIGTERM, and return when everything is drained.

    :param words: the command line; None for that of this process.
    :raises StartError: it cannot be done; ends the process with status 1 and one line on stderr.
    """
    options = Options()
    options.synopsis = "Usage: python -m txabstracthttp [options]"
    options.parseOptions(words)
    service = makeService(options)
    from twisted.internet import reactor

    # Logging begins when this has succeeded, so that an error stands alone; what was logged is kept for it.
    service.startService()
    globalLogBeginner.beginLoggingTo([textFileLogObserver(sys.stderr)], redirectStandardIO=False)
    reactor.addSystemEventTrigger("before", "shutdown", service.stopService)
    reactor.run()


if __name__ == "__main__":
    main()
