"""The scanner's check for known vulnerabilities: an observation and a catalogue in, issues out. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Final

from securenet.security.scanner.checks.base import Check, Verdict
from securenet.security.scanner.issue import Issue, Severity
from securenet.security.scanner.observation import Observation
from securenet.vulnerabilities.distributions import Build, build_of, upstream_of
from securenet.vulnerabilities.matching import CONFIDENCE, Basis, Catalogue, Match, Source
from securenet.vulnerabilities.products import Product, product_called

CHECK_ID: Final = "known-vulnerability"
# A program with more is named by its gravest; nobody reads on.
MOST_PER_PORT: Final = 100
# CVSS 3.1, section 5: the severity that a score stands for.
_SEVERITIES: Final = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.1, Severity.LOW))


class KnownVulnerabilities(Check):
    """Compares what programs say of themselves with imported vulnerability data.

    Not in the scanner's own registry, as it is made anew for each scan, with the data of that time.

    Args:
        catalogue: what was imported.
    """

    check_id: ClassVar[str] = CHECK_ID

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def judge(self, observation: Observation) -> Verdict:
        """None without data about the product, or where the program does not tell its version."""
        product = product_called(observation.product)
        version = upstream_of(observation.version)
        if product is None or not version or not self._catalogue.knows(product):
            return None
        build = build_of(observation.banner, observation.version)
        matches = self._catalogue.matches(product, version, build)
        return tuple(_issue(observation, product, version, build, match) for match in matches[:MOST_PER_PORT])


def severity_of(match: Match) -> Severity:
    """By score; known exploitation makes it high at least, and a mere hint is only worth knowing."""
    if match.basis is Basis.UNKNOWN_REVISION:
        return Severity.INFO
    by_score = next((severity for score, severity in _SEVERITIES if (match.cvss_score or 0) >= score), Severity.INFO)
    if match.cvss_score is None:
        by_score = Severity.MEDIUM  # nobody has scored it yet
    if match.exploitation and by_score is not Severity.CRITICAL:
        return Severity.HIGH
    return by_score


def _issue(observation: Observation, product: Product, version: str, build: Build | None, match: Match) -> Issue:
    is_hint = match.basis is Basis.UNKNOWN_REVISION
    title = f"{product.name} {version} {'may have' if is_hint else 'has'} {match.cve}"
    if match.exploitation:
        title += " (exploited)"
    return Issue(
        check_id=CHECK_ID,
        port=observation.port,
        title=title,
        severity=severity_of(match),
        description=_description(match, build, observation.seen_at),
        advice=_advice(match, product, build),
        evidence=_evidence(observation, product, build, match),
        confidence=CONFIDENCE[match.basis],
        component=product.name,
        cve=match.cve,
        cvss=match.cvss_vector,
        cvss_score=match.cvss_score,
    )


def _description(match: Match, build: Build | None, at: datetime) -> str:
    parts = [match.summary]
    if match.exploitation:
        ransomware = ", by ransomware among others" if match.exploitation.by_ransomware else ""
        parts.append(f"Attackers use it: known since {match.exploitation.added:%Y-%m-%d}{ransomware}.")
    match match.basis:
        case Basis.UNKNOWN_REVISION if build:
            parts.append(
                f"{build.distribution} built this program and may have mended it without changing the number; "
                "what the program says of itself does not tell."
            )
        case Basis.UPSTREAM:
            parts.append("Judged by the version that the program tells; whoever built it may have mended it.")
    parts.append("Data used: " + ", ".join(_source(source, at) for source in match.sources) + ".")
    return "\n\n".join(part for part in parts if part)


def _source(source: Source, at: datetime) -> str:
    days = age_days(source, at)
    return f"{source.name} of {source.published_at:%Y-%m-%d}, {days} day{'' if days == 1 else 's'} old at the time"


def _advice(match: Match, product: Product, build: Build | None) -> str:
    if match.basis is Basis.UNKNOWN_REVISION and build:
        fixed = f" ({match.fixed_in} has it)" if match.fixed_in else ""
        return f"Look on the machine whether the installed package of {build.distribution} has the correction{fixed}."
    if match.fixed_in:
        return f"Update {product.name} to {match.fixed_in} or later."
    return f"Update {product.name}, or follow its makers' advice; the data name no version that mends it."


def _evidence(observation: Observation, product: Product, build: Build | None, match: Match) -> dict[str, object]:
    evidence: dict[str, object] = {
        "cve": match.cve,
        "product": product.name,
        "version": observation.version,
        "banner": observation.banner,
        "basis": match.basis.value,
        "cvss_vector": match.cvss_vector,
        "cvss_score": match.cvss_score,
        "fixed_in": match.fixed_in,
        "data": [
            {
                "feed": source.name,
                "published_at": source.published_at.isoformat(),
                "age_days": age_days(source, observation.seen_at),
            }
            for source in match.sources
        ],
    }
    if build:
        evidence["built_by"] = " ".join(filter(None, (build.distribution, build.release, build.revision)))
    if match.exploitation:
        evidence["exploited_since"] = match.exploitation.added.isoformat()
        evidence["exploited_by_ransomware"] = match.exploitation.by_ransomware
    return evidence


def age_days(source: Source, at: datetime) -> int:
    """Whole days."""
    return max(0, (at - source.published_at).days)
