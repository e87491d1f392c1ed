"""Every input that was interesting once: to each target, and to what drives them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from connectionhelpers import capturedFailures

from fuzz.engines import Finding, choose, runPlain
from fuzz.targets import CORPUS, TARGETS, entries, load


def inputs() -> Iterator[object]:
    """Every file, with the name of its target."""
    for name in TARGETS:
        for path in entries(name):
            yield pytest.param(name, path, id=f"{name}-{path.name}")


@pytest.mark.parametrize(("name", "path"), list(inputs()))
def test_input(name: str, path: Path) -> None:
    load(name)(path.read_bytes())


def test_nothingIsSaidWhenItIsCollected() -> None:
    """A Deferred that failed and that nobody listened to complains then."""
    with capturedFailures():
        for path in entries("connection"):
            load("connection")(path.read_bytes())


def test_theCorpusStaysSmall() -> None:
    files = [path for path in CORPUS.rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} == set(TARGETS)
    assert len(files) < 500
    assert sum(path.stat().st_size for path in files) < 1024 * 1024


def test_thePlainLoopFindsWhatIsWrong() -> None:
    def target(data: bytes) -> None:
        assert b"\r\n\r\n" not in data

    with pytest.raises(Finding) as found:
        runPlain(target, [b"GET / HTTP/1.1\r\n"], 100, 60, 1)
    assert b"\r\n\r\n" in found.value.data
    assert isinstance(found.value.__cause__, AssertionError)


def test_thePlainLoopTriesEveryInput() -> None:
    tried: list[bytes] = []
    inputs = [bytes([number]) for number in range(10)]
    assert runPlain(tried.append, inputs, 100, 0, 1) == 10
    assert tried == inputs


def test_whatDoesNothingNewIsNotChosen(tmp_path: Path) -> None:
    for name, data in {"a": b"GET /", "b": b"GET /a", "c": b"GET foo"}.items():
        tmp_path.joinpath(name).write_bytes(data)
    first, second, third = sorted(tmp_path.iterdir())
    assert choose("target", [first], [second, third]) == [third]
