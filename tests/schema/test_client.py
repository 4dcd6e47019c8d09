"""A client that a generator makes of the description works: sign in, list findings, and refusals as typed problems."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from tests.acceptance.site import PASSWORD, Site
from tests.schema.generating import PACKAGE
from tests.schema.site import LIMITED_ADDRESS

pytestmark = pytest.mark.schema


@pytest.fixture(scope="module")
def package(generated_client: Path) -> Iterator[ModuleType]:
    """The generated package, imported."""
    sys.path.insert(0, str(generated_client))
    try:
        yield importlib.import_module(PACKAGE)
    finally:
        sys.path.remove(str(generated_client))


def call(name: str) -> ModuleType:
    """The module of an operation, such as ``security.security_findings_list``."""
    return importlib.import_module(f"{PACKAGE}.api.{name}")


def model(name: str) -> Any:
    return getattr(importlib.import_module(f"{PACKAGE}.models"), name)


def test_it_has_a_function_for_every_operation(package: ModuleType, openapi: dict[str, Any]) -> None:
    modules = {module.name.rpartition(".")[2] for module in pkgutil.walk_packages(package.__path__, f"{PACKAGE}.")}
    described = {operation["operationId"] for item in openapi["paths"].values() for operation in item.values()}
    assert described <= modules


def test_its_types_hold(generated_client: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file=", "--ignore-missing-imports", "-p", PACKAGE],
        cwd=generated_client,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-5000:] + run.stderr


def test_it_signs_in_and_lists_findings(package: ModuleType, site: Site) -> None:
    credentials = model("CredentialsRequest")(username="viewer", password=PASSWORD)
    anybody = package.Client(base_url=site.url_a)
    tokens = call("auth.auth_token_create").sync(client=anybody, body=credentials)
    client = package.AuthenticatedClient(base_url=site.url_a, token=tokens.access)
    page = call("security.security_findings_list").sync(client=client, page_size=2)
    with site.client("viewer") as plain:
        expected = plain.get("/api/security/findings?page_size=2").json()
    assert [finding.fingerprint for finding in page.results] == [row["fingerprint"] for row in expected["results"]]
    assert page.results[0].severity.value == expected["results"][0]["severity"]
    assert page.next_ == expected["next"]


def test_it_submits_a_job_and_reads_its_state(package: ModuleType, site: Site) -> None:
    client = package.AuthenticatedClient(base_url=site.url_a, token=site.token("platform-owner"))
    body = model("LogAnalysisSubmission")(type_="log_analysis")
    answer = call("performance.performance_background_job_create").sync_detailed(
        client=client, body=body, idempotency_key=uuid.uuid4().hex
    )
    assert answer.status_code == 202
    assert answer.headers["Location"].endswith(str(answer.parsed.id))
    job = call("performance.performance_background_job_retrieve").sync(client=client, id=answer.parsed.id)
    assert (job.id, job.type_) == (answer.parsed.id, "log_analysis")


def test_a_refusal_is_a_typed_problem(package: ModuleType, site: Site) -> None:
    client = package.AuthenticatedClient(base_url=site.url_a, token="no token")
    answer = call("security.security_findings_list").sync_detailed(client=client)
    assert answer.status_code == 401
    assert isinstance(answer.parsed, model("Problem"))
    assert answer.parsed.status == 401
    assert answer.parsed.request_id == answer.headers["X-Request-ID"]


def test_a_limit_is_a_typed_problem_that_names_the_policy(package: ModuleType, site: Site) -> None:
    transport = httpx.HTTPTransport(local_address=LIMITED_ADDRESS)
    client = package.Client(base_url=site.url_a, httpx_args={"transport": transport})
    body = model("CredentialsRequest")(username=uuid.uuid4().hex, password="wrong")
    answers = [call("auth.auth_token_create").sync_detailed(client=client, body=body) for _ in range(11)]
    refused = answers[-1]
    assert refused.status_code == 429
    assert isinstance(refused.parsed, model("Problem"))
    assert refused.parsed.violated_policies == ["authentication"]
    assert int(refused.headers["Retry-After"]) >= 1


def test_a_field_that_is_not_valid_is_named(package: ModuleType, site: Site) -> None:
    client = package.AuthenticatedClient(base_url=site.url_a, token=site.token("platform-owner"))
    body = model("AssetRequest")(address="no address")
    problem = call("network.network_assets_create").sync(client=client, body=body)
    assert [(error.field, error.code) for error in problem.errors] == [("address", "invalid_address")]
