"""No request makes the server connect to where no admin has allowed it to; spellings are tested with the scanner."""

from __future__ import annotations

import pytest
from django.urls import reverse

from perf.models import Job
from securenet.network.models import ScanTarget
from securenet.security.models import Scan
from tests.integration.people import client_of, staff_client

SCANS = "/api/security/scans"
FORBIDDEN = [
    "169.254.169.254", "169.254.170.2", "::ffff:169.254.169.254", "[::ffff:a9fe:a9fe]", "::ffff:a9fe:a9fe",
    "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "fd00:ec2::254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376",
    "169.254.43518", "0xa9.254.169.254", "169.254.169.254.", "100.100.100.200", "168.63.129.16", "192.0.0.192",
    "169.254.0.0/16", "0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "fe80::1", "fe80::1%eth0",
    "http://169.254.169.254/latest/meta-data/", "file:///etc/passwd", "gopher://127.0.0.1:6379/_FLUSHALL",
    "127.0.0.1:6379", "user@169.254.169.254", "169.254.169.254#.example.org", "１６９.254.169.254",
]  # fmt: skip


@pytest.fixture(autouse=True)
def far_more_than_wise_is_authorised() -> None:
    ScanTarget.objects.all().delete()
    for network in ("127.0.0.0/8", "169.0.0.0/8", "168.0.0.0/8", "100.0.0.0/8", "192.0.0.0/8"):
        ScanTarget.objects.create(network=network)


def test_what_is_never_scanned_is_refused_at_every_door_whatever_is_authorised():
    client, browser = client_of("platform_owner"), staff_client("platform_owner")
    wrong = {}
    for target in FORBIDDEN:
        params = {"targets": [target], "ports": "80"}
        job = {"type": "security_scan", "params": params}
        found = {
            client.post(SCANS, params).status_code,
            client.post("/api/performance/background-job", job).status_code,
            browser.post("/scans", {"targets": target, "ports": "80"}).status_code,
        }
        if not found <= {400, 403}:
            wrong[target] = found
    assert wrong == {}
    assert not (Scan.objects.exists() or Job.objects.exists())


def test_a_name_that_leads_to_a_forbidden_address_is_refused(monkeypatch: pytest.MonkeyPatch):
    """The name server is the attacker's: what it says at the check is what would be connected to."""
    import socket

    def says_metadata(*_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", says_metadata)
    answer = client_of("platform_owner").post(SCANS, {"targets": ["innocent.example"], "ports": "80"})
    assert answer.status_code == 403
    assert not Scan.objects.exists()


def test_nothing_but_a_scan_takes_an_address_to_connect_to():
    """The product has no web hooks: whatever the admin edits, no field of it is a URL."""
    from django.apps import apps
    from django.db.models import FileField, URLField

    ours = [model for model in apps.get_models() if model.__module__.startswith(("perf.", "securenet."))]
    assert ours
    fields = [field for model in ours for field in model._meta.get_fields() if isinstance(field, URLField | FileField)]
    assert fields == []


def test_warming_the_cache_asks_this_application_only():
    client = client_of("platform_owner")
    for body in (
        {"paths": ["http://169.254.169.254/"]},
        {"urls": ["http://127.0.0.1:1/"]},
        {"policies": ["http://x/"]},
    ):
        assert client.post("/api/performance/cache/warm", body).status_code == 400, body


def test_signing_in_leads_to_no_other_site():
    for target in (
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "\t//evil.example",
    ):
        answer = staff_client("viewer").get(f"{reverse('login')}?next={target}")
        assert answer["Location"] == "/", target
