"""What can be set: limits, deadlines, filters.  Frozen records, checked when they are made.

Each field carries its own rule, so the tables below say everything there is to know about a value.
"""

from __future__ import annotations

__all__ = ["Http2Configuration", "HttpServerConfiguration", "configurationFromToml"]

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Any, TypeVar

from .headers import HttpHeaders

Network = IPv4Network | IPv6Network
Rule = Callable[[Any], Any]
Record = TypeVar("Record", "HttpServerConfiguration", "Http2Configuration")


def _ruled(default: Any, rule: Rule, unlimited: bool = False) -> Any:
    """A field of a record.

    :param rule: returns the value to store; raises TypeError or ValueError that says what is allowed.
    :param unlimited: None is allowed, and means no limit.
    """
    return field(default=default, metadata={"rule": rule, "unlimited": unlimited})


def _number(kinds: type | tuple[type, ...], fits: Callable[[Any], bool], allowed: str) -> Rule:
    def rule(value: Any) -> Any:
        # True is an int to Python, and a slip of the pen here.
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise TypeError(allowed)
        if not fits(value):
            raise ValueError(allowed)
        return value

    return rule


def _size(default: int | None, highest: float = math.inf) -> Any:
    """A size or count: an inclusive limit, 0 for nothing allowed, None for no limit."""
    upTo = "" if highest == math.inf else f" up to {highest}"
    allowed = f"must be an int from 0{upTo}; use None for no limit"
    rule = _number(int, lambda value: 0 <= value <= highest, allowed)
    return _ruled(default, lambda value: None if value is None else rule(value), unlimited=True)


def _rate(default: int) -> Any:
    """A rate or a cap on connections: 0 is off."""
    return _ruled(default, _number(int, lambda value: value >= 0, "must be an int from 0; 0 is off"))


def _within(default: int, lowest: int, highest: int) -> Any:
    """An int that a protocol confines to a range."""
    allowed = f"must be an int from {lowest} to {highest}"
    return _ruled(default, _number(int, lambda value: lowest <= value <= highest, allowed))


def _seconds(default: float, zero: str = "") -> Any:
    """A time; `zero` says what 0 means where it is allowed."""
    allowed = f"must be finite seconds from 0; 0 is {zero}" if zero else "must be finite seconds above 0"

    def fits(value: float) -> bool:
        return 0 < value < math.inf or (value == 0 and zero != "")

    return _ruled(default, _number((int, float), fits, allowed))


def _members(values: Any, hint: str) -> list[Any]:
    # These are iterable, one character or one address at a time, which nobody means.
    if isinstance(values, str | bytes | Network):
        raise TypeError(hint)
    try:
        return list(values)
    except TypeError:
        raise TypeError(hint) from None


def _networks(values: Any) -> tuple[Network, ...]:
    return tuple(map(_network, _members(values, 'must be a list of networks, such as ["10.0.0.0/8"]')))


def _network(value: Any) -> Network:
    # ip_network() would take an int or bytes, too: an address in disguise.
    if not isinstance(value, str | IPv4Address | IPv6Address | Network):
        raise TypeError(f"{value!r} must be a str or a network or address of ipaddress")
    network = ip_network(value)
    mapped = network.network_address.ipv4_mapped if isinstance(network, IPv6Network) else None
    # Peers are normalised in the same way; a mapped network would never meet one.
    return IPv4Network((mapped, network.prefixlen - 96)) if mapped else network


def _origins(values: Any) -> tuple[str, ...] | None:
    hint = 'must be None or a list of str, such as ["https://example.com"]'
    if values is None:
        return None
    origins = _members(values, hint)
    if not all(isinstance(origin, str) for origin in origins):
        raise TypeError(hint)
    return tuple(origins)


def _fieldValue(value: Any) -> str:
    return HttpHeaders([("Server", value)])["Server"]


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("must be True or False")
    return value


def _validate(record: Any) -> None:
    for each in fields(record):
        value = getattr(record, each.name)
        try:
            normal = each.metadata["rule"](value)
        except (TypeError, ValueError) as error:
            kind = TypeError if isinstance(error, TypeError) else ValueError
            raise kind(f"{each.name} = {value!r}: {error}") from None
        object.__setattr__(record, each.name, normal)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpServerConfiguration:
    """How a server treats its peers: Qt's `QHttpServerConfiguration`, and more of the kind.

    Sizes and counts are inclusive: 0 allows nothing, None (Qt's -1) everything.  Rates and caps on
    connections: 0 is off.  Times are seconds, and total deadlines unless said otherwise.

    :ivar rateLimitPerSecond: requests a second that one peer may send; more get 429 (Qt 6.9).
    :ivar keepAliveTimeout: seconds an idle connection is kept; 0 closes it after the answer (Qt 6.10).
    :ivar whitelist: networks that alone may connect; empty for all.  `str` or those of `ipaddress`; read
        back as a tuple of `IPv4Network` and `IPv6Network`, IPv4-mapped ones as IPv4 (Qt 6.10).
    :ivar blacklist: networks that may not connect, asked when `whitelist` is empty; as there (Qt 6.10).
    :ivar maximumUrlSize: octets of a request target.
    :ivar maximumTotalHeaderSize: octets of a header section, the sum of its fields.
    :ivar maximumHeaderFieldSize: octets of one field: its name, its value and 1.
    :ivar maximumHeaderFieldCount: fields of a header section.
    :ivar maximumBodySize: octets of a request's content that are kept for it.
    :ivar maximumConnections: connections at a time.
    :ivar maximumConnectionsPerHost: connections at a time from one IPv4 address or IPv6 /64.
    :ivar handshakeTimeout: seconds for the TLS handshake.
    :ivar headerTimeout: seconds for a request's head, and until a new connection sends one.
    :ivar bodyTimeout: seconds without any content arriving, while it is being read.
    :ivar minimumBodyRate: octets a second of content, over any 10 seconds; 0 is off.
    :ivar writeTimeout: seconds without the peer taking any of the answer.
    :ivar drainTimeout: seconds that `close` lets exchanges finish; 0 cuts them off.
    :ivar closeTimeout: seconds for a closing connection to go, before it is aborted.
    :ivar handlerTimeout: seconds that a handler may take to answer, or to write more; 0 is off.
    :ivar maximumPendingWebSockets: WebSockets that wait to be taken; one more gets 503.
    :ivar maximumWebSocketMessageSize: octets of a WebSocket message.
    :ivar webSocketPingInterval: seconds between pings; 0 is off.
    :ivar webSocketPingTimeout: seconds for the pong to come.
    :ivar allowedOrigins: origins that may open a WebSocket; ``["*"]`` for all, None for no Origin or the
        request's own host (RFC 6455 section 10.2).  Read back as a tuple.
    :ivar perMessageDeflate: compress WebSocket messages where the peer can (RFC 7692).
    :ivar serverHeader: the Server field of answers; empty for none (RFC 9110 section 10.2.4).
    :raises ValueError: a value is out of its range; the message names the field.
    :raises TypeError: a value is of the wrong type; likewise.
    """

    rateLimitPerSecond: int = _rate(0)
    keepAliveTimeout: float = _seconds(15, zero="no keep-alive")
    # Collections of Any: one type cannot say that strings go in and networks come out.
    whitelist: Collection[Any] = _ruled((), _networks)
    blacklist: Collection[Any] = _ruled((), _networks)
    maximumUrlSize: int | None = _size(65536)
    maximumTotalHeaderSize: int | None = _size(65536)
    maximumHeaderFieldSize: int | None = _size(49152)
    maximumHeaderFieldCount: int | None = _size(128)
    maximumBodySize: int | None = _size(32 * 1024 * 1024)
    maximumConnections: int = _rate(0)
    maximumConnectionsPerHost: int = _rate(0)
    handshakeTimeout: float = _seconds(10)
    headerTimeout: float = _seconds(10)
    bodyTimeout: float = _seconds(30)
    minimumBodyRate: int = _rate(500)
    writeTimeout: float = _seconds(30)
    drainTimeout: float = _seconds(30, zero="at once")
    closeTimeout: float = _seconds(5)
    handlerTimeout: float = _seconds(0, zero="off")
    maximumPendingWebSockets: int | None = _size(30)
    maximumWebSocketMessageSize: int | None = _size(1024 * 1024)
    webSocketPingInterval: float = _seconds(20, zero="off")
    webSocketPingTimeout: float = _seconds(20)
    allowedOrigins: Collection[str] | None = _ruled(None, _origins)
    perMessageDeflate: bool = _ruled(False, _flag)
    serverHeader: str = _ruled("", _fieldValue)

    def __post_init__(self) -> None:
        _validate(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Http2Configuration:
    """How a server speaks HTTP/2: Qt's `QHttp2Configuration`.

    :ivar sessionReceiveWindowSize: octets of content in flight on a connection, 65535 to 2**31 - 1
        (RFC 9113 section 6.9).
    :ivar streamReceiveWindowSize: octets of content in flight on a stream, 1 to 2**31 - 1
        (SETTINGS_INITIAL_WINDOW_SIZE).
    :ivar maxFrameSize: octets of a frame's payload that a peer may send, 16384 to 2**24 - 1
        (SETTINGS_MAX_FRAME_SIZE).
    :ivar maxConcurrentStreams: requests at a time on a connection (SETTINGS_MAX_CONCURRENT_STREAMS).
    :ivar huffmanCompressionEnabled: whether the fields of answers are Huffman-coded (RFC 7541 section 5.2).
    :ivar maximumHeaderListSize: octets of a header section, 32 added for each field; None for no limit
        (SETTINGS_MAX_HEADER_LIST_SIZE).  Ours.
    :raises ValueError: a value is out of its range; the message names the field.
    :raises TypeError: a value is of the wrong type; likewise.
    """

    sessionReceiveWindowSize: int = _within(1024 * 1024, 65535, 2**31 - 1)
    streamReceiveWindowSize: int = _within(65535, 1, 2**31 - 1)
    maxFrameSize: int = _within(16384, 16384, 2**24 - 1)
    maxConcurrentStreams: int = _within(100, 0, 2**32 - 1)
    huffmanCompressionEnabled: bool = _ruled(True, _flag)
    maximumHeaderListSize: int | None = _size(65536, highest=2**32 - 1)

    def __post_init__(self) -> None:
        _validate(self)


def configurationFromToml(text: str) -> tuple[HttpServerConfiguration, Http2Configuration]:
    """Both records from a configuration file: the first's fields at the top level, the table `[http2]`.

    TOML has no None: for a size or count, ``"unlimited"`` stands for it.

    :raises ValueError: the text is no TOML, or has a key or a value that is not allowed.
    """
    # Imported here, because most servers have no such file, and it costs start-up time.
    import tomllib

    try:
        table = tomllib.loads(text)
        http2 = table.pop("http2", {})
        if not isinstance(http2, dict):
            raise TypeError(f"http2 = {http2!r}: must be a table")
        return _record(HttpServerConfiguration, table, ["http2"]), _record(Http2Configuration, http2)
    except TypeError as error:
        # To the author of a file, a wrong type is a wrong value.
        raise ValueError(str(error)) from error


def _record(kind: type[Record], table: Mapping[str, Any], others: Collection[str] = ()) -> Record:
    known: dict[str, Field[Any]] = {each.name: each for each in fields(kind)}
    for key in table:
        if key not in known:
            raise ValueError(f"{key} is no key of {kind.__name__}{_suggestion(key, [*known, *others])}")
    return kind(**{key: _fromToml(known[key], value) for key, value in table.items()})


def _suggestion(key: str, known: list[str]) -> str:
    near = get_close_matches(key, known, 1)
    return f"; did you mean {near[0]}?" if near else ""


def _fromToml(each: Field[Any], value: Any) -> Any:
    return None if value == "unlimited" and each.metadata["unlimited"] else value
