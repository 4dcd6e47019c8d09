"""What clients send that nobody would expect: each is answered with a problem, never with a 500."""

from __future__ import annotations

from base64 import b64encode

import pytest

from perf.jobs import submit
from tests.integration.helpers import client_for, given_user

JOBS = "/api/performance/background-job"


@pytest.fixture
def client():
    return client_for(given_user("root", "platform_owner", is_superuser=True))


@pytest.mark.parametrize("cursor", ["p=garbage", "p=9" * 30, "o=x", "r=1&p=%00", "\xff"])
def test_a_made_up_cursor_is_404(client, cursor: str) -> None:
    submit("cache_warm", by=None)
    encoded = b64encode(cursor.encode()).decode()
    for path in (JOBS, "/api/security/findings", "/api/network/assets", "/api/notifications"):
        response = client.get(path, {"cursor": encoded})
        assert response.status_code in (200, 404), path
        if cursor == "p=garbage":
            assert response.status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" * 100_000, 400),
        (b'{"type": "cache_warm"', 400),
        (b'{"type": "\xff"}', 400),
        (b'{"type": NaN}', 400),
        (b'"text"', 400),
        (b"[]", 400),
        (b'{"type": "' + b"x" * 6_000_000 + b'"}', 413),
        (b"", 400),
    ],
)
def test_a_body_that_cannot_be_read_says_so(client, body: bytes, status: int) -> None:
    response = client.generic("POST", JOBS, body, content_type="application/json")
    assert response.status_code == status
    assert response.headers["Content-Type"] == "application/problem+json"


def test_another_media_type_is_415(client) -> None:
    assert client.generic("POST", JOBS, b"a=1", content_type="application/x-www-form-urlencoded").status_code == 415


def test_jobs_are_listed_newest_first(client) -> None:
    submitted = [submit("cache_warm", {"roles": []}, unique=False) for _ in range(5)]
    listed = [job["id"] for job in client.get(JOBS).json()["results"]]
    assert listed == [str(job.pk) for job in reversed(submitted)]
