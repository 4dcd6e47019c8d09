"""Cookies without the attributes that keep them from thieves (RFC 6265bis; OWASP, "Session Management Cheat Sheet").

Only names and attributes are looked at: the probe drops the values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from ..banners import field
from ..issue import Issue, Severity
from ..observation import HttpResponse, Observation
from .base import Check, Verdict, register

# What whoever has it is signed in with. Tokens against forged requests are meant to be read by scripts.
_SESSION = re.compile(r"sess|(?:^|[._-])sid(?:$|[._-])|auth(?!or)|token|jwt|\.AspNetCore\.Cookies", re.IGNORECASE)
_ANTI_FORGERY = re.compile(r"csrf|xsrf|antiforgery", re.IGNORECASE)
_MOST = 20  # a server that sets more is playing with us
_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class _Fault:
    """attribute: what is lacking; severity, session_severity: for any cookie, for one that a session hangs on."""

    attribute: str
    severity: Severity
    session_severity: Severity
    risk: str


_CLEAR = _Fault(
    "Secure", Severity.LOW, Severity.MEDIUM, "Without Secure it crosses the network in clear with any http:// link."
)
_CROSS_SITE = _Fault(
    "Secure",
    Severity.LOW,
    Severity.MEDIUM,
    "SameSite=None without Secure: some browsers drop it, others send it in clear and with requests of any site.",
)
_SCRIPTS = _Fault(
    "HttpOnly", Severity.LOW, Severity.MEDIUM, "Without HttpOnly any script that gets into a page can take it away."
)
_ANY_SITE = _Fault(
    "SameSite",
    Severity.INFO,
    Severity.INFO,
    "Without SameSite it depends on the browser whether requests that other sites cause carry it.",
)


@register
class HttpCookieFlags(Check):
    check_id = "http-cookie-flags"
    services = frozenset({"http", "https"})

    def judge(self, observation: Observation) -> Verdict:
        response = observation.detail(HttpResponse)
        if response is None or not 200 <= response.status < 400:
            return None
        found: dict[str, dict[_Fault, None]] = {}
        for value in response.values("set-cookie"):
            name, attributes = _parsed(value)
            if name and not _is_deleted(attributes, observation.seen_at):
                found.setdefault(name, {}).update(dict.fromkeys(_faults(name, attributes, response.over_tls)))
        faulty = [(name, tuple(faults)) for name, faults in found.items() if faults]
        return tuple(self._issue(observation, name, faults) for name, faults in faulty[:_MOST])

    def _issue(self, observation: Observation, name: str, faults: tuple[_Fault, ...]) -> Issue:
        is_session = _is_session(name)
        severities = [fault.session_severity if is_session else fault.severity for fault in faults]
        lacking = list(dict.fromkeys(fault.attribute for fault in faults))
        return Issue(
            check_id=self.check_id,
            port=observation.port,
            title=f"Cookie {name} is set without {' and '.join(lacking)}",
            severity=max(severities, key=_RANKS.__getitem__),
            description=" ".join(fault.risk for fault in faults),
            advice=f"Set the cookie with {', '.join(_ADVICE[attribute] for attribute in lacking)}.",
            evidence={"cookie": name, "lacking": lacking},
            confidence=90 if is_session else 80,
            component=name,
        )


_ADVICE = {"Secure": "Secure", "HttpOnly": "HttpOnly", "SameSite": "SameSite=Lax (or Strict)"}


def _parsed(header: str) -> tuple[str, dict[str, str]]:
    """The name, and the attributes by name in lower case."""
    pair, *rest = header.split(";")
    attributes = {name.strip().lower(): value.strip() for name, _, value in (each.partition("=") for each in rest)}
    return field(pair.partition("=")[0].strip()), attributes


def _is_deleted(attributes: dict[str, str], now: datetime) -> bool:
    """Whether the server takes the cookie away. Max-Age goes before Expires (RFC 6265, section 5.3)."""
    if re.fullmatch(r"-?[0-9]{1,18}", max_age := attributes.get("max-age", "")):
        return int(max_age) <= 0
    try:
        expires = parsedate_to_datetime(attributes.get("expires", ""))
    except ValueError:
        return False
    return expires.replace(tzinfo=expires.tzinfo or UTC) <= now


def _is_session(name: str) -> bool:
    return bool(_SESSION.search(name)) and not _ANTI_FORGERY.search(name)


def _faults(name: str, attributes: dict[str, str], over_tls: bool) -> Iterator[_Fault]:
    if "secure" not in attributes:
        if over_tls:
            yield _CLEAR
        if attributes.get("samesite", "").lower() == "none":
            yield _CROSS_SITE
    if "httponly" not in attributes and _is_session(name):
        yield _SCRIPTS
    if "samesite" not in attributes:
        yield _ANY_SITE
