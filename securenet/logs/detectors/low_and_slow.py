"""One source guessing so slowly that no short window shows it (MITRE ATT&CK T1110.001, in its patient form).

The complement of `brute_force`: what that rule reports of a source is not told again. Few attempts must do, so only
those in a row count: a person who mistypes a password logs in soon after.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from securenet.logs.detectors.attempts import AUTH_KINDS, AttemptCounter, web_login
from securenet.logs.detectors.brute_force import BruteForceDetector
from securenet.logs.detectors.detection import Detection, Detector, Severity
from securenet.logs.detectors.episodes import GuessingEpisode
from securenet.logs.detectors.windows import BoundedCounter, Burst, SourceTable
from securenet.logs.parsers.addresses import source_network
from securenet.logs.parsers.event import Event, Kind


class LowAndSlowDetector(Detector):
    """Reports a source with ``threshold`` failed attempts in a row within ``window`` that reach over ``spread``.

    Args:
        threshold: attempts, with no accepted login of the source between them, that make an attack.
        window: the sliding window they must fall into.
        spread: least time between the first and the last of them; what takes minutes is `brute_force`'s business.
        lateness: how far out of order an event may come.
        max_sources: sources followed at a time.
        counter: what tells attempts from lines; None for one of its own.
    """

    name = "low_and_slow"
    kinds = AUTH_KINDS | {Kind.AUTH_SUCCESS}
    yields_to = frozenset({BruteForceDetector.name})

    def __init__(
        self,
        threshold: int = 5,
        window: timedelta = timedelta(hours=24),
        spread: timedelta = timedelta(hours=1),
        lateness: timedelta = timedelta(seconds=60),
        max_sources: int = 10_000,
        counter: AttemptCounter | None = None,
    ) -> None:
        self._threshold, self._window, self._spread, self._lateness = threshold, window, spread, lateness
        self._counter = counter or AttemptCounter()
        self._sources = SourceTable(self._source, window + lateness, max_sources)

    def observe(self, event: Event) -> Iterable[Detection]:
        attempts = self._counter.attempts(event)
        if not attempts:
            if attempts is None and event.source_ip is not None:
                self._note_login(event)
            return ()
        source, ended = self._sources.touch(source_network(event.source_ip), event.time)
        if not source.add(event, attempts):
            self.late += 1
        return [self._detection(each) for each in ended if each.burst.is_open] if ended else ()

    def finish(self) -> Iterable[Detection]:
        return [self._detection(source) for source in self._sources.drain() if source.burst.is_open]

    def _note_login(self, event: Event) -> None:
        if event.kind != Kind.AUTH_SUCCESS and web_login(event) is not True:
            return
        if known := self._sources.known(source_network(event.source_ip)):
            known.log_in(event)

    def _source(self, subject: str, time: datetime) -> _Source:
        return _Source(subject, time, Burst(self._threshold, self._window, self._lateness, self._spread))

    def _detection(self, source: _Source) -> Detection:
        burst, logins = source.burst, source.logins.top(10)
        hours = (burst.last - burst.first).total_seconds() / 3600
        advice = (
            "Then a login succeeded: unless its owner explains it, take the password as guessed, and change it."
            if logins
            else "Block the source for days rather than minutes."
        )
        return Detection(
            detector=self.name,
            severity=Severity.HIGH if logins else Severity.MEDIUM,
            title=f"Patient password guessing from {source.subject}",
            description=(
                f"{burst.count} failed login attempts over {hours:.1f} hours, too slow for a rule that looks at "
                f"minutes. {advice}"
            ),
            subject=source.subject,
            first_seen=burst.first,
            last_seen=burst.last,
            count=burst.count,
            by_hour=burst.hours.shown(),
            evidence={
                **source.evidence(),
                "attempts_per_hour": round(burst.count / max(hours, 1), 1),
                "logins_after": logins,
                "window_seconds": int(self._window.total_seconds()),
                "spread_seconds": int(self._spread.total_seconds()),
                "threshold": self._threshold,
            },
            key=(self.name, source.subject),
        )


class _Source(GuessingEpisode):
    __slots__ = ("logins",)

    def __init__(self, subject: str, time: datetime, burst: Burst) -> None:
        super().__init__(subject, time, burst)
        self.logins = BoundedCounter(10, longest=64)

    def log_in(self, event: Event) -> None:
        """Note an accepted login: it ends a row of failures, or is what the guessing was for."""
        if self.burst.is_open:
            self.logins.add(event.user or "")
        else:
            self.burst.forget()
            self.restart()
