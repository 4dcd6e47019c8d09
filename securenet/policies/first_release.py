"""The policies of the first release. A migration installs them once; from then on they are the admin's."""

from __future__ import annotations

from typing import Any

ADMINS = ["platform_owner", "security_admin"]
SCANNERS = [*ADMINS, "soc_analyst"]


def _cache(name: str, position: int, ttl: int, shared_by: str = "role") -> dict[str, Any]:
    return {
        "name": name,
        "position": position,
        "route": f"/api/{name}*",
        "ttl": ttl,
        "ttl_jitter": 0,
        "stale_while_revalidate": ttl,
        "stale_if_error": 0,
        "shared_by": shared_by,
        "ignore_params": ["utm_*"],
        "comment": "First release.",
    }


CACHE_POLICIES: list[dict[str, Any]] = [
    _cache("dashboard", 10, 60),
    _cache("security", 20, 120),
    _cache("network", 30, 180),
    _cache("logs", 40, 300),
    _cache("notifications", 50, 180, shared_by="user"),
]

RATE_LIMIT_POLICIES: list[dict[str, Any]] = [
    {
        "name": "authentication",
        "position": 10,
        "route": "/api/auth/*",
        "count_by": "ip",
        "limit": 10,
        "period": 60,
        "on_store_error": "local",
        "comment": "Slows down password guessing, also while Redis is away.",
    },
    {
        "name": "scans",
        "position": 20,
        "route": "/api/security/scans",
        "methods": ["POST"],
        "limit": 5,
        "period": 60,
        "comment": "Scans are expensive for the networks they look at.",
    },
    {
        "name": "admin",
        "position": 30,
        "route": "*",
        "roles": ADMINS,
        "limit": 200,
        "period": 60,
        "comment": "People who run the platform.",
    },
    {
        "name": "default",
        "position": 40,
        "route": "*",
        "limit": 100,
        "period": 60,
        "comment": "Everything else.",
    },
]

JOB_POLICIES: list[dict[str, Any]] = [
    {"name": "security_scan", "timeout": 3600, "max_attempts": 3, "retry_backoff": 10, "roles": SCANNERS},
    {"name": "log_analysis", "timeout": 900, "max_attempts": 3, "retry_backoff": 5, "roles": SCANNERS},
    {"name": "cache_warm", "timeout": 300, "max_attempts": 2, "retry_backoff": 5, "roles": ADMINS},
]


def install(apps: Any) -> None:
    """Create what is missing, through the models of ``apps``; a policy that exists by name is left alone."""
    for model_name, rows in (
        ("CachePolicy", CACHE_POLICIES),
        ("RateLimitPolicy", RATE_LIMIT_POLICIES),
        ("JobPolicy", JOB_POLICIES),
    ):
        model = apps.get_model("perf", model_name)
        for row in rows:
            model.objects.get_or_create(name=row["name"], defaults=row)
