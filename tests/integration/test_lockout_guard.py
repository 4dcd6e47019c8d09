"""The admin refuses a save by which the person who makes it would be locked out, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from perf.models import AccessRule, RateLimitPolicy
from perf.policies.revisions import POLICY_MODELS, head_number
from perf.policies.transfer import exported
from securenet.accounts.models import User
from tests.integration.helpers import given_limit, given_user
from tests.integration.test_policy_admin import change_url, edit, errors_of, form_of
from tests.integration.test_policy_import_page import confirm, upload

LOCKS_OUT = "would lock you out"


@pytest.fixture
def person() -> User:
    """A superuser with a role, on the test client's address, 127.0.0.1."""
    return given_user("root", "platform_owner", is_staff=True, is_superuser=True)


@pytest.fixture
def admin(person: User) -> Client:
    """That person's browser."""
    client = Client()
    client.force_login(person)
    return client


def save_limit(admin: Client, **fields: Any) -> Any:
    """Add a limit that is far too low for whom it concerns, unless said otherwise."""
    url = reverse("admin:perf_ratelimitpolicy_add")
    return admin.post(
        url, {**form_of(admin, url), "name": "tight", "route": "*", "limit": "5", "period": "60", **fields}, follow=True
    )


def save_rule(admin: Client, **fields: Any) -> Any:
    url = reverse("admin:perf_accessrule_add")
    return admin.post(
        url, {**form_of(admin, url), "name": "rule", "effect": "blocked", "reason": "-", **fields}, follow=True
    )


REFUSED: dict[str, dict[str, Any]] = {
    "every route": {},
    "the admin's path": {"route": "/admin/*"},
    "its index": {"route": "/admin/"},
    "where one signs in": {"route": "/admin/login/"},
    "pages of policies": {"route": "/admin/perf/*"},
    "one list": {"route": "/admin/perf/revision/"},
    "a pattern": {"route": "/*/change/"},
    "a view": {"route": "admin:perf_accessrule_change"},
    "saving": {"route": "/admin/*", "methods": ["POST"]},
    "one's role": {"roles": ["platform_owner", "viewer"]},
    "by user": {"count_by": "user"},
    "by address": {"count_by": "ip"},
    "by role": {"count_by": "role"},
    "everyone": {"count_by": "everyone"},
    "a longer period": {"limit": "1700", "period": "3600"},
    "cost": {"limit": "100", "cost": "4"},
    "token bucket": {"algorithm": "token_bucket", "burst": "500"},
}

SAVED: dict[str, dict[str, Any]] = {
    "the API": {"route": "/api/*"},
    "another app's pages": {"route": "/admin/accounts/*"},
    "another method": {"methods": ["DELETE"]},
    "another role": {"roles": ["viewer"]},
    "observed": {"mode": "observe"},
    "disabled": {"enabled": ""},
    "enough": {"limit": "30"},
    "enough in a longer period": {"limit": "1800", "period": "3600"},
    "no cost": {"cost": "0"},
}


@pytest.fixture(autouse=True)
def roles() -> None:
    """The form offers roles that are there."""
    given_user("somebody", "viewer")


@pytest.mark.parametrize("fields", REFUSED.values(), ids=list(REFUSED))
def test_a_limit_that_is_too_low_for_the_admin_is_refused(admin: Client, fields: dict[str, Any]) -> None:
    before = head_number()
    (error,) = errors_of(save_limit(admin, **fields))["limit"]
    assert "tight would lock you out of the admin" in error and "at least 30 per minute" in error
    assert "/admin/" in error and "scope default" in error
    assert (RateLimitPolicy.objects.count(), head_number()) == (0, before)


@pytest.mark.parametrize("fields", SAVED.values(), ids=list(SAVED))
def test_a_limit_that_leaves_the_admin_alone_is_saved(admin: Client, fields: dict[str, Any]) -> None:
    save_limit(admin, **{**fields, "enabled": fields.get("enabled", "on")})
    assert RateLimitPolicy.objects.get().name == "tight"


def test_the_policy_that_decides_is_meant_not_one_that_never_does(admin: Client) -> None:
    given_limit("roomy", position=1, limit=200, roles=["platform_owner"])
    save_limit(admin)
    assert RateLimitPolicy.objects.filter(name="tight").exists()
    assert "lock you out" in str(errors_of(save_limit(admin, name="other-scope", scope="other")))


def test_a_change_that_lets_another_policy_decide_names_that_one(admin: Client) -> None:
    roomy = given_limit("roomy", position=1, limit=200)
    given_limit("tight", position=2, limit=5)
    errors = errors_of(edit(admin, roomy, roles=["viewer"]))
    assert "policy tight would lock you out" in errors["__all__"][0]
    edit(admin, roomy, limit="100")
    assert RateLimitPolicy.objects.get(name="roomy").limit == 100


def test_who_is_in_a_corner_may_get_out_of_it_but_no_deeper(admin: Client) -> None:
    policy = given_limit("tight", limit=5)
    edit(admin, policy, limit="9")
    assert RateLimitPolicy.objects.get().limit == 9
    assert LOCKS_OUT in str(errors_of(edit(admin, policy, limit="8")))
    edit(admin, policy, comment="An unrelated edit.")
    assert RateLimitPolicy.objects.get().comment == "An unrelated edit."


def test_whom_a_rule_exempts_no_limit_concerns(admin: Client) -> None:
    rule = AccessRule.objects.create(name="us", effect="exempt", role="platform_owner", reason="-")
    save_limit(admin)
    assert RateLimitPolicy.objects.get().name == "tight"
    assert "policy tight would lock you out" in str(errors_of(edit(admin, rule, role="viewer")))
    RateLimitPolicy.objects.all().delete()
    rule.expires_at = timezone.now() + timedelta(hours=1)
    rule.save()
    assert LOCKS_OUT in str(errors_of(save_limit(admin)))


def test_a_preview_is_no_save(admin: Client) -> None:
    response = save_limit(admin, _preview="Preview")
    assert "adminform" not in response.context
    assert not RateLimitPolicy.objects.exists()


@pytest.mark.parametrize(
    ("fields", "field", "advice"),
    [
        ({"network": "127.0.0.0/8"}, "network", "its network 127.0.0.0/8 contains your address 127.0.0.1"),
        ({"network": "0.0.0.0/0"}, "network", "contains your address"),
        ({"role": "platform_owner"}, "role", "you have its role platform_owner"),
        ({"user": "root"}, "user", "it is about you"),
    ],
    ids=["network", "everybody", "role", "user"],
)
def test_a_rule_that_blocks_the_person_who_saves_it_is_refused(
    admin: Client, person: User, fields: dict[str, Any], field: str, advice: str
) -> None:
    if "user" in fields:
        fields = {"user": person.pk}
    (error,) = errors_of(save_rule(admin, **fields))[field]
    assert "rule would lock you out" in error and advice in error
    assert not AccessRule.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {"network": "192.0.2.0/24"},
        {"network": "::/0"},
        {"role": "viewer"},
        {"network": "127.0.0.0/8", "effect": "exempt"},
        {"network": "127.0.0.0/8", "enabled": ""},
        {"network": "127.0.0.0/8", "expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"},
    ],
    ids=["network", "other version", "role", "exempt", "disabled", "expired"],
)
def test_a_rule_about_others_is_saved(admin: Client, fields: dict[str, Any]) -> None:
    save_rule(admin, **{**fields, "enabled": fields.get("enabled", "on")})
    assert AccessRule.objects.get().name == "rule"


def test_the_address_is_that_behind_a_trusted_proxy(admin: Client, settings: Any) -> None:
    settings.PERF_TRUSTED_PROXIES = ["127.0.0.0/8"]
    admin.defaults["HTTP_X_FORWARDED_FOR"] = "203.0.113.9"
    assert "203.0.113.9" in str(errors_of(save_rule(admin, network="203.0.113.0/24")))
    save_rule(admin, network="127.0.0.0/8")
    assert AccessRule.objects.get().network == "127.0.0.0/8"


@pytest.mark.parametrize("action", ["enable", "enforce"])
def test_actions_on_the_list_are_guarded(admin: Client, action: str) -> None:
    policy = given_limit(
        "tight", limit=5, enabled=action != "enable", mode="observe" if action == "enforce" else "enforce"
    )
    harmless = given_limit("api", route="/api/*", limit=5, enabled=policy.enabled, mode=policy.mode)
    url = reverse("admin:perf_ratelimitpolicy_changelist")
    before = head_number()
    response = admin.post(url, {"action": action, "_selected_action": [policy.pk, harmless.pk]}, follow=True)
    assert LOCKS_OUT in response.content.decode()
    assert head_number() == before
    admin.post(url, {"action": action, "_selected_action": [harmless.pk]})
    harmless.refresh_from_db()
    assert (harmless.enabled, harmless.mode) == (True, "enforce")


def test_edits_in_the_list_are_guarded_together(admin: Client) -> None:
    roomy, tight = given_limit("roomy", position=1, limit=200), given_limit("tight", position=2, limit=5)

    def order(roomy_at: int, tight_at: int) -> Any:
        data = {"form-TOTAL_FORMS": 2, "form-INITIAL_FORMS": 2, "_save": "Save"}
        for number, (policy, position) in enumerate(((roomy, roomy_at), (tight, tight_at))):
            data |= {
                f"form-{number}-id": policy.pk,
                f"form-{number}-position": position,
                f"form-{number}-enabled": "on",
            }
        return admin.post(reverse("admin:perf_ratelimitpolicy_changelist"), data, follow=True)

    before = head_number()
    assert "policy tight would lock you out" in order(9, 3).content.decode()
    assert head_number() == before
    order(3, 9)
    assert list(RateLimitPolicy.objects.values_list("name", "position")) == [("roomy", 3), ("tight", 9)]


def test_an_import_is_guarded_where_it_is_shown_and_where_it_is_applied(admin: Client, person: User) -> None:
    given_limit("limit", limit=50, route="/api/*")
    AccessRule.objects.create(name="rule", effect="blocked", role="viewer", reason="-")
    good = exported("yaml")
    for old, new, words in (
        ("route: /api/*", "route: /admin/*", "policy limit would lock you out of the admin"),
        ("role: viewer", "role: platform_owner", "you have its role platform_owner"),
    ):
        bad = good.replace(old, new).replace("limit: 50", "limit: 20")
        page = upload(admin, bad).content.decode()
        assert words in page and 'name="number"' not in page
    shown = upload(admin, good.replace("limit: 50", "limit: 20"))
    before = head_number()
    bad_document = shown.context["confirm"]["document"].value().replace("/api/*", "*")
    assert "policy limit would lock you out" in confirm(admin, shown, document=bad_document).content.decode()
    assert head_number() == before
    confirm(admin, shown)
    assert RateLimitPolicy.objects.get().limit == 20


def test_what_is_in_force_already_stands_in_no_import_s_way(admin: Client) -> None:
    given_limit("tight", limit=5)
    confirm(admin, upload(admin, exported("yaml").replace("comment: ''", "comment: known")))
    assert RateLimitPolicy.objects.get().comment == "known"


def test_who_may_not_change_policies_learns_nothing(admin: Client) -> None:
    policy = given_limit("limit", limit=50)
    client = Client()
    client.force_login(given_user("clerk", is_staff=True))
    assert client.post(change_url(policy), {"limit": "1"}).status_code == 403


def test_every_page_of_policies_is_kept_within_reach(admin: Client) -> None:
    for model in POLICY_MODELS:
        name = model._meta.model_name
        for page in (f"admin:perf_{name}_changelist", f"admin:perf_{name}_add", f"admin:perf_{name}_change"):
            assert LOCKS_OUT in str(errors_of(save_limit(admin, route=page))), page
