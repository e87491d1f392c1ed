"""HttpHeaders and encodeFields (RFC 9110 section 5)."""

from __future__ import annotations

import copy
import string
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from txabstracthttp.headers import TOKEN, HttpHeaders, encodeFields

TCHAR = "!#$%&'*+-.^_`|~" + string.digits + string.ascii_letters
REFUSED = [chr(code) for code in [*range(0x09), *range(0x0A, 0x20), 0x7F]]

names = st.text(TCHAR, min_size=1, max_size=8)
fewNames = st.sampled_from(["A", "a", "Ab", "aB", "b", "Set-Cookie", "set-cookie"])
values = st.text(st.characters(max_codepoint=0xFF, exclude_characters="".join(REFUSED))).map(
    lambda text: text.strip(" \t")
)


def sample() -> HttpHeaders:
    return HttpHeaders([("Host", "a"), ("Accept", "x"), ("hOST", "b"), ("Via", "1"), ("HOST", "c")])


class TestReading:
    def test_firstValue(self) -> None:
        assert sample()["host"] == "a"

    def test_keyErrorNamesTheHeader(self) -> None:
        with pytest.raises(KeyError, match="Range"):
            sample()["Range"]

    def test_get(self) -> None:
        assert sample().get("HOST") == "a"
        assert sample().get("Range") is None
        assert sample().get("Range", 5) == 5

    def test_emptyValueIsAValue(self) -> None:
        headers = HttpHeaders({"Accept": ""})
        assert headers["accept"] == ""
        assert headers.get("accept", "x") == ""
        assert "accept" in headers

    def test_getAll(self) -> None:
        assert sample().getAll("hosT") == ["a", "b", "c"]
        assert sample().getAll("Range") == []

    def test_combined(self) -> None:
        assert sample().combined("host") == "a, b, c"
        assert sample().combined("Accept") == "x"
        assert sample().combined("Range") == ""

    def test_contains(self) -> None:
        assert "HOST" in sample()
        assert "Range" not in sample()

    def test_namesInOrderAsReceived(self) -> None:
        assert list(sample()) == ["Host", "Accept", "hOST", "Via", "HOST"]

    def test_lenCountsFields(self) -> None:
        assert len(sample()) == 5
        assert len(HttpHeaders()) == 0

    def test_itemsInOrder(self) -> None:
        assert sample().items() == [
            ("Host", "a"),
            ("Accept", "x"),
            ("hOST", "b"),
            ("Via", "1"),
            ("HOST", "c"),
        ]

    def test_changingWhileIterating(self) -> None:
        headers = sample()
        for name in headers:
            headers.remove(name)
        assert len(headers) == 0

    def test_addingWhileIterating(self) -> None:
        headers = sample()
        for name in headers:
            headers.add(name, "again")
        assert len(headers) == 10

    def test_valuesAreLatin1(self) -> None:
        headers = HttpHeaders.fromWire([(b"X", b"caf\xe9")])
        assert headers["x"] == "caf\xe9"
        assert headers.items() == [("X", "caf\xe9")]

    @pytest.mark.parametrize("name", ["\u212aey", "\u20ac", "\xe9", ""])
    def test_aNameThatCannotBeIsAbsent(self, name: str) -> None:
        # U+212A is the Kelvin sign, whose lower case is an ASCII k.
        headers = HttpHeaders({"Key": "1"})
        assert name not in headers
        assert headers.get(name) is None
        assert headers.getAll(name) == []

    @pytest.mark.parametrize("name", [b"host", 1, None])
    def test_aNameIsAStr(self, name: object) -> None:
        headers = sample()
        with pytest.raises(TypeError, match="name is a str"):
            headers[name]  # type: ignore[index]
        with pytest.raises(TypeError, match="name is a str"):
            name in headers  # type: ignore[operator]  # noqa: B015
        with pytest.raises(TypeError, match="name is a str"):
            headers.getAll(name)  # type: ignore[arg-type]

    def test_repr(self) -> None:
        assert repr(HttpHeaders({"A": "x"})) == "HttpHeaders([('A', 'x')])"


class TestEquality:
    def test_namesIgnoreCase(self) -> None:
        assert HttpHeaders({"Host": "a"}) == HttpHeaders({"hOST": "a"})

    def test_valuesDoNot(self) -> None:
        assert HttpHeaders({"Host": "a"}) != HttpHeaders({"Host": "A"})

    def test_orderCounts(self) -> None:
        assert HttpHeaders({"A": "1", "B": "2"}) != HttpHeaders({"B": "2", "A": "1"})

    def test_whereTheyCameFromDoesNot(self) -> None:
        assert HttpHeaders.fromWire([(b"host", b"a")]) == HttpHeaders({"Host": "a"})

    def test_otherThings(self) -> None:
        assert HttpHeaders() != []
        assert HttpHeaders({"A": "1"}) != {"A": "1"}

    def test_notHashable(self) -> None:
        with pytest.raises(TypeError, match="unhashable"):
            hash(HttpHeaders())


class TestBuilding:
    @pytest.mark.parametrize(
        "source",
        [
            {"A": ["1", "2"], "B": "3"},
            {"A": ("1", "2"), "B": "3"},
            MappingProxyType({"A": ["1", "2"], "B": "3"}),
            [("A", "1"), ("A", "2"), ("B", "3")],
            [["A", "1"], ["A", "2"], ["B", "3"]],
            HttpHeaders([("A", "1"), ("A", "2"), ("B", "3")]),
            HttpHeaders.fromWire([(b"A", b"1"), (b"A", b"2"), (b"B", b"3")]),
        ],
    )
    def test_sources(self, source: object) -> None:
        assert HttpHeaders(source).items() == [("A", "1"), ("A", "2"), ("B", "3")]  # type: ignore[arg-type]

    def test_iterator(self) -> None:
        assert HttpHeaders((name, "x") for name in "ab").items() == [("a", "x"), ("b", "x")]

    def test_none(self) -> None:
        assert HttpHeaders(None).items() == HttpHeaders().items() == []

    def test_emptyList(self) -> None:
        assert HttpHeaders({"A": []}).items() == []

    def test_independentOfItsSource(self) -> None:
        source = HttpHeaders({"A": "1"})
        HttpHeaders(source).add("B", "2")
        assert len(source) == 1

    @pytest.mark.parametrize("source", [5, object()])
    def test_notIterable(self, source: object) -> None:
        with pytest.raises(TypeError, match="not iterable"):
            HttpHeaders(source)  # type: ignore[arg-type]

    @pytest.mark.parametrize("source", ["Host", b"Host", ["ab"], [("A",)], [("A", "1", "2")], [1]])
    def test_notPairs(self, source: object) -> None:
        with pytest.raises(TypeError, match="is no pair"):
            HttpHeaders(source)  # type: ignore[arg-type]

    @pytest.mark.parametrize("value", [b"x", 5, None, True, ["x"]])
    def test_aValueIsAStr(self, value: object) -> None:
        with pytest.raises(TypeError, match=r"'X-Field'.*str"):
            HttpHeaders([("X-Field", value)])  # type: ignore[list-item]
        with pytest.raises(TypeError, match=r"'X-Field'.*str"):
            HttpHeaders({"X-Field": [value]})  # type: ignore[list-item]

    @pytest.mark.parametrize("name", [b"X", 5, None, ["X"]])
    def test_aFieldsNameIsAStr(self, name: object) -> None:
        with pytest.raises(TypeError, match="name is a str"):
            HttpHeaders([(name, "x")])  # type: ignore[list-item]

    @pytest.mark.parametrize(
        "name", ["", "a b", "a:", "a\r\n", "a\n", " a", "a\x00", "\xe9", "\u20ac", "\u212a"]
    )
    def test_aNameIsAToken(self, name: str) -> None:
        with pytest.raises(ValueError, match="not a token"):
            HttpHeaders({name: "x"})

    @pytest.mark.parametrize("character", REFUSED)
    def test_controlCharacters(self, character: str) -> None:
        for value in (f"a{character}b", f"a{character}", f"{character}a"):
            with pytest.raises(ValueError, match=r"'X-Field'.*control character"):
                HttpHeaders({"X-Field": value})

    @pytest.mark.parametrize("value", ["\u0100", "a\u20ac", "\udc80"])
    def test_beyondLatin1(self, value: str) -> None:
        with pytest.raises(ValueError, match=r"'X-Field'.*beyond latin-1"):
            HttpHeaders({"X-Field": value})

    def test_messagesKeepSecrets(self) -> None:
        for bad in ("secret\n", "secret\u20ac"):
            with pytest.raises(ValueError, match="Cookie") as info:
                HttpHeaders({"Cookie": bad})
            assert "secret" not in str(info.value)

    def test_tabsAndHighOctetsInside(self) -> None:
        assert HttpHeaders({"A": "a\tb c\x80\xff"})["A"] == "a\tb c\x80\xff"

    def test_stripped(self) -> None:
        assert HttpHeaders({"A": " \t a b\t "})["A"] == "a b"

    def test_onlySpacesAndTabsAreStripped(self) -> None:
        assert HttpHeaders({"A": "\xa0a\xa0"})["A"] == "\xa0a\xa0"


class TestChanging:
    def test_add(self) -> None:
        headers = HttpHeaders({"A": "1"})
        headers.add("B", "2")
        headers.add("a", " 3 ")
        assert headers.items() == [("A", "1"), ("B", "2"), ("a", "3")]

    def test_setAtThePlaceOfTheFirst(self) -> None:
        headers = sample()
        headers.set("host", "z")
        assert headers.items() == [("host", "z"), ("Accept", "x"), ("Via", "1")]
        headers.set("VIA", "2")
        assert headers.items() == [("host", "z"), ("Accept", "x"), ("VIA", "2")]

    def test_setAppendsWhatIsNew(self) -> None:
        headers = HttpHeaders({"A": "1"})
        headers.set("B", "2")
        assert headers.items() == [("A", "1"), ("B", "2")]

    def test_remove(self) -> None:
        headers = sample()
        headers.remove("HoSt")
        assert headers.items() == [("Accept", "x"), ("Via", "1")]

    def test_removeWhatIsNotThere(self) -> None:
        headers = sample()
        headers.remove("Range")
        assert headers == sample()

    @pytest.mark.parametrize("method", [HttpHeaders.add, HttpHeaders.set])
    @pytest.mark.parametrize(
        ("name", "value", "error"),
        [
            ("a b", "x", ValueError),
            ("A", "x\r\n", ValueError),
            ("A", b"x", TypeError),
            (b"A", "x", TypeError),
        ],
    )
    def test_refusedAndUnchanged(self, method, name, value, error) -> None:  # type: ignore[no-untyped-def]
        headers = HttpHeaders({"A": "1"})
        with pytest.raises(error):
            method(headers, name, value)
        assert headers.items() == [("A", "1")]

    def test_copy(self) -> None:
        for duplicate in (sample().copy(), copy.copy(sample())):
            duplicate.add("B", "2")
            assert duplicate.items() == [*sample().items(), ("B", "2")]

    def test_copyIsIndependent(self) -> None:
        headers = sample()
        copy.copy(headers).remove("Host")
        headers.copy().add("B", "2")
        assert headers == sample()


class TestFromWire:
    def test_noCopy(self) -> None:
        fields = [(b"A", b"1")]
        headers = HttpHeaders.fromWire(fields)
        fields.append((b"B", b"2"))
        assert headers.items() == [("A", "1"), ("B", "2")]

    @pytest.mark.parametrize(
        ("method", "arguments"),
        [("add", ("A", "2")), ("set", ("A", "2")), ("remove", ("A",)), ("remove", ("B",))],
    )
    def test_cannotBeChanged(self, method: str, arguments: tuple[str, ...]) -> None:
        headers = HttpHeaders.fromWire([(b"A", b"1")])
        with pytest.raises(TypeError, match="a request's headers cannot be changed"):
            getattr(headers, method)(*arguments)
        assert headers.items() == [("A", "1")]

    def test_aCopyCan(self) -> None:
        fields = [(b"A", b"1")]
        for duplicate in (HttpHeaders.fromWire(fields).copy(), copy.copy(HttpHeaders.fromWire(fields))):
            duplicate.set("A", "2")
            assert duplicate["A"] == "2"
        assert fields == [(b"A", b"1")]

    @pytest.mark.parametrize("field", [(b"A", b"1\r\nB: 2"), (b"A B", b"1")])
    def test_checkedBeforeItIsSentOn(self, field: tuple[bytes, bytes]) -> None:
        headers = HttpHeaders.fromWire([field])
        with pytest.raises(ValueError, match=r"token|control"):
            encodeFields(headers)
        with pytest.raises(ValueError, match=r"token|control"):
            headers.copy()


class TestEncodeFields:
    def test_noneIsAFreshList(self) -> None:
        assert encodeFields(None) == []
        assert encodeFields(None) is not encodeFields(None)

    def test_headersAreCopied(self) -> None:
        headers = HttpHeaders({"A": "1"})
        encodeFields(headers).append((b"B", b"2"))
        assert headers.items() == [("A", "1")]

    def test_wireHeadersAreCopied(self) -> None:
        fields = [(b"A", b"1")]
        assert encodeFields(HttpHeaders.fromWire(fields)) == fields
        assert encodeFields(HttpHeaders.fromWire(fields)) is not fields

    def test_mapping(self) -> None:
        assert encodeFields({"A": ["1", "2"], "b": " \xe9 "}) == [(b"A", b"1"), (b"A", b"2"), (b"b", b"\xe9")]

    def test_pairs(self) -> None:
        assert encodeFields([("A", "1"), ("a", "2")]) == [(b"A", b"1"), (b"a", b"2")]

    def test_refusesAsOftenAsItIsAsked(self) -> None:
        # Names that were checked are remembered; those that failed must not be.
        for _ in range(2):
            with pytest.raises(ValueError, match="not a token"):
                encodeFields({"a b": "x"})

    @given(st.lists(st.tuples(names, values)))
    def test_whatGoesInComesOut(self, pairs: list[tuple[str, str]]) -> None:
        wire = encodeFields(pairs)
        assert wire == [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
        assert HttpHeaders.fromWire(wire).items() == pairs

    @given(st.text(), st.text())
    def test_nothingUnsafeEverComesOut(self, name: str, value: str) -> None:
        try:
            [(rawName, rawValue)] = encodeFields({name: value})
        except ValueError:
            return
        assert TOKEN.fullmatch(rawName)
        assert not set(rawValue) & {ord(character) for character in REFUSED}
        assert rawValue == rawValue.strip(b" \t")


@pytest.mark.parametrize("code", range(256))
def test_token(code: int) -> None:
    assert bool(TOKEN.fullmatch(bytes([code]))) == (chr(code) in TCHAR)


changes = st.one_of(
    st.tuples(st.just("add"), fewNames, values),
    st.tuples(st.just("set"), fewNames, values),
    st.tuples(st.just("remove"), fewNames),
)


def change(model: list[tuple[str, str]], method: str, name: str, value: str = "") -> list[tuple[str, str]]:
    """What a change makes of a plain list."""
    if method == "add":
        return [*model, (name, value)]
    same = [each[0].lower() == name.lower() for each in model]
    place = same.index(True) if True in same else len(model)
    replacement = [(name, value)] if method == "set" else []
    return (
        model[:place]
        + replacement
        + [each for each, gone in zip(model, same, strict=True) if not gone][place:]
    )


@given(st.lists(st.tuples(fewNames, values), max_size=6), st.lists(changes, max_size=8))
def test_likeAPlainList(model: list[tuple[str, str]], steps: list[tuple[str, ...]]) -> None:
    headers = HttpHeaders(model)
    for method, *arguments in steps:
        getattr(headers, method)(*arguments)
        model = change(model, method, *arguments)
        assert headers.items() == model
        assert list(headers) == [name for name, _ in model]
        assert len(headers) == len(model)
        for name in ("A", "ab", "B", "SET-COOKIE"):
            expected = [value for each, value in model if each.lower() == name.lower()]
            assert headers.getAll(name) == expected
            assert headers.get(name) == (expected[0] if expected else None)
            assert headers.combined(name) == ", ".join(expected)
            assert (name in headers) == bool(expected)
