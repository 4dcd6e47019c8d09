"""The page "Live" and the effect on a policy's own page: what they show, to whom, and that a block blocks."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_redis import get_redis_connection

from perf.admin.blocked_clients import blocked_clients, subject_of
from perf.admin.live import MOST_ROWS
from perf.gate import keys
from perf.gate.labels import open_label, seal_label
from perf.metrics.read import WINDOWS, latency, read_statistics, read_windows
from perf.metrics.report import performance_report
from perf.models import AccessRule, CachePolicy, Job, JobPolicy, RateLimitPolicy
from tests.integration.helpers import (
    client_for,
    given_cache_policy,
    given_limit,
    given_user,
    settle,
    staff_with,
    statuses,
)
from tests.integration.test_policy_admin import form_of
from tests.integration.test_store_failure import frozen_redis

__all__ = ["frozen_redis"]

pytestmark = pytest.mark.urls("tests.integration.admin_and_site")


@pytest.fixture
def admin() -> Client:
    client = Client()
    client.force_login(given_user("root", is_staff=True, is_superuser=True))
    return client


def page_of(client: Client, window: str = "1h", **fields: Any) -> Any:
    page = client.get(reverse("admin:perf_live"), {"window": window, **fields})
    assert page.status_code == 200
    return page


def text_of(page: Any) -> str:
    """What a reader sees, without tags."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", page.content.decode())))


def part_of(page: Any, part: str) -> str:
    """The text of a table, by its id."""
    content = page.content.decode()
    assert f'id="{part}"' in content, part
    inside = content.split(f'id="{part}"')[1].split("</table>")[0]
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", "<div " + inside)))


def given_blocked(address: str = "192.0.2.7", times: int = 3) -> None:
    """A client that was blocked so often by a limit of 1."""
    RateLimitPolicy.objects.filter(name="tight").exists() or given_limit("tight", limit=1, count_by="ip")
    client = client_for()
    answers = [client.get("/api/uncached", REMOTE_ADDR=address).status_code for _ in range(times + 1)]
    assert answers == [200] + [429] * times
    settle()


def link_in(page: Any, words: str) -> str:
    """Where the link or button with these words leads."""
    found = re.search(rf'<a [^>]*href="([^"]*)">{words}', page.content.decode())
    assert found, words
    return html.unescape(found[1])


class TestWhatItShows:
    def test_requests_blocks_and_hits_by_policy_and_route(self, admin: Client) -> None:
        limit = given_limit("five", limit=5, route="/api/uncached")
        watched = given_limit("watched", scope="watched", mode="observe", limit=4, route="/api/uncached")
        cache = given_cache_policy("minute")
        statuses(client_for(), "/api/uncached", 7)
        statuses(client_for(), "/api/counter", 4)
        settle()
        page = page_of(admin)
        requests = page.context["requests"]
        assert (requests.total, requests.refused, requests.observed) == (11, 2, 3)
        assert (requests.cache.hits, requests.cache.misses, requests.cache.hit_percent) == (3, 1, 75)
        assert "five 5 2 0" in part_of(page, "live-limits")
        assert "watched 4 0 3" in part_of(page, "live-limits")
        assert "minute 3 0 1 75.0 %" in part_of(page, "live-caches")
        assert re.search(r"uncached 7 \d+\.\d \d+\.\d \d+\.\d", part_of(page, "live-routes"))
        for policy in (limit, watched, cache):
            url = reverse(f"admin:perf_{policy._meta.model_name}_change", args=[policy.pk])
            assert f'href="{url}"' in page.content.decode()

    @pytest.mark.parametrize(("window", "points"), [("5m", 5), ("1h", 60), ("24h", 60)])
    def test_each_window_has_its_charts(self, admin: Client, window: str, points: int) -> None:
        given_blocked()
        page = page_of(admin, window)
        assert page.context["requests"].refused == 3
        content = page.content.decode()
        charts = content.split('<div class="live-charts">')[1]
        assert charts.count("<svg viewBox") == 2
        assert charts.split("</figure>")[0].count("<g>") == points
        assert "let through: 1, blocked: 3. At most " in charts
        assert f'<a id="live-window-{window}" href="?window={window}" aria-current="page">' in content

    def test_what_is_older_than_the_window_is_left_out(self, admin: Client) -> None:
        given_blocked()
        redis = get_redis_connection("default")
        (key,) = redis.keys(f"{keys.statistics()}[0-9]*")
        minute = int(key.rpartition(b":")[2] if b":" in key else key[len(keys.statistics()) :])
        redis.rename(key, f"{keys.statistics()}{minute - 30}")
        shown = {window: page_of(admin, window).context["requests"].refused for window in WINDOWS}
        assert shown == {"5m": 0, "1h": 3, "24h": 3}

    def test_an_unknown_window_is_the_default(self, admin: Client) -> None:
        assert page_of(admin, "<script>").context["window"] == "1h"
        assert admin.get(reverse("admin:perf_live")).context["window"] == "1h"

    def test_policies_that_were_deleted_meanwhile_have_no_link(self, admin: Client) -> None:
        given_cache_policy("gone")
        given_blocked()
        statuses(client_for(), "/api/counter", 1)
        settle()
        limit, cache = RateLimitPolicy.objects.get().pk, CachePolicy.objects.get().pk
        RateLimitPolicy.objects.all().delete()
        CachePolicy.objects.all().delete()
        page = page_of(admin)
        assert f"{limit} (deleted) " in part_of(page, "live-limits")
        assert f"{cache} (deleted) " in part_of(page, "live-caches")
        assert reverse("admin:perf_ratelimitpolicy_change", args=[limit]) not in page.content.decode()

    def test_limits_in_code_have_their_name(self, admin: Client) -> None:
        client_for().get("/api/limited")
        settle()
        assert "limited (in code) 1 0 0" in part_of(page_of(admin), "live-limits")

    def test_policies_that_do_nothing_are_shown_and_many_are_cut_short(self, admin: Client) -> None:
        given_limit("off", enabled=False)
        given_limit("idle")
        assert part_of(page_of(admin), "live-limits").count("idle 0 0 0") == 1
        assert " off " not in part_of(page_of(admin), "live-limits")
        RateLimitPolicy.objects.bulk_create(
            [RateLimitPolicy(name=f"many-{number}", route="*", limit=1) for number in range(MOST_ROWS + 4)]
        )
        assert "and 5 more that decided less" in part_of(page_of(admin), "live-limits")

    def test_running_jobs_with_their_progress(self, admin: Client) -> None:
        JobPolicy.objects.create(name="all", capacity=40)
        job = Job.objects.create(
            type="cache_warm", status="processing", progress=0.42, message="<b>7 of 9</b>", started_at=timezone.now()
        )
        Job.objects.create(type="cache_warm")
        page = page_of(admin)
        content = page.content.decode()
        assert '<progress max="1" value="0.42" aria-label="Progress of cache_warm">' in content
        assert "cache_warm 42 % <b>7 of 9</b>" in part_of(page, "live-running")
        assert "<b>7 of 9" not in content
        assert f'href="{reverse("admin:perf_job_change", args=[job.pk])}"' in content
        assert "2 of 40 places taken" in text_of(page)

    def test_the_fragment_is_the_inside_alone_and_is_not_kept(self, admin: Client) -> None:
        given_limit()
        whole, inside = page_of(admin), page_of(admin, fragment="1")
        assert "no-store" in inside.headers["Cache-Control"]
        assert "no-store" in whole.headers["Cache-Control"]
        assert "<html" not in inside.content.decode()
        assert 'id="live-numbers"' not in inside.content.decode()
        without_time = [
            re.sub(r"<time.*?</time>|[\d.]+ ms there and back", "", page.content.decode()).strip()
            for page in (whole, inside)
        ]
        assert without_time[1] in without_time[0]

    def test_the_page_is_complete_without_its_script_and_nothing_is_inline(self, admin: Client) -> None:
        given_blocked()
        Job.objects.create(type="cache_warm", status="processing", started_at=timezone.now())
        content = page_of(admin).content.decode()
        assert link_in(page_of(admin), "Refresh") == "?window=1h"
        main = content[content.index('id="content-main"') : content.index('id="footer"')]
        assert "style=" not in main
        assert "<script" not in main
        assert not re.search(r"<[^>]* on\w+=", main)
        assert main.count("<caption") == main.count("<table")
        assert "<th>" not in main
        inside = main[main.index('id="live-numbers"') :]
        # What can have the focus has an id, by which it is found again when the numbers change.
        assert all(" id=" in tag for tag in re.findall(r"<(?:a|button|summary)\b[^>]*>", inside))
        ids = re.findall(r'\sid="([^"]*)"', content)
        assert len(ids) == len(set(ids))

    def test_the_index_of_the_app_leads_to_it(self, admin: Client) -> None:
        index = reverse("admin:app_list", args=["perf"])
        assert f'href="{reverse("admin:perf_live")}"' in admin.get(index).content.decode()
        assert reverse("admin:perf_live") not in staff_with("view_job").get(index).content.decode()


class TestWithoutRedis:
    def test_says_so_and_shows_what_the_database_knows(self, admin: Client, frozen_redis: None) -> None:
        given_limit("strict", on_store_error="deny")
        given_cache_policy("minute")
        Job.objects.create(type="cache_warm", status="processing", message="half", started_at=timezone.now())
        page = page_of(admin)
        text = text_of(page)
        assert "Redis does not answer" in text
        assert "strict – – – deny with 503" in part_of(page, "live-limits")
        assert "minute – – – –" in part_of(page, "live-caches")
        assert "half" in part_of(page, "live-running")
        assert "Workers –" in text
        assert page.context["revision"] > 0
        assert "<svg viewBox" not in page.content.decode()
        assert page_of(admin, fragment="1").status_code == 200

    @pytest.mark.parametrize("kind", ["limit", "cache", "job"])
    def test_a_policys_page_opens_without_its_effect(self, admin: Client, frozen_redis: None, kind: str) -> None:
        policy = {
            "limit": given_limit,
            "cache": given_cache_policy,
            "job": lambda: JobPolicy.objects.create(name="all"),
        }[kind]()
        effect = effect_on_page(admin, policy)
        assert ("Redis does not answer" in effect) == (kind != "job")


class TestWhoSeesWhat:
    def test_it_is_for_those_who_see_limits_or_caches(self) -> None:
        assert Client().get(reverse("admin:perf_live")).status_code == 302
        assert staff_with("view_job", "view_accessrule").get(reverse("admin:perf_live")).status_code == 403

    @pytest.mark.parametrize(
        ("permission", "parts"),
        [("view_ratelimitpolicy", {"live-limits"}), ("change_cachepolicy", {"live-caches"})],
    )
    def test_each_part_is_for_those_who_see_its_rows(self, permission: str, parts: set[str]) -> None:
        given_blocked()
        Job.objects.create(type="cache_warm", status="processing", started_at=timezone.now())
        every = {"live-limits", "live-caches", "live-clients", "live-running"}
        content = page_of(staff_with(permission)).content.decode()
        assert {part for part in every if f'id="{part}"' in content} == parts
        assert "192.0.2.7" not in content
        assert "cache_warm" not in content

    def test_jobs_and_clients_come_with_their_permissions(self) -> None:
        given_blocked()
        page = page_of(staff_with("view_ratelimitpolicy", "view_job", "view_accessrule"))
        assert "No job is running." in part_of(page, "live-running")
        assert "ip:192.0.2.7 3 –" in part_of(page, "live-clients")

    def test_only_who_may_add_access_rules_has_the_button(self) -> None:
        given_blocked()
        page = page_of(staff_with("view_ratelimitpolicy", "view_accessrule", "add_accessrule"))
        assert "ip:192.0.2.7 3 Block" in part_of(page, "live-clients")


class TestBlocking:
    def block(self, admin: Client, **edited: Any) -> Any:
        """Follow the button of the only client, and save the form as it stands."""
        url = link_in(page_of(admin), "Block")
        return admin.post(url, {**form_of(admin, url), **split_expiry(admin, url), **edited}, follow=True)

    def test_a_blocked_address_is_blocked_altogether_until_tomorrow(self, admin: Client) -> None:
        given_blocked()
        RateLimitPolicy.objects.all().delete()
        client = client_for()
        assert client.get("/api/uncached", REMOTE_ADDR="192.0.2.7").status_code == 200
        self.block(admin)
        rule = AccessRule.objects.get()
        assert (rule.effect, rule.network, rule.name) == ("blocked", "192.0.2.7", "block-ip-192-0-2-7")
        assert timedelta(hours=23) < rule.expires_at - timezone.now() <= timedelta(hours=24)
        assert client.get("/api/uncached", REMOTE_ADDR="192.0.2.7").status_code == 403
        assert client.get("/api/uncached", REMOTE_ADDR="192.0.2.8").status_code == 200
        page = page_of(admin)
        assert "ip:192.0.2.7 3 blocked by block-ip-192-0-2-7" in part_of(page, "live-clients")
        assert reverse("admin:perf_accessrule_change", args=[rule.pk]) in page.content.decode()

    def test_a_blocked_user_is_blocked_from_everywhere(self, admin: Client) -> None:
        given_limit(limit=1)
        ann = given_user("ann@example.org")
        assert statuses(client_for(ann), "/api/uncached", 2) == [200, 429]
        settle()
        RateLimitPolicy.objects.all().delete()
        self.block(admin)
        assert AccessRule.objects.get().user == ann
        assert client_for(ann).get("/api/uncached", REMOTE_ADDR="203.0.113.9").status_code == 403
        assert client_for().get("/api/uncached").status_code == 200

    def test_an_ipv6_client_is_its_network(self, admin: Client) -> None:
        given_blocked("2001:db8::7")
        self.block(admin)
        assert AccessRule.objects.get().network == "2001:db8::/64"
        assert client_for().get("/api/uncached", REMOTE_ADDR="2001:db8::9").status_code == 403
        assert client_for().get("/api/uncached", REMOTE_ADDR="2001:db8:0:1::9").status_code == 200

    def test_nobody_blocks_oneself(self, admin: Client) -> None:
        given_blocked("127.0.0.1")
        answer = self.block(admin)
        assert "would lock you out" in str(answer.context["adminform"].form.errors)
        assert not AccessRule.objects.exists()

    def test_the_name_is_free_where_an_expired_rule_has_it(self, admin: Client) -> None:
        given_blocked()
        past = timezone.now() - timedelta(days=1)
        AccessRule.objects.create(
            name="block-ip-192-0-2-7", effect="blocked", network="192.0.2.7", reason="-", expires_at=past
        )
        self.block(admin)
        assert AccessRule.objects.filter(name="block-ip-192-0-2-7-2").exists()

    def test_without_the_permission_to_publish_the_rule_is_prepared(self) -> None:
        given_blocked()
        staff = staff_with("view_ratelimitpolicy", "view_accessrule", "add_accessrule")
        self.block(staff)
        assert not AccessRule.objects.get().enabled
        assert client_for().get("/api/counter", REMOTE_ADDR="192.0.2.7").status_code != 403

    def test_no_address_and_no_name_stands_in_the_address_of_the_form(self, admin: Client) -> None:
        given_blocked()
        url = link_in(page_of(admin), "Block")
        assert url == f"{reverse('admin:perf_accessrule_add')}?client={quote(seal_label('ip:192.0.2.7'))}"
        assert open_label(seal_label("ip:192.0.2.7")) == "ip:192.0.2.7"
        assert "192" not in url

    @pytest.mark.parametrize("client", ["", "nonsense", "ip:192.0.2.7", "\xff"])
    def test_a_form_that_is_asked_for_with_nonsense_is_empty(self, admin: Client, client: str) -> None:
        page = admin.get(reverse("admin:perf_accessrule_add"), {"client": client, "name": "given"})
        initial = page.context["adminform"].form.initial
        assert (initial["name"], initial.get("network"), initial.get("effect")) == ("given", None, None)

    @pytest.mark.parametrize(
        "label", ["role:viewer", "everyone", "key:tenant-7", "unknown", "user:nobody", "ip:nowhere", "ip:::/64", "ip:"]
    )
    def test_labels_that_are_no_client_of_a_rule_have_no_button(self, label: str) -> None:
        assert subject_of(label, {"ann": 1}) is None
        (row,) = blocked_clients([(label, 1)], may_block=True)
        assert (row.block_url, row.rule) == ("", None)

    def test_a_client_within_a_blocked_network_is_blocked_already(self) -> None:
        rule = AccessRule.objects.create(name="wide", effect="blocked", network="192.0.2.0/24", reason="-")
        AccessRule.objects.create(name="off", effect="blocked", network="198.51.100.1", reason="-", enabled=False)
        AccessRule.objects.create(name="friend", effect="exempt", network="198.51.100.1", reason="-")
        rows = blocked_clients([("ip:192.0.2.9", 2), ("ip:198.51.100.1", 1), ("ip:2001:db8::/64", 1)], may_block=True)
        assert [(row.rule, bool(row.block_url)) for row in rows] == [(rule, False), (None, True), (None, True)]


def split_expiry(client: Client, url: str) -> dict[str, str]:
    """The two fields in which a browser sends the time of the form at ``url``."""
    expires = client.get(url).context["adminform"].form.initial["expires_at"]
    return {"expires_at_0": f"{expires:%Y-%m-%d}", "expires_at_1": f"{expires:%H:%M:%S}"}


def effect_on_page(client: Client, policy: Any) -> str:
    """The text of the part "Recent effect" of a policy's page; "" where there is none."""
    page = client.get(reverse(f"admin:perf_{policy._meta.model_name}_change", args=[policy.pk]))
    assert page.status_code == 200
    found = re.search(r'<section class="module effect".*?</section>', page.content.decode(), re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", found[0]))) if found else ""


class TestEffect:
    def test_of_a_limit(self, admin: Client) -> None:
        given_blocked()
        other = given_limit("other", scope="other")
        effect = effect_on_page(admin, RateLimitPolicy.objects.get(name="tight"))
        assert "allowed 1 1 blocked 3 3 observed 0 0" in effect
        assert "allowed: 1, observed: 0, blocked: 3" in effect
        assert "blocked 0 0" in effect_on_page(admin, other)

    def test_of_a_cache_policy(self, admin: Client) -> None:
        policy = given_cache_policy()
        statuses(client_for(), "/api/counter", 4)
        settle()
        effect = effect_on_page(admin, policy)
        assert "hits 3 3 of them stale 0 0 misses 1 1 hit rate 75.0 % 75.0 %" in effect

    def test_of_a_job_policy(self, admin: Client) -> None:
        now = timezone.now()
        own, every = JobPolicy.objects.create(name="cache_warm"), JobPolicy.objects.create(name="all")
        for type_, status, ago in (
            ("cache_warm", "completed", 1),
            ("cache_warm", "completed", 120),
            ("cache_warm", "failed", 1),
            ("cache_warm", "completed", 25 * 60),
            ("other", "completed", 1),
        ):
            job = Job.objects.create(type=type_, status=status, finished_at=now - timedelta(minutes=ago))
            Job.objects.filter(pk=job.pk).update(submitted_at=now - timedelta(minutes=ago))
        Job.objects.create(type="cache_warm", status="processing")
        effect = effect_on_page(admin, own)
        assert "submitted 3 4 completed 1 2 failed 1 1 cancelled 0 0" in effect
        assert "1 running and 0 waiting" in effect
        assert "completed: 2, failed: 1" in effect
        assert "submitted 4 5 completed 2 3 failed 1 1" in effect_on_page(admin, every)

    def test_a_new_policy_and_an_access_rule_have_none(self, admin: Client) -> None:
        page = admin.get(reverse("admin:perf_ratelimitpolicy_add"))
        assert 'id="effect"' not in page.content.decode()
        rule = AccessRule.objects.create(name="rule", effect="exempt", role="viewer", reason="-")
        assert effect_on_page(admin, rule) == ""

    def test_leads_to_the_live_page(self, admin: Client) -> None:
        url = reverse("admin:perf_ratelimitpolicy_change", args=[given_limit().pk])
        assert f'href="{reverse("admin:perf_live")}"' in admin.get(url).content.decode()


def test_windows_read_together_are_the_same_as_read_alone() -> None:
    given_cache_policy()
    statuses(client_for(), "/api/counter", 3)
    settle()
    now = timezone.now().timestamp()
    together = read_windows(["1h", "24h"], now)
    for window, statistics in together.items():
        alone = read_statistics(window, now)
        assert (statistics.counts, statistics.points) == (alone.counts, alone.points)
        assert sum(counts["request:allowed"] for _at, counts in alone.points) == 3


def test_the_page_and_the_api_say_the_same(admin: Client) -> None:
    given_cache_policy()
    statuses(client_for(), "/api/counter", 3)
    given_blocked()
    settle()
    report, page = performance_report("1h"), page_of(admin)
    requests = page.context["requests"]
    assert (report["rate_limiting"]["total"], report["rate_limiting"]["blocked"]) == (requests.total, requests.refused)
    assert sum(point["hits"] for point in report["series"]) == requests.cache.hits > 0


def test_latency_of_all_routes_is_that_of_their_requests_together() -> None:
    counts = {"latency:fast:0": 98, "latency:slow:40": 2}
    assert latency(counts)["count"] == 100
    assert latency(counts)["p95"] == latency({"latency:fast:0": 1})["p50"]
    assert latency(counts)["p99"] == latency({"latency:slow:40": 1})["p50"]
    assert latency({})["p50"] is None
