"""The dashboard and the alert rules of docs/monitoring, asked of a real Prometheus that scrapes a real SecureNet."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from tests.acceptance.site import Site
from tests.integration.helpers import eventually
from tests.servers.prometheus import Prometheus, is_installed, prometheus

DOCS = Path(__file__).parents[2] / "docs"
ALERTS = DOCS / "monitoring" / "alerts.yml"
DASHBOARD = DOCS / "monitoring" / "grafana.json"
SELECTOR = re.compile(r"\b((?:securenet_\w+|up)(?:\{[^}]*\})?)")


def alerts() -> list[dict[str, str]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def panel_queries() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"].replace("$__rate_interval", "1m") for panel in panels for target in panel["targets"]]


@pytest.fixture(scope="module")
def monitored(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Prometheus, after requests of all outcomes and a job."""
    if not is_installed():
        pytest.skip("Prometheus is not installed (Debian: apt-get install prometheus)")
    with prometheus(tmp_path_factory.mktemp("prometheus"), urlsplit(site.url_a).netloc, [ALERTS]) as server:
        eventually(lambda: server.query("securenet_requests_total"))
        site.add_finding("monitored", severity="low")
        with site.client("security-admin") as admin:
            job = admin.post("/api/performance/background-job", json={"type": "cache_warm", "params": {}})
            site.await_job(admin, job.headers["Location"])
            path = f"/api/network/assets?test={uuid.uuid4()}"
            for _ in range(3):
                assert admin.get(path).status_code == 200
        yield server


def test_every_query_of_the_dashboard_has_an_answer(monitored: Prometheus) -> None:
    for query in panel_queries():
        assert eventually(lambda query=query: monitored.query(query)), query


def test_every_alert_is_about_samples_that_exist(monitored: Prometheus) -> None:
    for alert in alerts():
        selectors = SELECTOR.findall(alert["expr"])
        assert selectors, alert["alert"]
        for selector in selectors:
            assert eventually(lambda selector=selector: monitored.query(selector)), (alert["alert"], selector)


def test_every_alert_is_evaluated_and_none_fires_on_a_healthy_site(monitored: Prometheus) -> None:
    names = [alert["alert"] for alert in alerts()]
    rules = eventually(lambda: (found := monitored.rules()) and all(rule["health"] == "ok" for rule in found) and found)
    assert [rule["name"] for rule in rules] == names
    assert {rule["name"] for rule in rules if rule["state"] == "firing"} == set()


def test_a_site_that_is_gone_is_noticed(tmp_path: Path) -> None:
    if not is_installed():
        pytest.skip("Prometheus is not installed (Debian: apt-get install prometheus)")
    with prometheus(tmp_path, "127.0.0.1:9", [ALERTS]) as server:
        eventually(
            lambda: any(rule["name"] == "SecureNetDown" and rule["state"] != "inactive" for rule in server.rules())
        )


def test_every_alert_has_its_place_in_the_runbook() -> None:
    headings = set(re.findall(r"^## (\w+)$", (DOCS / "runbook.md").read_text(), re.MULTILINE))
    assert headings == {alert["alert"] for alert in alerts()}
    for alert in alerts():
        assert alert["annotations"]["runbook"] == f"docs/runbook.md#{alert['alert'].lower()}"  # type: ignore[index]


def test_each_web_server_tells_the_same_counts(site: Site) -> None:
    def requests(url: str) -> list[str]:
        return re.findall(r"^securenet_requests_total.*$", httpx.get(f"{url}/metrics").text, re.MULTILINE)

    assert requests(site.url_a)
    assert eventually(lambda: requests(site.url_a) == requests(site.url_b))
