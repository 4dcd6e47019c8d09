"""A SecureNet with data in it, on whose address one access rule lifts the limits, as an admin does for a load test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.acceptance.site import PASSWORD, Site
from tests.browser import sample
from tests.browser.site import started_site

# Requests from here are exempt from the limits; those from LIMITED_ADDRESS are not.
EXEMPT_ADDRESS = "127.0.0.1"
LIMITED_ADDRESS = "127.0.0.9"

SET_UP = f"""
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from perf.models import AccessRule, JobPolicy
from securenet.notifications.models import Notification

user = get_user_model().objects.create_user("platform-owner", password={PASSWORD!r})
user.groups.set(Group.objects.filter(name="platform_owner"))
Notification.objects.bulk_create(Notification(user=user, title=f"Message {{number}}") for number in range(3))
AccessRule.objects.create(name="load-test", effect="exempt", network={EXEMPT_ADDRESS!r}, reason="Load test")
# A full queue answers 503; that there is room is not what is tried here.
JobPolicy.objects.update(capacity=100_000)
"""


@contextmanager
def described_site(data_dir: Path) -> Iterator[Site]:
    """Start it with the first release's policies, a person in every role, and rows of each kind."""
    with started_site(data_dir, limited=True) as site:
        site.shell(SET_UP)
        with site.client("platform-owner") as api:
            sample.send_logs(api, sample.attack())
            sample.send_scan(api, sample.network_scan())
            sample.send_scan(api, sample.network_scan())
            sample.add_assets(api)
            sample.analyse(site, api)
            sample.scan_oneself(site, api)
        yield site


def description(site: Site) -> dict[str, Any]:
    """The OpenAPI description that the running server hands out."""
    with site.client() as client:
        answer = client.get("/api/schema", headers={"Accept": "application/vnd.oai.openapi+json"})
    assert answer.status_code == 200, answer.text
    parsed: dict[str, Any] = json.loads(answer.content)
    return parsed


def ended_job(api: httpx.Client) -> str:
    """The id of a job that is there, and cannot be cancelled any more."""
    found: str = api.get("/api/performance/background-job?status=completed").json()["results"][0]["id"]
    return found
