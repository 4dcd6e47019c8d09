"""The table on the terminal and the page docs/validation.md, made from outcomes. Pure but for asking the machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from tests.validation.objectives import Outcome, score

PACKAGES = {"Django": "django", "DRF": "djangorestframework", "redis-py": "redis", "RQ": "rq", "Granian": "granian"}

INTRODUCTION = """\
# Validation

`make validate` starts a SecureNet with {web_processes} web server processes and {job_workers} job workers, with the
policies of the first release, and measures each objective over HTTP, in the admin, by Redis' own records and by what
its workers do; SQL queries are counted in a further process on the same data. It reads no source text. It writes this
page, and its exit code is 1 where an objective is not met.

An objective consists of checks, and its score is the share of them that held; the score of an area is the mean of its
objectives by their weights, and so is the total. What raises an error scores nothing.
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What the page says about the run."""

    date: str
    seconds: float
    store: str
    web_processes: int
    job_workers: int
    command: str = "make validate"


def terminal_table(outcomes: Sequence[Outcome[Any]]) -> str:
    """One line per objective by area, what is missing below it, and the scores."""
    width = max([len(outcome.objective.name) for outcome in outcomes], default=0)
    lines: list[str] = []
    for area, rows in _by_area(outcomes).items():
        lines.append(f"{area}: {_percent(score(rows))}")
        for row in rows:
            lines.append(f"  {_percent(row.measured.score):>6}  {row.objective.name:<{width}}  {row.measured.evidence}")
            lines += [f"          - {missing}" for missing in row.measured.missing]
    lines.append(f"Total: {_percent(score(outcomes))} of {len(outcomes)} objectives")
    return "\n".join(lines)


def line(outcome: Outcome[Any]) -> str:
    """What is said as soon as an objective was measured."""
    return f"{_percent(outcome.measured.score):>6}  {outcome.objective.name} ({outcome.seconds:.1f} s)"


def page(outcomes: Sequence[Outcome[Any]], run: Run) -> str:
    """The text of docs/validation.md."""
    areas = _by_area(outcomes)
    parts = [
        INTRODUCTION.format(web_processes=run.web_processes, job_workers=run.job_workers),
        _facts(run),
        _table(
            ("area", "objectives", "met", "score"),
            [
                *((area, len(rows), _met(rows), _percent(score(rows))) for area, rows in areas.items()),
                ("**total**", len(outcomes), _met(outcomes), f"**{_percent(score(outcomes))}**"),
            ],
        ),
    ]
    parts += [_section(area, rows) for area, rows in areas.items()]
    return "\n".join(parts)


def _section(area: str, rows: Sequence[Outcome[Any]]) -> str:
    columns = ("objective", "promise", "weight", "score", "measured")
    cells = [
        (
            row.objective.name,
            row.objective.promise,
            f"{row.objective.weight:g}",
            _percent(row.measured.score),
            "; ".join(
                [_plain(row.measured.evidence), *(f"**missing:** {_plain(each)}" for each in row.measured.missing)]
            ),
        )
        for row in rows
    ]
    return f"## {area}\n\n{_table(columns, cells)}"


def _facts(run: Run) -> str:
    packages: Mapping[str, str] = {name: version(package) for name, package in PACKAGES.items()}
    facts = {
        "date": run.date,
        "command": f"`{run.command}`",
        "took": f"{run.seconds:.0f} s",
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, {_memory_gib():.0f} GiB, {platform.system()} "
        f"{platform.release().split('-')[0]}",
        "versions": ", ".join(
            [f"Python {platform.python_version()}", run.store, *(f"{name} {v}" for name, v in packages.items())]
        ),
        "database": "SQLite",
    }
    return _table(("run", ""), list(facts.items()))


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _by_area(outcomes: Sequence[Outcome[Any]]) -> dict[str, list[Outcome[Any]]]:
    areas: dict[str, list[Outcome[Any]]] = {}
    for outcome in outcomes:
        areas.setdefault(outcome.objective.area, []).append(outcome)
    return areas


def _met(rows: Sequence[Outcome[Any]]) -> int:
    return sum(row.is_met for row in rows)


def _percent(value: float) -> str:
    """Never rounded up to 100 %."""
    return f"{int(value * 1000) / 10:g} %"


def _plain(text: str) -> str:
    """The text with nothing in it that is markup."""
    return "".join(f"\\{sign}" if sign in "<>*`\\" else sign for sign in text)


def _table(columns: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(str(cell).replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)
