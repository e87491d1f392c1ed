"""The server that runs when none is named: it shows the request that it saw."""

from __future__ import annotations

__all__ = ["DemoServer"]

from base64 import b64encode
from collections.abc import Iterable
from hashlib import sha256
from html import escape

from twisted.internet.interfaces import IAddress

from .httpsocket import HttpSocket
from .request import HttpRequest
from .server import AbstractHttpServer

_STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0 auto; max-width: 60rem; padding: 1rem; }
h1 { font-size: 1.6rem; }
h2 { font-size: 1.2rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-top: 1px solid #8886; padding: .3rem .6rem .3rem 0; text-align: left; vertical-align: top; }
th { font-weight: 600; width: 12rem; }
td { font-family: ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap; }
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>txabstracthttp</title>
<style>{style}</style>
</head>
<body>
<h1>It works</h1>
<p>This is <strong>txabstracthttp</strong>, and below is the request that it saw.</p>
<h2>Request</h2>
{request}
<h2>Query</h2>
{query}
<h2>Headers</h2>
{headers}
</body>
</html>
"""

_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()

#: Nothing is loaded and nothing is run, whatever a page might be talked into.
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


class DemoServer(AbstractHttpServer):
    """Answers ``/`` with a page that shows the request, by any method; nothing else is there."""

    def handleRequest(self, request: HttpRequest, socket: HttpSocket) -> bool:
        """Show the request (`AbstractHttpServer.handleRequest`)."""
        if request.path != "/":
            return False
        socket.respond(_page(request), headers=_HEADERS, contentType="text/html; charset=utf-8")
        return True


def _page(request: HttpRequest) -> str:
    return _PAGE.format(
        style=_STYLE,
        request=_table(_facts(request)),
        query=_table(request.query.items()),
        headers=_table(request.headers.items()),
    )


def _facts(request: HttpRequest) -> list[tuple[str, str]]:
    return [
        ("Method", request.method),
        ("Target", request.target.decode("latin-1")),
        ("Path", request.path),
        ("Version", f"HTTP/{request.version}"),
        ("From", _place(request.remoteAddress)),
        ("To", _place(request.localAddress)),
        ("Secure", "yes" if request.isSecure else "no"),
        ("Body", f"{len(request.body)} bytes"),
    ]


def _place(address: IAddress) -> str:
    host = getattr(address, "host", None)
    if host is None:
        return "a Unix socket"
    port: int = address.port  # type: ignore[attr-defined]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _table(rows: Iterable[tuple[str, str]]) -> str:
    lines = [
        f'<tr><th scope="row">{_visible(name)}</th><td>{_visible(value)}</td></tr>' for name, value in rows
    ]
    return "\n".join(["<table>", *lines, "</table>"]) if lines else "<p>None.</p>"


def _visible(text: str) -> str:
    """Text for a page; what a reader would not see, controls or a change of direction, as an escape."""
    return escape("".join(each if each.isprintable() else ascii(each)[1:-1] for each in text))
