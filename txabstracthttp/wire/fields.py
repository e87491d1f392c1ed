"""Field sections (RFC 9112 section 5) read by llhttp: the header section of a request, and trailers.

llhttp is strict about the grammar but has no limits of its own, and it delivers whatever it is given; so
only whole lines are given to it, never past the end of one section, and the counting is done here.
"""

from __future__ import annotations

__all__ = [
    "FORBIDDEN_TRAILERS",
    "SMALL_SECTION",
    "FieldSection",
    "checkSizes",
    "expectsContinue",
    "isMethodKnown",
    "listed",
    "sharedSection",
]

from functools import lru_cache
from sys import maxsize

from httptools import (
    HttpParserError,
    HttpParserInvalidMethodError,
    HttpParserUpgrade,
    HttpRequestParser,
)

from .._events import Fields
from ..configuration import HttpServerConfiguration
from ..errors import HttpError
from .recall import Known, Recall
from .requestline import RequestLine

#: The fields that decide how a message is framed and what becomes of its connection.
#: (Proxy-Connection means nothing to us, but llhttp acts on it as on Connection.)
FRAMING = frozenset(
    (
        b"host",
        b"content-length",
        b"transfer-encoding",
        b"connection",
        b"proxy-connection",
        b"expect",
        b"upgrade",
    )
)

#: What a trailer section must not carry (RFC 9110 section 6.5.1): framing, routing, credentials.
FORBIDDEN_TRAILERS = FRAMING | {
    b"authorization",
    b"content-encoding",
    b"content-range",
    b"content-type",
    b"cookie",
    b"te",
    b"trailer",
}

#: No bound on white space is lower than this, so that sections up to this size need no look at it.
SMALL_SECTION = 8192
#: Heads are many more than sections: one of so many is remembered.
HEADS = 4
#: Octets a field line may spend on white space and its line end, on average, before it counts as an attack.
LINE_OVERHEAD = 64


@lru_cache(maxsize=64)
def rawLimit(total: int | None, field: int | None, count: int | None) -> int | None:
    """What a field section may take on the wire, with its white space and line ends; None is no limit."""
    bounds = [] if total is None else [total]
    if field is not None and count is not None:
        bounds.append(field * count)
    if not bounds:
        return None
    return max(min(bounds) + LINE_OVERHEAD * (128 if count is None else count + 1), SMALL_SECTION)


def checkSizes(fields: Fields, limits: HttpServerConfiguration, total: int = 0) -> int:
    """Add the sizes of `fields` to `total`: a field counts for its name, one, and its value, as in Qt.

    :raises HttpError: 431 over a limit.
    """
    for name, value in fields:
        size = len(name) + 1 + len(value)
        total += size
        if limits.maximumHeaderFieldSize is not None and size > limits.maximumHeaderFieldSize:
            raise HttpError(431, "field too large")
        if limits.maximumTotalHeaderSize is not None and total > limits.maximumTotalHeaderSize:
            raise HttpError(431, "field section too large")
    return total


def listed(values: list[bytes]) -> list[bytes]:
    """The members of a comma-separated list, in lower case (RFC 9110 section 5.6.1); also empty ones."""
    return [member.strip(b" \t") for value in values for member in value.lower().split(b",")]


def expectsContinue(expectations: list[bytes]) -> bool:
    """Whether the peer waits for ``100 Continue`` (RFC 9110 section 10.1.1).

    :raises HttpError: 417: it expects something that nobody has heard of.
    """
    members = [member for member in listed(expectations) if member]
    if any(member != b"100-continue" for member in members):
        raise HttpError(417, "unknown expectation")
    return bool(members)


@lru_cache(maxsize=64)
def isMethodKnown(method: bytes) -> bool:
    """Whether llhttp knows `method`, a token: the same are known on every version of HTTP."""
    if method == b"PRI":
        # Which it takes for the preface of HTTP/2.
        return False
    try:
        HttpRequestParser(object()).feed_data(b"%b / HTTP/1.1\r\n" % method)
    except HttpParserError:
        # Not even those of other protocols, which llhttp knows too.
        return False
    return True


class FieldSection:
    """Reads one field section after the other; `fields` is the section read last.

    :ivar framing: the fields that decide framing, as (lower-case name, value) in order.
    :ivar complete: the empty line that ends the section was read.
    :ivar heads: what whole heads have said before, and `recall`: what sections have that came whole.
    :ivar reusable: the parser may go on behind this section: there was nothing in it that llhttp acts on.
    """

    __slots__ = (
        "_configuration",
        "_counted",
        "_few",
        "_parser",
        "_short",
        "_size",
        "_total",
        "complete",
        "fields",
        "framing",
        "heads",
        "recall",
        "reusable",
    )

    def __init__(self, configuration: HttpServerConfiguration) -> None:
        self.configuration = configuration
        self.heads: Recall[tuple[RequestLine, Known]] = Recall(HEADS)
        self.recall: Recall[Known] = Recall()
        self.reusable = False
        self.restart()

    @property
    def configuration(self) -> HttpServerConfiguration:
        """The limits in force; may be replaced at any time."""
        return self._configuration

    @configuration.setter
    def configuration(self, configuration: HttpServerConfiguration) -> None:
        self._configuration = configuration
        count, each = configuration.maximumHeaderFieldCount, configuration.maximumHeaderFieldSize
        total = configuration.maximumTotalHeaderSize
        #: What stands on the wire is never less than what is counted, so most sections need no counting.
        self._few = maxsize if count is None else count
        self._short = min(limit for limit in (each, total, maxsize) if limit is not None)

    def restart(self) -> None:
        """Forget the last section, ready for the next request line."""
        self.fields: Fields = []
        self.framing: Fields = []
        self.complete = False
        self._size = self._counted = self._total = 0
        if not self.reusable:
            self._parser = HttpRequestParser(self)
        self.reusable = False

    def close(self) -> None:
        """Read no more: it and its parser know each other, and would stay until the next full collection."""
        del self._parser
        self.fields = []

    def restartForTrailers(self) -> None:
        """Ready for a section that has no request line in front of it."""
        self.restart()
        self._parser.feed_data(b"GET / HTTP/1.1\r\n")

    def feed(self, lines: bytes) -> None:
        """Read whole lines of the section, the first time behind the request line.

        :raises HttpError: 400 for a malformed line, 501 for a method llhttp does not know, 431 over a limit.
        """
        try:
            self._parser.feed_data(lines)
        except HttpParserUpgrade:
            # llhttp stops where another protocol could begin; we stop behind every section anyway.
            pass
        except HttpParserInvalidMethodError:
            raise HttpError(501, "unknown method") from None
        except HttpParserError as error:
            self._checkLimits()
            raise HttpError(400, str(error)) from None
        self._size += len(lines)
        if self._size > self._short or len(self.fields) > self._few:
            self._checkLimits()

    def _checkLimits(self) -> None:
        if len(self.fields) > self._few:
            raise HttpError(431, "too many fields")
        self._total = checkSizes(self.fields[self._counted :], self._configuration, self._total)
        self._counted = len(self.fields)

    @property
    def rawLimit(self) -> int | None:
        """How many octets the section may take on the wire; None is no limit."""
        limits = self._configuration
        return rawLimit(
            limits.maximumTotalHeaderSize, limits.maximumHeaderFieldSize, limits.maximumHeaderFieldCount
        )

    def trailers(self) -> Fields:
        """The section as trailers.

        :raises HttpError: 400 where one of them may not be a trailer (RFC 9110 section 6.5.1).
        """
        if any(name.lower() in FORBIDDEN_TRAILERS for name, _ in self.fields):
            raise HttpError(400, "forbidden trailer field")
        return self.fields

    # What llhttp calls:

    def on_header(self, name: bytes, value: bytes) -> None:
        value = value.rstrip()
        self.fields.append((name, value))
        lowered = name.lower()
        if lowered in FRAMING:
            self.framing.append((lowered, value))

    def on_headers_complete(self) -> None:
        self.complete = True


def sharedSection(configuration: HttpServerConfiguration) -> FieldSection:
    """For sections that come whole: one reader, and one parser of llhttp's, for all with the same limits."""
    return _sharedSection(
        configuration.maximumTotalHeaderSize,
        configuration.maximumHeaderFieldSize,
        configuration.maximumHeaderFieldCount,
        configuration.maximumUrlSize,
    )


@lru_cache(maxsize=16)
def _sharedSection(
    total: int | None, each: int | None, count: int | None, target: int | None
) -> FieldSection:
    # What is not said here has no say in what a head means.
    return FieldSection(
        HttpServerConfiguration(
            maximumTotalHeaderSize=total,
            maximumHeaderFieldSize=each,
            maximumHeaderFieldCount=count,
            maximumUrlSize=target,
        )
    )
