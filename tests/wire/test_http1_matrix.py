"""The 57 raw requests that eleven other servers were asked, with our answer to each."""

from __future__ import annotations

import pytest
from wirehelpers import GET, chunkedBody, get, parse, post

CHUNKED = b"Transfer-Encoding: chunked\r\n"
EMPTY = b"0\r\n\r\n"

#: Refused: name, octets, status.
REFUSED: list[tuple[str, bytes, int]] = [
    ("cl_5000_digits", post(b"Content-Length: " + b"0" * 4999 + b"5\r\n", b"abcde"), 400),
    ("cl_plus", post(b"Content-Length: +5\r\n", b"abcde"), 400),
    ("cl_list", post(b"Content-Length: 5, 5\r\n", b"abcde"), 400),
    ("cl_dup", post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"abcde"), 400),
    ("cl_underscore", post(b"Content-Length: 1_0\r\n", b"abcdefghij"), 400),
    ("cl_empty", post(b"Content-Length:\r\n", b""), 400),
    ("te_cl", post(b"Content-Length: 5\r\n" + CHUNKED, EMPTY), 400),
    ("te_gzip_chunked", post(b"Transfer-Encoding: gzip, chunked\r\n", EMPTY), 501),
    ("te_dup", post(CHUNKED + CHUNKED, EMPTY), 400),
    ("te_identity", post(b"Transfer-Encoding: identity\r\n", b""), 400),
    ("te_identity_cl", post(b"Transfer-Encoding: identity\r\nContent-Length: 5\r\n", b"abcde"), 400),
    ("te_http10", post(CHUNKED, b"5\r\nabcde\r\n" + EMPTY, b"1.0"), 400),
    ("te_vt", post(b"Transfer-Encoding: \x0bchunked\r\n", EMPTY), 400),
    ("sp_before_colon", post(b"Content-Length : 5\r\n", b"abcde"), 400),
    ("no_host", b"GET / HTTP/1.1\r\n\r\n", 400),
    ("two_host", get(b"Host: b\r\n"), 400),
    ("bad_host", b"GET / HTTP/1.1\r\nHost: a b/<script>\r\n\r\n", 400),
    ("asterisk_get", get(target=b"*"), 400),
    ("no_slash", get(target=b"foo"), 400),
    ("fragment", get(target=b"/#frag"), 400),
    ("utf8_path", get(target="/ä".encode()), 400),
    ("x80_path", get(target=b"/\x80"), 400),
    ("bare_lf", b"GET / HTTP/1.1\nHost: a\n\n", 400),
    ("lf_in_hdr", get(b"X: a\nY: b\r\n"), 400),
    ("cr_in_hdr", get(b"X: a\rY: b\r\n"), 400),
    ("nul_in_hdr", get(b"X: a\0b\r\n"), 400),
    ("ctl_in_hdr", get(b"X: a\x01b\r\n"), 400),
    ("fs_in_hdr", get(b"X: a\x1cb\r\n"), 400),
    ("obs_fold", get(b"X: a\r\n b\r\n"), 400),
    ("obs_fold_first", b"GET / HTTP/1.1\r\n X: a\r\nHost: a\r\n\r\n", 400),
    ("obs_fold_te", post(b"Transfer-Encoding:\r\n chunked\r\n", EMPTY), 400),
    ("empty_name", get(b": x\r\n"), 400),
    ("no_colon", get(b"X\r\n"), 400),
    ("dbl_space", b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("trail_space", b"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400),
    ("tab_sep", b"GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("http_lower", b"GET / http/1.1\r\nHost: a\r\n\r\n", 400),
    ("http12", get(version=b"1.2"), 505),
    ("http2_preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    ("http09", b"GET /\r\n\r\n", 400),
    ("expect_bad", post(b"Expect: foo\r\nContent-Length: 5\r\n", b"abcde"), 417),
    ("long_uri", get(target=b"/" + b"a" * 300_000), 414),
    ("many_headers", get(b"".join(b"X%d: y\r\n" % number for number in range(10_000))), 431),
    ("crlf_first2", b"\r\n\r\n" + GET, 400),
    ("unknown_method", get(method=b"BREW"), 501),
]  # fmt: skip

#: Refused in their content: name, the chunked content.
REFUSED_CONTENT: list[tuple[str, bytes]] = [
    ("chunk_0x", b"0x5\r\nabcde\r\n0\r\n\r\n"),
    ("chunk_ws", b"5 \r\nabcde\r\n0\r\n\r\n"),
    ("chunk_lf", b"5\nabcde\n0\n\n"),
    ("chunk_ext_lf", b"5;a\nb\r\nabcde\r\n0\r\n\r\n"),
    ("chunk_badend", b"5\r\nabcdeXX0\r\n\r\n"),
    ("chunk_trailer_smuggle", b"0\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("chunk_huge", b"f" * 100 + b"\r\nabcde\r\n0\r\n\r\n"),
]

#: Accepted: name, octets, content, and whether another request may follow.
ACCEPTED: list[tuple[str, bytes, bytes, bool]] = [
    ("abs_form", get(target=b"http://b/"), b"", True),
    ("authority", get(method=b"CONNECT", target=b"b:443"), b"", False),
    ("get_with_body", get(b"Content-Length: 5\r\n") + b"abcde", b"abcde", True),
    ("conn_close_list", get(b"Connection: foo,close\r\n"), b"", False),
    ("http10_ka", get(b"Connection: keep-alive\r\n", version=b"1.0"), b"", True),
]


def test_allOfThem() -> None:
    names = {case[0] for table in (REFUSED, REFUSED_CONTENT, ACCEPTED) for case in table}
    assert len(names) == len(REFUSED) + len(REFUSED_CONTENT) + len(ACCEPTED) == 57


@pytest.mark.parametrize(("octets", "status"), [pytest.param(*case[1:], id=case[0]) for case in REFUSED])
def test_refused(octets: bytes, status: int) -> None:
    outcome = parse(octets + GET)
    assert (outcome.requests, outcome.error, outcome.leftover) == ([], status, b"")


@pytest.mark.parametrize("body", [pytest.param(case[1], id=case[0]) for case in REFUSED_CONTENT])
def test_refusedContent(body: bytes) -> None:
    outcome = parse(chunkedBody(body) + GET)
    (request,) = outcome.requests
    assert (request.trailers, outcome.error, outcome.leftover) == (None, 400, b"")


@pytest.mark.parametrize(
    ("octets", "content", "persistent"), [pytest.param(*case[1:], id=case[0]) for case in ACCEPTED]
)
def test_accepted(octets: bytes, content: bytes, persistent: bool) -> None:
    outcome = parse(octets + GET)
    assert outcome.error is None
    assert outcome.requests[0].body == content
    assert (len(outcome.requests), outcome.finished) == ((2, False) if persistent else (1, True))
