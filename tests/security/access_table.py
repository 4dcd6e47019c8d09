# ruff: noqa: E501
"""Who gets which answer where: one line for each URL pattern, method and owner of the object.

The six numbers are the statuses for the callers of `CALLERS`, in that order. What is not in the table is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from securenet.accounts.roles import PLATFORM_OWNER, SECURITY_ADMIN, SOC_ANALYST, VIEWER

ANONYMOUS, WITHOUT_ROLE = "anonymous", "without role"
CALLERS = (ANONYMOUS, WITHOUT_ROLE, VIEWER, SOC_ANALYST, SECURITY_ADMIN, PLATFORM_OWNER)
OWN, OTHERS, FAR = "own", "another's", "from a foreign network"


@dataclass(frozen=True, slots=True)
class Row:
    """One line. ``about`` says whose object, or from where; ``body`` is JSON for the API and a form for pages."""

    route: str
    method: str
    statuses: tuple[int, ...]
    about: str
    body: Any

    def __str__(self) -> str:
        return f"{self.method} /{self.route} {self.about}".rstrip()

    def status_for(self, caller: str) -> int:
        return self.statuses[CALLERS.index(caller)]


def _row(route: str, method: str, statuses: str, about: str = "", body: Any = None) -> Row:
    return Row(route, method, tuple(map(int, statuses.split())), about, body)


_SCAN = {"targets": ["127.0.0.1"], "ports": "1"}
_JOB = "api/performance/background-job"
_ASSET = {"address": "192.0.2.77"}
_TARGET = {"network": "127.0.0.8/32", "reason": "a test"}

#                                                    anonymous
#                                                    |   without role
#                                                    |   |   viewer
#                                                    |   |   |   soc_analyst
#                                                    |   |   |   |   security_admin
#                                                    |   |   |   |   |   platform_owner
API = [
    _row("api/auth/token", "POST",                  "400 400 400 400 400 400", body={}),
    _row("api/auth/refresh", "POST",                "400 400 400 400 400 400", body={}),
    _row("api/dashboard", "GET",                    "401 200 200 200 200 200"),
    _row("api/dashboard/cached", "GET",             "401 200 200 200 200 200"),
    _row("api/security/findings", "GET",            "401 200 200 200 200 200"),
    _row("api/security/findings/<int:pk>", "GET",   "401 200 200 200 200 200"),
    _row("api/security/findings/<int:pk>", "PATCH", "401 403 403 200 200 200", body={"state": "acknowledged"}),
    _row("api/security/summary", "GET",             "401 200 200 200 200 200"),
    _row("api/security/scans", "GET",               "401 200 200 200 200 200"),
    _row("api/security/scans", "POST",              "401 403 403 202 202 202", body=_SCAN),
    _row("api/security/scans/import", "POST",       "401 403 403 415 415 415", body={}),
    _row("api/security/scans/<int:pk>", "GET",      "401 200 200 200 200 200", OWN),
    _row("api/security/scans/<int:pk>", "GET",      "401 200 200 200 200 200", OTHERS),
    _row("api/security/scans/<int:pk>/comparison", "GET", "401 409 409 409 409 409"),
    _row("api/network/assets", "GET",               "401 200 200 200 200 200"),
    _row("api/network/assets", "POST",              "401 403 403 201 201 201", body=_ASSET),
    _row("api/network/assets/<int:pk>", "GET",      "401 200 200 200 200 200"),
    _row("api/network/assets/<int:pk>", "PUT",      "401 403 403 200 200 200", body=_ASSET),
    _row("api/network/assets/<int:pk>", "PATCH",    "401 403 403 200 200 200", body={"owner": "me"}),
    _row("api/network/assets/<int:pk>", "DELETE",   "401 403 403 204 204 204"),
    _row("api/network/targets", "GET",              "401 403 403 403 200 200"),
    _row("api/network/targets", "POST",             "401 403 403 403 201 201", body=_TARGET),
    _row("api/network/targets/<int:pk>", "GET",     "401 403 403 403 200 200"),
    _row("api/network/targets/<int:pk>", "PUT",     "401 403 403 403 200 200", body=_TARGET),
    _row("api/network/targets/<int:pk>", "PATCH",   "401 403 403 403 200 200", body={"reason": "another"}),
    _row("api/network/targets/<int:pk>", "DELETE",  "401 403 403 403 204 204"),
    _row("api/logs", "GET",                         "401 200 200 200 200 200"),
    _row("api/logs", "POST",                        "401 403 403 201 201 201", body={"lines": ["a line"]}),
    _row("api/notifications", "GET",                "401 200 200 200 200 200"),
    _row("api/notifications/<int:pk>", "PATCH",     "401 200 200 200 200 200", OWN, {"read": True}),
    _row("api/notifications/<int:pk>", "PATCH",     "401 404 404 404 404 404", OTHERS, {"read": True}),
    _row("api/performance/metrics", "GET",          "401 403 403 403 200 200"),
    _row("api/performance/cache/warm", "POST",      "401 403 403 403 202 202", body={}),
    _row("api/performance/cache/invalidate", "POST", "401 403 403 403 200 200", body={"tags": ["nothing"]}),
    _row(_JOB, "GET",                               "401 200 200 200 200 200"),
    _row(_JOB, "POST",                              "401 403 403 202 202 202", body={"type": "log_analysis"}),
    _row(_JOB, "POST",                              "401 403 403 403 202 202", "cache_warm", {"type": "cache_warm"}),
    _row(f"{_JOB}/<uuid:pk>", "GET",                "401 200 200 200 200 200", OWN),
    _row(f"{_JOB}/<uuid:pk>", "GET",                "401 404 404 404 200 200", OTHERS),
    _row(f"{_JOB}/<uuid:pk>", "DELETE",             "401 200 200 200 200 200", OWN),
    _row(f"{_JOB}/<uuid:pk>", "DELETE",             "401 404 404 404 200 200", OTHERS),
    _row("api/schema", "GET",                       "200 200 200 200 200 200"),
    _row("api/docs", "GET",                         "200 200 200 200 200 200"),
    _row("^api/", "GET",                            "404 404 404 404 404 404"),
]  # fmt: skip

_TRIAGE = {"state": "acknowledged", "triage_note": "", "accepted_until": "", "shown_until": ""}

PAGES = [
    _row("", "GET",                                 "302 200 200 200 200 200"),
    _row("findings", "GET",                         "302 200 200 200 200 200"),
    _row("findings/<int:pk>", "GET",                "302 200 200 200 200 200"),
    _row("findings/<int:pk>", "POST",               "302 403 403 302 302 302", body=_TRIAGE),
    _row("assets", "GET",                           "302 200 200 200 200 200"),
    _row("scans", "GET",                            "302 200 200 200 200 200"),
    _row("scans", "POST",                           "302 403 403 302 302 302", body={"targets": "127.0.0.1", "ports": "1"}),
    _row("scans/<int:pk>", "GET",                   "302 200 200 200 200 200", OWN),
    _row("scans/<int:pk>", "GET",                   "302 200 200 200 200 200", OTHERS),
    _row("events", "GET",                           "302 200 200 200 200 200"),
    _row("notifications", "GET",                    "302 200 200 200 200 200"),
    _row("notifications/<int:pk>", "POST",          "302 302 302 302 302 302", OWN, {"read": "true"}),
    _row("notifications/<int:pk>", "POST",          "302 404 404 404 404 404", OTHERS, {"read": "true"}),
    _row("login", "GET",                            "200 302 302 302 302 302"),
    _row("login", "POST",                           "200 302 302 302 302 302", body={}),
    _row("login", "PUT",                            "200 302 302 302 302 302"),
    _row("logout", "POST",                          "302 302 302 302 302 302"),
    _row("favicon.ico", "GET",                      "302 302 302 302 302 302"),
]  # fmt: skip

OPERATORS = [
    _row("livez", "GET",                            "200 200 200 200 200 200"),
    _row("livez", "GET",                            "200 200 200 200 200 200", FAR),
    _row("readyz", "GET",                           "200 200 200 200 200 200"),
    _row("readyz", "GET",                           "200 200 200 200 200 200", FAR),
    _row("metrics", "GET",                          "200 200 200 200 200 200"),
    _row("metrics", "GET",                          "403 403 403 403 200 200", FAR),
]  # fmt: skip

TABLE = [*API, *PAGES, *OPERATORS]
