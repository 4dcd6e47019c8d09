"""Every endpoint, asked by every role and by nobody in particular, and the description of them all."""

from __future__ import annotations

from typing import Any

import httpx

from tests.acceptance.answers import all_results
from tests.acceptance.test_http_surface import CALLERS, ENDPOINTS
from tests.validation.objectives import Checks, Measured, Objective
from tests.validation.site import MeasuredSite

AREA = "Endpoints"


def by_role(site: MeasuredSite) -> Measured:
    """The table of endpoints and roles."""
    checks = Checks()
    rows = _rows(site)
    for caller in CALLERS:
        with site.client(caller, address=site.new_address()) as client:
            for endpoint in ENDPOINTS:
                body = endpoint.body
                if isinstance(body, dict):
                    body = {key: v.format(**rows) if isinstance(v, str) else v for key, v in body.items()}
                seen = _status(client, endpoint.method, endpoint.path.format(**rows), body)
                checks.equal(f"{endpoint} as {caller or 'nobody'}", seen, endpoint.expected(caller))
    pairs = len(ENDPOINTS) * len(CALLERS)
    return checks.measured(f"{checks.held} of {pairs} answers ({len(ENDPOINTS)} endpoints × {len(CALLERS)} callers)")


def _status(client: httpx.Client, method: str, path: str, body: Any) -> int | str:
    """The status of the answer; without one, what happened instead, so that the other rows are asked all the same."""
    try:
        return client.request(method, path, json=body).status_code
    except httpx.TransportError as error:
        return f"{type(error).__name__}: {error}"


def _rows(site: MeasuredSite) -> dict[str, Any]:
    """One row of each kind, which the addresses and bodies of the table name."""
    with site.client("admin") as admin:
        asset = admin.post("/api/network/assets", json={"address": "192.0.2.200"}).json()["id"]
        scan = admin.post("/api/security/scans", json={"targets": ["127.0.0.1"], "ports": "1"})
        job = scan.json()["id"]
        site.await_job(admin, scan.headers["Location"], within=60)
        return {
            "asset": asset,
            "job": job,
            "scan": _row(admin, "/api/security/scans", job=job)["id"],
            "target": _row(admin, "/api/network/targets", network="127.0.0.0/8")["id"],
            "finding": site.add_finding("192.0.2.200"),
            "password": site.password,
            "refresh": site.sign_in("viewer")["refresh"],
        }


def _row(client: httpx.Client, path: str, **members: str) -> dict[str, Any]:
    return next(row for row in all_results(client, path) if all(row[name] == value for name, value in members.items()))


def described(site: MeasuredSite) -> Measured:
    """The OpenAPI document names every endpoint; its page comes from this server."""
    checks = Checks()
    with site.client(server="b") as client:
        answer = client.get("/api/schema", headers={"Accept": "application/vnd.oai.openapi+json"})
        checks.equal("status", answer.status_code, 200)
        schema = answer.json()
        page = client.get("/api/docs")
    checks.expect(str(schema["openapi"]).startswith("3.1"), f"OpenAPI {schema['openapi']}")
    operations = {(method.upper(), _shape(path)) for path, item in schema["paths"].items() for method in item}
    for endpoint in ENDPOINTS:
        if endpoint.path.startswith("/api/") and endpoint.path not in ("/api/schema", "/api/docs"):
            path = _shape(endpoint.path.replace("999999999", "{id}"))
            checks.expect((endpoint.method, path) in operations, f"{endpoint} is not described")
    checks.expect(page.headers["Content-Type"].startswith("text/html"), "the page of the description is no HTML")
    return checks.measured(f"OpenAPI {schema['openapi']}, {len(operations)} operations, a page at /api/docs")


def _shape(path: str) -> str:
    """The path, with all parameters named alike."""
    return "/".join("{id}" if part.startswith("{") else part for part in path.split("/"))


def pages(site: MeasuredSite) -> Measured:
    """The web dashboard and the admin, for who may see them."""
    checks = Checks()
    home, admin = site.browser.http.get("/"), site.browser.http.get("/admin/")
    checks.expect(home.status_code == 200 and home.url.path == "/", f"the dashboard: {home.status_code} at {home.url}")
    for model in ("cachepolicy", "ratelimitpolicy", "jobpolicy", "accessrule"):
        checks.expect(f"/admin/perf/{model}/" in admin.text, f"the admin has no {model}")
    with site.client() as nobody:
        for path in ("/", "/admin/"):
            answer = nobody.get(path)
            checks.equal(f"{path} for nobody", answer.status_code, 302)
            checks.expect("login" in answer.headers.get("Location", ""), f"{path} leads to no sign-in")
    return checks.measured("the dashboard and the admin open for staff, and lead others to their sign-in")


OBJECTIVES = (
    Objective(AREA, "by role", "Each endpoint answers each role as it is promised.", by_role, weight=3),
    Objective(AREA, "OpenAPI", "The API describes itself, every endpoint.", described),
    Objective(AREA, "pages", "The web dashboard and the admin are there for who may see them.", pages),
)
