"""What a `ProxyFactory` needs of a server, where there is none."""

from __future__ import annotations

__all__ = ["Host"]

from typing import Any

from txabstracthttp import HttpServerConfiguration


class Host:
    """Fills `txabstracthttp._proxy.ProxyHost`.

    :ivar timeout: `handshakeTimeout`; `most`: `maximumConnections`.
    :ivar came: the transports that were accepted.
    """

    def __init__(self, timeout: float = 10.0, most: int = 0) -> None:
        self.timeout, self.most = timeout, most
        self.came: list[Any] = []

    @property
    def configuration(self) -> HttpServerConfiguration:
        """The limits as they are now."""
        return HttpServerConfiguration(handshakeTimeout=self.timeout, maximumConnections=self.most)

    def accepted(self, transport: Any) -> None:
        """One more."""
        self.came.append(transport)
