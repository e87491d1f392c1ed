"""The command line of twistd, twist and ``python -m``: from options to a service that runs.

What a person gets wrong ends the process with status 1 and one line on stderr, whoever runs us.
"""

from __future__ import annotations

__all__ = ["Options", "ServerService", "StartError", "makeService"]

import atexit
import inspect
import os
import signal
import sys
from collections.abc import Sequence
from functools import reduce
from importlib import import_module
from pathlib import Path
from traceback import extract_tb
from types import FrameType
from typing import Any, NoReturn

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger, LoggingFile
from twisted.python import usage
from twisted.python.failure import Failure

from .accesslog import AccessLog
from .configuration import configurationFromToml
from .demo import DemoServer
from .server import AbstractHttpServer
from .service import HttpServerService

_log = Logger()

DEFAULT_ENDPOINT = "tcp:8080:interface=127.0.0.1"


class StartError(SystemExit, Exception):
    """Why the process ends before it serves, in one line.

    As a `SystemExit` it is printed by the interpreter, without a traceback, and the status is 1.  As an
    `Exception` twistd notices it: the file with the process id is removed, and the parent of a daemon told.
    """

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
        self.code = f"txabstracthttp: {self}"


class Options(usage.Options):
    """What the command line may say."""

    synopsis = "[options]"
    longdesc = "Serves HTTP: a subclass of AbstractHttpServer of yours, or a demo."

    optParameters = [
        ["server", None, None, "The server, as package.module:Class; the current directory is searched too."],
        ["configuration", None, None, "A TOML file with limits, deadlines and filters."],
        ["access-log", None, None, "A file to append a line to for each request; SIGUSR1 reopens it."],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["listen"] = []

    def opt_listen(self, endpoint: str) -> None:
        """
        An endpoint to serve on, such as tcp:8080; may be repeated. [default: tcp:8080:interface=127.0.0.1]
        """
        self["listen"].append(endpoint)

    def parseArgs(self, *arguments: str) -> None:
        """There is nothing but options."""
        if arguments:
            raise usage.UsageError(f"unexpected argument {arguments[0]!r}")

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Read the command line.

        :param options: its words; None for those of this process.
        :raises StartError: it makes no sense.
        """
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            # Each runner has a way of its own with these, and prints all its options with them.
            raise StartError(f"{error} (--help tells more)") from None


def makeService(options: Options) -> ServerService:
    """The service that the options describe.

    :raises StartError: they describe none.
    """
    path = options["configuration"]
    configurations = None if path is None else _readConfiguration(path)
    text = options["server"]
    server = _instantiate(DemoServer if text is None else _loadClass(text))
    if configurations is not None:
        server.setConfiguration(configurations[0])
        server.setHttp2Configuration(configurations[1])
    path = options["access-log"]
    accessLog = None if path is None else _openAccessLog(path)
    return ServerService(server, options["listen"] or [DEFAULT_ENDPOINT], accessLog)


def _readConfiguration(path: str) -> Any:
    try:
        return configurationFromToml(Path(path).read_text("utf-8"))
    except OSError as error:
        raise StartError(f"cannot read the configuration {path}: {error.strerror}") from error
    except ValueError as error:
        raise StartError(f"{path}: {error}") from error


def _openAccessLog(path: str) -> AccessLog:
    try:
        return AccessLog(path)
    except OSError as error:
        raise StartError(f"cannot write the access log {path}: {error.strerror}") from error


def _loadClass(text: str) -> type[AbstractHttpServer]:
    moduleName, _, className = text.partition(":")
    if not moduleName or not className:
        raise StartError(f"--server takes package.module:Class, not {text!r}")
    try:
        found = reduce(getattr, className.split("."), _importModule(moduleName))
    except AttributeError:
        raise StartError(f"there is no {className} in the module {moduleName}") from None
    if not isinstance(found, type) or not issubclass(found, AbstractHttpServer):
        raise StartError(f"{text} is no subclass of AbstractHttpServer")
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise StartError(f"{text} is abstract: it does not override {missing}")
    return found


def _importModule(name: str) -> Any:
    # As `python -m` does; a script in a virtual environment's bin has that folder here instead.
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise StartError(f"there is no module {error.name}") from None
        raise StartError(f"cannot import {name}: {_describe(error)}") from error
    except (Exception, SystemExit) as error:
        # A module that runs something when it is imported may end with that.
        raise StartError(f"cannot import {name}: {_describe(error)}") from error


def _instantiate(kind: type[AbstractHttpServer]) -> AbstractHttpServer:
    try:
        server = kind()
        # The first use tells if the constructor forgot that of the base class.
        server.configuration  # noqa: B018
    except Exception as error:
        raise StartError(f"cannot make a {kind.__name__}: {_describe(error)}") from error
    return server


def _describe(error: BaseException) -> str:
    """An exception and where it came from, for a person who must go by one line."""
    # The first frame is ours, which caught it; the machinery of imports says nothing either.
    frames = [each for each in extract_tb(error.__traceback__)[1:] if "importlib" not in each.filename]
    place = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


class ServerService(HttpServerService):
    """Serves, says where, and ends the process if it cannot."""

    def __init__(
        self, server: AbstractHttpServer, endpoints: Sequence[str], accessLog: AccessLog | None = None
    ) -> None:
        """
        :param endpoints: endpoint strings.
        :param accessLog: is connected to the server, and closed at the end.
        """
        # Bound here rather than there, since we want to know what becomes of each.
        super().__init__(server, ())
        self._unbound = list(endpoints)
        self._accessLog = accessLog
        self._previousHandler: Any = None
        self._hasFailed = False
        if accessLog is not None:
            server.exchangeFinished.connect(accessLog)

    def privilegedStartService(self) -> None:
        """Bind, with the privileges that the process started with.

        :raises StartError: an endpoint failed at once.  One that fails later ends the process likewise.
        """
        super().privilegedStartService()
        while self._unbound:
            self._serve(self._unbound.pop(0))

    def startService(self) -> None:
        """Serve."""
        super().startService()
        if self._accessLog is not None:
            self._previousHandler = signal.signal(signal.SIGUSR1, self._signalled)

    def stopService(self) -> Deferred[None]:
        """Let the exchanges that run be finished, then close the access log.

        :return: a Deferred that fires when that is done.
        """
        return super().stopService().addBoth(self._stopped)

    def _stopped(self, result: Any) -> Any:
        if self._accessLog is not None:
            self._accessLog.close()
        if self._previousHandler is not None:
            signal.signal(signal.SIGUSR1, self._previousHandler)
        return result

    def _signalled(self, number: int, frame: FrameType | None) -> None:
        from twisted.internet import reactor

        if callable(self._previousHandler):
            # twistd rotates its own log at the same signal.
            self._previousHandler(number, frame)
        if self._accessLog is not None:
            reactor.callFromThread(self._accessLog.reopen)  # type: ignore[attr-defined]

    def _serve(self, endpoint: str) -> None:
        bound: Deferred[Any] = maybeDeferred(self.server.bind, endpoint)
        bound.addCallback(_announce, endpoint)
        if not bound.called:
            bound.addErrback(self._failedLate, endpoint)
            return
        failures: list[Failure] = []
        bound.addErrback(failures.append)
        if failures:
            raise _echoed(_listenError(failures[0], endpoint))

    def _failedLate(self, failure: Failure, endpoint: str) -> None:
        """An endpoint took its time and then failed: the reactor is running, and must be stopped."""
        from twisted.internet import reactor

        # A service that stops cancels what it waits for, and the first failure stops it.
        if self.running and not self._hasFailed:
            self._hasFailed = True
            sys.stderr.write(f"{_echoed(_listenError(failure, endpoint)).code}\n")
            # The reactor knows no exit status.  Runners tidy up when it has stopped, and this comes last.
            atexit.register(_exitAsFailed)
            reactor.stop()


def _listenError(failure: Failure, endpoint: str) -> StartError:
    error = failure.value
    assert error is not None
    if isinstance(error, CannotListenError):
        reason = getattr(error.socketError, "strerror", None) or error.socketError
        return StartError(f"cannot listen on {endpoint}: {reason}")
    if isinstance(error, ValueError):
        return StartError(str(error))
    return StartError(f"cannot listen on {endpoint}: {_describe(error)}")


def _echoed(error: StartError) -> StartError:
    """The same; where a runner has made stderr a part of its log, it is said on the real one too."""
    if isinstance(sys.stderr, LoggingFile) and sys.__stderr__ is not None:
        sys.__stderr__.write(f"{error.code}\n")
    return error


def _exitAsFailed() -> NoReturn:
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            stream.flush()
    os._exit(1)


def _announce(port: IListeningPort, endpoint: str) -> None:
    _log.info("serving on {url}", url=_url(port, endpoint))


def _url(port: IListeningPort, endpoint: str) -> str:
    """Where a port can be reached: a URL, or what comes nearest to it for a Unix socket."""
    from hyperlink import URL

    address: Any = port.getHost()
    host = getattr(address, "host", None)
    if host is None:
        return f"unix:{os.fsdecode(getattr(address, 'name', None) or '')}"
    isSecure = endpoint.removeprefix("haproxy:").startswith(("ssl:", "tls:"))
    scheme = "https" if isSecure else "http"
    return URL(scheme, host, [""], port=address.port, rooted=True).to_text()
