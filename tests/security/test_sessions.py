"""Sessions of browsers: fixation, the end of a session, and requests that other sites make a browser send."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse

from perf.models import AccessRule, CachePolicy, Job, RateLimitPolicy
from securenet.accounts.models import User
from securenet.network.models import Asset, ScanTarget
from tests.integration.people import PASSWORD, given_user, staff_client
from tests.security.access_table import ANONYMOUS, API, OTHERS, PAGES, Row
from tests.security.test_access_matrix import _path

OPEN_PAGE = "/api/network/assets"
UNSAFE = ("POST", "PUT", "PATCH", "DELETE")
# They look at no session: credentials come in the body, tokens go out in it.
WITHOUT_SESSION = ("api/auth/token", "api/auth/refresh")


def signed_in(user: User, **options: Any) -> Client:
    client = Client(raise_request_exception=False, **options)
    client.force_login(user)
    return client


def sign_in(client: Client, user: User, path: str = "/login", **more: Any) -> Any:
    return client.post(path, {"username": user.username, "password": PASSWORD, **more})


# --- Fixation and the end of a session


def test_signing_in_changes_the_session_that_an_attacker_may_have_planted():
    victim, attacker = given_user("viewer"), given_user("viewer")
    browser = signed_in(attacker)
    planted = browser.cookies[settings.SESSION_COOKIE_NAME].value
    browser.post("/logout")
    browser.cookies[settings.SESSION_COOKIE_NAME] = planted
    assert sign_in(browser, victim).status_code == 302
    assert browser.cookies[settings.SESSION_COOKIE_NAME].value != planted
    thief = Client()
    thief.cookies[settings.SESSION_COOKIE_NAME] = planted
    assert thief.get(OPEN_PAGE).status_code == 401


def test_a_made_up_session_key_is_never_taken_over():
    user = given_user("viewer")
    browser = Client()
    browser.cookies[settings.SESSION_COOKIE_NAME] = "a" * 32
    sign_in(browser, user)
    assert browser.cookies[settings.SESSION_COOKIE_NAME].value != "a" * 32


@pytest.mark.parametrize("ending", ["log-out", "password", "deactivation"])
def test_a_stolen_session_cookie_ends_with(ending: str):
    user = given_user("viewer")
    browser = signed_in(user)
    thief = Client()
    thief.cookies[settings.SESSION_COOKIE_NAME] = browser.cookies[settings.SESSION_COOKIE_NAME].value
    assert thief.get(OPEN_PAGE).status_code == 200
    if ending == "log-out":
        browser.post("/logout")
    elif ending == "password":
        user.set_password("quite another pass phrase")
        user.save()
    else:
        User.objects.filter(pk=user.pk).update(is_active=False)
    assert thief.get(OPEN_PAGE).status_code == 401
    assert thief.get("/").status_code == 302


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites():
    browser = Client()
    sign_in(browser, given_user("viewer"))
    cookie = browser.cookies[settings.SESSION_COOKIE_NAME]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"]) == (True, "Lax", "/", "")


def test_signing_out_is_no_link():
    browser = signed_in(given_user("viewer"))
    assert browser.get("/logout").status_code == 405
    assert browser.get(OPEN_PAGE).status_code == 200


# --- Requests that other sites make a browser send


@pytest.mark.parametrize("path", ["/login", "/admin/login/"])
def test_nobody_is_signed_in_by_a_form_of_another_site(path: str):
    user = given_user("platform_owner", is_staff=True)
    browser = Client(enforce_csrf_checks=True)
    assert sign_in(browser, user, path).status_code == 403
    browser.get(path)
    token = browser.cookies["csrftoken"].value
    assert sign_in(browser, user, path, csrfmiddlewaretoken="a" * 64).status_code == 403
    assert settings.SESSION_COOKIE_NAME not in browser.cookies
    assert sign_in(browser, user, path, csrfmiddlewaretoken=token).status_code == 302


def test_signing_in_at_the_api_leaves_nothing_in_the_browser():
    user = given_user("viewer")
    browser = Client()
    answer = browser.post(
        "/api/auth/token", {"username": user.username, "password": PASSWORD}, content_type="application/json"
    )
    assert answer.status_code == 200
    assert not browser.cookies


@pytest.fixture
def owner() -> User:
    ScanTarget.objects.get_or_create(network="127.0.0.0/30")
    return given_user("platform_owner")


UNSAFE_ROWS = [
    row for row in (*API, *PAGES) if row.method in UNSAFE and row.about != OTHERS and row.route not in WITHOUT_SESSION
]


@pytest.mark.parametrize("origin", ["no origin", "a foreign origin"])
def test_no_unsafe_request_with_a_session_works_from_another_site(owner: User, origin: str):
    browser = signed_in(owner, enforce_csrf_checks=True)
    browser.cookies["csrftoken"] = "b" * 32
    headers = {"X-CSRFToken": "b" * 32, "Origin": "https://evil.example"} if origin == "a foreign origin" else {}
    assert len(UNSAFE_ROWS) > 20
    answered = {str(row): _send(browser, row, owner, headers) for row in UNSAFE_ROWS if row.route != "login"}
    # DRF looks for the token in the body where no header has it, and finds that it cannot read this body.
    assert {row: status for row, status in answered.items() if status not in (403, 415)} == {}
    assert (Asset.objects.count(), Job.objects.filter(type="security_scan").count()) == (1, 0)


def test_the_same_requests_work_with_the_token_of_this_site(owner: User):
    """So that the refusals above are not for another reason."""
    browser = signed_in(owner, enforce_csrf_checks=True)
    browser.cookies["csrftoken"] = "b" * 32
    rows = [row for row in UNSAFE_ROWS if row.route not in ("login", "logout")]
    answered = {str(row): _send(browser, row, owner, {"X-CSRFToken": "b" * 32}) for row in rows}
    assert answered == {str(row): row.status_for("platform_owner") for row in rows}


def _send(browser: Client, row: Row, owner: User, headers: dict[str, str]) -> int:
    send = getattr(browser, row.method.lower())
    path = _path(row.route, owner)
    if row.route.startswith("api/"):
        answer = send(path, row.body, content_type="application/json", headers=headers)
    else:
        answer = send(path, row.body or {}, headers=headers)
    return int(answer.status_code)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; b=x"]
)
def test_forms_that_need_no_permission_of_the_browser_are_no_json(owner: User, content_type: str):
    """A browser sends these types to another site without asking it first."""
    browser = signed_in(owner, enforce_csrf_checks=True)
    body = '{"address": "192.0.2.99"}'
    assert browser.post(OPEN_PAGE, body, content_type=content_type).status_code in (403, 415)
    assert not Asset.objects.exists()


def test_no_form_of_the_admin_works_from_another_site():
    policy = RateLimitPolicy.objects.create(name="limit", route="*", limit=5, period=60)
    client = staff_client("platform_owner")
    client.handler.enforce_csrf_checks = True
    user = given_user()
    posts = {
        reverse("admin:perf_ratelimitpolicy_changelist"): {
            "action": "delete_selected", "_selected_action": [policy.pk], "post": "yes",
        },
        reverse("admin:perf_ratelimitpolicy_delete", args=[policy.pk]): {"post": "yes"},
        reverse("admin:perf_ratelimitpolicy_change", args=[policy.pk]): {"name": "changed"},
        reverse("admin:perf_accessrule_add"): {"network": "0.0.0.0/0", "effect": "exempt"},
        reverse("admin:perf_cachepolicy_add"): {"name": "p", "route": "*"},
        reverse("admin:perf_revision_import"): {"document": "{}"},
        reverse("admin:perf_revision_bring_back", args=[1]): {},
        reverse("admin:accounts_user_change", args=[user.pk]): {"is_superuser": "on"},
        reverse("admin:auth_user_password_change", args=[user.pk]): {"password1": "x", "password2": "x"},
        reverse("admin:password_change"): {"new_password1": "x"},
        reverse("admin:logout"): {},
        "/admin/django_rq/dashboard/queues/0/empty/": {"post": "yes"},
    }  # fmt: skip
    assert {url: client.post(url, form).status_code for url, form in posts.items()} == dict.fromkeys(posts, 403)
    assert RateLimitPolicy.objects.filter(name="limit").exists()
    assert not (AccessRule.objects.exists() or CachePolicy.objects.exists())


def test_every_unsafe_row_of_the_access_table_is_closed_to_strangers():
    """What the rows above leave out is open to everybody by design."""
    open_to_strangers = {
        row.route for row in (*API, *PAGES) if row.method in UNSAFE and row.status_for(ANONYMOUS) < 302
    }
    assert open_to_strangers == {"login"}
