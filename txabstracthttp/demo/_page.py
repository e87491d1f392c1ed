"""The page that shows a request.  Everything that a peer has sent passes `visible` on its way here."""

from __future__ import annotations

__all__ = ["readable", "requestPage", "template", "visible"]

from collections.abc import Iterable
from functools import cache
from html import escape
from pathlib import Path

from twisted.internet.interfaces import IAddress

from ..request import HttpRequest


@cache
def template(name: str) -> str:
    """A page with gaps, for `str.format`."""
    return Path(__file__).with_name(name).read_text("utf-8")


def requestPage(request: HttpRequest, maximumUploadSize: int) -> str:
    """The page for one request.

    :param maximumUploadSize: what the page says before anybody tries more.
    """
    return template("page.html").format(
        method=visible(request.method),
        target=visible(request.target.decode("latin-1")),
        version=visible(request.version),
        request=_table("seen", _facts(request)),
        query=_table("sent", request.query.items()),
        headers=_table("sent", request.headers.items()),
        origin=visible(_origin(request)),
        limit=maximumUploadSize,
        readableLimit=readable(maximumUploadSize),
    )


def _facts(request: HttpRequest) -> list[tuple[str, str]]:
    facts = [
        ("Method", request.method),
        ("Target", request.target.decode("latin-1")),
        ("Path", request.path),
        ("Version", f"HTTP/{request.version}"),
        ("From", _place(request.remoteAddress)),
        ("To", _place(request.localAddress)),
        ("Secure", "yes" if request.isSecure else "no"),
    ]
    if request.isSecure:
        facts.append(("TLS", f"{request.tlsVersion}, {request.tlsCipher}"))
    return [*facts, ("Body", f"{len(request.body)} bytes")]


def _origin(request: HttpRequest) -> str:
    """Where the peer finds us, for a command line; not all of them say."""
    scheme = "https" if request.isSecure else "http"
    return f"{scheme}://{request.value('Host') or _place(request.localAddress)}"


def _place(address: IAddress) -> str:
    host = getattr(address, "host", None)
    if host is None:
        return "a Unix socket"
    port: int = address.port  # type: ignore[attr-defined]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _table(kind: str, rows: Iterable[tuple[str, str]]) -> str:
    lines = [
        f'<tr><th scope="row">{visible(name)}</th><td>{visible(value)}</td></tr>' for name, value in rows
    ]
    if not lines:
        return '<p class="none">None.</p>'
    return "\n".join([f'<table class="{kind}">', *lines, "</table>"])


def visible(text: str) -> str:
    """Text for a page; what a reader would not see, controls or a change of direction, as an escape."""
    return escape("".join(each if each.isprintable() else ascii(each)[1:-1] for each in text))


def readable(octets: int) -> str:
    """A size for people."""
    size, unit = float(octets), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.1f}".removesuffix(".0") + f" {unit}"
