"""What would let people or networks do more than they should is said by `manage.py check`."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from tests.integration.helpers import given_limit


def found(**options: Any) -> set[str]:
    return {message.id for message in run_checks(**options) if str(message.id).startswith("securenet.")}


def test_the_settings_of_the_tests_are_fine() -> None:
    assert found() == set()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"DEBUG": True, "ALLOWED_HOSTS": ["securenet.example.org"]}, {"securenet.E001"}),
        ({"DEBUG": True, "ALLOWED_HOSTS": ["127.0.0.1", "localhost"]}, set()),
        ({"DEBUG": False, "ALLOWED_HOSTS": ["securenet.example.org"]}, set()),
        ({"PERF_TRUSTED_PROXIES": ["10.0.0.0/8", "0.0.0.0/0"]}, {"securenet.E002"}),
        ({"PERF_TRUSTED_PROXIES": ["::/0"]}, {"securenet.E002"}),
        ({"PERF_TRUSTED_PROXIES": ["10.0.0.0/8"]}, set()),
        ({"METRICS_NETWORKS": ["0.0.0.0/0"]}, {"securenet.W001"}),
        ({"METRICS_NETWORKS": ["10.0.0.0/8"]}, set()),
    ],
)
def test_each_setting_that_opens_too_much_is_named(values: dict[str, Any], expected: set[str]) -> None:
    with override_settings(**values):
        assert found() == expected


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (None, {"securenet.W002"}),
        ({"enabled": False}, {"securenet.W002"}),
        ({"mode": "observe"}, {"securenet.W002"}),
        ({}, set()),
    ],
)
def test_sign_ins_without_a_limit_are_named_where_the_database_may_be_asked(
    policy: dict[str, Any] | None, expected: set[str]
) -> None:
    if policy is not None:
        given_limit("authentication", route="/api/auth/*", **policy)
    assert found(databases=["default"]) == expected
    assert found() == set()
