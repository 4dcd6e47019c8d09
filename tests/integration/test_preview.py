"""The record of traffic, and what a preview makes of it: the same, request for request, as the gate."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from django.test import override_settings
from django_redis import get_redis_connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from perf.gate import keys
from perf.gate.keeper import keeper
from perf.gate.scripts import load_script, with_includes
from perf.metrics import replay
from perf.metrics.preview import preview
from perf.metrics.replay import Decision, Matches, both_decisions, cached, decisions
from perf.metrics.traffic import Visit, is_chosen, read_traffic
from perf.models import CachePolicy, RateLimitPolicy
from perf.policies.compile import load_snapshot, snapshot_with
from tests.integration.conftest import forget_process_state
from tests.integration.helpers import client_for, given_cache_policy, given_limit, given_user, redis_commands, settle
from tests.integration.site import hold

pytestmark = pytest.mark.urls("tests.integration.site")

PATHS = ["/api/counter", "/api/counter/1", "/api/uncached", "/api/things", "/api/long"]
ROUTES = ["*", "/api/*", "/api/counter*", "/api/uncached", "counter-detail"]
DAY = 24 * 3600


def recorded(since: int = 0) -> list[Visit]:
    """The record from Redis' time ``since`` (microseconds) on, with what this process still had to deliver."""
    settle()
    return [visit for visit in read_traffic(100_000) if visit.at >= since]


def start_afresh() -> int:
    """Empty Redis; returns its time. What the process was just delivering may still come: it is older."""
    redis = get_redis_connection("default")
    redis.flushall()
    forget_process_state()
    seconds, microseconds = redis.time()
    return int(seconds) * 1_000_000 + int(microseconds)


class TestTheRecord:
    def test_has_what_decided_about_a_request_and_what_it_took(self) -> None:
        given_limit(limit=2)
        given_cache_policy(shared_by="role")
        client = client_for(given_user("alice", "viewer"))
        for _ in range(3):
            client.get("/api/counter?secret=hunter2")
        first, second, third = recorded()
        assert (first.method, first.path, first.view_name) == ("GET", "/api/counter", "counter")
        assert (first.roles, first.signed_in) == (frozenset({"viewer"}), True)
        assert [visit.verdict for visit in (first, second, third)] == ["allowed", "allowed", "blocked"]
        assert [visit.status for visit in (first, second, third)] == [200, 200, 429]
        assert [visit.cache for visit in (first, second, third)] == ["miss", "hit", ""]
        assert first.entry == second.entry != ""
        assert first.seconds >= first.app_seconds > 0
        assert first.size > 0
        assert first.at < second.at < third.at

    def test_has_no_secrets(self) -> None:
        given_limit()
        client = client_for(given_user("alice", "viewer"), Authorization="Bearer hunter2", Cookie="sid=hunter2")
        client.post("/api/counter?secret=hunter2", {"password": "hunter2"}, format="json")
        assert recorded()
        redis = get_redis_connection("default")
        stored = b"".join(b"".join(redis.lrange(name, 0, -1)) for name in redis.scan_iter(f"{keys.traffic()}*"))
        assert stored
        for secret in (b"hunter2", b"alice", b"127.0.0.1"):
            assert secret not in stored

    def test_tells_strangers_apart_by_address_and_counts_them_as_the_gate_does(self) -> None:
        given_limit()
        for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2"):
            client_for().get("/api/uncached", REMOTE_ADDR=address)
        visits = recorded()
        assert len({visit.client for visit in visits}) == 3, "a /64 is one client"
        assert not any(visit.signed_in for visit in visits)

    def test_costs_no_command_of_its_own(self) -> None:
        given_limit(limit=1000)
        client = client_for()
        client.get("/api/uncached")
        with redis_commands() as commands:
            for _ in range(20):
                client.get("/api/uncached")
        assert commands["evalsha"] <= 21
        assert len(recorded()) == 21

    def test_expires_and_is_bounded(self) -> None:
        given_limit(limit=10_000)
        with override_settings(PERF_TRAFFIC_SECONDS=600):
            client_for().get("/api/uncached")
            settle()
        redis = get_redis_connection("default")
        (name,) = redis.scan_iter(f"{keys.traffic()}*")
        assert 0 < redis.ttl(name) <= 900
        redis.rpush(name, *[redis.lindex(name, 0)] * 20_000)
        client_for().get("/api/uncached")
        settle()
        assert redis.llen(name) == 20_001

    def test_has_all_requests_of_a_client_or_none(self) -> None:
        given_limit(limit=1000)
        with override_settings(PERF_TRAFFIC_SHARE=0.5):
            for number in range(40):
                for _ in range(3):
                    client_for().get("/api/uncached", REMOTE_ADDR=f"198.51.100.{number}")
        visits = recorded()
        by_client = {visit.client: 0 for visit in visits}
        for visit in visits:
            by_client[visit.client] += 1
        assert set(by_client.values()) == {3}
        assert 8 <= len(by_client) <= 32
        assert all(is_chosen(client, 0.5) for client in by_client)

    def test_can_be_switched_off(self) -> None:
        given_limit()
        with override_settings(PERF_TRAFFIC_SHARE=0):
            client_for().get("/api/uncached")
        assert not recorded()

    def test_waits_for_no_redis(self) -> None:
        given_limit()
        client = client_for()
        client.get("/api/uncached")
        visits = recorded()
        assert len(visits) == 1
        assert not keeper._deliveries


policies = st.lists(
    st.fixed_dictionaries(
        {
            "route": st.sampled_from(ROUTES),
            "scope": st.sampled_from(["default", "other"]),
            "limit": st.integers(1, 6),
            "count_by": st.sampled_from(["user_or_ip", "user", "ip", "role", "everyone"]),
            "algorithm": st.sampled_from(["sliding_window", "fixed_window", "token_bucket"]),
            "mode": st.sampled_from(["enforce", "enforce", "observe"]),
            "cost": st.integers(0, 2),
            "penalty": st.booleans(),
            "methods": st.sampled_from([[], ["GET"], ["POST"]]),
            "roles": st.sampled_from([[], ["viewer"]]),
        }
    ),
    max_size=4,
)
requests = st.lists(
    st.tuples(
        st.sampled_from(["GET", "GET", "POST"]), st.sampled_from(PATHS), st.sampled_from(["alice", "bob", "1", "2"])
    ),
    min_size=1,
    max_size=25,
)  # fmt: skip
few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class TestAReplay:
    @few
    @given(policies, requests)
    def test_decides_as_the_gate_did(self, given_policies: Any, sent: Any) -> None:
        began, live = self.send(given_policies, sent)
        visits = recorded(began)
        assert [visit.verdict == "blocked" for visit in visits] == live
        assert [decision.is_blocked for decision in decisions(visits, Matches(load_snapshot()))] == live

    @few
    @given(policies, policies, requests)
    def test_decides_under_other_policies_as_the_gate_does_under_them(self, now: Any, edited: Any, sent: Any) -> None:
        """The windows last a day, so that the moments of the second sending do not matter, only its order."""
        began, _ = self.send(now, sent)
        visits = recorded(began)
        _, live = self.send(edited, sent)
        assert [decision.is_blocked for decision in decisions(visits, Matches(load_snapshot()))] == live

    def send(self, given_policies: Any, sent: Any) -> tuple[int, list[bool]]:
        """When it began, and whether each request was refused, under these policies and with nothing used before."""
        hold.set()
        RateLimitPolicy.objects.all().delete()
        began = start_afresh()
        for number, fields in enumerate(given_policies):
            burst = {"burst": fields["limit"]} if fields["algorithm"] == "token_bucket" else {}
            given_limit(f"policy-{number}", position=number, period=DAY, **{**fields, **burst})
        people = {name: client_for(self.user(name)) for name in ("alice", "bob")}
        answers = []
        for method, path, who in sent:
            client = people.get(who) or client_for(**{"X-Number": who})
            extra = {} if who in people else {"REMOTE_ADDR": f"192.0.2.{who}"}
            answers.append(client.generic(method, path, **extra).status_code == 429)
        return began, answers

    def user(self, name: str) -> Any:
        from django.contrib.auth import get_user_model

        known = get_user_model().objects.filter(username=name).first()
        return known or given_user(name, *(["viewer"] if name == "alice" else []))

    @few
    @given(policies, st.data(), requests)
    def test_of_both_policy_sets_decides_once_only_what_no_change_can_touch(
        self, now: Any, data: st.DataObject, sent: Any
    ) -> None:
        began, _ = self.send(now, sent)
        visits, before = recorded(began), Matches(load_snapshot())
        if not now:
            return
        edited = data.draw(st.sampled_from(list(RateLimitPolicy.objects.all())))
        edited.limit = data.draw(st.integers(1, 6))
        edited.route = data.draw(st.sampled_from(ROUTES))
        edited.enabled = data.draw(st.booleans())
        after = Matches(snapshot_with(edited))
        assert both_decisions(visits, before, after) == (decisions(visits, before), decisions(visits, after))

    @few
    @given(
        limits=st.lists(
            st.fixed_dictionaries(
                {
                    "algorithm": st.sampled_from(["sliding_window", "fixed_window", "token_bucket"]),
                    "limit": st.integers(1, 6),
                    "period": st.sampled_from([1, 10]),
                    "cost": st.sampled_from([0, 1, 1, 2]),
                    "mode": st.sampled_from(["enforce", "observe"]),
                    "penalty": st.booleans(),
                    "count_by": st.sampled_from(["ip", "everyone"]),
                }
            ),
            min_size=1,
            max_size=3,
        ),
        moments=st.lists(st.tuples(st.floats(0, 15), st.sampled_from("ab")), max_size=25),
    )
    def test_leaves_out_only_limits_that_can_refuse_nothing(
        self, limits: Any, moments: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hold.set()
        RateLimitPolicy.objects.all().delete()
        for number, fields in enumerate(limits):
            fields["cost"] = min(fields["cost"], fields["limit"])
            burst = {"burst": fields["limit"]} if fields["algorithm"] == "token_bucket" else {}
            given_limit(f"policy-{number}", scope=f"scope-{number}", **{**fields, **burst})
        visits = [visits_at([second], address=address)[0] for second, address in sorted(moments)]
        matches = Matches(load_snapshot())
        spared = decisions(visits, matches)
        with monkeypatch.context() as patch:
            patch.setattr(replay, "_may_refuse", lambda *_: True)
            assert decisions(visits, matches) == spared

    def test_touches_no_live_counter(self) -> None:
        given_limit(limit=3)
        for _ in range(3):
            client_for().get("/api/uncached")
        visits = recorded()
        redis = get_redis_connection("default")
        before = {name: redis.dump(name) for name in redis.scan_iter("*limit*")}
        decisions(visits * 3, Matches(load_snapshot()))
        assert {name: redis.dump(name) for name in redis.scan_iter("*limit*")} == before
        assert not list(redis.scan_iter("*preview*"))

    def test_spares_who_an_access_rule_spared(self) -> None:
        from perf.models import AccessRule

        AccessRule.objects.create(name="office", network="192.0.2.0/24", effect="exempt", reason="ours")
        given_limit(limit=1)
        for _ in range(3):
            client_for().get("/api/uncached", REMOTE_ADDR="192.0.2.7")
        visits = recorded()
        assert {visit.verdict for visit in visits} == {"exempt"}
        assert not any(decision.is_blocked for decision in decisions(visits, Matches(load_snapshot())))


def visits_at(seconds: list[float], entry: str = "e", **fields: Any) -> list[Visit]:
    """Visits of one entry at these times."""
    facts: dict[str, Any] = {
        "method": "GET", "path": "/api/counter", "view_name": "counter", "throttle_scope": "", "roles": frozenset(),
        "signed_in": False, "user": "", "address": "a", "verdict": "allowed", "status": 200, "size": 10,
        "seconds": 0.5, "app_seconds": 0.5, "entry": entry, "cache": "miss", **fields,
    }  # fmt: skip
    return [Visit(at=1_800_000_000_000_000 + round(second * 1e6), **facts) for second in seconds]


class TestACachePreview:
    def test_counts_hits_and_spared_seconds_for_another_ttl(self) -> None:
        policy = given_cache_policy(ttl=10)
        before = load_snapshot()
        policy.ttl = 100
        visits = visits_at([0, 5, 15, 20, 50, 99, 101])
        answer = preview(visits, before, snapshot_with(policy))
        assert (answer.cache_before.hits, answer.cache_before.misses) == (3, 4)
        assert (answer.cache_after.hits, answer.cache_after.misses) == (5, 2)
        assert answer.origin_seconds_saved == pytest.approx(1.0)
        assert CachePolicy.objects.get().ttl == 10, "nothing was saved"

    def test_stale_answers_are_computed_anew_beside(self) -> None:
        given_cache_policy(ttl=10, stale_while_revalidate=20)
        tally = cached(visits_at([0, 15, 16, 60]), [NO_LIMIT] * 4, Matches(load_snapshot()))
        assert (tally.hits, tally.stale, tally.misses) == (1, 1, 2)
        assert tally.origin_seconds == pytest.approx(1.5)

    def test_agrees_with_what_the_live_cache_did(self) -> None:
        given_cache_policy(ttl=1000)
        chance = random.Random(1)
        for _ in range(40):
            client_for().get(f"/api/counter?n={chance.randrange(6)}")
        visits = recorded()
        tally = cached(visits, decisions(visits, Matches(load_snapshot())), Matches(load_snapshot()))
        assert tally.hits == sum(visit.cache == "hit" for visit in visits)
        assert tally.misses == sum(visit.cache == "miss" for visit in visits)

    def test_what_was_not_storable_is_never_a_hit(self) -> None:
        given_cache_policy(ttl=1000)
        tally = cached(visits_at([0, 1, 2], cache="unstorable"), [NO_LIMIT] * 3, Matches(load_snapshot()))
        assert (tally.hits, tally.misses) == (0, 3)


NO_LIMIT = Decision()


class TestThePreview:
    def test_names_who_would_be_blocked_and_who_let_through(self) -> None:
        policy = given_limit(limit=5, route="/api/uncached")
        for address, times in (("192.0.2.1", 8), ("192.0.2.2", 3)):
            for _ in range(times):
                client_for().get("/api/uncached", REMOTE_ADDR=address)
        visits, before = recorded(), load_snapshot()
        policy.limit = 2
        stricter = preview(visits, before, snapshot_with(policy))
        assert (stricter.requests, stricter.clients) == (11, 2)
        assert (stricter.blocked_before, stricter.blocked_after) == (3, 7)
        assert (stricter.newly_blocked, stricter.newly_allowed, stricter.clients_newly_blocked) == (4, 0, 2)
        assert [each.newly_blocked for each in stricter.top_clients] == [3, 1]
        assert stricter.top_routes[0].name == "GET uncached"
        assert sum(point.blocked_after for point in stricter.points) == 7
        policy.limit = 100
        assert preview(visits, before, snapshot_with(policy)).newly_allowed == 3

    def test_of_a_policy_that_is_not_saved_yet_and_of_one_switched_off(self) -> None:
        kept = given_limit(limit=1000)
        for _ in range(5):
            client_for().get("/api/uncached")
        visits, before = recorded(), load_snapshot()
        new = RateLimitPolicy(name="new", route="/api/*", limit=2, period=60, position=0)
        assert preview(visits, before, snapshot_with(new)).newly_blocked == 3
        kept.enabled = False
        assert not preview(visits, before, snapshot_with(kept)).changes_limits

    def test_over_no_traffic_says_so(self) -> None:
        policy = given_limit()
        answer = preview([], load_snapshot(), snapshot_with(policy))
        assert (answer.requests, answer.points) == (0, ())
        assert answer.cache_after.hit_rate == 0


def test_the_record_is_compact() -> None:
    given_limit()
    client_for().get("/api/uncached")
    settle()
    redis = get_redis_connection("default")
    (name,) = redis.scan_iter(f"{keys.traffic()}*")
    text = redis.lindex(name, 0)
    assert len(text) < 250
    assert len(json.loads(text)) == 15


def test_the_script_that_replays_shares_its_decisions_with_the_gate() -> None:
    decisions_of_both = with_includes("--@include settle.lua").strip()
    for name in ("gate", "replay"):
        assert decisions_of_both in load_script(name).source
