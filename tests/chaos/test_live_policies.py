"""Once the save of an edit has returned, no request that begins anywhere is decided by an older revision."""

from __future__ import annotations

from pathlib import Path

import pytest
from django_redis import get_redis_connection

from perf.gate import keys
from perf.models import RateLimitPolicy, Revision
from perf.policies.revisions import head_number
from securenet.run.redis_server import RedisServer
from tests.chaos.editor import Edit
from tests.chaos.judges import obedience
from tests.chaos.load import Editor, Run, Servers, database_url, running
from tests.chaos.plans import Edits, Load
from tests.chaos.tables import print_table
from tests.integration.helpers import given_limit

pytestmark = pytest.mark.chaos

BASE = 1_000_000
LOAD_SECONDS = 200.0


def load_with(seed: int) -> Load:
    return Load(("/api/live",), clients=64, seconds=LOAD_SECONDS, seed=seed)


def judge(run: Run, edits: list[Edit], *policies: str) -> None:
    """Print how the requests followed the edits, and see that all of them did."""
    verdicts = {policy: obedience(run.answers, edits, policy, BASE) for policy in policies}
    print_table(
        f"Requests from {len(run.children)} processes while policies are edited",
        ["policy", "edits", "requests after an edit", "decided by an older one", "by none", "by a rolled-back one"],
        [
            [name, found.edits, found.compared, found.stale, found.undecided, found.phantoms]
            for name, found in verdicts.items()
        ],
    )
    assert {answer.status for answer in run.answers} == {200}
    undecided = [answer for answer in run.answers if not answer.limits]
    for answer in undecided[:10]:
        meanwhile = sum(answer.started < edit.returned < answer.ended for edit in edits)
        print(f"  decided by none: it took {answer.seconds:.3f} s, in which {meanwhile} edits were made")
    for found in verdicts.values():
        assert (found.stale, found.undecided, found.phantoms) == (0, 0, 0)
        assert found.compared > found.edits


@pytest.mark.parametrize(
    ("how", "count"),
    [(("save",), 1000), (("update", "bulk_update"), 300), (("save_after_rollback",), 200)],
    ids=["save", "in bulk", "after a rollback"],
)
def test_no_request_is_decided_by_an_older_revision(
    how: tuple[str, ...], count: int, redis: RedisServer, empty_database: None, tmp_path: Path, seed: int
) -> None:
    given_limit("live", limit=BASE)
    servers = Servers(redis.url, database_url(), tmp_path)
    plan = Edits(("live",), count, base=BASE, how=how, seconds=LOAD_SECONDS - 20)
    with running(load_with(seed), servers) as run, Editor(servers, plan) as editor:
        edits = editor.await_edits()
    assert len(edits) == count
    assert RateLimitPolicy.objects.get(name="live").limit == BASE + count
    judge(run, edits, "live")


def test_two_editors_at_once_lose_no_revision(
    redis: RedisServer, empty_database: None, tmp_path: Path, seed: int
) -> None:
    count = 150
    for name in ("one", "other"):
        given_limit(name, limit=BASE, scope=name)
    before = head_number()
    servers = Servers(redis.url, database_url(), tmp_path)
    plans = {name: Edits((name,), count, base=BASE, seconds=LOAD_SECONDS - 20) for name in ("one", "other")}
    with (
        running(load_with(seed), servers) as run,
        Editor(servers, plans["one"], "one") as one,
        Editor(servers, plans["other"], "other") as other,
    ):
        edits = one.await_edits() + other.await_edits()
    assert len(edits) == 2 * count
    assert head_number() == before + 2 * count
    assert Revision.objects.filter(number__gt=before).count() == 2 * count
    assert int(get_redis_connection("default").get(keys.revision())) == head_number()
    newest = Revision.objects.get(number=head_number()).policies["RateLimitPolicy"]
    assert {row["name"]: row["limit"] for row in newest} == {"one": BASE + count, "other": BASE + count}
    judge(run, edits, "one", "other")
