"""One client asking a web server far more often than people do: a flood, a crawler without manners, or a scraper.

Requests are counted by the second, so that a flood takes no more memory than a trickle; what was asked for is noted
from the request on that made it a burst.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from securenet.logs.detectors.detection import Detection, Detector, Severity
from securenet.logs.detectors.windows import BoundedCounter, Burst, SourceTable
from securenet.logs.parsers.addresses import source_network
from securenet.logs.parsers.event import Event, Kind


class RequestBurstDetector(Detector):
    """Reports a source with at least ``threshold`` HTTP requests within ``window``.

    Args:
        threshold: requests that make a burst.
        window: the sliding window they must fall into, exact to the second.
        lateness: how far out of order an event may come.
        severe_from: requests in one burst from which the severity is medium, not low.
        max_sources: sources followed at a time.
    """

    name = "request_burst"
    kinds = frozenset({Kind.HTTP_REQUEST})

    def __init__(
        self,
        threshold: int = 600,
        window: timedelta = timedelta(seconds=60),
        lateness: timedelta = timedelta(seconds=60),
        severe_from: int = 6_000,
        max_sources: int = 5_000,
    ) -> None:
        self._threshold, self._window, self._lateness, self._severe_from = threshold, window, lateness, severe_from
        self._sources = SourceTable(self._source, window + lateness, max_sources)

    def observe(self, event: Event) -> Iterable[Detection]:
        if event.source_ip is None or event.kind != Kind.HTTP_REQUEST:
            return ()
        source, ended = self._sources.touch(source_network(event.source_ip), event.time)
        if not source.add(event):
            self.late += 1
        return [self._detection(each) for each in ended if each.burst.is_open] if ended else ()

    def finish(self) -> Iterable[Detection]:
        return [self._detection(source) for source in self._sources.drain() if source.burst.is_open]

    def _source(self, subject: str, time: datetime) -> _Source:
        return _Source(subject, time, Burst(self._threshold, self._window, self._lateness))

    def _detection(self, source: _Source) -> Detection:
        burst, seconds = source.burst, int(self._window.total_seconds())
        return Detection(
            detector=self.name,
            severity=Severity.MEDIUM if burst.count >= self._severe_from else Severity.LOW,
            title=f"Burst of requests from {source.subject}",
            description=(
                f"{burst.count} requests, at least {self._threshold} of them within {seconds} seconds. Limit the rate "
                "of the source, or block it, unless it is a gateway of many people or a crawler you want."
            ),
            subject=source.subject,
            first_seen=burst.first,
            last_seen=burst.last,
            count=burst.count,
            by_hour=burst.hours.shown(),
            evidence={
                "statuses": source.statuses.top(10),
                "paths": source.paths.top(10),
                "more_paths": source.paths.others > 0,
                "agents": source.agents.top(5),
                "window_seconds": seconds,
                "threshold": self._threshold,
            },
            key=(self.name, source.subject),
        )


class _Source:
    __slots__ = ("agents", "burst", "last", "paths", "statuses", "subject")

    def __init__(self, subject: str, time: datetime, burst: Burst) -> None:
        self.subject, self.last, self.burst = subject, time, burst
        self.statuses, self.paths, self.agents = BoundedCounter(10), BoundedCounter(20), BoundedCounter(5)

    def add(self, event: Event) -> bool:
        time = event.time.replace(microsecond=0) if event.time.microsecond else event.time
        if not self.burst.add(time, event.count):
            return False
        self.last = self.burst.last
        if not self.burst.is_open:  # of the many who only look around nothing more is needed
            return True
        fields = event.fields
        self.statuses.add(fields.get("status", ""), event.count)
        self.paths.add(fields.get("path", ""), event.count)
        self.agents.add(fields.get("agent", ""), event.count)
        return True
