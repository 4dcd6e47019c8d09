"""Generated data for a site's pages: an attack in a log, a scan of a network, assets, jobs, policies that were edited.

Everything goes through the API, as clients send it. Addresses and names are those reserved for documentation.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

import httpx
import redis
from rq import Queue
from rq.serializers import JSONSerializer

from tests.acceptance.browser import AdminBrowser
from tests.acceptance.site import Site
from tests.servers.securenet import until
from tests.unit.test_nmap import OPENSSH, document, host, port, probed

# What an attacker would have a page do. The quotation mark ends an attribute, the rest does something.
HOSTILE = '"><img src=x onerror=alert(1)><script>alert(2)</script>'
QUOTES = {'"': "&quot;"}
TRAFFIC = ("/api/dashboard/cached", "/api/security/findings", "/api/network/assets", "/api/security/summary")
OUTSIDE = "203.0.113.99"
ATTACKERS = ("203.0.113.7", "203.0.113.23", "198.51.100.9")


def fill(site: Site) -> None:
    """Everything that makes a page look like that of a site in use."""
    with site.client("admin") as api:
        send_logs(api, attack())
        send_scan(api, network_scan())
        add_assets(api)
        analyse(site, api)
        scan_oneself(site, api)
    queue_jobs(site)


def attack() -> list[str]:
    """Somebody guesses passwords on three machines, and gets into one; others do their work."""
    begin = datetime.now(UTC) - timedelta(minutes=50)
    lines = []
    for number in range(60):
        when = begin + timedelta(seconds=40 * number)
        source = ATTACKERS[number % 3]
        lines.append(_sshd(when, "gateway", f"Failed password for root from {source} port {50000 + number} ssh2"))
        if number % 5 == 0:
            lines.append(
                _sshd(when, "web1", f"Accepted publickey for deploy from 192.0.2.40 port {40000 + number} ssh2")
            )
    when = begin + timedelta(seconds=40 * 60)
    lines.append(_sshd(when, "gateway", f"Accepted password for root from {ATTACKERS[0]} port 50099 ssh2"))
    return lines


def network_scan() -> bytes:
    """A file of nmap's about a small network."""
    hosts = [
        host("192.0.2.1", port(22, OPENSSH), port(23, probed("telnet")), port(80, probed("http", "nginx", "1.18.0"))),
        host("192.0.2.10", port(22, OPENSSH), port(443, probed("http", "Apache httpd", "2.4.49", 'tunnel="ssl"'))),
        host("192.0.2.25", port(21, probed("ftp", "vsftpd", "2.3.4")), port(6379, probed("redis", "Redis", "5.0.7"))),
    ]  # fmt: skip
    return document(*hosts, services="1-8000", start=int(time.time()) - 900)


def hostile_scan() -> bytes:
    """A machine whose every answer is meant for the page that will show it."""
    text = escape(HOSTILE, QUOTES)
    banner = f'<script id="banner" output="{text}"/>'
    services = (
        port(8080, probed("http", text, "1.0", f'extrainfo="{text}"'), scripts=banner),
        port(23, probed("telnet", text)),
    )
    return document(host("192.0.2.66", *services), services="1-8080", start=int(time.time()) - 300)


def hostile_lines() -> list[str]:
    """The same in a log: as user name, program and text."""
    now = datetime.now(UTC) - timedelta(minutes=2)
    lines = [
        _sshd(
            now + timedelta(seconds=number),
            "web1",
            f"Failed password for invalid user {HOSTILE} from {OUTSIDE} port 9 ssh2",
        )
        for number in range(12)
    ]
    return [*lines, f"{_stamp(now)} web1 {HOSTILE}: {HOSTILE}", HOSTILE]


def send_logs(api: httpx.Client, lines: list[str], source: str = "gateway") -> None:
    _sent(api.post("/api/logs", json={"lines": lines, "source": source}))


def send_scan(api: httpx.Client, file: bytes) -> None:
    _sent(api.post("/api/security/scans/import", content=file, headers={"Content-Type": "application/xml"}))


def add_assets(api: httpx.Client) -> None:
    """What people know about the machines that the scan found."""
    known = api.get("/api/network/assets").json()["results"]
    names = {
        "192.0.2.1": ("gateway", "high"),
        "192.0.2.10": ("shop", "critical"),
        "192.0.2.25": ("old file server", "low"),
    }
    for asset in known:
        if asset["address"] in names:
            name, criticality = names[asset["address"]]
            fields = {"name": name, "criticality": criticality, "owner": "network team"}
            _sent(api.patch(f"/api/network/assets/{asset['id']}", json=fields))


def add_hostile_asset(api: httpx.Client) -> None:
    """A machine that somebody named so."""
    fields = {"address": "192.0.2.67", "name": HOSTILE, "owner": HOSTILE, "notes": HOSTILE}
    _sent(api.post("/api/network/assets", json=fields))


def fail_hostile_job(site: Site) -> str:
    """A job of RQ's own whose argument, and so its error, is such a text; returns its id."""
    with redis.Redis.from_url(site.run.redis_url) as connection:
        job = Queue("default", connection=connection, serializer=JSONSerializer).enqueue("time.sleep", HOSTILE)
        until(lambda: job.get_status() == "failed", 30, lambda: str(job))
    return job.id


def edit_with_reason(site: Site, reason: str) -> None:
    """A revision that carries ``reason``."""
    number = int(site.shell("from perf.models import JobPolicy as p; print(p.objects.order_by('pk').first().pk)"))
    with AdminBrowser(site.url_a, "admin", site.password) as admin:
        admin.edit("jobpolicy", number, change_reason=reason, comment="Edited by a test")


def edit_policies(site: Site) -> None:
    """Two revisions such as people make, and their reasons."""
    cache = int(site.shell("from perf.models import CachePolicy as p; print(p.objects.get(name='dashboard').pk)"))
    with AdminBrowser(site.url_a, "admin", site.password) as admin:
        admin.edit("cachepolicy", cache, ttl="20", stale_ttl="60", change_reason="Fresher numbers during the incident")
        admin.edit("cachepolicy", cache, ttl="120", change_reason="The incident is over")


def send_traffic(site: Site, rounds: int = 40) -> None:
    """Requests of several people, one of whom asks for much more than the others."""
    for name, factor in (("admin", 1), ("viewer", 4), ("soc-analyst", 1), ("security-admin", 1)):
        with site.client(name) as api:
            for number in range(rounds * factor):
                api.get(TRAFFIC[number % len(TRAFFIC)])


def analyse(site: Site, api: httpx.Client) -> None:
    _run(site, api, "/api/performance/background-job", {"type": "log_analysis"})


def scan_oneself(site: Site, api: httpx.Client) -> None:
    """A scan of the web server's own port."""
    _run(site, api, "/api/security/scans", {"targets": ["127.0.0.1"], "ports": site.url_a.rpartition(":")[2]})


def queue_jobs(site: Site) -> None:
    """Jobs of RQ's own, one that succeeds and one that fails, as its pages show them."""
    with redis.Redis.from_url(site.run.redis_url) as connection:
        queue = Queue("default", connection=connection, serializer=JSONSerializer)
        jobs = [queue.enqueue("time.sleep", argument, result_ttl=3600) for argument in (0, "a string")]
        until(lambda: all(job.get_status() in ("finished", "failed") for job in jobs), 30, lambda: str(jobs))


def _run(site: Site, api: httpx.Client, path: str, body: object) -> None:
    answer = _sent(api.post(path, json=body))
    site.await_job(api, answer.headers["Location"])


def _sent(answer: httpx.Response) -> httpx.Response:
    assert answer.status_code < 300, f"{answer.request.url}: {answer.status_code} {answer.text}"
    return answer


def _sshd(when: datetime, machine: str, message: str) -> str:
    return f"{_stamp(when)} {machine} sshd[2211]: {message}"


def _stamp(when: datetime) -> str:
    return f"{when:%b} {when.day:2d} {when:%H:%M:%S}"
