"""What the origin of cached responses wrote down: which entry it computed, when it began and when it ended."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

ROUNDS = 20_000  # of PBKDF2, which a view computes: some ten milliseconds


@dataclass(frozen=True, slots=True)
class OriginCall:
    """One run of a view behind the cache. Nanoseconds of CLOCK_MONOTONIC; ``ended`` is 0 where it never did."""

    key: str
    call: str
    process: int
    began: int
    ended: int


def read_origin_calls(file: Path) -> list[OriginCall]:
    """All calls, by their beginning."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    ends = {line["call"]: line["at"] for line in lines if "key" not in line}
    calls = [
        OriginCall(line["key"], line["call"], line["process"], line["at"], ends.get(line["call"], 0))
        for line in lines
        if "key" in line
    ]
    return sorted(calls, key=lambda call: call.began)
