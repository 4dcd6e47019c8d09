"""Logs, the analysis of them, what it finds, who is told, and the dashboard, as clients of the API see them."""

from __future__ import annotations

import gzip
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.acceptance.answers import all_results, cache_status, invalid_fields, problem
from tests.acceptance.site import Site

TEXT = {"Content-Type": "text/plain"}
JSON = {"Content-Type": "application/json"}
GZIP = {"Content-Encoding": "gzip"}
MAX_BODY = 5 * 1024 * 1024


def sshd_line(seconds_ago: float, message: str, pid: int = 4711) -> str:
    """A line of syslog (RFC 5424 time, so that the year is in it)."""
    time = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    return f"<86>1 {time:%Y-%m-%dT%H:%M:%S.%fZ} gate sshd {pid} - - {message}"


def guess(seconds_ago: float, address: str, user: str, pid: int) -> str:
    return sshd_line(seconds_ago, f"Failed password for {user} from {address} port 40022 ssh2", pid)


@pytest.fixture
def analyst(site: Site) -> Iterator[httpx.Client]:
    with site.client("soc-analyst") as client:
        yield client


@pytest.fixture
def source() -> str:
    """Where a test's own events come from."""
    return f"source-{uuid.uuid4().hex[:8]}"


def stored(client: httpx.Client, source: str, **filters: Any) -> list[dict[str, Any]]:
    """The events of a source, past all caches."""
    return all_results(client, "/api/logs", source=source, test=uuid.uuid4().hex, **filters)


class TestIngest:
    LINES = (guess(90, "192.0.2.44", "root", 7001), "a line of no known format", "")

    def forms(self, source: str) -> dict[str, dict[str, Any]]:
        """The same two events in every form that a batch may have."""
        text = "\n".join(self.LINES).encode()
        as_json = json.dumps({"lines": self.LINES, "source": source}).encode()
        query = {"source": source}
        return {
            "lines": {"content": as_json, "headers": JSON},
            "text": {"content": text, "headers": TEXT, "params": query},
            "text with CRLF": {"content": text.replace(b"\n", b"\r\n"), "headers": TEXT, "params": query},
            "text with charset": {
                "content": text, "headers": {"Content-Type": "text/plain; charset=utf-8"}, "params": query,
            },
            "text as gzip": {"content": gzip.compress(text), "headers": {**TEXT, **GZIP}, "params": query},
            "lines as gzip": {"content": gzip.compress(as_json), "headers": {**JSON, **GZIP}},
        }  # fmt: skip

    @pytest.mark.parametrize(
        "form", ["lines", "text", "text with CRLF", "text with charset", "text as gzip", "lines as gzip"]
    )
    def test_lines_are_understood_in_every_form(self, analyst: httpx.Client, source: str, form: str) -> None:
        answer = analyst.post("/api/logs", **self.forms(source)[form])
        assert answer.status_code == 201, answer.text
        assert answer.json() == {"accepted": 2, "by_kind": {"auth.failure": 1, "other": 1}, "unparsed": 1}
        unknown, failure = stored(analyst, source)
        assert unknown["message"] == "a line of no known format"
        assert (failure["kind"], failure["source_ip"], failure["user"]) == ("auth.failure", "192.0.2.44", "root")
        assert (failure["host"], failure["program"]) == ("gate", "sshd")
        assert failure["message"].startswith("Failed password")

    def test_events_are_taken_as_objects(self, analyst: httpx.Client, source: str) -> None:
        time = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        events = [
            {"timestamp": time, "host": "web", "message": "hello", "level": "info", "extra": {"a": 1}},
            {"message": "Failed password for eve from 192.0.2.45 port 1 ssh2", "program": "sshd"},
        ]
        answer = analyst.post("/api/logs", json={"events": events, "source": source})
        assert answer.status_code == 201, answer.text
        assert answer.json()["accepted"] == 2
        by_host = {event["host"]: event for event in stored(analyst, source)}
        assert by_host["web"]["message"] == "hello"
        assert datetime.fromisoformat(by_host["web"]["time"]) == datetime.fromisoformat(time)
        assert by_host["web"]["fields"]["extra.a"] == "1"
        assert (by_host[""]["user"], by_host[""]["source_ip"]) == ("eve", "192.0.2.45")

    @pytest.mark.parametrize(
        ("raw", "message"),
        [
            (b"caf\xe9 latin-1", "caf\ufffd latin-1"),
            (b"\xff\xfe\x00\x01 binary", "\ufffd\ufffd binary"),
            (b"nul \x00 inside", "nul  inside"),
            (b"\xed\xa0\x80 lone surrogate", "\ufffd\ufffd\ufffd lone surrogate"),
            (b"\x1b[31mred\x1b[0m", "red"),
            (b"\xf0\x9f\x94\xa5 whole", "\U0001f525 whole"),
            (b"\xf0\x9f\x94", "\ufffd"),
            (b"\xe2\x80\xaereversed", "reversed"),
        ],
    )
    def test_lines_in_broken_encodings_are_kept_as_far_as_they_can_be_read(
        self, analyst: httpx.Client, source: str, raw: bytes, message: str
    ) -> None:
        answer = analyst.post("/api/logs", content=raw + b"\nnext line", headers=TEXT, params={"source": source})
        assert answer.status_code == 201, answer.text
        assert {event["message"] for event in stored(analyst, source)} == {message, "next line"}

    def test_line_without_end_is_cut(self, analyst: httpx.Client, source: str) -> None:
        answer = analyst.post("/api/logs", content=b"x" * 100_000, headers=TEXT, params={"source": source})
        assert answer.status_code == 201
        (event,) = stored(analyst, source)
        assert len(event["message"]) == 8192
        assert event["fields"]["truncated"] == "true"

    def test_absurd_values_of_events_are_bounded(self, analyst: httpx.Client, source: str) -> None:
        events = [
            {"message": "m" * 20_000, "host": "h" * 1000, "user": "u" * 1000, "program": "p" * 1000},
            {"message": "count", "count": -5, "timestamp": -1e300},
            {"message": "more", "count": 10**30, "timestamp": "9999-99-99"},
            {"message": "not a number", "timestamp": 10**400, "source_ip": "999.1.1.1"},
            {"message": None, "time": [], "nested": {"a": {"b": {"c": {"d": {"e": "deep"}}}}}},
            {"message": "nul \x00 and \ud800", "\x00key": "\x00value"},
            {str(number): number for number in range(2000)},
            {},
        ]
        # Surrogates and numbers of hundreds of digits are JSON, though no client library writes them willingly.
        answer = analyst.post(
            "/api/logs", content=json.dumps({"events": events, "source": source}).encode(), headers=JSON
        )
        assert answer.status_code == 201, answer.text
        kept = stored(analyst, source)
        assert len(kept) == answer.json()["accepted"] == len(events)
        assert all(len(event["message"]) <= 8192 and len(event["host"]) <= 255 for event in kept)
        assert all(event["count"] >= 1 and len(event["fields"]) <= 200 for event in kept)
        latest = datetime.now(UTC) + timedelta(days=2)
        assert all(datetime.fromisoformat(event["time"]) < latest for event in kept)
        assert "\x00" not in json.dumps(kept) and "\\u0000" not in json.dumps(kept)


class TestBadBatches:
    """Nothing of a batch is stored that is not whole."""

    def good(self, source: str) -> bytes:
        return json.dumps({"lines": ["good"] * 50, "source": source}).encode()

    @pytest.mark.parametrize(
        ("body", "wrong"),
        [
            ({}, {""}),
            ({"lines": ["x"], "events": [{}]}, {""}),
            ({"lines": "x"}, {"lines"}),
            ({"lines": ["good", {"not": "a line"}]}, {"lines.1"}),
            ({"lines": ["good", None]}, {"lines.1"}),
            ({"events": ["good"]}, {"events.0"}),
            ({"events": {"message": "x"}}, {"events"}),
            ({"lines": ["good"], "colour": "red"}, {"colour"}),
            ({"lines": ["good"], "source": "x" * 101}, {"source"}),
            ({"lines": ["good"], "source": ["x"]}, {"source"}),
            ([], {""}),
            ("line", {""}),
            (None, {""}),
        ],
    )
    def test_wrong_fields_are_named(self, analyst: httpx.Client, source: str, body: Any, wrong: set[str]) -> None:
        if isinstance(body, dict) and "source" not in body:
            body = {**body, "source": source}
        answer = analyst.post("/api/logs", content=json.dumps(body).encode(), headers=JSON)
        assert invalid_fields(answer) == wrong
        assert stored(analyst, source) == []

    @pytest.mark.parametrize("form", ["text", "lines", "events"])
    def test_too_many_entries_are_413(self, analyst: httpx.Client, source: str, form: str) -> None:
        entries: list[Any] = [{"message": "good"} if form == "events" else "good"] * 10_001
        if form == "text":
            sent: dict[str, Any] = {"content": b"good\n" * 10_001, "headers": TEXT, "params": {"source": source}}
        else:
            sent = {"json": {form: entries, "source": source}}
        assert "10000" in problem(analyst.post("/api/logs", **sent), 413)["detail"]
        assert stored(analyst, source) == []

    @pytest.mark.parametrize(
        "body", [b"{", b"[", b'{"lines": ["good"', b'{"lines": [NaN]}', b"\xff", b'{"lines": ["\\ud8"]}', b""]
    )
    def test_broken_json_is_400(self, analyst: httpx.Client, body: bytes) -> None:
        problem(analyst.post("/api/logs", content=body, headers=JSON), 400)

    def test_text_without_a_line_is_400_or_nothing(self, analyst: httpx.Client, source: str) -> None:
        for content in (b"", b"\n", b"\r\n\n  \n"):
            answer = analyst.post("/api/logs", content=content, headers=TEXT, params={"source": source})
            assert answer.status_code == 400 or answer.json()["accepted"] == 0, answer.text
        assert stored(analyst, source) == []

    def test_lines_sent_in_chunks_are_taken_or_refused_but_not_lost(self, analyst: httpx.Client, source: str) -> None:
        chunks = iter([b"first li", b"ne\nsecond line\n"])
        answer = analyst.post("/api/logs", content=chunks, headers=TEXT, params={"source": source})
        if answer.status_code == 411:
            problem(answer, 411)
        else:
            assert answer.status_code == 201, answer.text
            assert {event["message"] for event in stored(analyst, source)} == {"first line", "second line"}

    def test_json_nested_without_end_is_400(self, analyst: httpx.Client) -> None:
        problem(analyst.post("/api/logs", content=b"[" * 200_000, headers=JSON), 400)
        problem(analyst.post("/api/logs", content=b'{"events":' + b"[" * 200_000, headers=JSON), 400)

    @pytest.mark.parametrize(
        ("content", "status"),
        [
            (b"not gzip", 400),
            (gzip.compress(b'{"lines": ["good"]}')[:-9], 400),
            (gzip.compress(b'{"lines": ["good"]}')[:10] + b"\xff" * 20, 400),
            (b"", 400),
        ],
        ids=["not gzip", "cut", "damaged", "empty"],  # a header of gzip has the time in it
    )
    def test_broken_gzip_is_refused(self, analyst: httpx.Client, content: bytes, status: int) -> None:
        problem(analyst.post("/api/logs", content=content, headers={**JSON, **GZIP}), status)

    def test_other_encodings_of_the_body_are_415(self, analyst: httpx.Client) -> None:
        for encoding in ("br", "deflate", "gzip, gzip"):
            problem(analyst.post("/api/logs", content=b"x", headers={**TEXT, "Content-Encoding": encoding}), 415)

    @pytest.mark.parametrize("form", ["text", "json", "gzip of text", "gzip of json"])
    def test_too_large_body_is_413(self, analyst: httpx.Client, source: str, form: str) -> None:
        lines = b"good\n" * (MAX_BODY // 5 + 1)
        as_json = b'{"lines": ["' + b"g" * MAX_BODY + b'"]}'
        bodies: dict[str, Callable[[], dict[str, Any]]] = {
            "text": lambda: {"content": lines, "headers": TEXT},
            "json": lambda: {"content": as_json, "headers": JSON},
            "gzip of text": lambda: {"content": gzip.compress(lines, 1), "headers": {**TEXT, **GZIP}},
            "gzip of json": lambda: {"content": gzip.compress(as_json, 1), "headers": {**JSON, **GZIP}},
        }
        refused = analyst.post("/api/logs", params={"source": source}, **bodies[form]())
        assert str(MAX_BODY) in problem(refused, 413)["detail"]
        assert stored(analyst, source) == []

    def test_body_just_within_the_bound_is_taken(self, analyst: httpx.Client, source: str) -> None:
        content = (b"x" * 1023 + b"\n") * (MAX_BODY // 1024)
        answer = analyst.post("/api/logs", content=content, headers=TEXT, params={"source": source})
        assert answer.status_code == 201
        assert answer.json()["accepted"] == MAX_BODY // 1024


@pytest.fixture(scope="module")
def known(site: Site) -> str:
    """The source of ten guesses, one log-in and a line of something else."""
    source = f"known-{uuid.uuid4().hex[:8]}"
    lines = [guess(600 - n, "192.0.2.50", f"user{n}", 5000 + n) for n in range(10)]
    lines.append(sshd_line(60, "Accepted publickey for ada from 192.0.2.51 port 1 ssh2: ED25519 SHA256:x"))
    lines.append(sshd_line(30, "Server listening on 0.0.0.0 port 22."))
    with site.client("soc-analyst") as client:
        answer = client.post("/api/logs", json={"lines": lines, "source": source})
    assert answer.json()["accepted"] == 12
    return source


class TestLookUp:
    @pytest.mark.parametrize(
        ("query", "count"),
        [
            ({}, 12),
            ({"kind": "auth.failure"}, 10),
            ({"kind": ["auth.failure", "auth.success"]}, 11),
            ({"source_ip": "192.0.2.51"}, 1),
            ({"user": "user3"}, 1),
            ({"user": "user"}, 0),
            ({"program": "sshd", "q": "LISTENING"}, 1),
            ({"q": "%"}, 0),
            ({"since": "2100-01-01T00:00:00Z"}, 0),
            ({"until": "2001-01-01T00:00:00Z"}, 0),
        ],
    )
    def test_events_are_found_by_what_they_say(
        self, analyst: httpx.Client, known: str, query: dict[str, Any], count: int
    ) -> None:
        assert len(all_results(analyst, "/api/logs", source=known, **query)) == count

    def test_events_are_found_by_time(self, analyst: httpx.Client, known: str) -> None:
        half = (datetime.now(UTC) - timedelta(seconds=300)).isoformat()
        assert len(all_results(analyst, "/api/logs", source=known, since=half)) == 2
        assert len(all_results(analyst, "/api/logs", source=known, until=half)) == 10

    def test_pages_hold_each_event_once_newest_first(self, analyst: httpx.Client, known: str) -> None:
        events = all_results(analyst, "/api/logs", source=known, page_size=5)
        assert len({event["id"] for event in events}) == 12
        assert [event["time"] for event in events] == sorted((event["time"] for event in events), reverse=True)

    def test_pages_do_not_move_when_events_come_in(self, analyst: httpx.Client, source: str) -> None:
        analyst.post("/api/logs", json={"lines": [f"old {n}" for n in range(6)], "source": source})
        page = analyst.get("/api/logs", params={"source": source, "page_size": 4}).json()
        analyst.post("/api/logs", json={"lines": [f"new {n}" for n in range(6)], "source": source})
        rest = analyst.get(page["next"]).json()
        seen = [event["message"] for event in page["results"] + rest["results"]]
        assert sorted(seen) == [f"old {n}" for n in range(6)]

    @pytest.mark.parametrize(
        ("query", "wrong"),
        [
            ({"kind": "gossip"}, "kind"),
            ({"since": "tomorrow"}, "since"),
            ({"until": "0001-01-01T00:00:00+14:00"}, "until"),
            ({"q": "nul\0"}, "q"),
            ({"source_ip": "999.0.0.1"}, "source_ip"),
        ],
    )
    def test_filter_that_makes_no_sense_is_named(
        self, analyst: httpx.Client, query: dict[str, str], wrong: str
    ) -> None:
        assert invalid_fields(analyst.get("/api/logs", params=query)) == {wrong}

    def test_address_is_found_in_any_spelling(self, analyst: httpx.Client, source: str) -> None:
        line = guess(5, "2001:db8:0:0:0:0:0:7", "root", 99)
        analyst.post("/api/logs", json={"lines": [line], "source": source})
        for spelling in ("2001:db8::7", "2001:DB8:0:0::7"):
            assert len(stored(analyst, source, source_ip=spelling)) == 1


def analysed(site: Site, client: httpx.Client, source: str) -> dict[str, Any]:
    """The result of a log analysis of one source."""
    accepted = client.post(
        "/api/performance/background-job", json={"type": "log_analysis", "params": {"source": source}}
    )
    assert accepted.status_code == 202, accepted.text
    job = site.await_job(client, accepted.headers["Location"])
    assert job["status"] == "completed", job
    result: dict[str, Any] = job["result"]
    return result


class TestAnalysis:
    def test_finds_exactly_the_known_attackers_and_tells_analysts(
        self, site: Site, analyst: httpx.Client, source: str
    ) -> None:
        number = uuid.uuid4().int % 200
        attackers = {f"198.18.{number}.1", f"198.18.{number}.2"}
        bystanders = [f"198.19.{number}.{n}" for n in range(1, 21)]
        lines = [guess(500 - n, address, "root", 100 + n) for n in range(60) for address in sorted(attackers)]
        lines += [guess(400 - n, address, f"ada{n}", 300 + n) for n, address in enumerate(bystanders)]
        lines += [
            sshd_line(399 - n, f"Accepted password for user{n} from {address} port 1 ssh2", 300 + n)
            for n, address in enumerate(bystanders)
        ]
        told = {user: len(own_notifications(site, user)) for user in ("soc-analyst", "viewer", "admin")}
        answer = analyst.post("/api/logs", json={"lines": lines, "source": source})
        assert answer.json()["unparsed"] == 0
        result = analysed(site, analyst, source)
        assert result["events"] == len(lines) == 160
        assert result["by_kind"] == {"auth.failure": 140, "auth.success": 20}
        assert {row["source"] for row in result["top_sources"][:2]} == attackers
        found = [
            finding
            for finding in all_results(analyst, "/api/security/findings", source="logs", page_size=500)
            if finding["subject"].startswith(("198.18.", "198.19.")) and finding["subject"].split(".")[2] == str(number)
        ]
        assert {finding["subject"] for finding in found} == attackers
        assert {(finding["check_id"], finding["severity"]) for finding in found} == {("logs.brute_force", "high")}
        assert all(finding["evidence"]["count"] == 60 for finding in found)
        assert result["detections"] == result["findings_new"] == len(found) == 2
        news = own_notifications(site, "soc-analyst")[: -told["soc-analyst"] or None]
        assert {notification["title"] for notification in news} == {finding["title"] for finding in found}
        assert {notification["link"] for notification in news} == {
            f"/api/security/findings/{finding['id']}" for finding in found
        }
        assert len(own_notifications(site, "viewer")) == told["viewer"]

        again = analysed(site, analyst, source)
        assert (again["detections"], again["findings_new"]) == (2, 0)
        assert len(own_notifications(site, "soc-analyst")) == told["soc-analyst"] + 2

    def test_without_attackers_finds_nothing(self, site: Site, analyst: httpx.Client, source: str) -> None:
        lines = [guess(500 - 100 * n, f"198.18.250.{n}", "ada", n) for n in range(1, 5)]
        analyst.post("/api/logs", json={"lines": lines, "source": source})
        result = analysed(site, analyst, source)
        assert (result["events"], result["detections"], result["findings_new"]) == (4, 0, 0)

    def test_of_a_source_without_events_is_empty(self, site: Site, analyst: httpx.Client, source: str) -> None:
        assert analysed(site, analyst, source)["events"] == 0


def own_notifications(site: Site, user: str, server: str = "b") -> list[dict[str, Any]]:
    with site.client(user, server=server) as client:
        return all_results(client, "/api/notifications", page_size=500)


class TestNotifications:
    @pytest.fixture
    def written(self, site: Site) -> str:
        """The title of a message that every analyst has just got; platform owners and viewers have not."""
        title = f"message {uuid.uuid4().hex[:8]}"
        for user in ("soc-analyst", "security-admin"):
            own_notifications(site, user)  # what is cached now must not be seen afterwards
        site.shell(
            "from securenet.notifications.notify import notify\n"
            "roles = ['soc_analyst', 'security_admin']\n"
            f"notify(roles=roles, title={title!r}, body='b', severity='high', key={title!r})"
        )
        return title

    def titled(self, site: Site, user: str, title: str) -> list[dict[str, Any]]:
        return [each for each in own_notifications(site, user) if each["title"] == title]

    def test_are_seen_by_those_they_are_for_and_nobody_else(self, site: Site, written: str) -> None:
        (one,) = self.titled(site, "soc-analyst", written)
        (other,) = self.titled(site, "security-admin", written)
        assert one["id"] != other["id"]
        assert one.keys() == {"id", "title", "body", "severity", "link", "read", "created_at", "read_at"}
        assert (one["read"], one["read_at"], one["severity"]) == (False, None, "high")
        for user in ("viewer", "platform-owner", "admin"):
            assert self.titled(site, user, written) == []

    def test_are_marked_as_read_and_unread(self, site: Site, analyst: httpx.Client, written: str) -> None:
        (one,) = self.titled(site, "soc-analyst", written)
        path = f"/api/notifications/{one['id']}"
        for is_read in (True, True, False):
            answer = analyst.patch(path, json={"read": is_read})
            assert answer.status_code == 200, answer.text
            assert answer.json()["read"] is is_read
            assert self.titled(site, "soc-analyst", written) == [answer.json()]
            unread = all_results(analyst, "/api/notifications", unread=str(not is_read).lower(), page_size=500)
            assert answer.json() in unread

    def test_of_others_are_404(self, site: Site, written: str) -> None:
        (one,) = self.titled(site, "soc-analyst", written)
        for user in ("security-admin", "viewer", "admin"):
            with site.client(user) as client:
                problem(client.patch(f"/api/notifications/{one['id']}", json={"read": True}), 404)
        assert self.titled(site, "soc-analyst", written)[0]["read"] is False

    @pytest.mark.parametrize(
        ("body", "wrong"),
        [
            ({}, {"read"}),
            ({"read": "yes"}, {"read"}),
            ({"read": 1}, {"read"}),
            ({"read": None}, {"read"}),
            ({"read": True, "title": "mine"}, {"title"}),
            ([True], {""}),
        ],
    )
    def test_change_that_makes_no_sense_is_named(
        self, site: Site, analyst: httpx.Client, written: str, body: Any, wrong: set[str]
    ) -> None:
        (one,) = self.titled(site, "soc-analyst", written)
        assert invalid_fields(analyst.patch(f"/api/notifications/{one['id']}", json=body)) == wrong

    def test_filters_are_checked(self, analyst: httpx.Client) -> None:
        assert invalid_fields(analyst.get("/api/notifications?severity=loud")) == {"severity"}
        assert invalid_fields(analyst.get("/api/notifications?unread=perhaps")) == {"unread"}


class TestDashboard:
    MEMBERS = {"generated_at", "findings", "assets", "events", "last_scan", "last_analysis"}

    def test_is_the_same_afresh_and_cached(self, site: Site) -> None:
        with site.client("viewer") as a, site.client("viewer", server="b") as b:
            fresh, cached = a.get("/api/dashboard").json(), b.get("/api/dashboard/cached").json()
        assert _shape(fresh) == _shape(cached)
        assert fresh.keys() >= self.MEMBERS

    def test_afresh_is_of_now_and_cached_is_of_then(self, site: Site) -> None:
        with site.client("viewer") as client:
            times = [client.get("/api/dashboard").json()["generated_at"] for _ in range(2)]
            assert times[0] < times[1]
            client.get("/api/dashboard/cached")
            kept = client.get("/api/dashboard/cached")
            assert cache_status(kept)["hit"] is True
            assert client.get("/api/dashboard/cached").json() == kept.json()

    def test_counts_what_is_there(self, site: Site, analyst: httpx.Client) -> None:
        before = analyst.get("/api/dashboard").json()
        site.add_finding("dashboard", "critical")
        address = f"2001:db8::da5:{uuid.uuid4().hex[:4]}"
        asset = analyst.post("/api/network/assets", json={"address": address, "exposure": "internet"}).json()
        analyst.post("/api/logs", json={"lines": [guess(1, "192.0.2.60", "root", 1)]})
        after = analyst.get("/api/dashboard").json()
        analyst.delete(f"/api/network/assets/{asset['id']}")
        assert after["findings"]["open"] == before["findings"]["open"] + 1
        assert after["findings"]["by_severity"]["critical"] == before["findings"]["by_severity"]["critical"] + 1
        assert sum(after["findings"]["by_age"].values()) == after["findings"]["open"]
        assert after["assets"]["total"] == before["assets"]["total"] + 1
        assert after["assets"]["by_exposure"]["internet"] == before["assets"]["by_exposure"]["internet"] + 1
        assert len(after["events"]["per_hour"]) == 24
        assert (
            "192.0.2.60" in {row["source"] for row in after["events"]["top_attack_sources"]}
            or len(after["events"]["top_attack_sources"]) == 10
        )

    def test_old_analysis_is_renewed_by_one_job_however_many_look(self, site: Site) -> None:
        users = ("viewer", "soc-analyst", "security-admin", "platform-owner")
        for user in users:
            site.token(user)
        with site.client("admin") as admin:
            for job in all_results(admin, "/api/performance/background-job", type="log_analysis", status="submitted"):
                site.await_job(admin, f"/api/performance/background-job/{job['id']}")
            site.shell(
                "from datetime import timedelta; from django.db.models import F; from perf.caching import invalidate\n"
                "from securenet.logs.models import AnalysisRun\n"
                "AnalysisRun.objects.update(finished_at=F('finished_at') - timedelta(hours=1))\n"
                "invalidate(tags=['dashboard'])"
            )
            before = {job["id"] for job in all_results(admin, "/api/performance/background-job", type="log_analysis")}
            answers: list[int] = []
            threads = [
                threading.Thread(target=lambda user=user, server=server: answers.append(look(site, user, server)))
                for user in users
                for server in ("a", "b")
                for _ in range(3)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert answers == [200] * 24
            new = [
                job
                for job in all_results(admin, "/api/performance/background-job", type="log_analysis")
                if job["id"] not in before
            ]
            assert len(new) == 1
            ended = site.await_job(admin, f"/api/performance/background-job/{new[0]['id']}")
            assert ended["status"] == "completed"
            with site.client("viewer", server="b") as viewer:
                assert viewer.get("/api/dashboard/cached").json()["last_analysis"]["age"] < 60
            assert look(site, "viewer", "a") == 200
            assert len(all_results(admin, "/api/performance/background-job", type="log_analysis")) == len(before) + 1


def look(site: Site, user: str, server: str) -> int:
    """Status of one look at the cached dashboard."""
    with site.client(user, server=server) as client:
        return client.get("/api/dashboard/cached").status_code


def _shape(data: Any) -> Any:
    """The names of all members, whatever their values."""
    match data:
        case dict():
            return {name: _shape(value) for name, value in data.items()}
        case list():
            return [_shape(data[0])] if data else []
        case _:
            return None
