"""The seams of the house, as typing Protocols: no logic, so that every floor may import them."""

from __future__ import annotations

__all__ = ["ExchangeLink", "Wire"]

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ._events import Event, FieldPairs, Fields
from .configuration import HttpServerConfiguration


class Wire(Protocol):
    """RFC 9112 or RFC 9113 below, RFC 9110 above.  It performs no input or output.

    Three beats: give it what arrived (`receiveData`), act on the events it returns, and send what it then
    has to say (`dataToSend`).  After an exchange has ended on both sides, call ``receiveData(b"")``: a wire
    that serves one exchange at a time keeps what was sent ahead.

    :ivar configuration: the limits in force; may be replaced at any time.
    :ivar finished: nothing more will be read or said: the connection may close.
    """

    configuration: HttpServerConfiguration

    finished: bool

    def receiveData(self, data: bytes) -> Sequence[Event]:
        """Octets arrived: what do they mean?"""

    def receiveEnd(self) -> Sequence[Event]:
        """The peer will send nothing more."""

    def sendInformational(self, streamId: int, status: int, fields: Fields) -> None:
        """An interim response (RFC 9110 section 15.2)."""

    def sendResponse(
        self, streamId: int, status: int, fields: FieldPairs, length: int | None, body: bytes
    ) -> None:
        """A whole response at once; `length` None: it has no content, not even an empty one."""

    def sendHead(
        self, streamId: int, status: int, fields: FieldPairs, length: int | None, hasBody: bool
    ) -> None:
        """The head of a response whose content follows; `length` None: only its end will tell."""

    def sendBody(self, streamId: int, data: bytes) -> None:
        """A piece of content."""

    def sendEnd(self, streamId: int, trailers: Fields) -> None:
        """The content is complete."""

    def beLast(self) -> None:
        """The exchange that runs, or comes next, is the last."""

    def drain(self) -> None:
        """Take on nothing new: the exchange that runs is the last."""

    def dataToSend(self) -> bytes:
        """What must be written to the peer next; the wire forgets it.  Ask again while there is more."""


class ExchangeLink(Protocol):
    """What one exchange needs of its connection."""

    @property
    def wire(self) -> Wire:
        """Where the response goes."""

    @property
    def serverField(self) -> bytes:
        """The value of the Server field; empty for none."""

    @property
    def isBlocked(self) -> bool:
        """The peer does not take what it is sent."""

    def flush(self) -> None:
        """The wire has something to say."""

    def flushSoon(self) -> None:
        """The wire has something to say, and more may follow in this turn."""

    def callSoon(self, function: Callable[[], object]) -> None:
        """Call `function` in the next turn of the reactor."""

    def responseComing(self, socket: Any, whole: bool) -> None:
        """The head of an answer is about to go out; `whole`: with all there is."""

    def producerFailed(self, socket: Any, failure: Any) -> None:
        """The application's producer raised an exception."""

    def detach(self, protocol: Any) -> Callable[[], None]:
        """Let go of the connection; what is returned gives it to `protocol`.

        :raises RuntimeError: it cannot be let go of now.
        """

    def switchProtocols(self, socket: Any, fields: Fields) -> Any:
        """Accept what the request asks for: another protocol, on the channel that is returned."""

    def responseFinished(self, socket: Any) -> None:
        """The wire was told the end of the response of `socket`."""

    def closeAfterwards(self) -> None:
        """Close the connection behind the response that is in progress."""

    def hangUp(self, socket: Any) -> None:
        """The application wants to give no answer at all."""

    def abortExchange(self, socket: Any, failed: bool = False) -> None:
        """Drop the connection now, unless it serves another exchange; `failed`: since the application did."""
