"""A client that walks a web server for weaknesses (MITRE ATT&CK T1595.003, T1190).

Three signs, one report per source: many different refused paths, known probe paths, attack patterns.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from securenet.logs.detectors.detection import Detection, Detector, Severity
from securenet.logs.detectors.web_patterns import (
    attack_patterns,
    header_patterns,
    is_everyday_miss,
    is_probe,
    normalised,
)
from securenet.logs.detectors.windows import BoundedCounter, DistinctBurst, Hours, SourceTable
from securenet.logs.parsers.addresses import source_network
from securenet.logs.parsers.event import Event, Kind

_REFUSED = frozenset({403, 404, 410})
_PLAIN_EXAMPLES = 5
_SEVERAL_PROBES = 3


class PathScanDetector(Detector):
    """Reports a source that scans, probes or attacks by HTTP.

    Args:
        threshold: different refused paths within ``window`` that make a scan.
        window: the sliding window they must fall into.
        probes: different known probe paths that make a report; 1 because no visitor asks for ``/.env``.
        lateness: how far out of order an event may come.
        max_sources: sources followed at a time.
    """

    name = "path_scan"
    kinds = frozenset({Kind.HTTP_REQUEST})

    def __init__(
        self,
        threshold: int = 20,
        window: timedelta = timedelta(seconds=600),
        probes: int = 1,
        lateness: timedelta = timedelta(seconds=60),
        max_sources: int = 5_000,
    ) -> None:
        self._threshold, self._window, self._probes, self._lateness = threshold, window, probes, lateness
        self._sources = SourceTable(self._source, window + lateness, max_sources)

    def observe(self, event: Event) -> Iterable[Detection]:
        if event.source_ip is None or event.kind != Kind.HTTP_REQUEST:
            return ()
        signs = _Signs.of(event)
        if signs is None:
            return ()
        source, ended = self._sources.touch(source_network(event.source_ip), event.time)
        if not source.add(event, signs):
            self.late += 1
        return [self._detection(each) for each in ended if self._is_attack(each)] if ended else ()

    def finish(self) -> Iterable[Detection]:
        return [self._detection(source) for source in self._sources.drain() if self._is_attack(source)]

    def _source(self, subject: str, time: datetime) -> _Source:
        return _Source(subject, time, DistinctBurst(self._threshold, self._window, self._lateness))

    def _is_attack(self, source: _Source) -> bool:
        return source.refused.is_open or len(source.probes) >= self._probes or len(source.patterns) > 0

    def _detection(self, source: _Source) -> Detection:
        signs = list(source.patterns.top(len(source.patterns)))
        if source.refused.is_open:
            signs.append(f"{_at_least(source.refused.distinct, source.refused.remembered)} different refused paths")
        if len(source.probes):
            signs.append(f"{_at_least(len(source.probes), source.probes.capacity)} known probe paths")
        advice = (
            "Something was served that should not exist: find out what it held, and change the secrets in it."
            if source.served
            else "Block the source if it goes on, and check that none of the requests was answered with data."
        )
        return Detection(
            detector=self.name,
            severity=self._severity(source),
            title=f"Web scan from {source.subject}",
            description=f"{source.count} suspicious requests: {', '.join(signs)}. {advice}",
            subject=source.subject,
            first_seen=source.first,
            last_seen=source.last,
            count=source.count,
            by_hour=source.hours.shown(),
            evidence={
                "patterns": source.patterns.top(10),
                "probe_paths": source.probes.top(20),
                "refused_paths": source.refused.distinct if source.refused.is_open else 0,
                "examples": list(source.examples.top(10)),
                "served": source.served,
                "agents": source.agents.top(5),
                "addresses": source.addresses.top(10),
                "window_seconds": int(self._window.total_seconds()),
                "threshold": self._threshold,
            },
            key=(self.name, source.subject),
        )

    def _severity(self, source: _Source) -> Severity:
        if source.served:
            return Severity.HIGH
        if source.refused.is_open or len(source.patterns) or len(source.probes) >= _SEVERAL_PROBES:
            return Severity.MEDIUM
        return Severity.LOW


@dataclass(frozen=True, slots=True)
class _Signs:
    """What is suspicious about one request."""

    refused_path: str
    probe_path: str
    patterns: tuple[str, ...]
    served: bool

    @classmethod
    def of(cls, event: Event) -> _Signs | None:
        fields = event.fields
        path, query = fields.get("path", ""), fields.get("query", "")
        status = int(told) if (told := fields.get("status", "")).isdecimal() and len(told) == 3 else None
        patterns = attack_patterns(path, query)
        for header in ("agent", "referrer"):
            if value := fields.get(header):
                patterns += header_patterns(value)
        normal = normalised(path)
        probe = is_probe(normal, status)
        refused = status in _REFUSED and not is_everyday_miss(normal)
        if not (patterns or probe or refused):
            return None
        dangerous = probe or "path traversal" in patterns
        served = dangerous and status is not None and 200 <= status < 300 and fields.get("size") != "0"
        return cls(normal if refused else "", normal if probe else "", tuple(patterns), served)


class _Source:
    __slots__ = (
        "addresses",
        "agents",
        "count",
        "examples",
        "first",
        "hours",
        "last",
        "patterns",
        "probes",
        "refused",
        "served",
        "subject",
    )

    def __init__(self, subject: str, time: datetime, refused: DistinctBurst) -> None:
        self.subject, self.refused, self.first, self.last = subject, refused, time, time
        self.patterns, self.probes, self.examples = BoundedCounter(10), BoundedCounter(50), BoundedCounter(10)
        self.agents, self.addresses = BoundedCounter(5), BoundedCounter(10)
        self.count, self.served, self.hours = 0, False, Hours()

    def add(self, event: Event, signs: _Signs) -> bool:
        if event.time < self.last - self.refused.window - self.refused.lateness:
            return False
        self.first, self.last = min(self.first, event.time), max(self.last, event.time)
        self.count += 1
        self.hours.add(event.time, 1)
        self.served = self.served or signs.served
        if signs.refused_path:
            self.refused.add(event.time, signs.refused_path)
        if signs.probe_path:
            self.probes.add(signs.probe_path)
        for pattern in signs.patterns:
            self.patterns.add(pattern)
        if signs.patterns or signs.probe_path or len(self.examples) < _PLAIN_EXAMPLES:
            self.examples.add(_shown(event))
        self.agents.add(event.fields.get("agent", ""))
        self.addresses.add(event.source_ip)
        return True


def _shown(event: Event) -> str:
    fields = event.fields
    target = fields.get("path", "") + (f"?{fields['query']}" if "query" in fields else "")
    return f"{fields.get('method', '')} {target} {fields.get('status', '')}"


def _at_least(number: int, bound: int) -> str:
    return f"at least {number}" if number >= bound else str(number)
