"""The reference for people with a browser: the docstrings of every public name, of the version that runs."""

from __future__ import annotations

__all__ = ["referencePage"]

import inspect
import re
from collections.abc import Iterator
from dataclasses import is_dataclass
from functools import cache
from html import escape
from types import FunctionType
from typing import Any

import txabstracthttp

from ._page import template

_NAMES = tuple(txabstracthttp.__all__)
#: What of a class is for everybody; of the others the docstring says it all.
_MEMBERS = {
    "AbstractHttpServer": """handleRequest streamsBody missingHandler bind listen sslSetup servers serverPorts
        localServers newWebSocketConnection hasPendingWebSocketConnections nextPendingWebSocketConnection
        whenWebSocketConnected addWebSocketUpgradeVerifier configuration setConfiguration http2Configuration
        setHttp2Configuration close""",
    "HttpHeaders": "get getAll combined items add set remove copy",
    "HttpRequest": """body deliverBody content trailers headers value path query url remoteAddress
        localAddress isSecure tlsVersion tlsCipher peerCertificate isWebSocketUpgrade""",
    "HttpSocket": """respond begin write writeSequence finish sendFile inform claim isClaimed isBegun
        isAnswered isResponseCanceled notifyFinish registerProducer unregisterProducer loseConnection
        abortConnection getPeer getHost detach""",
    "Signal": "connect disconnect isConnected emit next",
    "WebSocket": """textMessageReceived binaryMessageReceived sendTextMessage sendBinaryMessage receive
        onMessage close""",
    "WebSocketUpgrade": "accept deny passToNext",
}
#: What a field of a docstring is called on the page.
_FIELDS = {"ivar": "", "param": "", "return": "returns", "raises": "raises"}
_FIELD = re.compile(r":(\w+) ?([^:]*): ?")
_CODE = re.compile(r"``(.+?)``|`(.+?)`", re.DOTALL)
_EMPHASIS = re.compile(r"\*(\w+)\*")


@cache
def referencePage(name: str) -> str | None:
    """The page for one public name, or with no name for all of them; None if there is no such page."""
    if name == "":
        return _page("Reference", "".join(_overview()))
    if name not in _NAMES:
        return None
    return _page(name, "".join(_class(name, getattr(txabstracthttp, name))))


def _page(title: str, content: str) -> str:
    links = "\n".join(f'<li><a href="/docs/{name}">{name}</a></li>' for name in _NAMES)
    links = links.replace(f'/docs/{title}"', f'/docs/{title}" aria-current="page"')
    return template("reference.html").format(title=title, names=links, content=content)


def _overview() -> Iterator[str]:
    yield f"<p>{_inline(inspect.getdoc(txabstracthttp) or '')}</p>\n<dl>"
    for name in _NAMES:
        first = (inspect.getdoc(getattr(txabstracthttp, name)) or "").partition("\n\n")[0]
        yield f'<dt><a href="/docs/{name}">{name}</a></dt><dd>{_inline(first)}</dd>\n'
    yield "</dl>"


def _class(name: str, kind: type[Any]) -> Iterator[str]:
    yield _text(kind)
    constructor = vars(kind).get("__init__")
    if is_dataclass(kind) or (constructor and constructor.__doc__):
        yield _member(name, constructor)
    for each in _MEMBERS.get(name, "").split():
        yield _member(each, inspect.getattr_static(kind, each))


def _member(name: str, member: Any) -> str:
    function = getattr(member, "__func__", member)
    shown = name + (_signature(function) if isinstance(function, FunctionType) else "")
    return f'<section><h2 id="{name}"><code>{escape(shown)}</code></h2>\n{_text(member)}</section>\n'


def _signature(function: FunctionType) -> str:
    """Names and defaults.  Types are in the text where they matter, and in the source."""
    signature = inspect.signature(function)
    blank = inspect.Parameter.empty
    parameters = [each.replace(annotation=blank) for each in signature.parameters.values()][1:]
    return str(signature.replace(parameters=parameters, return_annotation=blank))


def _text(what: Any) -> str:
    """A docstring: paragraphs, and then fields."""
    paragraphs, fields = [], []
    for block in inspect.cleandoc(what.__doc__ or "").split("\n\n"):
        prose, *found = re.split(r"^(?=:\w+[^:]*:)", block, flags=re.MULTILINE)
        if prose:
            paragraphs.append(f"<p>{_inline(prose)}</p>\n")
        fields += [_field(each) for each in found]
    return "".join([*paragraphs, *(["<dl>", *fields, "</dl>\n"] if fields else [])])


def _field(text: str) -> str:
    kind, about = _FIELD.match(text).groups()  # type: ignore[union-attr]
    terms = [f"<code>{escape(each)}</code>" for each in about.split(", ") if each]
    term = " ".join([_FIELDS.get(kind, kind), ", ".join(terms)]).strip()
    return f"<dt>{term}</dt><dd>{_inline(_FIELD.sub('', text, count=1))}</dd>\n"


def _inline(text: str) -> str:
    return _EMPHASIS.sub(r"<em>\1</em>", _CODE.sub(_code, escape(text, quote=False)))


def _code(match: re.Match[str]) -> str:
    shown = f"<code>{match[1] or match[2]}</code>"
    return f'<a href="/docs/{match[2]}">{shown}</a>' if match[2] in _NAMES else shown
