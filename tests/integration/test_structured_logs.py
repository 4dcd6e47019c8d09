"""Log lines for programs: one JSON object each, with the request or job it is about, and without secrets."""

from __future__ import annotations

import io
import json
import logging
import logging.config
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from perf.jobs import RunningJob, job_type, submit
from perf.jobs.run import run_job
from securenet.accounts.models import User
from securenet.environment import log_format
from tests.integration.people import PASSWORD, given_user

log = logging.getLogger("tests.structured")


@job_type("test_talkative")
def talkative(job: RunningJob, params: dict[str, Any]) -> None:
    """Logs, and fails."""
    log.info("about to fail")
    raise RuntimeError("as planned")


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """All that is logged, down to debugging, in the format of production."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    configure, configured = logging.config.DictConfigurator({"version": 1}), deepcopy(settings.LOGGING)
    handler.setFormatter(configure.configure_formatter(configured["formatters"]["json"]))
    handler.addFilter(configure.configure_filter(configured["filters"]["context"]))
    loggers = {name: logging.getLogger(name) for name in ("", "django.request")}
    levels = {name: logger.level for name, logger in loggers.items()}
    for logger in loggers.values():
        logger.setLevel(logging.DEBUG)
    loggers[""].addHandler(handler)
    yield stream
    loggers[""].removeHandler(handler)
    for name, logger in loggers.items():
        logger.setLevel(levels[name])


def parsed(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_names_the_request_it_is_about(lines: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    from securenet.dashboard import views

    def failing(*_: object) -> None:
        log.warning("within a request")
        raise ZeroDivisionError

    monkeypatch.setattr(views.DashboardView, "get", failing)
    client = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {token_of(given_user())}"})
    response = client.get("/api/dashboard", headers={"X-Request-ID": "ticket-4711"})
    assert response.status_code == 500
    log.warning("afterwards")
    about = {line["message"]: line["request_id"] for line in parsed(lines)}
    assert about["within a request"] == "ticket-4711" == response["X-Request-ID"]
    assert about["afterwards"] == ""


def test_a_line_names_the_job_it_is_about_and_has_the_error_in_one_object(lines: io.StringIO) -> None:
    job = submit("test_talkative")
    run_job(str(job.pk))
    found = [line for line in parsed(lines) if line["job_id"] == str(job.pk)]
    assert "about to fail" in {line["message"] for line in found}
    assert any("RuntimeError: as planned" in line.get("exc_info", "") for line in found)
    assert all(line.keys() >= {"timestamp", "level", "logger", "process"} for line in found)


def test_no_line_has_a_password_or_a_token(lines: io.StringIO) -> None:
    ben = given_user(is_staff=True)
    client = Client(raise_request_exception=False)
    for password in (PASSWORD, "wrong-password"):
        client.post(
            "/api/auth/token", {"username": ben.username, "password": password}, content_type="application/json"
        )
    token = token_of(given_user("viewer"))
    client.get("/api/security/findings", headers={"Authorization": f"Bearer {token}"})
    client.get("/api/security/findings", headers={"Authorization": f"Bearer {token[:-2]}xx"})
    client.post("/admin/login/", {"username": ben.username, "password": PASSWORD})
    text = lines.getvalue()
    assert "/api/auth/token" in text, "that somebody was refused is logged"
    for secret in (PASSWORD, "wrong-password", token, token[:-2], client.cookies["sessionid"].value):
        assert secret not in text, secret


def sign_in(client: Client, user: User, password: str) -> Any:
    values = {"username": user.username, "password": password}
    return client.post("/api/auth/token", values, content_type="application/json")


def token_of(user: User) -> str:
    token: str = sign_in(Client(), user, PASSWORD).json()["access"]
    return token


@pytest.mark.parametrize(("production", "expected"), [(True, "json"), (False, "line")])
def test_production_writes_json(production: bool, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOG_FORMAT", raising=False)
    assert log_format(production) == expected
