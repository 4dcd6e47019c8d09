"""Findings and their triage, and scans from the request to the resolved finding. Scans here look at loopback only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import pytest
from django.db.models.signals import post_save
from django.test import Client
from django.utils import timezone

from perf.jobs import states
from perf.jobs.run import run_job
from perf.models import Job
from securenet.accounts.roles import ANALYSTS, ROLES, install_roles
from securenet.network.inventory import record_host
from securenet.network.models import Asset, ScanTarget, Service
from securenet.notifications.models import Notification
from securenet.security.findings import TransitionRefused, may_become, record_finding, resolve, triage
from securenet.security.models import Finding, Scan, Severity
from securenet.security.scan_params import DEFAULT_PORTS
from securenet.security.scan_results import store_results
from securenet.security.scanner import HostResult, Issue, PortResult, PortState
from securenet.security.scanner import Severity as IssueSeverity
from tests.integration.people import client_for, client_of, fields_of, given_user
from tests.unit.scanner.servers import free_port, greeting, serving

FINDINGS = "/api/security/findings"
SUMMARY = "/api/security/summary"
SCANS = "/api/security/scans"
LOOPBACK = "127.0.0.1"
NOW = timezone.now()


def given_finding(number: int = 1, **fields: Any) -> Finding:
    """A finding as a scan or an analysis would record it."""
    finding, _ = record_finding(**{**sight(number), **fields})
    return finding


def sight(number: int = 1) -> dict[str, Any]:
    return {
        "fingerprint": f"{number:064x}",
        "source": "scan",
        "check_id": "some-check",
        "title": f"Finding {number}",
        "description": "What is wrong.",
        "advice": "What to do.",
        "severity": "medium",
        "confidence": 80,
        "evidence": {"banner": "hello"},
        "seen_at": NOW,
    }


def titles(response) -> list[str]:
    assert response.status_code == 200, response.content
    return [finding["title"] for finding in response.json()["results"]]


# --- How findings come and go


def test_a_thing_seen_twice_is_one_finding_that_was_seen_twice():
    first, is_new = record_finding(**sight())
    again, is_new_again = record_finding(
        **{**sight(), "seen_at": NOW + timedelta(hours=1), "severity": "high", "title": "Worse"}
    )
    again.refresh_from_db()
    assert (first.pk, is_new, is_new_again) == (again.pk, True, False)
    assert (again.times_seen, again.first_seen, again.last_seen) == (2, NOW, NOW + timedelta(hours=1))
    assert (again.severity, again.severity_rank, again.title) == ("high", 3, "Worse")


def test_recording_the_same_sight_again_changes_nothing():
    finding = given_finding()
    before = Finding.objects.values().get()
    assert record_finding(**sight()) == (finding, False)
    assert Finding.objects.values().get() == before


def test_an_older_sight_only_moves_the_beginning():
    given_finding()
    earlier = NOW - timedelta(days=2)
    given_finding(seen_at=NOW - timedelta(days=1), first_seen=earlier, title="Old words", severity="low")
    finding = Finding.objects.get()
    assert (finding.first_seen, finding.last_seen, finding.times_seen) == (earlier, NOW, 1)
    assert (finding.title, finding.severity) == ("Finding 1", "medium")


def test_what_was_resolved_and_is_seen_again_is_open_again():
    finding = given_finding()
    assert resolve([finding.pk], NOW + timedelta(minutes=1)) == 1
    reopened, is_reopened = record_finding(**{**sight(), "seen_at": NOW + timedelta(minutes=2)})
    assert is_reopened
    reopened.refresh_from_db()
    assert (reopened.state, reopened.resolved_at) == ("open", None)


def test_a_sight_from_before_the_resolution_reopens_nothing():
    finding = given_finding()
    resolve([finding.pk], NOW + timedelta(minutes=5))
    assert record_finding(**{**sight(), "seen_at": NOW + timedelta(minutes=2)})[1] is False
    assert Finding.objects.get().state == "resolved"


@pytest.mark.parametrize("state", ["acknowledged", "false_positive", "risk_accepted"])
def test_what_people_decided_stands_when_it_is_seen_again(state: str):
    finding, user = given_finding(), given_user("soc_analyst")
    triage(finding.pk, by_id=user.pk, state=state, note="We know.")
    assert record_finding(**{**sight(), "seen_at": NOW + timedelta(hours=1)})[1] is False
    finding.refresh_from_db()
    assert (finding.state, finding.triage_note, finding.triaged_by) == (state, "We know.", user)
    assert finding.times_seen == 2


@pytest.mark.parametrize("state", ["false_positive", "risk_accepted"])
def test_only_active_findings_are_resolved_by_their_absence(state: str):
    finding = given_finding()
    triage(finding.pk, by_id=None, state=state)
    assert resolve([finding.pk], NOW) == 0
    assert Finding.objects.get().state == state


def test_long_titles_and_subjects_are_cut_to_what_fits():
    finding = given_finding(title="t" * 1000, subject="s" * 1000)
    finding.refresh_from_db()
    assert (len(finding.title), len(finding.subject)) == (300, 255)


def test_what_is_settled_is_taken_up_before_it_is_settled_otherwise():
    settled = ["false_positive", "risk_accepted", "resolved"]
    undecided = ["open", "acknowledged"]
    assert all(may_become(before, after) for before in undecided for after in undecided + settled)
    assert all(may_become(before, after) for before in settled for after in undecided)
    assert not any(may_become(before, after) for before in settled for after in settled if before != after)


# --- Findings by API


@pytest.mark.parametrize("role", ROLES)
def test_every_role_reads_findings(role: str):
    finding, client = given_finding(), client_of(role)
    assert titles(client.get(FINDINGS)) == ["Finding 1"]
    assert client.get(f"{FINDINGS}/{finding.pk}").json()["evidence"] == {"banner": "hello"}
    assert client.get(f"{FINDINGS}/{finding.pk + 1}").status_code == 404
    assert client.get(SUMMARY).status_code == 200


def test_a_triage_is_attributed_and_in_the_next_answer_of_everybody():
    finding, analyst, reader = given_finding(), given_user("soc_analyst"), client_of("viewer")
    assert reader.get(FINDINGS).json()["results"][0]["state"] == "open"
    assert "hit" in reader.get(FINDINGS)["Cache-Status"]
    answer = client_for(analyst).patch(
        f"{FINDINGS}/{finding.pk}", {"state": "risk_accepted", "triage_note": "Until May."}
    )
    assert answer.status_code == 200
    body = answer.json()
    assert (body["state"], body["triage_note"], body["triaged_by"]) == (
        "risk_accepted",
        "Until May.",
        analyst.username,
    )
    assert body["triaged_at"] is not None
    assert reader.get(FINDINGS).json()["results"][0]["state"] == "risk_accepted"
    assert reader.get(SUMMARY).json()["by_state"]["risk_accepted"] == 1


def test_resolving_by_hand_is_dated_and_reopening_takes_the_date_away():
    finding, client = given_finding(), client_of("soc_analyst")
    address = f"{FINDINGS}/{finding.pk}"
    assert client.patch(address, {"state": "resolved"}).json()["resolved_at"] is not None
    assert client.patch(address, {"state": "open"}).json()["resolved_at"] is None


def test_a_note_alone_keeps_the_state():
    finding = given_finding()
    triage(finding.pk, by_id=None, state="acknowledged")
    answer = client_of("soc_analyst").patch(f"{FINDINGS}/{finding.pk}", {"triage_note": "Ticket 7."})
    assert (answer.json()["state"], answer.json()["triage_note"]) == ("acknowledged", "Ticket 7.")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"severity": "low"}, "severity"),
        ({"state": "open", "title": "x"}, "title"),
        ({"state": "gone"}, "state"),
        ({"triage_note": "x" * 5001}, "triage_note"),
        ({}, ""),
    ],
)
def test_a_triage_that_cannot_be_obeyed_is_refused_by_name(body: dict, field: str):
    finding = given_finding()
    answer = client_of("soc_analyst").patch(f"{FINDINGS}/{finding.pk}", body)
    assert answer.status_code == 400
    assert fields_of(answer) == {field}
    finding.refresh_from_db()
    assert finding.triaged_at is None


def test_a_transition_that_skips_a_decision_is_refused():
    finding = given_finding()
    triage(finding.pk, by_id=None, state="false_positive")
    answer = client_of("soc_analyst").patch(f"{FINDINGS}/{finding.pk}", {"state": "resolved"})
    assert answer.status_code == 400
    assert fields_of(answer) == {"state"}
    with pytest.raises(TransitionRefused):
        triage(finding.pk, by_id=None, state="resolved")


def test_viewers_may_not_triage_and_nobody_replaces_or_deletes():
    finding = given_finding()
    address = f"{FINDINGS}/{finding.pk}"
    assert client_of("viewer").patch(address, {"state": "acknowledged"}).status_code == 403
    assert client_of("platform_owner").put(address, {"state": "acknowledged"}).status_code == 405
    assert client_of("platform_owner").delete(address).status_code == 405
    assert client_of("platform_owner").patch(f"{FINDINGS}/{finding.pk + 1}", {"state": "open"}).status_code == 404


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", [3, 2, 1]),
        ("severity=critical&severity=low", [3, 1]),
        ("min_severity=high", [3, 2]),
        ("state=acknowledged", [2]),
        ("source=logs", [3]),
        ("check_id=some-check", [3, 2, 1]),
        ("subject=192.0.2.7", [3]),
        ("port=443&protocol=tcp", [1]),
        ("search=web.example", [1]),
        ("search=FINDING 2", [2]),
        ("min_confidence=90", [2]),
        ("seen_before=2001-01-01T00:00:00Z", []),
    ],
)
def test_findings_are_found_by(query: str, expected: list[int]):
    asset = record_host("10.0.0.5", seen_at=NOW, hostname="web.example")
    given_finding(1, severity="low", asset=asset, port=443, protocol="tcp")
    second = given_finding(2, severity="high", confidence=95)
    given_finding(3, severity="critical", source="logs", subject="192.0.2.7")
    triage(second.pk, by_id=None, state="acknowledged")
    client = client_of("viewer")
    assert titles(client.get(f"{FINDINGS}?{query}")) == [f"Finding {number}" for number in expected]
    assert titles(client.get(f"{FINDINGS}?asset={asset.pk}")) == ["Finding 1"]


@pytest.mark.parametrize("query", ["severity=awful", "state=closed", "port=0", "seen_after=soon", "asset=web"])
def test_a_filter_value_that_makes_no_sense_is_refused(query: str):
    answer = client_of("viewer").get(f"{FINDINGS}?{query}")
    assert answer.status_code == 400
    assert fields_of(answer) == {query.partition("=")[0]}


def test_a_list_of_findings_is_one_query(django_assert_num_queries):
    client = client_of("viewer")
    user = given_user()
    for number in range(1, 20):
        finding = given_finding(number, asset=record_host(f"10.0.0.{number}", seen_at=NOW))
        triage(finding.pk, by_id=user.pk, state="acknowledged")
    assert titles(client.get(f"{FINDINGS}?state=resolved")) == []  # from here on the policies are known
    with django_assert_num_queries(1):
        assert len(titles(client.get(FINDINGS))) == 19


def test_the_summary_counts_and_names_the_worst_assets_and_the_newest(django_assert_num_queries):
    web, mail = record_host("10.0.0.5", seen_at=NOW), record_host("10.0.0.6", seen_at=NOW)
    given_finding(1, severity="low", asset=web)
    given_finding(2, severity="low", asset=web)
    given_finding(3, severity="critical", asset=mail, first_seen=NOW - timedelta(days=3))
    resolve([given_finding(4, severity="critical", asset=web).pk], NOW)
    client = client_of("viewer")
    client.get(FINDINGS)
    with django_assert_num_queries(3):
        body = client.get(SUMMARY).json()
    assert body["by_severity"] == {"info": 0, "low": 2, "medium": 0, "high": 0, "critical": 2}
    assert body["active_by_severity"] == {"info": 0, "low": 2, "medium": 0, "high": 0, "critical": 1}
    assert body["by_state"]["open"] == 3
    assert body["by_state"]["resolved"] == 1
    worst = [(row["address"], row["worst_severity"], row["active_findings"]) for row in body["top_assets"]]
    assert worst == [("10.0.0.6", "critical", 1), ("10.0.0.5", "low", 2)]
    assert [finding["title"] for finding in body["newest"]] == ["Finding 2", "Finding 1", "Finding 3"]


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
    with serving(greeting(SSH)) as port:
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
    with serving(greeting(SSH)) as port:
        scanned(str(port))
    assert len(titles(reader.get(FINDINGS))) == Finding.objects.count() > 0
    assert len(reader.get("/api/network/assets").json()["results"]) == 1


@pytest.mark.usefixtures("loopback")
def test_a_service_that_is_gone_resolves_its_findings_and_its_return_reopens_them():
    with serving(greeting(SSH)) as port:
        scanned(str(port))
    count = Finding.objects.count()
    assert scanned(str(port)).result["findings_resolved"] == count
    assert set(Finding.objects.values_list("state", flat=True)) == {"resolved"}
    assert Service.objects.get().state == "closed"
    with serving(greeting(SSH), port=port):
        job = scanned(str(port))
    assert job.result["findings_new"] == count == Finding.objects.count()
    assert set(Finding.objects.values_list("state", flat=True)) == {"open"}


@pytest.mark.usefixtures("loopback")
def test_a_scan_that_did_not_look_there_resolves_nothing():
    with serving(greeting(SSH)) as port:
        scanned(str(port))
    scanned(str(free_port()))
    assert set(Finding.objects.values_list("state", flat=True)) == {"open"}


@pytest.mark.usefixtures("loopback")
def test_identical_scans_leave_identical_findings():
    with serving(greeting(SSH)) as port:
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
    with serving(greeting(SSH)) as port, on_first_finding(lambda: loopback.delete()):
        job = scanned(str(port), ("127.0.0.1", "127.0.0.2"))
    assert job.status == "failed"
    assert list(Asset.objects.values_list("address", flat=True)) == ["127.0.0.1"]


@pytest.mark.usefixtures("loopback")
def test_a_cancelled_scan_writes_nothing_more():
    with serving(greeting(SSH)) as port:
        job = Job.objects.get(pk=asked_scan(["127.0.0.1", "127.0.0.2"], str(port)).json()["id"])
        with on_first_finding(lambda: states.cancel(job)):
            assert carried_out(str(job.pk)).status == "cancelled"
    assert list(Asset.objects.values_list("address", flat=True)) == ["127.0.0.1"]
    assert client_of("viewer").get(f"{SCANS}?state=cancelled").json()["results"][0]["state"] == "cancelled"


@pytest.mark.usefixtures("loopback")
def test_a_scan_that_is_tried_again_has_its_effects_once():
    def fail() -> None:
        raise RuntimeError("the database went away")

    with serving(greeting(SSH)) as port:
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
    store_results(given_scan(), [result], NOW + timedelta(hours=1))
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
        store_results(given_scan(), results, NOW + timedelta(hours=hours))
        assert Finding.objects.get().state == "open"
    assert Asset.objects.count() == 1


def test_findings_outlive_their_asset_and_find_it_again():
    store_results(given_scan(), [result_with(issue_of())], NOW)
    Asset.objects.all().delete()
    assert Finding.objects.get().asset is None
    store_results(given_scan(), [result_with(issue_of())], NOW + timedelta(hours=1))
    assert Finding.objects.get().asset == Asset.objects.get()


# --- Admin


def staff_client(role: str) -> Client:
    install_roles()
    client = Client()
    client.force_login(given_user(role, is_staff=True))
    return client


def test_the_admin_pages_open_and_search(loopback: ScanTarget):
    finding = given_finding(asset=record_host("10.0.0.5", seen_at=NOW))
    asked_scan([LOOPBACK], "80")
    client = staff_client("security_admin")
    for page in (
        "finding/?q=10.0.0.5",
        "finding/?state__exact=open&severity__exact=medium",
        f"finding/{finding.pk}/change/",
        "scan/?q=user",
        "scan/?job__status__exact=submitted&o=2.5",
        f"scan/{Scan.objects.get().pk}/change/",
    ):
        answer = client.get(f"/admin/security/{page}")
        assert answer.status_code == 200, page


def test_evidence_is_shown_and_never_obeyed():
    finding = given_finding(evidence={"banner": "<script>alert(1)</script>"}, title="<b>x</b>")
    html = staff_client("viewer").get(f"/admin/security/finding/{finding.pk}/change/").content.decode()
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script>alert(1)" not in html
    assert "<b>x</b>" not in html


def bulk(client: Client, action: str, *findings: Finding, note: str = "") -> str:
    form = {"action": action, "_selected_action": [finding.pk for finding in findings], "triage_note": note}
    return client.post("/admin/security/finding/", form, follow=True).content.decode()


def test_findings_are_triaged_in_bulk_with_one_note():
    first, second, settled = (given_finding(number) for number in (1, 2, 3))
    triage(settled.pk, by_id=None, state="risk_accepted", note="As agreed.")
    html = bulk(staff_client("soc_analyst"), "mark_false_positive", first, second, settled, note="Honeypot.")
    assert "2 findings are now" in html
    assert "reopen or acknowledge it first" in html
    found = Finding.objects.order_by("pk").values_list("state", "triage_note")
    assert list(found) == [("false_positive", "Honeypot.")] * 2 + [("risk_accepted", "As agreed.")]
    first.refresh_from_db()
    assert first.triaged_by is not None


def test_viewers_triage_nothing_in_the_admin():
    finding = given_finding()
    client = staff_client("viewer")
    bulk(client, "acknowledge", finding)
    client.post(f"/admin/security/finding/{finding.pk}/change/", {"state": "resolved", "triage_note": ""})
    finding.refresh_from_db()
    assert finding.state == "open"


def test_a_triage_by_page_follows_the_same_rules_as_by_api():
    finding, client = given_finding(), staff_client("soc_analyst")
    address = f"/admin/security/finding/{finding.pk}/change/"
    assert client.post(address, {"state": "resolved", "triage_note": "Done."}).status_code == 302
    finding.refresh_from_db()
    assert (finding.state, finding.triage_note) == ("resolved", "Done.")
    assert finding.resolved_at is not None
    refused = client.post(address, {"state": "false_positive", "triage_note": ""})
    assert "reopen or acknowledge it first" in refused.content.decode()
    finding.refresh_from_db()
    assert finding.state == "resolved"


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


def test_severities_are_ordered_in_the_database():
    for number, severity in enumerate(reversed(Severity.values)):
        given_finding(number, severity=severity)
    assert list(Finding.objects.order_by("severity_rank").values_list("severity", flat=True)) == Severity.values
