"""The lists of policies in the admin: counts of the last hour, warnings, order, search, filters, and what is logged."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import strip_tags

from perf.admin.lists import MAX_POSITION, moved, renumbered
from perf.gate.store import store
from perf.models import AccessRule, CachePolicy, Job, JobPolicy, Policy, RateLimitPolicy, Revision
from tests.integration import admin_and_site
from tests.integration.helpers import (
    client_for,
    given_cache_policy,
    given_limit,
    given_user,
    redis_commands,
    settle,
    undisturbed,
)
from tests.integration.site import Uncached
from tests.integration.test_policy_admin import change_url, edit
from tests.integration.test_store_failure import frozen_redis

__all__ = ["frozen_redis"]

pytestmark = pytest.mark.urls(__name__)


class Upload(Uncached):
    throttle_scope = "uploads"


urlpatterns = [*admin_and_site.urlpatterns, path("api/upload", Upload.as_view(), name="upload")]


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(given_user("root", is_staff=True, is_superuser=True))
    return client


def list_url(model: type[Policy]) -> str:
    return reverse(f"admin:perf_{model._meta.model_name}_changelist")


def cell(client: Client, policy: Policy, column: str) -> str:
    """The words in a cell of the policy's list."""
    page = client.get(list_url(type(policy))).content.decode()
    rows = re.findall(r"<tr>.*?</tr>", page, re.DOTALL)
    row = next(row for row in rows if f">{policy.name}</a></th>" in row)
    found = re.search(rf'<td class="field-{column}[^"]*">(.*?)</td>', row, re.DOTALL)
    assert found, f"no column {column}"
    return " ".join(strip_tags(found[1]).split())


def names(client: Client, model: type[Policy], **query: str) -> list[str]:
    """The policies that the list shows, in its order."""
    return [policy.name for policy in client.get(list_url(model), query).context["cl"].result_list]


def order(model: type[Policy] = RateLimitPolicy) -> list[str]:
    return list(model.objects.order_by("position", "id").values_list("name", flat=True))


def press(client: Client, policy: Policy, direction: str, query: str = "") -> Any:
    """The button in the policy's row."""
    return client.post(list_url(type(policy)) + query, {"_move": f"{direction}:{policy.pk}"})


def act(client: Client, action: str, *policies: Policy, query: str = "") -> Any:
    """A bulk action on policies of one list."""
    data = {"action": action, "_selected_action": [policy.pk for policy in policies]}
    return client.post(list_url(type(policies[0])) + query, data, follow=True)


def messages_of(response: Any) -> str:
    return " ".join(strip_tags(str(message)) for message in response.context["messages"])


class TestLastHour:
    def test_says_what_limits_decided(self, admin: Client) -> None:
        blocking = given_limit("blocking", route="/api/uncached", limit=2, scope="one")
        observing = given_limit("observing", route="/api/uncached", limit=1, mode="observe", scope="two")
        idle = given_limit("idle", route="/api/counter")
        for _ in range(5):
            client_for().get("/api/uncached", REMOTE_ADDR="192.0.2.1")
        settle()
        assert cell(admin, blocking, "last_hour") == "2 allowed · 3 blocked · 0 observed"
        assert cell(admin, observing, "last_hour").endswith("4 observed")
        assert cell(admin, idle, "last_hour") == "0 allowed · 0 blocked · 0 observed"

    def test_says_what_caches_had(self, admin: Client) -> None:
        policy, idle = (
            given_cache_policy("counter", route="/api/counter"),
            given_cache_policy("idle", route="/api/long"),
        )
        for _ in range(4):
            client_for().get("/api/counter")
        settle()
        assert cell(admin, policy, "last_hour") == "3 hits · 1 miss · 75%"
        assert cell(admin, idle, "last_hour") == "0 hits · 0 misses"

    def test_says_what_jobs_there_are_and_what_became_of_them(self, admin: Client) -> None:
        policy, of_all = JobPolicy.objects.create(name="cache_warm"), JobPolicy.objects.create(name="all")
        now = timezone.now()
        for status, count, finished_at in [
            ("submitted", 1, None), ("processing", 2, None), ("completed", 3, now), ("failed", 1, now),
            ("completed", 1, now - timedelta(hours=2)),
        ]:  # fmt: skip
            for _ in range(count):
                Job.objects.create(type="cache_warm", status=status, finished_at=finished_at)
        Job.objects.create(type="another")
        assert cell(admin, policy, "jobs_now") == "1 waiting · 2 running"
        assert cell(admin, policy, "jobs_last_hour") == "3 completed · 1 failed"
        assert cell(admin, of_all, "jobs_now") == "2 waiting · 2 running"

    @pytest.mark.parametrize("given_policy", [given_limit, given_cache_policy])
    def test_costs_the_same_whatever_the_number_of_policies(self, admin: Client, given_policy: Any) -> None:
        url = list_url(type(given_policy("p0", route="/api/a")))
        admin.get(url)
        asked = []
        for more in (range(1, 2), range(2, 30)):
            for number in more:
                given_policy(f"p{number}", route=f"/api/{number}")
            with undisturbed(), redis_commands() as commands, CaptureQueriesContext(connection) as queries:
                admin.get(url)
            asked.append((commands["hgetall"], len(queries)))
        assert asked[0] == asked[1]
        assert asked[0][0] == 60, "one hash per minute"

    @pytest.mark.parametrize("given_policy", [given_limit, given_cache_policy])
    def test_is_left_open_while_redis_is_away(self, admin: Client, given_policy: Any, frozen_redis: None) -> None:
        policies = [given_policy(f"p{number}", route="/api/*") for number in range(3)]
        failures = store.failures
        assert [cell(admin, policy, "last_hour") for policy in policies] == ["–"] * 3
        assert store.failures <= failures + 1, "each page waited once more"
        assert "Shadowed" in cell(admin, policies[1], "warnings"), "what needs no Redis is there"


class TestWarnings:
    @pytest.mark.parametrize("given_policy", [given_limit, given_cache_policy])
    def test_name_and_link_what_shadows_a_policy(self, admin: Client, given_policy: Any) -> None:
        first = given_policy("first", route="/api/*", position=1)
        second = given_policy("second", route="/api/counter", position=2)
        assert cell(admin, second, "warnings") == "Shadowed: first comes first and decides all requests on its route."
        assert cell(admin, first, "warnings") == ""
        assert f'<a href="{change_url(first)}">first</a>' in admin.get(list_url(type(first))).content.decode()

    def test_are_true(self, admin: Client) -> None:
        given_limit("first", route="/api/*", position=1, limit=1000)
        given_limit("second", route="uncached", position=2, limit=1)
        assert names(admin, RateLimitPolicy, warnings="yes") == ["second"]
        for _ in range(3):
            assert client_for().get("/api/uncached").status_code == 200
        RateLimitPolicy.objects.filter(name="first").update(roles=["analyst"])
        assert names(admin, RateLimitPolicy, warnings="yes") == ["first"]  # there is no such role
        assert [client_for().get("/api/uncached").status_code for _ in range(2)] == [200, 429]

    def test_tell_that_nothing_is_limited_where_an_observing_policy_comes_first(self, admin: Client) -> None:
        given_limit("trial", route="/api/*", position=1, limit=1, mode="observe")
        real = given_limit("real", route="/api/*", position=2, limit=1)
        assert "trial comes first" in cell(admin, real, "warnings")
        assert "only observes, so nothing is limited here" in cell(admin, real, "warnings")
        assert [client_for().get("/api/uncached").status_code for _ in range(3)] == [200] * 3

    def test_know_the_paths_of_views_and_the_views_of_paths(self, admin: Client) -> None:
        given_limit("paths", route="/api/counter/*", position=1)
        detail = given_limit("detail", route="counter-detail", position=2)
        name = given_limit("name", route="counter", position=3)
        path = given_limit("path", route="/api/counter", position=4)
        assert "paths comes first" in cell(admin, detail, "warnings")
        assert cell(admin, name, "warnings") == ""
        assert "name comes first" in cell(admin, path, "warnings")

    @pytest.mark.parametrize(
        ("route", "is_useless"),
        [
            ("/no/such/*", True), ("/api/conter", True), ("no-such-view", True), ("scope:no-such", True),
            ("/api/counter/x*", False),  # as far as a pattern can tell
            ("/api/counter/1*", False), ("/api/counter/17", False), ("/api/counter/17/18", True), ("/*/counter", False),
            ("counter", False), ("*", False), ("/admin/perf/*", False), ("/api/c%6Funter", False),
        ],
    )  # fmt: skip
    def test_tell_routes_without_a_view(self, admin: Client, route: str, is_useless: bool) -> None:
        policy = given_limit(route=route, limit=1000)
        found = cell(admin, policy, "warnings")
        assert found == ("Never matches: no view of this server is on its route." if is_useless else "")

    def test_a_throttle_scope_is_nothing_to_a_cache(self, admin: Client) -> None:
        assert "Never matches" in cell(admin, given_cache_policy(route="scope:uploads"), "warnings")
        assert cell(admin, given_limit(route="scope:uploads"), "warnings") == ""

    def test_tell_roles_types_and_times_that_are_gone(self, admin: Client) -> None:
        Group.objects.create(name="analyst")
        expired = AccessRule.objects.create(
            name="old", effect="blocked", network="192.0.2.0/24", reason="-", expires_at=timezone.now() - timedelta(1)
        )
        assert cell(admin, expired, "warnings") == "Expired: it does nothing any more."
        rule = AccessRule.objects.create(name="role", effect="exempt", role="ghosts", reason="-")
        assert cell(admin, rule, "warnings") == "No such role: ghosts"
        assert cell(admin, given_limit("a", roles=["ghosts", "analyst"]), "warnings") == ""
        assert cell(admin, given_limit("b", roles=["ghosts"], scope="b"), "warnings") == "No such role: ghosts"
        job = JobPolicy.objects.create(name="no_such_job")
        assert cell(admin, job, "warnings") == "Never matches: this server has no such job type."
        assert cell(admin, JobPolicy.objects.create(name="all"), "warnings") == ""

    def test_are_not_about_disabled_policies(self, admin: Client) -> None:
        given_limit("first", route="/api/*", enabled=False)
        second = given_limit("second", route="/api/*")
        third = given_limit("third", route="/no/such", enabled=False)
        assert (cell(admin, second, "warnings"), cell(admin, third, "warnings")) == ("", "")

    @pytest.mark.parametrize(
        ("given_policy", "model"), [(given_limit, RateLimitPolicy), (given_cache_policy, CachePolicy)]
    )
    def test_are_a_filter(self, admin: Client, given_policy: Any, model: type[Policy]) -> None:
        assert names(admin, model, warnings="yes") == []
        for name, route in [("a", "/api/*"), ("b", "/api/counter"), ("c", "/no/such"), ("d", "/admin/login/")]:
            given_policy(name, route=route)
        assert names(admin, model, warnings="yes") == ["b", "c"]
        assert names(admin, model, warnings="no") == ["a", "d"]
        assert names(admin, model, warnings="yes", enabled__exact="0") == []
        assert admin.get(list_url(model), {"_facets": "True"}).status_code == 200

    def test_come_after_a_save_as_well(self, admin: Client) -> None:
        given_limit("first", route="/api/*", position=1, limit=1000)
        policy = given_limit("second", route="/admin/login/", position=2, limit=1000)
        assert "Shadowed" not in messages_of(edit(admin, policy, limit="2000"))
        response = edit(admin, policy, route="/api/counter")
        assert "Saved. Shadowed: first comes first and decides all requests on its route." in messages_of(response)
        assert RateLimitPolicy.objects.get(name="second").route == "/api/counter"

    def test_a_route_that_cannot_be_read_is_told_and_the_list_stays_open(self, admin: Client) -> None:
        policy = given_limit(route="/api/*")
        RateLimitPolicy.objects.bulk_create([RateLimitPolicy(name="broken", route="<b>no route</b>", limit=1)])
        assert "is no route" in cell(admin, RateLimitPolicy.objects.get(name="broken"), "warnings")
        assert "<b>no route" not in admin.get(list_url(RateLimitPolicy)).content.decode()
        assert cell(admin, policy, "warnings") == ""


class TestOrder:
    def test_a_button_moves_a_policy_past_its_neighbour(self, admin: Client) -> None:
        a, _b, c = (given_limit(name, route="/api/*", position=place) for place, name in enumerate("abc"))
        revisions, entries = Revision.objects.count(), LogEntry.objects.count()
        response = press(admin, c, "up")
        assert response.url.endswith(f"#policy-{c.pk}"), "where the keyboard goes on"
        assert order() == ["a", "c", "b"]
        assert Revision.objects.count() == revisions + 1
        newest = Revision.objects.first()
        assert (newest.author.username, newest.reason) == ("root", "Move c up")
        assert LogEntry.objects.count() == entries + 2, "two policies have another position"
        press(admin, a, "down")
        assert order() == ["c", "a", "b"]
        assert sorted(RateLimitPolicy.objects.values_list("position", flat=True)) == [0, 1, 2]

    def test_at_the_end_nothing_moves_and_no_revision_is_made(self, admin: Client) -> None:
        a, b = given_limit("a", position=1), given_limit("b", position=2)
        revisions = Revision.objects.count()
        press(admin, a, "up")
        press(admin, b, "down")
        assert (order(), Revision.objects.count()) == (["a", "b"], revisions)

    def test_policies_at_the_same_position_are_moved(self, admin: Client) -> None:
        for name in "abcd":
            given_cache_policy(name)
        press(admin, CachePolicy.objects.get(name="d"), "up")
        press(admin, CachePolicy.objects.get(name="a"), "down")
        assert order(CachePolicy) == ["b", "a", "d", "c"]

    def test_in_a_filtered_list_the_neighbour_is_the_one_that_is_shown(self, admin: Client) -> None:
        for place, (name, scope) in enumerate([("a", "one"), ("x", "two"), ("b", "one")]):
            given_limit(name, scope=scope, position=place, limit=1000)
        press(admin, RateLimitPolicy.objects.get(name="b"), "up", "?scope=one")
        assert order() == ["b", "a", "x"]

    def test_actions_move_several_at_once(self, admin: Client) -> None:
        policies = {name: given_limit(name, position=place, limit=1000) for place, name in enumerate("abcde")}
        revisions = Revision.objects.count()
        act(admin, "move_up", policies["c"], policies["d"])
        assert order() == ["a", "c", "d", "b", "e"]
        assert Revision.objects.count() == revisions + 1
        act(admin, "move_down", policies["d"], policies["e"])
        assert order() == ["a", "c", "b", "d", "e"]

    def test_what_is_moved_counts_at_once(self, admin: Client) -> None:
        given_limit("wide", route="/api/*", position=1, limit=1000)
        narrow = given_limit("narrow", route="/api/uncached", position=2, limit=1)
        assert [client_for().get("/api/uncached").status_code for _ in range(2)] == [200, 200]
        press(admin, narrow, "up")
        assert [client_for().get("/api/uncached").status_code for _ in range(2)] == [200, 429]

    def test_nobody_moves_away_what_lets_them_in(self, admin: Client) -> None:
        given_limit("admins", route="/admin/*", position=1, limit=1000)
        tight = given_limit("tight", route="*", position=2, limit=1, period=3600)
        response = admin.post(list_url(RateLimitPolicy), {"_move": f"up:{tight.pk}"}, follow=True)
        assert "would lock you out" in messages_of(response)
        assert order() == ["admins", "tight"]

    def test_is_for_those_who_may_publish(self) -> None:
        given_limit("a", position=1)
        policy = given_limit("b", position=2)
        client = Client()
        user = given_user("clerk", is_staff=True)
        user.user_permissions.set(
            Permission.objects.filter(codename__in=["view_ratelimitpolicy", "change_ratelimitpolicy"])
        )
        client.force_login(user)
        assert press(client, policy, "up").status_code == 403
        assert order() == ["a", "b"]
        assert "_move" not in client.get(list_url(RateLimitPolicy)).content.decode()

    def test_needs_a_token_against_forgery(self) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(given_user("root", is_staff=True, is_superuser=True))
        given_limit("a", position=1)
        assert press(client, given_limit("b", position=2), "up").status_code == 403
        assert order() == ["a", "b"]

    @pytest.mark.parametrize("value", ["up:0", "up:x", "sideways:1", "", "up:" + "9" * 30, "up:" + "9" * 19, "up"])
    def test_nonsense_moves_nothing(self, admin: Client, value: str) -> None:
        given_limit("a")
        response = admin.post(list_url(RateLimitPolicy), {"_move": value}, follow=True)
        assert "no such policy" in messages_of(response)

    def test_an_address_with_an_unknown_filter_leads_to_the_list(self, admin: Client) -> None:
        policy = given_limit("a")
        assert press(admin, policy, "up", "?position__gte=x").url == list_url(RateLimitPolicy)

    def test_what_is_edited_in_the_list_is_asked_about_by_a_script_of_the_site(self, admin: Client) -> None:
        """Pages have no script of their own: the content security policy would refuse it."""
        given_limit("a")
        page = admin.get(list_url(RateLimitPolicy)).content.decode()
        assert re.search(r'<script src="[^"]*perf/lists[^"]*\.js" defer></script>', page)
        assert not re.search(r"<script(?![^>]* src=)(?![^>]*json)|<style|\son\w+=|\sstyle=", page)

    def test_buttons_say_what_they_move_and_are_gone_in_another_order(self, admin: Client) -> None:
        policy = given_limit("a")
        page = admin.get(list_url(RateLimitPolicy)).content.decode()
        assert 'aria-label="Move a up"' in page and 'aria-label="Move a down"' in page
        assert 'aria-label="Position of a"' in page and 'aria-label="Enabled of a"' in page
        assert 'aria-label="Move a up"' not in admin.get(list_url(RateLimitPolicy), {"o": "1"}).content.decode()
        assert cell(admin, policy, "order") == "↑ ↓"

    def test_moves_keep_neighbours_together(self) -> None:
        assert moved("abcde", "abcde", {"b", "c"}, up=True) == list("bcade")
        assert moved("abcde", "abcde", {"a", "b", "e"}, up=True) == list("abced")
        assert moved("abcde", "ace", {"c"}, up=False) == list("abdec")
        assert moved("abc", "abc", {"a"}, up=True) == list("abc")

    def test_positions_are_changed_only_where_they_must_be(self) -> None:
        assert renumbered([1, 3, 2], {1: 10, 2: 20, 3: 30}) == {1: 10, 3: 20, 2: 30}
        assert renumbered([1, 3, 2], {1: 10, 2: 10, 3: 10}) == {1: 10, 3: 10, 2: 11}
        assert renumbered([2, 1], {1: MAX_POSITION, 2: MAX_POSITION}) == {2: 10, 1: 20}


class TestSearchAndFilters:
    def test_policies_are_found_by_name_route_scope_and_comment(self, admin: Client) -> None:
        given_limit("by-name")
        given_limit("b", route="/api/by-route")
        given_limit("c", scope="by-scope")
        given_limit("d", comment="Asked for by Operations.")
        for word, found in [("by-name", ["by-name"]), ("by-route", ["b"]), ("by-scope", ["c"]), ("operations", ["d"])]:
            assert names(admin, RateLimitPolicy, q=word) == found
        given_cache_policy("e", route="/api/by-route", comment="noted")
        for word, found in [("by-route", ["e"]), ("noted", ["e"]), ("missing", [])]:
            assert names(admin, CachePolicy, q=word) == found
        JobPolicy.objects.create(name="cache_warm", comment="noted")
        assert names(admin, JobPolicy, q="noted") == ["cache_warm"]
        AccessRule.objects.create(name="f", effect="exempt", user=given_user("mallory"), reason="-", comment="noted")
        for word in ("mallory", "noted"):
            assert names(admin, AccessRule, q=word) == ["f"]

    @pytest.mark.parametrize(
        ("query", "value"),
        [
            ("enabled__exact", "0"),
            ("mode__exact", "observe"),
            ("scope", "other"),
            ("algorithm__exact", "token_bucket"),
            ("count_by__exact", "ip"),
        ],
    )
    def test_limits_are_filtered(self, admin: Client, query: str, value: str) -> None:
        field = query.partition("__")[0]
        given_limit("a")
        given_limit("b", **{field: value if field != "enabled" else False})
        assert names(admin, RateLimitPolicy, **{query: value}) == ["b"]

    def test_the_other_lists_are_filtered(self, admin: Client) -> None:
        given_cache_policy("a")
        given_cache_policy("b", shared_by="user", enabled=False)
        assert names(admin, CachePolicy, shared_by__exact="user") == ["b"]
        assert names(admin, CachePolicy, enabled__exact="1") == ["a"]
        JobPolicy.objects.create(name="cache_warm", cron="*/5 * * * *")
        JobPolicy.objects.create(name="all", enabled=False)
        assert names(admin, JobPolicy, cron__isempty="0") == ["cache_warm"]
        assert names(admin, JobPolicy, enabled__exact="0") == ["all"]
        AccessRule.objects.create(name="c", effect="exempt", role="x", reason="-")
        AccessRule.objects.create(name="d", effect="blocked", role="x", reason="-")
        assert names(admin, AccessRule, effect__exact="blocked") == ["d"]


class TestWhatIsLogged:
    @pytest.mark.parametrize(
        "action", ["enable", "disable", "observe", "enforce", "duplicate", "move_up", "move_down", "delete_selected"]
    )
    def test_an_action_is_one_revision_and_in_the_log(self, admin: Client, action: str) -> None:
        mode = "observe" if action == "enforce" else "enforce"
        settings = {"enabled": action != "enable", "mode": mode, "limit": 1000}
        first, second, last = (given_limit(name, position=place, **settings) for place, name in enumerate("abc"))
        chosen = (first, second) if action == "move_down" else (second, last)
        revisions, entries = Revision.objects.count(), LogEntry.objects.count()
        data = {"action": action, "_selected_action": [policy.pk for policy in chosen], "post": "yes"}
        admin.post(list_url(RateLimitPolicy), data)
        assert Revision.objects.count() == revisions + 1
        newest = Revision.objects.first()
        assert (newest.author.username, newest.reason) == ("root", action)
        logged = LogEntry.objects.order_by("-pk")[: LogEntry.objects.count() - entries]
        assert len(logged) == (3 if action.startswith("move") else 2)
        assert {entry.user.username for entry in logged} == {"root"}

    def test_dropping_cached_responses_is_in_the_log(self, admin: Client) -> None:
        policy = given_cache_policy()
        act(admin, "drop_entries", policy)
        entry = LogEntry.objects.get(object_id=str(policy.pk))
        assert entry.get_change_message() == "Dropped its cached responses."
