"""Findings and their triage, scans, assets and scan targets, as a client of the API sees them."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from tests.acceptance.answers import all_results, cache_status, invalid_fields, problem
from tests.acceptance.site import Site
from tests.servers.ports import free_port

FINDING_MEMBERS = {
    "id", "fingerprint", "title", "description", "advice", "severity", "state", "source", "check_id", "asset",
    "subject", "port", "protocol", "evidence", "confidence", "first_seen", "last_seen", "times_seen", "resolved_at",
    "triaged_by", "triaged_at", "triage_note", "accepted_until", "regressions", "cvss_vector", "cvss_score",
}  # fmt: skip


@pytest.fixture
def analyst(site: Site) -> Iterator[httpx.Client]:
    with site.client("soc-analyst") as client:
        yield client


@pytest.fixture
def viewer(site: Site) -> Iterator[httpx.Client]:
    """Of the other web server."""
    with site.client("viewer", server="b") as client:
        yield client


@pytest.fixture
def admin(site: Site) -> Iterator[httpx.Client]:
    with site.client("admin") as client:
        yield client


@pytest.fixture(scope="module")
def subject(site: Site) -> str:
    """Five findings, one of each severity, are about this."""
    name = f"host-{uuid.uuid4().hex[:8]}"
    site.shell(
        "import uuid; from django.utils import timezone; from perf.caching import invalidate\n"
        "from securenet.security.findings import record_finding\n"
        "for number, severity in enumerate(['info', 'low', 'medium', 'high', 'critical']):\n"
        "    record_finding(fingerprint=uuid.uuid4().hex * 2, source='logs', check_id='logs.test', advice='',\n"
        f"        title=f'{{severity}} of {name}', description='', severity=severity, confidence=20 * number,\n"
        f"        evidence={{}}, seen_at=timezone.now(), subject={name!r}, port=8000 + number, protocol='tcp')\n"
        "invalidate(tags=['findings'])"
    )
    return name


class TestFindings:
    @pytest.mark.parametrize(
        ("query", "severities"),
        [
            ({}, ["critical", "high", "medium", "low", "info"]),
            ({"severity": "high"}, ["high"]),
            ({"severity": ["high", "low"]}, ["high", "low"]),
            ({"min_severity": "medium"}, ["critical", "high", "medium"]),
            ({"state": "open", "min_confidence": "50"}, ["critical", "high"]),
            ({"state": "resolved"}, []),
            ({"source": "scan"}, []),
            ({"check_id": "logs.test", "port": "8001"}, ["low"]),
            ({"search": "CRITICAL of"}, ["critical"]),
            ({"first_seen_after": "2100-01-01T00:00:00Z"}, []),
            ({"seen_before": "2100-01-01T00:00:00Z", "severity": "info"}, ["info"]),
        ],
    )
    def test_are_found_by_what_they_are(
        self, viewer: httpx.Client, subject: str, query: dict[str, Any], severities: list[str]
    ) -> None:
        found = all_results(viewer, "/api/security/findings", subject=subject, **query)
        assert [finding["severity"] for finding in found] == severities
        assert all(finding.keys() == FINDING_MEMBERS for finding in found)

    def test_pages_hold_each_finding_once(self, viewer: httpx.Client, subject: str) -> None:
        whole = all_results(viewer, "/api/security/findings", subject=subject)
        paged = all_results(viewer, "/api/security/findings", subject=subject, page_size="2")
        assert [finding["id"] for finding in paged] == [finding["id"] for finding in whole]
        assert len({finding["id"] for finding in paged}) == 5
        first = viewer.get("/api/security/findings", params={"subject": subject, "page_size": "2"}).json()
        assert len(first["results"]) == 2
        assert first["next"].startswith("/api/security/findings?")

    @pytest.mark.parametrize(
        ("query", "wrong"),
        [
            ({"severity": "terrible"}, "severity"),
            ({"min_severity": "x"}, "min_severity"),
            ({"state": "gone"}, "state"),
            ({"port": "70000"}, "port"),
            ({"port": "-1"}, "port"),
            ({"port": "1.5"}, "port"),
            ({"asset": "99999999999999999999999"}, "asset"),
            ({"min_confidence": "NaN"}, "min_confidence"),
            ({"seen_after": "yesterday"}, "seen_after"),
            ({"seen_after": "0001-01-01T00:00:00+14:00"}, "seen_after"),
            ({"search": "nul\0"}, "search"),
            ({"subject": "nul\0"}, "subject"),
        ],
    )
    def test_filter_that_makes_no_sense_is_named(self, viewer: httpx.Client, query: dict[str, str], wrong: str) -> None:
        assert invalid_fields(viewer.get("/api/security/findings", params=query)) == {wrong}

    def test_cursor_that_makes_no_sense_is_a_problem(self, viewer: httpx.Client) -> None:
        problem(viewer.get("/api/security/findings", params={"cursor": "garbage"}), 404)

    @pytest.mark.parametrize("size", ["0", "-5", "ten", "100000"])
    def test_page_size_that_makes_no_sense_is_bounded(self, viewer: httpx.Client, subject: str, size: str) -> None:
        page = viewer.get("/api/security/findings", params={"subject": subject, "page_size": size}).json()
        assert len(page["results"]) == 5


class TestTriage:
    @pytest.fixture
    def finding(self, site: Site) -> str:
        """The address of a new finding."""
        return f"/api/security/findings/{site.add_finding('triage', 'high')}"

    def test_is_seen_by_others_on_the_next_request(
        self, analyst: httpx.Client, viewer: httpx.Client, finding: str
    ) -> None:
        lists = ["/api/security/findings?subject=triage", "/api/security/summary", "/api/dashboard/cached"]
        everywhere = [finding, *lists]
        before = viewer.get("/api/security/summary").json()
        for path in everywhere:
            viewer.get(path)
            assert cache_status(viewer.get(path))["hit"] is True
        changed = analyst.patch(finding, json={"state": "resolved", "triage_note": "patched"})
        assert changed.status_code == 200, changed.text
        for path in everywhere:
            assert cache_status(viewer.get(path))["fwd"] == "miss", path
        seen = viewer.get(finding).json()
        assert seen == changed.json()
        assert (seen["state"], seen["triage_note"], seen["triaged_by"]) == ("resolved", "patched", "soc-analyst")
        assert seen["resolved_at"] and seen["triaged_at"]
        after = viewer.get("/api/security/summary").json()
        assert after["by_state"]["resolved"] == before["by_state"]["resolved"] + 1
        assert after["active_by_severity"]["high"] == before["active_by_severity"]["high"] - 1

    @pytest.mark.parametrize(
        ("body", "wrong"),
        [
            ({}, {""}),
            ({"state": "gone"}, {"state"}),
            ({"state": None}, {"state"}),
            ({"state": ["open"]}, {"state"}),
            ({"severity": "low"}, {"severity"}),
            ({"state": "resolved", "triaged_by": "me", "id": 7}, {"triaged_by", "id"}),
            ({"triage_note": "x" * 5001}, {"triage_note"}),
            ({"triage_note": "nul\0"}, {"triage_note"}),
            ([], {""}),
            ("resolved", {""}),
        ],
    )
    def test_that_makes_no_sense_is_named_and_changes_nothing(
        self, analyst: httpx.Client, finding: str, body: Any, wrong: set[str]
    ) -> None:
        before = analyst.get(finding).json()
        assert invalid_fields(analyst.patch(finding, json=body)) == wrong
        assert analyst.get(f"{finding}?again=1").json() == before

    def test_settled_finding_is_reopened_before_it_is_settled_otherwise(
        self, analyst: httpx.Client, finding: str
    ) -> None:
        assert analyst.patch(finding, json={"state": "false_positive"}).status_code == 200
        assert invalid_fields(analyst.patch(finding, json={"state": "resolved"})) == {"state"}
        assert analyst.patch(finding, json={"state": "open"}).status_code == 200
        assert analyst.patch(finding, json={"state": "resolved"}).status_code == 200

    def test_unknown_finding_is_404(self, analyst: httpx.Client) -> None:
        for number in ("999999999", "99999999999999999999999999"):
            problem(analyst.get(f"/api/security/findings/{number}"), 404)
            problem(analyst.patch(f"/api/security/findings/{number}", json={"state": "open"}), 404)


def test_summary_counts_what_the_list_holds(site: Site, viewer: httpx.Client) -> None:
    site.add_finding("summary", "critical", "The newest of all")
    summary = viewer.get("/api/security/summary").json()
    assert summary.keys() == {
        "by_severity", "active_by_severity", "by_state", "top_assets", "newest", "vulnerability_data",
    }  # fmt: skip
    found = all_results(viewer, "/api/security/findings", page_size="500")
    assert sum(summary["by_severity"].values()) == sum(summary["by_state"].values()) == len(found)
    assert summary["by_severity"]["critical"] == sum(finding["severity"] == "critical" for finding in found)
    assert "The newest of all" in {finding["title"] for finding in summary["newest"]}


@pytest.fixture
def listeners() -> Iterator[list[int]]:
    """Ports of loopback that something accepts connections on."""
    with ExitStack() as stack:
        yield sorted(stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(6))


class TestScans:
    def scan(self, site: Site, client: httpx.Client, **params: Any) -> dict[str, Any]:
        """Scan, and wait for its end; returns the job."""
        accepted = client.post("/api/security/scans", json=params)
        assert accepted.status_code == 202, accepted.text
        return site.await_job(client, accepted.headers["Location"])

    def test_is_accepted_with_the_address_of_its_job(self, site: Site, analyst: httpx.Client) -> None:
        accepted = analyst.post("/api/security/scans", json={"targets": ["127.0.0.1"], "ports": "1,2"})
        assert accepted.status_code == 202
        job = accepted.json()
        assert job.keys() == {
            "id", "type", "status", "progress", "message", "attempt", "result", "error", "submitted_at", "started_at",
            "finished_at",
        }  # fmt: skip
        assert job["type"] == "security_scan"
        assert accepted.headers["Location"] == f"/api/performance/background-job/{job['id']}"
        ended = site.await_job(analyst, accepted.headers["Location"])
        assert (ended["status"], ended["progress"], ended["attempt"]) == ("completed", 1.0, 1)
        (scan,) = [scan for scan in all_results(analyst, "/api/security/scans") if scan["job"] == job["id"]]
        assert (scan["state"], scan["started_by"], scan["targets"]) == ("completed", "soc-analyst", ["127.0.0.1"])
        assert analyst.get(f"/api/security/scans/{scan['id']}").json() == scan

    def test_reports_exactly_the_open_ports(
        self, site: Site, analyst: httpx.Client, viewer: httpx.Client, listeners: list[int]
    ) -> None:
        for path in ("/api/network/assets?address=127.0.0.1", "/api/security/findings?check_id=open-port"):
            viewer.get(path)  # what is cached now must not be seen afterwards
        closed = {free_port() for _ in range(6)} - set(listeners)
        ports = sorted({*listeners, *closed})
        job = self.scan(site, analyst, targets=["127.0.0.1"], ports=",".join(map(str, ports)))
        assert job["status"] == "completed", job
        assert job["result"]["open_ports"] == len(listeners)
        assert job["result"]["hosts_up"] == job["result"]["hosts_total"] == 1
        (asset,) = viewer.get("/api/network/assets?address=127.0.0.1").json()["results"]
        services = {service["port"] for service in asset["services"] if service["state"] == "open"}
        assert services & set(ports) == set(listeners)
        found = [
            finding
            for finding in all_results(viewer, "/api/security/findings", check_id="open-port", asset=asset["id"])
            if finding["port"] in ports
        ]
        assert sorted(finding["port"] for finding in found) == listeners
        assert all(finding["state"] == "open" and finding["asset"]["id"] == asset["id"] for finding in found)

    def test_of_a_port_that_was_closed_resolves_its_finding(
        self, site: Site, analyst: httpx.Client, viewer: httpx.Client
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            self.scan(site, analyst, targets=["127.0.0.1"], ports=str(port))
            query = {"check_id": "open-port", "port": str(port)}
            assert [f["state"] for f in all_results(viewer, "/api/security/findings", **query)] == ["open"]
        job = self.scan(site, analyst, targets=["localhost"], ports=str(port))
        assert job["result"]["findings_resolved"] >= 1, job
        assert [f["state"] for f in all_results(viewer, "/api/security/findings", **query)] == ["resolved"]
        assert viewer.get(f"/api/network/assets?address=127.0.0.1&open_port={port}").json()["results"] == []

    @pytest.mark.parametrize(
        ("target", "reason"),
        [
            ("192.0.2.1", "outside"),
            ("10.0.0.0/28", "outside"),
            ("8.8.8.8", "outside"),
            ("::ffff:192.0.2.1", "outside"),
            ("169.254.169.254", "metadata"),
            ("169.254.7.7", "link_local"),
            ("224.0.0.1", "multicast"),
            ("0.0.0.0", "unspecified"),
            ("127.255.255.255", "broadcast"),
        ],
    )
    def test_outside_the_authorised_networks_is_403_and_says_why(
        self, admin: httpx.Client, target: str, reason: str
    ) -> None:
        before = len(all_results(admin, "/api/security/scans"))
        refused = problem(admin.post("/api/security/scans", json={"targets": ["127.0.0.1", target]}), 403)
        assert (refused["target"], refused["reason"]) == (target, reason)
        assert target in refused["detail"]
        same = {"type": "security_scan", "params": {"targets": [target]}}
        assert problem(admin.post("/api/performance/background-job", json=same), 403)["reason"] == reason
        assert len(all_results(admin, "/api/security/scans")) == before

    def test_of_a_withdrawn_network_is_refused(self, site: Site, admin: httpx.Client) -> None:
        network = f"198.51.100.{uuid.uuid4().int % 250 + 1}/32"
        target = admin.post("/api/network/targets", json={"network": network, "ports": "9"}).json()
        too_many = problem(admin.post("/api/security/scans", json={"targets": [network], "ports": "9-10"}), 403)
        assert "10" in too_many["detail"]
        assert admin.patch(f"/api/network/targets/{target['id']}", json={"enabled": False}).status_code == 200
        problem(admin.post("/api/security/scans", json={"targets": [network], "ports": "9"}), 403)
        expired = {"enabled": True, "valid_until": "2001-01-01T00:00:00Z"}
        assert admin.patch(f"/api/network/targets/{target['id']}", json=expired).json()["is_live"] is False
        problem(admin.post("/api/security/scans", json={"targets": [network], "ports": "9"}), 403)
        assert admin.delete(f"/api/network/targets/{target['id']}").status_code == 204

    @pytest.mark.parametrize(
        ("body", "wrong"),
        [
            ({}, {"targets"}),
            ({"targets": []}, {"targets"}),
            ({"targets": "127.0.0.1"}, {"targets"}),
            ({"targets": [""]}, {"targets.0"}),
            ({"targets": ["127.0.0.1", "not a host!"]}, {"targets.1"}),
            ({"targets": ["127.0.0.1/99"]}, {"targets.0"}),
            ({"targets": ["0x7f.1"]}, {"targets.0"}),
            ({"targets": ["127.0.0.1\0"]}, {"targets.0"}),
            ({"targets": ["127.0.0.1"], "ports": "0"}, {"ports"}),
            ({"targets": ["127.0.0.1"], "ports": "65536"}, {"ports"}),
            ({"targets": ["127.0.0.1"], "ports": "90-80"}, {"ports"}),
            ({"targets": ["127.0.0.1"], "ports": "-1"}, {"ports"}),
            ({"targets": ["127.0.0.1"], "ports": "http"}, {"ports"}),
            ({"targets": ["127.0.0.1"], "ports": ""}, {"ports"}),
            ({"targets": ["127.0.0.1"], "ports": [80]}, {"ports"}),
            ({"targets": ["127.0.0.1"], "speed": "fast"}, {"speed"}),
            ({"targets": ["127.0.0.1"] * 257}, {"targets"}),
        ],
    )
    def test_that_makes_no_sense_is_named_and_not_started(
        self, analyst: httpx.Client, body: dict[str, Any], wrong: set[str]
    ) -> None:
        before = len(all_results(analyst, "/api/security/scans"))
        assert invalid_fields(analyst.post("/api/security/scans", json=body)) == wrong
        assert len(all_results(analyst, "/api/security/scans")) == before

    def test_list_is_filtered_by_state_and_person(self, site: Site, admin: httpx.Client, analyst: httpx.Client) -> None:
        self.scan(site, admin, targets=["127.0.0.1"], ports="3")
        own = all_results(analyst, "/api/security/scans", started_by="admin", state="completed")
        assert own and {(scan["started_by"], scan["state"]) for scan in own} == {("admin", "completed")}
        assert invalid_fields(analyst.get("/api/security/scans?state=asleep")) == {"state"}


class TestAssets:
    @pytest.fixture
    def address(self) -> str:
        """Of the documentation's prefix, so that no scan finds it."""
        return f"2001:db8::{uuid.uuid4().hex[:4]}:{uuid.uuid4().hex[:4]}"

    def test_are_created_read_changed_and_deleted(
        self, analyst: httpx.Client, viewer: httpx.Client, address: str
    ) -> None:
        query = f"/api/network/assets?address={address}"
        assert viewer.get(query).json()["results"] == []
        made = analyst.post(
            "/api/network/assets",
            json={"address": address, "name": "db1", "kind": "server", "criticality": "high", "tags": ["a", "a", "b"]},
        )
        assert made.status_code == 201, made.text
        path = f"/api/network/assets/{made.json()['id']}"
        assert made.json()["tags"] == ["a", "b"]
        assert [asset["name"] for asset in viewer.get(query).json()["results"]] == ["db1"]
        assert viewer.get(path).json() == made.json()
        changed = analyst.patch(path, json={"owner": "Ada"})
        assert changed.json() == {**made.json(), "owner": "Ada"} == viewer.get(path).json()
        replaced = analyst.put(path, json={"address": address, "name": "db2"})
        assert replaced.status_code == 200
        assert viewer.get(path).json()["name"] == "db2"
        assert analyst.delete(path).status_code == 204
        problem(viewer.get(path), 404)
        assert viewer.get(query).json()["results"] == []

    def test_have_one_address_each_in_any_spelling(self, analyst: httpx.Client, address: str) -> None:
        made = analyst.post("/api/network/assets", json={"address": address.upper()})
        assert made.status_code == 201
        for twin in (address, address.replace("::", ":0:0:0:0:0:")):
            assert invalid_fields(analyst.post("/api/network/assets", json={"address": twin})) == {"address"}
        analyst.delete(f"/api/network/assets/{made.json()['id']}")

    @pytest.mark.parametrize(
        ("body", "wrong"),
        [
            ({"address": "300.1.1.1"}, {"address"}),
            ({"address": "host.example"}, {"address"}),
            ({"address": None}, {"address"}),
            ({"kind": "toaster"}, {"kind"}),
            ({"criticality": 3, "exposure": "moon"}, {"criticality", "exposure"}),
            ({"tags": "a"}, {"tags"}),
            ({"tags": [{}]}, {"tags.0"}),
            ({"tags": ["x" * 51]}, {"tags.0"}),
            ({"tags": [str(n) for n in range(31)]}, {"tags"}),
            ({"name": "x" * 101}, {"name"}),
            ({"name": "nul\0"}, {"name"}),
            ({"notes": "x" * 10_001}, {"notes"}),
            ({"source": "scan"}, {"source"}),
            ({"services": [{"port": 22}]}, {"services"}),
            ({"colour": "red"}, {"colour"}),
        ],
    )
    def test_wrong_fields_are_named_and_nothing_is_stored(
        self, analyst: httpx.Client, address: str, body: dict[str, Any], wrong: set[str]
    ) -> None:
        before = len(all_results(analyst, "/api/network/assets"))
        assert invalid_fields(analyst.post("/api/network/assets", json={"address": address, **body})) == wrong
        assert len(all_results(analyst, "/api/network/assets")) == before


class TestTargets:
    def test_are_the_admins_to_write(self, site: Site, admin: httpx.Client, analyst: httpx.Client) -> None:
        made = admin.post("/api/network/targets", json={"network": "203.0.113.77", "ports": "443,80-81,82"})
        assert made.status_code == 201, made.text
        target = made.json()
        assert (target["network"], target["ports"]) == ("203.0.113.77/32", "80-82,443")
        assert (target["created_by"], target["is_live"]) == ("admin", True)
        path = f"/api/network/targets/{target['id']}"
        for refused in (analyst.get(path), analyst.delete(path), analyst.patch(path, json={"enabled": False})):
            assert "security_admin" in problem(refused, 403)["detail"]
        with site.client("security-admin", server="b") as other:
            assert other.get(path).json() == target
            assert other.patch(path, json={"reason": "contract"}).status_code == 200
            assert target["id"] in {row["id"] for row in all_results(other, "/api/network/targets", enabled="true")}
        assert admin.get(path).json()["reason"] == "contract"
        assert admin.delete(path).status_code == 204
        problem(admin.get(path), 404)

    @pytest.mark.parametrize(
        ("body", "wrong"),
        [
            ({}, {"network"}),
            ({"network": "0.0.0.0/0"}, {"network"}),
            ({"network": "10.0.0.1/8"}, {"network"}),
            ({"network": "localhost"}, {"network"}),
            ({"network": "203.0.113.0/28", "ports": "0-70000"}, {"ports"}),
            ({"network": "203.0.113.0/28", "rate": 0}, {"rate"}),
            ({"network": "203.0.113.0/28", "rate": -5}, {"rate"}),
            ({"network": "203.0.113.0/28", "rate": 10**20}, {"rate"}),
            ({"network": "203.0.113.0/28", "valid_until": "soon"}, {"valid_until"}),
            ({"network": "203.0.113.0/28", "enabled": "perhaps"}, {"enabled"}),
            ({"network": "203.0.113.0/28", "created_by": "somebody"}, {"created_by"}),
            ({"network": "203.0.113.0/28", "speed": 1}, {"speed"}),
        ],
    )
    def test_wrong_fields_are_named_and_nothing_is_stored(
        self, admin: httpx.Client, body: dict[str, Any], wrong: set[str]
    ) -> None:
        assert invalid_fields(admin.post("/api/network/targets", json=body)) == wrong
        assert all_results(admin, "/api/network/targets", network="203.0.113.0/28") == []
