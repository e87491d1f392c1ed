"""What is told of an exchange when it is over: for access logs and metrics."""

from __future__ import annotations

__all__ = ["ExchangeRecord"]

from typing import NamedTuple

from twisted.internet.interfaces import IAddress

from .request import HttpRequest


class ExchangeRecord(NamedTuple):
    """One response that went out.

    :ivar remoteAddress: who asked.
    :ivar request: what was asked; None if what the peer sent could not be called a request.
    :ivar status: the status code of the response.
    :ivar size: octets of content sent, without head and framing.
    """

    remoteAddress: IAddress
    request: HttpRequest | None
    status: int
    size: int
