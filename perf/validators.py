"""Validators of policy fields; each message says what to write instead."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, datetime

from croniter import croniter
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from perf.policies.routes import InvalidRoute, parse_route

HTTP_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
MAX_ITEMS = 32
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_TAG = re.compile(r"[A-Za-z0-9_.:/-]{1,100}")
_PARAMETER = re.compile(r"[^\s*&=]{1,64}\*?")
# Headers that name a person: a response that differs by them is shared by user, not by header.
_IDENTITY_HEADERS = {"authorization", "cookie"}


def cached_methods() -> list[str]:
    """The default of ``CachePolicy.methods``."""
    return ["GET", "HEAD"]


def validate_route(value: str) -> None:
    """Refuse what is no route (see `perf.policies.routes`)."""
    try:
        parse_route(value)
    except InvalidRoute as error:
        raise ValidationError(str(error)) from error


def validate_methods(value: object) -> None:
    """A list of HTTP methods in capital letters."""
    _validate_items(value, lambda item: item in HTTP_METHODS, _("one of %s") % ", ".join(HTTP_METHODS))


def validate_cached_methods(value: object) -> None:
    """A list of GET and HEAD, at least one."""
    _validate_items(value, lambda item: item in ("GET", "HEAD"), _("GET or HEAD; other methods are never cached"))
    if not value:
        raise ValidationError(_("Choose GET, HEAD or both; disable the policy to cache nothing."))


def validate_roles(value: object) -> None:
    """A list of role (group) names."""
    _validate_items(value, lambda item: 0 < len(item) <= 150, _("the name of a role"))


def validate_header_names(value: object) -> None:
    """A list of request header names; Cookie and Authorization are refused."""
    _validate_items(value, lambda item: bool(_HEADER.fullmatch(item)), _("a header name such as Accept-Language"))
    for item in value if isinstance(value, list) else []:
        if item.lower() in _IDENTITY_HEADERS:
            raise ValidationError(_("%s names a person; choose shared by: user instead.") % item)


def validate_parameter_patterns(value: object) -> None:
    """A list of query parameter names, each with at most one star, at its end."""
    _validate_items(
        value,
        lambda item: bool(_PARAMETER.fullmatch(item)),
        _("a parameter name such as ref, or a prefix such as utm_*"),
    )


def validate_tags(value: object) -> None:
    """A list of tags: letters, digits and ``_ . : / -``."""
    _validate_items(value, lambda item: bool(_TAG.fullmatch(item)), _("a tag of letters, digits and _ . : / -"))


def validate_network(value: str) -> None:
    """An address or a CIDR block without host bits."""
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        raise ValidationError(
            _("%(value)s is no network: %(error)s. Write one such as 192.0.2.0/24 or 2001:db8::/48.")
            % {"value": value, "error": error}
        ) from error


def validate_cron(value: str) -> None:
    """A cron expression of five fields that comes up at some time."""
    if len(value.split()) != 5 or not croniter.is_valid(value):
        raise ValidationError(_("%s is no cron expression; write five fields such as */15 * * * *.") % value)
    try:
        croniter(value, datetime.now(UTC)).get_next(datetime)
    except ValueError as error:
        raise ValidationError(_("%s never comes up; check day and month.") % value) from error


def _validate_items(value: object, is_valid: Callable[[str], bool], expected: str) -> None:
    if not isinstance(value, list):
        raise ValidationError(_("Expected a list, got %(value)r.") % {"value": value})
    if len(value) > MAX_ITEMS:
        raise ValidationError(
            _("At most %(most)d entries; these are %(count)d.") % {"most": MAX_ITEMS, "count": len(value)}
        )
    wrong = [item for item in value if not (isinstance(item, str) and is_valid(item))]
    if wrong:
        raise ValidationError(_("%(wrong)s: expected %(expected)s.") % {"wrong": wrong, "expected": expected})
