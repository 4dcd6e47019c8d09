"""A program that suddenly answers with server errors: an outage, or somebody who found what breaks it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from securenet.logs.detectors.detection import Detection, Detector, Severity
from securenet.logs.detectors.windows import BoundedCounter, Burst, SourceTable
from securenet.logs.parsers.event import Event, Kind

_ERROR_LEVELS = frozenset({"error", "critical", "alert", "emergency", "fatal"})


class ErrorBurstDetector(Detector):
    """Reports a program of a host with ``threshold`` errors (HTTP 5xx, or logged as such) within ``window``.

    Args:
        threshold: errors that make a burst.
        window: the sliding window they must fall into.
        lateness: how far out of order an event may come.
        max_programs: host and program pairs followed at a time.
    """

    name = "error_burst"
    about = "program"

    def __init__(
        self,
        threshold: int = 50,
        window: timedelta = timedelta(seconds=60),
        lateness: timedelta = timedelta(seconds=60),
        max_programs: int = 1_000,
    ) -> None:
        self._threshold, self._window, self._lateness = threshold, window, lateness
        self._programs = SourceTable(self._program, window + lateness, max_programs)

    def observe(self, event: Event) -> Iterable[Detection]:
        fields = event.fields
        if event.kind == Kind.HTTP_REQUEST:
            if not fields.get("status", "").startswith("5"):
                return ()
        elif fields.get("level") not in _ERROR_LEVELS:
            return ()
        program, ended = self._programs.touch(" ".join(filter(None, (event.host, event.program))), event.time)
        if not program.add(event):
            self.late += 1
        return [self._detection(each) for each in ended if each.burst.is_open] if ended else ()

    def finish(self) -> Iterable[Detection]:
        return [self._detection(program) for program in self._programs.drain() if program.burst.is_open]

    def _program(self, subject: str, time: datetime) -> _Program:
        return _Program(subject, time, Burst(self._threshold, self._window, self._lateness))

    def _detection(self, program: _Program) -> Detection:
        burst, seconds = program.burst, int(self._window.total_seconds())
        return Detection(
            detector=self.name,
            severity=Severity.MEDIUM,
            title=f"Burst of errors in {program.subject or 'an unnamed program'}",
            description=(
                f"{burst.count} errors, at least {self._threshold} of them within {seconds} seconds. Look at "
                "the program's own log of that time; if one source causes most of them, it may be an attack."
            ),
            subject=program.subject,
            first_seen=burst.first,
            last_seen=burst.last,
            count=burst.count,
            by_hour=burst.hours.shown(),
            evidence={
                "statuses": program.statuses.top(10),
                "sources": program.sources.top(10),
                "paths": program.paths.top(10),
                "window_seconds": seconds,
                "threshold": self._threshold,
            },
            key=(self.name, program.subject),
        )


class _Program:
    __slots__ = ("burst", "last", "paths", "sources", "statuses", "subject")

    def __init__(self, subject: str, time: datetime, burst: Burst) -> None:
        self.subject, self.last, self.burst = subject, time, burst
        self.statuses, self.sources, self.paths = BoundedCounter(20), BoundedCounter(50), BoundedCounter(50)

    def add(self, event: Event) -> bool:
        if not self.burst.add(event.time, event.count):
            return False
        self.last = max(self.last, event.time)
        self.statuses.add(event.fields.get("status") or event.fields["level"], event.count)
        if event.source_ip:
            self.sources.add(event.source_ip, event.count)
        if path := event.fields.get("path"):
            self.paths.add(path, event.count)
        return True
