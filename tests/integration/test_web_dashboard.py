"""The pages for people: they show what the API says, offer what it allows, and pass on what it refuses."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from html.parser import HTMLParser
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from perf.jobs.run import run_job
from perf.models import AccessRule, Job, JobPolicy
from securenet.accounts.roles import ANALYSTS, ROLES
from securenet.dashboard.templatetags.dashboard import address_with_port, moment, page_of
from securenet.logs.models import LogEvent
from securenet.network.models import Asset, ScanTarget, Service
from securenet.notifications.models import Notification
from securenet.security.findings import record_finding, triage
from securenet.security.models import Finding, Scan, ScanHost
from tests.integration.helpers import given_cache_policy, given_limit
from tests.integration.people import client_for, client_of, given_user
from tests.unit.scanner.servers import curt, serving

LISTS = ("/findings", "/assets", "/scans", "/events", "/notifications")
PAGES = ("/", *LISTS)
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
LOOPBACK = "127.0.0.1"


class Page(HTMLParser):
    """A page as its elements, its text, and what stands in its live part."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        self.status = answer.status_code
        self.html = answer.content.decode()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(self.html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        """Elements with these attributes; ``class_`` and the like lose their underscore."""
        asked = {name.rstrip("_").replace("_", "-"): value for name, value in wanted.items()}
        return [each for name, each in self.elements if name == tag and asked.items() <= each.items()]

    @property
    def text(self) -> str:
        return " ".join(unescape(re.sub(r"<[^>]*>", " ", self.html)).split())

    def error_at(self, field: str) -> str:
        """What stands below a field, where its input says that it is wrong."""
        ids = [each["aria-describedby"] or "" for _, each in self.elements if each.get("name") == field]
        assert ids, f"there is no field {field}"
        for name in ids[0].split():
            if name.startswith("error-"):
                found = re.search(rf'id="{name}"[^>]*>(.*?)</(?:p|div)>', self.html, re.S)
                return unescape(re.sub(r"<[^>]*>", " ", found[1])).strip() if found else ""
        return ""


def browser_for(user: Any, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(user)
    return client


def browser_of(*roles: str) -> Client:
    return browser_for(given_user(*roles))


def page_at(client: Client, path: str, status: int = 200) -> Page:
    answer = client.get(path)
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"].startswith("text/html")
    return Page(answer)


def given_finding(number: int = 1, **fields: Any) -> Finding:
    described = {
        "fingerprint": f"{number:064x}", "source": "scan", "check_id": "some-check", "title": f"Finding {number}",
        "description": "What is wrong.", "advice": "What to do.", "severity": "medium", "confidence": 80,
        "evidence": {}, "seen_at": timezone.now(),
    }  # fmt: skip
    finding, _ = record_finding(**{**described, **fields})
    return finding


def given_event(**fields: Any) -> LogEvent:
    now = timezone.now()
    described = {"time": now, "received_at": now, "source": "gate", "kind": "other", "message": "m"}
    return LogEvent.objects.create(**{**described, **fields})


@pytest.fixture
def loopback() -> ScanTarget:
    """Only 127.0.0.0/30 is authorised."""
    ScanTarget.objects.all().delete()
    return ScanTarget.objects.create(network="127.0.0.0/30", rate=5000)


# --- All pages


@pytest.mark.parametrize("path", [*PAGES, "/findings/1", "/scans/1"])
def test_strangers_are_led_to_the_sign_in_page_and_back(path: str, client):
    answer = client.get(path)
    assert (answer.status_code, answer["Location"]) == (302, f"/login?next={path}")


def test_a_part_of_a_page_never_becomes_a_sign_in_form(client):
    answer = client.get("/findings?severity=high", headers={"HX-Request": "true"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["HX-Redirect"] == "/login?next=/findings%3Fseverity%3Dhigh"


@pytest.mark.parametrize("role", ROLES)
def test_every_role_sees_every_page(role: str):
    client = browser_of(role)
    finding = given_finding(asset=Asset.objects.create(address="10.0.0.1"))
    scan = Scan.objects.create(targets=["10.0.0.1"], ports="80", kept_state="completed")
    for path in (*PAGES, f"/findings/{finding.pk}", f"/scans/{scan.pk}"):
        page = page_at(client, path)
        assert len(page.all("h1")) == len(page.all("main")) == 1


@pytest.mark.parametrize("path", [*PAGES, "/findings/{finding}", "/scans/{scan}"])
def test_the_page_one_is_on_is_marked_and_everything_has_a_name(path: str):
    path = path.format(finding=given_finding().pk, scan=Scan.objects.create(targets=["a"], ports="80").pk)
    page = page_at(browser_of("platform_owner"), path)
    [current] = page.all("a", aria_current="page")
    assert current["href"] == "/" + path.split("/")[1]
    assert all(nav.get("aria-label") for nav in page.all("nav"))
    assert len(page.all("table")) == len(page.all("caption"))
    assert all(cell.get("scope") for cell in page.all("th"))
    ids = [each["id"] for _, each in page.elements if "id" in each]
    assert len(ids) == len(set(ids))
    labelled = {each.get("for") for each in page.all("label")}
    for tag in ("input", "select", "textarea"):
        for field in page.all(tag):
            assert field.get("type") in ("hidden", "checkbox") or field["id"] in labelled, field


@pytest.mark.parametrize("path", [*PAGES, "/findings/{finding}", "/scans/{scan}"])
def test_nothing_on_a_page_needs_more_than_the_content_security_policy_allows(path: str):
    path = path.format(finding=given_finding().pk, scan=Scan.objects.create(targets=["a"], ports="80").pk)
    answer = browser_of("platform_owner").get(path)
    page = Page(answer)
    assert answer["Content-Security-Policy"].startswith("default-src 'self'")
    assert "unsafe" not in answer["Content-Security-Policy"]
    assert "no-store" in answer["Cache-Control"]
    assert not page.all("style")
    assert page.all("script")
    assert all((script.get("src") or "").startswith("/static/") for script in page.all("script"))
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name == "style" or name.startswith(("on", "hx-on"))], tag
    [settings] = page.all("meta", name="htmx-config")
    for setting in ('"allowEval": false', '"includeIndicatorStyles": false', '"historyCacheSize": 0'):
        assert setting in (settings["content"] or "")


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("/", "Scan your network"),
        ("/findings", "Start a scan"),
        ("/assets", "Start a scan"),
        ("/scans", "name a target above"),
        ("/events", "POST /api/logs"),
        ("/notifications", "nothing to tell you"),
    ],
)
def test_an_empty_page_says_what_to_do(path: str, advice: str):
    assert advice in page_at(browser_of("soc_analyst"), path).text


def test_what_attackers_wrote_is_shown_and_never_obeyed():
    reader = given_user("soc_analyst")
    asset = Asset.objects.create(address="10.0.0.1", name=HOSTILE, owner=HOSTILE)
    now = timezone.now()
    Service.objects.create(asset=asset, port=80, name=HOSTILE[:50], first_seen=now, last_seen=now)
    finding = given_finding(
        title=HOSTILE, description=HOSTILE, advice=HOSTILE, subject=HOSTILE, asset=asset, severity="critical",
        evidence={HOSTILE: HOSTILE, "nested": {HOSTILE: [HOSTILE, {}]}},
    )  # fmt: skip
    triage(finding.pk, by_id=reader.pk, note=HOSTILE)
    given_event(message=HOSTILE, user_name=HOSTILE, source=HOSTILE, host=HOSTILE, kind="other")
    Notification.objects.create(user=reader, title=HOSTILE, body=HOSTILE, severity="high", link=HOSTILE)
    scan = Scan.objects.create(targets=[HOSTILE], ports="80", kept_state="completed")
    client = browser_for(reader)
    for path in (*PAGES, f"/findings/{finding.pk}", f"/scans/{scan.pk}"):
        page = page_at(client, path)
        assert "onerror=alert(1)" in page.html, path
        assert "<script>alert(2)" not in page.html, path
        assert not page.all("img", src="x"), path


@pytest.mark.parametrize("path", LISTS)
def test_what_is_asked_for_in_an_address_is_shown_as_text(path: str):
    name = {"/findings": "search", "/assets": "search", "/events": "q", "/scans": "started_by"}.get(path, "severity")
    answer = browser_of("soc_analyst").get(path, {name: HOSTILE, "cursor": ""})
    page = Page(answer)
    assert "<script>alert(2)" not in page.html
    assert not page.all("img", src="x")


# --- The same API and the same cached data


def test_the_numbers_of_the_first_page_are_those_of_the_cached_dashboard():
    given_cache_policy(route="/api/dashboard*", shared_by="role")
    given_finding(severity="critical")
    assert client_of("viewer").get("/api/dashboard/cached").json()["findings"]["by_severity"]["critical"] == 1
    Finding.objects.update(severity="low")  # behind the back of the cache
    page = page_at(browser_of("viewer"), "/")
    assert "1 critical" in page.text
    assert "0 low" in page.text
    assert "Cache from the cache" in page.text
    assert "0 critical" in page_at(browser_of("security_admin"), "/").text  # another role, another entry


def test_pages_fill_the_cache_for_the_api():
    given_cache_policy(shared_by="role")
    assert "computed just now, kept for" in page_at(browser_of("viewer"), "/findings").text
    assert "hit" in client_of("viewer").get("/api/security/findings")["Cache-Status"]


def test_the_first_page_takes_the_same_few_queries_however_much_there_is():
    client = browser_of("platform_owner")

    def queries_of_a_warm_page() -> int:
        client.get("/")
        with CaptureQueriesContext(connection) as queries:
            assert client.get("/").status_code == 200
        return len(queries)

    few = queries_of_a_warm_page()
    for number in range(30):
        given_finding(number, asset=Asset.objects.create(address=f"10.0.0.{number}"))
        Scan.objects.create(targets=["a"], ports="80", kept_state="completed")
    assert queries_of_a_warm_page() == few <= 12


def test_a_page_counts_as_one_request_and_tells_what_is_left():
    given_limit("mine", limit=5)
    user = given_user("viewer")
    client = browser_for(user)
    assert "mine: 4 of 5 requests in 60 s left" in page_at(client, "/findings").text
    assert "mine: 3 of 5 requests in 60 s left" in page_at(client, "/").text
    assert "r=2" in client_for(user).get("/api/security/findings")["RateLimit"]


def test_a_page_over_the_limit_says_so_and_when_to_come_back():
    given_limit(limit=1)
    client = browser_of("viewer")
    page_at(client, "/assets")
    answer = client.get("/assets")
    assert answer.status_code == 429
    assert 0 < int(answer["Retry-After"]) <= 60
    page = Page(answer)
    assert "Too many requests" in page.text
    assert len(page.all("nav")) == 2


def test_who_is_blocked_is_told_why_in_words():
    user = given_user("viewer")
    AccessRule.objects.create(name="out", effect="blocked", user=user, reason="Left the company")
    page = page_at(browser_for(user), "/findings", 403)
    assert "Access rule out blocks this client." in page.text


def test_without_limits_and_cache_the_footer_says_that():
    page = page_at(browser_of("viewer"), "/scans")
    assert "computed just now, not kept" in page.text
    assert "Limit none applies" in page.text
    assert re.search(r"Time data in [\d.]+ ms, [\d.]+ ms of them", page.text)


# --- Findings


def listed(page: Page, prefix: str = "/findings/") -> set[int]:
    """Numbers of what is linked to."""
    links = [each["href"] or "" for each in page.all("a")]
    return {int(link.removeprefix(prefix)) for link in links if link.startswith(prefix)}


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("", {1, 2, 3}),
        ("severity=high", {1}),
        ("severity=high&severity=low", {1, 2}),
        ("state=resolved", {3}),
        ("source=logs", {3}),
        ("asset=1", {2}),
        ("search=Teln", {1}),
        ("search=10.0.0.1", {2}),
        ("severity=high&state=resolved", set()),
        ("search=&severity=&asset=", {1, 2, 3}),
    ],
)
def test_findings_are_filtered_as_in_the_api(query: str, numbers: set[int]):
    asset = Asset.objects.create(pk=1, address="10.0.0.1")
    findings = {
        1: given_finding(1, severity="high", title="Telnet is open"),
        2: given_finding(2, severity="low", asset=asset),
        3: given_finding(3, source="logs"),
    }
    triage(findings[3].pk, by_id=given_user("soc_analyst").pk, state="resolved")
    page = page_at(browser_of("viewer"), f"/findings?{query}")
    assert listed(page) == {findings[number].pk for number in numbers}
    if not numbers:
        assert "No finding matches these filters." in page.text


def test_filters_stay_filled_in():
    page = page_at(browser_of("viewer"), "/findings?severity=high&source=logs&search=ssh")
    assert [box["value"] for box in page.all("input", type="checkbox") if "checked" in box] == ["high"]
    assert [each["value"] for each in page.all("option") if "selected" in each] == ["logs"]
    assert page.all("input", name="search")[0]["value"] == "ssh"


def test_a_filter_that_cannot_be_understood_is_marked():
    given_finding()
    page = page_at(browser_of("viewer"), "/findings?asset=gateway", 400)
    assert page.error_at("asset") == "Enter a number."
    assert page.all("input", name="asset")[0]["aria-invalid"] == "true"
    assert not listed(page)
    assert "cannot be understood" in page.text


def test_long_lists_come_in_pages_and_keep_their_filters():
    for number in range(60):
        given_finding(number, severity="high" if number < 55 else "low")
    client = browser_of("viewer")
    first = page_at(client, "/findings?severity=high")
    [link] = first.all("a", rel="next")
    second = page_at(client, f"/findings{link['href']}")
    assert (len(listed(first)), len(listed(second))) == (50, 5)
    assert not listed(first) & listed(second)
    assert not second.all("a", rel="next")
    assert second.all("a", href="/findings?severity=high")


def test_a_made_up_place_in_a_list_is_not_found():
    page = page_at(browser_of("viewer"), "/findings?cursor=made-up", 404)
    assert "Not found" in page.text


def test_a_finding_is_shown_with_its_evidence_and_history():
    seen = timezone.now() - timedelta(hours=3)
    finding = given_finding(
        seen_at=seen,
        severity="critical",
        port=23,
        protocol="tcp",
        cvss_score=9.8,
        cvss_vector="CVSS:3.1/AV:N",
        evidence={"banner": "login:", "users_tried": {"root": 20}, "is_new": True, "lines": ["a" * 50, "b"]},
    )
    analyst = given_user("soc_analyst")
    triage(finding.pk, by_id=analyst.pk, state="acknowledged", note="Ours")
    text = page_at(browser_of("viewer"), f"/findings/{finding.pk}").text
    for words in (
        "critical Finding 1", "acknowledged", "port 23/tcp", "9.8 CVSS:3.1/AV:N", "What to do", "login:", '"root": 20',
        "is new yes", "a" * 50 + " b", f"{seen:%Y-%m-%d %H:%M:%S} UTC first seen", f"judged by {analyst.username}",
        "last seen, once in all", "Ours",
    ):  # fmt: skip
        assert words in text, words


@pytest.mark.parametrize("path", ["/findings/4711", "/scans/4711", "/findings/99999999999999999999"])
def test_what_is_not_there_is_told_on_a_page(path: str):
    page = page_at(browser_of("viewer"), path, 404)
    assert "Not found" in page.text
    assert page.all("a", href="/")


# --- Triage


def triaged(client: Client, finding: Finding, **fields: str) -> Any:
    form = {"state": finding.state, "triage_note": "", "accepted_until": "", "shown_until": ""}
    return client.post(f"/findings/{finding.pk}", {**form, **fields})


@pytest.mark.parametrize("role", sorted(ANALYSTS))
def test_a_triage_counts_at_once_for_everybody(role: str):
    finding, reader, judge = given_finding(), client_of("viewer"), given_user(role)
    path = f"/api/security/findings/{finding.pk}"
    assert reader.get(path).json()["state"] == "open"
    client = browser_for(judge)
    answer = triaged(client, finding, state="acknowledged", triage_note="Looking at it")
    assert (answer.status_code, answer["Location"]) == (302, f"/findings/{finding.pk}")
    now = reader.get(path).json()
    assert (now["state"], now["triage_note"], now["triaged_by"]) == ("acknowledged", "Looking at it", judge.username)
    page = page_at(client, answer["Location"])
    assert "Saved: the finding is acknowledged." in page.text
    assert [each["value"] for each in page.all("option") if "selected" in each] == ["acknowledged"]


def test_who_may_only_read_sees_no_form_and_is_refused_in_words():
    finding, client = given_finding(), browser_of("viewer")
    assert not page_at(client, f"/findings/{finding.pk}").all("select", name="state")
    answer = triaged(client, finding, state="resolved")
    assert answer.status_code == 403
    assert "This needs one of the roles platform_owner, security_admin, soc_analyst." in Page(answer).text
    finding.refresh_from_db()
    assert (finding.state, finding.triaged_at) == ("open", None)


def test_a_risk_is_accepted_for_a_time_or_for_ever():
    finding, client = given_finding(), browser_of("soc_analyst")
    until = (timezone.now() + timedelta(days=2)).replace(second=0, microsecond=0)
    assert triaged(client, finding, state="risk_accepted", accepted_until=f"{until:%Y-%m-%dT%H:%M}").status_code == 302
    finding.refresh_from_db()
    assert (finding.state, finding.accepted_until) == ("risk_accepted", until)
    page = page_at(client, f"/findings/{finding.pk}")
    assert page.all("input", name="accepted_until")[0]["value"] == f"{until:%Y-%m-%dT%H:%M}"
    assert triaged(client, finding, state="risk_accepted").status_code == 302
    finding.refresh_from_db()
    assert (finding.state, finding.accepted_until) == ("risk_accepted", None)


def test_an_end_that_was_only_shown_does_not_hinder_another_state():
    finding, client = given_finding(), browser_of("soc_analyst")
    triage(finding.pk, by_id=None, state="risk_accepted", accepted_until=timezone.now() + timedelta(days=1))
    page = page_at(client, f"/findings/{finding.pk}")
    shown = {name: page.all("input", name=name)[0]["value"] or "" for name in ("accepted_until", "shown_until")}
    assert shown["accepted_until"]
    assert triaged(client, finding, state="open", **shown).status_code == 302
    finding.refresh_from_db()
    assert (finding.state, finding.accepted_until) == ("open", None)


@pytest.mark.parametrize(
    ("field", "value", "others", "words"),
    [
        ("state", "nonsense", {}, "is not a valid choice"),
        ("accepted_until", "2001-01-01T00:00", {"state": "risk_accepted"}, "This time has passed"),
        ("accepted_until", "2999-01-01T00:00", {"state": "open"}, "Only an accepted risk has an end"),
        ("accepted_until", "soon", {"state": "risk_accepted"}, "wrong format"),
        ("triage_note", "x" * 5001, {}, "no more than 5000 characters"),
    ],
)
def test_what_is_wrong_with_a_triage_stands_at_its_field(field: str, value: str, others: dict[str, str], words: str):
    finding = given_finding()
    answer = triaged(browser_of("soc_analyst"), finding, **{**others, field: value})
    assert answer.status_code == 400
    page = Page(answer)
    assert words in page.error_at(field)
    if field != "state":
        assert value in page.html  # what was written is not lost
    finding.refresh_from_db()
    assert finding.triaged_at is None


def test_only_states_are_offered_that_the_finding_can_get_to():
    finding, client = given_finding(), browser_of("soc_analyst")
    triage(finding.pk, by_id=None, state="false_positive")
    offered = {each["value"] for each in page_at(client, f"/findings/{finding.pk}").all("option")}
    assert offered == {"open", "acknowledged", "false_positive"}
    answer = triaged(client, finding, state="resolved")
    assert answer.status_code == 400
    assert "reopen or acknowledge it first" in Page(answer).error_at("state")


@pytest.mark.parametrize("path", ["/findings/{}", "/scans", "/notifications/{}"])
def test_forms_of_other_sites_are_refused(path: str):
    user = given_user("soc_analyst")
    finding = given_finding()
    note = Notification.objects.create(pk=finding.pk, user=user, title="t")
    form = {"state": "resolved", "targets": LOOPBACK, "read": "true"}
    answer = browser_for(user, enforce_csrf_checks=True).post(path.format(finding.pk), form)
    assert answer.status_code == 403
    finding.refresh_from_db()
    note.refresh_from_db()
    assert (finding.state, note.read_at, Job.objects.count()) == ("open", None, 0)


def test_a_form_of_this_site_is_taken():
    client = browser_for(given_user("soc_analyst"), enforce_csrf_checks=True)
    finding = given_finding()
    token = page_at(client, f"/findings/{finding.pk}").all("input", name="csrfmiddlewaretoken")[0]["value"]
    assert triaged(client, finding, state="resolved", csrfmiddlewaretoken=str(token)).status_code == 302


# --- Assets


@pytest.mark.parametrize(
    ("query", "addresses"),
    [("", {"10.0.0.1", "10.0.0.2"}), ("exposure=internet", {"10.0.0.1"}), ("open_port=22", {"10.0.0.2"})],
)
def test_assets_are_filtered_and_lead_to_their_findings(query: str, addresses: set[str]):
    Asset.objects.create(address="10.0.0.1", exposure="internet")
    ssh = Asset.objects.create(address="10.0.0.2", name="gate")
    now = timezone.now()
    for port, state in ((22, "open"), (23, "closed")):
        Service.objects.create(asset=ssh, port=port, name="ssh", state=state, first_seen=now, last_seen=now)
    page = page_at(browser_of("viewer"), f"/assets?{query}")
    assert {address for address in ("10.0.0.1", "10.0.0.2") if address in page.text} == addresses
    if "10.0.0.2" in addresses:
        assert "22 ssh" in page.text
        assert "23 ssh" not in page.text
        assert page.all("a", href=f"/findings?asset={ssh.pk}")


def test_the_first_page_leads_to_what_its_numbers_count():
    Asset.objects.create(address="10.0.0.1", exposure="dmz")
    given_event(kind="auth.failure", source_ip="203.0.113.9", count=7)
    page = page_at(browser_of("viewer"), "/")
    assert page.all("a", href="/findings?severity=critical&state=open&state=acknowledged")
    assert page.all("a", href="/assets?exposure=dmz")
    assert page.all("a", href="/events?kind=auth.failure&source_ip=203.0.113.9")


# --- Scans


def started(client: Client, targets: str, ports: str = "", token: str = "t") -> Any:
    return client.post("/scans", {"targets": targets, "ports": ports, "token": token})


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("role", sorted(ANALYSTS))
def test_a_scan_is_started_and_one_is_led_to_it(role: str):
    user = given_user(role)
    client = browser_for(user)
    assert page_at(client, "/scans").all("textarea", name="targets")
    answer = started(client, f"{LOOPBACK}\n127.0.0.2, {LOOPBACK}", "81,80")
    assert answer.status_code == 302, Page(answer).text
    job, scan = Job.objects.get(), Scan.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/scans/{scan.pk}")
    assert (job.type, job.submitted_by, scan.job) == ("security_scan", user, job)
    assert job.params == {"targets": [LOOPBACK, "127.0.0.2", LOOPBACK], "ports": "80-81"}
    page = page_at(client, answer["Location"])
    assert "The scan waits for a worker" in page.text
    assert page.all("progress", value="0.00")


@pytest.mark.usefixtures("loopback")
def test_a_form_that_is_sent_twice_starts_one_scan():
    client = browser_of("soc_analyst")
    places = {started(client, LOOPBACK, "80")["Location"] for _ in range(2)}
    assert (len(places), Scan.objects.count()) == (1, 1)
    started(client, LOOPBACK, "81")  # the same form after a look back, with other ports
    started(client, LOOPBACK, "80", token="another form")
    assert Scan.objects.count() == 3


@pytest.mark.usefixtures("loopback")
def test_who_may_not_scan_sees_no_form_and_is_refused_in_words():
    client = browser_of("viewer")
    assert not page_at(client, "/scans").all("textarea")
    answer = started(client, LOOPBACK)
    assert answer.status_code == 403
    assert "This needs one of the roles" in Page(answer).text
    assert not Job.objects.exists()


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize(
    ("targets", "ports", "field", "status", "words"),
    [
        ("", "", "targets", 400, "at least 1 element"),
        ("not_a_host!", "", "targets", 400, "not_a_host!"),
        (f"{LOOPBACK} 10.0.0.1", "", "targets", 403, "10.0.0.1"),
        (LOOPBACK, "80-", "ports", 400, "80-"),
        (LOOPBACK, "70000", "ports", 400, "70000"),
    ],
)
def test_what_is_wrong_with_a_scan_stands_at_its_field(targets: str, ports: str, field: str, status: int, words: str):
    answer = started(browser_of("soc_analyst"), targets, ports)
    assert answer.status_code == status
    page = Page(answer)
    assert words in page.error_at(field)
    assert page.all("input", name="ports")[0]["value"] == ports
    assert targets in page.text
    assert not Job.objects.exists()


@pytest.mark.usefixtures("loopback")
def test_a_full_queue_is_told_above_the_form_with_the_time_to_wait():
    JobPolicy.objects.update_or_create(name="security_scan", defaults={"capacity": 1})
    client = browser_of("soc_analyst")
    started(client, LOOPBACK, "80")
    answer = started(client, LOOPBACK, "81")
    assert answer.status_code == 503
    assert int(answer["Retry-After"]) > 0
    page = Page(answer)
    assert page.all("p", class_="error", role="alert")
    assert page.all("input", name="ports")[0]["value"] == "81"


@pytest.mark.usefixtures("loopback")
def test_a_scan_shows_its_progress_and_then_its_results_and_changes():
    analyst, viewer = browser_of("soc_analyst"), browser_of("viewer")
    with serving(curt(b"SSH-2.0-OpenSSH_9.9p1\r\n")) as port:
        for number in range(2):
            place = started(analyst, LOOPBACK, str(port), token=str(number))["Location"]
            Job.objects.filter(type="security_scan", status="submitted").update(progress=0.25, message="looking around")
            waiting = page_at(analyst, place)
            assert "25 %" in waiting.text
            assert "looking around" in waiting.text
            assert "looking around" not in page_at(viewer, place).text  # the job is another's
            assert "25 %" in page_at(viewer, "/scans").text
            assert "25 %" in page_at(viewer, "/").text
            run_job(str(Job.objects.get(type="security_scan", status="submitted").pk))
    page = page_at(viewer, place)
    assert "completed" in page.text
    assert not page.all("progress")
    assert f"{LOOPBACK} {port} " in page.text
    first, second = Scan.objects.order_by("pk")
    assert page.all("a", href=f"/scans/{first.pk}")
    assert "0 new, 0 gone, 1 unchanged" in page.text
    assert f"Opened: {LOOPBACK}:{port}" in page_at(viewer, f"/scans/{first.pk}").text
    assert place == f"/scans/{second.pk}"
    assert "ask for its comparison" in page_at(viewer, f"/scans/{first.pk}?with={second.pk}").text


def test_a_scan_from_before_scans_kept_what_they_saw_is_shown_all_the_same():
    scan = Scan.objects.create(targets=["a"], ports="80", kept_state="completed", hosts_up=3)
    assert "scan again to compare" in page_at(browser_of("viewer"), f"/scans/{scan.pk}").text


def test_hosts_of_a_scan_are_listed():
    scan = Scan.objects.create(targets=["a"], ports="80", kept_state="completed", hosts_up=1)
    ScanHost.objects.create(scan=scan, address="2001:db8::7", open_ports=[22, 80], seen=[given_finding().pk])
    page = page_at(browser_of("viewer"), f"/scans/{scan.pk}")
    assert "2001:db8::7 22, 80 1" in page.text
    assert "Opened: [2001:db8::7]:22, [2001:db8::7]:80" in page.text


# --- Events


@pytest.mark.parametrize(
    ("query", "messages"),
    [
        ("", {"knock", "served"}),
        ("kind=auth.failure", {"knock"}),
        ("kind=auth.failure&kind=other", {"knock", "served"}),
        ("source=web", {"served"}),
        ("source_ip=203.0.113.9", {"knock"}),
        ("q=erve", {"served"}),
        ("since=2026-01-01T00:00", {"knock", "served"}),
        ("until=2026-01-01T00:00", set()),
    ],
)
def test_events_are_filtered_by_kind_source_and_time(query: str, messages: set[str]):
    given_event(kind="auth.failure", source_ip="203.0.113.9", message="knock")
    given_event(source="web", message="served")
    page = page_at(browser_of("viewer"), f"/events?{query}")
    assert {message for message in ("knock", "served") if f" {message} " in page.text} == messages


def test_an_address_that_is_none_is_marked():
    page = page_at(browser_of("viewer"), "/events?source_ip=somewhere", 400)
    assert "Write an IP address" in page.error_at("source_ip")


def test_times_are_chosen_where_browsers_can_show_them():
    client = browser_of("viewer")
    for value, kind in (("", "datetime-local"), ("2026-01-01T00:00", "datetime-local"), ("2026-01-01T00:00Z", "text")):
        [field] = page_at(client, f"/events?since={value}").all("input", name="since")
        assert (field["type"], field["value"]) == (kind, value)


# --- Notifications


def test_everybody_sees_only_what_they_were_told():
    one, other = given_user("soc_analyst"), given_user("soc_analyst")
    Notification.objects.create(user=one, title="For one", severity="high")
    Notification.objects.create(user=other, title="For the other", severity="high")
    text = page_at(browser_for(one), "/notifications").text
    assert "For one" in text
    assert "For the other" not in text


def test_a_notification_leads_to_the_page_about_it_and_is_marked_as_read():
    user, finding = given_user("soc_analyst"), given_finding()
    link = f"/api/security/findings/{finding.pk}"
    note = Notification.objects.create(user=user, title="Look here", severity="high", link=link)
    client = browser_for(user)
    page = page_at(client, "/notifications")
    assert page.all("a", href=f"/findings/{finding.pk}")
    assert "Notifications 1 unread" in page.text
    answer = client.post(f"/notifications/{note.pk}?unread=true", {"read": "true"})
    assert (answer.status_code, answer["Location"]) == (302, "/notifications?unread=true")
    assert client_for(user).get("/api/notifications").json()["results"][0]["read"] is True
    assert "No notification matches" in page_at(client, answer["Location"]).text
    assert "1 unread" not in page_at(client, "/").text
    assert client.post(f"/notifications/{note.pk}", {"read": "false"})["Location"] == "/notifications"
    assert "Notifications 1 unread" in page_at(client, "/").text


def test_nobody_marks_what_others_were_told():
    note = Notification.objects.create(user=given_user("soc_analyst"), title="t")
    answer = browser_of("platform_owner").post(f"/notifications/{note.pk}", {"read": "true"})
    assert answer.status_code == 404
    note.refresh_from_db()
    assert note.read_at is None


# --- Kept up to date


@pytest.mark.parametrize("path", PAGES)
def test_every_page_asks_for_itself_again_and_works_without_a_script(path: str):
    address = f"{path}?page_size=5"
    page = page_at(browser_of("soc_analyst"), address)
    [live] = [each for _, each in page.elements if "data-live" in each]
    assert (live["id"], live["hx-get"], live["hx-select"]) == ("live", address, "#live")
    assert re.fullmatch(r"every \d+s, visibilitychange from:document", live["hx-trigger"] or "")
    for form in page.all("form"):
        assert form["method"] in ("get", "post")
        assert form["action"]


@pytest.mark.usefixtures("loopback")
@pytest.mark.parametrize("path", ["/", "/scans", "/scans/{}"])
def test_a_page_asks_more_often_while_a_scan_runs(path: str):
    client = browser_of("soc_analyst")
    started(client, LOOPBACK, "80")
    path = path.format(Scan.objects.get().pk)

    def seconds() -> int:
        [live] = [each for _, each in page_at(client, path).elements if "data-live" in each]
        return int(re.findall(r"\d+", live["hx-trigger"] or "")[0])

    while_it_runs = seconds()
    Job.objects.update(status="cancelled", finished_at=timezone.now())
    assert while_it_runs < seconds()


# --- Small things


def test_times_say_how_long_ago_they_were():
    now = timezone.now()
    assert ">just now<" in moment(now)
    assert ">3\xa0hours ago<" in moment((now - timedelta(hours=3, minutes=10)).isoformat())
    assert "UTC" in moment(now + timedelta(hours=1))
    assert moment(None) == moment("") == moment("yesterday") == "–"


@pytest.mark.parametrize(
    ("link", "page"),
    [
        ("/api/security/findings/7", "/findings/7"),
        ("/api/security/scans/7", "/scans/7"),
        ("/api/network/assets", ""),
        ("/nowhere/else", ""),
        ("javascript:alert(1)", ""),
        ("", ""),
    ],
)
def test_links_of_the_api_lead_to_pages_where_there_are_some(link: str, page: str):
    assert page_of(link) == page


def test_addresses_are_told_from_ports():
    assert address_with_port("192.0.2.1", 80) == "192.0.2.1:80"
    assert address_with_port("2001:db8::1", 80) == "[2001:db8::1]:80"
