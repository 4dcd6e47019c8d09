"""Sliding windows over event time, and the bounded table that holds one of them per source.

Nothing here reads a clock: "now" is the time of the event at hand, so an old log gives its own answer.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable
from datetime import date, datetime, timedelta
from random import Random
from typing import Generic, Protocol, TypeVar

_MOST_KEPT = 100
_MOST_HOURS = 1000


class Hours:
    """Counts by the hour. Of more than `_MOST_HOURS` the last hour gets what comes after."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: dict[tuple[int, int], int] = {}

    def add(self, time: datetime, occurrences: int) -> None:
        hour = time.toordinal(), time.hour
        if hour not in self._counts and len(self._counts) >= _MOST_HOURS:
            hour = next(reversed(self._counts))
        self._counts[hour] = self._counts.get(hour, 0) + occurrences

    def shown(self) -> dict[str, int]:
        """Return hour (`2026-11-23T10`) → count, the earliest first."""
        return {
            f"{date.fromordinal(day).isoformat()}T{hour:02}": count
            for (day, hour), count in sorted(self._counts.items())
        }


class Burst:
    """Recognises ``threshold`` occurrences within any ``window``, then follows the burst until it ends.

    Until then it keeps the occurrences one by one (fewer than the threshold per window); from then on only
    first, last and count. Occurrences up to ``lateness`` out of order are counted where they belong.

    With a ``spread``, those in the window must also reach over at least that much time. What comes quicker is
    kept one by one up to `_MOST_KEPT` moments; of the others only the number is exact.
    """

    __slots__ = (
        "_known", "_pending", "count", "first", "hours", "is_open", "last", "lateness", "spread", "threshold", "window",
    )  # fmt: skip

    def __init__(
        self, threshold: int, window: timedelta, lateness: timedelta, spread: timedelta = timedelta(0)
    ) -> None:
        self.threshold, self.window, self.lateness, self.spread = threshold, window, lateness, spread
        self._pending: list[tuple[datetime, int]] = []
        self._known = 0  # occurrences in `_pending`
        self.is_open = False
        self.first: datetime | None = None
        self.last: datetime | None = None
        self.count = 0
        self.hours = Hours()

    def add(self, time: datetime, occurrences: int = 1) -> bool:
        """Count ``occurrences`` at ``time``; return False, and ignore them, where they come too late."""
        if self.last is None or time > self.last:
            self.last = time
        elif time < self.last - self.window - self.lateness:
            return False
        if self.is_open:
            self.count += occurrences
            self.hours.add(time, occurrences)
            self.first = min(self.first, time)
            return True
        self._keep(time, occurrences)
        # Cheaper than looking for a window, and enough to know that there is none.
        if self._known >= self.threshold and self.last - self._pending[0][0] >= self.spread:
            self._open_if_reached()
        return True

    def forget(self) -> None:
        """Begin anew, unless the burst was recognised."""
        if not self.is_open:
            self._pending, self._known = [], 0

    def _keep(self, time: datetime, occurrences: int) -> None:
        pending = self._pending
        self._known += occurrences
        if pending and pending[-1][0] == time:
            pending[-1] = (time, pending[-1][1] + occurrences)
        else:
            insort(pending, (time, occurrences))
        oldest = self.last - self.window - self.lateness
        if pending[0][0] < oldest:
            gone = bisect_left(pending, (oldest, 0))
            self._known -= sum(count for _, count in pending[:gone])
            del pending[:gone]
        if self.spread and len(pending) > _MOST_KEPT:
            pending[1:3] = [(pending[1][0], pending[1][1] + pending[2][1])]

    def recent(self, time: datetime) -> int:
        """Return how many occurrences are known in the window that ends at ``time``."""
        if self.is_open:
            return self.count if self.first <= time <= self.last + self.window else 0
        return sum(count for at, count in self._pending if time - self.window <= at <= time)

    def _open_if_reached(self) -> None:
        pending, start, total = self._pending, 0, 0
        for at, count in pending:
            total += count
            while pending[start][0] < at - self.window:
                total -= pending[start][1]
                start += 1
            if total >= self.threshold and at - pending[start][0] >= self.spread:
                self.is_open = True
                self.first = pending[start][0]
                self.count = sum(count for _, count in pending[start:])
                for each, count in pending[start:]:
                    self.hours.add(each, count)
                self._pending = []
                return


class DistinctBurst:
    """Recognises ``threshold`` different items within ``window``, then counts items until the burst ends.

    Only the items' hashes are kept, and of those at most ``remembered``: `distinct` stops there.
    """

    __slots__ = ("_latest", "is_open", "last", "lateness", "remembered", "threshold", "window")

    def __init__(self, threshold: int, window: timedelta, lateness: timedelta, remembered: int = 100) -> None:
        self.threshold, self.window, self.lateness = threshold, window, lateness
        self.remembered = max(remembered, threshold)
        self._latest: dict[int, datetime] = {}
        self.is_open = False
        self.last: datetime | None = None

    @property
    def distinct(self) -> int:
        return len(self._latest)

    def add(self, time: datetime, item: str) -> bool:
        """Note ``item`` at ``time``; return False, and ignore it, where it comes too late."""
        if self.last is None or time > self.last:
            self.last = time
        elif time < self.last - self.window - self.lateness:
            return False
        known = self._latest.get(hash(item))
        if known is None and len(self._latest) >= self.remembered:
            if self.is_open:
                return True
            self._latest.pop(min(self._latest, key=self._latest.__getitem__))
        if known is None or known < time:
            self._latest[hash(item)] = time
        if not self.is_open and len(self._latest) >= self.threshold:
            self._open_or_prune()
        return True

    def _open_or_prune(self) -> None:
        times = sorted(self._latest.values())
        reach = zip(times, times[self.threshold - 1 :], strict=False)
        oldest = next((early for early, late in reach if late - early <= self.window), None)
        self.is_open = oldest is not None
        if oldest is None:
            oldest = self.last - self.window - self.lateness
        self._latest = {item: time for item, time in self._latest.items() if time >= oldest}


class BoundedCounter:
    """Counts occurrences of the first ``capacity`` different texts; later ones only as `others`.

    Texts are told apart, and kept, by their first ``longest`` characters.
    """

    __slots__ = ("_counts", "capacity", "longest", "others")

    def __init__(self, capacity: int, longest: int = 200) -> None:
        self.capacity, self.longest = capacity, longest
        self._counts: dict[str, int] = {}
        self.others = 0

    def add(self, text: str, occurrences: int = 1) -> None:
        if len(text) > self.longest:
            text = text[: self.longest]
        known = self._counts.get(text)
        if known is not None:
            self._counts[text] = known + occurrences
        elif len(self._counts) < self.capacity:
            self._counts[text] = occurrences
        else:
            self.others += occurrences

    def __len__(self) -> int:
        return len(self._counts)

    def __contains__(self, text: str) -> bool:
        return text[: self.longest] in self._counts

    def top(self, number: int) -> dict[str, int]:
        """Return the most frequent texts with their counts, the most frequent first."""
        return dict(sorted(self._counts.items(), key=lambda item: -item[1])[:number])


_NEWEST_GOES = 0.75  # how often it is the newest of those seen once that is given up, not the oldest


class Timed(Protocol):
    """What a `SourceTable` holds: something that knows when it was last touched, in event time."""

    last: datetime


State = TypeVar("State", bound=Timed)


class SourceTable(Generic[State]):
    """One state per source, in bounded memory: quiet ones leave, and when it is full the least telling one.

    A flood of sources seen once must not push out the one that attacks: sources seen again live in a part of
    their own (segmented LRU), and of those seen once mostly the newest goes, so that the others stay long
    enough to be seen again (after sample and hold; Estan and Varghese, 2002).
    """

    def __init__(self, make: Callable[[str, datetime], State], idle: timedelta, max_sources: int) -> None:
        self._make, self._idle, self._max_sources = make, idle, max_sources
        self._seen_once: OrderedDict[str, State] = OrderedDict()
        self._seen_again: OrderedDict[str, State] = OrderedDict()
        self._random = Random(0)  # the same stream gives the same answer

    def __len__(self) -> int:
        return len(self._seen_once) + len(self._seen_again)

    def touch(self, source: str, time: datetime) -> tuple[State, list[State]]:
        """Return the state of ``source`` (a new one after ``idle`` of quiet) and the states that ended."""
        ended: list[State] = []
        for states in (self._seen_once, self._seen_again):
            while states and time - next(iter(states.values())).last > self._idle:
                ended.append(states.popitem(last=False)[1])
        state = self._seen_again.get(source)
        if state is not None and time - state.last <= self._idle:  # the common case
            self._seen_again.move_to_end(source)
            return state, ended
        state = self._seen_once.pop(source, None) or self._seen_again.pop(source, None)
        if state is not None and time - state.last > self._idle:  # newer states stood in front of it
            ended.append(state)
            state = None
        if state is not None:
            self._seen_again[source] = state
            return state, ended
        if len(self) >= self._max_sources:
            ended.append(self._give_up_one())
        state = self._seen_once[source] = self._make(source, time)
        return state, ended

    def known(self, source: str) -> State | None:
        """Return the state of ``source`` if there is one, untouched."""
        return self._seen_once.get(source) or self._seen_again.get(source)

    def drain(self) -> list[State]:
        """Remove and return every state."""
        states = [*self._seen_once.values(), *self._seen_again.values()]
        self._seen_once.clear()
        self._seen_again.clear()
        return states

    def _give_up_one(self) -> State:
        if self._seen_again and len(self._seen_once) <= self._max_sources // 4:
            return self._seen_again.popitem(last=False)[1]
        return self._seen_once.popitem(last=self._random.random() < _NEWEST_GOES)[1]
