"""How pages write what the API says: times, and links to what notifications are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.urls import Resolver404, resolve, reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

register = template.Library()

MOST_SERVICES = 12
# Where people see what programs find at a view of the API.
_PAGES = {"security:finding": "finding", "security:scan": "scan"}


@register.filter
def moment(value: Any) -> SafeString | str:
    """A time, or its text in ISO 8601, as how long ago it was; the time itself is its title."""
    time = value if isinstance(value, datetime) else parse_datetime(str(value or ""))
    if time is None:
        return "–"
    exact = f"{time:%Y-%m-%d %H:%M:%S} UTC"
    if time > timezone.now():
        return format_html('<time datetime="{}">{}</time>', time.isoformat(), exact)
    is_new = timezone.now() - time < timedelta(minutes=1)
    words = _("just now") if is_new else _("%(span)s ago") % {"span": timesince(time, depth=1)}
    return format_html('<time datetime="{}" title="{}">{}</time>', time.isoformat(), exact, words)


@register.filter
def exactly(value: Any) -> SafeString | str:
    """A time, or its text in ISO 8601, to the second."""
    time = value if isinstance(value, datetime) else parse_datetime(str(value or ""))
    if time is None:
        return "–"
    return format_html('<time datetime="{}">{}</time>', time.isoformat(), f"{time:%Y-%m-%d %H:%M:%S} UTC")


@register.filter
def page_of(link: str) -> str:
    """The page about what a path of the API names; "" where there is none."""
    try:
        match = resolve(link.partition("?")[0])
    except Resolver404:
        return ""
    page = _PAGES.get(match.view_name)
    return reverse(page, args=match.args, kwargs=match.kwargs) if page else ""


@register.filter
def percent(share: float | None) -> int:
    """A share of 1 in percent."""
    return round(100 * (share or 0))


@register.filter
def words(value: str) -> str:
    """A value of the API such as ``risk_accepted`` as words."""
    return value.replace("_", " ")


@register.filter
def open_services(services: Sequence[Mapping[str, Any]]) -> str:
    """The open ones among an asset's services, each by port and name."""
    found = [f"{service['port']} {service['name']}".rstrip() for service in services if service["state"] == "open"]
    return ", ".join(found[:MOST_SERVICES]) + (" …" if len(found) > MOST_SERVICES else "")


@register.filter
def address_with_port(address: str, port: int) -> str:
    """An address and a port, as URLs have them."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
