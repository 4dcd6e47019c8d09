"""The admin pages of policies: what they show, what they refuse, and what a save does."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from perf.models import AccessRule, CachePolicy, Job, JobPolicy, PolicyHead, RateLimitPolicy, Revision
from tests.integration.helpers import client_for, given_cache_policy, given_limit, given_user


@pytest.fixture
def admin() -> Client:
    """A browser signed in as superuser."""
    client = Client()
    client.force_login(given_user("root", is_staff=True, is_superuser=True))
    return client


def form_of(client: Client, url: str) -> dict[str, Any]:
    """What a browser would send back if nothing were edited."""
    form = client.get(url).context["adminform"].form
    values: dict[str, Any] = {}
    for name, field in form.fields.items():
        value = field.prepare_value(form.get_initial_for_field(field, name))
        if value is True:
            values[name] = "on"
        elif value is not None and value is not False:
            values[name] = value
    return values


def change_url(policy: Any) -> str:
    return reverse(f"admin:perf_{policy._meta.model_name}_change", args=[policy.pk])


def edit(client: Client, policy: Any, **fields: Any) -> Any:
    """Edit ``policy`` in its form; returns the response after the redirect."""
    url = change_url(policy)
    return client.post(url, {**form_of(client, url), **fields}, follow=True)


def errors_of(response: Any) -> dict[str, list[str]]:
    return dict(response.context["adminform"].form.errors)


def test_lists_say_in_words_what_policies_do(admin: Client) -> None:
    given_limit("scans", route="/api/*", methods=["POST"], roles=["viewer"], limit=100, period=60)
    given_cache_policy("findings", ttl=120, stale_while_revalidate=3600, shared_by="role")
    limits = admin.get(reverse("admin:perf_ratelimitpolicy_changelist")).content.decode()
    assert "100 / minute per user or address" in limits
    assert "POST /api/* (viewer)" in limits
    caches = admin.get(reverse("admin:perf_cachepolicy_changelist")).content.decode()
    assert "fresh for 2 minutes, per all users with the same roles; stale for 1 hour more" in caches


@pytest.mark.parametrize("model", ["cachepolicy", "ratelimitpolicy", "accessrule", "jobpolicy", "revision", "job"])
def test_every_list_and_form_opens(admin: Client, model: str) -> None:
    given_limit()
    JobPolicy.objects.create(name="cache_warm")
    AccessRule.objects.create(name="rule", effect="exempt", role="viewer", reason="-")
    Job.objects.create(type="cache_warm")
    given_cache_policy()
    assert admin.get(reverse(f"admin:perf_{model}_changelist")).status_code == 200
    if model not in ("revision", "job"):
        assert admin.get(reverse(f"admin:perf_{model}_add")).status_code == 200
    pk = {"revision": Revision.objects.first(), "job": Job.objects.first()}.get(model)
    if pk is not None:
        assert admin.get(reverse(f"admin:perf_{model}_change", args=[pk.pk])).status_code == 200


def test_a_save_makes_a_revision_with_author_and_reason(admin: Client) -> None:
    policy = given_limit(limit=5)
    edit(admin, policy, limit="9", change_reason="more clients")
    revision = Revision.objects.first()
    assert RateLimitPolicy.objects.get().limit == 9
    assert (revision.author.username, revision.reason) == ("root", "more clients")
    page = admin.get(reverse("admin:perf_revision_change", args=[revision.number])).content.decode()
    assert "limit" in page and "more clients" in page
    assert LogEntry.objects.filter(object_id=str(policy.pk)).exists()


def test_a_save_that_changes_nothing_is_no_revision(admin: Client) -> None:
    policy = given_limit()
    before = Revision.objects.count()
    edit(admin, policy, change_reason="just looking")
    assert Revision.objects.count() == before


def test_the_revision_of_the_first_release_has_contents() -> None:
    """Migrations install policies through historical models; what they contain is written once they are through."""
    Revision.objects.create(number=1)
    PolicyHead.objects.update_or_create(id=1, defaults={"number": 1})
    call_command("migrate", verbosity=0)
    assert set(Revision.objects.get().policies) == {"CachePolicy", "RateLimitPolicy", "AccessRule", "JobPolicy"}


def test_enabling_and_ordering_in_the_list_is_one_revision(admin: Client) -> None:
    first, second = given_limit("a", position=1), given_limit("b", position=2)
    before = Revision.objects.count()
    admin.post(
        reverse("admin:perf_ratelimitpolicy_changelist"),
        {
            "form-TOTAL_FORMS": 2, "form-INITIAL_FORMS": 2,
            "form-0-id": first.pk, "form-0-position": 3, "form-0-enabled": "on",
            "form-1-id": second.pk, "form-1-position": 1,
            "_save": "Save",
        },
    )  # fmt: skip
    assert list(RateLimitPolicy.objects.values_list("name", "position", "enabled")) == [("b", 1, False), ("a", 3, True)]
    assert Revision.objects.count() == before + 1


@pytest.mark.urls("tests.integration.admin_and_site")
def test_an_action_drops_the_cached_responses_of_policies(admin: Client) -> None:
    policy = given_cache_policy("counter", route="/api/counter")
    client = client_for()
    first = client.get("/api/counter").content
    assert client.get("/api/counter").content == first
    admin.post(
        reverse("admin:perf_cachepolicy_changelist"), {"action": "drop_entries", "_selected_action": [policy.pk]}
    )
    assert client.get("/api/counter").content != first


@pytest.mark.parametrize("action", ["enable", "disable", "observe", "enforce", "duplicate"])
def test_bulk_actions(admin: Client, action: str) -> None:
    policy = given_limit(enabled=action == "disable", mode="enforce" if action == "observe" else "observe")
    admin.post(reverse("admin:perf_ratelimitpolicy_changelist"), {"action": action, "_selected_action": [policy.pk]})
    policy.refresh_from_db()
    match action:
        case "enable" | "disable":
            assert policy.enabled is (action == "enable")
        case "observe" | "enforce":
            assert policy.mode == action
        case "duplicate":
            copy = RateLimitPolicy.objects.exclude(pk=policy.pk).get()
            assert (copy.name, copy.enabled, copy.limit) == ("limit-2", False, policy.limit)


@pytest.mark.parametrize(
    ("field", "value", "advice"),
    [
        ("route", "api/logs", "path pattern such as"),
        ("route", "/with space", "percent-encoded"),
        ("limit", "0", "greater than or equal to 1"),
        ("limit", "-5", "greater than or equal to"),
        ("limit", "99999999999", "less than or equal to"),
        ("cost", "-1", "greater than or equal to"),
        ("cost", "6", "every request would be refused"),
        ("burst", "10", "Only a token bucket has a burst"),
        ("name", "with space", "slug"),
        ("methods", ["BREW"], "not one of the available choices"),
    ],
)
def test_absurd_limits_are_refused_with_advice(admin: Client, field: str, value: Any, advice: str) -> None:
    policy = given_limit(limit=5)
    before = Revision.objects.count()
    response = edit(admin, policy, **{field: value})
    assert any(advice in error for error in errors_of(response)[field])
    assert Revision.objects.count() == before


@pytest.mark.parametrize(
    ("field", "value", "advice"),
    [
        ("ttl", "-1", "greater than or equal to 0"),
        ("ttl", "999999999", "less than or equal to"),
        ("ttl_jitter", "80", "less than or equal to 50"),
        ("vary_on_headers", "Cookie", "choose shared by: user"),
        ("vary_on_headers", "X Y:", "header name"),
        ("ignore_params", "a*b", "parameter name"),
        ("tags", "ünsafe!", "letters, digits"),
        ("max_body_bytes", "0", "greater than or equal to 1"),
        ("methods", [], "required"),
    ],
)
def test_absurd_cache_policies_are_refused_with_advice(admin: Client, field: str, value: Any, advice: str) -> None:
    response = edit(admin, given_cache_policy(), **{field: value})
    assert any(advice in error for error in errors_of(response)[field])


@pytest.mark.parametrize(
    ("field", "value", "advice"),
    [("cron", "every day", "five fields"), ("cron", "0 0 31 2 *", "never comes up"), ("timeout", "0", "greater than")],
)
def test_absurd_job_policies_are_refused_with_advice(admin: Client, field: str, value: str, advice: str) -> None:
    response = edit(admin, JobPolicy.objects.create(name="cache_warm"), **{field: value})
    assert any(advice in error for error in errors_of(response)[field])


def test_an_access_rule_concerns_exactly_one_subject(admin: Client) -> None:
    rule = AccessRule.objects.create(name="rule", effect="exempt", role="viewer", reason="-")
    response = edit(admin, rule, network="192.0.2.0/24")
    assert "exactly one" in str(errors_of(response))
    assert "no network" in str(errors_of(edit(admin, rule, role="", network="192.0.2.1/24")))


def test_a_route_that_matches_nothing_is_saved_with_a_warning(admin: Client) -> None:
    given_limit()
    for route in ("/no/such/*", "/api/dashbord", "dashboard:no-such-view"):
        response = edit(admin, RateLimitPolicy.objects.get(), route=route)
        assert RateLimitPolicy.objects.get().route == route
        assert any("matches nothing" in str(message) for message in response.context["messages"]), route
    for route in ("/api/performance/*", "/api/security/findings/17", "dashboard:cached"):
        response = edit(admin, RateLimitPolicy.objects.get(), route=route)
        assert not any("matches nothing" in str(message) for message in response.context["messages"]), route


def test_a_role_that_no_longer_exists_stays_visible(admin: Client) -> None:
    Group.objects.filter(name="ghosts").delete()
    policy = given_limit(roles=["ghosts"])
    assert "ghosts (no such role)" in admin.get(change_url(policy)).content.decode()
    edit(admin, policy, limit="6")
    assert RateLimitPolicy.objects.get().roles == ["ghosts"]


def test_lists_are_written_with_commas(admin: Client) -> None:
    policy = given_cache_policy()
    edit(admin, policy, vary_on_headers="Accept-Language, X-Tenant", ignore_params="utm_* ref", tags="a,b")
    policy = CachePolicy.objects.get()
    assert policy.vary_on_headers == ["Accept-Language", "X-Tenant"]
    assert policy.ignore_params == ["utm_*", "ref"]
    assert policy.tags == ["a", "b"]


def test_a_period_that_is_no_unit_is_kept(admin: Client) -> None:
    policy = given_limit(period=90)
    assert "90 seconds" in admin.get(change_url(policy)).content.decode()
    edit(admin, policy, limit="6")
    assert RateLimitPolicy.objects.get().period == 90


def test_a_revision_is_brought_back_by_those_who_may(admin: Client) -> None:
    policy = given_limit(limit=100)
    good = Revision.objects.first()
    policy.limit = 500
    policy.save()
    url = reverse("admin:perf_revision_bring_back", args=[good.number])
    viewer = Client()
    viewer.force_login(given_user("viewer", is_staff=True))
    assert viewer.post(url).status_code == 403
    assert RateLimitPolicy.objects.get().limit == 500
    admin.post(url)
    assert RateLimitPolicy.objects.get().limit == 100
    assert Revision.objects.first().author.username == "root"


@pytest.mark.parametrize("number", ["widgets.css", "0", "99999999", "-1", "9" * 40])
def test_a_revision_that_there_is_not_is_not_found(admin: Client, number: str) -> None:
    given_limit()
    assert admin.get(f"/admin/perf/revision/{number}/change/").status_code == 404


def test_staff_without_permission_see_and_change_nothing() -> None:
    policy = given_limit()
    client = Client()
    client.force_login(given_user("clerk", is_staff=True))
    assert client.get(change_url(policy)).status_code == 403
    assert client.post(change_url(policy), {"limit": "1"}).status_code == 403


def test_jobs_are_cancelled_from_their_list(admin: Client) -> None:
    job = Job.objects.create(type="cache_warm")
    admin.post(reverse("admin:perf_job_changelist"), {"action": "cancel", "_selected_action": [str(job.pk)]})
    assert Job.objects.get().status == "cancelled"
