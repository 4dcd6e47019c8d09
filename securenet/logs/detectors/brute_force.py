"""Many failed logins from one source in a short time (MITRE ATT&CK T1110.001).

Attempts, not lines, are counted: see `attempts`. IPv6 sources are grouped by /64.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from securenet.logs.detectors.attempts import AUTH_KINDS, AttemptCounter
from securenet.logs.detectors.detection import Detection, Detector, Severity
from securenet.logs.detectors.episodes import GuessingEpisode
from securenet.logs.detectors.windows import Burst, SourceTable
from securenet.logs.parsers.addresses import source_network
from securenet.logs.parsers.event import Event


class BruteForceDetector(Detector):
    """Reports a source with at least ``threshold`` failed attempts within ``window``.

    Args:
        threshold: attempts that make an attack.
        window: the sliding window they must fall into.
        lateness: how far out of order an event may come.
        severe_from: attempts from which the severity is high, not medium.
        max_sources: sources followed at a time.
        counter: what tells attempts from lines; None for one of its own.
    """

    name = "brute_force"
    kinds = AUTH_KINDS

    def __init__(
        self,
        threshold: int = 5,
        window: timedelta = timedelta(seconds=600),
        lateness: timedelta = timedelta(seconds=60),
        severe_from: int = 50,
        max_sources: int = 10_000,
        counter: AttemptCounter | None = None,
    ) -> None:
        self._threshold, self._window, self._lateness, self._severe_from = (
            threshold,
            window,
            lateness,
            severe_from,
        )
        self._counter = counter or AttemptCounter()
        self._sources = SourceTable(self._source, window + lateness, max_sources)

    def observe(self, event: Event) -> Iterable[Detection]:
        attempts = self._counter.attempts(event)
        if not attempts:
            return ()
        source, ended = self._sources.touch(source_network(event.source_ip), event.time)
        if not source.add(event, attempts):
            self.late += 1
        return [self._detection(each) for each in ended if each.burst.is_open] if ended else ()

    def finish(self) -> Iterable[Detection]:
        return [self._detection(source) for source in self._sources.drain() if source.burst.is_open]

    def _source(self, subject: str, time: datetime) -> GuessingEpisode:
        return GuessingEpisode(subject, time, Burst(self._threshold, self._window, self._lateness))

    def _detection(self, source: GuessingEpisode) -> Detection:
        burst, seconds = source.burst, int(self._window.total_seconds())
        severity = Severity.HIGH if burst.count >= self._severe_from else Severity.MEDIUM
        return Detection(
            detector=self.name,
            severity=severity,
            title=f"Password guessing from {source.subject}",
            description=(
                f"{burst.count} failed login attempts, at least {self._threshold} of them within "
                f"{seconds} seconds. Block the source, and check that no login from it succeeded."
            ),
            subject=source.subject,
            first_seen=burst.first,
            last_seen=burst.last,
            count=burst.count,
            by_hour=burst.hours.shown(),
            evidence={
                **source.evidence(),
                "window_seconds": seconds,
                "threshold": self._threshold,
            },
            key=(self.name, source.subject),
        )
