"""What a storm did, fault by fault: as a table on the terminal, and as a section of docs/chaos.md.

The page is its own store: the sections of earlier runs are found again by the comments that open them.
"""

from __future__ import annotations

import os
import platform
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from tests.chaos.answers import SECOND
from tests.chaos.judges import percentile
from tests.chaos.storm import plan
from tests.chaos.storm.judges import JUDGES, Violation, by_incident
from tests.chaos.storm.record import LOST, Exchange, Record

PAGE = Path(__file__).parents[3] / "docs" / "chaos.md"
KEPT = 4  # runs on the page
CALM = "(before the first)"
INTRODUCTION = """\
# Chaos

`make chaos` starts a SecureNet as `make run` does (three web processes, two job workers, a Redis with append-only
persistence, and SQLite, or with `CHAOS_DATABASE=postgres` PostgreSQL), puts a mixed load on it, and lets everything
around it fail, one fault after the other in an order that `CHAOS_SEED` decides, for `CHAOS_SECONDS` (120) at least and
until each fault has happened once. `make chaos ARGS="-k storm"` does this alone, and writes this page.

The load comes from processes of its own, over HTTP: users of all four roles read what is cached and what is not,
and try to read the jobs of others; anonymous clients ask for more than their limits allow, by all three algorithms;
log lines are ingested, findings triaged, jobs submitted with an `Idempotency-Key` and submitted again with the same
one; and an editor changes a policy about five times a second, every fourth time after a change that is rolled back.

What is judged is what the clients wrote down of each request, when the editor's calls had returned, when the faults
began and ended, what the cached views noted of each time they ran, and the rows of the database in the end. A fault
excuses only what the promise itself excuses:

| column | a violation is |
| --- | --- |
| live policies | a request decided by an older revision than that of a save that had returned before it \
began, unless Redis was away or emptied then or has been back for less than {noticed:g} s; any sight of a change \
that was rolled back |
| exact limits | an admission too many in any interval of the period, by Redis' clock, as long as Redis keeps \
what it has counted; without Redis, by `on_store_error: local`, over the processes together |
| one origin call | an entry computed while it is being computed or is fresh, unless Redis lost it or was away, \
the database with the newest policies was away, or the process died that computed it |
| privacy | a body made for somebody else, a job of somebody else, two bodies of one origin call |
| answered | any 5xx, except 503 with `Retry-After` that `on_store_error: deny` gives while Redis is away, or the \
database with the newest policies, and 503 of a database that is away; a request that no limit decided at another \
time; a lost connection, unless a web process was killed; an answer after more than {longest:g} s ({database:g} s \
more while the database is locked) |
| jobs | an accepted job that does not end, an effect that is not there once, a second job of one key |
| writes | an acknowledged log line that is not stored once, an acknowledged note that is gone |

The other columns: requests that ended between this fault and the next; the 99th percentile of their time, and the
longest; answers by status (`lost`: the connection broke); and for how long after Redis was back the last request
was decided by an older revision (behind), or by no limit (open). The judges have tests of their own, in which each
kind of violation is planted and found (`tests/unit/test_storm_judges.py`).

"""


@dataclass(frozen=True, slots=True)
class Row:
    """How requests fared after one kind of fault, over all times it happened. Times in seconds."""

    fault: str
    times: int
    requests: int
    p99: float
    longest: float
    statuses: dict[int, int]
    behind: float | None
    unlimited: float | None
    violations: dict[str, int]

    def cells(self) -> list[str]:
        statuses = ", ".join(f"{status or 'lost'}: {count}" for status, count in sorted(self.statuses.items()))
        return [
            self.fault, str(self.times), str(self.requests), f"{self.p99:.2f}", f"{self.longest:.2f}", statuses,
            _seconds(self.behind), _seconds(self.unlimited), *(str(self.violations[name]) for name in JUDGES),
        ]  # fmt: skip


COLUMNS = ["fault", "times", "requests", "p99 s", "longest s", "answers", "behind s", "open s", *JUDGES]


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def rows(record: Record, found: Sequence[Violation]) -> list[Row]:
    """A row for each fault that happened, and one for the time before."""
    counts = by_incident(record, found)
    by_fault: dict[str, list[Exchange]] = {}
    for exchange in record.exchanges:
        incident = record.incident_at(exchange.ended)
        by_fault.setdefault(incident.name if incident else "", []).append(exchange)
    times = Counter(incident.name for incident in record.incidents)
    return [
        Row(
            fault=name or CALM,
            times=times[name],
            requests=len(exchanges),
            p99=percentile([exchange.seconds for exchange in exchanges], 0.99),
            longest=max(exchange.seconds for exchange in exchanges),
            statuses=dict(Counter(exchange.status for exchange in exchanges)),
            behind=_last_after(record, name, _stale(record)),
            unlimited=_last_after(record, name, [it for it in record.exchanges if _is_unlimited(it)]),
            violations={promise: counts[name, promise] for promise in JUDGES},
        )
        for name, exchanges in sorted(by_fault.items())
    ]


def _is_unlimited(exchange: Exchange) -> bool:
    return exchange.kind in ("open", "local", "limited") and exchange.status != LOST and not exchange.limits


def _stale(record: Record) -> list[Exchange]:
    """The requests that an older revision decided, excused or not."""
    returned = sorted((edit.returned, edit.number) for edit in record.edits if edit.returned)
    found, current, index = [], 0, 0
    for exchange in record.exchanges:
        while index < len(returned) and returned[index][0] < exchange.started:
            current, index = max(current, returned[index][1]), index + 1
        quota = exchange.answer().quota("open") if exchange.kind == "open" else None
        if quota is not None and quota < plan.OPEN_BASE + current:
            found.append(exchange)
    return found


def _last_after(record: Record, fault: str, exchanges: Sequence[Exchange]) -> float | None:
    """For how long after the end of such faults one of ``exchanges`` began; None where there was none at all."""
    late = [
        (exchange.started - incident.back) / SECOND
        for incident in record.incidents
        if incident.name == fault
        for exchange in exchanges
        if incident.began <= exchange.started and exchange.ended < incident.over
    ]
    return max(0.0, max(late)) if late else None


def section(record: Record, found: Sequence[Violation], seed: int, database: str, redis: str) -> str:
    """A run in Markdown."""
    total = Counter(violation.promise for violation in found)
    seconds = (record.incidents[-1].over - record.exchanges[0].started) / SECOND
    lines = [
        f"## Seed {seed}, {database}",
        "",
        (
            f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.system()}, Python "
            f"{platform.python_version()}, {redis}, Django {version('django')}, redis-py {version('redis')}, "
            f"RQ {version('rq')}. {len(record.incidents)} faults in {seconds:.0f} s: {len(record.exchanges)} requests, "
            f"{sum(bool(edit.returned) for edit in record.edits)} edits, {len(record.origin_calls)} origin calls, "
            f"{len(record.final.jobs)} jobs, {len(record.final.lines)} log lines. "
            f"Violations: {sum(total.values())}."
        ),
        "",
        _judged(record),
        "",
        f"The order: {'; '.join(incident.name for incident in record.incidents)}.",
        "",
        *(f"| {' | '.join(cells)} |" for cells in _table(record, found)),
    ]
    return "\n".join(lines) + "\n"


def _judged(record: Record) -> str:
    """How much there was to judge."""
    by_edit = sum(it.answer().quota("open") is not None for it in record.exchanges if it.kind == "open")
    admitted = sum(it.status == 200 for it in record.exchanges if it.kind in ("limited", "local"))
    owned = sum(bool(it.owner) for it in record.exchanges)
    accepted = sum(it.status == 202 for it in record.exchanges if it.kind == "submit")
    keys = len({it.sent for it in record.exchanges if it.kind == "submit"})
    return (
        f"Judged were {by_edit} requests by the edit that decided them, {admitted} admissions by limits, {owned} "
        f"bodies by their owner, {accepted} accepted submissions with {keys} keys."
    )


def _table(record: Record, found: Sequence[Violation]) -> list[list[str]]:
    return [COLUMNS, ["---"] * len(COLUMNS), *(row.cells() for row in rows(record, found))]


def publish(name: str, text: str) -> None:
    """Put a run on the page, as the first; ``name`` tells runs apart. The oldest ones go."""
    sections = _sections(PAGE.read_text()) if PAGE.exists() else {}
    kept = {name: text, **{old: body for old, body in sections.items() if old != name}}
    introduction = INTRODUCTION.format(
        noticed=plan.NOTICED_SECONDS, longest=plan.LONGEST_SECONDS, database=plan.DATABASE_SECONDS
    )
    parts = [f"<!-- run: {old} -->\n{body.strip()}\n" for old, body in list(kept.items())[:KEPT]]
    PAGE.write_text(introduction + "\n".join(parts))


def _sections(page: str) -> dict[str, str]:
    _, *rest = re.split(r"^<!-- run: (.*) -->\n", page, flags=re.MULTILINE)
    return dict(zip(rest[::2], rest[1::2], strict=True))
