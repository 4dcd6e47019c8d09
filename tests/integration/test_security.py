"""Findings: how they come and go, and their triage by API and admin."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from securenet.accounts.roles import ROLES
from securenet.network.inventory import record_host
from securenet.security.findings import TransitionRefused, may_become, record_finding, resolve, triage
from securenet.security.models import Finding, Severity
from tests.integration.people import client_for, client_of, fields_of, given_user, staff_client

FINDINGS = "/api/security/findings"
SUMMARY = "/api/security/summary"
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
    assert (reopened.state, reopened.resolved_at, reopened.regressions) == ("open", None, 1)


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


@pytest.mark.parametrize(
    "query",
    [
        "severity=awful",
        "state=closed",
        "port=0",
        "seen_after=soon",
        "seen_before=9999-12-31T23:59:59-14:00",
        "asset=web",
    ],
)
def test_a_filter_value_that_makes_no_sense_is_refused(query: str):
    answer = client_of("viewer").get(f"{FINDINGS}?{query}")
    assert answer.status_code == 400
    assert fields_of(answer) == {query.partition("=")[0]}


def test_a_list_of_findings_is_two_queries_however_many_they_are(django_assert_num_queries):
    client = client_of("viewer")
    user = given_user()
    for number in range(1, 20):
        finding = given_finding(number, asset=record_host(f"10.0.0.{number}", seen_at=NOW))
        triage(finding.pk, by_id=user.pk, state="acknowledged")
    assert titles(client.get(f"{FINDINGS}?state=resolved")) == []  # from here on the policies are known
    with django_assert_num_queries(2):  # one of them asks for acceptances that are over
        assert len(titles(client.get(FINDINGS))) == 19


def test_the_summary_counts_and_names_the_worst_assets_and_the_newest(django_assert_num_queries):
    web, mail = record_host("10.0.0.5", seen_at=NOW), record_host("10.0.0.6", seen_at=NOW)
    given_finding(1, severity="low", asset=web)
    given_finding(2, severity="low", asset=web)
    given_finding(3, severity="critical", asset=mail, first_seen=NOW - timedelta(days=3))
    resolve([given_finding(4, severity="critical", asset=web).pk], NOW)
    client = client_of("viewer")
    client.get(FINDINGS)
    with django_assert_num_queries(5):
        body = client.get(SUMMARY).json()
    assert body["by_severity"] == {"info": 0, "low": 2, "medium": 0, "high": 0, "critical": 2}
    assert body["active_by_severity"] == {"info": 0, "low": 2, "medium": 0, "high": 0, "critical": 1}
    assert body["by_state"]["open"] == 3
    assert body["by_state"]["resolved"] == 1
    worst = [(row["address"], row["worst_severity"], row["active_findings"]) for row in body["top_assets"]]
    assert worst == [("10.0.0.6", "critical", 1), ("10.0.0.5", "low", 2)]
    assert [finding["title"] for finding in body["newest"]] == ["Finding 2", "Finding 1", "Finding 3"]


# --- Admin


def test_the_admin_pages_open_and_search():
    finding = given_finding(asset=record_host("10.0.0.5", seen_at=NOW))
    client = staff_client("security_admin")
    for page in (
        "finding/?q=10.0.0.5",
        "finding/?state__exact=open&severity__exact=medium",
        f"finding/{finding.pk}/change/",
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


def test_severities_are_ordered_in_the_database():
    for number, severity in enumerate(reversed(Severity.values)):
        given_finding(number, severity=severity)
    assert list(Finding.objects.order_by("severity_rank").values_list("severity", flat=True)) == Severity.values
