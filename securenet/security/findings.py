"""How findings come, go and are judged. Every change of a finding goes through here.

What people decide stands: a scan or a log analysis never undoes a triage. But what was resolved and is seen again is
open again, and so is an accepted risk whose time is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import EllipsisType
from typing import Any, Final, Protocol

from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from perf.caching import invalidate
from securenet.accounts.roles import ANALYSTS
from securenet.network.models import Asset
from securenet.notifications.notify import Message, notify_of
from securenet.security.models import SEVERITY_RANKS, Finding, Severity

State = Finding.State


class Grow(Protocol):
    """Makes one evidence of two sights of the same matter; see `securenet.logs.growth.grown`."""

    def __call__(
        self, older: Mapping[str, Any], newer: Mapping[str, Any], *, are_apart: bool
    ) -> dict[str, Any]: ...  # pragma: no cover


TAGS: Final = ("findings",)
# What people are told of when it comes or comes back.
NOTIFIED: Final = frozenset({Severity.HIGH.value, Severity.CRITICAL.value})
MOST_NOTIFICATIONS: Final = 20
_TITLE_LENGTH: Final = 300
_SUBJECT_LENGTH: Final = 255
# What is settled is taken up again before it is settled otherwise.
_UNDECIDED: Final = frozenset({State.OPEN, State.ACKNOWLEDGED})
_DESCRIBED: Final = (
    "title", "description", "advice", "severity", "confidence", "cvss_vector", "cvss_score", "evidence", "port",
    "protocol",
)  # fmt: skip


class TransitionRefused(Exception):
    """A finding cannot go from the state ``before`` to the state ``after``."""

    def __init__(self, before: str, after: str) -> None:
        super().__init__(
            f"A finding that is {State(before).label} cannot become {State(after).label}; "
            "reopen or acknowledge it first."
        )
        self.before = before
        self.after = after


class AcceptanceRefused(Exception):
    """An end was given for an acceptance that there is not, or that would be over at once."""


def may_become(before: str, after: str) -> bool:
    """Say whether a person may move a finding from one state to another; staying is allowed."""
    return before == after or before in _UNDECIDED or after in _UNDECIDED


@transaction.atomic
def record_finding(
    *,
    fingerprint: str,
    source: str,
    check_id: str,
    title: str,
    description: str,
    advice: str,
    severity: str,
    confidence: int,
    evidence: Mapping[str, Any],
    seen_at: datetime,
    asset: Asset | None = None,
    subject: str = "",
    port: int | None = None,
    protocol: str = "",
    first_seen: datetime | None = None,
    cvss_vector: str = "",
    cvss_score: float | None = None,
    grow: Grow | None = None,
) -> tuple[Finding, bool]:
    """Note that something was seen: a new finding, or one more sight of a known one.

    Drops no cached answers; callers invalidate the tag ``findings`` once they are through. Recording the same sight
    again (the same ``seen_at``, as a job does that is repeated) changes nothing.

    Args:
        fingerprint: 64 hexadecimal digits that identify it over time; see `scanner.fingerprint`.
        source: a `Finding.Source`.
        check_id: the check or detector that found it.
        title, description, advice: what is wrong, what follows from it, what to do.
        severity: a `models.Severity`.
        confidence: percent.
        evidence: what was seen, as JSON data.
        seen_at: when it was seen (last), aware.
        asset: the machine it is about, where known.
        subject: whom or what it is about, in a few words: a host, an attacker's address.
        port, protocol: where, if at a port.
        first_seen: when it began, if before ``seen_at``.
        cvss_vector, cvss_score: where one applies.
        grow: makes one evidence of two sights; without it the later sight's stands alone.

    Returns:
        The finding, and whether it is new or open again.
    """
    described = {
        "title": title[:_TITLE_LENGTH],
        "description": description,
        "advice": advice,
        "severity": str(severity),
        "confidence": confidence,
        "cvss_vector": cvss_vector,
        "cvss_score": cvss_score,
        "evidence": dict(evidence),
        "port": port,
        "protocol": protocol,
    }
    finding, is_new = Finding.objects.select_for_update().get_or_create(
        fingerprint=fingerprint,
        defaults={
            **described,
            "source": str(source),
            "check_id": check_id,
            "asset": asset,
            "subject": subject[:_SUBJECT_LENGTH],
            "first_seen": min(first_seen or seen_at, seen_at),
            "last_seen": seen_at,
        },
    )
    if is_new:
        return finding, True
    began = min(first_seen or seen_at, seen_at)
    if grow is not None:
        _grow(finding, described, began, seen_at, grow)
    return finding, _seen_again(finding, described, seen_at, began, asset, subject[:_SUBJECT_LENGTH])


def _grow(finding: Finding, described: dict[str, Any], began: datetime, seen_at: datetime, grow: Grow) -> None:
    """Put what both sights saw into the later one. While somebody has to act, it does not get less severe."""
    if seen_at >= finding.last_seen:
        are_apart = began > finding.last_seen
        described["evidence"] = grow(finding.evidence, described["evidence"], are_apart=are_apart)
    else:
        are_apart = seen_at < finding.first_seen
        described["evidence"] = grow(described["evidence"], finding.evidence, are_apart=are_apart)
        finding.evidence = described["evidence"]
    if finding.is_active:
        described["severity"] = max(finding.severity, described["severity"], key=lambda name: SEVERITY_RANKS[name])
        finding.severity = described["severity"]


def _seen_again(
    finding: Finding,
    described: Mapping[str, Any],
    seen_at: datetime,
    began: datetime,
    asset: Asset | None,
    subject: str,
) -> bool:
    """Bring a known finding up to date; says whether it was opened again.

    An older sight changes only its start, and its evidence where that has grown.
    """
    finding.first_seen = min(finding.first_seen, began)
    written = {"first_seen", "evidence", "severity"}
    is_back = is_accepted_no_more = False
    if seen_at > finding.last_seen:
        for name, value in described.items():
            setattr(finding, name, value)
        finding.asset = asset or finding.asset
        finding.subject = subject or finding.subject
        finding.last_seen = seen_at
        finding.times_seen += 1
        written |= {*_DESCRIBED, "asset", "subject", "last_seen", "times_seen"}
        is_back = finding.state == State.RESOLVED and _is_after_resolution(finding, seen_at)
        is_accepted_no_more = finding.is_acceptance_over(seen_at)
    if is_back or is_accepted_no_more:
        finding.state = State.OPEN
        finding.resolved_at = None
        finding.regressions += is_back
        written |= {"state", "resolved_at", "regressions"}
    finding.save(update_fields=written)
    return is_back or is_accepted_no_more


def _is_after_resolution(finding: Finding, seen_at: datetime) -> bool:
    return finding.resolved_at is None or seen_at > finding.resolved_at


def resolve(finding_ids: list[int], at: datetime) -> int:
    """Mark findings as gone that were looked for ``at`` a time and not seen; returns how many were still active.

    One that was seen or judged by a person since then stays as it is. Drops no cached answers, as `record_finding`.
    """
    gone = Finding.objects.filter(pk__in=finding_ids, state__in=Finding.ACTIVE, last_seen__lte=at)
    return gone.exclude(triaged_at__gt=at).update(state=State.RESOLVED, resolved_at=at)


def reopen_accepted(now: datetime | None = None) -> int:
    """Open the findings whose risk was accepted for a time that has passed; returns how many there were.

    Costs one query where there are none. Who can act is told of the grave ones. ``accepted_until`` stays, so that one
    sees why they are open again.
    """
    now = now or timezone.now()
    over = Finding.objects.filter(state=State.RISK_ACCEPTED, accepted_until__lte=now)
    if not over.exists():  # most often; an update would take SQLite's lock for writing
        return 0
    with transaction.atomic():
        reopened = list(over.select_for_update().order_by("-severity_rank", "pk"))
        over.update(state=State.OPEN)
        _tell_of_reopened([finding for finding in reopened if finding.severity in NOTIFIED])
        invalidate(tags=TAGS)
    return len(reopened)


def _tell_of_reopened(findings: list[Finding]) -> None:
    messages = [
        Message(
            title=f"No longer accepted: {finding.title}",
            body=f"The risk was accepted until {finding.accepted_until:%Y-%m-%d %H:%M} UTC. {finding.triage_note}",
            severity=finding.severity,
            link=reverse("security:finding", args=[finding.pk]),
            key=f"accepted:{finding.pk}:{finding.accepted_until:%Y%m%d%H%M%S}",
        )
        for finding in findings[:MOST_NOTIFICATIONS]
    ]
    if messages:
        notify_of(messages, roles=ANALYSTS)


@transaction.atomic
def triage(
    finding_id: int,
    *,
    by_id: Any,
    state: str | None = None,
    note: str | None = None,
    accepted_until: datetime | EllipsisType | None = ...,
) -> Finding:
    """Write a person's judgement of a finding. It is seen by everybody once the transaction has committed.

    Args:
        finding_id: primary key.
        by_id: primary key of the person.
        state: the new state; None keeps it.
        note: the new note; None keeps it.
        accepted_until: when the acceptance of the risk ends, aware, None: never; ``...`` keeps it where the risk is
            accepted already, and is never where it becomes so.

    Raises:
        Finding.DoesNotExist: there is none.
        TransitionRefused: the finding cannot go there from where it is.
        AcceptanceRefused: the end makes no sense; see `refuse_acceptance`.
    """
    now = timezone.now()
    finding = Finding.objects.select_for_update().get(pk=finding_id)
    if finding.is_acceptance_over(now):
        finding.state = State.OPEN
    before, after = finding.state, state or finding.state
    if not may_become(before, after):
        raise TransitionRefused(before, after)
    if accepted_until is not ...:
        refuse_acceptance(after, accepted_until, now)
        finding.accepted_until = accepted_until
    elif after != before:
        finding.accepted_until = None
    if after == State.RESOLVED and before != State.RESOLVED:
        finding.resolved_at = now
    elif after != State.RESOLVED:
        finding.resolved_at = None
    finding.state = after
    if note is not None:
        finding.triage_note = note
    finding.triaged_by_id = by_id
    finding.triaged_at = now
    finding.save(update_fields=["state", "resolved_at", "accepted_until", "triage_note", "triaged_by", "triaged_at"])
    invalidate(tags=TAGS)
    return finding


def refuse_acceptance(state: str, accepted_until: datetime | None, now: datetime) -> None:
    """Raise AcceptanceRefused for an end in the past, and for one of a finding whose risk is not accepted."""
    if accepted_until is None:
        return
    if state != State.RISK_ACCEPTED:
        raise AcceptanceRefused(f"Only an accepted risk has an end; set the state to {State.RISK_ACCEPTED} as well.")
    if accepted_until <= now:
        raise AcceptanceRefused("This time has passed; give one in the future, or none for an acceptance without end.")
