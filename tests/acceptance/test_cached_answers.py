"""With the cache on, every endpoint answers byte for byte what it answers with the cache off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.acceptance.site import Site
from tests.acceptance.test_http_surface import ENDPOINTS, rows  # noqa: F401

# Made anew for each exchange, or telling that the answer is cached.
NOT_COMPARED = {
    "age", "cache-control", "cache-status", "content-length", "date", "etag", "ratelimit", "ratelimit-policy",
    "server-timing", "vary", "x-request-id",
}  # fmt: skip
# Members that say when the answer was computed, or count the requests of this test themselves.
CLOCKS = {"age", "generated_at", "timestamp"}
COUNTING = {"/api/performance/metrics", "/metrics", "/readyz", "/api/docs"}  # docs: a token against forgery

PATHS = [endpoint.path for endpoint in ENDPOINTS if endpoint.method == "GET" and endpoint.path not in COUNTING]
CALLERS = ("viewer", "soc-analyst", "security-admin", "platform-owner")


@pytest.fixture
def with_cache_off(site: Site) -> Iterator[None]:
    """No policy caches anything; what was cached is cached no more."""
    site.shell(
        "from perf.models import CachePolicy as p\n"
        "for policy in p.objects.all(): p.objects.filter(pk=policy.pk).update(ttl=0, comment=str(policy.ttl))"
    )
    yield
    site.shell(
        "from perf.models import CachePolicy as p\n"
        "for policy in p.objects.all(): p.objects.filter(pk=policy.pk).update(ttl=int(policy.comment), comment='')"
    )


@pytest.fixture
def answers(site: Site, rows: dict[str, Any]) -> dict[tuple[str, str, int], httpx.Response]:  # noqa: F811
    """Each path for each role, twice: the second answer comes from the cache where there is one.

    Nothing is left from before: within their TTL, answers may be older than what other tests have done since.
    """
    site.shell("from perf.caching import invalidate; invalidate(everything=True)")
    return _ask_all(site, rows)


def test_cached_and_computed_answers_are_the_same(
    site: Site,
    rows: dict[str, Any],  # noqa: F811
    answers: dict[tuple[str, str, int], httpx.Response],
    with_cache_off: None,
) -> None:
    computed = _ask_all(site, rows)
    hits = [key for key, answer in answers.items() if "hit" in answer.headers.get("Cache-Status", "")]
    assert len(hits) >= 8 * len(CALLERS), "too little was cached for this test to say much"
    assert not [key for key, answer in computed.items() if "hit" in answer.headers.get("Cache-Status", "")]
    for key, answer in answers.items():
        assert _comparable(answer) == _comparable(computed[key]), key


def _ask_all(site: Site, rows: dict[str, Any]) -> dict[tuple[str, str, int], httpx.Response]:  # noqa: F811
    found: dict[tuple[str, str, int], httpx.Response] = {}
    for caller in CALLERS:
        with site.client(caller, server="b") as client:
            client.headers["Accept-Encoding"] = "identity"
            for path in PATHS:
                for time in (1, 2):
                    found[caller, path, time] = client.get(path.format(**rows))
    return found


def _comparable(response: httpx.Response) -> tuple[int, dict[str, str], Any]:
    headers = {name: value for name, value in response.headers.items() if name not in NOT_COMPARED}
    content: Any = response.content
    if b'"request_id"' in content or any(f'"{clock}"'.encode() in content for clock in CLOCKS):
        content = _without_clocks(json.loads(content))
    return response.status_code, headers, content


def _without_clocks(value: Any) -> Any:
    match value:
        case dict():
            return {
                name: _without_clocks(inner) for name, inner in value.items() if name not in CLOCKS | {"request_id"}
            }
        case list():
            return [_without_clocks(inner) for inner in value]
        case _:
            return value
