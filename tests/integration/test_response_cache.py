"""What a cache policy does to responses, field by field, and what is never kept."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import Permission
from django.db import transaction
from django.test import AsyncClient, Client, override_settings
from django_redis import get_redis_connection
from rest_framework.test import APIClient

from perf.caching import invalidate
from perf.caching.local_copies import local_copies
from perf.metrics.report import performance_report
from tests.integration import site
from tests.integration.helpers import client_for, given_cache_policy, given_limit, given_user

pytestmark = pytest.mark.urls("tests.integration.site")


def calls(response: Any) -> int:
    """Which computation of the view the response comes from."""
    number: int = response.json()["calls"]
    return number


def is_cached(client: APIClient, path: str) -> bool:
    """Whether the second of two GETs is answered without the view."""
    return calls(client.get(path)) == calls(client.get(path))


def age_entries(seconds: float) -> None:
    """Make all stored responses older, as if time had passed: their head holds when they were stored."""
    import struct

    redis = get_redis_connection("default")
    for key in redis.keys("*:entry:*"):
        if redis.type(key) == b"string" and not key.endswith(b":lease") and redis.strlen(key) > 1:
            blob = redis.get(key)
            form, kind, began, created = struct.unpack_from(">BBdd", blob)
            head = struct.pack(">BBdd", form, kind, began, created - seconds * 1e6)
            redis.set(key, head + blob[len(head) :], keepttl=True)
    local_copies.clear()


class TestFreshness:
    def test_a_response_is_computed_once_while_it_is_fresh(self) -> None:
        given_cache_policy(ttl=60)
        client = client_for()
        first, second = client.get("/api/counter"), client.get("/api/counter")
        assert second.content == first.content
        assert first.headers["Cache-Status"] == "securenet; fwd=miss; stored; ttl=60"
        assert second.headers["Cache-Status"].startswith("securenet; hit; ttl=")
        assert "Age" in second.headers

    def test_an_old_response_is_computed_again(self) -> None:
        given_cache_policy(ttl=60)
        client = client_for()
        first = client.get("/api/counter")
        age_entries(61)
        assert calls(client.get("/api/counter")) > calls(first)

    def test_a_shortened_ttl_counts_for_stored_responses(self) -> None:
        policy = given_cache_policy(ttl=60)
        client = client_for()
        first = client.get("/api/counter")
        age_entries(30)
        policy.ttl = 20
        policy.save()
        assert calls(client.get("/api/counter")) > calls(first)

    def test_a_lengthened_ttl_counts_for_stored_responses(self) -> None:
        policy = given_cache_policy(ttl=60)
        client = client_for()
        first = client.get("/api/counter")
        age_entries(100)
        policy.ttl = 300
        policy.save()
        again = client.get("/api/counter")
        assert calls(again) == calls(first)
        assert again.headers["Age"] == "100"

    def test_a_ttl_of_zero_caches_nothing(self) -> None:
        given_cache_policy(ttl=0)
        assert not is_cached(client_for(), "/api/counter")

    def test_jitter_moves_the_expiry_of_each_entry_its_own_way(self) -> None:
        given_cache_policy(ttl=1000, ttl_jitter=20)
        client = client_for()
        ttls = {int(client.get(f"/api/counter?n={n}").headers["Cache-Status"].rpartition("ttl=")[2]) for n in range(12)}
        assert len(ttls) > 3
        assert all(800 <= ttl <= 1200 for ttl in ttls)

    def test_a_disabled_policy_leaves_the_decorators_ttl(self) -> None:
        given_cache_policy(ttl=60, enabled=False)
        response = client_for().get("/api/counter")
        assert response.headers["Cache-Status"].endswith("ttl=300")


class TestStale:
    def test_while_one_request_refreshes_the_others_get_the_old_response(self) -> None:
        given_cache_policy(ttl=60, stale_while_revalidate=60)
        site.hold.set()
        first = client_for().get("/api/slow")
        age_entries(70)
        site.hold.clear()
        refreshing = in_thread(lambda: client_for().get("/api/slow"))
        try:
            wait_for_lease()
            meanwhile = client_for().get("/api/slow")
        finally:
            site.hold.set()
        assert calls(meanwhile) == calls(first)
        assert meanwhile.headers["Cache-Status"].startswith("securenet; hit; ttl=-")
        refreshed = refreshing()
        assert calls(refreshed) > calls(first)
        assert "fwd=stale" in refreshed.headers["Cache-Status"]

    def test_an_error_is_replaced_by_the_old_response_if_the_policy_says_so(self, origin_down: None) -> None:
        policy = given_cache_policy(ttl=60, stale_if_error=60)
        site.Failing.break_it.clear()
        first = client_for().get("/api/failing")
        age_entries(70)
        site.Failing.break_it.set()
        assert calls(client_for().get("/api/failing")) == calls(first)
        policy.stale_if_error = 0
        policy.save()
        assert client_for().get("/api/failing").status_code == 500


class TestSharedBy:
    def test_user_keeps_every_users_response_apart(self) -> None:
        given_cache_policy(shared_by="user")
        ann, ben = client_for(given_user("ann", "viewer")), client_for(given_user("ben", "viewer"))
        assert ann.get("/api/private").json()["user"] == "ann"
        assert ben.get("/api/private").json()["user"] == "ben"
        assert is_cached(ann, "/api/private")

    def test_role_shares_among_users_with_the_same_roles(self) -> None:
        given_cache_policy(shared_by="role")
        ann, ben = client_for(given_user("ann", "viewer")), client_for(given_user("ben", "viewer"))
        other = client_for(given_user("cat", "viewer", "soc_analyst"))
        first = ann.get("/api/private")
        assert calls(ben.get("/api/private")) == calls(first)
        assert calls(other.get("/api/private")) != calls(first)

    def test_role_keeps_superusers_apart(self) -> None:
        given_cache_policy(shared_by="role")
        root = client_for(given_user("root", "viewer", is_superuser=True))
        assert calls(client_for(given_user("ann", "viewer")).get("/api/private")) != calls(root.get("/api/private"))

    def test_everyone_shares_with_all(self) -> None:
        given_cache_policy(shared_by="everyone")
        assert calls(client_for(given_user()).get("/api/counter")) == calls(client_for().get("/api/counter"))

    def test_strangers_never_get_what_users_got(self) -> None:
        for shared_by in ("user", "role"):
            given_cache_policy(shared_by, shared_by=shared_by, route=f"/api/counter/{len(shared_by)}")
            path = f"/api/counter/{len(shared_by)}"
            user = client_for(given_user(f"u-{shared_by}")).get(path)
            assert calls(client_for().get(path)) != calls(user)

    def test_a_hit_still_needs_the_permission(self) -> None:
        given_cache_policy(shared_by="everyone")
        assert client_for(given_user()).get("/api/private").status_code == 200
        assert client_for().get("/api/private").status_code in (401, 403)

    def test_cache_control_follows_the_scope(self) -> None:
        policy = given_cache_policy(shared_by="everyone", ttl=60)
        assert client_for().get("/api/counter").headers["Cache-Control"] == "public, max-age=60"
        policy.shared_by = "role"
        policy.save()
        response = client_for(given_user()).get("/api/counter")
        assert response.headers["Cache-Control"] == "private, max-age=60"
        assert "Authorization" in response.headers["Vary"]


class TestKeys:
    def test_parameters_make_responses_differ_but_not_their_order(self) -> None:
        given_cache_policy()
        client = client_for()
        first = client.get("/api/counter?a=1&b=2")
        assert calls(client.get("/api/counter?b=2&a=1")) == calls(first)
        assert calls(client.get("/api/counter?a=1&b=3")) != calls(first)
        assert calls(client.get("/api/counter?a=1&a=2")) != calls(client.get("/api/counter?a=2&a=1"))
        assert calls(client.get("/api/counter?a=1&b=2&c=")) != calls(first)

    def test_ignored_parameters_change_nothing_and_the_view_does_not_see_them(self) -> None:
        given_cache_policy(ignore_params=["utm_*", "ref"])
        client = client_for()
        first = client.get("/api/counter?a=1&utm_source=x&ref=y")
        assert first.json()["query"] == {"a": ["1"]}
        assert calls(client.get("/api/counter?a=1&utm_source=z")) == calls(first)
        assert calls(client.get("/api/counter?a=1&reference=z")) != calls(first)

    def test_chosen_headers_make_responses_differ(self) -> None:
        given_cache_policy(vary_on_headers=["X-Tenant"])
        client = client_for()
        first = client.get("/api/counter", headers={"X-Tenant": "a"})
        assert calls(client.get("/api/counter", headers={"X-Tenant": "a"})) == calls(first)
        assert calls(client.get("/api/counter", headers={"X-Tenant": "b"})) != calls(first)
        assert calls(client.get("/api/counter", headers={"X-Tenant": ""})) != calls(client.get("/api/counter"))
        assert "x-tenant" in first.headers["Vary"].lower()

    def test_values_of_two_headers_do_not_run_together(self) -> None:
        given_cache_policy(vary_on_headers=["X-A", "X-B"])
        client = client_for()
        first = client.get("/api/counter", headers={"X-A": "ab", "X-B": "c"})
        assert calls(client.get("/api/counter", headers={"X-A": "a", "X-B": "bc"})) != calls(first)

    def test_paths_have_entries_of_their_own(self) -> None:
        given_cache_policy()
        client = client_for()
        assert calls(client.get("/api/counter/1")) != calls(client.get("/api/counter/2"))

    def test_head_is_answered_from_get(self) -> None:
        given_cache_policy()
        client = client_for()
        got = client.get("/api/counter")
        head = client.head("/api/counter")
        assert "hit" in head.headers["Cache-Status"]
        assert head.headers["ETag"] == got.headers["ETag"]
        assert head.content == b""

    def test_methods_of_a_policy_restrict_it(self) -> None:
        given_cache_policy(ttl=10, methods=["HEAD"])
        assert client_for().get("/api/counter").headers["Cache-Status"].endswith("ttl=300")


class TestNeverStored:
    @pytest.mark.parametrize(
        "how", ["cookie", "private", "no-store", "vary-star", "vary-unknown", "error", "missing", "raise"]
    )
    def test_what_is_not_for_everybody_is_computed_each_time(self, how: str) -> None:
        given_cache_policy(shared_by="everyone")
        client = client_for()
        before = next(site.calls)
        for _ in range(2):
            client.get(f"/api/unstorable?how={how}")
        if how != "raise":
            assert next(site.calls) == before + 3
        assert not [key for key in get_redis_connection("default").keys("*:entry:*") if _is_response(key)]

    def test_streams_pass_through(self) -> None:
        given_cache_policy()
        response = client_for().get("/api/unstorable?how=streaming")
        assert b"".join(response.streaming_content) == b"ab"

    def test_bodies_over_the_limit_are_not_kept(self) -> None:
        policy = given_cache_policy(max_body_bytes=1000)
        assert not is_cached(client_for(), "/api/unstorable?how=big")
        policy.max_body_bytes = 100_000
        policy.save()
        invalidate(everything=True)
        # The marker of what could not be stored is keyed by the request: ask another.
        assert is_cached(client_for(), "/api/unstorable?how=big&again=1")

    def test_followers_of_an_unstorable_response_do_not_queue(self) -> None:
        given_cache_policy()
        client_for().get("/api/unstorable?how=cookie")
        response = client_for().get("/api/unstorable?how=cookie")
        assert response.headers["Cache-Status"] == "securenet; fwd=miss"
        assert not get_redis_connection("default").keys("*:lease")


class TestOneOriginCall:
    def test_simultaneous_misses_compute_once(self) -> None:
        given_cache_policy()
        site.hold.clear()
        waiting = [in_thread(lambda: client_for().get("/api/slow")) for _ in range(10)]
        try:
            wait_for_lease()
            time.sleep(0.3)
        finally:
            site.hold.set()
        responses = [result() for result in waiting]
        assert len({calls(response) for response in responses}) == 1
        collapsed = [response for response in responses if "collapsed" in response.headers["Cache-Status"]]
        assert len(collapsed) >= 1

    @override_settings(PERF_LEASE_SECONDS=0.4)
    def test_a_dead_lease_holder_delays_nobody_for_longer_than_the_lease(self) -> None:
        given_cache_policy()
        site.hold.set()
        client_for().get("/api/slow")
        redis = get_redis_connection("default")
        (entry,) = [key for key in redis.keys("*:entry:*") if _is_response(key)]
        redis.delete(entry)
        redis.set(entry + b":lease", "somebody who died", px=400)
        started = time.monotonic()
        assert client_for().get("/api/slow").status_code == 200
        assert time.monotonic() - started < 2

    @override_settings(PERF_LEASE_SECONDS=2.0)
    def test_a_slow_holder_keeps_its_lease(self) -> None:
        given_cache_policy()
        site.hold.clear()
        slow = in_thread(lambda: client_for().get("/api/slow"))
        wait_for_lease()
        time.sleep(2.6)
        still_held = bool(get_redis_connection("default").keys("*:lease"))
        site.hold.set()
        assert still_held
        assert "stored" in slow().headers["Cache-Status"]


class TestInvalidation:
    def test_by_tag_of_the_decorator_and_of_the_policy(self) -> None:
        given_cache_policy(tags=["extra"])
        client = client_for()
        for tag in ("counter", "extra"):
            first = client.get("/api/counter")
            invalidate(tags=["unrelated"])
            assert calls(client.get("/api/counter")) == calls(first)
            invalidate(tags=[tag])
            assert calls(client.get("/api/counter")) > calls(first)

    def test_a_tag_added_later_drops_what_was_stored_before(self) -> None:
        policy = given_cache_policy()
        client = client_for()
        first = client.get("/api/counter")
        policy.tags = ["late"]
        policy.save()
        invalidate(tags=["late"])
        assert calls(client.get("/api/counter")) > calls(first)

    @pytest.mark.parametrize("what", [{"policies": ["cache"]}, {"routes": ["counter"]}, {"everything": True}])
    def test_by_policy_route_and_everything(self, what: dict[str, Any]) -> None:
        given_cache_policy()
        client = client_for()
        first = client.get("/api/counter")
        invalidate(**what)
        assert calls(client.get("/api/counter")) > calls(first)

    def test_a_rollback_invalidates_nothing(self) -> None:
        given_cache_policy()
        client = client_for()
        first = client.get("/api/counter")
        with pytest.raises(RuntimeError), transaction.atomic():
            invalidate(tags=["counter"])
            raise RuntimeError
        assert calls(client.get("/api/counter")) == calls(first)

    def test_what_began_before_an_invalidation_is_not_stored_after_it(self) -> None:
        given_cache_policy()
        site.hold.clear()
        slow = in_thread(lambda: client_for().get("/api/slow"))
        wait_for_lease()
        invalidate(routes=["slow"])
        site.hold.set()
        old = slow()
        assert "stored" not in old.headers["Cache-Status"]
        assert calls(client_for().get("/api/slow")) > calls(old)

    def test_a_lost_record_of_invalidations_makes_everything_void(self) -> None:
        given_cache_policy()
        client = client_for()
        first = client.get("/api/counter")
        redis = get_redis_connection("default")
        for record in redis.keys("*:invalidations"):
            redis.delete(record)
        assert calls(client.get("/api/counter")) > calls(first)


class TestHttp:
    def test_if_none_match_gets_304(self) -> None:
        given_cache_policy()
        client = client_for()
        etag = client.get("/api/counter").headers["ETag"]
        unchanged = client.get("/api/counter", headers={"If-None-Match": f'"other", W/{etag}'})
        assert unchanged.status_code == 304
        assert int(unchanged["Age"]) >= 0  # how old what the client keeps is: its max-age does not begin anew
        assert unchanged.content == b""
        assert unchanged.headers["ETag"] == etag
        assert "RateLimit" in unchanged.headers or "Cache-Status" in unchanged.headers

    def test_what_belongs_to_one_exchange_is_made_anew_on_a_hit(self) -> None:
        given_cache_policy()
        given_limit(limit=10)
        client = client_for()
        first, second = client.get("/api/counter"), client.get("/api/counter")
        assert first.headers["X-Request-ID"] != second.headers["X-Request-ID"]
        assert "r=9" in first.headers["RateLimit"]
        assert "r=8" in second.headers["RateLimit"]

    @override_settings(PERF_ADMIN_ROLES=["security_admin"])
    def test_no_cache_is_obeyed_for_admins_only(self) -> None:
        given_cache_policy(shared_by="everyone")
        admin, other = (
            client_for(given_user("adm", "security_admin")),
            client_for(given_user("ann", "viewer")),
        )
        first = other.get("/api/counter")
        assert calls(other.get("/api/counter", headers={"Cache-Control": "no-cache"})) == calls(first)
        assert calls(admin.get("/api/counter", headers={"Cache-Control": "no-cache"})) > calls(first)

    def test_a_forged_entry_is_a_miss(self) -> None:
        given_cache_policy()
        client = client_for()
        first = client.get("/api/counter")
        redis = get_redis_connection("default")
        (key,) = [key for key in redis.keys("*:entry:*") if _is_response(key)]
        local_copies.clear()
        redis.setrange(key, redis.strlen(key) - 3, "9")
        forged = client.get("/api/counter")
        assert forged.status_code == 200
        assert calls(forged) > calls(first)


class TestViewsOfAllKinds:
    @pytest.mark.parametrize("path", ["/api/counter", "/api/things", "/api/function"])
    def test_drf_views(self, path: str) -> None:
        given_cache_policy()
        assert is_cached(client_for(), path)

    def test_plain_views_make_an_exchange_of_their_own(self) -> None:
        assert calls(Client().get("/api/plain")) == calls(Client().get("/api/plain"))

    def test_async_views(self) -> None:
        get = async_to_sync(AsyncClient().get)
        assert calls(get("/api/plain-async")) == calls(get("/api/plain-async"))


def test_entries_stay_within_their_budget_with_all_that_redis_needs_for_them() -> None:
    given_cache_policy()
    client = client_for()
    with override_settings(PERF_CACHE_BUDGET_BYTES=60_000, PERF_CACHE_SHARDS=1):
        for number in range(200):
            client.get(f"/api/counter?n={number}")
    redis = get_redis_connection("default")
    kept = [key for key in redis.keys("*:entry:*") if _is_response(key)]
    assert 40 < len(kept) < 200
    (accounts,) = (int(redis.get(key)) for key in redis.keys("*:entries:bytes"))
    used = sum(redis.memory_usage(key, samples=0) for key in (*kept, *redis.keys("*:entries:[es]*")))
    assert used * 0.7 < accounts <= 60_000
    assert used <= 60_000


def _is_response(key: bytes) -> bool:
    if key.endswith(b":lease") or b":wake:" in key:
        return False
    return get_redis_connection("default").get(key) != b"\0"


def wait_for_lease() -> None:
    """Until some request holds a lease."""
    deadline = time.monotonic() + 5
    while not get_redis_connection("default").keys("*:lease"):
        assert time.monotonic() < deadline, "no request took a lease"
        time.sleep(0.01)


def in_thread(work: Any) -> Any:
    """Run ``work`` beside the test; call what is returned for its result."""
    from django.db import connections

    results: list[Any] = []

    def run() -> None:
        try:
            results.append(work())
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()

    def result() -> Any:
        thread.join(20)
        return results[0]

    return result


@pytest.fixture
def origin_down() -> Iterator[None]:
    yield
    site.Failing.break_it.clear()


class TestSlotsOfTheirOwn:
    """On a Redis Cluster entries are spread, and asked for side by side with the limits."""

    @pytest.fixture(autouse=True)
    def spread(self, settings: Any) -> None:
        settings.PERF_CACHE_SHARDS = 16

    def test_entries_are_spread_over_the_tags_and_limits_are_not(self) -> None:
        given_cache_policy()
        given_limit(limit=1000)
        client = client_for()
        for number in range(60):
            client.get(f"/api/counter?n={number}")
        names = get_redis_connection("default").keys("*")
        tags = {key.partition(b"}")[0] for key in names if b":entry:" in key}
        assert len(tags) > 8
        assert {key.partition(b"}")[0] for key in names if b":limit:" in key} == {b"{perf"}

    def test_a_hit_is_a_hit_and_is_counted(self) -> None:
        given_cache_policy("spread")
        client = client_for()
        assert calls(client.get("/api/counter")) == calls(client.get("/api/counter"))
        counted = performance_report("5m")["api_cache"]["by_policy"]["spread"]
        assert (counted["hits"], counted["misses"]) == (1, 1)

    def test_a_refused_request_leaves_no_lease_behind(self) -> None:
        given_cache_policy()
        given_limit(limit=1)
        client = client_for()
        client.get("/api/counter")
        assert client.get("/api/counter?other=1").status_code == 429
        assert not get_redis_connection("default").keys("*:lease")

    def test_an_invalidation_reaches_every_tag(self) -> None:
        given_cache_policy()
        client = client_for()
        paths = [f"/api/counter?n={number}" for number in range(20)]
        before = [calls(client.get(path)) for path in paths]
        invalidate(tags=["counter"])
        assert not set(before) & {calls(client.get(path)) for path in paths}

    def test_an_edit_counts_at_once(self) -> None:
        policy = given_cache_policy()
        client = client_for()
        first = client.get("/api/counter")
        policy.ttl = 0
        policy.save()
        assert calls(client.get("/api/counter")) > calls(first)
        assert not get_redis_connection("default").keys("*:lease")


class TestSharedByRole:
    """What several users get is computed for one of them, so they have to be alike in all that a view may look at."""

    @pytest.fixture(autouse=True)
    def policy(self) -> None:
        given_cache_policy(shared_by="role")

    def test_the_same_roles_share(self) -> None:
        ann, ben = (client_for(given_user(name, "viewer")) for name in ("ann", "ben"))
        assert calls(ann.get("/api/counter")) == calls(ben.get("/api/counter"))

    @pytest.mark.parametrize("difference", [{"is_staff": True}, {"is_superuser": True}])
    def test_flags_make_a_difference(self, difference: dict[str, bool]) -> None:
        ann, ben = client_for(given_user("ann", "viewer")), client_for(given_user("ben", "viewer", **difference))
        assert calls(ann.get("/api/counter")) != calls(ben.get("/api/counter"))

    def test_permissions_of_ones_own_make_a_difference(self) -> None:
        ann, ben = given_user("ann", "viewer"), given_user("ben", "viewer")
        ben.user_permissions.add(Permission.objects.first())
        assert calls(client_for(ann).get("/api/counter")) != calls(client_for(ben).get("/api/counter"))

    def test_a_group_that_changes_changes_what_its_members_get_at_once(self) -> None:
        user = given_user("ann", "viewer")
        group = user.groups.get()
        client = client_for(user)
        before = calls(client.get("/api/counter"))
        for change in (
            lambda: group.permissions.add(Permission.objects.first()),
            lambda: group.permissions.clear(),
            lambda: group.save(),
        ):
            change()
            after = calls(client.get("/api/counter"))
            assert after > before
            before = after

    def test_a_change_rolled_back_changes_nothing(self) -> None:
        user = given_user("ann", "viewer")
        client = client_for(user)
        before = calls(client.get("/api/counter"))
        with pytest.raises(RuntimeError), transaction.atomic():
            user.groups.get().permissions.add(Permission.objects.first())
            raise RuntimeError
        assert calls(client.get("/api/counter")) == before
