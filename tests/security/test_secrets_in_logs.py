"""Secrets do not reach logs, problems or readiness, wherever a client or an operator puts them."""

from __future__ import annotations

import logging
from base64 import b64encode

import pytest
from django.test import Client
from django_redis import get_redis_connection

from securenet.accounts.tokens import access_token_for, refresh_token_for
from securenet.redis_urls import UnusableUrl, parse_jobs_url, parse_redis_url
from tests.conftest import use_redis
from tests.integration.people import PASSWORD, given_user

SECRET = "hunter2-and-more"


def test_a_secret_in_the_wrong_field_header_or_address_is_not_logged(caplog: pytest.LogCaptureFixture):
    for name in ("", "django.request", "django.security"):
        caplog.set_level(logging.DEBUG, logger=name)
    user = given_user("viewer", is_staff=True)
    access, refresh = access_token_for(user), refresh_token_for(user)
    client = Client(raise_request_exception=False)
    for body in (
        {"username": SECRET, "password": user.username},
        {"username": user.username, "password": [SECRET]},
        {"username": user.username, "passwort": SECRET},
        {"refresh": refresh + "x"},
        {"refresh": access},
        SECRET,
    ):
        for path in ("/api/auth/token", "/api/auth/refresh"):
            client.post(path, body, content_type="application/json")
    for form in ({"username": SECRET, "password": SECRET}, {"password": SECRET}):
        client.post("/login", form)
        client.post("/admin/login/", form)
    basic = b64encode(f"{user.username}:{SECRET}".encode()).decode()
    for header in (f"Basic {basic}", f"Bearer {SECRET}", f"Bearer {access}x", f"Token {access}", SECRET):
        client.get("/api/dashboard", headers={"Authorization": header})
    client.get("/api/dashboard", {"access_token": access})
    client.post("/login", {"username": user.username, "password": PASSWORD})
    user.set_password(SECRET)
    user.save()
    assert caplog.records, "that somebody was refused is logged at this level"
    for secret in (SECRET, PASSWORD, access, refresh, basic, client.cookies["sessionid"].value):
        assert secret not in caplog.text, secret[:12]


@pytest.mark.parametrize("url", [f"redis://user:{SECRET}@127.0.0.1:1/0", f"redis://:{SECRET}@127.0.0.1:1/0"])
def test_the_password_of_a_redis_that_is_away_is_told_to_nobody(url: str, redis, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    user = given_user("platform_owner")
    client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {access_token_for(user)}"})
    try:
        use_redis(url, jobs_url=url)
        answers = [client.get(path) for path in ("/readyz", "/api/dashboard", "/api/performance/metrics", "/metrics")]
    finally:
        use_redis(redis.url, jobs_url=redis.url)
    assert answers[0].status_code == 503
    assert b"down" in answers[0].content
    assert SECRET.encode() not in b"".join(answer.content for answer in answers)
    assert SECRET not in caplog.text
    assert get_redis_connection("default").ping()


def test_an_address_that_cannot_be_used_is_named_without_its_password():
    for parse in (parse_redis_url, parse_jobs_url):
        with pytest.raises(UnusableUrl) as refusal:
            parse(f"http://u:{SECRET}@h/", "REDIS_URL")
        assert SECRET not in str(refusal.value)
