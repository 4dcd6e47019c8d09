"""``manage.py perf_limits``: what operators see and reset of a client's counters."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from perf.gate.store import store
from perf.models import RateLimitPolicy
from tests.integration.helpers import client_for, given_limit, given_user, statuses
from tests.integration.test_store_failure import frozen_redis  # noqa: F401

pytestmark = pytest.mark.urls("tests.integration.site")


def perf_limits(*arguments: str) -> str:
    """What the command prints."""
    output = StringIO()
    call_command("perf_limits", *arguments, stdout=output)
    return output.getvalue()


def row(text: str, name: str) -> list[str]:
    """The columns of one limit: used, left, of."""
    (line,) = re.findall(rf"^{re.escape(name)}\s.*$", text, re.MULTILINE)
    return line.split()[1:4]


@pytest.mark.parametrize("algorithm", RateLimitPolicy.Algorithm.values)
def test_shows_what_a_client_used_and_counts_nothing(algorithm: str) -> None:
    given_limit("per-minute", limit=5, algorithm=algorithm)
    client_for().get("/api/uncached")
    for _ in range(3):
        assert row(perf_limits("127.0.0.1"), "per-minute") == ["1", "4", "5"]
    assert row(perf_limits("192.0.2.1"), "per-minute") == ["0", "5", "5"]


def test_a_reset_is_a_fresh_start_for_that_client_alone() -> None:
    given_limit(limit=2)
    ann, ben = client_for(given_user("ann")), client_for(given_user("ben"))
    for client in (ann, ben):
        assert statuses(client, "/api/uncached", 3) == [200, 200, 429]
    assert "Forgotten: 1 counter." in perf_limits("ann", "--reset")
    assert ann.get("/api/uncached").status_code == 200
    assert ben.get("/api/uncached").status_code == 429


def test_one_policy_may_be_chosen() -> None:
    given_limit("a", scope="a", limit=5)
    given_limit("b", scope="b", limit=5)
    client_for().get("/api/uncached")
    perf_limits("ip:127.0.0.1", "--policy", "a", "--reset")
    shown = perf_limits("ip:127.0.0.1")
    assert (row(shown, "a"), row(shown, "b")) == (["0", "5", "5"], ["1", "4", "5"])


@pytest.mark.parametrize(
    ("count_by", "client"),
    [("user", "user:ann"), ("user_or_ip", "user:ann"), ("role", "role:soc_analyst+viewer"), ("everyone", "everyone")],
)
def test_clients_of_every_kind(count_by: str, client: str) -> None:
    given_limit("counted", count_by=count_by)
    client_for(given_user("ann", "viewer", "soc_analyst")).get("/api/uncached")
    assert row(perf_limits(client), "counted") == ["1", "4", "5"]


def test_limits_in_code_are_shown_too() -> None:
    client_for().get("/api/limited")
    assert row(perf_limits("127.0.0.1"), "limited") == ["1", "1", "2"]


def test_mistakes_are_explained() -> None:
    given_limit("by-address", count_by="ip")
    with pytest.raises(CommandError, match="no user 'nobody'"):
        perf_limits("nobody")
    with pytest.raises(CommandError, match="no address"):
        perf_limits("ip:elsewhere")
    with pytest.raises(CommandError, match="typo"):
        perf_limits("127.0.0.1", "--policy", "typo")


def test_a_redis_that_is_away_is_said(frozen_redis: None) -> None:  # noqa: F811
    given_limit(limit=1)
    with pytest.raises(CommandError, match="Redis cannot be asked"):
        perf_limits("127.0.0.1")
    assert store.is_open
