"""One source trying names that do not exist: somebody who looks for accounts (MITRE ATT&CK T1087, T1589.001).

The server itself says that a name is unknown; a person mistypes a name or two, a dictionary does not stop there.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from securenet.logs.detectors.attempts import AUTH_KINDS, AttemptCounter
from securenet.logs.detectors.detection import Detection, Detector, Severity
from securenet.logs.detectors.episodes import DistinctEpisode
from securenet.logs.detectors.windows import DistinctBurst, SourceTable
from securenet.logs.parsers.addresses import source_network
from securenet.logs.parsers.event import Event, Kind


class UserEnumerationDetector(Detector):
    """Reports a source that tries at least ``threshold`` different unknown users within ``window``.

    Args:
        threshold: different unknown names that make a report.
        window: the sliding window they must fall into.
        lateness: how far out of order an event may come.
        severe_from: names from which the severity is medium, not low.
        max_sources: sources followed at a time.
        counter: what tells attempts from lines; None for one of its own.
    """

    name = "user_enumeration"
    kinds = AUTH_KINDS - {Kind.HTTP_REQUEST}

    def __init__(
        self,
        threshold: int = 5,
        window: timedelta = timedelta(hours=1),
        lateness: timedelta = timedelta(seconds=60),
        severe_from: int = 20,
        max_sources: int = 5_000,
        counter: AttemptCounter | None = None,
    ) -> None:
        self._threshold, self._window, self._lateness, self._severe_from = threshold, window, lateness, severe_from
        self._counter = counter or AttemptCounter()
        self._sources = SourceTable(self._source, window + lateness, max_sources)

    def observe(self, event: Event) -> Iterable[Detection]:
        attempts = self._counter.attempts(event)  # asked of every line: which others tell of the same attempt?
        if not event.user or event.source_ip is None:
            return ()
        if event.kind != Kind.AUTH_INVALID_USER and "unknown_user" not in event.fields:
            return ()
        source, ended = self._sources.touch(source_network(event.source_ip), event.time)
        if not source.add(event, event.user, attempts or 0):
            self.late += 1
        return [self._detection(each) for each in ended if each.burst.is_open] if ended else ()

    def finish(self) -> Iterable[Detection]:
        return [self._detection(source) for source in self._sources.drain() if source.burst.is_open]

    def _source(self, subject: str, time: datetime) -> DistinctEpisode:
        return DistinctEpisode(subject, time, DistinctBurst(self._threshold, self._window, self._lateness))

    def _detection(self, source: DistinctEpisode) -> Detection:
        names = source.burst.distinct
        number = f"{names}" if source.is_counted_in_full else f"At least {names}"
        return Detection(
            detector=self.name,
            severity=Severity.MEDIUM if names >= self._severe_from else Severity.LOW,
            title=f"Search for user names from {source.subject}",
            description=(
                f"{number} different users tried that do not exist, {source.attempts} attempts in all. Block "
                "the source; names among them that people here do have elsewhere tell where it got its list."
            ),
            subject=source.subject,
            first_seen=source.first,
            last_seen=source.last,
            count=source.attempts,
            by_hour=source.hours.shown(),
            evidence={
                "distinct_users": names,
                "users": source.items.top(20),
                "hosts": source.hosts.top(10),
                "window_seconds": int(self._window.total_seconds()),
                "threshold": self._threshold,
            },
            key=(self.name, source.subject),
        )
