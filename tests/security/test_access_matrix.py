"""The access table against the site: every route, every method, every role, one's own objects and others'."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from rest_framework.test import APIClient

from perf.jobs import submit
from perf.models import Job, JobPolicy
from securenet.accounts.models import User
from securenet.accounts.roles import PLATFORM_OWNER, VIEWER
from securenet.network.models import Asset, ScanTarget
from securenet.notifications.models import Notification
from securenet.policies.first_release import JOB_POLICIES
from securenet.security.models import Scan
from tests.integration.people import client_for, given_user
from tests.integration.test_security import given_finding
from tests.security.access_table import ANONYMOUS, CALLERS, FAR, OPERATORS, OTHERS, TABLE, WITHOUT_ROLE, Row
from tests.security.url_patterns import routes

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE")
REFUSED = {401, 403, 404, 405}
LEAST_AND_MOST = (ANONYMOUS, VIEWER, PLATFORM_OWNER)
ANY_METHOD = {row.route for row in OPERATORS} | {"favicon.ico"}  # they look at no method, and change nothing


def scan_of(user: User) -> int:
    return Scan.objects.create(started_by=user, targets=["127.0.0.1"], ports="1").pk


def asset_of(_: User) -> int:
    Asset.objects.all().delete()
    return Asset.objects.create(address="192.0.2.7").pk


def target_of(_: User) -> int:
    ScanTarget.objects.filter(network="127.0.0.8/32").delete()
    return ScanTarget.objects.create(network="127.0.0.16/32").pk


def job_of(user: User) -> str:
    job = submit("cache_warm", {})
    Job.objects.filter(pk=job.pk).update(submitted_by=user)
    return str(job.pk)


def notification_of(user: User) -> int:
    return Notification.objects.create(user=user, title="t").pk


def finding_of(_: User) -> int:
    return given_finding(int(timezone.now().timestamp() * 1_000_000)).pk


OBJECTS: dict[str, Callable[[User], Any]] = {
    "api/security/findings/": finding_of,
    "api/security/scans/": scan_of,
    "api/network/assets/": asset_of,
    "api/network/targets/": target_of,
    "api/notifications/": notification_of,
    "api/performance/background-job/": job_of,
    "findings/": finding_of,
    "scans/": scan_of,
    "notifications/": notification_of,
}


class Visitor:
    """One of `CALLERS`: with a token at the API, with a session on pages."""

    def __init__(self, caller: str) -> None:
        roles = () if caller in (ANONYMOUS, WITHOUT_ROLE) else (caller,)
        self.user = None if caller == ANONYMOUS else given_user(*roles)
        self.other = given_user("soc_analyst")
        self.api = client_for(self.user) if self.user else APIClient(raise_request_exception=False)
        self.owner = self.user or self.other

    def ask(self, row: Row, method: str | None = None) -> int:
        """The status of what the row describes; with another ``method``, without a body."""
        path = _path(row.route, self.other if row.about == OTHERS else self.owner)
        address = {"REMOTE_ADDR": "203.0.113.9"} if row.about == FAR else {}
        if row.route.startswith(("api/", "^api/")):
            answer = self.api.generic(
                method or row.method,
                path,
                _json(row.body) if method is None else "",
                content_type="application/json",
                **address,
            )
        else:
            browser = Client(raise_request_exception=False)
            if self.user:
                browser.force_login(self.user)
            send = getattr(browser, (method or row.method).lower())
            answer = send(path, row.body if method is None and row.body else {}, **address)
        if answer.status_code == 302 and self.user is None and row.route not in ("login", "logout", "favicon.ico"):
            assert answer["Location"].startswith("/login?next=/"), answer["Location"]
        return int(answer.status_code)


def _path(route: str, owner: User) -> str:
    if route == "^api/":
        return "/api/nothing-is-here"
    head, found, rest = route.partition("<")
    return f"/{head}{OBJECTS[head](owner)}{rest.partition('>')[2]}" if found else f"/{route}"


def _json(body: Any) -> str:
    return "" if body is None else json.dumps(body)


@pytest.fixture(autouse=True)
def job_policies() -> None:
    """Who may submit jobs; no limits, which would answer instead of permissions."""
    for fields in JOB_POLICIES:
        JobPolicy.objects.create(**{**fields, "capacity": 100})
    ScanTarget.objects.get_or_create(network="127.0.0.0/30")


def test_the_table_names_every_route_below_the_root_but_the_admins():
    routed = {route for route in routes() if not route.startswith("admin/")}
    assert {row.route for row in TABLE} == routed


@pytest.mark.parametrize("caller", CALLERS)
def test_every_answer_is_that_of_the_table(caller: str):
    visitor = Visitor(caller)
    answered = {str(row): visitor.ask(row) for row in TABLE}
    assert answered == {str(row): row.status_for(caller) for row in TABLE}


@pytest.mark.parametrize("caller", LEAST_AND_MOST)
def test_methods_that_the_table_does_not_name_are_refused(caller: str):
    visitor = Visitor(caller)
    named = {(row.route, row.method) for row in TABLE}
    first = {row.route: row for row in reversed(TABLE) if row.route not in ANY_METHOD}
    wrong = {}
    for row in first.values():
        for method in METHODS:
            if (row.route, method) in named or (method == "HEAD" and (row.route, "GET") in named):
                continue
            status = visitor.ask(row, method)
            is_sent_away = status == 302 and (caller == ANONYMOUS or row.route == "login")
            if status not in REFUSED and not is_sent_away:
                wrong[f"{method} {row.route}"] = status
    assert wrong == {}


@pytest.mark.parametrize("caller", LEAST_AND_MOST)
def test_head_is_answered_like_get(caller: str):
    visitor = Visitor(caller)
    gets = [row for row in TABLE if row.method == "GET"]
    assert {str(row): visitor.ask(row, "HEAD") for row in gets} == {str(row): row.status_for(caller) for row in gets}
