"""Log events: taken in by API, command and first start; looked up; analysed into findings."""

from __future__ import annotations

import gzip
import json
import os
import random
import threading
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.db.models.signals import post_save
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from perf.jobs import states, submit
from perf.jobs.run import run_job
from perf.models import Job
from securenet.accounts.roles import ANALYSTS, ROLES
from securenet.logs import jobs
from securenet.logs.detectors import DETECTORS
from securenet.logs.files import LINES_AT_A_TIME, LONGEST_LINE, NotALogFile, ingest_file
from securenet.logs.ingest import event_of, ingest_lines, ingest_records
from securenet.logs.models import AnalysisRun, LogEvent
from securenet.logs.parsers import Event, parse_line
from securenet.notifications.models import Notification
from securenet.security.findings import triage
from securenet.security.models import Finding
from tests.integration.people import client_of, fields_of, given_user, staff_client
from tests.unit.logs.log_samples import log_sample

LOGS = "/api/logs"
NOW = timezone.now().replace(microsecond=0)


def failed_login(source: str = "203.0.113.9", user: str = "root", at: datetime = NOW, pid: int = 1) -> str:
    """A line of sshd's, with a time that says its year and zone."""
    return f"{at.isoformat()} gate sshd[{pid}]: Failed password for {user} from {source} port 4711 ssh2"


def attack(
    source: str = "203.0.113.9",
    attempts: int = 60,
    since: datetime = NOW - timedelta(minutes=10),
    user: str = "root",
) -> list[str]:
    """Enough failed log-ins to be a finding of high severity."""
    return [
        failed_login(source, user, at=since + timedelta(seconds=number), pid=1000 + number)
        for number in range(attempts)
    ]


def given_lines(*lines: str | bytes, source: str = "gate", received_at: datetime | None = None) -> None:
    ingest_lines(lines, source=source, received_at=received_at or timezone.now())


def sent(body: Any, client: Any = None) -> Any:
    return (client or client_of("soc_analyst")).post(LOGS, body)


def sent_text(body: bytes, query: str = "", **headers: str) -> Any:
    return client_of("soc_analyst").generic("POST", f"{LOGS}{query}", body, content_type="text/plain", headers=headers)


def sent_json(body: bytes, **headers: str) -> Any:
    return client_of("soc_analyst").generic("POST", LOGS, body, content_type="application/json", headers=headers)


def messages(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [event["message"] for event in response.json()["results"]]


# --- Who may send, and what


@pytest.mark.parametrize("role", ROLES)
def test_analysts_and_admins_send_events_and_everybody_reads_them(role: str):
    given_lines("there already")
    client = client_of(role)
    assert messages(client.get(LOGS)) == ["there already"]
    assert sent({"lines": [failed_login()]}, client).status_code == (201 if role in ANALYSTS else 403)
    assert LogEvent.objects.count() == (2 if role in ANALYSTS else 1)


def test_strangers_neither_read_nor_send(client):
    assert client.get(LOGS).status_code == 401
    assert client.post(LOGS, {"lines": ["x"]}, content_type="application/json").status_code == 401
    assert not LogEvent.objects.exists()


def test_lines_are_counted_by_kind_and_blank_ones_are_left_out():
    answer = sent({"lines": [failed_login(), failed_login(pid=2), "who knows", "", "   "], "source": "gate"})
    assert answer.status_code == 201
    assert answer.json() == {"accepted": 3, "by_kind": {"auth.failure": 2, "other": 1}, "unparsed": 1}
    event = LogEvent.objects.filter(kind="auth.failure").first()
    assert (event.source, event.host, event.program) == ("gate", "gate", "sshd")
    assert (event.source_ip, event.user_name, event.time) == ("203.0.113.9", "root", NOW)


def test_events_are_sent_as_objects():
    record = {
        "time": NOW.isoformat(), "host": "web-1", "program": "shop", "kind": "login_failed", "user": "eve",
        "source_ip": "2001:DB8::7", "count": 3, "message": "refused", "cart": 12,
    }  # fmt: skip
    answer = sent({"events": [record], "source": "shop"})
    assert answer.json() == {"accepted": 1, "by_kind": {"auth.failure": 1}, "unparsed": 0}
    event = LogEvent.objects.get()
    assert (event.time, event.host, event.user_name, event.count) == (NOW, "web-1", "eve", 3)
    assert (event.source_ip, event.source, event.fields["cart"]) == ("2001:db8::7", "shop", "12")


def test_a_text_is_taken_in_line_by_line_under_the_source_of_the_address():
    answer = sent_text(b"one\r\n\ntwo\nthree", "?source=gate")
    assert answer.json()["accepted"] == 3
    assert list(LogEvent.objects.order_by("id").values_list("message", "source")) == [
        ("one", "gate"),
        ("two", "gate"),
        ("three", "gate"),
    ]


@pytest.mark.parametrize("members", [1, 2])
def test_a_gzip_body_is_unpacked_whole(members: int):
    body = b"".join(gzip.compress(b"line %d\n" % number) for number in range(members))
    answer = sent_text(body, **{"Content-Encoding": "gzip"})
    assert (answer.status_code, answer.json()["accepted"]) == (201, members)
    packed = gzip.compress(json.dumps({"lines": ["packed"]}).encode())
    assert sent_json(packed, **{"Content-Encoding": "gzip"}).status_code == 201


def test_broken_encodings_are_replaced_and_nothing_else_is_lost():
    assert sent_text(b"caf\xe9 latin\n\xff\xfe\x00raw").status_code == 201
    assert sent_json(b'{"lines": ["caf\xe9 in json", "nul \\u0000 and half \\ud800 a pair"]}').status_code == 201
    assert sent_json(b'{"events": [{"message": "nul \\u0000", "k\\u0000\xe9y": "v\\ud800"}]}').status_code == 201
    stored = list(LogEvent.objects.order_by("id").values_list("message", flat=True))
    assert stored[0] == "caf\ufffd latin"
    assert stored[2] == "caf\ufffd in json"
    assert stored[3] == "nul  and half  a pair"
    assert len(stored) == 5
    assert "\x00" not in "".join(stored)


def test_one_line_is_at_most_8_kib():
    assert sent_text(b"a" * 9000 + b"\nshort").json()["accepted"] == 2
    long, short = LogEvent.objects.order_by("id")
    assert (len(long.message), long.fields["truncated"]) == (8192, "true")
    assert short.message == "short"


# --- What is refused


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {""}),
        ({"lines": ["x"], "events": [{}]}, {""}),
        ({"lines": "not a list"}, {"lines"}),
        ({"lines": ["fine", 7]}, {"lines.1"}),
        ({"events": ["not an object"]}, {"events.0"}),
        ({"lines": ["x"], "sauce": "gate"}, {"sauce"}),
        ({"lines": ["x"], "source": "s" * 101}, {"source"}),
        ({"lines": ["x"], "source": "a b\n"}, {"source"}),
        (["x"], {""}),
    ],
)
def test_a_batch_that_makes_no_sense_is_refused_by_name(body: Any, fields: set[str]):
    answer = sent(body)
    assert answer.status_code == 400
    assert fields_of(answer) == fields
    assert not LogEvent.objects.exists()


@pytest.mark.parametrize("query", ["?source=" + "s" * 101, "?source=a%00b", "?source=a%20b"])
def test_the_source_of_a_text_follows_the_same_rule(query: str):
    answer = sent_text(b"x", query)
    assert answer.status_code == 400
    assert fields_of(answer) == {"source"}


@pytest.mark.parametrize("body", [b"{", b'"', b"\xff", b"[" * 100_000, b'{"lines": [NaN]}'])
def test_what_is_no_json_is_a_problem_and_no_failure(body: bytes):
    answer = sent_json(body)
    assert answer.status_code == 400, answer.content
    assert answer["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("size", [10_000, 10_001])
def test_a_batch_has_at_most_10_000_lines(size: int):
    expected = 201 if size == 10_000 else 413
    assert sent({"lines": ["x"] * size}).status_code == expected
    assert sent_text(b"\n".join([b"x"] * size)).status_code == expected
    assert sent_text(b"x\n" * size).status_code == expected
    assert sent({"events": [{}] * size}).status_code == expected
    assert LogEvent.objects.count() == (4 * size if size == 10_000 else 0)


def test_a_body_has_at_most_the_bytes_of_the_settings(settings):
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    too_large = b"x" * 1001
    for answer in (
        sent_text(too_large),
        sent_json(b'"' + too_large),
        sent_text(gzip.compress(too_large), **{"Content-Encoding": "gzip"}),
        sent_text(gzip.compress(b"x" * 600) * 2, **{"Content-Encoding": "gzip"}),
    ):
        assert answer.status_code == 413
        assert answer["Content-Type"] == "application/problem+json"
    assert sent_text(b"x" * 1000).status_code == 201


@pytest.mark.parametrize(
    "body",
    [b"no gzip", gzip.compress(b"x" * 1000)[:-12], gzip.compress(b"x\n") + b"no second member"],
    ids=["no-gzip", "cut", "no-second-member"],
)
def test_a_broken_gzip_body_stores_nothing(body: bytes):
    assert sent_text(body, **{"Content-Encoding": "gzip"}).status_code == 400
    assert not LogEvent.objects.exists()


def test_other_encodings_and_types_are_refused():
    assert sent_text(b"x", **{"Content-Encoding": "br"}).status_code == 415
    answer = client_of("soc_analyst").generic("POST", LOGS, b"<x/>", content_type="application/xml")
    assert answer.status_code == 415


def test_a_batch_that_fails_half_way_is_not_stored_at_all():
    def fails_later() -> Any:
        yield from [failed_login()] * 1200
        raise OSError("the line broke")

    with pytest.raises(OSError, match="the line broke"):
        ingest_lines(fails_later(), source="gate", received_at=NOW)
    assert not LogEvent.objects.exists()


# --- Floods do not make the cache useless


def test_taking_in_events_drops_no_cached_answer():
    reader = client_of("viewer")
    assert messages(reader.get(LOGS)) == []
    assert sent({"lines": ["new"]}).status_code == 201
    answer = reader.get(LOGS)
    assert "hit" in answer["Cache-Status"]
    assert messages(answer) == []


# --- Looking events up


def test_pages_go_through_a_flood_of_events_of_one_moment_without_loss_or_repetition():
    LogEvent.objects.bulk_create(
        LogEvent(time=NOW, received_at=NOW, source="flood", kind="other", message=str(number)) for number in range(1300)
    )
    given_lines(failed_login(at=NOW - timedelta(minutes=1)), failed_login(at=NOW + timedelta(minutes=1)))
    client, path, seen = client_of("platform_owner"), f"{LOGS}?page_size=100&source=flood", []
    for _ in range(20):
        body = client.get(path).json()
        seen += [event["id"] for event in body["results"]]
        path = body["next"]
        if path is None:
            break
    assert path is None
    assert seen == sorted(set(seen), reverse=True)
    assert len(seen) == 1300


def test_events_that_arrive_while_somebody_pages_shift_nothing():
    given_lines(*(failed_login(at=NOW - timedelta(minutes=minute)) for minute in range(4)))
    client = client_of("viewer")
    first = client.get(f"{LOGS}?page_size=2").json()
    given_lines(failed_login(at=NOW + timedelta(minutes=1)))
    second = client.get(first["next"]).json()
    times = [event["time"] for event in first["results"] + second["results"]]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == 4
    assert second["next"] is None


@pytest.mark.parametrize(
    "position",
    [
        "",
        "x",
        "p=soon",
        "p=2026-01-01T00%3A00%3A00Z",
        "9999-99-99|1",
        "2026-01-01T00:00:00|1",
        "2026-01-01T00:00:00+00:00|-1",
        f"2026-01-01T00:00:00+00:00|{2**70}",
    ],
)
def test_a_cursor_that_nobody_was_given_is_not_found(position: str):
    given_lines("x")
    cursor = b64encode(position.encode()).decode()
    assert client_of("viewer").get(f"{LOGS}?cursor={cursor}").status_code == 404
    assert client_of("viewer").get(f"{LOGS}?cursor=%C3%A9").status_code == 404


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["d", "c", "b", "a"]),
        ("since=2026-03-01T12:02:00Z", ["d", "c", "b"]),
        ("until=2026-03-01T14:02:00%2B02:00", ["a"]),
        ("kind=auth.failure&kind=http.request", ["c", "b"]),
        ("source=web", ["c"]),
        ("source_ip=203.0.113.9", ["b"]),
        ("source_ip=2001:DB8:0::7", ["c"]),
        ("source_ip=::ffff:203.0.113.9", ["b"]),
        ("program=sshd", ["b"]),
        ("user=root", ["b"]),
        ("q=FOUND", ["d"]),
        ("source=web&kind=auth.failure", []),
    ],
)
def test_events_are_found_by(query: str, expected: list[str]):
    rows = [
        {"message": "a"},
        {"message": "b", "kind": "auth.failure", "program": "sshd", "source_ip": "203.0.113.9", "user_name": "root"},
        {"message": "c", "kind": "http.request", "source": "web", "source_ip": "2001:db8::7"},
        {"message": "d not Found"},
    ]
    for minute, row in enumerate(rows, start=1):
        time = datetime(2026, 3, 1, 12, minute, tzinfo=UTC)
        LogEvent.objects.create(**{"time": time, "received_at": NOW, "source": "gate", "kind": "other", **row})
    assert [text[0] for text in messages(client_of("viewer").get(f"{LOGS}?{query}"))] == expected


@pytest.mark.parametrize(
    "query",
    [
        "since=soon",
        "until=0001-01-01T00:00:00%2B14:00",
        "kind=odd",
        "source_ip=banana",
        "source_ip=10.0.0.0/8",
        "q=%00",
    ],
)
def test_a_filter_value_that_makes_no_sense_is_refused(query: str):
    answer = client_of("viewer").get(f"{LOGS}?{query}")
    assert answer.status_code == 400
    assert fields_of(answer) == {query.partition("=")[0]}


def test_a_list_of_events_is_one_query_and_never_counts(django_assert_num_queries):
    given_lines(*attack())
    client = client_of("viewer")
    client.get(f"{LOGS}?source=nowhere")  # from here on the policies are known
    with django_assert_num_queries(1) as queries:
        assert len(messages(client.get(LOGS))) == 50
    assert "COUNT(" not in queries.captured_queries[0]["sql"].upper()


def test_an_event_read_back_from_the_database_is_the_event_that_was_parsed():
    lines = [failed_login(), "no format", '{"message": "m", "user": "eve", "count": 3, "x": "1"}']
    given_lines(*lines, received_at=NOW)
    parsed: list[Event] = [parse_line(line, now=NOW, default_timezone=UTC) for line in lines]
    assert [event_of(row) for row in LogEvent.objects.order_by("id")] == parsed


# --- Files


def imported(path: Path, **options: Any) -> str:
    lines: list[str] = []

    class Output:
        def write(self, text: str) -> None:
            lines.append(text)

    call_command("ingest_logs", str(path), stdout=Output(), **options)
    return "".join(lines)


@pytest.mark.parametrize("name", ["auth.log", "auth.log.2.gz"])
def test_a_log_file_is_taken_in_plain_or_packed(tmp_path: Path, name: str):
    content = "\n".join(attack(attempts=LINES_AT_A_TIME + 10)).encode()
    path = tmp_path / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert f"{LINES_AT_A_TIME + 10} lines from" in imported(path, source="gate")
    assert LogEvent.objects.filter(source="gate", kind="auth.failure").count() == LINES_AT_A_TIME + 10


def test_a_file_without_a_source_is_named_after_itself(tmp_path: Path):
    path = tmp_path / "my auth.log"
    path.write_text("x\n")
    imported(path)
    assert LogEvent.objects.get().source == "my-auth.log"


def test_a_line_without_end_is_one_line_and_what_follows_is_the_next(tmp_path: Path):
    path = tmp_path / "long.log"
    forged = failed_login("198.51.100.66")
    padding = "x" * (LONGEST_LINE - 1)
    path.write_text(f"{padding}\n{padding}x{forged}{'y' * 3 * LONGEST_LINE}\nlast\n")
    ingest_file(path, source="long")
    assert LogEvent.objects.count() == 3
    assert not LogEvent.objects.filter(kind="auth.failure").exists()
    assert LogEvent.objects.order_by("-id").first().message == "last"


def make_link(path: Path) -> None:
    target = path.with_name("target")
    target.write_text("secret\n")
    path.symlink_to(target)


@pytest.mark.parametrize(
    "make", [lambda path: None, make_link, os.mkfifo, Path.mkdir], ids=["none", "link", "fifo", "dir"]
)
def test_only_regular_files_are_read(tmp_path: Path, make: Callable[[Path], None]):
    path = tmp_path / "odd.log"
    make(path)
    with pytest.raises(CommandError, match=r"odd\.log"):
        imported(path)
    assert not LogEvent.objects.exists()


def no_deflate(data: bytes) -> bytes:
    """The stream after the header of ten bytes begins with a kind of block that does not exist."""
    return data[:10] + b"\xff" + data[11:]


def scribbled(data: bytes) -> bytes:
    """Other bytes in the middle: what is unpacked does not match its checksum."""
    middle = len(data) * 3 // 4
    return data[:middle] + b"\xff" * 50 + data[middle + 50 :]


@pytest.mark.parametrize(
    "damage",
    [lambda data: data[:-20], no_deflate, scribbled, lambda data: b"no gzip"],
    ids=["cut", "no-deflate", "scribbled", "no-gzip"],
)
def test_a_damaged_archive_is_told_with_what_was_taken_in_before(tmp_path: Path, damage: Callable[[bytes], bytes]):
    path = tmp_path / "bad.gz"
    path.write_bytes(damage(gzip.compress("\n".join(attack(attempts=LINES_AT_A_TIME * 2)).encode())))
    with pytest.raises(NotALogFile, match=r"bad\.gz cannot be read") as refused:
        ingest_file(path, source="bad")
    taken_in = LogEvent.objects.count()
    assert taken_in % LINES_AT_A_TIME == 0
    assert (f"{taken_in} lines before that were taken in" in str(refused.value)) == (taken_in > 0)


def test_a_source_that_is_no_label_is_refused(tmp_path: Path):
    path = tmp_path / "x.log"
    path.write_text("x\n")
    with pytest.raises(CommandError, match="source"):
        imported(path, source="a b")


# --- Analysis


def analysed(**params: Any) -> Job:
    """An analysis that was carried out."""
    job = submit(jobs.LOG_ANALYSIS, params)
    run_job(str(job.pk))
    job.refresh_from_db()
    return job


def test_an_analysis_turns_attacks_into_findings():
    given_lines(*attack(), failed_login("198.51.100.1"))
    job = analysed()
    assert job.status == "completed", job.error
    finding = Finding.objects.get()
    assert (finding.source, finding.check_id, finding.severity) == ("logs", "logs.brute_force", "high")
    assert (finding.subject, finding.state) == ("203.0.113.9", "open")
    assert finding.first_seen == NOW - timedelta(minutes=10)
    assert finding.evidence["count"] == 60
    assert finding.advice
    run = AnalysisRun.objects.get()
    assert (run.job, run.events, run.detections, run.findings_new) == (job, 61, 1, 1)
    assert (job.result["events"], job.result["detections"], job.result["findings_new"]) == (61, 1, 1)
    assert job.result["top_sources"][0] == {"source": "203.0.113.9", "events": 60}
    assert run.started_at <= run.finished_at


def test_analysing_the_same_events_again_finds_nothing_new():
    given_user("soc_analyst")
    given_lines(*attack())
    first, second = analysed(), analysed()
    assert (first.result["findings_new"], second.result["findings_new"]) == (1, 0)
    assert Finding.objects.get().times_seen == 1
    assert Notification.objects.count() == 1
    assert AnalysisRun.objects.count() == 2


def test_an_attack_that_goes_on_is_the_same_finding_and_what_people_decided_stands():
    given_lines(*attack())
    analysed()
    finding = Finding.objects.get()
    triage(finding.pk, by_id=None, state="risk_accepted")
    given_lines(*attack(since=NOW - timedelta(minutes=5)))
    assert analysed().result["findings_new"] == 0
    finding.refresh_from_db()
    assert (finding.state, finding.times_seen) == ("risk_accepted", 2)


def test_the_window_is_a_day_of_arrivals_unless_said_otherwise():
    long_ago = timezone.now() - timedelta(days=3)
    given_lines(*attack("203.0.113.1"), received_at=long_ago, source="old")
    given_lines(*attack("203.0.113.2"), source="new")
    given_lines(*attack("203.0.113.3", since=NOW - timedelta(days=400)), source="imported")
    assert analysed(source="old").result["events"] == 0
    assert analysed().result["events"] == 120
    assert set(Finding.objects.values_list("subject", flat=True)) == {"203.0.113.2", "203.0.113.3"}
    assert analysed(since=(long_ago - timedelta(hours=1)).isoformat(), source="old").result["events"] == 60
    assert Finding.objects.filter(subject="203.0.113.1").exists()


def test_events_are_analysed_in_the_order_of_their_times_wherever_they_came_from():
    lines = attack(attempts=60)
    for line in reversed(lines):
        given_lines(line)
    assert analysed().result["late"] == 0
    assert Finding.objects.get().evidence["count"] == 60


def test_an_analysis_goes_on_while_others_write():
    """Its reading holds no snapshot of the database that its own progress reports would then clash with."""
    given_lines(*attack(attempts=jobs.ROWS_AT_A_TIME * 3))
    job = submit(jobs.LOG_ANALYSIS, {})
    noted: list[float] = []

    class OthersWrite:
        def progress(self, fraction: float, message: str = "") -> None:
            noted.append(fraction)
            writer = threading.Thread(target=write_elsewhere)
            writer.start()
            writer.join()
            assert states.note_progress(claimed, fraction, message)

    def write_elsewhere() -> None:
        given_lines("from elsewhere", source="elsewhere")
        connection.close()

    claimed = states.claim(str(job.pk))
    assert claimed is not None
    events = list(jobs.events_of(OthersWrite(), since=NOW - timedelta(days=1), source="gate"))
    assert len(events) == jobs.ROWS_AT_A_TIME * 3
    assert len(noted) >= 3
    assert noted == sorted(noted)


def test_reading_events_takes_queries_by_the_thousand_rows():
    given_lines(*attack(attempts=jobs.ROWS_AT_A_TIME + 1))

    class Quiet:
        def progress(self, fraction: float, message: str = "") -> None: ...

    with CaptureQueriesContext(connection) as queries:
        list(jobs.events_of(Quiet(), since=NOW - timedelta(days=1), source=""))
    assert len(queries) < 10


def test_new_serious_findings_are_told_to_those_who_can_act():
    told = [given_user(role) for role in sorted(ANALYSTS)]
    given_user("viewer")
    given_lines(*attack(), *attack("198.51.100.1", attempts=6))
    analysed()
    assert set(Finding.objects.values_list("severity", flat=True)) == {"high", "medium"}
    notifications = Notification.objects.all()
    assert {notification.user for notification in notifications} == set(told)
    finding = Finding.objects.get(severity="high")
    assert {(row.title, row.severity, row.link) for row in notifications} == {
        (finding.title, "high", f"/api/security/findings/{finding.pk}")
    }


def test_a_flood_of_findings_is_not_a_flood_of_notifications():
    given_user("soc_analyst")
    sources = jobs.MOST_NOTIFICATIONS + 5
    for number in range(sources):
        since = NOW - timedelta(hours=2, seconds=number)
        given_lines(*attack(f"203.0.113.{number}", since=since, user=f"user{number}"))
    assert analysed().result["findings_new"] == sources
    titles = list(Notification.objects.order_by("id").values_list("title", flat=True))
    assert len(titles) == jobs.MOST_NOTIFICATIONS + 1
    assert titles[-1] == "5 more new findings of high or critical severity"


def test_what_an_analysis_found_is_in_everybodys_next_answer():
    user = given_user("soc_analyst")
    reader = client_of("viewer")
    assert reader.get("/api/security/findings").json()["results"] == []
    assert reader.get("/api/dashboard/cached").json()["findings"]["open"] == 0
    Job.objects.all().delete()
    given_lines(*attack(), *attack("198.51.100.1"))
    analysed()
    assert len(reader.get("/api/security/findings").json()["results"]) == 2
    assert reader.get("/api/dashboard/cached").json()["findings"]["open"] == 2
    assert Notification.objects.filter(user=user).count() == 2


def test_findings_their_notifications_and_the_end_of_the_job_are_there_together_or_not_at_all():
    given_user("soc_analyst")
    given_lines(*attack())
    job = submit(jobs.LOG_ANALYSIS, {})

    def fail(instance: AnalysisRun, **_: Any) -> None:
        raise RuntimeError("the database went away")

    post_save.connect(fail, sender=AnalysisRun)
    try:
        run_job(str(job.pk))
    finally:
        post_save.disconnect(fail, sender=AnalysisRun)
    job.refresh_from_db()
    assert job.status == "submitted"  # for another attempt
    assert not Finding.objects.exists()
    assert not Notification.objects.exists()
    Job.objects.filter(pk=job.pk).update(run_after=None)
    run_job(str(job.pk))
    job.refresh_from_db()
    assert (job.status, job.attempt) == ("completed", 2)
    assert (Finding.objects.count(), Notification.objects.count(), AnalysisRun.objects.count()) == (1, 1, 1)


def test_a_cancelled_analysis_writes_nothing():
    given_lines(*attack())
    job = submit(jobs.LOG_ANALYSIS, {})

    def cancel(instance: Finding, **_: Any) -> None:
        Job.objects.filter(pk=job.pk).update(status="cancelled")

    post_save.connect(cancel, sender=Finding)
    try:
        run_job(str(job.pk))
    finally:
        post_save.disconnect(cancel, sender=Finding)
    assert not Finding.objects.exists()
    assert not AnalysisRun.objects.exists()


def accepted_login(source: str, at: datetime, user: str = "root") -> str:
    return f"{at.isoformat()} gate sshd[1]: Accepted password for {user} from {source} port 4711 ssh2"


def test_many_sources_that_guess_the_password_of_one_user_are_one_finding():
    given_lines(*(failed_login(f"203.0.113.{n}", "deploy", NOW - timedelta(minutes=n), pid=n) for n in range(1, 13)))
    assert analysed().result["findings_new"] == 1
    finding = Finding.objects.get()
    assert (finding.check_id, finding.subject) == ("logs.distributed_guessing", "deploy")
    assert (finding.evidence["count"], finding.evidence["distinct_sources"]) == (12, 12)


def test_the_first_login_of_root_from_a_new_network_is_told_and_that_of_a_known_one_is_not():
    given_user("soc_analyst")
    long_ago = NOW - timedelta(days=20)
    given_lines(
        accepted_login("192.0.2.1", long_ago),
        accepted_login("198.51.100.1", long_ago + timedelta(days=1)),
        received_at=long_ago + timedelta(days=1),
    )
    given_lines(accepted_login("192.0.2.77", NOW), accepted_login("203.0.113.1", NOW), source="today")
    given_lines(accepted_login("203.0.113.2", NOW, "alice"), source="today")
    assert analysed().result["findings_new"] == 1
    finding = Finding.objects.get()
    assert (finding.check_id, finding.subject) == ("logs.new_source_for_privileged_user", "203.0.113.0/24")
    assert Notification.objects.get().title == finding.title
    assert analysed().result["findings_new"] == 0


def test_a_day_old_installation_does_not_know_yet_what_is_new():
    given_lines(accepted_login("192.0.2.1", NOW - timedelta(hours=20)), accepted_login("203.0.113.1", NOW))
    assert analysed().result["findings_new"] == 0


def test_a_batch_that_was_sent_twice_is_analysed_once():
    lines = attack(attempts=4)  # below the threshold; twice they would not be
    assert sent({"lines": lines}).status_code == 201
    assert sent({"lines": lines}).status_code == 201
    result = analysed().result
    assert (result["events"], result["repeated"], result["findings_new"]) == (4, 4, 0)
    assert LogEvent.objects.count() == 8


def test_equal_lines_of_one_batch_are_attempts_of_their_own():
    given_lines(*[failed_login(pid=7)] * 5)
    assert analysed().result["repeated"] == 0
    assert Finding.objects.get().evidence["count"] == 5


def test_every_detector_has_its_advice():
    assert set(jobs.ADVICE) == set(DETECTORS)


@pytest.mark.parametrize(
    ("params", "field"),
    [({"since": "soon"}, "params.since"), ({"source": "x" * 101}, "params.source"), ({"sauce": 1}, "params.sauce")],
)
def test_parameters_that_cannot_be_obeyed_are_refused_by_name(params: dict[str, Any], field: str):
    answer = client_of("soc_analyst").post(
        "/api/performance/background-job", {"type": "log_analysis", "params": params}
    )
    assert answer.status_code == 400
    assert fields_of(answer) == {field}


# --- Admin


def test_the_admin_shows_events_and_analyses_without_counting_them_all():
    given_lines(*attack())
    analysed()
    client = staff_client("platform_owner")
    with CaptureQueriesContext(connection) as queries:
        answer = client.get("/admin/logs/logevent/?q=root&kind=auth.failure")
    assert answer.status_code == 200
    assert "60 log events" in answer.content.decode()
    counts = [query["sql"] for query in queries if "COUNT(" in query["sql"] and '"logs_logevent"' in query["sql"]]
    assert all("LIMIT" in sql for sql in counts)
    assert not any("DISTINCT" in query["sql"] and '"logs_logevent"' in query["sql"] for query in queries)
    for page in (
        f"logevent/{LogEvent.objects.first().pk}/change/",
        "analysisrun/",
        f"analysisrun/{AnalysisRun.objects.get().pk}/change/",
    ):
        assert client.get(f"/admin/logs/{page}").status_code == 200, page


def test_nobody_adds_changes_or_deletes_events_in_the_admin():
    given_lines("x")
    client = staff_client("platform_owner")
    event = LogEvent.objects.get()
    assert client.get("/admin/logs/logevent/add/").status_code == 403
    assert client.post(f"/admin/logs/logevent/{event.pk}/change/", {"message": "y"}).status_code == 403
    assert client.post(f"/admin/logs/logevent/{event.pk}/delete/", {"post": "yes"}).status_code == 403
    assert LogEvent.objects.get().message == "x"


def test_what_attackers_wrote_is_shown_and_never_obeyed():
    given_lines("<script>alert(1)</script>")
    html = staff_client("viewer").get("/admin/logs/logevent/").content.decode()
    assert "&lt;script&gt;alert(1)" in html
    assert "<script>alert(1)" not in html


def test_records_are_stored_as_lines_are():
    summary = ingest_records([{"message": "a"}, {"message": "b", "program": "x"}], source="api", received_at=NOW)
    assert (summary.accepted, summary.unparsed) == (2, 1)


# --- What nobody sends by mistake


@pytest.mark.parametrize("content_type", ["Text/Plain", "TEXT/PLAIN; charset=latin-1", "text/plain;charset=utf-8"])
def test_the_type_of_a_text_knows_no_case_and_its_charset_is_not_needed(content_type: str):
    answer = client_of("soc_analyst").generic("POST", LOGS, b"a\nb", content_type=content_type)
    assert (answer.status_code, answer.json().get("accepted")) == (201, 2)


@pytest.mark.parametrize("coding", ["GZIP", "x-gzip", "gzip "])
def test_the_name_of_the_coding_knows_no_case(coding: str):
    assert sent_text(gzip.compress(b"x"), **{"Content-Encoding": coding}).status_code == 201
    assert sent_text(b"x", **{"Content-Encoding": "Identity"}).status_code == 201


@pytest.mark.parametrize("content_type", ["text/plain", "application/json"])
def test_a_body_with_nothing_in_it_is_refused(content_type: str):
    answer = client_of("soc_analyst").generic("POST", LOGS, b"", content_type=content_type)
    assert answer.status_code == 400
    assert fields_of(answer) == {""}


HOSTILE = [
    b"\0a\0b\x01\xed\xa0\x80\xff",
    b'10.0.0.1 - fr\0ed [01/Mar/2026:12:00:00 +0000] "GET /a%00b?x=%00%ed%a0%80 HTTP/1.1" 404 5 "%00" "a\\x00\0"',
    b'fe80::1%eth0 - - [01/Mar/2026:12:00:00 +0000] "GET /a%2500b HTTP/1.1" 404 5 "-" "-"',
    b"Mar  1 12:00:00 ho\0st sshd[1]: Failed password for ro\0ot from fe80::1%eth0 port 1 ssh2",
    b"0001-01-01T00:00:00+14:00 h sshd[1]: Failed password for root from 10.0.0.1 port 1 ssh2",
    b"9999-12-31T23:59:59-14:00 h sshd[1]: Failed password for root from 10.0.0.1 port 1 ssh2",
    b'{"message": "\\u0000", "user": "\\ud800\\u0000", "k\\u0000": "\\u0000v", "n": {"a\\u0000": "\\ud800"}}',
    b'{"time": 1e999, "count": 1e999, "x": -1e999, "source_ip": "fe80::1%eth0"}',
    b'{"time": 99999999999999999999, "count": 99999999999999999999, "ip": "127.1", "user": ["a"]}',
    b'{"method": "GET\\u0000", "url": "/%00", "status": "200", "host": "' + b"h" * 400 + b'"}',
    b'{"program": "' + b"p" * 400 + b'", "path": "/x%00\\u0000", "method": "GET", "status": 200.5}',
]


def assert_storable_everywhere(row: LogEvent) -> None:
    """No database, and no client, gets a NUL or half of a surrogate pair, be it deep in the fields."""
    texts = [row.message, row.host, row.program, row.user_name, *row.fields, *map(str, row.fields.values())]
    for text in texts:
        assert "\0" not in text
        text.encode()


@pytest.mark.parametrize("line", HOSTILE)
def test_no_line_is_too_hostile_to_be_stored_and_shown(line: bytes):
    assert sent_text(line).json()["accepted"] == 1
    if line.startswith(b"{"):
        assert sent_json(b'{"events": [' + line + b"]}").status_code == 201
    for row in LogEvent.objects.all():
        assert_storable_everywhere(row)
    assert client_of("viewer").get(LOGS).status_code == 200


def test_pieces_of_lines_and_random_bytes_are_stored_line_by_line():
    chance = random.Random(7)
    pieces = [piece for line in HOSTILE for piece in (line[: len(line) // 2], line[len(line) // 2 :])]
    lines = [
        b"x" + b"".join(chance.choice([*pieces, chance.randbytes(9)]) for _ in range(4)).replace(b"\n", b"")
        for _ in range(1000)
    ]
    assert sent_text(b"\n".join(lines)).json()["accepted"] == 1000
    for row in LogEvent.objects.all():
        assert_storable_everywhere(row)


def test_a_database_that_fails_in_the_third_insert_keeps_nothing_of_the_first_two():
    inserts: list[str] = []

    def fail_in_the_third(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith('INSERT INTO "logs_logevent"'):
            inserts.append(sql)
            if len(inserts) == 3:
                raise OperationalError("disk full")
        return execute(sql, *rest)

    with connection.execute_wrapper(fail_in_the_third), pytest.raises(OperationalError):
        given_lines(*attack(attempts=2000))
    assert len(inserts) == 3
    assert not LogEvent.objects.exists()


# --- A day of traffic, with attackers that are known


@pytest.mark.parametrize("seed", [11, 12])
def test_exactly_the_known_attackers_become_findings_which_stay_the_same(seed: int):
    sample = log_sample(seed)
    assert sent_text("\n".join(sample.lines(shuffled_within=2.0)).encode()).status_code == 201

    def found(check: str) -> set[str]:
        return set(Finding.objects.filter(check_id=f"logs.{check}").values_list("subject", flat=True))

    assert analysed().status == "completed"
    # Guesses from IPv6 are counted for the network of the guesser.
    assert found("brute_force") == {network_of(source) for source in sample.brute_forcers}
    assert found("password_spray") == sample.sprayers
    assert found("path_scan") == sample.scanners
    assert found("login_after_failures") == {source for source, _ in sample.intruders}
    fingerprints = dict(Finding.objects.values_list("fingerprint", "pk"))
    assert analysed().result["findings_new"] == 0
    assert dict(Finding.objects.values_list("fingerprint", "pk")) == fingerprints


def network_of(source: str) -> str:
    return "2001:db8:bad::/64" if source.startswith("2001:db8:bad::") else source


def test_a_day_without_attackers_has_no_findings():
    assert sent_text("\n".join(log_sample(3, attackers=False).lines()).encode()).status_code == 201
    assert analysed().result["findings_new"] == 0
    assert not Finding.objects.exists()
