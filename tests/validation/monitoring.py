"""The metrics endpoints show what happened, and health endpoints how things are."""

from __future__ import annotations

import time
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.acceptance.answers import cache_status
from tests.validation.asking import at_once, both_servers, getting, statuses, unasked
from tests.validation.jobs import completed, submit
from tests.validation.objectives import Checks, Measured, Objective, Turn
from tests.validation.site import JOB_WORKERS, MeasuredSite

AREA = "Monitoring"
METRICS = "/api/performance/metrics"
ASSETS = "/api/network/assets"
LIMIT = 100
RANKED_WITHIN = 2.5  # seconds; a process that is idle tells whom it has refused


def counts(site: MeasuredSite) -> Measured:
    """What a client counted of its own requests, and what the metrics say has happened meanwhile."""
    checks = Checks()
    viewer = site.new_user("viewer")
    with both_servers(site, viewer) as clients, site.client(site.new_user("security_admin"), server="b") as admin:
        before, before_prometheus = _json(admin), _prometheus(admin)
        path = unasked(ASSETS)
        answers = [clients[0].get(path), *at_once(clients, getting(path), LIMIT + 19)]
        completed(site, admin, submit(admin, "log_analysis", source="counted"))
        after, after_prometheus = _json(admin), _prometheus(admin)
        time.sleep(RANKED_WITHIN)
        ranking = {row["client"]: row["blocked"] for row in _json(admin)["rate_limiting"]["top_blocked_clients"]}
    seen = statuses(answers)
    admitted = [cache_status(answer) for answer in answers if answer.status_code == 200]
    hits = sum("hit" in status for status in admitted)
    expected = {
        "network": {"hits": hits, "misses": len(admitted) - hits, "stale": 0},
        "default": {"allowed": seen[200], "blocked": seen[429], "observed": 0},
    }
    cache = _grown(before["api_cache"], after["api_cache"], "network")
    limits = _grown(before["rate_limiting"], after["rate_limiting"], "default")
    checks.equal("cache", {name: cache[name] for name in expected["network"]}, expected["network"])
    checks.equal("limit", limits, expected["default"])
    blocked = after["rate_limiting"]["blocked"] - before["rate_limiting"]["blocked"]
    checks.equal("refused over all policies", blocked, seen[429])
    ranked = [count for client, count in ranking.items() if client.endswith(viewer)]
    checks.equal("the client in the ranking of those blocked", ranked, [seen[429]])
    done = after["background_jobs"]["completed"] - before["background_jobs"]["completed"]
    checks.equal("jobs completed", done, 1)
    for policy, result, count in (("network", "hit", hits), ("default", "blocked", seen[429])):
        grown = after_prometheus.get((policy, result), 0) - before_prometheus.get((policy, result), 0)
        checks.equal(f"{policy} {result} for Prometheus", grown, count)
    return checks.measured(
        f"client counted {seen}, {hits} hits; the metrics: cache {cache}, limit {limits}, jobs +{done}"
    )


def _json(admin: httpx.Client) -> dict[str, Any]:
    answer = admin.get(METRICS, params={"window": "24h"})
    assert answer.status_code == 200, answer.text
    metrics: dict[str, Any] = answer.json()
    return metrics


def _prometheus(client: httpx.Client) -> dict[tuple[str, str], float]:
    """Counters by policy and result."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        (sample.labels["policy"], sample.labels.get("result") or sample.labels.get("decision", "")): sample.value
        for family in families
        if family.name in ("securenet_cache_lookups", "securenet_limit_decisions")
        for sample in family.samples
        if sample.name.endswith("_total")
    }


def _grown(before: dict[str, Any], after: dict[str, Any], policy: str) -> dict[str, int]:
    """By how much the counts of a policy have grown."""
    earlier = before["by_policy"].get(policy, {})
    return {
        name: value - earlier.get(name, 0)
        for name, value in after["by_policy"][policy].items()
        if isinstance(value, int)
    }


def members(site: MeasuredSite) -> Measured:
    """Everything that the metrics promise is in them."""
    checks = Checks()
    promised = {
        "api_cache": {"hits", "misses", "stale", "total", "hit_rate", "by_policy"},
        "rate_limiting": {"total", "blocked", "observed", "block_rate", "by_policy", "top_blocked_clients"},
        "background_jobs": {
            "submitted", "processing", "completed", "failed", "cancelled", "queue_size", "capacity", "by_type",
            "workers",
        },
        "store": {"state", "round_trip_ms"},
    }  # fmt: skip
    with site.client(site.new_user("platform_owner")) as admin:
        metrics = _json(admin)
        for window in ("5m", "1h", "24h"):
            series = admin.get(METRICS, params={"window": window}).json()["series"]
            checks.expect(series, f"no series for {window}")
    for section, names in promised.items():
        missing = names - metrics.get(section, {}).keys()
        checks.expect(not missing, f"{section} lacks {missing}")
    for name in ("latency", "revision", "timestamp"):
        checks.expect(metrics.get(name), f"no {name}")
    checks.equal("workers", metrics["background_jobs"]["workers"], JOB_WORKERS)
    checks.equal("capacity", metrics["background_jobs"]["capacity"], 100)
    for route, latency in metrics["latency"].items():
        checks.expect(0 <= latency["p50"] <= latency["p95"] <= latency["p99"], f"latency of {route}: {latency}")
    return checks.measured(
        f"hit rate {metrics['api_cache']['hit_rate']}, {metrics['rate_limiting']['total']} requests, "
        f"{len(metrics['latency'])} routes, Redis {metrics['store']['round_trip_ms']:.2f} ms, 3 windows"
    )


def health(site: MeasuredSite) -> Measured:
    """Liveness and readiness of both web servers."""
    checks = Checks()
    for server in "ab":
        with site.client(server=server) as client:
            checks.equal("liveness", client.get("/livez").json(), {"status": "ok"})
            ready = client.get("/readyz")
            checks.equal("readiness", (ready.status_code, ready.json()["status"]), (200, "ok"))
            states = {name: check["state"] for name, check in ready.json()["checks"].items()}
            checks.equal("dependencies", states, {"database": "ok", "redis": "ok", "workers": "ok"})
    return checks.measured("/livez and /readyz of both servers: database, redis, workers ok")


OBJECTIVES = (
    Objective(
        AREA, "counts are true", "The metrics say what clients counted, over all processes.", counts, weight=2,
        turn=Turn.ALONE,
    ),
    Objective(AREA, "metrics", "The metrics tell of cache, limits, jobs, store and latency.", members, turn=Turn.ALONE),
    Objective(AREA, "health", "Liveness and readiness tell how each dependency is.", health),
)  # fmt: skip
