"""One source trying many accounts (MITRE ATT&CK T1110.003).

A few guesses per account stay below any limit per account, so the accounts are counted, not the guesses.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from securenet.logs.detectors.attempts import AUTH_KINDS, AttemptCounter
from securenet.logs.detectors.detection import Detection, Detector, Severity
from securenet.logs.detectors.episodes import DistinctEpisode
from securenet.logs.detectors.windows import DistinctBurst, SourceTable
from securenet.logs.parsers.addresses import source_network
from securenet.logs.parsers.event import Event


class PasswordSprayDetector(Detector):
    """Reports a source whose failed attempts name at least ``threshold`` different users within ``window``.

    Args:
        threshold: different users that make a spray.
        window: the sliding window they must fall into.
        lateness: how far out of order an event may come.
        max_sources: sources followed at a time.
        counter: what tells attempts from lines; None for one of its own.
    """

    name = "password_spray"
    kinds = AUTH_KINDS

    def __init__(
        self,
        threshold: int = 10,
        window: timedelta = timedelta(seconds=1800),
        lateness: timedelta = timedelta(seconds=60),
        max_sources: int = 10_000,
        counter: AttemptCounter | None = None,
    ) -> None:
        self._threshold, self._window, self._lateness = threshold, window, lateness
        self._counter = counter or AttemptCounter()
        self._sources = SourceTable(self._source, window + lateness, max_sources)

    def observe(self, event: Event) -> Iterable[Detection]:
        attempts = self._counter.attempts(event)
        if attempts is None or not event.user:
            return ()
        source, ended = self._sources.touch(source_network(event.source_ip), event.time)
        if not source.add(event, event.user, attempts):
            self.late += 1
        return [self._detection(each) for each in ended if each.burst.is_open] if ended else ()

    def finish(self) -> Iterable[Detection]:
        return [self._detection(source) for source in self._sources.drain() if source.burst.is_open]

    def _source(self, subject: str, time: datetime) -> DistinctEpisode:
        return DistinctEpisode(subject, time, DistinctBurst(self._threshold, self._window, self._lateness))

    def _detection(self, source: DistinctEpisode) -> Detection:
        users = source.burst.distinct
        at_least = "" if source.is_counted_in_full else "at least "
        return Detection(
            detector=self.name,
            severity=Severity.HIGH,
            title=f"Password spraying from {source.subject}",
            description=(
                f"Failed logins for {at_least}{users} different users, {source.attempts} attempts in all. "
                "Block the source, and check the accounts named here for weak passwords."
            ),
            subject=source.subject,
            first_seen=source.first,
            last_seen=source.last,
            count=source.attempts,
            by_hour=source.hours.shown(),
            evidence={
                "distinct_users": users,
                "users": source.items.top(20),
                "attempts_per_user": round(source.attempts / users, 1),
                "hosts": source.hosts.top(10),
                "window_seconds": int(self._window.total_seconds()),
                "threshold": self._threshold,
            },
            key=(self.name, source.subject),
        )
