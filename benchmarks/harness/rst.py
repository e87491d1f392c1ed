"""The tables as reStructuredText, to be included by a page of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

from .measure import Run
from .tables import Table, overview, table, title

HEAD = """\
.. Written by benchmarks/run.py --rst. Do not edit: run it again.

"""


def writeRst(path: Path, runs: list[Run], circumstances: list[str]) -> None:
    """:param circumstances: lines about the machine and the versions, for the top."""
    blocks = [_bullets(circumstances)]
    if len([run for run in runs if run.workload.drive]) > 1:
        blocks += [_heading("At a glance: our CPU time divided by theirs"), _listTable(overview(runs))]
    for run in runs:
        blocks += [_heading(title(run)), _listTable(table(run))]
        verdicts = [str(goal.judge(run.results)) for goal in run.workload.goals]
        blocks += [_bullets(verdicts)] if verdicts else []
    path.write_text(HEAD + "\n\n".join(blocks) + "\n")


def _heading(words: str) -> str:
    return f".. rubric:: {_plain(words)}"


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {_plain(line)}" for line in lines)


def _listTable(shown: Table) -> str:
    lines = [".. list-table::", "   :header-rows: 1", "   :class: benchmark", ""]
    for row in (shown.headings, *shown.rows):
        marks = ["   * - ", *["     - "] * (len(row) - 1)]
        lines += [(mark + _plain(cell)).rstrip() for mark, cell in zip(marks, row, strict=True)]
    return "\n".join(lines)


def _plain(words: str) -> str:
    """Nothing in it is markup."""
    return re.sub(r"([\\*_`|]|^-)", r"\\\1", words)
