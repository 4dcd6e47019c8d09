"""Services with an HTTP interface that serve anybody: search engines, Docker's own. Told by their answer to GET /."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..issue import Issue, Severity
from ..observation import HttpResponse, Observation
from .base import Check, Verdict, register


@dataclass(frozen=True, slots=True)
class _Service:
    name: str
    severity: Severity
    risk: str
    advice: str


_SEARCH = "Whoever reaches this port can read, change and delete all that is indexed."
_ELASTICSEARCH = _Service(
    "Elasticsearch", Severity.CRITICAL, _SEARCH, "Switch its security features on (xpack.security.enabled), with TLS."
)
_OPENSEARCH = _Service("OpenSearch", Severity.CRITICAL, _SEARCH, "Install its security plugin, with TLS and users.")
_DOCKER = _Service(
    "Docker Engine API",
    Severity.CRITICAL,
    "Whoever reaches this port can start containers with every right on the machine: it is theirs.",
    "Let dockerd listen on its unix socket only, or with TLS and client certificates (--tlsverify).",
)
_TAGLINE = re.compile(r'"tagline"\s*:\s*"(You Know, for Search|The OpenSearch Project)')


@register
class HttpOpenService(Check):
    check_id = "http-open-service"
    services = frozenset({"http", "https"})

    def judge(self, observation: Observation) -> Verdict:
        response = observation.detail(HttpResponse)
        if response is None:
            return None
        service = _recognised(response)
        if service is None:
            return ()
        # On loopback only the machine's own programs get there.
        is_local = observation.address.is_loopback
        return (
            Issue(
                check_id=self.check_id,
                port=observation.port,
                title=f"{service.name} answers without authentication",
                severity=Severity.MEDIUM if is_local else service.severity,
                description=service.risk,
                advice=service.advice,
                evidence={"status": response.status, "page": response.page[:300]},
                confidence=95,
                component=service.name,
                cvss="" if is_local else "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            ),
        )


def _recognised(response: HttpResponse) -> _Service | None:
    if response.status == 200 and (tagline := _TAGLINE.search(response.page)):
        return _ELASTICSEARCH if tagline[1].startswith("You") else _OPENSEARCH
    is_docker = (response.header("server") or "").startswith("Docker/") and response.header("api-version") is not None
    return _DOCKER if is_docker and response.status not in (401, 403) else None
