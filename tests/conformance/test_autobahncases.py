"""The runner of Autobahn's cases sees what is bad; the cases themselves are run by tox."""

from __future__ import annotations

import tempfile

import pytest

from conformance.autobahncases import (
    GROUPS,
    INFORMATIONAL,
    Verdict,
    echoServer,
    judge,
    judgeServer,
    readArguments,
    summary,
)

FULL = readArguments(["full"])


def good(case: str) -> Verdict:
    word = "INFORMATIONAL" if case in INFORMATIONAL else "OK"
    return Verdict(case, word, word)


def perfect(groups: list[int]) -> list[Verdict]:
    """As many cases as there are, and the three that are informational."""
    verdicts: list[Verdict] = []
    for group in groups:
        special = INFORMATIONAL if group == 7 else ()
        names = [*special, *(f"{group}.99.{number}" for number in range(GROUPS[group] - len(special)))]
        verdicts += map(good, names)
    return verdicts


class TestReadArguments:
    @pytest.mark.parametrize(
        ("words", "groups", "cases"),
        [
            ([], [1, 2, 3, 4, 5, 6, 7, 10], 247),
            (["quick"], [1, 2, 3, 4, 5, 6, 7, 10], 247),
            (["9"], [9], 54),
            (["12", "9", "9"], [9, 12], 144),
            (["quick", "9"], [1, 2, 3, 4, 5, 6, 7, 9, 10], 301),
            (["full"], [1, 2, 3, 4, 5, 6, 7, 9, 10, 12, 13], 517),
        ],
    )
    def test_groups(self, words: list[str], groups: list[int], cases: int) -> None:
        assert readArguments(words) == groups
        assert sum(GROUPS[group] for group in groups) == cases

    @pytest.mark.parametrize("word", ["8", "slow", "9.1.6", ""])
    def test_unknown(self, word: str) -> None:
        with pytest.raises(SystemExit, match="is none of"):
            readArguments(["quick", word])


class TestJudge:
    def test_nothingToComplainOf(self) -> None:
        verdicts = perfect(FULL)
        assert list(judge(FULL, verdicts)) == []
        assert summary(verdicts) == "514 OK, 0 NON-STRICT, 3 INFORMATIONAL, 0 FAILED"

    @pytest.mark.parametrize("word", ["NON-STRICT", "INFORMATIONAL", "FAILED", "UNIMPLEMENTED", "ERROR"])
    def test_aCaseThatIsNotOk(self, word: str) -> None:
        verdicts = perfect([6])
        verdicts[7] = verdicts[7]._replace(behavior=word)
        (complaint,) = judge([6], verdicts)
        assert complaint.startswith(f"case {verdicts[7].case}: {word}, close: OK.")

    @pytest.mark.parametrize("word", ["WRONG CODE", "UNCLEAN", "FAILED BY CLIENT", "INFORMATIONAL"])
    def test_anEndThatIsNotOk(self, word: str) -> None:
        verdicts = perfect([10])
        (complaint,) = judge([10], [verdicts[0]._replace(close=word)])
        assert f"close: {word}" in complaint

    def test_aCaseThatIsNotInformationalAnyMore(self) -> None:
        first, *rest = perfect([7])
        assert [each.behavior for each in rest].count("INFORMATIONAL") == 2
        (complaint,) = judge([7], [first._replace(behavior="OK", close="OK"), *rest])
        assert complaint.startswith("case 7.1.6: OK")

    def test_fewerCasesThanThereAre(self) -> None:
        assert list(judge([2, 9], perfect([2])[1:])) == [
            "group 2: 10 cases instead of 11",
            "group 9: 0 cases instead of 54",
        ]

    def test_oneCaseTwice(self) -> None:
        verdicts = perfect([2])
        assert list(judge([2], [*verdicts[1:], verdicts[1]])) == ["group 2: 10 cases instead of 11"]


class TestServer:
    def test_aCleanEnd(self) -> None:
        with tempfile.TemporaryFile() as log:
            with echoServer([], log) as (server, port):
                assert server.poll() is None
                assert port > 0
            assert server.returncode == 0
            assert list(judgeServer(server.returncode, log)) == []

    @pytest.mark.parametrize(("status", "said"), [(1, b""), (-11, b""), (None, b""), (0, b"Traceback")])
    def test_notSoCleanOnes(self, status: int | None, said: bytes) -> None:
        with tempfile.TemporaryFile() as log:
            log.write(said)
            (complaint,) = judgeServer(status, log)
        assert complaint == f"server: ended with {status}, and said:\n{said.decode()}"
