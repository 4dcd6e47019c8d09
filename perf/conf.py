"""Every setting of perf: name, default, unit. Read through ``conf.setting("NAME")``, never from Django's settings.

Django's ``override_settings`` works; system checks are in ``checks.py``. `configure` writes Django's own settings for
a project that is new to perf.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Final

from django.conf import settings
from django.core.signals import setting_changed

DEFAULTS: Final[dict[str, Any]] = {
    # Name of the django-redis cache in CACHES whose connections perf uses.
    "CACHE_ALIAS": "default",
    # First part of every Redis key. One project, one prefix.
    "KEY_PREFIX": "perf",
    # Networks (CIDR) of reverse proxies whose Forwarded / X-Forwarded-For headers are believed.
    "TRUSTED_PROXIES": [],
    # Bits of an IPv6 address that make one client: providers hand out whole networks.
    "IPV6_PREFIX": 64,
    # Clients known by address or key alone that may have a counter of their own, per limit. Those with a counter and
    # those that had one a moment ago count; further ones share a few counters.
    "MAX_CLIENTS": 200_000,
    # Processes that serve requests, on all machines; `on_store_error: local` gives each its share of a limit.
    "PROCESSES": 1,
    # Whether the name a server is called by makes responses differ; False if no response contains it.
    "VARY_ON_HOST": True,
    # How this cache names itself in Cache-Status.
    "CACHE_NAME": "perf",
    # Requests below this path get the headers of PerformanceMiddleware and are measured.
    "PATH_PREFIX": "/api",
    # Dotted path of `roles_of(user) -> Iterable[str]`; by default `user.roles`, else the names of its groups.
    "ROLES": None,
    # Dotted path of `recent_versions() -> Iterable[tuple[str, int]]`: identity versions to announce again
    # when Redis comes back empty. None: tokens carry no version.
    "IDENTITY_VERSIONS": None,
    # Seconds for which an announced identity version is kept: the longest life of an access token.
    "IDENTITY_LIFETIME": 24 * 3600,
    # Roles that may read metrics and see all jobs, beside superusers.
    "ADMIN_ROLES": [],
    # Seconds that a cached view without a policy and without a ttl of its own is kept fresh.
    "DEFAULT_TTL": 300,
    # Bytes that Redis uses for cache entries, with their keys and the books kept about them.
    "CACHE_BUDGET_BYTES": 64 * 1024 * 1024,
    # Hash tags over which entries are spread. One: limits and cache share a slot and one script. More, such as 16, are
    # for a Redis Cluster: two scripts are asked side by side, and each tag has its part of the budget.
    "CACHE_SHARDS": 1,
    # Seconds an entry is kept at least, so that a TTL lengthened in the admin finds it.
    "ENTRY_RETENTION": 3600,
    # How eagerly hot entries are refreshed before they expire (the beta of XFetch): above 1 earlier, 0 not at all.
    "EARLY_REFRESH": 1.0,
    # Bytes from which bodies are kept compressed, and sent so to clients that accept gzip; 0: none.
    "COMPRESS_BYTES": 2048,
    # Bytes of memory for copies of cached bodies that each process keeps beside Redis.
    "LOCAL_COPIES_BYTES": 16 * 1024 * 1024,
    # Seconds a request holds the right to recompute an entry; renewed while it works.
    "LEASE_SECONDS": 5.0,
    # Seconds a request waits for another that computes the same entry.
    "WAIT_SECONDS": 15.0,
    # Requests that one `cache_warm` job makes at the same time.
    "WARM_THREADS": 4,
    # Share of clients (0 to 1) whose requests are recorded for previews of policies, all of a client or none; and the
    # seconds for which they are kept. Some 200 bytes a request, at most 20,000 requests per five minutes.
    "TRAFFIC_SHARE": 1.0,
    "TRAFFIC_SECONDS": 3600,
    # Whether requests, exchanges with Redis and jobs are traced with OpenTelemetry (the package opentelemetry-api).
    "TRACING": False,
    # Seconds between two looks at a Redis that failed.
    "PROBE_SECONDS": 0.25,
    # Jobs waiting or running, all types together.
    "JOB_CAPACITY": 100,
    # Bytes of memory of its own that a job's process may have; 0: any. Linux only.
    "JOB_MEMORY_BYTES": 1024 * 1024 * 1024,
    # Seconds a worker holds a job without a heartbeat.
    "JOB_LEASE_SECONDS": 6.0,
    # Seconds between two recovery passes.
    "RECOVERY_SECONDS": 0.5,
    # Seconds that an Idempotency-Key is remembered.
    "IDEMPOTENCY_SECONDS": 24 * 3600,
}

MIDDLEWARE: Final = "perf.middleware.PerformanceMiddleware"

_known: dict[str, Any] = {}


def setting(name: str) -> Any:
    """Return ``PERF_<name>`` from Django's settings, or its default.

    Remembered, because Django looks a setting that is not there up anew each time, at some cost.
    """
    try:
        return _known[name]
    except KeyError:
        value = _known[name] = getattr(settings, f"PERF_{name}", DEFAULTS[name])
        return value


def _forget(setting: str, **_: Any) -> None:
    _known.pop(setting.removeprefix("PERF_"), None)


# Sent by `override_settings` and by pytest-django's `settings`.
setting_changed.connect(_forget, dispatch_uid="perf.conf")


def configure(namespace: MutableMapping[str, Any], *, redis: str) -> None:
    """Write into a settings module what perf needs of Django, DRF and RQ, and leave what stands there already.

    To be called at the end of the module, as ``configure(globals(), redis="redis://127.0.0.1:6379/0")``. Sets the
    cache that perf uses, the queue ``default``, the middleware, and DRF's throttle and exception handler.

    Args:
        namespace: the settings so far.
        redis: URL of one Redis server. For Sentinel and Cluster write ``CACHES`` and ``RQ_QUEUES`` yourself.
    """
    alias = namespace.get("PERF_CACHE_ALIAS", DEFAULTS["CACHE_ALIAS"])
    cache = {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": redis,
        # Seconds. No request is to wait for a Redis that does not answer.
        "OPTIONS": {"SOCKET_CONNECT_TIMEOUT": 0.5, "SOCKET_TIMEOUT": 0.5},
    }
    namespace["CACHES"] = {alias: cache, **namespace.get("CACHES", {})}
    if alias != "default":  # Django wants one of that name
        namespace["CACHES"].setdefault("default", cache)
    namespace.setdefault("RQ_QUEUES", {"default": {"URL": redis, "SERIALIZER": "json"}})
    namespace["REST_FRAMEWORK"] = {
        "DEFAULT_THROTTLE_CLASSES": ["perf.throttling.PolicyThrottle"],
        "EXCEPTION_HANDLER": "perf.api.exceptions.exception_handler",
        **namespace.get("REST_FRAMEWORK", {}),
    }
    middleware = list(namespace.get("MIDDLEWARE", []))
    if MIDDLEWARE not in middleware:
        middleware.insert(0, MIDDLEWARE)
    namespace["MIDDLEWARE"] = middleware
