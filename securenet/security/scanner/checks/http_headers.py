"""Response headers that make browsers defend the site (OWASP Secure Headers Project), on a real answer.

Only a page that was delivered is judged: redirects and errors often come from other software than the site.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..issue import Issue, Severity
from ..observation import HttpResponse, Observation
from .base import Check, Verdict, register


@dataclass(frozen=True, slots=True)
class _Header:
    name: str
    severity: Severity
    risk: str
    advice: str
    is_needed: Callable[[HttpResponse], bool]


def _is_page(response: HttpResponse) -> bool:
    content_type = (response.header("content-type") or "text/html").lower()
    return content_type.startswith(("text/html", "application/xhtml"))


def _may_be_framed(response: HttpResponse) -> bool:
    policy = (response.header("content-security-policy") or "").lower()
    return _is_page(response) and "frame-ancestors" not in policy


_HEADERS = (
    _Header(
        "strict-transport-security",
        Severity.LOW,
        "Browsers may be led to the unencrypted site by an attacker on the way.",
        "Send Strict-Transport-Security: max-age=31536000 over HTTPS.",
        lambda response: response.over_tls,
    ),
    _Header(
        "content-security-policy",
        Severity.LOW,
        "Script that gets into a page, by whatever gap, runs without hindrance.",
        "Send a Content-Security-Policy that names where scripts may come from.",
        _is_page,
    ),
    _Header(
        "x-content-type-options",
        Severity.LOW,
        "Browsers may guess a type and run as script what was served as text.",
        "Send X-Content-Type-Options: nosniff.",
        lambda response: True,
    ),
    _Header(
        "x-frame-options",
        Severity.LOW,
        "Other sites can show this one in a frame and make users click what they do not see.",
        "Send Content-Security-Policy: frame-ancestors 'self', or X-Frame-Options: DENY for old browsers.",
        _may_be_framed,
    ),
    _Header(
        "referrer-policy",
        Severity.INFO,
        "Full addresses of pages, with what is in their query, reach the sites that they link to.",
        "Send Referrer-Policy: strict-origin-when-cross-origin.",
        _is_page,
    ),
)


@register
class HttpSecurityHeaders(Check):
    check_id = "http-security-headers"
    services = frozenset({"http", "https"})

    def judge(self, observation: Observation) -> Verdict:
        response = observation.detail(HttpResponse)
        if response is None or not 200 <= response.status < 300:
            return None
        return tuple(
            self._issue(observation, response, header)
            for header in _HEADERS
            if header.is_needed(response) and not response.header(header.name)
        )

    def _issue(self, observation: Observation, response: HttpResponse, header: _Header) -> Issue:
        name = "-".join(word.capitalize() for word in header.name.split("-"))
        return Issue(
            check_id=self.check_id,
            port=observation.port,
            title=f"HTTP header {name} is missing",
            severity=header.severity,
            description=header.risk,
            advice=header.advice,
            evidence={
                "status": response.status,
                "headers": sorted({key for key, _ in response.headers})[:50],
            },
            confidence=90,
            component=header.name,
        )
