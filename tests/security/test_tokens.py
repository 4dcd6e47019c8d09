"""Tokens that were stolen, forged, kept too long or sent in the wrong place."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import jwt
import pytest
from django.conf import settings
from django.contrib.auth.models import Group
from django.test import Client
from rest_framework.test import APIClient
from rest_framework_simplejwt.tokens import AccessToken, RefreshToken

from securenet.accounts.models import User
from securenet.accounts.tokens import access_token_for, refresh_token_for
from tests.integration.people import PASSWORD, client_for, client_with, given_user

OPEN_PAGE = "/api/network/assets"
ADMIN_PAGE = "/api/network/targets"


def refreshed(token: str) -> Any:
    return APIClient().post("/api/auth/refresh", {"refresh": token})


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


# --- Forged


def _without_signature(algorithm: str) -> Callable[[str], str]:
    def forge(good: str) -> str:
        claims = {**claims_of(good), "superuser": True}
        return f"{part({'alg': algorithm, 'typ': 'JWT'})}.{part(claims)}."

    forge.__name__ = f"alg is {algorithm!r}"
    return forge


def _other_algorithm(algorithm: str) -> Callable[[str], str]:
    def forge(good: str) -> str:
        return jwt.encode(claims_of(good), settings.SECRET_KEY, algorithm=algorithm)

    forge.__name__ = f"signed with {algorithm}"
    return forge


def _guessed_key(key: str) -> Callable[[str], str]:
    def forge(good: str) -> str:
        return jwt.encode(claims_of(good), key, algorithm="HS256", headers={"kid": "../../dev/null"})

    forge.__name__ = f"signed with the key {key[:10]!r}"
    return forge


def _key_in_the_header(good: str) -> str:
    key = "an attacker's own key, long enough for HMAC"
    jwk = {"kty": "oct", "k": base64.urlsafe_b64encode(key.encode()).decode()}
    return jwt.encode(claims_of(good), key, algorithm="HS256", headers={"jwk": jwk, "jku": "http://127.0.0.1:1/keys"})


def _claims_exchanged(good: str) -> str:
    head, _, signature = good.split(".")
    return f"{head}.{part({**claims_of(good), 'roles': ['platform_owner'], 'sub': '1'})}.{signature}"


def _signature_of_another(good: str) -> str:
    other = access_token_for(given_user("platform_owner"))
    return ".".join([*other.split(".")[:2], good.split(".")[2]])


def _header_of_another_type(good: str) -> str:
    _, claims, signature = good.split(".")
    return f"{part({'alg': 'HS256', 'typ': 'at+jwt', 'crit': ['exp']})}.{claims}.{signature}"


FORGERIES = [
    *map(_without_signature, ("none", "None", "NONE", "nOnE", "", "HS256")),
    *map(_other_algorithm, ("HS384", "HS512")),
    *map(_guessed_key, (" ", "secret", "django-insecure", "-----BEGIN PUBLIC KEY-----x")),
    _key_in_the_header,
    _claims_exchanged,
    _signature_of_another,
    _header_of_another_type,
]


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__.strip("_"))
def test_a_forged_token_opens_nothing(forge: Callable[[str], str]):
    good = access_token_for(given_user("viewer"))
    forged = forge(good)
    assert forged != good
    assert client_with(forged).get(OPEN_PAGE).status_code == 401
    assert refreshed(forged).status_code == 401
    assert client_with(good).get(OPEN_PAGE).status_code == 200


def test_the_two_kinds_of_token_are_not_interchangeable_even_with_the_others_claims():
    user = given_user("viewer")
    posing = AccessToken(access_token_for(user))
    for name, value in RefreshToken(refresh_token_for(user)).payload.items():
        posing[name] = value if name != "token_type" else "access"
    assert refreshed(str(posing)).status_code == 401


# --- Expired


def test_a_token_that_was_good_a_moment_ago_expires_although_its_signature_is_remembered():
    token = AccessToken(access_token_for(given_user("viewer")))
    client = client_with(str(token))
    assert client.get(OPEN_PAGE).status_code == 200
    token.set_exp(from_time=token.current_time - timedelta(hours=1))
    expired = client_with(str(token))
    assert [expired.get(OPEN_PAGE).status_code for _ in range(2)] == [401, 401]


def test_a_remembered_token_is_refused_once_its_time_is_over(monkeypatch: pytest.MonkeyPatch):
    from securenet.accounts import authentication

    client = client_for(given_user("viewer"))
    assert client.get(OPEN_PAGE).status_code == 200
    later = authentication.aware_utcnow() + settings.SIMPLE_JWT["ACCESS_TOKEN_LIFETIME"] + timedelta(seconds=1)
    monkeypatch.setattr(authentication, "aware_utcnow", lambda: later)
    assert client.get(OPEN_PAGE).status_code == 401


def test_an_expired_refresh_token_gives_nothing():
    token = RefreshToken(refresh_token_for(given_user()))
    token.set_exp(from_time=token.current_time - timedelta(days=30))
    assert refreshed(str(token)).status_code == 401


def test_tokens_live_no_longer_than_the_documentation_says():
    user = given_user()
    lives = {
        kind: claims["exp"] - claims["iat"]
        for kind, claims in (
            ("access", claims_of(access_token_for(user))),
            ("refresh", claims_of(refresh_token_for(user))),
        )
    }
    assert lives == {"access": 15 * 60, "refresh": 7 * 24 * 3600}


# --- Stolen


def test_a_stolen_refresh_token_gives_only_what_the_account_may_now():
    user = given_user("platform_owner")
    stolen = refresh_token_for(user)
    user.groups.set([Group.objects.get_or_create(name="viewer")[0]])
    access = refreshed(stolen).json()["access"]
    assert claims_of(access)["roles"] == ["viewer"]
    assert client_with(access).get(ADMIN_PAGE).status_code == 403


def _change_password(user: User) -> None:
    user.set_password("quite another pass phrase")
    user.save()


def _deactivate_and_activate(user: User) -> None:
    for is_active in (False, True):
        user.is_active = is_active
        user.save()


def test_every_stolen_token_ends_with_the_password():
    user = given_user("viewer")
    signed_in = APIClient().post("/api/auth/token", {"username": user.username, "password": PASSWORD}).json()
    later = refreshed(signed_in["refresh"]).json()["access"]
    _change_password(user)
    assert [client_with(token).get(OPEN_PAGE).status_code for token in (signed_in["access"], later)] == [401, 401]
    assert refreshed(signed_in["refresh"]).status_code == 401


def test_setting_the_same_password_again_is_the_way_to_end_all_tokens():
    user = given_user("viewer")
    access, refresh = access_token_for(user), refresh_token_for(user)
    user.set_password(PASSWORD)
    user.save()
    assert client_with(access).get(OPEN_PAGE).status_code == 401
    assert refreshed(refresh).status_code == 401


def test_a_refresh_token_works_again_until_it_ends_and_signing_out_of_the_browser_does_not_end_it():
    """What is not promised: there is no rotation, and no list of revoked tokens. See docs/known-limits.md."""
    user = given_user("viewer")
    token = refresh_token_for(user)
    browser = Client()
    browser.force_login(user)
    browser.post("/logout")
    answers = [refreshed(token) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert all("refresh" not in answer.json() for answer in answers), "a thief cannot lengthen what was stolen"


# --- In the wrong place


def test_a_token_counts_in_the_authorization_header_alone():
    token = access_token_for(given_user("platform_owner"))
    client = APIClient(raise_request_exception=False)
    for name in ("token", "access", "access_token", "jwt", "authorization", "Authorization", "bearer"):
        assert client.get(OPEN_PAGE, {name: token}).status_code == 401, name
        assert client.get(OPEN_PAGE, {name: f"Bearer {token}"}).status_code == 401, name
        client.cookies[name] = token
    assert client.get(OPEN_PAGE).status_code == 401
    assert client.post(OPEN_PAGE, {"access_token": token, "address": "192.0.2.1"}).status_code == 401


@pytest.mark.parametrize(
    "form", ["{}", "Token {}", "JWT {}", "Basic {}", "Bearer {} x", "Bearer {},Bearer {}", "Bearer={}"]
)
def test_a_token_counts_in_one_form_alone(form: str):
    token = access_token_for(given_user("viewer"))
    client = APIClient(raise_request_exception=False)
    assert client.get(OPEN_PAGE, HTTP_AUTHORIZATION=form.format(token, token)).status_code == 401


@pytest.mark.parametrize("header", ["X-Authorization", "Proxy-Authorization", "X-Access-Token", "X-Forwarded-User"])
def test_no_other_header_signs_anybody_in(header: str):
    user = given_user("platform_owner")
    client = APIClient(raise_request_exception=False)
    for value in (f"Bearer {access_token_for(user)}", user.username):
        assert client.get(OPEN_PAGE, headers={header: value}).status_code == 401


def test_a_token_opens_no_page_for_people():
    token = access_token_for(given_user("platform_owner", is_staff=True, is_superuser=True))
    client = Client(headers={"Authorization": f"Bearer {token}"})
    for path in ("/", "/findings", "/admin/", "/admin/perf/live/"):
        answer = client.get(path)
        assert answer.status_code == 302, path
        assert "login" in answer["Location"]
