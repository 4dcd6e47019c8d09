"""A login that succeeded after a burst of failures from the same source: a password was probably guessed.

The gravest thing an authentication log can show, so it is reported at once, not at the end of an episode.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from datetime import datetime, timedelta

from securenet.logs.detectors.attempts import AUTH_KINDS, AttemptCounter, web_login
from securenet.logs.detectors.detection import Detection, Detector, Severity
from securenet.logs.detectors.windows import BoundedCounter, SourceTable
from securenet.logs.parsers.addresses import source_network
from securenet.logs.parsers.event import Event, Kind

_EXACT_FAILURES = 100
_WAITING_SUCCESSES = 4


class LoginAfterFailuresDetector(Detector):
    """Reports a success with at least ``threshold`` failed attempts of its source in ``window`` before it.

    Args:
        threshold: failed attempts that make a burst.
        window: how long before the success they may lie.
        lateness: how far out of order an event may come.
        max_sources: sources followed at a time.
        counter: what tells attempts from lines; None for one of its own.
    """

    name = "login_after_failures"
    kinds = AUTH_KINDS | {Kind.AUTH_SUCCESS}

    def __init__(
        self,
        threshold: int = 5,
        window: timedelta = timedelta(seconds=600),
        lateness: timedelta = timedelta(seconds=60),
        max_sources: int = 10_000,
        counter: AttemptCounter | None = None,
    ) -> None:
        self._threshold, self._window, self._lateness = threshold, window, lateness
        self._counter = counter or AttemptCounter()
        self._sources = SourceTable(_Source, window + lateness, max_sources)

    def observe(self, event: Event) -> Iterable[Detection]:
        if event.source_ip is None:
            return ()
        succeeded = event.kind == Kind.AUTH_SUCCESS or web_login(event) is True
        attempts = 0 if succeeded else self._counter.attempts(event)
        if not succeeded and not attempts:
            return ()
        source, _ = self._sources.touch(source_network(event.source_ip), event.time)
        source.last = max(source.last, event.time)
        if event.time < source.last - self._window - self._lateness:
            self.late += 1
            return ()
        if succeeded:
            source.successes.append(event)
        else:
            source.fail(event, attempts, source.last - self._window - self._lateness)
        return self._detections(source) if source.successes else ()

    def finish(self) -> Iterable[Detection]:
        self._sources.drain()
        return ()

    def _detections(self, source: _Source) -> list[Detection]:
        found = []
        for success in source.successes:
            burst = source.failures_between(success.time - self._window, success.time)
            if sum(attempts for _, attempts in burst) >= self._threshold:
                found.append(self._detection(source, success, burst))
                source.forget_until(success.time)  # the next login of the same burst is no news
        reported = {detection.last_seen for detection in found}
        # A success waits only for failures that are still under way.
        source.successes = [
            success
            for success in source.successes[-_WAITING_SUCCESSES:]
            if success.time not in reported and success.time >= source.last - self._lateness
        ]
        return found

    def _detection(self, source: _Source, success: Event, burst: list[tuple[datetime, int]]) -> Detection:
        failures = sum(attempts for _, attempts in burst)
        user = success.user or ""
        who = f" as {user}" if user else ""
        return Detection(
            detector=self.name,
            severity=Severity.CRITICAL,
            title=f"Login{who} from {source.subject} after {failures} failed attempts",
            description=(
                f"A login{who} was accepted right after {failures} failed attempts of its source. Unless "
                "its owner explains it, take the password as guessed: end the sessions and change it."
            ),
            subject=source.subject,
            first_seen=burst[0][0],
            last_seen=success.time,
            count=failures,
            evidence={
                "user": user,
                "user_was_tried": user in source.users,
                "users_tried": source.users.top(10),
                "address": success.source_ip,
                "host": success.host,
                "program": success.program,
                "method": success.fields.get("method", ""),
                "pid": success.fields.get("pid", ""),
                "message": success.message[:512],
            },
            key=(self.name, source.subject, user),
        )


class _Source:
    __slots__ = ("_failures", "last", "subject", "successes", "users")

    def __init__(self, subject: str, time: datetime) -> None:
        self.subject, self.last = subject, time
        self.users = BoundedCounter(10, longest=64)
        self.successes: list[Event] = []
        self._failures: list[tuple[datetime, int]] = []

    def fail(self, event: Event, attempts: int, oldest: datetime) -> None:
        failures = self._failures
        insort(failures, (event.time, attempts))
        if failures[0][0] < oldest:
            del failures[: bisect_left(failures, (oldest, 0))]
        if len(failures) > _EXACT_FAILURES:  # a long burst: the oldest are summed, none is lost
            failures[:2] = [(failures[1][0], failures[0][1] + failures[1][1])]
        if event.user:
            self.users.add(event.user, attempts)

    def failures_between(self, earliest: datetime, latest: datetime) -> list[tuple[datetime, int]]:
        return [(time, attempts) for time, attempts in self._failures if earliest <= time <= latest]

    def forget_until(self, time: datetime) -> None:
        self._failures = [failure for failure in self._failures if failure[0] > time]
