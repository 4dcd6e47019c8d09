"""A real log of sshd (Loghub, OpenSSH_2k) from the wire to findings: exact, and the same however it arrives.

What is expected is worked out by `tests.unit.logs.sshd_log_by_hand`, which shares no code with the product.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from perf.jobs import submit
from perf.jobs.run import run_job
from perf.models import Job
from securenet.logs import jobs
from securenet.logs.files import ingest_file
from securenet.logs.ingest import ingest_lines
from securenet.logs.models import LogEvent
from securenet.security.models import Finding
from tests.integration.people import client_of
from tests.unit.logs.sshd_log_by_hand import (
    attempts_by_hand,
    brute_forcers_by_hand,
    patient_guessers_by_hand,
    real_log,
)

FACTS = ("check_id", "subject", "title", "description", "severity", "first_seen", "last_seen", "evidence")


def arrived(*batches: Iterable[bytes], source: str = "labsz") -> None:
    """Batches of lines, each with a time of arrival of its own."""
    now = timezone.now()
    for number, batch in enumerate(batches):
        ingest_lines(batch, source=source, received_at=now + timedelta(milliseconds=number))


def analysed(**params: Any) -> dict[str, Any]:
    """The result of an analysis that was carried out."""
    job = submit(jobs.LOG_ANALYSIS, params)
    run_job(str(job.pk))
    job = Job.objects.get(pk=job.pk)
    assert job.status == "completed", job.error
    return job.result


def found() -> list[dict[str, Any]]:
    """What all findings say, without what is only theirs (keys, and when they were written)."""
    return list(Finding.objects.order_by("check_id", "subject").values(*FACTS))


def attempts_found(check: str) -> dict[str, int]:
    findings = Finding.objects.filter(check_id=f"logs.{check}")
    return {finding.subject: finding.evidence["count"] for finding in findings}


def in_shuffled_batches(lines: list[bytes], seed: int) -> list[list[bytes]]:
    """All lines in an order of chance, in pieces of 1 to 300 lines."""
    chance = random.Random(seed)
    rest, batches = chance.sample(lines, len(lines)), []
    while rest:
        size = chance.randint(1, 300)
        batches.append(rest[:size])
        rest = rest[size:]
    return batches


def found_whole(lines: list[bytes]) -> list[dict[str, Any]]:
    """What is found where the log arrives as one; nothing of it stays."""
    arrived(lines)
    result = analysed()
    assert (result["events"], result["repeated"], result["late"]) == (len(lines), 0, 0)
    expected = found()
    Finding.objects.all().delete()
    LogEvent.objects.all().delete()
    return expected


def test_exactly_the_guessers_become_findings_with_exactly_their_attempts():
    lines = real_log()
    attempts = attempts_by_hand(lines)
    answer = client_of("soc_analyst").generic("POST", "/api/logs", b"\n".join(lines), content_type="text/plain")
    assert answer.json()["accepted"] == len(lines)
    analysed()
    assert attempts_found("brute_force") == brute_forcers_by_hand(attempts)
    assert attempts_found("low_and_slow") == patient_guessers_by_hand(attempts)
    assert len(attempts_found("brute_force")) == 11
    assert set(attempts_found("low_and_slow")) == {"52.80.34.196"}
    assert {finding["subject"] for finding in found()} <= set(attempts)


@pytest.mark.parametrize("seed", [1, 2])
def test_shuffled_batches_give_what_the_whole_log_gives(seed: int):
    lines = real_log()
    expected = found_whole(lines)
    arrived(*in_shuffled_batches(lines, seed))
    assert analysed()["late"] == 0
    assert found() == expected


def test_a_log_that_arrives_twice_gives_what_it_gives_once():
    lines = real_log()
    expected = found_whole(lines)
    arrived(lines, *in_shuffled_batches(lines, 3))
    result = analysed()
    assert (result["events"], result["repeated"]) == (len(lines), len(lines))
    assert found() == expected


def test_a_log_that_arrives_again_after_it_was_analysed_changes_nothing():
    lines = real_log()
    arrived(lines)
    analysed()
    before = found()
    arrived(lines)
    assert analysed()["findings_new"] == 0
    assert found() == before


def test_a_log_file_taken_in_twice_gives_what_it_gives_once(tmp_path: Path):
    lines = real_log()
    expected = found_whole(lines)
    path = tmp_path / "auth.log"
    path.write_bytes(b"\n".join(lines))
    for _ in range(2):
        ingest_file(path, source="labsz")
    assert analysed()["repeated"] == len(lines)
    assert found() == expected


def test_pieces_that_overlap_give_what_the_whole_log_gives():
    lines = real_log()
    expected = found_whole(lines)
    arrived(*(lines[start : start + 500] for start in range(0, len(lines), 250)))
    assert analysed()["repeated"] > 0
    assert found() == expected
