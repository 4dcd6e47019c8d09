"""One pass over a stream of events: counts, the busiest sources, and what the detectors found.

Linear in the events and bounded in memory, whatever the stream holds; it keeps no event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from securenet.logs.detectors import Detection, Detector, default_detectors
from securenet.logs.parsers.event import Event

TOP_SOURCES = 20
MAX_COUNTED_SOURCES = 20_000
MAX_DETECTIONS = 10_000


@dataclass(frozen=True, slots=True)
class AnalysisReport:
    """The outcome of `analyse`.

    Attributes:
        events: events read.
        by_kind: kind → events.
        by_source: the sources with the most events, the busiest first. Exact up to `MAX_COUNTED_SOURCES`
            different sources; beyond that rare ones are forgotten now and then.
        detections: one per key, the gravest first, then by time.
        first: time of the earliest event, None where there was none.
        last: time of the latest one.
        late: events a detector ignored because they came too far out of order.
        dropped_detections: detections beyond `MAX_DETECTIONS` different keys, not reported.
    """

    events: int
    by_kind: Mapping[str, int]
    by_source: tuple[tuple[str, int], ...]
    detections: tuple[Detection, ...]
    first: datetime | None
    last: datetime | None
    late: int = 0
    dropped_detections: int = 0


def analyse(events: Iterable[Event], detectors: Iterable[Detector] | None = None) -> AnalysisReport:
    """Return what ``events``, roughly in the order of their times, amount to.

    Args:
        events: consumed once, one at a time.
        detectors: fresh detectors; None for one of every kind with its defaults.
    """
    used = default_detectors() if detectors is None else list(detectors)
    observers = _Observers(used)
    found = _Findings()
    kinds: Counter[str] = Counter()
    sources = _SourceCounter()
    first = last = None
    for event in events:
        kinds[event.kind] += 1
        if event.source_ip is not None:
            sources.add(event.source_ip)
        if first is None:
            first = last = event.time
        elif event.time > last:
            last = event.time
        elif event.time < first:
            first = event.time
        for observe in observers.of(event.kind):
            if detections := observe(event):
                found.add(detections)
    for detector in used:
        found.add(detector.finish())
    found.settle({detector.name: detector.yields_to for detector in used})
    return AnalysisReport(
        events=kinds.total(),
        by_kind={str(kind): number for kind, number in kinds.most_common()},
        by_source=sources.top(TOP_SOURCES),
        detections=found.sorted(),
        first=first,
        last=last,
        late=sum(detector.late for detector in used),
        dropped_detections=found.dropped,
    )


class _Observers:
    """Which detectors look at a kind; asked once per event, so it remembers."""

    def __init__(self, detectors: list[Detector]) -> None:
        self._detectors = detectors
        self._by_kind: dict[str, list[Callable[[Event], Iterable[Detection]]]] = {}

    def of(self, kind: str) -> list[Callable[[Event], Iterable[Detection]]]:
        observers = self._by_kind.get(kind)
        if observers is None:
            observers = [
                detector.observe for detector in self._detectors if detector.kinds is None or kind in detector.kinds
            ]
            self._by_kind[kind] = observers
        return observers


class _SourceCounter:
    """Frequencies in bounded memory: when too many are known, the rarer half is forgotten."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()

    def add(self, source: str) -> None:
        self._counts[source] += 1
        if len(self._counts) > MAX_COUNTED_SOURCES:
            self._counts = Counter(dict(self._counts.most_common(MAX_COUNTED_SOURCES // 2)))

    def top(self, number: int) -> tuple[tuple[str, int], ...]:
        return tuple(sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))[:number])


class _Findings:
    """Detections by key; episodes of the same matter become one."""

    def __init__(self) -> None:
        self._by_key: dict[tuple[str, ...], Detection] = {}
        self.dropped = 0

    def add(self, detections: Iterable[Detection]) -> None:
        for detection in detections:
            known = self._by_key.get(detection.key)
            if known is not None:
                self._by_key[detection.key] = known.merged_with(detection)
            elif len(self._by_key) < MAX_DETECTIONS:
                self._by_key[detection.key] = detection
            else:
                self.dropped += 1

    def settle(self, yields_to: Mapping[str, Collection[str]]) -> None:
        """Drop what is told of a subject by a detector that says more.

        Args:
            yields_to: name of a detector → those that say more than it.
        """
        told = {(found.detector, found.subject) for found in self._by_key.values()}
        self._by_key = {
            key: found
            for key, found in self._by_key.items()
            if not any((more, found.subject) in told for more in yields_to[found.detector])
        }

    def sorted(self) -> tuple[Detection, ...]:
        return tuple(
            sorted(self._by_key.values(), key=lambda found: (-found.severity.rank, found.first_seen, found.key))
        )
