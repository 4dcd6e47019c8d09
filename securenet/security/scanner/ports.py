"""Sets of TCP ports, read from text such as ``1-1024,8080`` and written back in one canonical form.

A `PortSet` keeps merged, sorted ranges, so that "all ports" costs as much memory as "port 22".
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

FIRST_PORT: Final = 1
LAST_PORT: Final = 65535
MAX_TEXT: Final = 8192

_PART = re.compile(r"(?P<first>[0-9]{1,5})(?:\s*-\s*(?P<last>[0-9]{1,5}))?", re.ASCII)


class InvalidPorts(ValueError):
    """Text that is no list of ports. `part` is the piece that is wrong, `problem` says what to write
    instead."""

    def __init__(self, part: str, problem: str) -> None:
        super().__init__(f"{part!r}: {problem}" if part else problem)
        self.part = part
        self.problem = problem


@dataclass(frozen=True, slots=True)
class PortSet:
    """An immutable set of ports 1 to 65535.

    ranges: pairs (first, last), both included; overlapping and adjacent ones are merged.
    Raises InvalidPorts for a port out of bounds and for a range that runs backwards.
    """

    ranges: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        for first, last in self.ranges:
            _check_range(f"{first}-{last}", first, last)
        object.__setattr__(self, "ranges", _merged(self.ranges))

    @classmethod
    def of(cls, *ports: int) -> Self:
        """The set of these ports."""
        return cls(tuple((port, port) for port in ports))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a comma-separated list of ports and ranges; spaces around them do not matter.

        Raises InvalidPorts, which names the wrong part.
        """
        if len(text) > MAX_TEXT:
            raise InvalidPorts("", f"the list of ports is longer than {MAX_TEXT} characters; use ranges such as 1-1024")
        if not text.strip():
            raise InvalidPorts("", "no ports given; write for example 1-1024,8080")
        return cls(tuple(_parse_part(part.strip()) for part in text.split(",")))

    def __contains__(self, port: object) -> bool:
        if not isinstance(port, int):
            return False
        index = bisect_right(self.ranges, (port, LAST_PORT)) - 1
        return index >= 0 and self.ranges[index][0] <= port <= self.ranges[index][1]

    def __iter__(self) -> Iterator[int]:
        for first, last in self.ranges:
            yield from range(first, last + 1)

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.ranges)

    def __str__(self) -> str:
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in self.ranges)

    def __or__(self, other: PortSet) -> PortSet:
        return PortSet(self.ranges + other.ranges)

    def __and__(self, other: PortSet) -> PortSet:
        return PortSet(tuple(_overlaps(self.ranges, other.ranges)))

    def __sub__(self, other: PortSet) -> PortSet:
        return self & other._complement()

    def issubset(self, other: PortSet) -> bool:
        """Whether every port of this set is in the other."""
        return not self - other

    __le__ = issubset

    def _complement(self) -> PortSet:
        firsts = [FIRST_PORT, *(last + 1 for _, last in self.ranges)]
        lasts = [*(first - 1 for first, _ in self.ranges), LAST_PORT]
        return PortSet(tuple((first, last) for first, last in zip(firsts, lasts, strict=True) if first <= last))


def _parse_part(part: str) -> tuple[int, int]:
    match = _PART.fullmatch(part)
    if match is None:
        shown = part[:40]
        raise InvalidPorts(shown or ",", "write a port (8080) or a range (1-1024), separated by single commas")
    first = int(match["first"])
    last = int(match["last"]) if match["last"] else first
    _check_range(part, first, last)
    return first, last


def _check_range(part: str, first: int, last: int) -> None:
    if not (FIRST_PORT <= first <= LAST_PORT and FIRST_PORT <= last <= LAST_PORT):
        raise InvalidPorts(part, f"ports go from {FIRST_PORT} to {LAST_PORT}")
    if first > last:
        raise InvalidPorts(part, f"the range runs backwards; write {last}-{first}")


def _overlaps(ours: Sequence[tuple[int, int]], theirs: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The common parts of two sorted lists of disjoint ranges, in one pass over both."""
    i = j = 0
    while i < len(ours) and j < len(theirs):
        first, last = max(ours[i][0], theirs[j][0]), min(ours[i][1], theirs[j][1])
        if first <= last:
            yield first, last
        if ours[i][1] < theirs[j][1]:
            i += 1
        else:
            j += 1


def _merged(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


ALL_PORTS: Final = PortSet(((FIRST_PORT, LAST_PORT),))
