"""Limits are exact and edits are live over several processes. ``make chaos`` does the same for longer, with more."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_django import DjangoDbBlocker

from securenet.run.redis_server import RedisServer
from tests.chaos.answers import Answer
from tests.chaos.editor import Edit
from tests.chaos.judges import obedience, usage
from tests.chaos.limits import LimitUnderLoad, print_usage
from tests.chaos.load import Editor, Run, Servers, database_url, no_policies, running
from tests.chaos.plans import Edits, Load
from tests.integration.helpers import given_limit

BASE = 1_000_000
EDITS = 100
LIMITS = [
    LimitUnderLoad("sliding_window", limit=15, period=3),
    LimitUnderLoad("fixed_window", limit=15, period=3),
    LimitUnderLoad("token_bucket", limit=15, period=3, burst=8),
]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What four processes answered while a policy was edited."""

    run: Run
    edits: list[Edit]

    def on(self, path: str) -> list[Answer]:
        return [answer for answer in self.run.answers if answer.path == path]


@pytest.fixture(scope="module")
def evidence(
    redis: RedisServer,
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Evidence]:
    """One load for all tests: 6 clients, 4 processes, 100 edits."""
    folder: Path = tmp_path_factory.mktemp("load")
    with django_db_blocker.unblock(), no_policies():
        for limit in LIMITS:
            limit.save()
        given_limit("live", route="/api/live", limit=BASE)
        servers = Servers(redis.url, database_url(), folder, processes=4)
        paths = (*(limit.path for limit in LIMITS), "/api/live")
        load = Load(paths, clients=6, seconds=60, seed=1, period=LIMITS[0].period, edge=0.1)
        ways = ("save", "update", "bulk_update", "save_after_rollback")
        with (
            running(load, servers) as run,
            Editor(servers, Edits(("live",), EDITS, base=BASE, how=ways, pause=0.03, seconds=40)) as editor,
        ):
            edits = editor.await_edits()
    return Evidence(run, edits)


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.algorithm)
def test_processes_together_admit_the_limit_and_no_request_more_or_less(
    evidence: Evidence, limit: LimitUnderLoad
) -> None:
    answers = evidence.on(limit.path)
    used = usage(answers, limit.textbook, evidence.run.epoch, evidence.run.drift)
    print_usage(limit.algorithm, [(limit, used)])
    assert {answer.status for answer in answers} == {200, 429}
    assert (used.surplus, used.needless) == (0, 0)


def test_no_request_is_decided_by_a_revision_older_than_an_edit_that_had_returned(evidence: Evidence) -> None:
    found = obedience(evidence.on("/api/live"), evidence.edits, "live", BASE)
    assert found.edits == EDITS
    assert found.compared > EDITS
    assert (found.stale, found.undecided, found.phantoms) == (0, 0, 0)
