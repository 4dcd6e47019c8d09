"""The page "Live": it moves while one looks, and from its table a client is kept out that is blocked all the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.site import Site

if TYPE_CHECKING:
    from playwright.sync_api import Page

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.browser

PATH = "/admin/perf/live/?window=5m"
GUESSER = "127.0.0.2"
LIMIT = 10
POLICY = "from perf.models import RateLimitPolicy as P; P.objects"


@pytest.fixture
def limited(site: Site) -> Iterator[None]:
    """A limit on one path, by address."""
    fields = f"name='few', scope='few', position=1, route='/api/notifications', limit={LIMIT}, count_by='ip'"
    site.shell(f"{POLICY}.create({fields})")
    yield
    site.shell(f"{POLICY}.filter(name='few').delete()")


def guess(site: Site, times: int) -> list[int]:
    """Status codes of so many requests with a token that was made up, from one address."""
    with site.client(address=GUESSER) as client:
        headers = {"Authorization": "Bearer made-up"}
        return [client.get("/api/notifications", headers=headers).status_code for _ in range(times)]


def total(page: Page) -> int:
    return int(page.locator("#live-total").inner_text())


def test_it_moves_while_one_looks_and_stands_still_when_it_is_paused(visitor: Callable[..., Any], site: Site) -> None:
    with visitor() as (context, watch):
        page = context.new_page()
        page.goto(PATH)
        before = total(page)
        with site.client("viewer") as client:
            for _ in range(7):
                client.get("/api/network/assets")
        expect(page.locator("#live-total")).not_to_have_text(str(before), timeout=15_000)
        assert total(page) >= before + 7

        page.get_by_role("button", name="Pause").click()
        assert "Paused" in page.get_by_role("status").inner_text()
        shown = page.locator("#live-time").inner_text()
        with page.expect_response(lambda answer: "fragment" in answer.url):
            page.get_by_role("button", name="Go on").click()
        expect(page.locator("#live-time")).not_to_have_text(shown, timeout=15_000)
    assert watch.problems == []


def test_a_client_is_blocked_from_the_table_of_those_most_often_blocked(
    visitor: Callable[..., Any], site: Site, limited: None
) -> None:
    assert guess(site, LIMIT + 3)[-1] == 429
    with visitor() as (context, watch):
        page = context.new_page()
        page.goto(PATH)
        row = page.locator("#live-clients tr", has_text=GUESSER)
        row.get_by_role("link", name="Block").click()
        assert page.get_by_label("Network").input_value() == GUESSER
        assert page.get_by_label("Effect").input_value() == "blocked"
        page.get_by_role("button", name="Save", exact=True).first.click()
        assert "was added successfully" in page.locator(".messagelist").inner_text()
        assert guess(site, 1) == [403]

        page.goto(PATH)
        assert "blocked by" in page.locator("#live-clients tr", has_text=GUESSER).inner_text()
        page.locator("#live-clients tr", has_text=GUESSER).get_by_role("link").click()
        page.get_by_role("link", name="Delete").first.click()
        page.get_by_role("button", name="Yes").click()
        assert guess(site, 1) != [403]
    assert watch.problems == []
