"""Who may use which endpoint, with what answer: every endpoint, asked by every role and by nobody in particular."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.answers import all_results, problem
from tests.acceptance.browser import AdminBrowser
from tests.acceptance.site import Site

ANONYMOUS = ""
CALLERS = ("admin", "platform-owner", "security-admin", "soc-analyst", "viewer", ANONYMOUS)
SIGNED_IN = frozenset(CALLERS) - {ANONYMOUS}
ADMINS = frozenset({"admin", "platform-owner", "security-admin"})
ANALYSTS = ADMINS | {"soc-analyst"}
EVERYBODY = frozenset(CALLERS)


@dataclass(frozen=True)
class Endpoint:
    """A row of the table: who gets ``status``; others get ``otherwise``, and 401 without credentials."""

    method: str
    path: str
    who: frozenset[str]
    status: int = 200
    body: Any = None
    otherwise: int = 403
    headers: dict[str, str] = field(default_factory=dict)

    def expected(self, caller: str) -> int:
        if caller in self.who:
            return self.status
        return 401 if caller == ANONYMOUS else self.otherwise

    def __str__(self) -> str:
        of = self.body.get("type", "") if isinstance(self.body, dict) else ""
        return f"{self.method} {self.path} {of}".strip()


ENDPOINTS = [
    Endpoint("POST", "/api/auth/token", EVERYBODY, body={"username": "viewer", "password": "{password}"}),
    Endpoint("POST", "/api/auth/refresh", EVERYBODY, body={"refresh": "{refresh}"}),
    Endpoint("GET", "/api/dashboard", SIGNED_IN),
    Endpoint("GET", "/api/dashboard/cached", SIGNED_IN),
    Endpoint("GET", "/api/security/findings", SIGNED_IN),
    Endpoint("GET", "/api/security/findings/{finding}", SIGNED_IN),
    Endpoint("PATCH", "/api/security/findings/{finding}", ANALYSTS, body={"state": "acknowledged"}),
    Endpoint("GET", "/api/security/summary", SIGNED_IN),
    Endpoint("GET", "/api/security/scans", SIGNED_IN),
    Endpoint("GET", "/api/security/scans/{scan}", SIGNED_IN),
    Endpoint("GET", "/api/security/scans/{scan}/comparison", SIGNED_IN),
    Endpoint("POST", "/api/security/scans", ANALYSTS, 202, {"targets": ["127.0.0.1"], "ports": "1"}),
    Endpoint("POST", "/api/security/scans/import", ANALYSTS, 415, {}),
    Endpoint("GET", "/api/network/assets", SIGNED_IN),
    Endpoint("GET", "/api/network/assets/{asset}", SIGNED_IN),
    Endpoint("POST", "/api/network/assets", ANALYSTS, 400, {}),
    Endpoint("PATCH", "/api/network/assets/{asset}", ANALYSTS, body={"owner": "operations"}),
    Endpoint("PUT", "/api/network/assets/{asset}", ANALYSTS, body={"address": "192.0.2.200"}),
    Endpoint("DELETE", "/api/network/assets/999999999", ANALYSTS, 404),
    Endpoint("GET", "/api/network/targets", ADMINS),
    Endpoint("POST", "/api/network/targets", ADMINS, 400, {}),
    Endpoint("GET", "/api/network/targets/{target}", ADMINS),
    Endpoint("PATCH", "/api/network/targets/{target}", ADMINS, body={"reason": "loopback"}),
    Endpoint("DELETE", "/api/network/targets/999999999", ADMINS, 404),
    Endpoint("GET", "/api/logs", SIGNED_IN),
    Endpoint("POST", "/api/logs", ANALYSTS, 201, {"lines": ["one line of the access matrix"]}),
    Endpoint("GET", "/api/notifications", SIGNED_IN),
    Endpoint("PATCH", "/api/notifications/999999999", SIGNED_IN, 404, {"read": True}),
    Endpoint("GET", "/api/performance/metrics", ADMINS),
    Endpoint("POST", "/api/performance/cache/warm", ADMINS, 202, {"policies": ["logs"], "roles": ["viewer"]}),
    Endpoint("POST", "/api/performance/cache/invalidate", ADMINS, body={"tags": ["no-such-tag"]}),
    Endpoint("POST", "/api/performance/background-job", ANALYSTS, 202, {"type": "log_analysis"}),
    Endpoint(
        "POST", "/api/performance/background-job", ANALYSTS, 202,
        {"type": "security_scan", "params": {"targets": ["127.0.0.1"], "ports": "1"}},
    ),
    Endpoint(
        "POST", "/api/performance/background-job", ADMINS, 202,
        {"type": "cache_warm", "params": {"policies": ["logs"], "roles": ["viewer"]}},
    ),
    Endpoint("GET", "/api/performance/background-job", SIGNED_IN),
    Endpoint("GET", "/api/performance/background-job/{job}", ADMINS, otherwise=404),
    Endpoint("DELETE", "/api/performance/background-job/{job}", ADMINS, 409, otherwise=404),
    Endpoint("GET", "/api/schema", EVERYBODY),
    Endpoint("GET", "/api/docs", EVERYBODY),
    Endpoint("GET", "/livez", EVERYBODY),
    Endpoint("GET", "/readyz", EVERYBODY),
    Endpoint("GET", "/metrics", EVERYBODY),
]  # fmt: skip


@pytest.fixture(scope="module")
def rows(site: Site) -> Iterator[dict[str, Any]]:
    """One row of each kind, and what else the requests above are filled in with."""
    with site.client("admin") as admin:
        asset = admin.post("/api/network/assets", json={"address": "192.0.2.200"}).json()["id"]
        scan = admin.post("/api/security/scans", json={"targets": ["127.0.0.1"], "ports": "1"})
        job = scan.json()["id"]
        site.await_job(admin, scan.headers["Location"])
        (target,) = [row["id"] for row in all_results(admin, "/api/network/targets") if row["network"] == "127.0.0.0/8"]
        yield {
            "asset": asset,
            "job": job,
            "scan": next(row["id"] for row in all_results(admin, "/api/security/scans") if row["job"] == job),
            "target": target,
            "finding": site.add_finding("192.0.2.200"),
            "password": site.password,
            "refresh": site.sign_in("viewer")["refresh"],
        }
        assert admin.delete(f"/api/network/assets/{asset}").status_code == 204


@pytest.mark.parametrize("caller", CALLERS, ids=lambda caller: caller or "anonymous")
@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=str)
def test_endpoint_answers_each_role_as_the_table_says(
    site: Site, rows: dict[str, Any], endpoint: Endpoint, caller: str
) -> None:
    body = endpoint.body
    if isinstance(body, dict):
        body = {key: value.format(**rows) if isinstance(value, str) else value for key, value in body.items()}
    with site.client(caller) as client:
        response = client.request(endpoint.method, endpoint.path.format(**rows), json=body)
    expected = endpoint.expected(caller)
    assert response.status_code == expected, response.text
    if expected >= 400:
        problem(response, expected)
    if expected == 401:
        assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("endpoint", [row for row in ENDPOINTS if row.method == "GET"], ids=str)
def test_endpoint_refuses_methods_it_does_not_have(site: Site, rows: dict[str, Any], endpoint: Endpoint) -> None:
    path = endpoint.path.format(**rows)
    if not path.startswith("/api/"):
        pytest.skip("pages for operators and people answer any method")
    with site.client("admin") as client:
        response = client.request("PROPFIND", path)
        problem(response, 405)
        assert "GET" in response.headers["Allow"]


def test_paths_of_the_api_have_no_trailing_slash(site: Site) -> None:
    with site.client("admin") as client:
        for path in ("/api/dashboard/", "/api/security/findings/", "/api/performance/metrics/", "/api/"):
            problem(client.get(path), 404)


def test_session_of_a_browser_opens_the_api_and_needs_a_csrf_token_to_write(site: Site, browser: AdminBrowser) -> None:
    assert browser.http.get("/api/dashboard").status_code == 200
    refused = browser.http.post("/api/network/assets", json={"address": "192.0.2.201"})
    assert "CSRF" in problem(refused, 403)["detail"]
    with site.client("admin") as admin:
        assert all_results(admin, "/api/network/assets", address="192.0.2.201") == []


class TestSchema:
    def test_schema_is_openapi_3_1_and_names_every_endpoint(self, site: Site) -> None:
        with site.client() as client:
            schema = yaml.safe_load(client.get("/api/schema").text)
            as_json = client.get("/api/schema", headers={"Accept": "application/vnd.oai.openapi+json"})
        assert as_json.json()["paths"].keys() == schema["paths"].keys()
        assert schema["openapi"].startswith("3.1")
        assert schema["info"]["title"] == "SecureNet"
        described = {(method.upper(), path) for path, item in schema["paths"].items() for method in item}
        for endpoint in ENDPOINTS:
            if not endpoint.path.startswith("/api/") or endpoint.path in ("/api/schema", "/api/docs"):
                continue
            path = endpoint.path.replace("999999999", "{id}")
            template = re.sub(r"\{\w+\}", "{id}", path)
            assert (endpoint.method, template) in described, sorted(described)

    def test_every_reference_of_the_schema_leads_somewhere(self, site: Site) -> None:
        with site.client() as client:
            schema = yaml.safe_load(client.get("/api/schema").text)
        references = list(_references(schema))
        assert references
        for reference in references:
            place: Any = schema
            for part in reference.removeprefix("#/").split("/"):
                place = place[part]
        operations = [
            operation for item in schema["paths"].values() for name, operation in item.items() if name != "parameters"
        ]
        assert all(operation["responses"] for operation in operations)
        ids = [operation["operationId"] for operation in operations]
        assert len(ids) == len(set(ids))

    def test_docs_load_only_from_this_server(self, site: Site) -> None:
        with site.client() as client:
            page = client.get("/api/docs")
            assert page.headers["Content-Type"].startswith("text/html")
            assert "https://" not in page.text.replace("https://www.w3.org", "")
            scripts = [part.partition('"')[0] for part in page.text.split('src="')[1:]]
            assert scripts
            for script in scripts:
                assert client.get(script).status_code == 200, script


def _references(node: Any) -> Iterator[str]:
    match node:
        case dict():
            for key, value in node.items():
                if key == "$ref":
                    yield value
                else:
                    yield from _references(value)
        case list():
            for value in node:
                yield from _references(value)


class TestOperators:
    def test_liveness_is_plain_and_not_cached(self, site: Site) -> None:
        for server in ("a", "b"):
            with site.client(server=server) as client:
                response = client.get("/livez")
                assert response.json() == {"status": "ok"}
                assert response.headers["Cache-Control"] == "no-store"

    def test_readiness_tells_of_each_dependency(self, site: Site) -> None:
        with site.client() as client:
            answer = client.get("/readyz").json()
        assert answer["status"] == "ok"
        assert answer["checks"].keys() == {"database", "redis", "workers"}
        assert {check["state"] for check in answer["checks"].values()} == {"ok"}
        assert all(0 <= answer["checks"][name]["ms"] < 5000 for name in ("database", "redis"))
        assert answer["checks"]["workers"]["count"] >= 1

    def test_prometheus_can_read_the_metrics(self, site: Site) -> None:
        with site.client("viewer") as viewer:
            viewer.get("/api/network/assets")
            viewer.get("/api/network/assets")
            response = viewer.get("/metrics")
        assert response.headers["Content-Type"].startswith("text/plain")
        families = {family.name: family for family in text_string_to_metric_families(response.text)}
        assert families.keys() >= {
            "securenet_cache_lookups", "securenet_limit_decisions", "securenet_requests", "securenet_jobs",
            "securenet_job_capacity", "securenet_workers", "securenet_store_up", "securenet_policy_revision",
            "securenet_request_duration_seconds", "securenet_database_up",
        }  # fmt: skip
        assert all(family.documentation and family.samples for family in families.values())
        value = {sample.name: sample.value for family in families.values() for sample in family.samples}
        assert value["securenet_store_up"] == 1
        assert value["securenet_workers"] >= 1
        assert value["securenet_job_capacity"] == 100
        hits = [
            sample.value
            for sample in families["securenet_cache_lookups"].samples
            if sample.labels == {"policy": "network", "result": "hit"}
        ]
        assert hits and hits[0] >= 1


class TestPages:
    def test_pages_for_people_lead_to_their_sign_in(self, site: Site) -> None:
        with site.client() as client:
            home = client.get("/")
            assert (home.status_code, home.headers["Location"]) == (302, "/login?next=/")
            admin = client.get("/admin/")
            assert (admin.status_code, admin.headers["Location"]) == (302, "/admin/login/?next=/admin/")
            assert client.get(home.headers["Location"]).status_code == 200

    def test_token_does_not_open_the_admin(self, site: Site) -> None:
        with site.client("admin") as client:
            assert client.get("/admin/").status_code == 302

    def test_signed_in_user_sees_the_dashboard(self, site: Site, browser: AdminBrowser) -> None:
        page = browser.http.get("/")
        assert page.status_code == 200
        assert page.url.path == "/"
        assert "<svg" in page.text
        assert page.headers["Content-Security-Policy"].startswith("default-src 'self'")

    def test_viewer_signs_in_at_the_page_and_stays_out_of_the_admin(self, site: Site) -> None:
        with AdminBrowser(site.url_b, "viewer", site.password, login="/login?next=/") as viewer:
            assert viewer.http.get("/").url.path == "/"
            assert viewer.http.get("/admin/").url.path == "/admin/login/"

    def test_staff_see_the_admin(self, browser: AdminBrowser) -> None:
        page = browser.http.get("/admin/")
        assert page.url.path == "/admin/"
        assert "/admin/perf/cachepolicy/" in page.text
