"""What a detector reports, and the shape every detector has.

`key` identifies the matter for deduplication: it holds neither times, counts nor severity, so the same source
seen again is the same finding, rescored.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, Literal

from securenet.logs.parsers.event import Event


class Severity(StrEnum):
    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for `info` up to 4 for `critical`."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Detection:
    """One thing found, over a stretch of time.

    Attributes:
        detector: name of the detector.
        severity: how bad it is.
        title: one line naming the subject.
        description: what was seen, and what to do about it.
        subject: whom it is about: an address, a network, a host, or a user.
        first_seen: time of the first event that counts, aware, UTC.
        last_seen: time of the last one.
        count: attempts or requests that count.
        evidence: facts a person can check, JSON-able.
        key: parts that identify the matter; see `fingerprint`.
        episodes: separate stretches of activity merged into this one.
        by_hour: hour (`2026-11-23T10`, UTC) → what counts of it; empty where a detector does not count by time.
    """

    detector: str
    severity: Severity
    title: str
    description: str
    subject: str
    first_seen: datetime
    last_seen: datetime
    count: int
    evidence: Mapping[str, object] = field(hash=False)
    key: tuple[str, ...]
    episodes: int = 1
    by_hour: Mapping[str, int] = field(default_factory=dict, hash=False)

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal characters, equal for equal keys in every process."""
        return hashlib.sha256(json.dumps(self.key).encode()).hexdigest()

    def merged_with(self, other: Detection) -> Detection:
        """Return both episodes as one: the texts and evidence of the graver, the times and counts of both."""
        graver = max(self, other, key=lambda detection: (detection.severity.rank, detection.count))
        return replace(
            graver,
            first_seen=min(self.first_seen, other.first_seen),
            last_seen=max(self.last_seen, other.last_seen),
            count=self.count + other.count,
            episodes=self.episodes + other.episodes,
            by_hour=Counter(self.by_hour) + Counter(other.by_hour),
        )


class Detector(ABC):
    """Consumes events roughly in the order of their times and yields detections.

    A detection comes out when its episode is over (quiet for long enough, or pushed out by newer sources), or
    at `finish`; one that cannot grow any further comes out at once.
    """

    name: ClassVar[str]
    kinds: ClassVar[frozenset[str] | None] = None
    """Kinds of events it looks at; None: all of them."""

    about: ClassVar[Literal["source", "user", "program"]] = "source"
    """What its subjects are."""

    yields_to: ClassVar[frozenset[str]] = frozenset()
    """Names of detectors that say more: what they report of a subject stands alone, whenever it happened."""

    late: int = 0
    """Events ignored so far because they came later than the allowed lateness."""

    @abstractmethod
    def observe(self, event: Event) -> Iterable[Detection]:
        """Take one event; return what is complete now."""

    @abstractmethod
    def finish(self) -> Iterable[Detection]:
        """Return what is still open; the detector is empty afterwards."""
