"""The page docs/soak.md with its charts."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version

from securenet.run.config import PROJECT_DIR
from tests.benchmarks.charts import write_line_chart
from tests.endurance.samples import Sample
from tests.endurance.verdicts import MOST_GROWTH, Verdict, lasting

PAGE = PROJECT_DIR / "docs" / "soak.md"
CHARTS = PROJECT_DIR / "docs" / "soak"
POINTS = 21
MB = 1024**2

TEXT = """\
# Endurance

`make soak` starts a SecureNet with two web workers and two job workers, and sends a million requests of mixed traffic
from three processes: cached answers, conditional requests, searches that nobody made before, reads that are not
cached, clients that are mostly refused, strangers and wrong passwords from ever new addresses, log lines, assets made
and dropped, jobs of every type, health and metrics. Meanwhile policies are edited every four seconds.
`make soak ARGS="--requests 50000"` is a shorter run; `--minutes 45` ends one after that time and judges what was sent.

Resident memory at the end may be {growth} times that after five hundredths of the requests, at most; figures are
medians over five hundredths. Files, threads and connections may not grow, Redis stays below a fixed bound, no answer is
an error of the server, and every job ends.

Measured on {date}: {machine}. {requests:,} requests in {seconds:,.0f} s, seed {seed}, {edits} policy edits; the slowest
answer took {longest:.2f} s.
"""


def publish(
    samples: Sequence[Sample],
    found: Sequence[Verdict],
    answers: Mapping[str, int],
    seed: int,
    longest: float,
    edits: int,
) -> None:
    """Write page and charts."""
    last = samples[-1]
    text = TEXT.format(
        growth=MOST_GROWTH,
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        machine=f"{os.cpu_count()} cores, Python {platform.python_version()}, Django {version('django')}, "
        f"Granian {version('granian')}",
        requests=last.requests,
        seconds=last.seconds,
        seed=seed,
        edits=edits,
        longest=longest,
    )
    _charts(samples)
    lines = [
        text,
        _table(
            ["", "early", "late", ""],
            [
                [verdict.about, verdict.early, verdict.late, "held" if verdict.held else "**failed**"]
                for verdict in found
            ],
        ),
        "![Resident memory](soak/memory.svg)\n",
        "![Redis and the database](soak/stores.svg)\n",
        "![Open files and connections](soak/files.svg)\n",
        "## What was asked, and what was answered\n",
        _table(["request, status", "times"], [[what, f"{count:,}"] for what, count in sorted(answers.items())]),
    ]
    PAGE.write_text("\n".join(lines))


def _charts(samples: Sequence[Sample]) -> None:
    chosen = [samples[round(n * (len(samples) - 1) / (POINTS - 1))] for n in range(POINTS)]
    xs = [f"{sample.requests / 1000:,.0f}" if n % 4 == 0 else "" for n, sample in enumerate(chosen)]
    title, x = "Resident memory", "thousands of requests"
    names = lasting(samples)

    def series(value: Callable[[Sample, int], float]) -> dict[str, list[float]]:
        found: dict[str, list[float]] = {}
        for pid, name in names.items():
            label = name if name not in found else f"{name} 2"
            if name in ("web worker", "job worker", "recovery") and label not in found and len(found) < 5:
                found[label] = [value(sample, pid) if pid in sample.processes else 0.0 for sample in chosen]
        return found

    write_line_chart(
        CHARTS / "memory.svg", title, x, "MB", xs, series(lambda sample, pid: sample.processes[pid].resident / MB)
    )
    write_line_chart(
        CHARTS / "stores.svg",
        "Redis and the database",
        x,
        "MB",
        xs,
        {
            "Redis, memory": [sample.redis_bytes / MB for sample in chosen],
            "SQLite, file": [sample.database_bytes / MB for sample in chosen],
        },
    )
    files = series(lambda sample, pid: sample.processes[pid].files)
    connections = [float(sample.redis_clients) for sample in chosen]
    write_line_chart(
        CHARTS / "files.svg",
        "Open files and connections",
        x,
        "",
        xs,
        {**dict(list(files.items())[:4]), "connections to Redis": connections},
    )


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
