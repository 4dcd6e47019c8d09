"""Something that a machine logs far more often than it usually does.

What is counted is what a line says: its kind, or, for lines that no parser understands, its template. Counts per ten
minutes are made comparable by a square root (Anscombe, "The transformation of Poisson, binomial and negative-binomial
data", Biometrika 35, 1948) and judged by median and median absolute deviation, which the unusual itself does not
move; from a week of data on, by those of the same time of day.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from math import sqrt
from statistics import median
from typing import Final

from securenet.logs.detectors.detection import Detection, Detector, Severity
from securenet.logs.detectors.templates import TemplateMiner
from securenet.logs.parsers.event import Event, Kind

# Turns a median absolute deviation into a standard deviation, for normally distributed values.
_MAD_SCALE: Final = 1.4826
_DAY: Final = 24 * 3600
_SEASON_FROM: Final = 7 * _DAY  # seconds of data
# A log that covers more is judged in chapters, each by itself; so are more counts than memory should hold.
_MOST_INTERVALS: Final = 5_000
_MOST_CELLS: Final = 300_000
_JUDGED: Final = 200  # intervals of one series: the busiest
_EXAMPLES: Final = 5


class RateAnomalyDetector(Detector):
    """Reports what a machine logged at least ``threshold`` times as far from its median as usual, in one interval.

    Args:
        threshold: standard deviations, robustly estimated, that make a rate unusual.
        least: lines in one interval from which it is worth reporting.
        interval: time over which lines are counted.
        history: intervals that must have passed between the first line and the last; before, nothing is usual.
        max_series: pairs of machine and template followed at a time; beyond it new ones are left out.
    """

    name = "rate_anomaly"
    about = "program"

    def __init__(
        self,
        threshold: int = 8,
        least: int = 30,
        interval: timedelta = timedelta(seconds=600),
        history: int = 36,
        max_series: int = 5_000,
    ) -> None:
        self._threshold, self._least, self._history, self._max_series = threshold, least, history, max_series
        self._width = int(interval.total_seconds())
        self._miner: TemplateMiner | None = None
        self._series: dict[tuple[str, str, int], _Series] = {}
        self._cells = 0
        self._first = self._last = 0  # intervals of this chapter

    def observe(self, event: Event) -> Iterable[Detection]:
        cell = int(event.time.timestamp()) // self._width
        ended: Iterable[Detection] = ()
        if not self._series:
            self._first = self._last = cell
        elif cell > self._last:
            if cell - self._first >= _MOST_INTERVALS or self._cells >= _MOST_CELLS:
                ended = self._end_chapter()
                self._first = cell
            self._last = cell
        elif cell < self._first:
            self.late += 1
            return ()
        key = (event.host or event.program, *self._what(event))
        series = self._series.get(key)
        if series is None:
            if len(self._series) >= self._max_series:
                return ended
            series = self._series[key] = _Series()
        self._cells += series.add(cell, event)
        return ended

    def finish(self) -> Iterable[Detection]:
        found = self._end_chapter()
        self._miner = None
        return found

    def _what(self, event: Event) -> tuple[str, int]:
        if event.kind != Kind.OTHER:
            return event.kind, 0
        if self._miner is None:
            self._miner = TemplateMiner()
        return event.program, self._miner.number_of(event.message)

    def _end_chapter(self) -> list[Detection]:
        found = list(self._detections()) if self._last - self._first >= self._history else []
        self._series, self._cells = {}, 0
        return found

    def _detections(self) -> Iterator[Detection]:
        for (machine, what, template), series in self._series.items():
            if unusual := self._unusual(series):
                said = self._miner.text_of(template) if template and self._miner else ""
                yield self._detection(machine, what, said, series, unusual)

    def _unusual(self, series: _Series) -> list[tuple[int, float, float]]:
        """Intervals with what is usual and by how many deviations they are above, at the least that is compared."""
        usual, spread = series.level(self._last - self._first + 1)
        found = []
        for cell in series.busiest(_JUDGED, self._least):
            score = (_even(series.counts[cell]) - usual) / spread
            if score < self._threshold:
                break
            judged = [(score, usual), *(self._above(series, cell, others) for others in self._comparable(cell))]
            score, level = min(judged)
            if score >= self._threshold:
                found.append((cell, _count(level), score))
        return found

    def _above(self, series: _Series, cell: int, others: list[int]) -> tuple[float, float]:
        usual, spread = _level([_even(series.counts.get(other, 0)) for other in others])
        return (_even(series.counts[cell]) - usual) / spread, usual

    def _comparable(self, cell: int) -> Iterator[list[int]]:
        """From a week on: the same time of other days, and that with its neighbours."""
        first, last = self._first, self._last
        if (last - first) * self._width < _SEASON_FROM or self._width > _DAY // 4:
            return
        per_day = _DAY // self._width
        same = [each for each in range(first + (cell - first) % per_day, last + 1, per_day) if each != cell]
        yield same
        yield [near for each in same for near in (each - 1, each, each + 1) if first <= near <= last]

    def _detection(
        self, machine: str, what: str, said: str, series: _Series, unusual: list[tuple[int, float, float]]
    ) -> Detection:
        cell, usual, score = max(unusual, key=lambda each: (each[2], each[0]))
        count, minutes = series.counts[cell], self._width // 60
        subject = f"{machine or 'a machine without name'}: {said or what}"
        return Detection(
            detector=self.name,
            severity=Severity.LOW,
            title=f"Unusually many lines from {machine or 'a machine'}: {said or what}"[:300],
            description=(
                f"{count} lines within {minutes} minutes where {round(usual)} are usual. Look at what else happened "
                "then: an attack, an outage, or a program that was changed."
            ),
            subject=subject[:255],
            first_seen=_time(min(each[0] for each in unusual) * self._width),
            last_seen=_time((max(each[0] for each in unusual) + 1) * self._width - 1),
            count=sum(series.counts[each[0]] for each in unusual),
            evidence={
                "machine": machine,
                "template": said or what,
                "at": _time(cell * self._width).isoformat(),
                "lines_then": count,
                "usual": round(usual, 1),
                "deviations": round(score, 1),
                "interval_seconds": self._width,
                "lines": list(series.examples_in(cell)),
                "threshold": self._threshold,
            },
            key=(self.name, machine, what, said),
        )


class _Series:
    """How often one machine said one thing, per interval, and examples from the busiest."""

    __slots__ = ("_busiest", "_examples", "counts")

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self._busiest = -1
        self._examples: list[str] = []

    def add(self, cell: int, event: Event) -> int:
        """Count; returns how many cells that added."""
        before = self.counts.get(cell, 0)
        self.counts[cell] = before + event.count
        if cell == self._busiest:
            if len(self._examples) < _EXAMPLES:
                self._examples.append(_shown(event))
        elif before + event.count > self.counts.get(self._busiest, 0):
            self._busiest, self._examples = cell, [_shown(event)]
        return 1 if before == 0 else 0

    def busiest(self, number: int, least: int) -> list[int]:
        """At most ``number`` intervals with ``least`` lines or more, the busiest first."""
        cells = [cell for cell, count in self.counts.items() if count >= least]
        return sorted(cells, key=lambda cell: (-self.counts[cell], cell))[:number]

    def level(self, intervals: int) -> tuple[float, float]:
        """Median and robust deviation over all ``intervals``, of which those without a line are not kept."""
        if 2 * len(self.counts) < intervals:
            return _even(0), 1.0
        silent = [_even(0)] * (intervals - len(self.counts))
        return _level([*(_even(count) for count in self.counts.values()), *silent])

    def examples_in(self, cell: int) -> list[str]:
        """Some lines of the interval, if it is the busiest."""
        return self._examples if cell == self._busiest else []


def _even(count: int) -> float:
    """Anscombe's transformation: counts of any size get a deviation of about one."""
    return 2 * sqrt(count + 0.375)


def _level(values: list[float]) -> tuple[float, float]:
    """Median and standard deviation, both by ranks."""
    middle = median(values)
    # A count that follows Poisson's law has a deviation of one after the transformation, and never less.
    return middle, max(1.0, _MAD_SCALE * median(abs(value - middle) for value in values))


def _count(level: float) -> float:
    """The count that a transformed value stands for."""
    return max(0.0, (level / 2) ** 2 - 0.375)


def _shown(event: Event) -> str:
    return f"{event.time:%Y-%m-%dT%H:%M:%SZ} {event.host} {event.program}: {event.message[:300]}"


def _time(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
