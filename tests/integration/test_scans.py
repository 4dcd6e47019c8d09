"""Scans from the request to the resolved finding. They look at loopback only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from django.db.models.signals import post_save
from django.utils import timezone

from perf.jobs import states
from perf.jobs.run import run_job
from perf.models import Job
from securenet.accounts.roles import ANALYSTS
from securenet.network.models import Asset, ScanTarget, Service
from securenet.notifications.models import Notification
from securenet.security.models import Finding, Scan
from securenet.security.scan_params import DEFAULT_PORTS
from securenet.security.scan_results import conclude, store_results
from securenet.security.scanner import HostResult, Issue, PortResult, PortState
from securenet.security.scanner import Severity as IssueSeverity
from tests.integration.people import client_of, fields_of, given_user, staff_client
from tests.unit.scanner.servers import curt, free_port, serving

FINDINGS = "/api/security/findings"
SCANS = "/api/security/scans"
LOOPBACK = "127.0.0.1"
NOW = timezone.now()


def titles(response) -> list[str]:
    assert response.status_code == 200, response.content
    return [finding["title"] for finding in response.json()["results"]]


# --- Scans are asked for


@pytest.fixture
def loopback() -> ScanTarget:
    """Only 127.0.0.0/30 is authorised."""
    ScanTarget.objects.all().delete()
    return ScanTarget.objects.create(network="127.0.0.0/30", rate=5000)


def asked_scan(targets: list[str], ports: str, client: Any = None) -> Any:
    return (client or client_of("soc_analyst")).post(SCANS, {"targets": targets, "ports": ports})


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("role", sorted(ANALYSTS))
def test_a_scan_is_accepted_and_listed_from_that_moment(role: str):
    client = client_of(role)
    answer = asked_scan([LOOPBACK], "81,80", client)
    assert answer.status_code == 202
    job = answer.json()
    assert answer["Location"] == f"/api/performance/background-job/{job['id']}"
    assert (job["type"], job["status"]) == ("security_scan", "submitted")
    [scan] = client.get(SCANS).json()["results"]
    assert (scan["job"], scan["state"], scan["targets"], scan["ports"]) == (
        job["id"],
        "submitted",
        [LOOPBACK],
        "80-81",
    )
    assert client.get(f"{SCANS}/{scan['id']}").json()["started_by"].startswith("user")


@pytest.mark.usefixtures("loopback")
def test_viewers_see_scans_and_start_none():
    viewer = client_of("viewer")
    asked_scan([LOOPBACK], "80")
    assert asked_scan([LOOPBACK], "80", viewer).status_code == 403
    assert len(viewer.get(SCANS).json()["results"]) == 1
    assert Job.objects.count() == 1


@pytest.mark.usefixtures("loopback")
def test_a_scan_without_ports_tries_the_usual_ones():
    client_of("soc_analyst").post(SCANS, {"targets": [LOOPBACK]})
    assert Job.objects.get().params == {"targets": [LOOPBACK], "ports": DEFAULT_PORTS}


@pytest.mark.usefixtures("loopback")
def test_a_scan_submitted_as_a_job_is_a_scan_like_any_other():
    body = {"type": "security_scan", "params": {"targets": [LOOPBACK], "ports": "80"}}
    answer = client_of("platform_owner").post("/api/performance/background-job", body)
    assert answer.status_code == 202
    assert str(Scan.objects.get().job_id) == answer.json()["id"]


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize(
    ("target", "reason"),
    [
        ("10.0.0.1", "outside"),
        ("127.0.1.0/30", "outside"),
        ("169.254.169.254", "metadata"),
        ("fe80::1%eth0", "link_local"),
    ],
)
def test_a_target_that_may_not_be_scanned_is_refused_with_the_reason(target: str, reason: str):
    answer = asked_scan([LOOPBACK, target], "80")
    assert answer.status_code == 403
    problem = answer.json()
    assert (problem["target"], problem["reason"]) == (target, reason)
    assert target in problem["detail"]
    assert not Job.objects.exists()
    assert not Scan.objects.exists()


@pytest.mark.usefixtures("loopback")
def test_a_stored_asset_is_scanned_at_the_address_it_has_when_the_scan_runs():
    asset = Asset.objects.create(address="127.0.0.1", name="gate")
    with serving(curt(b"SSH-2.0-OpenSSH_9.9p1\r\n")) as port:
        answer = asked_scan([f"asset:{asset.pk}"], str(port))
        assert answer.status_code == 202, answer.content
        assert Scan.objects.get().targets == [f"asset:{asset.pk}"]
        Asset.objects.filter(pk=asset.pk).update(address="127.0.0.2")
        run_job(answer.json()["id"])
    assert Scan.objects.get().hosts_up == 1
    assert Asset.objects.filter(address="127.0.0.2").exists()


@pytest.mark.usefixtures("loopback")
def test_a_stored_asset_is_refused_where_its_address_is():
    asset = Asset.objects.create(address="10.9.9.9")
    answer = asked_scan([LOOPBACK, f"asset:{asset.pk}"], "80")
    assert answer.status_code == 403
    assert (answer.json()["target"], answer.json()["reason"]) == (f"asset:{asset.pk}", "outside")
    assert "10.9.9.9" in answer.json()["detail"]


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("target", ["asset:999999", "asset:", "asset:x", "asset:-1", "asset:01", "asset:1 "])
def test_an_asset_that_is_none_is_refused_with_the_way_to_write_one(target: str):
    answer = asked_scan([LOOPBACK, target], "80")
    assert answer.status_code == 400
    (error,) = answer.json()["errors"]
    assert error["field"] == "targets.1"
    assert "asset" in error["detail"]


def test_ports_and_time_of_the_authorisation_count(loopback: ScanTarget):
    loopback.ports = "80-90"
    loopback.save()
    assert asked_scan([LOOPBACK], "80-91").json()["reason"] == "ports"
    loopback.valid_until = timezone.now() - timedelta(seconds=1)
    loopback.save()
    assert asked_scan([LOOPBACK], "80").json()["reason"] == "expired"
    loopback.enabled = False
    loopback.save()
    assert asked_scan([LOOPBACK], "80").json()["reason"] == "outside"


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"targets": [LOOPBACK, "127.0.0.1/24/3"]}, "targets.1"),
        ({"targets": ["0177.0.0.1"]}, "targets.0"),
        ({"targets": ["http://127.0.0.1/"]}, "targets.0"),
        ({"targets": []}, "targets"),
        ({"targets": "127.0.0.1"}, "targets"),
        ({}, "targets"),
        ({"targets": [LOOPBACK], "ports": "80-"}, "ports"),
        ({"targets": [LOOPBACK], "speed": 9}, "speed"),
        ({"targets": ["no-such-host.invalid"]}, "targets.0"),
        ({"targets": ["127.0.0.0/8"]}, "targets.0"),
    ],
)
def test_a_scan_that_makes_no_sense_is_refused_by_name(body: dict, field: str):
    answer = client_of("soc_analyst").post(SCANS, body)
    assert answer.status_code == 400
    assert fields_of(answer) == {field}
    assert not Job.objects.exists()


# --- Scans are carried out


def scanned(ports: str, targets: tuple[str, ...] = (LOOPBACK,)) -> Job:
    """A scan from the request to the end of its job, carried out in this process."""
    answer = asked_scan(list(targets), ports)
    assert answer.status_code == 202, answer.content
    return carried_out(answer.json()["id"])


def carried_out(job_id: str) -> Job:
    run_job(job_id)
    return Job.objects.get(pk=job_id)


@contextmanager
def on_first_finding(act: Callable[[], object]) -> Iterator[None]:
    """Do something in the middle of a scan: right after its first finding was written."""
    acted: list[object] = []

    def receiver(**_: Any) -> None:
        if not acted:
            acted.append(True)
            act()

    post_save.connect(receiver, sender=Finding)
    try:
        yield
    finally:
        post_save.disconnect(receiver, sender=Finding)


SSH = b"SSH-2.0-OpenSSH_9.9\r\n"


@pytest.mark.usefixtures("loopback")
def test_a_scan_finds_what_listens_and_writes_it_down():
    with serving(curt(SSH)) as port:
        job = scanned(f"{port},{free_port()}")
    assert (job.status, job.error) == ("completed", "")
    assert (job.result["hosts_up"], job.result["open_ports"]) == (1, 1)
    assert job.result["findings_new"] == Finding.objects.count() > 0
    service = Service.objects.get()
    assert (service.asset.address, service.port, service.name, service.state) == (LOOPBACK, port, "ssh", "open")
    finding = Finding.objects.get(check_id="open-port")
    assert (finding.asset, finding.subject, finding.port) == (service.asset, LOOPBACK, port)
    scan = client_of("viewer").get(SCANS).json()["results"][0]
    assert (scan["state"], scan["hosts_total"], scan["open_ports"]) == ("completed", 1, 1)
    assert scan["finished_at"] is not None


@pytest.mark.usefixtures("loopback")
def test_what_a_scan_found_is_in_cached_answers_once_its_job_is_completed():
    reader = client_of("viewer")
    assert titles(reader.get(FINDINGS)) == []
    assert reader.get("/api/network/assets").json()["results"] == []
    with serving(curt(SSH)) as port:
        scanned(str(port))
    assert len(titles(reader.get(FINDINGS))) == Finding.objects.count() > 0
    assert len(reader.get("/api/network/assets").json()["results"]) == 1


@pytest.mark.usefixtures("loopback")
def test_a_service_that_is_gone_resolves_its_findings_and_its_return_reopens_them():
    with serving(curt(SSH)) as port:
        scanned(str(port))
    count = Finding.objects.count()
    assert scanned(str(port)).result["findings_resolved"] == count
    assert set(Finding.objects.values_list("state", flat=True)) == {"resolved"}
    assert Service.objects.get().state == "closed"
    with serving(curt(SSH), port=port):
        job = scanned(str(port))
    assert job.result["findings_new"] == count == Finding.objects.count()
    assert set(Finding.objects.values_list("state", "regressions")) == {("open", 1)}


@pytest.mark.usefixtures("loopback")
def test_a_scan_that_did_not_look_there_resolves_nothing():
    with serving(curt(SSH)) as port:
        scanned(str(port))
    scanned(str(free_port()))
    assert set(Finding.objects.values_list("state", flat=True)) == {"open"}


@pytest.mark.usefixtures("loopback")
def test_identical_scans_leave_identical_findings():
    with serving(curt(SSH)) as port:
        scanned(str(port))
        before = list(Finding.objects.order_by("pk").values("pk", "fingerprint", "state", "title"))
        scanned(str(port))
    assert list(Finding.objects.order_by("pk").values("pk", "fingerprint", "state", "title")) == before
    assert set(Finding.objects.values_list("times_seen", flat=True)) == {2}


def test_authorisation_withdrawn_before_the_scan_runs_fails_it(loopback: ScanTarget):
    job_id = asked_scan([LOOPBACK], "80").json()["id"]
    loopback.delete()
    job = carried_out(job_id)
    assert job.status == "failed"
    assert LOOPBACK in job.error
    assert "authorised" in job.error
    assert not Asset.objects.exists()


def test_authorisation_withdrawn_while_a_scan_runs_stops_it(loopback: ScanTarget):
    with serving(curt(SSH)) as port, on_first_finding(lambda: loopback.delete()):
        job = scanned(str(port), ("127.0.0.1", "127.0.0.2"))
    assert job.status == "failed"
    assert list(Asset.objects.values_list("address", flat=True)) == ["127.0.0.1"]


@pytest.mark.usefixtures("loopback")
def test_a_cancelled_scan_writes_nothing_more():
    with serving(curt(SSH)) as port:
        job = Job.objects.get(pk=asked_scan(["127.0.0.1", "127.0.0.2"], str(port)).json()["id"])
        with on_first_finding(lambda: states.cancel(job)):
            assert carried_out(str(job.pk)).status == "cancelled"
    assert list(Asset.objects.values_list("address", flat=True)) == ["127.0.0.1"]
    assert client_of("viewer").get(f"{SCANS}?state=cancelled").json()["results"][0]["state"] == "cancelled"


@pytest.mark.usefixtures("loopback")
def test_a_scan_that_is_tried_again_has_its_effects_once():
    def fail() -> None:
        raise RuntimeError("the database went away")

    with serving(curt(SSH)) as port:
        job_id = asked_scan(["127.0.0.1"], str(port)).json()["id"]
        with on_first_finding(fail):
            assert carried_out(job_id).status == "submitted"
        assert not Asset.objects.exists()
        Job.objects.filter(pk=job_id).update(run_after=None)
        job = carried_out(job_id)
    assert (job.status, job.attempt) == ("completed", 2)
    assert job.result["findings_new"] == Finding.objects.count()
    assert set(Finding.objects.values_list("times_seen", flat=True)) == {1}


@pytest.mark.usefixtures("loopback")
def test_a_scan_outlives_its_job():
    job = scanned(str(free_port()))
    job.delete()
    scan = client_of("viewer").get(SCANS).json()["results"][0]
    assert (scan["job"], scan["state"]) == (None, "completed")
    assert scan["started_at"] is not None
    assert scan["finished_at"] is not None


def test_scans_are_listed_with_one_query(loopback: ScanTarget, django_assert_num_queries):
    for port in range(80, 90):
        asked_scan([LOOPBACK], str(port))
    client = client_of("viewer")
    client.get(f"{SCANS}?state=failed")
    with django_assert_num_queries(1):
        assert len(client.get(SCANS).json()["results"]) == 10


# --- What a scan's results become


def given_scan() -> Scan:
    return Scan.objects.create(targets=["10.0.0.5"], ports="443")


def result_with(
    *issues: Issue, hostname: str | None = None, state: PortState = PortState.OPEN, checks: frozenset[str] = frozenset()
) -> HostResult:
    """What a scan of port 443 of 10.0.0.5 came to."""
    port = PortResult(443, state, service="https", assessed=checks | {issue.check_id for issue in issues})
    reachable = state is not PortState.FILTERED
    return HostResult(ip_address("10.0.0.5"), hostname, reachable, (port,), issues)


def issue_of(check_id: str = "some-check", severity: IssueSeverity = IssueSeverity.HIGH) -> Issue:
    return Issue(check_id, 443, f"{check_id} failed", severity, "What is wrong.", "What to do.")


def test_serious_findings_are_told_once_per_machine_to_those_who_can_act():
    owner, analyst = given_user("platform_owner"), given_user("soc_analyst")
    given_user("viewer")
    issues = (issue_of("one"), issue_of("two", IssueSeverity.CRITICAL), issue_of("three", IssueSeverity.LOW))
    scan = given_scan()
    store_results(scan, [result_with(*issues)], NOW)
    store_results(scan, [result_with(*issues)], NOW)
    told = Notification.objects.order_by("user_id")
    assert [notification.user for notification in told] == [owner, analyst]
    assert told[0].severity == "critical"
    assert "two failed" in told[0].title
    assert "one failed" in told[0].body
    assert "three" not in told[0].body
    assert told[0].link == f"{FINDINGS}/{Finding.objects.get(check_id='two').pk}"


def test_less_serious_findings_bother_nobody():
    given_user("platform_owner")
    store_results(given_scan(), [result_with(issue_of(severity=IssueSeverity.MEDIUM))], NOW)
    assert not Notification.objects.exists()


def state_after(result: HostResult) -> str:
    """The state of a finding at port 443 after another scan came to `result`."""
    store_results(given_scan(), [result_with(issue_of())], NOW)
    scan, later = given_scan(), NOW + timedelta(hours=1)
    store_results(scan, [result], later)
    assert Finding.objects.get().state == "open", "resolved before the scan was through"
    conclude(scan, later)
    return Finding.objects.get().state


def test_a_check_that_passed_resolves_its_finding():
    assert state_after(result_with(checks=frozenset({"some-check"}))) == "resolved"


def test_a_closed_port_resolves_its_findings():
    assert state_after(result_with(state=PortState.CLOSED)) == "resolved"


def test_a_check_that_could_not_be_made_resolves_nothing():
    assert state_after(result_with()) == "open"


def test_a_host_that_does_not_answer_resolves_nothing():
    assert state_after(result_with(state=PortState.FILTERED)) == "open"


def test_a_check_that_passed_under_another_name_resolves_nothing():
    assert state_after(result_with(checks=frozenset({"some-check"}), hostname="other.example")) == "open"


def test_one_address_under_two_names_keeps_what_one_of_them_shows():
    good = result_with(checks=frozenset({"some-check"}), hostname="good.example")
    bad = result_with(issue_of(), hostname="bad.example")
    for hours, results in enumerate(([bad, good], [good, bad])):
        scan, seen_at = given_scan(), NOW + timedelta(hours=hours)
        store_results(scan, results, seen_at)
        conclude(scan, seen_at)
        assert Finding.objects.get().state == "open"
    assert Asset.objects.count() == 1


def test_findings_outlive_their_asset_and_find_it_again():
    store_results(given_scan(), [result_with(issue_of())], NOW)
    Asset.objects.all().delete()
    assert Finding.objects.get().asset is None
    store_results(given_scan(), [result_with(issue_of())], NOW + timedelta(hours=1))
    assert Finding.objects.get().asset == Asset.objects.get()


# --- Admin


@pytest.mark.usefixtures("loopback")
def test_the_admin_pages_of_scans_open_and_search():
    asked_scan([LOOPBACK], "80")
    client = staff_client("viewer")
    for page in ("?q=user", "?job__status__exact=submitted&o=2.5", f"{Scan.objects.get().pk}/change/"):
        assert client.get(f"/admin/security/scan/{page}").status_code == 200, page


@pytest.mark.usefixtures("loopback")
def test_a_scan_is_repeated_from_the_admin_under_todays_authorisation():
    asked_scan([LOOPBACK], "80")
    form = {"action": "scan_again", "_selected_action": [Scan.objects.get().pk]}
    client = staff_client("security_admin")
    client.post("/admin/security/scan/", form)
    assert Scan.objects.count() == 2
    ScanTarget.objects.all().delete()
    html = client.post("/admin/security/scan/", form, follow=True).content.decode()
    assert "no authorised network" in html
    assert Scan.objects.count() == 2
