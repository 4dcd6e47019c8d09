"""What is remembered of one subject while its episode lasts: a window that decides, and bounded facts as evidence."""

from __future__ import annotations

from datetime import datetime

from securenet.logs.detectors.windows import BoundedCounter, Burst, DistinctBurst, Hours
from securenet.logs.parsers.event import Event


class GuessingEpisode:
    """The failed attempts of one source, counted over time."""

    __slots__ = ("addresses", "burst", "hosts", "last", "subject", "users")

    def __init__(self, subject: str, time: datetime, burst: Burst) -> None:
        self.subject, self.last, self.burst = subject, time, burst
        self.restart()

    def restart(self) -> None:
        """Forget whom the attempts were about."""
        self.users = BoundedCounter(10, longest=64)
        self.addresses, self.hosts = BoundedCounter(10), BoundedCounter(10)

    def add(self, event: Event, attempts: int) -> bool:
        """Count the attempts of ``event``; return False, and ignore them, where they come too late."""
        if not self.burst.add(event.time, attempts):
            return False
        self.last = self.burst.last
        if event.user is not None:
            self.users.add(event.user, attempts)
        self.addresses.add(event.source_ip, attempts)
        self.hosts.add(event.host or event.program, attempts)
        return True

    def evidence(self) -> dict[str, object]:
        """Return who was tried, from where, and on which machines."""
        return {
            "users": self.users.top(10),
            "more_users": self.users.others > 0,
            "addresses": self.addresses.top(10),
            "hosts": self.hosts.top(10),
        }


class DistinctEpisode:
    """Attempts of one subject that differ in something: in their users, or in their sources.

    Attributes:
        attempts: all of them, whatever they have in common.
        items: the first 20 different ones, with their attempts.
    """

    __slots__ = ("attempts", "burst", "first", "hosts", "hours", "items", "last", "subject")

    def __init__(self, subject: str, time: datetime, burst: DistinctBurst) -> None:
        self.subject, self.burst, self.first, self.last = subject, burst, time, time
        self.items, self.hosts, self.attempts = BoundedCounter(20, longest=64), BoundedCounter(10), 0
        self.hours = Hours()

    @property
    def is_counted_in_full(self) -> bool:
        """Whether the number of different items is exact; beyond a bound it is the least there were."""
        return self.burst.distinct < self.burst.remembered

    def add(self, event: Event, item: str, attempts: int) -> bool:
        """Note ``item``; return False, and ignore it, where it comes too late."""
        if not self.burst.add(event.time, item):
            return False
        if event.time > self.last:
            self.last = event.time
        elif event.time < self.first:
            self.first = event.time
        self.attempts += attempts
        self.hours.add(event.time, attempts)
        self.items.add(item, attempts)
        self.hosts.add(event.host or event.program, attempts)
        return True
