"""Who may connect and ask: networks, caps and rates.  Nothing here knows a transport."""

from __future__ import annotations

__all__ = ["Admission"]

from collections import Counter
from collections.abc import Callable

from twisted.internet.interfaces import IAddress

from ._addresses import ipOf, peerKey
from .configuration import HttpServerConfiguration

#: So many connections at a time are told why they are refused.  Those beyond are dropped without a word: what
#: is refused must cost nothing, and to be told costs a descriptor and, over TLS, 50 KiB for seconds.
MOST_REFUSED = 100


class Admission:
    """The filters of one server (Qt's QHttpServerConfiguration: whitelist to maximumConnectionsPerHost).

    A peer is an IPv4 address or an IPv6 /64; peers without an IP address pass all but `maximumConnections`.
    Every answer is None, or the status to refuse with.
    """

    def __init__(self, configuration: HttpServerConfiguration, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._connections = self._refused = 0
        self._perPeer: Counter[bytes] = Counter()
        self._requests: Counter[bytes] = Counter()
        self._window = 0.0
        self.configure(configuration)

    def configure(self, configuration: HttpServerConfiguration) -> None:
        """Apply other filters, from the next connection and request on."""
        self._configuration = configuration
        #: Whether requests are looked at one by one; connections always are.
        self.judgesRequests = bool(
            configuration.rateLimitPerSecond or configuration.whitelist or configuration.blacklist
        )

    def connect(self, peer: IAddress) -> int | None:
        """Count a connection of `peer` in, or among the refused; `disconnect` counts it out again."""
        key = peerKey(peer)
        status = self._judgeNetwork(peer) or self._judgeCaps(key)
        if status is not None:
            self._refused += 1
        else:
            self._connections += 1
            if key is not None:
                self._perPeer[key] += 1
        return status

    @property
    def isTelling(self) -> bool:
        """Whether the connection that was refused last may be told so."""
        return self._refused <= MOST_REFUSED

    def disconnect(self, peer: IAddress, refused: bool = False) -> None:
        """Count out a connection that has gone."""
        if refused:
            self._refused -= 1
            return
        self._connections -= 1
        key = peerKey(peer)
        if key is not None:
            self._perPeer[key] -= 1
            if not self._perPeer[key]:
                del self._perPeer[key]

    def request(self, peer: IAddress) -> int | None:
        """Judge one request, and count it."""
        return self._judgeNetwork(peer) or self._judgeRate(peer)

    def _judgeNetwork(self, peer: IAddress) -> int | None:
        """The whitelist rules; the blacklist only where there is none (as in Qt 6.10)."""
        white, black = self._configuration.whitelist, self._configuration.blacklist
        if not white and not black:
            return None
        ip = ipOf(peer)
        if ip is None:
            return None
        allowed = any(ip in net for net in white) if white else not any(ip in net for net in black)
        return None if allowed else 403

    def _judgeCaps(self, key: bytes | None) -> int | None:
        total, each = self._configuration.maximumConnections, self._configuration.maximumConnectionsPerHost
        if total and self._connections >= total:
            return 429
        if each and key is not None and self._perPeer[key] >= each:
            return 429
        return None

    def _judgeRate(self, peer: IAddress) -> int | None:
        """Windows of a second, the same for all peers, so that what is remembered ages out with each."""
        limit = self._configuration.rateLimitPerSecond
        key = peerKey(peer)
        if not limit or key is None:
            return None
        now = self._seconds()
        if not 0 <= now - self._window < 1:
            self._window = now
            self._requests.clear()
        self._requests[key] += 1
        return 429 if self._requests[key] > limit else None
