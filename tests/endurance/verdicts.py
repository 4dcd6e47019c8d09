"""Whether what was sampled grows. Pure: samples in, verdicts out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

from tests.endurance.samples import Sample

# Resident memory at the end against that after `EARLY` of the requests.
MOST_GROWTH: Final = 1.01
# Share of the requests after which processes have warmed up: 50,000 of 1,000,000.
EARLY: Final = 0.05
WINDOW: Final = 0.05  # share of the requests over which a figure is the median
# Of a cache budget of 64 MB, 200,000 clients' counters, a day's statistics, and the record of recent traffic.
REDIS_BOUND: Final = 256 * 1024**2
SPARE_FILES: Final = 8  # a job's connections, a log file that is being cut


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing that was judged, in words."""

    about: str
    early: str
    late: str
    held: bool


def verdicts(samples: Sequence[Sample], answers: Mapping[str, int], failures: Sequence[str]) -> list[Verdict]:
    """Judge memory, files, connections, Redis and answers."""
    return [
        *_memory(samples),
        *_counts(samples),
        _redis(samples),
        _answers(answers, failures),
    ]


def around(samples: Sequence[Sample], share: float, value: Callable[[Sample], float]) -> float:
    """The median of the samples that were taken in the `WINDOW` after ``share`` of the requests; the next otherwise."""
    total = samples[-1].requests
    begin, end = share * total, (share + WINDOW) * total
    inside = [value(sample) for sample in samples if begin <= sample.requests <= end]
    later = [value(sample) for sample in samples if sample.requests >= begin]
    return float(median(inside or later[:1]))


def lasting(samples: Sequence[Sample]) -> dict[int, str]:
    """The processes that lived from the early moment to the end, with their names."""
    settled = [sample for sample in samples if sample.requests >= EARLY * samples[-1].requests]
    common = set.intersection(*(set(sample.processes) for sample in settled))
    return {pid: settled[0].processes[pid].name for pid in sorted(common)}


def _memory(samples: Sequence[Sample]) -> list[Verdict]:
    found = []
    settled = [sample for sample in samples if sample.requests >= EARLY * samples[-1].requests]
    for pid, name in lasting(samples).items():
        if name == "Redis":
            continue  # it is judged by its bound
        early = around(settled, EARLY, lambda sample, pid=pid: sample.processes[pid].resident)  # type: ignore[misc]
        late = around(settled, 1 - WINDOW, lambda sample, pid=pid: sample.processes[pid].resident)  # type: ignore[misc]
        found.append(
            Verdict(
                f"memory of {name} ({pid})",
                _megabytes(early),
                f"{_megabytes(late)} ({late / early:.3f} ×)",
                late <= early * MOST_GROWTH,
            )
        )
    return found


def _counts(samples: Sequence[Sample]) -> list[Verdict]:
    found = []
    settled = [sample for sample in samples if sample.requests >= EARLY * samples[-1].requests]
    for pid, name in lasting(samples).items():
        for what in ("files", "threads"):
            values = [getattr(sample.processes[pid], what) for sample in settled]
            half = len(values) // 2
            early, late = max(values[: half or 1]), median(values[half:])
            found.append(Verdict(f"{what} of {name} ({pid})", f"{early}", f"{late:g}", late <= early + SPARE_FILES))
    clients = [sample.redis_clients for sample in settled]
    half = len(clients) // 2
    early, late = max(clients[: half or 1]), median(clients[half:])
    found.append(Verdict("connections to Redis", f"{early}", f"{late:g}", late <= early + SPARE_FILES))
    return found


def _redis(samples: Sequence[Sample]) -> Verdict:
    most = max(sample.redis_bytes for sample in samples)
    return Verdict(
        "memory of Redis", _megabytes(samples[0].redis_bytes), f"at most {_megabytes(most)}", most <= REDIS_BOUND
    )


def _answers(answers: Mapping[str, int], failures: Sequence[str]) -> Verdict:
    wrong = sum(count for what, count in answers.items() if what.rpartition(" ")[2] >= "500" and not _is_full(what))
    return Verdict(
        "answers", f"{sum(answers.values()):,}", f"{wrong} of 5xx, {len(failures)} without", not wrong and not failures
    )


def _is_full(what: str) -> bool:
    """A queue that is full says 503, as it should."""
    return what == "job 503"


def _megabytes(number: float) -> str:
    return f"{number / 1024**2:.1f} MB"
