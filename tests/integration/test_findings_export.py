"""Findings as files: SARIF 2.1.0 and CSV, whole, filtered, safe to open, never mixed up by the cache."""

from __future__ import annotations

import csv
import io
import json
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from securenet.network.inventory import record_host
from securenet.security.exports import ROWS_AT_A_TIME, newest_first
from securenet.security.findings import triage
from securenet.security.models import Finding
from tests.integration.people import client_of, given_user
from tests.integration.test_security import FINDINGS, given_finding

NOW = timezone.now()
SARIF = "application/sarif+json"
CSV = "text/csv"


def exported(query: str = "", accept: str | None = None, client: Any = None) -> Any:
    headers = {"Accept": accept} if accept else {}
    answer = (client or client_of("viewer")).get(f"{FINDINGS}?{query}", headers=headers)
    assert answer.status_code == 200, answer.content
    return answer


def sarif(query: str = "format=sarif") -> dict[str, Any]:
    log: dict[str, Any] = json.loads(exported(query).getvalue())
    assert_sarif(log)
    return log


def rows(query: str = "format=csv") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(exported(query).getvalue().decode(), newline="")))


# --- Both


@pytest.mark.parametrize(
    ("query", "accept", "media_type"),
    [
        ("format=sarif", None, SARIF),
        ("", SARIF, SARIF),
        ("format=csv", None, f"{CSV}; charset=utf-8"),
        ("", CSV, f"{CSV}; charset=utf-8"),
        ("", "text/html, text/csv", f"{CSV}; charset=utf-8"),
        ("format=json", None, "application/json"),
        ("format=sarif", "text/html, */*", SARIF),
        ("", "*/*", "application/json"),
    ],
)
def test_the_client_chooses_the_format(query: str, accept: str | None, media_type: str):
    given_finding()
    answer = exported(query, accept)
    assert answer["Content-Type"] == media_type
    assert answer.has_header("Content-Disposition") == (media_type != "application/json")
    assert "Accept" in answer["Vary"]


def test_a_format_that_is_not_offered_is_a_problem():
    client = client_of("viewer")
    assert client.get(f"{FINDINGS}?format=pdf").status_code == 404
    refused = client.get(FINDINGS, headers={"Accept": "application/pdf"})
    assert (refused.status_code, refused["Content-Type"]) == (406, "application/problem+json")


@pytest.mark.parametrize("file_format", ["sarif", "csv"])
def test_wrong_filters_and_strangers_get_a_problem_instead_of_a_file(file_format: str):
    refused = client_of("viewer").get(f"{FINDINGS}?format={file_format}&severity=awful")
    assert (refused.status_code, refused["Content-Type"]) == (400, "application/problem+json")
    assert APIClient().get(f"{FINDINGS}?format={file_format}").status_code == 401


def test_an_export_holds_all_that_the_filters_leave_not_only_a_page():
    for number in range(1, 71):
        given_finding(number, severity="high" if number % 2 else "low")
    assert len(exported("page_size=10").json()["results"]) == 10
    assert len(sarif("format=sarif&page_size=10")["runs"][0]["results"]) == 70
    assert [row["title"] for row in rows("format=csv&severity=high&page_size=10")] == [
        f"Finding {number}" for number in range(69, 0, -2)
    ]


@pytest.mark.parametrize("rows_at_a_time", [1, 3, 4, 5, ROWS_AT_A_TIME])
def test_rows_are_read_in_pieces_none_twice_and_none_left_out(rows_at_a_time: int):
    for number in range(1, 5):
        given_finding(number)
    found = list(newest_first(Finding.objects.all(), rows_at_a_time))
    assert [finding.title for finding in found] == [f"Finding {number}" for number in (4, 3, 2, 1)]


def test_an_export_takes_a_fixed_number_of_queries_per_piece(django_assert_num_queries):
    user = given_user()
    for number in range(1, 30):
        finding = given_finding(number, asset=record_host(f"10.0.0.{number}", seen_at=NOW))
        triage(finding.pk, by_id=user.pk, state="acknowledged")
    client = client_of("viewer")
    client.get(f"{FINDINGS}?state=resolved")
    with django_assert_num_queries(3):
        assert len(exported("format=csv", client=client).getvalue().splitlines()) == 30


def test_formats_never_answer_for_each_other_from_the_cache():
    given_finding()
    client = client_of("viewer")
    kinds = {None: "application/json", SARIF: SARIF, CSV: f"{CSV}; charset=utf-8"}
    for accept in (None, None, SARIF, CSV, None, CSV, SARIF):
        answer = exported("", accept, client)
        assert answer["Content-Type"] == kinds[accept]
        body = answer.getvalue()
        if accept is None:
            assert len(json.loads(body)["results"]) == 1
        elif accept == SARIF:
            assert_sarif(json.loads(body))
        else:
            assert body.startswith(b'"id"')
    assert "hit" in exported("", None, client)["Cache-Status"]


def test_an_export_is_never_kept_and_shows_a_change_at_once():
    finding, client = given_finding(), client_of("viewer")
    for state in ("acknowledged", "false_positive"):
        triage(finding.pk, by_id=None, state=state)
        answer = exported("format=csv", client=client)
        assert "hit" not in answer["Cache-Status"]
        assert answer["Cache-Control"] == "no-store"
        assert state in answer.getvalue().decode()


# --- SARIF


def assert_sarif(log: dict[str, Any]) -> None:
    """What the schema of SARIF 2.1.0 requires of the members used here, and the rules of its text about them."""
    assert set(log) <= {"$schema", "version", "runs"}
    assert log["version"] == "2.1.0"
    assert urlsplit(log["$schema"]).scheme == "https"
    [run] = log["runs"]
    assert set(run) == {"tool", "results"}
    driver = run["tool"]["driver"]
    assert driver["name"]
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids)
    for result in run["results"]:
        assert_sarif_result(result, ids)


def assert_sarif_result(result: dict[str, Any], rules: list[str]) -> None:
    assert result["message"]["text"]
    assert rules[result["ruleIndex"]] == result["ruleId"]
    assert result["kind"] in {"pass", "fail"}
    assert result["level"] in {"none", "note", "warning", "error"}
    assert (result["kind"] == "fail") == (result["level"] != "none")
    assert all(isinstance(value, str) for value in result["partialFingerprints"].values())
    for time in result["provenance"].values():
        assert time.endswith("Z")
        assert datetime.fromisoformat(time)
    for suppression in result["suppressions"]:
        assert suppression["kind"] in {"inSource", "external"}
        assert suppression["status"] in {"accepted", "underReview", "rejected"}
    for location in result.get("locations", []):
        assert location["logicalLocations"][0]["fullyQualifiedName"]
        if "physicalLocation" in location:
            uri = urlsplit(location["physicalLocation"]["artifactLocation"]["uri"])
            assert uri.scheme
            assert uri.hostname


def result_of(number: int = 1) -> dict[str, Any]:
    [found] = [
        result
        for result in sarif()["runs"][0]["results"]
        if result["message"]["text"].startswith(f"Finding {number}\n")
    ]
    return found


def test_sarif_without_findings_is_still_a_log():
    assert sarif()["runs"][0]["results"] == []


@pytest.mark.parametrize(
    ("severity", "level"),
    [("info", "note"), ("low", "note"), ("medium", "warning"), ("high", "error"), ("critical", "error")],
)
def test_a_severity_is_a_level(severity: str, level: str):
    given_finding(severity=severity)
    result = result_of()
    assert (result["kind"], result["level"], result["properties"]["severity"]) == ("fail", level, severity)


def test_a_resolved_finding_is_a_result_that_passed():
    triage(given_finding().pk, by_id=None, state="resolved")
    assert (result_of()["kind"], result_of()["level"]) == ("pass", "none")


def test_what_people_set_aside_is_suppressed_with_their_reason():
    triage(given_finding(1).pk, by_id=None, state="false_positive", note="A honeypot.")
    until = NOW + timedelta(days=3)
    triage(given_finding(2).pk, by_id=None, state="risk_accepted", note="Agreed.", accepted_until=until)
    given_finding(3)
    assert result_of(1)["suppressions"] == [{"kind": "external", "status": "accepted", "justification": "A honeypot."}]
    assert f"Agreed. (until {until:%Y-%m-%d}" in result_of(2)["suppressions"][0]["justification"]
    assert result_of(3)["suppressions"] == []


@pytest.mark.parametrize(
    ("address", "uri"), [("10.0.0.5", "tcp://10.0.0.5:443"), ("2001:db8::5", "tcp://[2001:db8::5]:443")]
)
def test_a_finding_at_a_service_has_its_address(address: str, uri: str):
    given_finding(asset=record_host(address, seen_at=NOW), port=443, protocol="tcp")
    [location] = result_of()["locations"]
    assert location["physicalLocation"]["artifactLocation"]["uri"] == uri
    assert location["logicalLocations"][0]["name"] == address


def test_a_subject_that_is_no_address_is_named_and_makes_no_uri():
    given_finding(1, subject='evil"\n<user>')
    given_finding(2, subject="192.0.2.7")
    given_finding(3)
    assert result_of(1)["locations"][0].keys() == {"logicalLocations"}
    assert result_of(2)["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "ip://192.0.2.7"
    assert "locations" not in result_of(3)


def test_checks_are_rules_each_once():
    for number, check in enumerate(("one", "two", "one"), start=1):
        given_finding(number, check_id=check)
    log = sarif()["runs"][0]
    assert {rule["id"] for rule in log["tool"]["driver"]["rules"]} == {"one", "two"}


# --- CSV


def test_a_row_tells_what_the_finding_tells():
    asset = record_host("10.0.0.5", seen_at=NOW, hostname="web.example")
    user = given_user("soc_analyst")
    finding = given_finding(asset=asset, port=443, protocol="tcp", title='He said "no", twice\r\nand left')
    triage(finding.pk, by_id=user.pk, state="acknowledged", note="Ünder wäy")
    [row] = rows()
    assert (row["id"], row["state"], row["severity"], row["port"]) == (str(finding.pk), "acknowledged", "medium", "443")
    assert (row["address"], row["hostname"]) == ("10.0.0.5", "web.example")
    assert row["title"] == 'He said "no", twice\r\nand left'
    assert (row["triage_note"], row["triaged_by"]) == ("Ünder wäy", user.username)
    assert json.loads(row["evidence"]) == {"banner": "hello"}
    assert datetime.fromisoformat(row["last_seen"]) == finding.last_seen
    assert row["resolved_at"] == ""


def test_a_file_without_findings_has_its_header():
    assert exported("format=csv").getvalue().decode().splitlines()[0].startswith('"id","title","severity"')
    assert rows() == []


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", " =", "＝", "|", "%"])
def test_no_cell_of_a_strangers_making_is_a_formula(start: str):
    hostile = f"{start}cmd|' /C calc'!A0"
    finding = given_finding(title=hostile, subject=hostile, evidence={"banner": hostile})
    triage(finding.pk, by_id=None, note=hostile)
    [row] = rows()
    for cell in row.values():
        assert not cell.lstrip("\t\r\n ").startswith(tuple("=+-@|%＝＋－＠"))
    assert row["title"] == row["subject"] == row["triage_note"] == f"'{hostile}"
