"""HttpServerConfiguration, Http2Configuration and the file they may come from."""

from __future__ import annotations

import dataclasses
import inspect
import math
import re
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txabstracthttp.configuration import Http2Configuration, HttpServerConfiguration, configurationFromToml

DEFAULTS = {
    "rateLimitPerSecond": 0,
    "keepAliveTimeout": 15,
    "whitelist": (),
    "blacklist": (),
    "maximumUrlSize": 65536,
    "maximumTotalHeaderSize": 65536,
    "maximumHeaderFieldSize": 49152,
    "maximumHeaderFieldCount": 128,
    "maximumBodySize": 33554432,
    "maximumConnections": 0,
    "maximumConnectionsPerHost": 0,
    "handshakeTimeout": 10,
    "headerTimeout": 10,
    "bodyTimeout": 30,
    "minimumBodyRate": 500,
    "writeTimeout": 30,
    "drainTimeout": 30,
    "closeTimeout": 5,
    "handlerTimeout": 0,
    "maximumPendingWebSockets": 30,
    "maximumWebSocketMessageSize": 1048576,
    "webSocketPingInterval": 20,
    "webSocketPingTimeout": 20,
    "allowedOrigins": None,
    "perMessageDeflate": False,
    "serverHeader": "",
}
DEFAULTS2 = {
    "sessionReceiveWindowSize": 1048576,
    "streamReceiveWindowSize": 65535,
    "maxFrameSize": 16384,
    "maxConcurrentStreams": 100,
    "huffmanCompressionEnabled": True,
    "maximumHeaderListSize": 65536,
}
SIZES = [
    "maximumUrlSize",
    "maximumTotalHeaderSize",
    "maximumHeaderFieldSize",
    "maximumHeaderFieldCount",
    "maximumBodySize",
    "maximumPendingWebSockets",
    "maximumWebSocketMessageSize",
]
RATES = ["rateLimitPerSecond", "maximumConnections", "maximumConnectionsPerHost", "minimumBodyRate"]
ZERO_TIMES = ["keepAliveTimeout", "drainTimeout", "handlerTimeout", "webSocketPingInterval"]
TIMES = [
    "handshakeTimeout",
    "headerTimeout",
    "bodyTimeout",
    "writeTimeout",
    "closeTimeout",
    "webSocketPingTimeout",
]
NETWORKS = ["whitelist", "blacklist"]
RANGES = [
    ("sessionReceiveWindowSize", 65535, 2**31 - 1),
    ("streamReceiveWindowSize", 1, 2**31 - 1),
    ("maxFrameSize", 16384, 2**24 - 1),
    ("maxConcurrentStreams", 0, 2**32 - 1),
    ("maximumHeaderListSize", 0, 2**32 - 1),
]
NOT_INTS = [True, False, 1.0, "1", b"1", [1], object()]


def of(name: str, value: Any) -> Any:
    """What a record makes of one value."""
    kind: Any = HttpServerConfiguration if name in DEFAULTS else Http2Configuration
    return getattr(kind(**{name: value}), name)


def refused(error: type[Exception], name: str, value: Any, allowed: str = "must be") -> None:
    """The message names field, value and what is allowed."""
    with pytest.raises(error, match=re.escape(f"{name} = {value!r}: ") + f".*{allowed}") as info:
        of(name, value)
    assert type(info.value) is error


class TestRecords:
    def test_defaults(self) -> None:
        assert dataclasses.asdict(HttpServerConfiguration()) == DEFAULTS
        assert dataclasses.asdict(Http2Configuration()) == DEFAULTS2

    def test_everyFieldIsTestedHere(self) -> None:
        others = {"allowedOrigins", "perMessageDeflate", "serverHeader"}
        assert {*SIZES, *RATES, *ZERO_TIMES, *TIMES, *NETWORKS, *others} == set(DEFAULTS)
        assert {*[name for name, _, _ in RANGES], "huffmanCompressionEnabled"} == set(DEFAULTS2)

    @pytest.mark.parametrize("kind", [HttpServerConfiguration, Http2Configuration])
    def test_everyFieldIsDocumented(self, kind: type[Any]) -> None:
        documented = re.findall(r":ivar (\w+):", inspect.getdoc(kind) or "")
        assert documented
        assert set(documented) == {each.name for each in dataclasses.fields(kind)}

    @pytest.mark.parametrize("kind", [HttpServerConfiguration, Http2Configuration])
    def test_frozenSlottedKeywordOnlyComparable(self, kind: type[Any]) -> None:
        record = kind()
        name = dataclasses.fields(record)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(record, name, 1)
        with pytest.raises(TypeError, match="positional"):
            kind(1)
        assert not hasattr(record, "__dict__")
        assert record == kind()
        assert hash(record) == hash(kind())

    def test_replaceChecksAgain(self) -> None:
        record = dataclasses.replace(HttpServerConfiguration(whitelist=["10.0.0.0/8"]), maximumBodySize=5)
        assert record.maximumBodySize == 5
        assert record.whitelist == (IPv4Network("10.0.0.0/8"),)
        with pytest.raises(ValueError, match="maximumBodySize"):
            dataclasses.replace(record, maximumBodySize=-5)

    def test_unknownField(self) -> None:
        with pytest.raises(TypeError, match="maximumBodySise"):
            HttpServerConfiguration(maximumBodySise=5)  # type: ignore[call-arg]


class TestNumbers:
    @pytest.mark.parametrize("name", SIZES)
    def test_sizes(self, name: str) -> None:
        for value in (0, 1, 10**30, None):
            assert of(name, value) == value
        for wrong in NOT_INTS:
            refused(TypeError, name, wrong, "None for no limit")
        for wrong in (-1, -2):
            refused(ValueError, name, wrong, "use None for no limit")

    @pytest.mark.parametrize("name", RATES)
    def test_rates(self, name: str) -> None:
        for value in (0, 1, 10**30):
            assert of(name, value) == value
        for wrong in (None, *NOT_INTS):
            refused(TypeError, name, wrong, "0 is off")
        refused(ValueError, name, -1, "0 is off")

    @pytest.mark.parametrize("name", TIMES + ZERO_TIMES)
    def test_times(self, name: str) -> None:
        for value in (0.001, 1, 2.5, 86400):
            assert of(name, value) == value
        for wrong in (-1, -0.001, math.nan, math.inf, -math.inf):
            refused(ValueError, name, wrong, "finite seconds")
        for wrong in (None, True, False, "1", [1], 1j):
            refused(TypeError, name, wrong, "finite seconds")

    @pytest.mark.parametrize("name", ZERO_TIMES)
    def test_timesThatMayBeZero(self, name: str) -> None:
        assert of(name, 0) == 0
        assert of(name, 0.0) == 0

    @pytest.mark.parametrize("name", TIMES)
    def test_timesThatMayNot(self, name: str) -> None:
        refused(ValueError, name, 0, "above 0")
        refused(ValueError, name, 0.0, "above 0")

    @pytest.mark.parametrize(("name", "lowest", "highest"), RANGES)
    def test_ranges(self, name: str, lowest: int, highest: int) -> None:
        for value in (lowest, highest):
            assert of(name, value) == value
        for wrong in (lowest - 1, highest + 1, -1):
            refused(ValueError, name, wrong, f"from {lowest} .*to {highest}|from {lowest} to {highest}")
        for wrong in NOT_INTS:
            refused(TypeError, name, wrong)

    def test_noneInRanges(self) -> None:
        assert of("maximumHeaderListSize", None) is None
        for name, _, _ in RANGES[:-1]:
            refused(TypeError, name, None)

    @pytest.mark.parametrize("name", ["perMessageDeflate", "huffmanCompressionEnabled"])
    def test_flags(self, name: str) -> None:
        assert of(name, True) is True
        assert of(name, False) is False
        for wrong in (0, 1, None, "true"):
            refused(TypeError, name, wrong, "True or False")


class TestNetworks:
    @pytest.mark.parametrize("name", NETWORKS)
    @pytest.mark.parametrize(
        ("given", "network"),
        [
            ("10.0.0.0/8", IPv4Network("10.0.0.0/8")),
            ("10.0.0.0/255.0.0.0", IPv4Network("10.0.0.0/8")),
            ("10.0.0.1", IPv4Network("10.0.0.1/32")),
            ("2001:db8::/32", IPv6Network("2001:db8::/32")),
            ("::1", IPv6Network("::1/128")),
            ("::/0", IPv6Network("::/0")),
            (IPv4Network("10.0.0.0/8"), IPv4Network("10.0.0.0/8")),
            (IPv6Network("2001:db8::/32"), IPv6Network("2001:db8::/32")),
            (IPv4Address("10.0.0.1"), IPv4Network("10.0.0.1/32")),
            (IPv6Address("::1"), IPv6Network("::1/128")),
            ("::ffff:10.0.0.0/104", IPv4Network("10.0.0.0/8")),
            ("::ffff:10.0.0.1", IPv4Network("10.0.0.1/32")),
            ("::ffff:0:0/96", IPv4Network("0.0.0.0/0")),
            (IPv6Network("::ffff:10.0.0.0/104"), IPv4Network("10.0.0.0/8")),
            (IPv6Address("::ffff:10.0.0.1"), IPv4Network("10.0.0.1/32")),
        ],
    )
    def test_normalised(self, name: str, given: Any, network: object) -> None:
        assert of(name, [given]) == (network,)

    @pytest.mark.parametrize("name", NETWORKS)
    def test_anyIterableInOrder(self, name: str) -> None:
        texts = ["10.0.0.0/8", "::1", "10.0.0.0/8"]
        networks = (IPv4Network("10.0.0.0/8"), IPv6Network("::1/128"), IPv4Network("10.0.0.0/8"))
        assert of(name, texts) == of(name, tuple(texts)) == of(name, iter(texts)) == networks
        assert of(name, {"::1"}) == (IPv6Network("::1/128"),)
        assert of(name, []) == ()

    @pytest.mark.parametrize("name", NETWORKS)
    @pytest.mark.parametrize("bad", ["10.0.0.1/8", "2001:db8::1/32", "::ffff:10.0.0.1/104"])
    def test_hostBitsAreAnError(self, name: str, bad: str) -> None:
        refused(ValueError, name, [bad], "has host bits set")

    @pytest.mark.parametrize("name", NETWORKS)
    def test_anInterfaceHasHostBits(self, name: str) -> None:
        refused(ValueError, name, [IPv4Interface("10.0.0.1/8")], "10.0.0.1/8 has host bits set")

    @pytest.mark.parametrize("name", NETWORKS)
    @pytest.mark.parametrize("bad", ["", "localhost", "10.0.0.0/33", "10.0.0.256", " 10.0.0.1", "::1/129"])
    def test_noNetwork(self, name: str, bad: str) -> None:
        refused(ValueError, name, ["::1", bad], re.escape(repr(bad)))

    @pytest.mark.parametrize("name", NETWORKS)
    @pytest.mark.parametrize("bad", [1, 167772160, b"\x0a\0\0\1", None, ("10.0.0.0", 8), ["10.0.0.0/8"]])
    def test_noKindOfNetwork(self, name: str, bad: Any) -> None:
        refused(TypeError, name, [bad], "must be a str")

    @pytest.mark.parametrize("name", NETWORKS)
    @pytest.mark.parametrize(
        "bad", ["10.0.0.0/8", b"10.0.0.0/8", IPv4Network("10.0.0.0/8"), IPv6Network("::/0"), None, 5]
    )
    def test_noList(self, name: str, bad: Any) -> None:
        refused(TypeError, name, bad, "must be a list")

    @given(st.ip_addresses(v=4), st.integers(0, 32))
    def test_mappedIsTheSameNetwork(self, address: IPv4Address, prefix: int) -> None:
        network = IPv4Network((address, prefix), strict=False)
        mapped = f"::ffff:{network.network_address}/{96 + prefix}"
        assert of("whitelist", [mapped]) == of("whitelist", [str(network)]) == (network,)


class TestOrigins:
    def test_read(self) -> None:
        assert of("allowedOrigins", None) is None
        assert of("allowedOrigins", []) == ()
        assert of("allowedOrigins", ["*"]) == ("*",)
        assert of("allowedOrigins", iter(["https://a", "https://b"])) == ("https://a", "https://b")

    @pytest.mark.parametrize("bad", ["*", b"*", 5, [b"*"], [None], ["https://a", 1]])
    def test_refused(self, bad: Any) -> None:
        refused(TypeError, "allowedOrigins", bad, "list of str")


class TestServerHeader:
    def test_read(self) -> None:
        assert of("serverHeader", "mine/1.0 (caf\xe9)") == "mine/1.0 (caf\xe9)"
        assert of("serverHeader", " mine ") == "mine"

    @pytest.mark.parametrize("bad", ["a\r\nb", "a\n", "a\0", "\x7f", "\u20ac"])
    def test_badText(self, bad: str) -> None:
        refused(ValueError, "serverHeader", bad, "control character|latin-1")

    @pytest.mark.parametrize("bad", [None, b"mine", 5, ["mine"]])
    def test_noText(self, bad: Any) -> None:
        refused(TypeError, "serverHeader", bad, "is a str")


class TestToml:
    def test_empty(self) -> None:
        assert configurationFromToml("") == (HttpServerConfiguration(), Http2Configuration())
        assert configurationFromToml("[http2]") == (HttpServerConfiguration(), Http2Configuration())

    def test_both(self) -> None:
        server, http2 = configurationFromToml("""
            maximumBodySize = 1_000
            keepAliveTimeout = 2.5
            whitelist = ["10.0.0.0/8", "::1"]
            allowedOrigins = ["*"]
            perMessageDeflate = true
            serverHeader = "mine"
            [http2]
            maxFrameSize = 20000
            huffmanCompressionEnabled = false
        """)
        assert server == HttpServerConfiguration(
            maximumBodySize=1000,
            keepAliveTimeout=2.5,
            whitelist=["10.0.0.0/8", "::1"],
            allowedOrigins=["*"],
            perMessageDeflate=True,
            serverHeader="mine",
        )
        assert http2 == Http2Configuration(maxFrameSize=20000, huffmanCompressionEnabled=False)

    @pytest.mark.parametrize("name", SIZES)
    def test_unlimited(self, name: str) -> None:
        server, _ = configurationFromToml(f'{name} = "unlimited"')
        assert getattr(server, name) is None

    def test_unlimitedInHttp2(self) -> None:
        _, http2 = configurationFromToml('[http2]\nmaximumHeaderListSize = "unlimited"')
        assert http2.maximumHeaderListSize is None

    @pytest.mark.parametrize(
        "name", RATES + TIMES + ZERO_TIMES + NETWORKS + ["allowedOrigins", "perMessageDeflate"]
    )
    def test_unlimitedIsForSizesAndCounts(self, name: str) -> None:
        with pytest.raises(ValueError, match=f"{name} = 'unlimited'"):
            configurationFromToml(f'{name} = "unlimited"')

    def test_unlimitedIsAFineServerHeader(self) -> None:
        assert configurationFromToml('serverHeader = "unlimited"')[0].serverHeader == "unlimited"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("maximumBodySiez = 1", "maximumBodySiez is no key .* did you mean maximumBodySize?"),
            ("maximum_body_size = 1", "maximum_body_size is no key .* did you mean maximumBodySize?"),
            ("[http3]", "http3 is no key .* did you mean http2?"),
            ("zzz = 1", "^zzz is no key of HttpServerConfiguration$"),
            ("[http2]\nmaxFrameSiez = 1", "maxFrameSiez is no key .* did you mean maxFrameSize?"),
            ("[http2]\nhttp2 = 1", "http2 is no key of Http2Configuration$"),
            ("[http2]\nserverHeader = ''", "serverHeader is no key of Http2Configuration"),
            ("maxFrameSize = 20000", "maxFrameSize is no key of HttpServerConfiguration"),
            ("http2 = 1", "http2 = 1: must be a table"),
            ("[[http2]]", "must be a table"),
            ("maximumBodySize = -1", "maximumBodySize = -1: .*None for no limit"),
            ("maximumBodySize = '1'", "maximumBodySize = '1': must be an int"),
            ("maximumBodySize = true", "maximumBodySize = True: must be an int"),
            ("maximumBodySize = 1.0", "maximumBodySize = 1.0: must be an int"),
            ("keepAliveTimeout = inf", "keepAliveTimeout = inf: must be finite"),
            ("whitelist = '10.0.0.0/8'", "whitelist = .*must be a list"),
            ("whitelist = ['10.0.0.1/8']", "host bits"),
            ("[http2]\nmaxFrameSize = 1", "maxFrameSize = 1: must be an int from 16384"),
            ("maximumBodySize =", "Invalid value"),
            ("maximumBodySize = 1\nmaximumBodySize = 2", "overwrite"),
        ],
    )
    def test_refused(self, text: str, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            configurationFromToml(text)
