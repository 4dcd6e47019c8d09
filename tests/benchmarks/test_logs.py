"""Log analysis: lines per second of each step, and a million lines in one job."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

import pytest
from django.conf import settings

from perf.models import JobPolicy
from securenet.logs.analysis import analyse
from securenet.logs.parsers import parse_lines
from securenet.run.config import PROJECT_DIR
from securenet.run.redis_server import RedisServer
from tests.benchmarks.log_process import ATTACKERS, lines_of
from tests.benchmarks.report import Table, publish
from tests.benchmarks.rounds import Rounds
from tests.chaos.load import Servers, database_url

pytestmark = pytest.mark.bench

LINES, MANY, ROUNDS = 50_000, 1_000_000, 5
TEXT = f"""
Lines of sshd, of a web server, and of a program that no parser knows, a quarter each, with {ATTACKERS} attackers among
them who have to be found exactly. *Parse* and *detect* are pure Python in one process, without a database; the steps
of the job are with one (SQLite): lines become rows, then one job reads them in the order of their times, through all
detectors. Memory is the most that the process had, Django with everything included.
"""


def lines_per_second(work: Callable[[], object]) -> float:
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        seconds.append((time.perf_counter() - began) / LINES)
    return Rounds(seconds).per_second


def test_lines_per_second(redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = list(lines_of(LINES))
    now = datetime(2026, 11, 20, tzinfo=UTC)
    events = list(parse_lines(lines, now=now, default_timezone=UTC))
    parse = lines_per_second(lambda: list(parse_lines(lines, now=now, default_timezone=UTC)))
    detect = lines_per_second(lambda: analyse(events))
    both = lines_per_second(lambda: analyse(parse_lines(lines, now=now, default_timezone=UTC)))

    JobPolicy.objects.update_or_create(name="log_analysis", defaults={"timeout": 3600})
    monkeypatch.setenv("SECRET_KEY", settings.SECRET_KEY)
    servers = Servers(redis.url, database_url(), tmp_path)
    command = [sys.executable, "-m", "tests.benchmarks.log_process", str(MANY)]
    done = subprocess.run(
        command, cwd=PROJECT_DIR, env=servers.environment, stdout=subprocess.PIPE, check=True, timeout=1800
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["status"] == "completed", told["error"]
    assert told["result"]["events"] in range(MANY, MANY + 20)
    assert len(told["subjects"]) == ATTACKERS
    assert all(subject.startswith("203.0.113.") for subject in told["subjects"])
    assert told["others"] == []
    publish(
        "logs",
        "Analysing logs",
        TEXT,
        Table(
            ["step", "lines/s"],
            [
                ["parse", f"{parse:,.0f}"],
                ["detect", f"{detect:,.0f}"],
                ["parse and detect", f"{both:,.0f}"],
                [f"take in {MANY:,} lines as rows", f"{MANY / told['ingest_seconds']:,.0f}"],
                [f"one job over {MANY:,} rows", f"{MANY / told['analysis_seconds']:,.0f}"],
            ],
        ),
        f"The job over {MANY:,} lines took {told['analysis_seconds']:.0f} s and the process had at most "
        f"{told['megabytes']:.0f} MB, {told['megabytes'] - told['megabytes_before']:.0f} MB more than before; all "
        f"{ATTACKERS} attackers were found, and nothing else.",
    )


def test_the_generated_log_has_what_it_says() -> None:
    assert len(list(lines_of(10_000))) in range(10_000, 10_050)
    assert list(islice(lines_of(1000), 5)) == list(islice(lines_of(1000), 5))
