"""A server as a Twisted service: bound when the application starts, drained when it stops."""

from __future__ import annotations

__all__ = ["HttpServerService"]

from collections.abc import Sequence

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from .server import AbstractHttpServer, Endpoint

_log = Logger()


class HttpServerService(Service):
    """Binds a server when it starts, with the privileges it starts with, and closes it when it stops.

    :ivar server: the server.
    """

    name = "txabstracthttp"

    def __init__(self, server: AbstractHttpServer, endpoints: Sequence[Endpoint]) -> None:
        """
        :param endpoints: whatever `AbstractHttpServer.bind` takes, in this order.
        """
        if isinstance(endpoints, str):
            raise TypeError(f"endpoints are a list of them, not {endpoints!r}")
        self.server = server
        self._endpoints = list(endpoints)
        self._bound = False

    def privilegedStartService(self) -> None:
        """Bind, before privileges are shed: ports under 1024 and keys of root's are still in reach.

        :raises ValueError, CannotListenError: an endpoint failed at once.  One that fails later is logged.
        """
        if self._bound:
            return
        self._bound = True
        super().privilegedStartService()
        for endpoint in self._endpoints:
            self._bind(endpoint)

    def startService(self) -> None:
        """Bind, if that was not done already: under a parent that runs, nobody asks for the former."""
        self.privilegedStartService()
        super().startService()

    def stopService(self) -> Deferred[None]:
        """Close the server.

        :return: a Deferred that fires when it is drained.
        """
        super().stopService()
        self._bound = False
        return self.server.close()

    def _bind(self, endpoint: Endpoint) -> None:
        bound: Deferred[IListeningPort] = self.server.bind(endpoint)
        outcome = bound.result if bound.called else None
        if isinstance(outcome, Failure):
            bound.addErrback(lambda _: None)
            outcome.raiseException()
        bound.addErrback(self._report, endpoint)

    def _report(self, failure: Failure, endpoint: Endpoint) -> None:
        if failure.check(CancelledError):
            return  # stopped before it listened
        _log.failure("cannot serve on {endpoint!r}", failure, endpoint=endpoint)
