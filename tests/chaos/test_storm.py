"""Everything fails in random order under mixed load; every promise is held against what the clients saw.

CHAOS_SEED decides the order, CHAOS_SECONDS how long it goes on, CHAOS_DATABASE=postgres on which database.
"""

from __future__ import annotations

import os

import pytest

from securenet.run.redis_binary import server_binary
from tests.chaos.storm import report
from tests.chaos.storm.conduct import storm
from tests.chaos.storm.judges import JUDGES, Violation, violations
from tests.chaos.storm.plan import StormPlan
from tests.chaos.storm.record import Record
from tests.chaos.tables import print_table
from tests.servers import postgres

pytestmark = pytest.mark.chaos

SHOWN = 40  # violations in a message


@pytest.fixture(scope="module")
def record(seed: int, tmp_path_factory: pytest.TempPathFactory) -> Record:
    if os.environ.get("CHAOS_DATABASE") == "postgres" and not postgres.is_available():
        pytest.skip("No PostgreSQL server here.")
    chosen = StormPlan(seed, float(os.environ.get("CHAOS_SECONDS") or 120))
    return storm(chosen, tmp_path_factory.mktemp("storm"))


@pytest.fixture(scope="module")
def found(record: Record, seed: int) -> list[Violation]:
    """All violations; the table is printed, and written to docs/chaos.md."""
    found = violations(record)
    print_table(f"Storm with seed {seed}", report.COLUMNS, [row.cells() for row in report.rows(record, found)])
    for violation in found[:SHOWN]:
        incident = record.incident_at(violation.at)
        print(f"{violation.promise}, {incident.name if incident else 'calm'}: {violation.what}")
    database = "PostgreSQL" if os.environ.get("CHAOS_DATABASE") == "postgres" else "SQLite"
    report.publish(f"{database} {seed}", report.section(record, found, seed, database, str(server_binary().release)))
    return found


@pytest.mark.parametrize("promise", JUDGES)
def test_promise_is_kept_through_every_fault(promise: str, found: list[Violation]) -> None:
    broken = [violation for violation in found if violation.promise == promise]
    assert not broken, f"{len(broken)}, among them: {broken[:5]}"


def test_every_kind_of_client_was_at_work(record: Record) -> None:
    """Judges without anything to judge would find nothing."""
    answers = {(exchange.kind, exchange.status) for exchange in record.exchanges}
    wanted = {
        *((kind, 200) for kind in ("mine", "role", "everyone", "cookie", "notifications", "open", "limited", "triage")),
        ("limited", 429), ("limited", 503), ("local", 429), ("log", 201), ("submit", 202), ("foreign job", 404),
    }  # fmt: skip
    assert answers >= wanted, wanted - answers
    assert sum(bool(edit.returned) for edit in record.edits) > len(record.incidents)
    assert all(
        any(incident.began <= exchange.started < incident.over for exchange in record.exchanges)
        for incident in record.incidents
    )
