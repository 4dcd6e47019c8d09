"""Two people edit the same policy: the second is told what the first has changed, and nothing is lost."""

from __future__ import annotations

import re
import threading
from typing import Any

import pytest
from django.contrib.admin.models import ADDITION, CHANGE, DELETION, LogEntry
from django.db import connections
from django.test import Client
from django.urls import reverse

from perf.models import AccessRule, RateLimitPolicy, Revision
from tests.integration.helpers import given_cache_policy, given_limit, given_user

pytestmark = pytest.mark.django_db(transaction=True)
LIST = "admin:perf_ratelimitpolicy_changelist"


def signed_in(name: str) -> Client:
    client = Client()
    client.force_login(given_user(name, is_staff=True, is_superuser=True))
    return client


@pytest.fixture
def anna() -> Client:
    return signed_in("anna")


@pytest.fixture
def ben() -> Client:
    return signed_in("ben")


def form_on(page: Any) -> dict[str, Any]:
    """What a browser sends back that shows ``page``: the entries of its form, hidden ones as well."""
    form = page.context["adminform"].form
    values: dict[str, Any] = {}
    for field in form:
        value = field.value()
        if value is True:
            values[field.html_name] = "on"
        elif value is not None and value is not False:
            values[field.html_name] = value
    return values


def url_of(policy: Any) -> str:
    return reverse(f"admin:perf_{policy._meta.model_name}_change", args=[policy.pk])


def hidden(page: Any, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.content.decode())
    assert found, f"no hidden field {name}"
    return found[1]


def list_form(page: Any, policy: Any, **fields: Any) -> dict[str, Any]:
    return {
        "form-TOTAL_FORMS": 1,
        "form-INITIAL_FORMS": 1,
        "form-0-id": policy.pk,
        "_revision": hidden(page, "_revision"),
        "_save": "Save",
        **{f"form-0-{name}": value for name, value in fields.items()},
    }


def test_the_second_is_told_who_changed_what_and_nothing_is_saved(anna: Client, ben: Client) -> None:
    policy = given_limit(limit=100)
    url = url_of(policy)
    seen_by_anna, seen_by_ben = form_on(anna.get(url)), form_on(ben.get(url))
    assert anna.post(url, {**seen_by_anna, "limit": "60"}).status_code == 302
    refused = ben.post(url, {**seen_by_ben, "comment": "for the sensors"})
    assert refused.status_code == 200
    errors = refused.context["adminform"].form.errors
    assert "anna at" in errors["__all__"][0]
    assert "limit 100 → 60" in errors["__all__"][0]
    assert errors["limit"] == ["Now 60, before 100."]
    policy.refresh_from_db()
    assert (policy.limit, policy.comment) == (60, "")


def test_the_refused_entries_are_still_in_the_form_and_saving_again_puts_them_in_place(
    anna: Client, ben: Client
) -> None:
    policy = given_limit(limit=100)
    url = url_of(policy)
    seen_by_ben = form_on(ben.get(url))
    anna.post(url, {**form_on(anna.get(url)), "limit": "60"})
    refused = ben.post(url, {**seen_by_ben, "limit": "80"})
    again = form_on(refused)
    assert again["limit"] == "80"
    assert ben.post(url, again).status_code == 302
    assert RateLimitPolicy.objects.get().limit == 80
    assert [revision.author.username for revision in Revision.objects.all()[:2]] == ["ben", "anna"]


def test_who_is_overtaken_twice_is_told_twice(anna: Client, ben: Client) -> None:
    policy = given_limit(limit=100)
    url = url_of(policy)
    seen_by_ben = form_on(ben.get(url))
    anna.post(url, {**form_on(anna.get(url)), "limit": "60"})
    refused = ben.post(url, {**seen_by_ben, "limit": "80"})
    anna.post(url, {**form_on(anna.get(url)), "limit": "50"})
    refused = ben.post(url, form_on(refused))
    assert refused.context["adminform"].form.errors["limit"] == ["Now 50, before 60."]
    assert RateLimitPolicy.objects.get().limit == 50


def test_a_change_of_another_policy_disturbs_nobody(anna: Client, ben: Client) -> None:
    first, second = given_limit("first", limit=100), given_limit("second", limit=100)
    seen_by_ben = form_on(ben.get(url_of(second)))
    anna.post(url_of(first), {**form_on(anna.get(url_of(first))), "limit": "60"})
    assert ben.post(url_of(second), {**seen_by_ben, "limit": "80"}).status_code == 302
    second.refresh_from_db()
    assert second.limit == 80


def test_changes_outside_of_the_admin_are_told_as_well(ben: Client) -> None:
    policy = given_cache_policy(ttl=60)
    url = url_of(policy)
    seen = form_on(ben.get(url))
    type(policy).objects.update(ttl=30)
    errors = ben.post(url, {**seen, "ttl": "90"}).context["adminform"].form.errors
    assert "somebody without an account" in errors["__all__"][0]
    assert errors["ttl"] == ["Now 30, before 60."]


def test_a_preview_of_an_overtaken_form_is_still_shown(anna: Client, ben: Client) -> None:
    policy = given_limit(limit=100)
    url = url_of(policy)
    seen_by_ben = form_on(ben.get(url))
    anna.post(url, {**form_on(anna.get(url)), "limit": "60"})
    assert "Preview of" in ben.post(url, {**seen_by_ben, "_preview": "Preview"}).content.decode()


def test_of_saves_at_the_same_moment_one_counts_and_the_others_are_told(anna: Client) -> None:
    policy = given_limit(limit=100)
    url = url_of(policy)
    seen = form_on(anna.get(url))
    clients = [signed_in(f"admin{number}") for number in range(4)]
    start = threading.Barrier(len(clients))
    statuses: list[int] = []

    def save(number: int) -> None:
        start.wait()
        try:
            statuses.append(clients[number].post(url, {**seen, "limit": str(200 + number)}).status_code)
        finally:
            connections.close_all()

    before = Revision.objects.count()
    threads = [threading.Thread(target=save, args=(number,)) for number in range(len(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 200, 200, 302]
    assert Revision.objects.count() == before + 1


def test_a_list_that_is_outdated_takes_nothing_back(anna: Client, ben: Client) -> None:
    """Anna disables a policy; Ben's page still shows it enabled, and he saves another edit."""
    policy = given_limit(position=7)
    page = ben.get(reverse(LIST))
    anna.post(reverse(LIST), list_form(anna.get(reverse(LIST)), policy, position=7))
    refused = ben.post(reverse(LIST), list_form(page, policy, position=9, enabled="on"))
    assert "anna at" in refused.content.decode()
    policy.refresh_from_db()
    assert (policy.position, policy.enabled) == (7, False)
    again = ben.post(reverse(LIST), list_form(refused, policy, position=9, enabled="on"))
    assert again.status_code == 200, "the page still shows what is outdated, so it stays refused until it is loaded"
    assert ben.post(reverse(LIST), list_form(ben.get(reverse(LIST)), policy, position=9)).status_code == 302
    policy.refresh_from_db()
    assert (policy.position, policy.enabled) == (9, False)


def test_a_revision_is_not_brought_back_over_changes_that_were_not_shown(anna: Client, ben: Client) -> None:
    policy = given_limit(limit=100)
    good = Revision.objects.first()
    RateLimitPolicy.objects.update(limit=200)
    shown = ben.get(reverse("admin:perf_revision_change", args=[good.number]))
    anna.post(url_of(policy), {**form_on(anna.get(url_of(policy))), "limit": "300"})
    back = reverse("admin:perf_revision_bring_back", args=[good.number])
    told = ben.post(back, {"newest": hidden(shown, "newest")}, follow=True)
    assert "changed meanwhile" in told.content.decode()
    assert RateLimitPolicy.objects.get().limit == 300
    ben.post(back, {"newest": hidden(told, "newest")})
    assert RateLimitPolicy.objects.get().limit == 100


def test_a_revision_that_would_lock_out_its_author_is_not_brought_back(ben: Client) -> None:
    rule = AccessRule.objects.create(name="all", effect="blocked", network="127.0.0.0/8", reason="-")
    bad = Revision.objects.first()
    rule.delete()
    told = ben.post(reverse("admin:perf_revision_bring_back", args=[bad.number]), follow=True)
    assert "would lock you out" in told.content.decode()
    assert not AccessRule.objects.exists()


def test_rules_about_users_who_are_gone_do_not_come_back(ben: Client) -> None:
    ghost = given_user("ghost")
    AccessRule.objects.create(name="about-ghost", effect="exempt", user=ghost, reason="-")
    given_limit("kept", limit=100)
    old = Revision.objects.first()
    RateLimitPolicy.objects.update(limit=200)
    ghost.delete()
    ben.post(reverse("admin:perf_revision_bring_back", args=[old.number]))
    assert RateLimitPolicy.objects.get().limit == 100
    assert not AccessRule.objects.exists()


def test_what_a_revision_brought_back_is_in_the_admins_log(ben: Client) -> None:
    changed, gone = given_limit("changed", limit=100), given_limit("gone")
    old = Revision.objects.first()
    gone_key = gone.pk
    gone.delete()
    changed.limit = 200
    changed.save()
    new = given_limit("new")
    ben.post(reverse("admin:perf_revision_bring_back", args=[old.number]))
    entries = {entry.object_repr: entry for entry in LogEntry.objects.all()}
    assert {name: entry.action_flag for name, entry in entries.items()} == {
        "changed": CHANGE,
        "gone": ADDITION,
        "new": DELETION,
    }
    assert entries["changed"].change_message == f"Brought back revision {old.number}: limit"
    assert (entries["gone"].object_id, entries["new"].object_id) == (str(gone_key), str(new.pk))
    assert {entry.user.username for entry in entries.values()} == {"ben"}
