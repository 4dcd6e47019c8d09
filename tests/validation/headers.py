"""The headers of every answer: success, refusal and error."""

from __future__ import annotations

import httpx

from tests.acceptance.answers import cache_status, problem, rate_limits, server_timing
from tests.acceptance.test_response_headers import ANSWERS
from tests.validation.asking import unasked
from tests.validation.objectives import Checks, Measured, Objective, Turn
from tests.validation.site import MeasuredSite

AREA = "Headers"
CACHED = ("ETag", "Age", "Cache-Control", "Vary")


def on_every_answer(site: MeasuredSite) -> Measured:
    """Server-Timing, RateLimit, RateLimit-Policy, Cache-Status and X-Request-ID on answers of every kind."""
    checks = Checks()
    kinds: dict[int, int] = {}
    for status, caller, method, path, sent in ANSWERS:
        with site.client(caller, address=site.new_address()) as client:
            answer = client.request(method, path, **sent)
        what = f"{method} {path} as {caller or 'nobody'}"
        checks.equal(what, answer.status_code, status)
        _check_headers(checks, what, answer)
        kinds[status] = kinds.get(status, 0) + 1
    return checks.measured(f"{len(ANSWERS)} answers, by status {kinds}")


def _check_headers(checks: Checks, what: str, answer: httpx.Response) -> None:
    times = server_timing(answer) if "Server-Timing" in answer.headers else {}
    checks.equal(f"Server-Timing of {what}", list(times), ["gate", "app", "total"])
    checks.expect(len(answer.headers.get("X-Request-ID", "")) >= 8, f"no X-Request-ID: {what}")
    checks.expect("Cache-Status" in answer.headers and cache_status(answer), f"no Cache-Status: {what}")
    limits = rate_limits(answer) if "RateLimit" in answer.headers else {}
    in_bounds = limits and all(0 <= limit["r"] <= limit["q"] and limit["w"] == 60 for limit in limits.values())
    checks.expect(in_bounds, f"RateLimit {limits}: {what}")
    if answer.status_code >= 400 and answer.request.method != "HEAD":
        checks.equal(f"problem details of {what}", problem(answer, answer.status_code)["status"], answer.status_code)


def of_a_cached_answer(site: MeasuredSite) -> Measured:
    """What a cached answer has besides, and that its limits are the caller's own."""
    checks = Checks()
    path = unasked("/api/security/findings")
    first_user, second_user = site.new_user("viewer"), site.new_user("viewer")
    with site.client(first_user) as first, site.client(second_user, server="b") as second:
        miss, hit = first.get(path), first.get(path)
        same = first.get(path, headers={"If-None-Match": hit.headers["ETag"]})
        theirs = second.get(path)
    for what, answer in {"miss": miss, "hit": hit, "304": same, "hit of another": theirs}.items():
        for name in CACHED:
            checks.expect(name in answer.headers, f"no {name} on a {what}")
        _check_headers(checks, f"a {what}", answer)
    checks.expect("private" in hit.headers["Cache-Control"], hit.headers["Cache-Control"])
    left = [rate_limits(answer)["default"]["r"] for answer in (miss, hit, same, theirs)]
    checks.equal("left of the limit", left, [99, 98, 97, 99])
    ids = {answer.headers["X-Request-ID"] for answer in (miss, hit, same, theirs)}
    checks.equal("different X-Request-ID", len(ids), 4)
    return checks.measured(f"miss, hit, 304 and another user's hit: {', '.join(CACHED)}; left of the limit {left}")


OBJECTIVES = (
    Objective(
        AREA, "on every answer", "Success, refusal and error tell time, limits, cache and id; errors are problems.",
        on_every_answer, weight=2,
    ),
    Objective(
        AREA, "of a cached answer", "A cached answer tells its age and validator, and the caller's own limits.",
        of_a_cached_answer, turn=Turn.ALONE,
    ),
)  # fmt: skip
