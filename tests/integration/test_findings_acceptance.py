"""Risks that are accepted for a time, and what happens once it has passed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from perf.jobs.run import run_job
from securenet.network.models import ScanTarget
from securenet.notifications.models import Notification
from securenet.security.findings import AcceptanceRefused, record_finding, reopen_accepted, triage
from securenet.security.models import Finding
from tests.integration.people import client_of, fields_of, given_user, staff_client
from tests.integration.test_security import FINDINGS, SUMMARY, bulk, given_finding, sight
from tests.unit.scanner.servers import free_port

NOW = timezone.now()
IN_A_WEEK = NOW + timedelta(days=7)
A_WEEK_AGO = NOW - timedelta(days=7)


def given_accepted(until: datetime | None, number: int = 1, **fields: Any) -> Finding:
    """A finding whose risk was accepted; ``until`` may have passed since."""
    finding = given_finding(number, **fields)
    triage(finding.pk, by_id=None, state="risk_accepted", note="We live with it.")
    Finding.objects.filter(pk=finding.pk).update(accepted_until=until)
    finding.refresh_from_db()
    return finding


# --- By API


def test_a_risk_is_accepted_until_a_time():
    finding, client = given_finding(), client_of("soc_analyst")
    answer = client.patch(
        f"{FINDINGS}/{finding.pk}", {"state": "risk_accepted", "accepted_until": IN_A_WEEK.isoformat()}
    )
    assert answer.status_code == 200, answer.content
    assert answer.json()["state"] == "risk_accepted"
    assert datetime.fromisoformat(answer.json()["accepted_until"]) == IN_A_WEEK


def test_the_end_is_moved_and_taken_away_without_another_state():
    finding, client = given_accepted(IN_A_WEEK), client_of("soc_analyst")
    later = IN_A_WEEK + timedelta(days=1)
    moved = client.patch(f"{FINDINGS}/{finding.pk}", {"accepted_until": later.isoformat()}).json()
    assert datetime.fromisoformat(moved["accepted_until"]) == later
    note_only = client.patch(f"{FINDINGS}/{finding.pk}", {"triage_note": "Ticket 7."}).json()
    assert note_only["accepted_until"] == moved["accepted_until"]
    endless = client.patch(f"{FINDINGS}/{finding.pk}", {"accepted_until": None}).json()
    assert (endless["state"], endless["accepted_until"]) == ("risk_accepted", None)


def test_another_state_takes_the_end_away():
    finding, client = given_accepted(IN_A_WEEK), client_of("soc_analyst")
    assert client.patch(f"{FINDINGS}/{finding.pk}", {"state": "open"}).json()["accepted_until"] is None
    again = client.patch(f"{FINDINGS}/{finding.pk}", {"state": "risk_accepted"}).json()
    assert (again["state"], again["accepted_until"]) == ("risk_accepted", None)


@pytest.mark.parametrize(
    "body",
    [
        {"state": "risk_accepted", "accepted_until": A_WEEK_AGO.isoformat()},
        {"state": "acknowledged", "accepted_until": IN_A_WEEK.isoformat()},
        {"accepted_until": IN_A_WEEK.isoformat()},
        {"state": "risk_accepted", "accepted_until": "next week"},
    ],
)
def test_an_end_that_makes_no_sense_is_refused_by_name_and_changes_nothing(body: dict[str, str]):
    finding = given_finding()
    before = Finding.objects.values().get()
    answer = client_of("soc_analyst").patch(f"{FINDINGS}/{finding.pk}", body)
    assert answer.status_code == 400
    assert fields_of(answer) == {"accepted_until"}
    assert Finding.objects.values().get() == before


# --- When the time has passed


@pytest.mark.parametrize("path", [FINDINGS, f"{FINDINGS}?state=open", "{finding}", f"{FINDINGS}?format=csv", SUMMARY])
def test_a_read_opens_a_finding_whose_acceptance_is_over(path: str):
    finding = given_accepted(A_WEEK_AGO)
    answer = client_of("viewer").get(path.format(finding=f"{FINDINGS}/{finding.pk}"))
    body = answer.getvalue().decode()
    assert answer.status_code == 200
    assert '"risk_accepted":0' in body if path == SUMMARY else "open" in body and "risk_accepted" not in body
    finding.refresh_from_db()
    assert (finding.state, finding.accepted_until, finding.triage_note) == ("open", A_WEEK_AGO, "We live with it.")


def test_an_opened_finding_is_in_everybodys_next_answer():
    finding, reader = given_accepted(IN_A_WEEK), client_of("viewer")
    reader.get(FINDINGS)
    assert "hit" in reader.get(FINDINGS)["Cache-Status"]
    assert reopen_accepted(IN_A_WEEK) == 1
    assert reader.get(FINDINGS).json()["results"][0]["state"] == "open"
    assert reader.get(f"{FINDINGS}/{finding.pk}").json()["state"] == "open"


def test_acceptances_that_still_hold_stay():
    for number, until in enumerate((None, IN_A_WEEK), start=1):
        given_accepted(until, number)
    assert reopen_accepted() == 0
    assert set(Finding.objects.values_list("state", flat=True)) == {"risk_accepted"}


def test_asking_for_acceptances_that_are_over_is_one_query_that_writes_nothing(django_assert_num_queries):
    given_accepted(IN_A_WEEK)
    with django_assert_num_queries(1) as queries:
        reopen_accepted()
    assert queries.captured_queries[0]["sql"].startswith("SELECT")


def test_a_scan_opens_what_was_accepted_until_before_it_began():
    ScanTarget.objects.get_or_create(network="127.0.0.0/8")
    finding = given_accepted(A_WEEK_AGO)
    body = {"targets": ["127.0.0.1"], "ports": str(free_port())}
    run_job(client_of("soc_analyst").post("/api/security/scans", body).json()["id"])
    finding.refresh_from_db()
    assert finding.state == "open"


def test_a_sight_after_the_end_opens_the_finding_and_one_before_it_does_not():
    given_accepted(IN_A_WEEK)
    before, after = IN_A_WEEK - timedelta(days=1), IN_A_WEEK + timedelta(days=1)
    assert record_finding(**{**sight(), "seen_at": before})[1] is False
    assert Finding.objects.get().state == "risk_accepted"
    finding, is_open_again = record_finding(**{**sight(), "seen_at": after})
    assert is_open_again
    assert (finding.state, finding.regressions) == ("open", 0)


def test_those_who_can_act_are_told_once_of_grave_findings_that_are_open_again():
    analyst = given_user("soc_analyst")
    grave = given_accepted(A_WEEK_AGO, 1, severity="critical")
    given_accepted(A_WEEK_AGO, 2, severity="low")
    assert (reopen_accepted(), reopen_accepted()) == (2, 0)
    told = Notification.objects.get()
    assert (told.user, told.severity, told.link) == (analyst, "critical", f"{FINDINGS}/{grave.pk}")
    assert "Finding 1" in told.title


def test_a_triage_of_a_finding_whose_acceptance_is_over_starts_from_open():
    finding = given_accepted(A_WEEK_AGO)
    assert triage(finding.pk, by_id=None, state="resolved").state == "resolved"
    with pytest.raises(AcceptanceRefused, match="has passed"):
        triage(given_finding(2).pk, by_id=None, state="risk_accepted", accepted_until=A_WEEK_AGO)


# --- In the admin


def page_of(finding: Finding) -> str:
    return f"/admin/security/finding/{finding.pk}/change/"


def form_of(state: str, day: str) -> dict[str, str]:
    time = "12:00" if day else ""
    return {"state": state, "triage_note": "Agreed.", "accepted_until_0": day, "accepted_until_1": time}


def test_the_page_of_a_finding_takes_an_end_and_refuses_one_in_the_past_or_without_acceptance():
    finding, client = given_finding(), staff_client("soc_analyst")
    for state, day in (("risk_accepted", "2001-01-01"), ("open", f"{IN_A_WEEK:%Y-%m-%d}")):
        assert client.post(page_of(finding), form_of(state, day)).status_code == 200
        finding.refresh_from_db()
        assert (finding.state, finding.accepted_until) == ("open", None)
    assert client.post(page_of(finding), form_of("risk_accepted", f"{IN_A_WEEK:%Y-%m-%d}")).status_code == 302
    finding.refresh_from_db()
    assert (finding.state, f"{finding.accepted_until:%Y-%m-%d %H:%M}") == (
        "risk_accepted",
        f"{IN_A_WEEK:%Y-%m-%d} 12:00",
    )
    kept = form_of("acknowledged", f"{IN_A_WEEK:%Y-%m-%d}")
    assert client.post(page_of(finding), kept).status_code == 302
    finding.refresh_from_db()
    assert (finding.state, finding.accepted_until) == ("acknowledged", None)


def test_the_admin_shows_an_acceptance_that_is_over_as_open():
    finding, client = given_accepted(A_WEEK_AGO), staff_client("viewer")
    assert client.get("/admin/security/finding/?state__exact=open").content.decode().count("Finding 1") > 0
    finding.refresh_from_db()
    assert finding.state == "open"


def test_risks_are_accepted_in_bulk_until_a_time():
    findings = [given_finding(number) for number in (1, 2)]
    client = staff_client("soc_analyst")
    form = {
        "action": "accept_risk",
        "_selected_action": [finding.pk for finding in findings],
        "triage_note": "Agreed.",
        "accepted_until": f"{IN_A_WEEK:%Y-%m-%dT%H:%M}",
    }
    client.post("/admin/security/finding/", form)
    states = Finding.objects.values_list("state", "triage_note", "accepted_until")
    until = IN_A_WEEK.replace(second=0, microsecond=0)
    assert set(states) == {("risk_accepted", "Agreed.", until)}
    bulk(client, "reopen", *findings)
    assert set(Finding.objects.values_list("state", "accepted_until")) == {("open", None)}
