"""When a scan may say that a finding is gone: only at its end, only of what it looked at, never against people."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from perf.jobs import states
from perf.models import Job
from securenet.network.models import ScanTarget
from securenet.security.findings import record_finding, resolve, triage
from securenet.security.models import Finding, Scan, ScanHost
from tests.integration.test_scans import SSH, asked_scan, carried_out, on_first_finding, scanned
from tests.integration.test_security import given_finding, sight
from tests.unit.scanner.servers import curt, serving

NOW = timezone.now()
LATER = NOW + timedelta(minutes=5)


def given_loopback() -> ScanTarget:
    ScanTarget.objects.all().delete()
    return ScanTarget.objects.create(network="127.0.0.0/30", rate=5000)


@pytest.mark.parametrize("ending", ["cancelled", "failed"])
def test_a_scan_that_does_not_come_to_its_end_resolves_nothing(ending: str):
    target = given_loopback()
    with serving(curt(SSH)) as stays:
        with serving(curt(SSH)) as goes:
            scanned(f"{stays},{goes}")
        job_id = asked_scan(["127.0.0.1", "127.0.0.2"], f"{stays},{goes}").json()["id"]
        stop: dict[str, Callable[[], object]] = {
            "cancelled": lambda: states.cancel(Job.objects.get(pk=job_id)),
            "failed": target.delete,
        }
        with on_first_finding(stop[ending]):
            assert carried_out(job_id).status == ending
    host = ScanHost.objects.get(scan=Scan.objects.latest("pk"))
    assert Finding.objects.get(check_id="open-port", port=goes).pk in host.gone
    assert set(Finding.objects.values_list("state", flat=True)) == {"open"}
    assert Scan.objects.latest("pk").findings_resolved == 0


def test_a_scan_resolves_with_its_completion_and_counts_it():
    given_loopback()
    with serving(curt(SSH)) as port:
        scanned(str(port))
    job = scanned(str(port))
    scan = Scan.objects.get(job=job)
    assert job.status == "completed"
    assert scan.findings_resolved == job.result["findings_resolved"] == Finding.objects.filter(state="resolved").count()


def test_what_a_person_judged_after_the_scan_looked_stays_as_it_is():
    finding = given_finding(seen_at=NOW - timedelta(days=1))
    looked_at = timezone.now()
    triage(finding.pk, by_id=None, state="acknowledged")
    assert resolve([finding.pk], looked_at) == 0
    assert Finding.objects.get().state == "acknowledged"
    assert resolve([finding.pk], timezone.now()) == 1


def test_what_another_scan_saw_since_stays_open():
    finding = given_finding(seen_at=LATER)
    assert resolve([finding.pk], NOW) == 0
    assert Finding.objects.get().state == "open"


def test_each_return_is_one_regression_however_often_it_is_recorded():
    finding = given_finding()
    for day in (1, 2, 3):
        resolve([finding.pk], NOW + timedelta(days=day))
        for _ in range(2):
            record_finding(**{**sight(), "seen_at": NOW + timedelta(days=day, hours=1)})
        finding.refresh_from_db()
        assert (finding.state, finding.regressions) == ("open", day)


def test_a_person_who_reopens_a_finding_reports_no_regression():
    finding = given_finding()
    resolve([finding.pk], NOW)
    triage(finding.pk, by_id=None, state="open")
    finding.refresh_from_db()
    assert (finding.state, finding.regressions) == ("open", 0)


def test_the_version_before_may_write_findings_beside_this_one():
    given_finding()
    fields = [field for field in Finding._meta.concrete_fields if not field.generated and not field.primary_key]
    known = [field.column for field in fields if field.name not in ("regressions", "accepted_until")]
    copied = ", ".join("'f'" if column == "fingerprint" else column for column in known)
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO security_finding ({', '.join(known)}) SELECT {copied} FROM security_finding")
    written = Finding.objects.get(fingerprint="f")
    assert (written.regressions, written.accepted_until) == (0, None)
