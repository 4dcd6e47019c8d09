"""How findings come, go and are judged. Every change of a finding goes through here.

What people decide stands: a scan or a log analysis never undoes a triage, but what was resolved and is seen again is
open again.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.db import transaction
from django.utils import timezone

from perf.caching import invalidate
from securenet.network.models import Asset
from securenet.security.models import Finding

State = Finding.State

TAGS: Final = ("findings",)
_TITLE_LENGTH: Final = 300
_SUBJECT_LENGTH: Final = 255
# What is settled is taken up again before it is settled otherwise.
_UNDECIDED: Final = frozenset({State.OPEN, State.ACKNOWLEDGED})
_DESCRIBED: Final = ("title", "description", "advice", "severity", "confidence", "evidence", "port", "protocol")


class TransitionRefused(Exception):
    """A finding cannot go from the state ``before`` to the state ``after``."""

    def __init__(self, before: str, after: str) -> None:
        super().__init__(
            f"A finding that is {State(before).label} cannot become {State(after).label}; "
            "reopen or acknowledge it first."
        )
        self.before = before
        self.after = after


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

    Returns:
        The finding, and whether it is new or open again.
    """
    described = {
        "title": title[:_TITLE_LENGTH],
        "description": description,
        "advice": advice,
        "severity": str(severity),
        "confidence": confidence,
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
    return finding, _seen_again(finding, described, seen_at, first_seen, asset, subject[:_SUBJECT_LENGTH])


def _seen_again(
    finding: Finding,
    described: Mapping[str, Any],
    seen_at: datetime,
    first_seen: datetime | None,
    asset: Asset | None,
    subject: str,
) -> bool:
    """Bring a known finding up to date; says whether it was opened again. An older sight changes only its start."""
    finding.first_seen = min(finding.first_seen, first_seen or seen_at)
    written = {"first_seen"}
    is_reopened = False
    if seen_at > finding.last_seen:
        for name, value in described.items():
            setattr(finding, name, value)
        finding.asset = asset or finding.asset
        finding.subject = subject or finding.subject
        finding.last_seen = seen_at
        finding.times_seen += 1
        written |= {*_DESCRIBED, "asset", "subject", "last_seen", "times_seen"}
        is_reopened = finding.state == State.RESOLVED and _is_after_resolution(finding, seen_at)
    if is_reopened:
        finding.state = State.OPEN
        finding.resolved_at = None
        written |= {"state", "resolved_at"}
    finding.save(update_fields=written)
    return is_reopened


def _is_after_resolution(finding: Finding, seen_at: datetime) -> bool:
    return finding.resolved_at is None or seen_at > finding.resolved_at


def resolve(finding_ids: list[int], at: datetime) -> int:
    """Mark findings as gone; returns how many were still active. Drops no cached answers, as `record_finding`."""
    gone = Finding.objects.filter(pk__in=finding_ids, state__in=Finding.ACTIVE)
    return gone.update(state=State.RESOLVED, resolved_at=at)


@transaction.atomic
def triage(finding_id: int, *, by_id: Any, state: str | None = None, note: str | None = None) -> Finding:
    """Write a person's judgement of a finding. It is seen by everybody once the transaction has committed.

    Args:
        finding_id: primary key.
        by_id: primary key of the person.
        state: the new state; None keeps it.
        note: the new note; None keeps it.

    Raises:
        Finding.DoesNotExist: there is none.
        TransitionRefused: the finding cannot go there from where it is.
    """
    finding = Finding.objects.select_for_update().get(pk=finding_id)
    if state is not None:
        if not may_become(finding.state, state):
            raise TransitionRefused(finding.state, state)
        if state == State.RESOLVED and finding.state != State.RESOLVED:
            finding.resolved_at = timezone.now()
        elif state != State.RESOLVED:
            finding.resolved_at = None
        finding.state = state
    if note is not None:
        finding.triage_note = note
    finding.triaged_by_id = by_id
    finding.triaged_at = timezone.now()
    finding.save(update_fields=["state", "resolved_at", "triage_note", "triaged_by", "triaged_at"])
    invalidate(tags=TAGS)
    return finding
