"""What generated requests found wrong with the server, without the generator: these run with all other tests."""

from __future__ import annotations

import pytest

from tests.integration.conftest import fresh_process  # noqa: F401  # for every test here
from tests.integration.people import client_of, fields_of

INVALIDATE = "/api/performance/cache/invalidate"
ASSETS = "/api/network/assets"
TARGETS = "/api/network/targets"


@pytest.mark.parametrize("path", ["0", "api/logs", "", "/api/no-such-view"])
def test_a_path_that_is_no_route_is_a_field_that_is_not_valid(path: str) -> None:
    response = client_of("platform_owner").post(INVALIDATE, {"paths": [path]})
    assert response.status_code == 400
    assert {field.partition(".")[0] for field in fields_of(response)} == {"paths"}


@pytest.mark.parametrize("file_format", ["csv", "sarif"])
def test_options_of_what_is_read_as_a_file_are_json_or_refused(file_format: str) -> None:
    response = client_of("viewer").options(f"/api/security/findings?format={file_format}")
    assert response.status_code == 404
    assert client_of("viewer").options("/api/security/findings").json()["renders"]


def test_an_unknown_method_is_405_whatever_format_is_asked_for() -> None:
    assert client_of("viewer").generic("TRACE", "/api/security/findings?format=csv").status_code == 405


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (ASSETS, {"address": "192.0.2.1", "notes": 5}, "notes"),
        (ASSETS, {"address": "192.0.2.1", "tags": [5]}, "tags.0"),
        (TARGETS, {"network": "192.0.2.0/24", "enabled": 0}, "enabled"),
        (TARGETS, {"network": "192.0.2.0/24", "enabled": "true"}, "enabled"),
        (TARGETS, {"network": "192.0.2.0/24", "rate": "5"}, "rate"),
        (TARGETS, {"network": "192.0.2.0/24", "rate": True}, "rate"),
        (INVALIDATE, {"tags": [0]}, "tags.0"),
        (INVALIDATE, {"everything": 1}, "everything"),
        ("/api/auth/token", {"username": 5, "password": "five"}, "username"),
    ],
)
def test_a_value_of_another_type_than_described_is_refused(path: str, body: dict[str, object], field: str) -> None:
    response = client_of("platform_owner").post(path, body)
    assert response.status_code == 400
    assert field in fields_of(response)


def test_values_of_the_described_types_are_taken() -> None:
    client = client_of("platform_owner")
    target = {"network": "192.0.2.0/24", "ports": "80, 443", "rate": 5, "enabled": False, "valid_until": None}
    assert client.post(TARGETS, target).status_code == 201
    assert client.post(ASSETS, {"address": "192.0.2.1", "notes": "", "tags": ["web"]}).status_code == 201
    assert client.post(INVALIDATE, {"everything": True}).status_code == 200
