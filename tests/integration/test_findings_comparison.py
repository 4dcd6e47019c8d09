"""Two scans compared: by API, from the cache, and on the page of a scan."""

from __future__ import annotations

from typing import Any

import pytest

from perf.caching import invalidate
from perf.jobs.run import run_job
from securenet.accounts.roles import ROLES
from securenet.network.models import ScanTarget
from securenet.security.findings import triage
from securenet.security.models import Finding, Scan, ScanHost
from tests.integration.people import client_of, client_with, fields_of, staff_client
from tests.integration.test_scans import SSH, asked_scan, scanned
from tests.unit.scanner.servers import curt, free_port, serving

SCANS = "/api/security/scans"


@pytest.fixture(autouse=True)
def loopback() -> None:
    ScanTarget.objects.all().delete()
    ScanTarget.objects.create(network="127.0.0.0/30", rate=5000)


def comparison_of(scan: Scan, earlier: Scan | None = None, client: Any = None) -> dict[str, Any]:
    query = f"?with={earlier.pk}" if earlier else ""
    answer = (client or client_of("viewer")).get(f"{SCANS}/{scan.pk}/comparison{query}")
    assert answer.status_code == 200, answer.content
    return answer.json()


def scan_of(ports: str) -> Scan:
    """A scan that was carried out."""
    scan: Scan = Scan.objects.get(job=scanned(ports))
    return scan


def ports_in(findings: list[dict[str, Any]]) -> set[int]:
    return {finding["port"] for finding in findings}


def test_a_scan_is_compared_with_the_last_of_the_same_targets():
    with serving(curt(SSH)) as stays:
        with serving(curt(SSH)) as goes:
            comes = free_port()
            ports = f"{stays},{goes},{comes}"
            first = scan_of(ports)
        with serving(curt(SSH), port=comes):
            second = scan_of(ports)
    found = comparison_of(second)
    assert (found["scan"], found["compared_with"]) == (second.pk, first.pk)
    assert (ports_in(found["new"]), ports_in(found["gone"]), ports_in(found["unchanged"])) == ({comes}, {goes}, {stays})
    assert found["unchecked"] == []
    assert found["opened"] == [{"address": "127.0.0.1", "port": comes}]
    assert found["closed"] == [{"address": "127.0.0.1", "port": goes}]
    lists = ("new", "gone", "unchanged", "unchecked", "opened", "closed")
    assert found["counts"] == {name: len(found[name]) for name in lists}
    assert {finding["state"] for finding in found["gone"]} == {"resolved"}


def test_without_an_earlier_scan_everything_is_new():
    with serving(curt(SSH)) as port:
        scan = scan_of(str(port))
    found = comparison_of(scan)
    assert found["compared_with"] is None
    assert len(found["new"]) == Finding.objects.count() > 0


def test_what_the_later_scan_did_not_try_is_unchecked():
    with serving(curt(SSH)) as port:
        first = scan_of(str(port))
    found = comparison_of(scan_of(str(free_port())), first)
    assert ports_in(found["unchecked"]) == {port}
    assert (found["gone"], found["closed"]) == ([], [])


def test_a_finding_that_was_gone_long_before_is_gone_beside_the_scan_that_saw_it():
    with serving(curt(SSH)) as port:
        first = scan_of(str(port))
    scan_of(str(port))
    third = scan_of(str(port))
    assert comparison_of(third)["gone"] == []
    assert ports_in(comparison_of(third, first)["gone"]) == {port}


def test_scans_of_other_targets_and_unfinished_ones_are_passed_over():
    port = free_port()
    first = scan_of(str(port))
    scanned(str(port), ("127.0.0.2",))
    asked_scan(["127.0.0.1"], str(port))
    assert comparison_of(scan_of(str(port)))["compared_with"] == first.pk


@pytest.mark.parametrize("role", ROLES)
def test_every_role_may_compare(role: str):
    assert comparison_of(scan_of(str(free_port())), client=client_of(role))["new"] == []


def test_nobody_compares_without_signing_in():
    scan = scan_of(str(free_port()))
    assert client_with("made-up").get(f"{SCANS}/{scan.pk}/comparison").status_code == 401


def test_what_cannot_be_compared_is_refused_with_the_reason():
    scan, client = scan_of(str(free_port())), client_of("viewer")
    assert asked_scan(["127.0.0.1"], "80").status_code == 202
    waiting = Scan.objects.latest("pk")
    assert client.get(f"{SCANS}/{waiting.pk + 1}/comparison").status_code == 404
    unfinished = client.get(f"{SCANS}/{waiting.pk}/comparison")
    assert unfinished.status_code == 409
    assert "submitted" in unfinished.json()["detail"]
    for wrong in ("x", "0", "1.5", str(2**70), str(waiting.pk + 1), str(waiting.pk)):
        answer = client.get(f"{SCANS}/{scan.pk}/comparison?with={wrong}")
        assert answer.status_code == 400, wrong
        assert fields_of(answer) == {"with"}


def test_a_scan_from_before_scans_kept_what_they_saw_is_not_compared():
    with serving(curt(SSH)) as port:
        old, new = scan_of(str(port)), scan_of(str(port))
    ScanHost.objects.filter(scan=old).delete()
    assert comparison_of(new)["compared_with"] is None
    assert client_of("viewer").get(f"{SCANS}/{new.pk}/comparison?with={old.pk}").status_code == 409


def test_a_comparison_is_cached_until_a_triage_or_another_scan_changes_it():
    with serving(curt(SSH)) as port:
        scan_of(str(port))
        scan, client = scan_of(str(port)), client_of("viewer")
    path = f"{SCANS}/{scan.pk}/comparison"
    computed, cached = client.get(path), client.get(path)
    assert "hit" in cached["Cache-Status"]
    assert cached.content == computed.content
    triage(Finding.objects.get(check_id="open-port").pk, by_id=None, state="acknowledged")
    fresh = client.get(path)
    assert "hit" not in fresh["Cache-Status"]
    assert "acknowledged" in {finding["state"] for finding in fresh.json()["unchanged"]}
    scan_of(str(free_port()))
    assert "hit" not in client.get(path)["Cache-Status"]
    invalidate(tags=["scans"])
    assert "hit" not in client.get(path)["Cache-Status"]


def test_a_comparison_asks_the_database_equally_often_however_much_was_found(django_assert_max_num_queries):
    with serving(curt(SSH)) as first, serving(curt(SSH)) as second:
        ports = f"{first},{second}"
        scan_of(ports)
        scan = scan_of(ports)
    client = client_of("viewer")
    client.get("/api/security/findings")
    with django_assert_max_num_queries(8):
        comparison_of(scan, client=client)


def test_the_page_of_a_scan_names_what_is_new_and_gone():
    with serving(curt(SSH)) as port:
        first = scan_of(str(port))
    second = scan_of(str(port))
    client = staff_client("viewer")
    html = client.get(f"/admin/security/scan/{second.pk}/change/").content.decode()
    assert f"Scan {first.pk}" in html
    gone = Finding.objects.filter(state="resolved")
    assert f"0 new, {gone.count()} gone, 0 unchanged" in html
    assert f"/admin/security/finding/{gone[0].pk}/change/" in html
    assert client.get(f"/admin/security/scan/{first.pk}/change/").status_code == 200


def test_a_scan_that_is_tried_again_keeps_one_row_per_host():
    with serving(curt(SSH)) as port:
        job = scanned(str(port))
        job.status, job.finished_at = "submitted", None
        job.save()
        run_job(str(job.pk))
    host = ScanHost.objects.get()
    assert sorted(host.seen) == sorted(Finding.objects.values_list("pk", flat=True))
    assert host.open_ports == [port]
