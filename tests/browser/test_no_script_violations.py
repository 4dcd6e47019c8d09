"""No page breaks the Content-Security-Policy, raises an error in the browser, or asks for what is not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.browser import AdminBrowser
from tests.acceptance.site import Site
from tests.browser.addresses import addresses

pytestmark = pytest.mark.browser

EXPECTED = (
    "/admin/perf/try-it/",
    "/admin/perf/revision/import/",
    "/admin/security/finding/",
    "/admin/django_rq/dashboard/",
)


@pytest.fixture(scope="module")
def paths(site: Site) -> list[str]:
    with AdminBrowser(site.url_a, "admin", site.password) as admin:
        found = addresses(admin.http)
    assert len(found) > 40, found
    assert set(EXPECTED) <= set(found), found
    return found


def test_every_page_keeps_the_policy_and_raises_nothing_in_light_and_dark(
    visitor: Callable[..., Any], paths: list[str]
) -> None:
    with visitor() as (context, watch):
        page = context.new_page()
        for path in paths:
            page.emulate_media(color_scheme="light")
            page.goto(path)
            page.emulate_media(color_scheme="dark")
    assert watch.problems == [], "\n".join(watch.problems)


def test_the_policy_stops_a_script_that_stands_in_a_page_and_that_is_noticed(visitor: Callable[..., Any]) -> None:
    with visitor() as (context, watch):
        page = context.new_page()
        page.goto("/admin/")
        page.evaluate("document.body.appendChild(document.createElement('script')).textContent = 'document.title = 1'")
        page.evaluate("document.body.setAttribute('style', 'color: red')")
        page.evaluate("document.body.appendChild(document.createElement('div')).innerHTML = '<p style=\"color: red\">'")
        page.goto("/admin/no-such-page/")
        assert page.title() != "1"
    assert [part for part in ("script", "style", "404") if not any(part in line for line in watch.problems)] == []
