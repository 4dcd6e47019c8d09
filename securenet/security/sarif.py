"""Findings as SARIF 2.1.0 (OASIS standard, "Static Analysis Results Interchange Format"). Pure: rows in, JSON data out.

What is resolved is a result that passed; a false positive and an accepted risk are results that are suppressed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any, Final

from securenet.security.models import Finding, Severity

VERSION: Final = "2.1.0"
SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
TOOL: Final = "SecureNet"
# The version is that of how fingerprints are made; see `scanner.fingerprint`.
FINGERPRINT: Final = "securenetFinding/v1"

_LEVELS: Final = {
    Severity.INFO.value: "note",
    Severity.LOW.value: "note",
    Severity.MEDIUM.value: "warning",
    Severity.HIGH.value: "error",
    Severity.CRITICAL.value: "error",
}
_SUPPRESSED: Final = frozenset({Finding.State.FALSE_POSITIVE.value, Finding.State.RISK_ACCEPTED.value})


def sarif_text(findings: Iterable[Finding]) -> Iterator[str]:
    """A SARIF log with one run, in pieces: one finding at a time is in memory, and the id of each check."""
    yield f'{{"$schema":{json.dumps(SCHEMA)},"version":{json.dumps(VERSION)},"runs":[{{"results":['
    rules: dict[str, int] = {}
    separator = ""
    for finding in findings:
        index = rules.setdefault(finding.check_id, len(rules))
        yield separator + json.dumps(result_of(finding, index), separators=(",", ":"))
        separator = ","
    driver = {"name": TOOL, "rules": [{"id": check_id} for check_id in rules]}
    yield f'],"tool":{{"driver":{json.dumps(driver)}}}}}]}}'


def result_of(finding: Finding, rule_index: int) -> dict[str, Any]:
    """One finding as a SARIF result; ``rule_index`` is the place of its check among the rules."""
    is_gone = finding.state == Finding.State.RESOLVED
    result: dict[str, Any] = {
        "ruleId": finding.check_id,
        "ruleIndex": rule_index,
        "kind": "pass" if is_gone else "fail",
        "level": "none" if is_gone else _LEVELS[finding.severity],
        "message": {"text": "\n\n".join(filter(None, (finding.title, finding.description, finding.advice)))},
        "partialFingerprints": {FINGERPRINT: finding.fingerprint},
        "provenance": {
            "firstDetectionTimeUtc": _utc(finding.first_seen),
            "lastDetectionTimeUtc": _utc(finding.last_seen),
        },
        "suppressions": [_suppression(finding)] if finding.state in _SUPPRESSED else [],
        "properties": {
            "id": finding.pk,
            "severity": finding.severity,
            "state": finding.state,
            "source": finding.source,
            "confidence": finding.confidence,
            **_cvss(finding),
            "timesSeen": finding.times_seen,
            "regressions": finding.regressions,
            "evidence": finding.evidence,
        },
    }
    if place := _host(finding):
        result["locations"] = [_location(place, finding)]
    return result


def _cvss(finding: Finding) -> dict[str, str]:
    """``security-severity`` is the property by which viewers sort."""
    if finding.cvss_score is None:
        return {}
    return {"security-severity": f"{finding.cvss_score:.1f}", "cvssVector": finding.cvss_vector}


def _suppression(finding: Finding) -> dict[str, str]:
    reason = finding.triage_note or finding.get_state_display()
    if finding.accepted_until is not None:
        reason = f"{reason} (until {_utc(finding.accepted_until)})"
    return {"kind": "external", "status": "accepted", "justification": reason}


def _host(finding: Finding) -> str:
    return str(finding.asset.address) if finding.asset else finding.subject


def _location(host: str, finding: Finding) -> dict[str, Any]:
    """The service as a logical location; also as a URI where the host has an address: viewers show only those."""
    port = "" if finding.port is None else f":{finding.port}"
    location: dict[str, Any] = {
        "logicalLocations": [{"fullyQualifiedName": f"{_in_brackets(host)}{port}", "name": host, "kind": "resource"}]
    }
    if _is_address(host):
        scheme = finding.protocol or "ip"
        location["physicalLocation"] = {"artifactLocation": {"uri": f"{scheme}://{_in_brackets(host)}{port}"}}
    return location


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def _in_brackets(host: str) -> str:
    return f"[{host}]" if ":" in host and _is_address(host) else host


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
