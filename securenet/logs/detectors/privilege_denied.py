"""A user whom sudo or su refuses again and again (MITRE ATT&CK T1548.003): a stolen session, or somebody curious."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from securenet.logs.detectors.detection import Detection, Detector, Severity
from securenet.logs.detectors.windows import BoundedCounter, Burst, SourceTable
from securenet.logs.parsers.event import Event, Kind


class PrivilegeDeniedDetector(Detector):
    """Reports a user whom sudo or su refused at least ``threshold`` times within ``window``.

    Args:
        threshold: refusals that make a report; three wrong passwords in one line are three.
        window: the sliding window they must fall into.
        lateness: how far out of order an event may come.
        max_users: users followed at a time.
    """

    name = "privilege_denied"
    about = "user"
    kinds = frozenset({Kind.PRIVILEGE_DENIED})

    def __init__(
        self,
        threshold: int = 5,
        window: timedelta = timedelta(seconds=600),
        lateness: timedelta = timedelta(seconds=60),
        max_users: int = 5_000,
    ) -> None:
        self._threshold, self._window, self._lateness = threshold, window, lateness
        self._users = SourceTable(self._user, window + lateness, max_users)

    def observe(self, event: Event) -> Iterable[Detection]:
        if event.kind != Kind.PRIVILEGE_DENIED or not event.user:
            return ()
        user, ended = self._users.touch(event.user, event.time)
        if not user.add(event):
            self.late += 1
        return [self._detection(each) for each in ended if each.burst.is_open] if ended else ()

    def finish(self) -> Iterable[Detection]:
        return [self._detection(user) for user in self._users.drain() if user.burst.is_open]

    def _user(self, subject: str, time: datetime) -> _User:
        return _User(subject, time, Burst(self._threshold, self._window, self._lateness))

    def _detection(self, user: _User) -> Detection:
        burst, seconds = user.burst, int(self._window.total_seconds())
        return Detection(
            detector=self.name,
            severity=Severity.MEDIUM,
            title=f"{user.subject} is refused privileges",
            description=(
                f"{burst.count} refusals by sudo or su, at least {self._threshold} of them within {seconds} seconds. "
                "Ask the user; if it was somebody else, the account is taken over."
            ),
            subject=user.subject,
            first_seen=burst.first,
            last_seen=burst.last,
            count=burst.count,
            by_hour=burst.hours.shown(),
            evidence={
                "hosts": user.hosts.top(10),
                "targets": user.targets.top(10),
                "commands": user.commands.top(10),
                "window_seconds": seconds,
                "threshold": self._threshold,
            },
            key=(self.name, user.subject),
        )


class _User:
    __slots__ = ("burst", "commands", "hosts", "last", "subject", "targets")

    def __init__(self, subject: str, time: datetime, burst: Burst) -> None:
        self.subject, self.last, self.burst = subject, time, burst
        self.hosts, self.targets, self.commands = BoundedCounter(10), BoundedCounter(10), BoundedCounter(10)

    def add(self, event: Event) -> bool:
        if not self.burst.add(event.time, event.count):
            return False
        self.last = self.burst.last
        self.hosts.add(event.host or event.program, event.count)
        if target := event.fields.get("target_user"):
            self.targets.add(target, event.count)
        if command := event.fields.get("command"):
            self.commands.add(command, event.count)
        return True
