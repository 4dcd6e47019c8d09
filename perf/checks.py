"""System checks: what would break a promise is said before the first request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from django.apps import apps
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from rest_framework.settings import api_settings

from perf import tracing
from perf.conf import DEFAULTS, MIDDLEWARE, setting
from perf.throttling import PolicyThrottle


@register(Tags.caches)
def check_cache_backend(**_: Any) -> list[CheckMessage]:
    """The gate needs django-redis, with short time-outs."""
    alias = setting("CACHE_ALIAS")
    configured: dict[str, Any] | None = settings.CACHES.get(alias)
    if configured is None:
        return [Error(f"PERF_CACHE_ALIAS is {alias!r}, but CACHES has no such cache.", id="perf.E001")]
    if not configured["BACKEND"].startswith("django_redis."):
        return [
            Error(
                f"CACHES[{alias!r}] is {configured['BACKEND']}; perf needs django-redis.",
                hint='Set "BACKEND": "django_redis.cache.RedisCache", or call perf.conf.configure at the end of the '
                "settings.",
                id="perf.E002",
            )
        ]
    options = configured.get("OPTIONS", {})
    if not (options.get("SOCKET_TIMEOUT") and options.get("SOCKET_CONNECT_TIMEOUT")):
        return [
            Warning(
                f"CACHES[{alias!r}] has no time-outs: a Redis that hangs would hold requests for seconds.",
                hint='Set "SOCKET_TIMEOUT": 0.5 and "SOCKET_CONNECT_TIMEOUT": 0.5 in its OPTIONS.',
                id="perf.W001",
            )
        ]
    return []


@register(Tags.caches)
def check_redis_topology(**_: Any) -> list[CheckMessage]:
    """RQ works on no Redis Cluster; a Sentinel that is down must not hold requests."""
    factories = {
        alias: cache.get("OPTIONS", {}).get("CONNECTION_FACTORY")
        or getattr(settings, "DJANGO_REDIS_CONNECTION_FACTORY", "")
        for alias, cache in settings.CACHES.items()
    }
    alias, messages = setting("CACHE_ALIAS"), list[CheckMessage]()
    if factories.get(alias) == "django_redis.pool.SentinelConnectionFactory":
        messages.append(
            Warning(
                f"CACHES[{alias!r}] asks a Sentinel that is down eleven times before it asks the next.",
                hint='Set "CONNECTION_FACTORY": "perf.gate.connections.SentinelConnectionFactory" in its OPTIONS.',
                id="perf.W003",
            )
        )
    for name, queue in getattr(settings, "RQ_QUEUES", {}).items():
        if factories.get(queue.get("USE_REDIS_CACHE")) == "perf.gate.connections.ClusterConnectionFactory":
            messages.append(
                Error(
                    f"RQ_QUEUES[{name!r}] uses the cache {queue['USE_REDIS_CACHE']!r}, which is a Redis Cluster; "
                    "RQ does not work on one.",
                    hint='Give it a Redis of its own: "URL": "redis://…", or "SENTINELS" and "MASTER_NAME".',
                    id="perf.E005",
                )
            )
    return messages


@register()
def check_settings(**_: Any) -> list[CheckMessage]:
    """A PERF_ setting that nothing reads is a misspelt one."""
    unknown = [
        name for name in dir(settings) if name.startswith("PERF_") and name.removeprefix("PERF_") not in DEFAULTS
    ]
    return [Error(f"{name} is no setting of perf.", hint="See perf/conf.py.", id="perf.E003") for name in unknown]


@register()
def check_tracing(**_: Any) -> list[CheckMessage]:
    """Spans need OpenTelemetry's API."""
    if not setting("TRACING") or tracing.IS_INSTALLED:
        return []
    return [
        Error(
            "PERF_TRACING is on, but OpenTelemetry is not installed: nothing is traced.",
            hint="pip install opentelemetry-sdk, or set PERF_TRACING = False.",
            id="perf.E007",
        )
    ]


@register()
def check_middleware(**_: Any) -> list[CheckMessage]:
    """Without the middleware there are no headers and no latencies."""
    if MIDDLEWARE in settings.MIDDLEWARE:
        return []
    return [
        Warning(
            "PerformanceMiddleware is not installed: responses carry no Cache-Status and no RateLimit fields.",
            hint=f'Put "{MIDDLEWARE}" first in MIDDLEWARE.',
            id="perf.W002",
        )
    ]


@register()
def check_order_of_apps(**_: Any) -> list[CheckMessage]:
    """Django takes a command from the first app that has it."""
    names = [config.name for config in apps.get_app_configs()]
    if "django_rq" not in names or names.index("perf") < names.index("django_rq"):
        return []
    return [
        Error(
            "django_rq stands before perf in INSTALLED_APPS: `manage.py rqworker` would start bare RQ workers.",
            hint='Put "perf" before "django_rq".',
            id="perf.E004",
        )
    ]


@register()
def check_queues(**_: Any) -> list[CheckMessage]:
    """Jobs need a queue of RQ."""
    if getattr(settings, "RQ_QUEUES", None):
        return []
    return [
        Error(
            "RQ_QUEUES is not set: no job can be handed over, and `manage.py rqworker` has nothing to serve.",
            hint='Set RQ_QUEUES = {"default": {"URL": "redis://…", "SERIALIZER": "json"}}.',
            id="perf.E006",
        )
    ]


@register()
def check_rest_framework(**_: Any) -> list[CheckMessage]:
    """Policies of the admin limit a DRF view only through the throttle."""
    messages = list[CheckMessage]()
    if not apps.is_installed("rest_framework"):
        messages.append(
            Warning(
                "rest_framework is not in INSTALLED_APPS: its pages for browsers have no templates.",
                hint='Put "rest_framework" into INSTALLED_APPS.',
                id="perf.W004",
            )
        )
    throttles = cast("Sequence[type]", api_settings.DEFAULT_THROTTLE_CLASSES)  # the stubs have the names
    if not any(issubclass(throttle, PolicyThrottle) for throttle in throttles):
        messages.append(
            Warning(
                "DRF's default throttles are without PolicyThrottle: rate-limit policies reach only the views that "
                "name it themselves.",
                hint='Put "perf.throttling.PolicyThrottle" into REST_FRAMEWORK["DEFAULT_THROTTLE_CLASSES"].',
                id="perf.W005",
            )
        )
    return messages
