"""64 clients over 8 processes never get more than their limit, nor much less, while policies are edited."""

from __future__ import annotations

from pathlib import Path

import pytest

from securenet.run.redis_server import RedisServer
from tests.chaos.judges import usage
from tests.chaos.limits import LimitUnderLoad, print_usage
from tests.chaos.load import Editor, Servers, database_url, running
from tests.chaos.plans import Edits, Load
from tests.integration.helpers import given_cache_policy, given_limit

pytestmark = pytest.mark.chaos

SECONDS = 20.0
GREEDY = 8
LIMITS = [
    LimitUnderLoad("sliding_window", limit=20, period=2),
    LimitUnderLoad("fixed_window", limit=10, period=1),
    LimitUnderLoad("token_bucket", limit=10, period=1, burst=15),
]


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.algorithm)
def test_no_client_gets_more_than_its_limit_and_who_asks_enough_gets_it(
    limit: LimitUnderLoad, redis: RedisServer, empty_database: None, tmp_path: Path, seed: int
) -> None:
    limit.save()
    given_limit("unrelated", route="/api/unrelated", limit=1000)
    given_cache_policy("cache", route="/api/cached/*")
    servers = Servers(redis.url, database_url(), tmp_path)
    load = Load((limit.path,), clients=64, seconds=SECONDS, seed=seed, greedy=GREEDY, period=limit.period, edge=0.1)
    edits = Edits(("unrelated", limit.algorithm), count=1000, how=("save", "update"), pause=0.02)
    with running(load, servers) as run, Editor(servers, edits) as editor:
        run.await_end(SECONDS)
    made = editor.edits()

    everybody = usage(run.answers, limit.textbook, run.epoch, run.drift)
    greedy = usage([answer for answer in run.answers if answer.client < GREEDY], limit.textbook, run.epoch, run.drift)
    title = f"{limit.algorithm}, {servers.processes} processes, {len(made)} edits meanwhile: all clients; greedy ones"
    print_usage(title, [(limit, everybody), (limit, greedy)])
    assert {answer.status for answer in run.answers} == {200, 429}
    assert len(made) >= 50
    assert everybody.clients == load.clients
    assert (everybody.surplus, everybody.needless) == (0, 0)
    assert greedy.asked >= 2 * greedy.admitted
    assert greedy.share >= 0.95
