"""System checks of the product: settings and policies with which people or networks could do more than they should."""

from __future__ import annotations

import ipaddress
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.db import DatabaseError

from perf.models import RateLimitPolicy
from securenet.accounts.limits import POLICY

LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "[::1]", "testserver"})


@register(Tags.security)
def check_debug_pages(app_configs: list[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Debug pages show settings and local variables to whoever meets an error."""
    reachable = sorted(set(settings.ALLOWED_HOSTS) - LOOPBACK_NAMES)
    if not settings.DEBUG or not reachable:
        return []
    return [
        Error(
            f"DEBUG is on, and the server is called {', '.join(reachable)}: an error there shows what is in variables.",
            hint="Set DEBUG=off, or SECURENET_ENV=production.",
            id="securenet.E001",
        )
    ]


@register(Tags.security)
def check_networks(app_configs: list[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Networks that are everybody."""
    messages: list[CheckMessage] = []
    if proxies := _everybody(settings.PERF_TRUSTED_PROXIES):
        messages.append(
            Error(
                f"TRUSTED_PROXIES has {proxies}: every client could choose the address it is limited and blocked by.",
                hint="Name the networks of your reverse proxies only.",
                id="securenet.E002",
            )
        )
    if networks := _everybody(settings.METRICS_NETWORKS):
        messages.append(
            Warning(
                f"METRICS_NETWORKS has {networks}: everybody may read /metrics, with the names of views and policies.",
                hint="Name the networks of your monitoring only.",
                id="securenet.W001",
            )
        )
    return messages


@register(Tags.database)
def check_sign_in_is_limited(
    app_configs: list[AppConfig] | None, databases: list[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """Guessing passwords is limited by a policy, which somebody may have disabled: `check --database default`."""
    if not databases:
        return []
    try:
        policy = RateLimitPolicy.objects.filter(name=POLICY).first()
    except DatabaseError:
        return []  # `migrate` asks before there is a table
    if policy is not None and policy.enabled and policy.mode == RateLimitPolicy.Mode.ENFORCE:
        return []
    state = "is not there" if policy is None else "is disabled" if not policy.enabled else "only observes"
    return [
        Warning(
            f"The rate-limit policy {POLICY!r} {state}: passwords can be guessed without end.",
            hint=f"Enable and enforce it in the admin, or `manage.py perf_policies enable {POLICY}`.",
            id="securenet.W002",
        )
    ]


def _everybody(networks: list[str]) -> str:
    """Those of the networks that contain all addresses, with commas."""
    return ", ".join(text for text in networks if ipaddress.ip_network(text, strict=False).prefixlen == 0)
