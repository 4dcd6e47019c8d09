"""Brings stored events into an order that does not depend on how they arrived, each line of a log once.

Logs arrive in pieces, out of order, and twice (a file imported again, a batch sent again after a time-out): what an
analysis finds must not change for that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice

from securenet.logs.parsers.event import Event, Kind

MOST_AT_ONCE = 20_000
_KIND_ORDER = {str(kind): number for number, kind in enumerate(Kind)}


@dataclass(frozen=True, slots=True)
class Arrival:
    """An event, and how it came.

    Attributes:
        source: the label of where it came from.
        batch: what it arrived with; only equality counts.
    """

    event: Event
    source: str
    batch: Hashable


class Settled:
    """The events of ``arrivals``, in the order of their times; iterated once.

    Events of one time are ordered by what they say. Equal lines of one process (same source, time, host, program,
    process id and message) in different batches are one line that arrived more than once: of the batches the one with
    the most of them counts. Lines without a process id, such as those of access logs, have nothing that tells one
    from another, so all of them count.

    Args:
        arrivals: in the order of the times of their events. At most `MOST_AT_ONCE` of one time are settled together.
    """

    def __init__(self, arrivals: Iterable[Arrival]) -> None:
        self._arrivals = arrivals
        self.repeated = 0
        """Events left out so far because they had arrived before."""

    def __iter__(self) -> Iterator[Event]:
        for _, moment in groupby(self._arrivals, key=lambda arrival: arrival.event.time):
            while together := list(islice(moment, MOST_AT_ONCE)):
                yield from (arrival.event for arrival in self._settled(together))

    def _settled(self, together: list[Arrival]) -> list[Arrival]:
        if len(together) == 1:
            return together
        together.sort(key=_what_it_says)
        kept: list[Arrival] = []
        for _, equals in groupby(together, key=_what_it_says):
            kept += _without_repetitions(list(equals))
        self.repeated += len(together) - len(kept)
        return kept


def _what_it_says(arrival: Arrival) -> tuple[object, ...]:
    event = arrival.event
    pid = event.fields.get("pid", "")
    return event.host, event.program, pid, _KIND_ORDER.get(event.kind, 0), event.message, arrival.source


def _without_repetitions(equals: list[Arrival]) -> list[Arrival]:
    if len(equals) == 1 or not equals[0].event.fields.get("pid"):
        return equals
    most = max(Counter(arrival.batch for arrival in equals).values())
    return equals[:most]
