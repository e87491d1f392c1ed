"""A server that runs, as those see it who connect to it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import NamedTuple

HOST = "127.0.0.1"


class Credentials(NamedTuple):
    """Where the PEM files are."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Target:
    """:ivar certificate: what it shows over TLS; None if it speaks plain HTTP."""

    pid: int
    port: int
    certificate: Path | None = None

    def url(self, path: str) -> str:
        scheme = "http" if self.certificate is None else "https"
        return f"{scheme}://{HOST}:{self.port}{path}"

    def connection(self) -> HTTPConnection:
        """Connects with the first request; over TLS 1.3, so that all the servers do the same work."""
        if self.certificate is None:
            return HTTPConnection(HOST, self.port, timeout=15)
        return HTTPSConnection(HOST, self.port, timeout=15, context=self.tlsContext())

    def tlsContext(self) -> ssl.SSLContext:
        """For clients: TLS 1.3, and nothing but the certificate that was made for the run is trusted."""
        context = ssl.create_default_context(cafile=self.certificate)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        return context
