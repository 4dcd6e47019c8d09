"""Many sources guessing the password of one user (MITRE ATT&CK T1110.004, and botnets that share a dictionary).

Each source stays below any limit per source, so the sources are counted, per user.
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


class DistributedGuessingDetector(Detector):
    """Reports a user whose failed attempts come from at least ``threshold`` different sources within ``window``.

    Args:
        threshold: different sources that make an attack; a /64 of IPv6 is one.
        window: the sliding window they must fall into.
        lateness: how far out of order an event may come.
        max_users: user names followed at a time.
        counter: what tells attempts from lines; None for one of its own.
    """

    name = "distributed_guessing"
    about = "user"
    kinds = AUTH_KINDS

    def __init__(
        self,
        threshold: int = 10,
        window: timedelta = timedelta(hours=1),
        lateness: timedelta = timedelta(seconds=60),
        max_users: int = 5_000,
        counter: AttemptCounter | None = None,
    ) -> None:
        self._threshold, self._window, self._lateness = threshold, window, lateness
        self._counter = counter or AttemptCounter()
        self._users = SourceTable(self._user, window + lateness, max_users)

    def observe(self, event: Event) -> Iterable[Detection]:
        attempts = self._counter.attempts(event)
        if attempts is None or not event.user:
            return ()
        user, ended = self._users.touch(event.user, event.time)
        if not user.add(event, source_network(event.source_ip), attempts):
            self.late += 1
        return [self._detection(each) for each in ended if each.burst.is_open] if ended else ()

    def finish(self) -> Iterable[Detection]:
        return [self._detection(user) for user in self._users.drain() if user.burst.is_open]

    def _user(self, subject: str, time: datetime) -> DistinctEpisode:
        return DistinctEpisode(subject, time, DistinctBurst(self._threshold, self._window, self._lateness))

    def _detection(self, user: DistinctEpisode) -> Detection:
        sources = user.burst.distinct
        at_least = "" if user.is_counted_in_full else "at least "
        return Detection(
            detector=self.name,
            severity=Severity.MEDIUM,
            title=f"Distributed password guessing against {user.subject}",
            description=(
                f"Failed logins as {user.subject} from {at_least}{sources} different sources, {user.attempts} attempts "
                "in all. Blocking single sources does not help: allow only keys, or require a second factor."
            ),
            subject=user.subject,
            first_seen=user.first,
            last_seen=user.last,
            count=user.attempts,
            by_hour=user.hours.shown(),
            evidence={
                "distinct_sources": sources,
                "sources": user.items.top(20),
                "attempts_per_source": round(user.attempts / sources, 1),
                "hosts": user.hosts.top(10),
                "window_seconds": int(self._window.total_seconds()),
                "threshold": self._threshold,
            },
            key=(self.name, user.subject),
        )
