"""The security posture by API and as a page; the analysis it keeps young; the commands of the first minutes."""

from __future__ import annotations

import os
import random
import re
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import django_rq
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rq import Worker

from perf.caching import invalidate
from perf.jobs import submit
from perf.jobs.run import run_job
from perf.models import Job, JobPolicy
from securenet.accounts.roles import ROLES
from securenet.dashboard.charts import HEIGHT, WIDTH, bar_chart
from securenet.dashboard.health import QUESTIONS
from securenet.dashboard.management.commands import first_start
from securenet.dashboard.management.commands.demo_traffic import is_this_machine
from securenet.dashboard.posture import RATE_HOURS, TOP_SOURCES, TREND_DAYS, posture
from securenet.dashboard.questions import Answered, Question, Unanswered, answer_within
from securenet.dashboard.views import ANALYSIS_TTL
from securenet.logs.models import AnalysisRun, LogEvent
from securenet.network.inventory import OpenPort, record_host
from securenet.network.models import Asset, ScanTarget, Service
from securenet.run.redis_server import RedisServer
from securenet.security.findings import record_finding, resolve
from securenet.security.models import Finding, Scan
from tests.integration.people import PASSWORD, client_for, client_of, given_user, staff_client
from tests.integration.test_store_failure import wait_until_closed

DASHBOARD = "/api/dashboard"
CACHED = "/api/dashboard/cached"
# In the middle of an hour and of a day.
NOW = datetime(2026, 3, 15, 12, 30, tzinfo=UTC)
MOST_QUERIES = 16


def given_finding(number: int = 1, seen_at: datetime = NOW, **fields: Any) -> Finding:
    finding, _ = record_finding(
        **{
            "fingerprint": f"{number:064x}",
            "source": "scan",
            "check_id": "some-check",
            "title": f"Finding {number}",
            "description": "What is wrong.",
            "advice": "What to do.",
            "severity": "medium",
            "confidence": 80,
            "evidence": {},
            "seen_at": seen_at,
            **fields,
        }
    )
    return finding


def given_events(number: int = 1, time: datetime = NOW, **fields: Any) -> None:
    LogEvent.objects.bulk_create(
        LogEvent(**{"time": time, "received_at": time, "source": "gate", "kind": "other", "message": "m", **fields})
        for _ in range(number)
    )


def given_analysis(age: float = 0, now: datetime | None = None, **fields: Any) -> AnalysisRun:
    """One that ended so many seconds ago."""
    ended = (now or timezone.now()) - timedelta(seconds=age)
    return AnalysisRun.objects.create(since=ended, started_at=ended, finished_at=ended, **fields)


def given_much(per_kind: int = 30) -> None:
    """Enough of everything that a query for each of it would show."""
    now = timezone.now()
    for number in range(per_kind):
        asset = record_host(f"10.0.0.{number + 1}", seen_at=now, open_ports=[OpenPort(443, "tcp", "https", "", "", "")])
        given_finding(number, seen_at=now, asset=asset, port=443)
        given_events(time=now, kind="auth.failure", source_ip=f"203.0.113.{number + 1}")
        given_analysis()
        scan = {"targets": [f"10.0.0.{number + 1}"], "ports": "443"}
        submit("security_scan", scan)


# --- What the numbers say


def test_open_findings_are_counted_by_severity_and_age():
    ages = {"under_1_day": 0, "under_7_days": 3, "under_30_days": 20, "older": 200}
    for number, days in enumerate(ages.values()):
        given_finding(number, first_seen=NOW - timedelta(days=days), severity="high" if days else "low")
    given_finding(8, first_seen=NOW - timedelta(days=3))
    gone = given_finding(9)
    resolve([gone.pk], NOW)
    findings = posture(NOW)["findings"]
    assert findings["open"] == 5
    assert findings["by_severity"] == {"info": 0, "low": 1, "medium": 1, "high": 3, "critical": 0}
    assert findings["by_age"] == {"under_1_day": 1, "under_7_days": 2, "under_30_days": 1, "older": 1}
    assert sum(findings["by_age"].values()) == findings["open"]


@pytest.mark.parametrize(
    ("age", "group"),
    [
        (timedelta(days=1) - timedelta(seconds=1), "under_1_day"),
        (timedelta(days=1), "under_7_days"),
        (timedelta(days=7), "under_30_days"),
        (timedelta(days=30), "older"),
    ],
)
def test_a_finding_is_in_exactly_one_age_group(age: timedelta, group: str):
    given_finding(first_seen=NOW - age)
    by_age = posture(NOW)["findings"]["by_age"]
    assert {name: count for name, count in by_age.items() if count} == {group: 1}


def test_the_trend_has_a_row_for_each_of_14_days():
    given_finding(1, seen_at=NOW - timedelta(days=13, hours=12))
    given_finding(2, seen_at=NOW - timedelta(days=13, hours=13))  # the day before the first
    given_finding(3, seen_at=NOW)
    resolve([given_finding(4, seen_at=NOW - timedelta(days=2)).pk], NOW)
    trend = posture(NOW)["findings"]["trend"]
    assert len(trend) == TREND_DAYS
    assert [row["day"] for row in trend] == [(NOW - timedelta(days=day)).date() for day in range(13, -1, -1)]
    assert trend[0] == {"day": NOW.date() - timedelta(days=13), "new": 1, "resolved": 0}
    assert trend[-1] == {"day": NOW.date(), "new": 1, "resolved": 1}
    assert sum(row["new"] for row in trend) == 3


def test_assets_are_counted_by_exposure_and_criticality_and_only_open_services_count():
    Asset.objects.create(address="10.0.0.1", criticality="critical", exposure="internet")
    asset = Asset.objects.create(address="10.0.0.2")
    Service.objects.create(asset=asset, port=22, protocol="tcp", state="open", first_seen=NOW, last_seen=NOW)
    Service.objects.create(asset=asset, port=23, protocol="tcp", state="closed", first_seen=NOW, last_seen=NOW)
    assets = posture(NOW)["assets"]
    assert (assets["total"], assets["open_services"]) == (2, 1)
    assert set(assets["by_exposure"]) == set(Asset.Exposure.values)
    assert assets["by_exposure"]["internet"] == 1
    assert assets["by_criticality"]["critical"] == 1
    assert sum(assets["by_criticality"].values()) == sum(assets["by_exposure"].values()) == 2


def test_events_are_counted_for_each_of_24_hours():
    this_hour = NOW.replace(minute=0)
    given_events(3, NOW - timedelta(minutes=1))
    given_events(2, this_hour)
    given_events(1, this_hour - timedelta(hours=23))
    given_events(5, this_hour - timedelta(hours=23, seconds=1))
    given_events(7, NOW + timedelta(minutes=1))  # by a clock that is ahead
    per_hour = posture(NOW)["events"]["per_hour"]
    assert len(per_hour) == RATE_HOURS
    assert per_hour[-1] == {"hour": this_hour, "events": 5}
    assert per_hour[0] == {"hour": this_hour - timedelta(hours=23), "events": 1}
    assert sum(row["events"] for row in per_hour) == 6


def test_attack_sources_are_ranked_by_refused_attempts_of_the_last_day():
    given_events(2, source_ip="203.0.113.1", kind="auth.failure")
    given_events(1, source_ip="203.0.113.2", kind="auth.failure", count=5)
    given_events(9, source_ip="203.0.113.3", kind="auth.success")
    given_events(9, source_ip="203.0.113.4", kind="auth.failure", time=NOW - timedelta(hours=25))
    given_events(9, source_ip=None, kind="auth.failure")
    top = posture(NOW)["events"]["top_attack_sources"]
    assert [(row["source"], row["attempts"]) for row in top] == [("203.0.113.2", 5), ("203.0.113.1", 2)]
    assert top[0]["last_seen"] == NOW
    for number in range(TOP_SOURCES + 5):
        given_events(3, source_ip=f"198.51.100.{number}", kind="auth.failure")
    assert len(posture(NOW)["events"]["top_attack_sources"]) == TOP_SOURCES


def test_the_last_scan_and_the_last_analysis_are_told_with_their_age():
    assert posture(NOW)["last_scan"] is None
    assert posture(NOW)["last_analysis"] is None
    given_analysis(900, NOW)
    given_analysis(60, NOW, events=7, detections=2, findings_new=1)
    Scan.objects.create(targets=["10.0.0.1"], ports="80", kept_state="completed", open_ports=3)
    data = posture(NOW)
    assert data["last_analysis"] == {
        "finished_at": NOW - timedelta(seconds=60),
        "age": 60,
        "events": 7,
        "detections": 2,
        "findings_new": 1,
    }
    assert (data["last_scan"]["targets"], data["last_scan"]["state"], data["last_scan"]["open_ports"]) == (
        ["10.0.0.1"],
        "completed",
        3,
    )


def test_the_posture_takes_the_same_few_queries_however_much_there_is():
    with CaptureQueriesContext(connection) as few:
        posture()
    given_much()
    with CaptureQueriesContext(connection) as many:
        posture()
    assert len(many) == len(few) <= MOST_QUERIES


# --- By API


@pytest.mark.parametrize("path", [DASHBOARD, CACHED])
def test_every_role_sees_the_dashboard_and_strangers_do_not(path: str, client):
    given_analysis()
    for role in ROLES:
        assert client_of(role).get(path).status_code == 200
    assert client_of().get(path).status_code == 200
    assert client.get(path).status_code == 401


def test_one_is_computed_afresh_and_the_other_comes_from_the_cache():
    given_analysis()
    client = client_of("viewer")
    assert client.get(CACHED).json()["findings"]["open"] == client.get(DASHBOARD).json()["findings"]["open"] == 0
    LogEvent.objects.create(time=timezone.now(), received_at=timezone.now(), source="x", kind="other", message="m")
    fresh, cached = client.get(DASHBOARD), client.get(CACHED)
    assert fresh.json()["events"]["per_hour"][-1]["events"] == 1
    assert "Age" not in fresh
    assert cached.json()["events"]["per_hour"][-1]["events"] == 0
    assert "hit" in cached["Cache-Status"]


def test_both_have_the_same_body():
    given_analysis()
    given_much(3)
    client = client_of("viewer")
    fresh, cached = client.get(DASHBOARD).json(), client.get(CACHED).json()
    for body in (fresh, cached):
        del body["generated_at"]
        body["last_analysis"].pop("age")
    assert fresh == cached


def test_the_cached_dashboard_follows_what_people_do_to_findings():
    given_analysis()
    finding, reader = given_finding(), client_of("viewer")
    assert reader.get(CACHED).json()["findings"]["open"] == 1
    client_of("soc_analyst").patch(f"/api/security/findings/{finding.pk}", {"state": "resolved"})
    assert reader.get(CACHED).json()["findings"]["open"] == 0


def test_a_warm_answer_takes_no_query(django_assert_num_queries):
    given_analysis()
    client = client_of("viewer")
    client.get(CACHED)
    with django_assert_num_queries(0):
        assert client.get(CACHED).status_code == 200


# --- The analysis behind it


def analyses() -> int:
    return Job.objects.filter(type="log_analysis").count()


@pytest.mark.parametrize(("age", "state"), [(None, "submitted"), (ANALYSIS_TTL + 5, "submitted"), (10, "current")])
def test_looking_at_the_cached_dashboard_keeps_the_analysis_young(age: float | None, state: str):
    if age is not None:
        given_analysis(ANALYSIS_TTL * 10)
        given_analysis(age)
    assert client_of("viewer").get(CACHED).json()["analysis"] == {"state": state}
    assert analyses() == (1 if state == "submitted" else 0)


def test_however_many_look_one_analysis_is_submitted():
    for role in ROLES:  # answers are shared by role: each of these is computed
        assert client_of(role).get(CACHED).json()["analysis"] == {"state": "submitted"}
    assert analyses() == 1
    [job] = Job.objects.filter(type="log_analysis")
    assert (job.submitted_by, job.status) == (None, "submitted")
    run_job(str(job.pk))
    assert client_of("viewer").get(CACHED).json()["analysis"] == {"state": "current"}
    assert analyses() == 1


def test_the_fresh_dashboard_tells_that_an_analysis_is_due_and_submits_none():
    assert client_of("viewer").get(DASHBOARD).json()["analysis"] == {"state": "due"}
    assert analyses() == 0


def test_a_full_queue_keeps_nobody_from_looking():
    JobPolicy.objects.update_or_create(name="log_analysis", defaults={"capacity": 1})
    submit("log_analysis", {"source": "something-else"})
    answer = client_of("viewer").get(CACHED)
    assert (answer.status_code, answer.json()["analysis"]) == (200, {"state": "queue_full"})
    assert analyses() == 1


def test_analyses_that_are_switched_off_keep_nobody_from_looking():
    JobPolicy.objects.update_or_create(name="log_analysis", defaults={"enabled": False})
    answer = client_of("viewer").get(CACHED)
    assert (answer.status_code, answer.json()["analysis"]) == (200, {"state": "disabled"})


# --- The page


class Page(HTMLParser):
    """What matters of a page: its elements with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = html
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attributes)))

    def all(self, *tags: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.elements if tag in tags]


def browser_of(*roles: str, **fields: Any) -> Client:
    client = Client()
    client.force_login(given_user(*roles, **fields))
    return client


def page_for(client: Client) -> Page:
    answer = client.get("/")
    assert answer.status_code == 200
    return Page(answer.content.decode())


def test_strangers_are_led_to_the_sign_in_page_and_back(client):
    answer = client.get("/")
    assert answer.status_code == 302
    assert answer["Location"] == "/login?next=/"


@pytest.mark.parametrize("role", ROLES)
def test_every_role_sees_the_page_empty_or_full(role: str):
    client = browser_of(role)
    assert "Nothing is open." in page_for(client).text
    given_much(12)
    text = page_for(client).text
    assert "Finding 3" in text
    assert "203.0.113.7" in text


def test_the_page_takes_the_same_few_queries_however_much_there_is():
    client = browser_of("platform_owner")
    client.get("/")
    queries = []
    for number in (1, 30):
        given_much(number)
        invalidate(everything=True)  # so that the numbers are computed each time
        with CaptureQueriesContext(connection) as captured:
            client.get("/")
        queries.append(len(captured))
    few, many = queries
    assert many == few <= MOST_QUERIES + 16


def test_nothing_on_the_page_needs_more_than_the_content_security_policy_allows():
    given_much(3)
    client = browser_of("platform_owner", is_staff=True)
    answer = client.get("/")
    page = Page(answer.content.decode())
    assert answer["Content-Security-Policy"].startswith("default-src 'self'")
    assert not page.all("style")
    assert all("src" in script for script in page.all("script"))
    for tag, attributes in page.elements:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("href", "src", "action"):
            target = attributes.get(name) or "/"
            assert target.startswith(("/", "#", "data:image/")), (tag, target)


def test_the_page_can_be_read_and_used_without_seeing_it():
    given_much(3)
    page = page_for(browser_of("platform_owner"))
    assert page.all("html")[0]["lang"] == "en"
    assert "width=device-width" in page.all("meta")[1]["content"]
    assert (len(page.all("main")), len(page.all("header")), len(page.all("h1"))) == (1, 1, 1)
    assert all(nav.get("aria-label") for nav in page.all("nav"))
    assert len(page.all("table")) == len(page.all("caption")) > 0
    assert all(cell.get("scope") for cell in page.all("th"))
    assert all(image.get("aria-label") for image in page.all("svg"))
    assert all("alt" in image for image in page.all("img"))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    skip = next(link for link in page.all("a") if (link.get("href") or "").startswith("#"))
    assert (skip["href"] or "").removeprefix("#") in ids


def test_what_attackers_named_is_shown_and_never_obeyed():
    given_finding(title="<script>alert(1)</script>", seen_at=timezone.now(), subject='"><img src=x>')
    text = page_for(browser_of("viewer")).text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<script>alert(1)" not in text
    assert "<img src=x>" not in text


def test_admins_see_every_job_on_the_page_and_others_their_own():
    analyst = given_user("soc_analyst")
    submit("log_analysis", {"source": "a"}, by=analyst)
    Job.objects.update(message="reading somebody's log")
    own = Client()
    own.force_login(analyst)
    assert "reading somebody" in page_for(own).text
    assert "reading somebody" in page_for(browser_of("security_admin")).text
    assert "reading somebody" not in page_for(browser_of("viewer")).text
    assert "reading somebody" not in page_for(browser_of("soc_analyst")).text


def colours(css: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{3,6})\b", css))


def luminance(colour: str) -> float:
    """Relative luminance of WCAG 2.2."""
    digits = colour.removeprefix("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    darker, lighter = sorted((luminance(first), luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_have_the_contrast_that_eyes_need_by_day_and_night(scheme: str):
    folder = Path(first_start.__file__).parents[2]
    css = (folder / "static/dashboard/dashboard.css").read_text()
    light, _, rest = css.partition("@media (prefers-color-scheme: dark)")
    chosen = colours(light) if scheme == "light" else {**colours(light), **colours(rest.partition("\n}")[0])}
    texts = ("ink", "quiet", "accent", "critical", "high", "medium", "low", "info")
    for ground in ("ground", "surface"):
        for name in texts:
            assert contrast(chosen[name], chosen[ground]) >= 4.5, (scheme, name, ground)


def test_bars_are_as_high_as_their_share_of_the_largest():
    chart = bar_chart([("a", 1), ("b", 4), ("c", 0)])
    assert [bar.height for bar in chart.bars] == [HEIGHT / 4, HEIGHT, 0]
    assert all(bar.y + bar.height == HEIGHT for bar in chart.bars)
    assert chart.bars[-1].x + chart.bars[-1].width <= WIDTH
    assert (chart.largest, chart.total, chart.first_label, chart.last_label) == (4, 5, "a", "c")
    assert bar_chart([]).bars == ()
    assert bar_chart([("a", 0)]).bars[0].height == 0


# --- Health


def test_the_process_is_alive_without_asking_anybody(client, frozen_redis, django_assert_num_queries):
    started = time.monotonic()
    with django_assert_num_queries(0):
        answer = client.get("/livez")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert time.monotonic() - started < 1.5  # a question to Redis would wait 2 s


def checks_of(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.content
    assert answer["Cache-Control"] == "no-store"
    checks: dict[str, Any] = answer.json()["checks"]
    return checks


def test_it_is_ready_when_everything_answers_and_a_worker_is_there(client):
    worker = Worker([django_rq.get_queue("high")], connection=django_rq.get_connection())
    worker.register_birth()
    try:
        answer = client.get("/readyz")
    finally:
        worker.register_death()
    checks = checks_of(answer, 200)
    assert answer.json()["status"] == "ok"
    assert {name: check["state"] for name, check in checks.items()} == {
        "database": "ok",
        "redis": "ok",
        "workers": "ok",
    }
    assert checks["workers"]["count"] == 1
    assert 0 <= checks["database"]["ms"] < 1000


def test_without_workers_it_is_degraded_and_answers(client):
    answer = client.get("/readyz")
    assert checks_of(answer, 200)["workers"] == {"state": "none", "count": 0}
    assert answer.json()["status"] == "degraded"


@pytest.fixture
def frozen_redis(redis: RedisServer) -> Iterator[None]:
    """Redis hangs: it takes connections and answers nothing."""
    os.kill(redis.pid, signal.SIGSTOP)
    yield
    os.kill(redis.pid, signal.SIGCONT)
    for question in QUESTIONS.values():
        answer_within(question.put(), 10)


def test_a_redis_that_hangs_is_told_within_a_second_however_often_one_asks(client, frozen_redis):
    for _ in range(3):
        started = time.monotonic()
        answer = client.get("/readyz")
        assert time.monotonic() - started < 1
        checks = checks_of(answer, 503)
        assert answer.json()["status"] == "unavailable"
        assert (checks["redis"]["state"], checks["database"]["state"]) == ("down", "ok")
        assert checks["redis"]["reason"]
        assert checks["workers"] == {"state": "unknown", "count": 0}
    assert len([thread for thread in threading.enumerate() if thread.name == "readyz-redis"]) <= 1


def test_a_redis_that_comes_back_is_ready_again(client, redis: RedisServer):
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        assert client.get("/readyz").status_code == 503
    finally:
        os.kill(redis.pid, signal.SIGCONT)
    for question in QUESTIONS.values():
        answer_within(question.put(), 10)
    assert client.get("/readyz").status_code == 200


def test_a_database_without_tables_is_not_ready(client):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE django_migrations RENAME TO elsewhere")
        try:
            answer = client.get("/readyz")
        finally:
            cursor.execute("ALTER TABLE elsewhere RENAME TO django_migrations")
    checks = checks_of(answer, 503)
    assert (checks["database"]["state"], checks["redis"]["state"]) == ("down", "ok")
    assert checks["database"]["reason"] in {"OperationalError", "ProgrammingError"}
    assert client.get("/readyz").status_code == 200


def test_a_question_without_answer_is_asked_once_and_its_late_answer_counts():
    may_answer, asked = threading.Event(), []

    def ask() -> int:
        asked.append(1)
        may_answer.wait(5)
        return 7

    question = Question("test-question", ask, (OSError,))
    assert all(isinstance(answer_within(question.put(), 0.05), Unanswered) for _ in range(5))
    assert len(asked) == 1
    pending = question.put()
    may_answer.set()
    answer = answer_within(pending, 5)
    assert isinstance(answer, Answered)
    assert answer.fact == 7
    assert isinstance(answer_within(question.put(), 5), Answered)
    assert len(asked) == 2


def test_a_mistake_of_ours_is_not_taken_for_a_failure_of_the_service():
    def ask() -> int:
        raise KeyError("a mistake")

    with pytest.raises(KeyError, match="a mistake"):
        answer_within(Question("test-question", ask, (OSError,)).put(), 5)


def test_health_is_told_to_everybody_and_never_limited(client):
    assert {client.get("/livez").status_code for _ in range(150)} == {200}
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert "RateLimit" not in answer


# --- The first start


def started(settings: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, *candidates: str) -> str:
    """What `first_start` says, where these logs may be on the machine."""
    settings.DATA_DIR = folder
    monkeypatch.setattr(first_start, "CANDIDATES", candidates)
    monkeypatch.setenv("PORT", "8642")
    output = StringIO()
    call_command("first_start", stdout=output)
    return output.getvalue()


FAILED_LOGIN = "Mar  1 12:00:00 gate sshd[7]: Failed password for root from 203.0.113.9 port 4711 ssh2\n"


def test_the_first_start_scans_this_machine_and_analyses_its_log(settings, tmp_path, monkeypatch):
    (tmp_path / "auth.log").write_text(FAILED_LOGIN * 3)
    said = started(settings, tmp_path, monkeypatch, str(tmp_path / "missing"), str(tmp_path / "auth.log"))
    scan, analysis = Job.objects.order_by("type").values_list("type", "params", "submitted_by")[::-1]
    assert scan[0] == "security_scan"
    assert scan[1]["targets"] == ["127.0.0.1"]
    assert "8642" in scan[1]["ports"].split(",")
    assert scan[1]["ports"].startswith("1-1024,")
    assert analysis == ("log_analysis", {}, None)
    assert LogEvent.objects.filter(source="auth.log", kind="auth.failure").count() == 3
    assert len(said.splitlines()) == 3
    assert "3 lines taken in from" in said


def test_without_a_log_of_the_machine_the_own_access_log_is_read(settings, tmp_path, monkeypatch):
    (tmp_path / "log").mkdir()
    line = '203.0.113.9 - - [01/Mar/2026:12:00:00 +0000] "GET /.env HTTP/1.1" 404 - "-" "curl"\n'
    (tmp_path / "log" / "access.log").write_text(line)
    started(settings, tmp_path, monkeypatch, "/nonexistent/auth.log")
    event = LogEvent.objects.get()
    assert (event.kind, event.source, event.fields["path"]) == ("http.request", "access.log", "/.env")


def test_where_there_is_no_log_at_all_the_analysis_is_submitted_all_the_same(settings, tmp_path, monkeypatch):
    assert "First log analysis submitted" in started(settings, tmp_path, monkeypatch)


def test_the_second_start_does_nothing(settings, tmp_path, monkeypatch):
    (tmp_path / "auth.log").write_text(FAILED_LOGIN)
    path = str(tmp_path / "auth.log")
    started(settings, tmp_path, monkeypatch, path)
    started(settings, tmp_path, monkeypatch, path)  # before any of it was carried out
    assert (Job.objects.count(), LogEvent.objects.count(), Scan.objects.count()) == (2, 1, 1)
    run_job(str(Job.objects.get(type="log_analysis").pk))
    assert started(settings, tmp_path, monkeypatch, path) == ""
    assert (Job.objects.count(), LogEvent.objects.count()) == (2, 1)


def test_a_job_type_that_is_switched_off_does_not_keep_the_other_from_starting(settings, tmp_path, monkeypatch):
    JobPolicy.objects.update_or_create(name="security_scan", defaults={"enabled": False})
    said = started(settings, tmp_path, monkeypatch)
    assert "First scan of 127.0.0.1 not submitted" in said
    assert list(Job.objects.values_list("type", flat=True)) == ["log_analysis"]


def test_the_first_scan_is_authorised_and_can_be_carried_out(settings, tmp_path, monkeypatch):
    ScanTarget.objects.get_or_create(network="127.0.0.0/8")
    monkeypatch.setattr(first_start, "DEFAULT_PORTS", "9")
    started(settings, tmp_path, monkeypatch)
    job = Job.objects.get(type="security_scan")
    run_job(str(job.pk))
    job.refresh_from_db()
    assert job.status == "completed", job.error


# --- Demonstration traffic


def sent_traffic(url: str, *options: str) -> str:
    output = StringIO()
    call_command("demo_traffic", "--url", url, *options, stdout=output)
    return output.getvalue()


def test_demonstration_traffic_tells_what_came_back(live_server, monkeypatch):
    given_analysis()
    user = given_user("platform_owner")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")  # must not be used
    said = sent_traffic(
        live_server.url, "--username", user.username, "--password", PASSWORD, "--seconds", "1", "--rate", "20"
    )
    first, *rows = said.splitlines()
    sent = int(first.removesuffix(".").split(" requests in ")[0])
    assert 1 <= sent <= 20, "no more than the rate; a busy machine sends fewer"
    assert re.search(r"^  200 OK +\d+$", said, re.MULTILINE)
    assert "Cache-Status" in rows
    assert re.search(r"^  fwd=\w+ +\d+$", said, re.MULTILINE)


@pytest.mark.parametrize(
    ("url", "is_local"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://127.8.9.10", True),
        ("http://localhost:8000", True),
        ("http://[::1]:8000", True),
        ("http://localhost.example.org", False),
        ("http://127.0.0.1.example.org", False),
        ("http://127.0.0.1@example.org/", False),
        ("http://10.0.0.5", False),
        ("http://0.0.0.0", False),
        ("no address", False),
    ],
)
def test_traffic_stays_on_this_machine(url: str, is_local: bool):
    assert is_this_machine(url) == is_local
    if not is_local:
        with pytest.raises(CommandError, match="--allow-remote"):
            sent_traffic(url, "--password", "x")


def test_traffic_needs_a_password_a_server_and_bounds(live_server, monkeypatch):
    monkeypatch.delenv("SECURENET_ADMIN_PASSWORD", raising=False)
    with pytest.raises(CommandError, match="--password"):
        sent_traffic(live_server.url)
    with pytest.raises(CommandError, match="failed: 401"):
        sent_traffic(live_server.url, "--password", "wrong")
    with pytest.raises(CommandError, match="cannot be reached"):
        sent_traffic("http://127.0.0.1:9", "--password", "x")
    for option in ("--rate", "--seconds"):
        with pytest.raises(CommandError, match="--rate from 1"):
            sent_traffic(live_server.url, "--password", "x", option, "0")


# --- Admin


@pytest.mark.parametrize("role", ["platform_owner", "viewer"])
def test_staff_find_their_way_from_the_page_to_the_admin(role: str):
    client = staff_client(role)
    assert "/admin/" in [link.get("href") for link in page_for(client).all("a")]
    assert client.get("/admin/").status_code == 200


def test_people_without_access_to_the_admin_see_no_way_there():
    client = client_for(given_user("viewer"))
    assert client.get(DASHBOARD).status_code == 200
    assert "/admin/" not in [link.get("href") for link in page_for(browser_of("viewer")).all("a")]


# --- The numbers against a count by hand, and readers who come all at once


def given_a_random_network(size: int) -> None:
    """Findings and events spread over more days than the posture looks at, the same for the same size."""
    chance = random.Random(size)

    def ago(days: int) -> datetime:
        return NOW - timedelta(seconds=chance.randint(0, days * 86_400))

    states = [chance.choice(Finding.State.values) for _ in range(size)]
    Finding.objects.bulk_create(
        Finding(
            fingerprint=f"{number:064x}",
            title=f"Finding {number}",
            severity=chance.choice(["info", "low", "medium", "high", "critical"]),
            state=state,
            source="logs",
            check_id="some-check",
            first_seen=ago(50),
            last_seen=NOW,
            resolved_at=ago(20) if state == "resolved" else None,
        )
        for number, state in enumerate(states)
    )
    LogEvent.objects.bulk_create(
        LogEvent(
            time=ago(2) + timedelta(hours=1),
            received_at=ago(2),
            source="gate",
            kind=chance.choice(["auth.failure", "other"]),
            source_ip=chance.choice([None, "10.0.0.1", "10.0.0.2", "2001:db8::1"]),
            count=chance.randint(1, 5),
            message="m",
        )
        for _ in range(size)
    )


@pytest.mark.parametrize("size", [0, 10, 1000])
def test_every_number_is_the_one_that_is_counted_by_hand(size: int):
    given_a_random_network(size)
    data = posture(NOW)
    findings, events = list(Finding.objects.all()), list(LogEvent.objects.all())
    active = [finding for finding in findings if finding.state in Finding.ACTIVE]
    ages = [(NOW - finding.first_seen) / timedelta(days=1) for finding in active]
    assert data["findings"]["open"] == len(active)
    for severity, count in data["findings"]["by_severity"].items():
        assert count == sum(finding.severity == severity for finding in active)
    assert data["findings"]["by_age"] == {
        "under_1_day": sum(age < 1 for age in ages),
        "under_7_days": sum(1 <= age < 7 for age in ages),
        "under_30_days": sum(7 <= age < 30 for age in ages),
        "older": sum(age >= 30 for age in ages),
    }
    for row in data["findings"]["trend"]:
        assert row["new"] == sum(finding.first_seen.date() == row["day"] for finding in findings)
        gone = [finding.resolved_at.date() for finding in findings if finding.resolved_at]
        assert row["resolved"] == gone.count(row["day"])
    for row in data["events"]["per_hour"]:
        end = min(row["hour"] + timedelta(hours=1), NOW + timedelta(microseconds=1))
        assert row["events"] == sum(row["hour"] <= event.time < end for event in events)
    attempts: dict[str, int] = {}
    for event in events:
        if event.kind == "auth.failure" and event.source_ip and event.received_at >= NOW - timedelta(hours=24):
            attempts[event.source_ip] = attempts.get(event.source_ip, 0) + event.count
    ranked = sorted(attempts.items(), key=lambda item: (-item[1], item[0]))
    assert [(row["source"], row["attempts"]) for row in data["events"]["top_attack_sources"]] == ranked


def test_a_thousand_rows_take_as_many_queries_as_ten():
    numbers = []
    for size in (10, 1000):
        Finding.objects.all().delete()
        LogEvent.objects.all().delete()
        given_a_random_network(size)
        with CaptureQueriesContext(connection) as queries:
            posture(NOW)
        numbers.append(len(queries))
    assert numbers[0] == numbers[1] <= MOST_QUERIES


def test_readers_who_come_at_the_same_moment_share_one_analysis():
    readers = [client_of(role) for role in ROLES] * 2
    together = threading.Barrier(len(readers))
    statuses: list[int] = []

    def look(client: Any) -> None:
        try:
            together.wait(10)
            statuses.append(client.get(CACHED).status_code)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=look, args=(reader,)) for reader in readers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert statuses == [200] * len(readers)
    assert analyses() == 1


@pytest.mark.parametrize("path", [CACHED, DASHBOARD])
def test_the_dashboard_is_shown_while_redis_hangs(path: str, redis: RedisServer):
    client = client_of("viewer")
    client.get("/api/network/assets")  # the policies are known
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        answer = client.get(path)
    finally:
        os.kill(redis.pid, signal.SIGCONT)
        wait_until_closed()
    assert answer.status_code == 200
    assert answer.json()["findings"]["open"] == 0


def test_nothing_that_people_and_machines_named_becomes_markup():
    evil = "<b onmouseover=alert(1)>"
    asset = record_host("10.0.0.1", seen_at=timezone.now(), open_ports=[])
    given_finding(title=evil, subject=evil, asset=asset, seen_at=timezone.now())
    given_finding(2, title=evil, subject=evil, seen_at=timezone.now())
    Scan.objects.create(targets=[evil], ports="80", kept_state="completed")
    user = given_user("platform_owner", is_staff=True)
    submit("log_analysis", {}, by=user)
    Job.objects.update(message=evil)
    user.username = evil
    user.save()
    browser = Client()
    browser.force_login(user)
    for status in ("processing", "failed"):
        Job.objects.update(status=status, error=evil)
        page = page_for(browser)
        assert page.text.count("&lt;b onmouseover=alert(1)&gt;") >= 6
        assert not page.all("b")


@pytest.mark.parametrize("url", ["http://[::1", "http://[", "//", "http://127.0.0.1 .example.org", ""])
def test_an_address_that_is_none_is_refused_and_no_failure(url: str):
    with pytest.raises(CommandError, match="--allow-remote"):
        sent_traffic(url, "--password", "x")
