"""Which requests a route matches, and what is no route."""

from __future__ import annotations

import fnmatch
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perf.policies.routes import InvalidRoute, RouteKind, parse_route


@pytest.mark.parametrize(
    ("route", "path", "view", "expected"),
    [
        ("*", "/anything", "", True),
        ("/api/logs", "/api/logs", "", True),
        ("/api/logs", "/api/logs/1", "", False),
        ("/api/security/*", "/api/security/findings/7", "", True),
        ("/api/security/*", "/api/security", "", False),
        ("/api/security*", "/api/security", "", True),
        ("/api/*/summary", "/api/security/summary", "", True),
        ("/api/*/summary", "/api/security/summary/x", "", False),
        ("/a*b*c", "/axbxbxc", "", True),
        ("/ab*ba", "/aba", "", False),
        ("security:findings", "/api/security/findings", "security:findings", True),
        ("security:findings", "/security:findings", "other", False),
    ],
)
def test_matching(route: str, path: str, view: str, expected: bool) -> None:
    assert parse_route(route).matches(path, view) is expected


@pytest.mark.parametrize("text", ["", "api/logs", "/with space", "/ünicode", "a b", "/" + "x" * 300, "name:", "**"])
def test_what_is_no_route_is_refused_with_advice(text: str) -> None:
    with pytest.raises(InvalidRoute, match=r"write|Write|has"):
        parse_route(text)


@given(st.text(alphabet="ab/*", min_size=1, max_size=12), st.text(alphabet="ab/", max_size=15))
def test_stars_match_as_in_a_shell_but_across_slashes(pattern: str, path: str) -> None:
    route = parse_route("/" + pattern)
    assert route.matches("/" + path, "") == fnmatch.fnmatchcase("/" + path, "/" + pattern)


def test_no_pattern_is_slow() -> None:
    route = parse_route("/" + "*a" * 90)
    assert route.kind is RouteKind.GLOB
    started = time.process_time()
    assert not route.matches("/" + "a" * 8000 + "b", "")
    assert time.process_time() - started < 5  # one that backtracks takes hours


@pytest.mark.parametrize(
    ("text", "path", "kind"),
    [
        ("/a%20b", "/a b", RouteKind.EXACT),
        ("/caf%C3%A9/*", "/café/menu", RouteKind.PREFIX),
        ("/a%20b/*/c", "/a b/x/c", RouteKind.GLOB),
        ("/100%25", "/100%", RouteKind.EXACT),
        ("/2%2A3", "/2*3", RouteKind.EXACT),
    ],
)
def test_what_is_written_percent_encoded_matches_the_decoded_path(text: str, path: str, kind: RouteKind) -> None:
    route = parse_route(text)
    assert (route.kind, route.matches(path, "")) == (kind, True)
    assert not route.matches(text.replace("*", "x"), "")


def test_an_encoded_star_beside_plain_ones_is_refused() -> None:
    with pytest.raises(InvalidRoute, match="percent-encoded star"):
        parse_route("/2%2A3/*")
