"""Each status that an operation is described to answer can be had, and its answer is as described, headers and all."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.acceptance.answers import problem
from tests.acceptance.site import Site
from tests.schema.site import LIMITED_ADDRESS, ended_job

pytestmark = pytest.mark.schema

JOBS = "/api/performance/background-job"
SCANS = "/api/security/scans"
FINDINGS = "/api/security/findings"
ASSETS = "/api/network/assets"
XML = {"Content-Type": "application/xml"}
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def conforms(site: Site) -> Callable[[str, str, httpx.Response, int], httpx.Response]:
    """Asserts that an answer has a status and is as the description says of that."""
    import schemathesis

    schema = schemathesis.openapi.from_url(f"{site.url_a}/api/schema?format=json")

    def check(method: str, path: str, response: httpx.Response, status: int) -> httpx.Response:
        assert response.status_code == status, response.text[:500]
        operation = schema[path][method]
        assert str(status) in operation.definition.raw["responses"]
        operation.validate_response(response)
        return response

    return check


@pytest.fixture(scope="module")
def api(site: Site) -> Iterator[httpx.Client]:
    with site.client("platform-owner") as client:
        yield client


def test_successes(api: httpx.Client, conforms: Any) -> None:
    conforms("GET", "/api/dashboard", api.get("/api/dashboard"), 200)
    conforms("GET", "/api/performance/metrics", api.get("/api/performance/metrics"), 200)
    made = conforms("POST", ASSETS, api.post(ASSETS, json={"address": "192.0.2.77"}), 201)
    asset = f"{ASSETS}/{made.json()['id']}"
    conforms("PATCH", f"{ASSETS}/{{id}}", api.patch(asset, json={}), 200)
    conforms("DELETE", f"{ASSETS}/{{id}}", api.delete(asset), 204)
    started = conforms("POST", SCANS, api.post(SCANS, json={"targets": ["127.0.0.1"], "ports": "1"}), 202)
    conforms("GET", f"{JOBS}/{{id}}", api.get(started.headers["Location"]), 200)


def test_what_the_client_has_is_not_sent_again(api: httpx.Client, conforms: Any) -> None:
    job = f"{JOBS}/{ended_job(api)}"
    for path, address in ((FINDINGS, FINDINGS), ("/api/dashboard/cached",) * 2, (f"{JOBS}/{{id}}", job)):
        conforms("GET", path, asked_twice(api, address), 304)


def asked_twice(api: httpx.Client, path: str) -> httpx.Response:
    """The second answer to somebody who has the first; jobs of other tests may change what there is in between."""
    for _ in range(20):
        seen = api.get(path)
        again = api.get(path, headers={"If-None-Match": seen.headers["ETag"]})
        if again.status_code == 304:
            break
    return again


def test_files_of_findings(api: httpx.Client, conforms: Any) -> None:
    for accepted in ("application/sarif+json", "text/csv"):
        response = conforms("GET", FINDINGS, api.get(FINDINGS, headers={"Accept": accepted}), 200)
        assert response.headers["Content-Type"].startswith(accepted)


def test_credentials_and_roles(site: Site, conforms: Any) -> None:
    with site.client() as anybody, site.client("viewer") as viewer:
        conforms("GET", FINDINGS, anybody.get(FINDINGS), 401)
        refused = anybody.post("/api/auth/token", json={"username": "nobody", "password": "at all"})
        conforms("POST", "/api/auth/token", refused, 401)
        conforms("POST", SCANS, viewer.post(SCANS, json={"targets": ["127.0.0.1"]}), 403)
        conforms("GET", "/api/network/targets", viewer.get("/api/network/targets"), 403)


def test_requests_that_cannot_be_answered(api: httpx.Client, conforms: Any) -> None:
    conforms("GET", FINDINGS, api.get(FINDINGS, params={"severity": "grave"}), 400)
    conforms("GET", FINDINGS, api.get(FINDINGS, params={"cursor": "none"}), 404)
    conforms("GET", f"{FINDINGS}/{{id}}", api.get(f"{FINDINGS}/999999999"), 404)
    conforms("GET", FINDINGS, api.get(FINDINGS, headers={"Accept": "image/png"}), 406)
    conforms("POST", ASSETS, api.post(ASSETS, content=b"<a/>", headers=XML), 415)
    conforms("POST", ASSETS, api.post(ASSETS, content=b" " * (5 * 1024 * 1024 + 1), headers=JSON), 413)


def test_bodies_without_a_length(api: httpx.Client, conforms: Any) -> None:
    """Whoever serves it may put the length in; what is refused for the want of it is described."""
    sent = api.post(ASSETS, content=iter([b"{}"]), headers=JSON)
    request = httpx.Request("POST", sent.url)  # the one that was sent cannot be read again
    response = httpx.Response(sent.status_code, headers=sent.headers, content=sent.content, request=request)
    response.elapsed = sent.elapsed
    conforms("POST", ASSETS, response, 411 if response.status_code == 411 else 400)


def test_requests_that_do_not_go_with_the_state(api: httpx.Client, conforms: Any) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    job = conforms("POST", JOBS, api.post(JOBS, json={"type": "log_analysis"}, headers=key), 202).json()
    other = api.post(JOBS, json={"type": "cache_warm"}, headers=key)
    conforms("POST", JOBS, other, 422)
    conforms("DELETE", f"{JOBS}/{{id}}", api.delete(f"{JOBS}/{ended_job(api)}"), 409)
    cancelled = api.delete(f"{JOBS}/{job['id']}")
    conforms("DELETE", f"{JOBS}/{{id}}", cancelled, 409 if cancelled.status_code == 409 else 200)


def test_a_queue_without_room(site: Site, api: httpx.Client, conforms: Any) -> None:
    policies = "from perf.models import JobPolicy as p; "
    site.shell(policies + "p.objects.filter(name='cache_warm').delete()")
    site.shell(policies + "p.objects.create(name='cache_warm', capacity=0)")
    try:
        full = api.post("/api/performance/cache/warm", json={"roles": ["viewer"]})
    finally:
        site.shell(policies + "p.objects.filter(name='cache_warm').delete()")
    conforms("POST", "/api/performance/cache/warm", full, 503)


def test_methods_that_no_operation_has(api: httpx.Client, openapi: dict[str, Any]) -> None:
    for path, item in openapi["paths"].items():
        if "{" not in path and "put" not in item:
            allowed = problem_headers(api.request("PUT", path))["Allow"].lower().split(", ")
            assert set(allowed) >= item.keys() & {"get", "post", "patch", "delete"}, path


def problem_headers(response: httpx.Response) -> httpx.Headers:
    problem(response, 405)
    return response.headers


def test_a_limit_that_is_used_up(site: Site, conforms: Any) -> None:
    """The access rule lifts the limits for one address; from another one they are those of the first release."""
    credentials = {"username": uuid.uuid4().hex, "password": "wrong"}
    with site.client(address=LIMITED_ADDRESS) as limited:
        for _ in range(10):
            conforms("POST", "/api/auth/token", limited.post("/api/auth/token", json=credentials), 401)
        refused = limited.post("/api/auth/token", json=credentials)
    conforms("POST", "/api/auth/token", refused, 429)
    assert problem(refused, 429)["violated-policies"] == ["authentication"]
    assert refused.headers["RateLimit-Policy"] == '"authentication";q=10;w=60'
    assert refused.headers["RateLimit"].startswith('"authentication";r=0;t=')
    assert 1 <= int(refused.headers["Retry-After"]) <= 60


def test_every_operation_is_described_with_what_may_befall_any(openapi: dict[str, Any]) -> None:
    for path, item in openapi["paths"].items():
        for method, operation in item.items():
            responses = operation["responses"].keys()
            assert responses >= {"400", "403", "406", "411", "429", "503"}, (method, path)
            assert operation.get("security") in (None, []) or "401" in responses, (method, path)
            if "requestBody" in operation:
                assert responses >= {"413", "415"}, (method, path)
            if "{" in path:
                assert "404" in responses, (method, path)


def test_every_response_is_described_with_its_headers(openapi: dict[str, Any]) -> None:
    always = {"X-Request-ID", "Server-Timing", "Cache-Status", "RateLimit", "RateLimit-Policy"}
    shared = openapi["components"]["responses"]
    for path, item in openapi["paths"].items():
        for method, operation in item.items():
            for status, response in operation["responses"].items():
                name = response.get("$ref", "").rpartition("/")[2]
                headers = (shared[name] if name else response)["headers"].keys()
                assert headers >= always, (method, path, status)
                if status in ("429", "503"):
                    assert "Retry-After" in headers
                if status == "304":
                    assert headers >= {"ETag", "Cache-Control"}
