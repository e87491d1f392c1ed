"""The tables of the documentation's page on security are whole, and what they name exists."""

from __future__ import annotations

import ast
import csv
import re
from functools import cache
from pathlib import Path

import pytest
from hardening.framing import expected, rows

ROOT = Path(__file__).resolve().parents[2]
TABLES = ROOT / "docs" / "security"

NAMED = re.compile(r"``(tests/[\w/]+\.py)::(\w+)(?:::(\w+))?``")

pytestmark = pytest.mark.skipif(not TABLES.is_dir(), reason="the documentation is not here")


def lines(name: str) -> list[list[str]]:
    """A table, its header first."""
    with (TABLES / name).open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@cache
def definedIn(file: str) -> set[tuple[str, ...]]:
    """The tests of a file: (function,), (class,) and (class, method), where there are tests in it."""
    body = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
    found: set[tuple[str, ...]] = {(name,) for name in functions(body)}
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(name := node.targets[0], ast.Name):
            # Such as those of hypothesis' state machines.
            found |= {(name.id,)} if name.id.startswith("Test") else set()
        if isinstance(node, ast.ClassDef) and (methods := functions(node.body)):
            found |= {(node.name,), *((node.name, method) for method in methods)}
    return found


def functions(body: list[ast.stmt]) -> list[str]:
    """The names of the tests that are defined in `body`."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return [node.name for node in body if isinstance(node, kinds) and node.name.startswith("test_")]


@pytest.mark.parametrize("name", ["requests.csv", "measured.csv", "checklist.csv"])
def test_whole(name: str) -> None:
    header, *rest = lines(name)
    assert rest
    for line in rest:
        assert len(line) == len(header)
        assert all(cell.strip() for cell in line), line


class TestChecklist:
    ROWS = lines("checklist.csv")[1:] if TABLES.is_dir() else []

    @pytest.mark.parametrize("row", [pytest.param(row, id=row[1]) for row in ROWS])
    def test_itsTestsExist(self, row: list[str]) -> None:
        cells = row[3].split(", ")
        for cell in cells:
            match = NAMED.fullmatch(cell)
            assert match is not None, cell
            file, *names = (part for part in match.groups() if part is not None)
            assert tuple(names) in definedIn(file), cell

    def test_noneTwice(self) -> None:
        assert len({(row[0], row[1]) for row in self.ROWS}) == len(self.ROWS)


class TestMeasured:
    def test_ourColumnIsTheOtherTables(self) -> None:
        others = {row.name: row for row in rows()}
        for name, ours, *_ in lines("measured.csv")[1:]:
            if ours == "h2":
                assert others[name].answer == "GOAWAY close"
                continue
            (status,), isOpen, sizes = expected(others[name])
            size = f":{sizes[0]}" if sizes and sizes[0] else ""
            assert ours == f"{status}{'o' if isOpen else 'c'}{size}"

    def test_allOfThem(self) -> None:
        assert [line[0] for line in lines("measured.csv")[1:]] == [row.name for row in rows()[:57]]
