"""What a project that is new to perf has to set: `perf.conf.configure`, and the checks that name what is missing."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from django.core.checks import run_checks
from django.test import override_settings

from perf import tracing
from perf.conf import configure


def test_empty_settings_get_all_that_perf_needs() -> None:
    settings: dict[str, Any] = {"MIDDLEWARE": ["first", "second"]}
    configure(settings, redis="redis://127.0.0.1:1/0")
    assert settings["CACHES"]["default"]["LOCATION"] == "redis://127.0.0.1:1/0"
    assert settings["RQ_QUEUES"]["default"]["URL"] == "redis://127.0.0.1:1/0"
    assert settings["MIDDLEWARE"] == ["perf.middleware.PerformanceMiddleware", "first", "second"]
    assert settings["REST_FRAMEWORK"]["DEFAULT_THROTTLE_CLASSES"] == ["perf.throttling.PolicyThrottle"]


def test_what_the_settings_say_already_stays() -> None:
    cache = {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": "redis://127.0.0.1:2/0"}
    given = {
        "CACHES": {"default": cache},
        "RQ_QUEUES": {"mail": {"URL": "redis://127.0.0.1:3/0"}},
        "REST_FRAMEWORK": {"DEFAULT_THROTTLE_CLASSES": ["shop.throttles.Slow"], "PAGE_SIZE": 10},
        "MIDDLEWARE": ["first", "perf.middleware.PerformanceMiddleware"],
    }
    settings = dict(given)
    configure(settings, redis="redis://127.0.0.1:1/0")
    assert settings == {
        **given,
        "REST_FRAMEWORK": {
            "DEFAULT_THROTTLE_CLASSES": ["shop.throttles.Slow"],
            "PAGE_SIZE": 10,
            "EXCEPTION_HANDLER": "perf.api.exceptions.exception_handler",
        },
    }


def test_a_cache_of_another_name_leaves_django_its_default() -> None:
    settings: dict[str, Any] = {
        "PERF_CACHE_ALIAS": "perf",
        "CACHES": {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}},
    }
    configure(settings, redis="redis://127.0.0.1:1/0")
    assert settings["CACHES"]["default"] == {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    assert settings["CACHES"]["perf"]["BACKEND"] == "django_redis.cache.RedisCache"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, set()),
        ({"RQ_QUEUES": {}}, {"perf.E006"}),
        ({"REST_FRAMEWORK": {}}, {"perf.W005"}),
        ({"MIDDLEWARE": []}, {"perf.W002"}),
    ],
)
def test_what_is_missing_is_named(values: dict[str, Any], expected: set[str]) -> None:
    with override_settings(**values):
        assert {message.id for message in run_checks() if str(message.id).startswith("perf.")} == expected


def test_tracing_without_its_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "IS_INSTALLED", False)
    with override_settings(PERF_TRACING=True):
        assert "perf.E007" in {message.id for message in run_checks()}
        assert not tracing.is_on()


def test_a_project_without_django_rq_is_told_so_instead_of_failing_over_a_model() -> None:
    code = (
        "import django; from django.conf import settings; "
        "settings.configure(INSTALLED_APPS=['django.contrib.auth', 'django.contrib.contenttypes', 'perf']); "
        "django.setup()"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert answer.stderr.endswith('perf needs django-rq: put "django_rq" into INSTALLED_APPS, after "perf".\n')
