"""What attackers wrote into logs and banners stands in the pages as text, whatever it looks like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.site import Site
from tests.browser import sample

pytestmark = pytest.mark.browser

MARK = "onerror=alert(1)"
LISTS = (
    "/admin/logs/logevent/", "/admin/network/asset/", "/admin/network/service/", "/admin/security/finding/",
    "/admin/perf/revision/",
)  # fmt: skip
# Lists of the dashboard, by what they are asked for.
PAGES = ("/findings?search=onerror", "/assets?search=onerror", "/events?q=onerror")


@pytest.fixture(scope="module")
def attacked(site: Site) -> Site:
    with site.client("admin") as api:
        sample.send_logs(api, sample.hostile_lines())
        sample.send_scan(api, sample.hostile_scan())
        sample.add_hostile_asset(api)
        sample.analyse(site, api)
    sample.edit_with_reason(site, sample.HOSTILE)
    return site


def test_text_of_attackers_is_shown_and_does_nothing(visitor: Callable[..., Any], attacked: Site) -> None:
    job = sample.fail_hostile_job(attacked)
    with visitor() as (context, watch):
        page = context.new_page()
        for path in LISTS:
            page.goto(path)
            rows = page.locator("#result_list tbody tr").filter(has_text=MARK)
            assert rows.count() > 0, f"{path} does not show it"
            rows.first.locator("th a, td.field-id a, td a").first.click()
            page.wait_for_load_state()
            assert page.url.split("?")[0].rstrip("/") != path.rstrip("/")
            assert MARK in page.content(), f"{page.url} does not show it"
            assert page.locator("img[src=x]").count() == 0, page.url
        for path in (f"/admin/django_rq/dashboard/queues/0/{job}/", *PAGES):
            page.goto(path)
            assert page.get_by_text(MARK).count() > 0, f"{path} does not show it"
            assert page.locator("img[src=x]").count() == 0, path
        page.goto("/")  # where it stands among the worst and newest, or does not
        assert page.locator("img[src=x]").count() == 0
    assert watch.problems == [], "\n".join(watch.problems)
