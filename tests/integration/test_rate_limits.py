"""What a rate-limit policy does to a client, field by field."""

from __future__ import annotations

import time

import http_sf
import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Group
from django.db import DatabaseError
from django.test import AsyncClient, Client
from django_redis import get_redis_connection

from perf.models import AccessRule, RateLimitPolicy
from perf.rate_limiting import parse_rate
from tests.integration.helpers import client_for, given_limit, given_user, settle, statuses

pytestmark = pytest.mark.urls("tests.integration.site")


def test_requests_beyond_the_limit_are_refused() -> None:
    given_limit(limit=3)
    assert statuses(client_for(), "/api/uncached", 5) == [200, 200, 200, 429, 429]


def test_a_refusal_is_a_problem_that_names_the_policy_and_when_to_come_back() -> None:
    given_limit("tight", limit=1, period=60)
    client = client_for()
    client.get("/api/uncached")
    refused = client.get("/api/uncached")
    assert refused.headers["Content-Type"] == "application/problem+json"
    problem = refused.json()
    assert problem["status"] == 429
    assert problem["violated-policies"] == ["tight"]
    assert 1 <= int(refused.headers["Retry-After"]) <= 61


@pytest.mark.parametrize("algorithm", RateLimitPolicy.Algorithm.values)
def test_a_retry_at_retry_after_succeeds(algorithm: str) -> None:
    given_limit(limit=2, period=1, algorithm=algorithm)
    client = client_for()
    response = client.get("/api/uncached")
    while response.status_code == 200:
        response = client.get("/api/uncached")
    time.sleep(int(response.headers["Retry-After"]))
    assert client.get("/api/uncached").status_code == 200


def test_rate_limit_fields_are_structured_fields_of_the_draft() -> None:
    given_limit("per-minute", limit=7, period=60)
    given_limit("per-hour", scope="long", limit=50, period=3600)
    response = client_for().get("/api/uncached")
    policies = http_sf.parse(response.headers["RateLimit-Policy"].encode(), tltype="list")
    standing = http_sf.parse(response.headers["RateLimit"].encode(), tltype="list")
    assert {name: dict(parameters) for name, parameters in policies} == {
        "per-minute": {"q": 7, "w": 60},
        "per-hour": {"q": 50, "w": 3600},
    }
    remaining = {name: parameters["r"] for name, parameters in standing}
    assert remaining == {"per-minute": 6, "per-hour": 49}


def test_within_a_scope_the_first_match_decides() -> None:
    given_limit("first", position=1, limit=4)
    given_limit("second", position=2, limit=1)
    assert statuses(client_for(), "/api/uncached", 3) == [200, 200, 200]


def test_across_scopes_all_must_allow_and_a_refused_request_is_charged_nowhere() -> None:
    given_limit("wide", scope="a", limit=10)
    given_limit("narrow", scope="b", limit=1)
    client = client_for()
    client.get("/api/uncached")
    before = _counters()
    assert client.get("/api/uncached").status_code == 429
    assert _counters() == before


def test_a_penalty_charges_refused_requests() -> None:
    given_limit(limit=2, period=60, penalty=True)
    client = client_for()
    statuses(client, "/api/uncached", 2)
    before = _counters()
    assert client.get("/api/uncached").status_code == 429
    assert _counters() != before


def test_observe_counts_and_blocks_nobody() -> None:
    given_limit(limit=1, mode="observe")
    client = client_for()
    assert statuses(client, "/api/uncached", 3) == [200, 200, 200]
    response = client.get("/api/uncached")
    assert "RateLimit" not in response.headers


def test_methods_restrict_a_limit() -> None:
    given_limit(limit=1, methods=["POST"])
    client = client_for()
    assert statuses(client, "/api/counter", 3) == [200, 200, 200]
    assert [client.post("/api/counter").status_code for _ in range(2)] == [201, 429]


def test_roles_restrict_a_limit() -> None:
    given_limit(limit=1, roles=["viewer"])
    assert statuses(client_for(given_user("ann", "soc_analyst")), "/api/uncached", 2) == [200, 200]
    assert statuses(client_for(given_user("ben", "viewer")), "/api/uncached", 2) == [200, 429]


def test_a_view_name_is_a_route() -> None:
    given_limit(limit=1, route="uncached")
    assert statuses(client_for(), "/api/uncached", 2) == [200, 429]
    assert statuses(client_for(), "/api/counter", 2) == [200, 200]


def test_a_cost_uses_up_several_units_and_zero_none() -> None:
    policy = given_limit(limit=5, cost=2)
    assert statuses(client_for(), "/api/uncached", 3) == [200, 200, 429]
    policy.cost = 0
    policy.save()
    assert client_for().get("/api/uncached").status_code == 200


class TestCountBy:
    def test_user_or_ip_counts_users_apart_and_strangers_by_address(self) -> None:
        given_limit(limit=1)
        ann, ben = given_user("ann"), given_user("ben")
        assert statuses(client_for(ann), "/api/uncached", 2) == [200, 429]
        assert statuses(client_for(ben), "/api/uncached", 2) == [200, 429]
        assert statuses(client_for(), "/api/uncached", 2) == [200, 429]
        assert client_for().get("/api/uncached", REMOTE_ADDR="192.0.2.1").status_code == 200

    def test_user_leaves_strangers_to_the_next_policy_of_the_scope(self) -> None:
        given_limit("users", position=1, count_by="user", limit=1)
        given_limit("others", position=2, count_by="ip", limit=2)
        assert statuses(client_for(given_user()), "/api/uncached", 2) == [200, 429]
        assert statuses(client_for(), "/api/uncached", 3) == [200, 200, 429]

    def test_ip_counts_users_of_one_address_together(self) -> None:
        given_limit(count_by="ip", limit=1)
        assert client_for(given_user("ann")).get("/api/uncached").status_code == 200
        assert client_for(given_user("ben")).get("/api/uncached").status_code == 429

    def test_ip_counts_an_ipv6_network_as_one_client(self) -> None:
        given_limit(count_by="ip", limit=1)
        client = client_for()
        assert client.get("/api/uncached", REMOTE_ADDR="2001:db8:1:2::1").status_code == 200
        assert client.get("/api/uncached", REMOTE_ADDR="2001:db8:1:2::ffff").status_code == 429
        assert client.get("/api/uncached", REMOTE_ADDR="2001:db8:1:3::1").status_code == 200

    def test_an_ipv4_mapped_address_is_the_ipv4_address(self) -> None:
        given_limit(count_by="ip", limit=1)
        client = client_for()
        assert client.get("/api/uncached", REMOTE_ADDR="192.0.2.7").status_code == 200
        assert client.get("/api/uncached", REMOTE_ADDR="::ffff:192.0.2.7").status_code == 429
        assert client.get("/api/uncached", REMOTE_ADDR="::ffff:192.0.2.8").status_code == 200

    def test_role_counts_all_users_with_the_same_roles_together(self) -> None:
        given_limit(count_by="role", limit=1)
        assert client_for(given_user("ann", "viewer")).get("/api/uncached").status_code == 200
        assert client_for(given_user("ben", "viewer")).get("/api/uncached").status_code == 429
        assert client_for(given_user("cat", "soc_analyst")).get("/api/uncached").status_code == 200

    def test_everyone_counts_all_requests_together(self) -> None:
        given_limit(count_by="everyone", limit=1)
        assert client_for(given_user("ann")).get("/api/uncached").status_code == 200
        assert client_for().get("/api/uncached", REMOTE_ADDR="192.0.2.9").status_code == 429


class TestTokenBucket:
    def test_a_burst_above_the_limit_is_allowed_at_once(self) -> None:
        given_limit(algorithm="token_bucket", limit=1, period=60, burst=4)
        assert statuses(client_for(), "/api/uncached", 5) == [200, 200, 200, 200, 429]

    def test_tokens_come_back_one_by_one(self) -> None:
        given_limit(algorithm="token_bucket", limit=4, period=1, burst=1)
        client = client_for()
        assert statuses(client, "/api/uncached", 2) == [200, 429]
        time.sleep(0.26)
        assert client.get("/api/uncached").status_code == 200


class TestLiveChanges:
    @pytest.mark.parametrize("algorithm", RateLimitPolicy.Algorithm.values)
    def test_a_changed_limit_keeps_what_was_used(self, algorithm: str) -> None:
        policy = given_limit(limit=10, period=3600, algorithm=algorithm)
        client = client_for()
        statuses(client, "/api/uncached", 3)
        policy.limit = 5
        policy.save()
        assert statuses(client, "/api/uncached", 3) == [200, 200, 429]

    def test_a_changed_period_keeps_what_was_used(self) -> None:
        policy = given_limit(limit=3, period=60)
        client = client_for()
        statuses(client, "/api/uncached", 3)
        policy.period = 3600
        policy.save()
        assert client.get("/api/uncached").status_code == 429

    def test_changing_the_algorithm_never_fails(self) -> None:
        policy = given_limit(limit=3)
        client = client_for()
        for algorithm in (*RateLimitPolicy.Algorithm.values, *RateLimitPolicy.Algorithm.values):
            policy.algorithm = algorithm
            policy.save()
            assert client.get("/api/uncached").status_code == 200


class TestAccessRules:
    def test_an_exempt_network_is_not_limited(self) -> None:
        given_limit(limit=1)
        AccessRule.objects.create(name="office", effect="exempt", network="192.0.2.0/24", reason="us")
        client = client_for()
        codes = [client.get("/api/uncached", REMOTE_ADDR="192.0.2.5").status_code for _ in range(3)]
        assert codes == [200, 200, 200]
        assert statuses(client_for(), "/api/uncached", 2) == [200, 429]

    def test_a_blocked_user_is_refused_by_name_of_the_rule(self) -> None:
        user = given_user()
        AccessRule.objects.create(name="abuse", effect="blocked", user=user, reason="scraping")
        refused = client_for(user).get("/api/uncached")
        assert refused.status_code == 403
        assert refused.json()["rule"] == "abuse"
        assert client_for(given_user("ben")).get("/api/uncached").status_code == 200

    def test_blocked_wins_over_exempt(self) -> None:
        user = given_user("ann", "viewer")
        AccessRule.objects.create(name="a", effect="exempt", role="viewer", reason="-")
        AccessRule.objects.create(name="b", effect="blocked", network="127.0.0.1", reason="-")
        assert client_for(user).get("/api/uncached").status_code == 403

    def test_an_expired_or_disabled_rule_says_nothing(self) -> None:
        from django.utils import timezone

        AccessRule.objects.create(
            name="old", effect="blocked", network="127.0.0.0/8", reason="-", expires_at=timezone.now()
        )
        AccessRule.objects.create(name="off", effect="blocked", network="127.0.0.0/8", reason="-", enabled=False)
        assert client_for().get("/api/uncached").status_code == 200


class TestPlainViews:
    def test_a_plain_view_has_a_rate_in_code(self) -> None:
        assert [Client().get("/api/limited").status_code for _ in range(3)] == [200, 200, 429]

    def test_an_async_view_is_limited_as_well(self) -> None:
        get = async_to_sync(AsyncClient().get)
        assert [get("/api/limited-async").status_code for _ in range(3)] == [200, 200, 429]

    def test_a_plain_view_may_name_a_policy_and_obeys_its_edits(self) -> None:
        policy = given_limit("named", route="/nowhere", limit=1)
        assert [Client().get("/api/limited-by-policy").status_code for _ in range(2)] == [200, 429]
        policy.limit = 2
        policy.save()
        assert [Client().get("/api/limited-by-policy").status_code for _ in range(2)] == [200, 429]

    @pytest.mark.parametrize(
        ("rate", "meaning"),
        [("5/m", (5, 60)), ("100/hour", (100, 3600)), ("10/30s", (10, 30)), ("1/d", (1, 86400))],
    )
    def test_rates_are_read(self, rate: str, meaning: tuple[int, int]) -> None:
        assert parse_rate(rate) == meaning

    @pytest.mark.parametrize("rate", ["", "5", "0/m", "5/0s", "-1/m", "5/y", "five/m"])
    def test_what_is_no_rate_is_refused(self, rate: str) -> None:
        with pytest.raises(ValueError, match="is no rate"):
            parse_rate(rate)


def test_nothing_that_names_a_client_stands_in_redis() -> None:
    given_limit(limit=1)
    user = given_user("mallory", "viewer")
    statuses(client_for(user), "/api/uncached", 3)
    for _ in range(2):
        client_for().get("/api/uncached?q=needle", REMOTE_ADDR="192.0.2.77")
    settle()
    redis = get_redis_connection("default")
    stored = b"".join(redis.keys("*"))
    for key in redis.keys("*"):
        kind = redis.type(key)
        if kind == b"string":
            stored += redis.get(key)
        elif kind == b"zset":
            stored += b"".join(redis.zrange(key, 0, -1))
        elif kind == b"hash":
            stored += b"".join(part for pair in redis.hgetall(key).items() for part in pair)
    for secret in (b"mallory", b"192.0.2.77", b"viewer", b"needle"):
        assert secret not in stored


def test_a_client_and_policy_take_at_most_300_bytes_whatever_the_limit() -> None:
    given_limit(limit=1000, period=2)
    client = client_for()
    deadline = time.monotonic() + 2.2
    while time.monotonic() < deadline:
        client.get("/api/uncached")
    redis = get_redis_connection("default")
    sizes = [redis.memory_usage(key) for key in redis.keys("*:limit:*")]
    assert sizes
    assert max(sizes) <= 300


@pytest.mark.parametrize(
    ("field", "value"),
    [("cost", -1), ("cost", 10**7), ("limit", 0), ("limit", 2 * 10**9), ("period", 0), ("period", 10**8), ("burst", 0)],
)
def test_absurd_numbers_cannot_be_stored_past_the_forms_either(field: str, value: int) -> None:
    policy = given_limit(limit=5)
    for store in (
        lambda: RateLimitPolicy.objects.filter(pk=policy.pk).update(**{field: value}),
        lambda: given_limit("created", **{field: value}),
        lambda: RateLimitPolicy.objects.bulk_create(
            [RateLimitPolicy(**{"name": "bulk", "route": "*", "limit": 5, field: value})]
        ),
    ):
        with pytest.raises(DatabaseError):
            store()
    assert client_for().get("/api/uncached").headers["RateLimit-Policy"] == '"limit";q=5;w=60'


def test_groups_named_in_policies_need_not_exist() -> None:
    Group.objects.filter(name="ghosts").delete()
    given_limit(limit=1, roles=["ghosts"])
    assert statuses(client_for(), "/api/uncached", 2) == [200, 200]


def _counters() -> dict[bytes, bytes]:
    redis = get_redis_connection("default")
    return {key: redis.dump(key) for pattern in ("*:limit:*", "*:clients:*") for key in redis.keys(pattern)}
