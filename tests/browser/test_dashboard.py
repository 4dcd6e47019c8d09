"""The dashboard in front of somebody: it moves while they look, works on a phone, by keyboard and without scripts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.site import Site
from tests.browser import sample
from tests.browser.test_accessibility import LEVELS, RULES_OF_COLOUR, barriers

if TYPE_CHECKING:
    from playwright.sync_api import Page

expect = pytest.importorskip("playwright.sync_api").expect

pytestmark = pytest.mark.browser

PAGES = (
    "/", "/findings?severity=high", "/findings/1", "/assets", "/scans", "/scans/1", "/events", "/notifications",
)  # fmt: skip
REFRESHED = 60_000  # milliseconds; while a scan runs its page asks for itself again every 4 s
LOOK = "document.dispatchEvent(new Event('visibilitychange'))"  # as if one came back to the page
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True}


def mark(page: Page) -> None:
    """Leave something in the page that would be gone if it were loaded anew."""
    page.evaluate("window.isTheSame = true")


def is_marked(page: Page) -> bool:
    return bool(page.evaluate("window.isTheSame === true"))


def start_scan(page: Page, ports: str) -> None:
    page.goto("/scans")
    page.get_by_label("Targets").fill("127.0.0.1")
    page.get_by_label("Ports", exact=True).fill(ports)
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/scans/*")


def test_pages_have_no_serious_barriers_and_keep_the_policy(visitor: Callable[..., Any]) -> None:
    found = []
    with visitor() as (context, watch):
        page = context.new_page()
        for path in PAGES:
            page.emulate_media(color_scheme="light")
            page.goto(path)
            found += barriers(page, LEVELS)
            page.emulate_media(color_scheme="dark")
            found += [f"dark: {barrier}" for barrier in barriers(page, RULES_OF_COLOUR)]
    assert found == [], "\n".join(found)
    assert watch.problems == [], "\n".join(watch.problems)


def test_pages_fit_on_a_phone(visitor: Callable[..., Any]) -> None:
    found = []
    with visitor(**PHONE) as (context, _):
        page = context.new_page()
        for path in PAGES:
            page.goto(path)
            if (excess := page.evaluate("document.documentElement.scrollWidth - innerWidth")) > 0:
                found.append(f"{path} is {excess} pixels too wide")
            found += barriers(page, LEVELS)
    assert found == [], "\n".join(found)


def test_the_first_key_leads_past_the_navigation(visitor: Callable[..., Any]) -> None:
    with visitor() as (context, _):
        page = context.new_page()
        page.goto("/findings")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.innerText") == "Skip to content"
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.evaluate("document.querySelector('main').contains(document.activeElement)")


def test_a_scan_shows_its_end_without_being_asked_again(visitor: Callable[..., Any], site: Site) -> None:
    with visitor() as (context, watch):
        page = context.new_page()
        start_scan(page, f"1-200,{site.url_a.rpartition(':')[2]}")
        mark(page)
        expect(page.locator("#live")).to_contain_text("completed", timeout=REFRESHED)
        expect(page.locator("#live")).to_contain_text("What has changed")
        assert is_marked(page)
    assert watch.problems == [], "\n".join(watch.problems)


def test_a_notification_shows_up_while_one_looks_at_another_page(visitor: Callable[..., Any], site: Site) -> None:
    with visitor() as (context, _):
        page = context.new_page()
        page.goto("/assets")
        page.wait_for_function("window.htmx !== undefined")
        mark(page)
        before = page.locator("#unread").inner_text()
        with site.client("admin") as api:
            lines = [line.replace("203.0.113.", "198.51.100.2") for line in sample.attack()]
            sample.send_logs(api, lines, source="elsewhere")
            sample.analyse(site, api)
        page.evaluate(LOOK)
        expect(page.locator("#unread")).not_to_have_text(before, timeout=REFRESHED)
        assert is_marked(page)


def test_filters_count_at_once_and_can_be_gone_back_on(visitor: Callable[..., Any]) -> None:
    with visitor() as (context, watch):
        page = context.new_page()
        page.goto("/findings")
        all_of_them = page.locator("#live tbody tr").count()
        page.get_by_text("Filters", exact=True).click()
        mark(page)
        page.get_by_label("critical").check()
        page.wait_for_url("**/findings?*severity=critical*")
        expect(page.locator("#live tbody tr")).not_to_have_count(all_of_them)
        assert set(page.locator("#live tbody .badge").all_inner_texts()) == {"critical"}
        assert is_marked(page)
        page.go_back()
        expect(page.locator("#live tbody tr")).to_have_count(all_of_them)
    assert watch.problems == [], "\n".join(watch.problems)


def test_a_filter_that_is_wrong_says_so_at_once(visitor: Callable[..., Any]) -> None:
    with visitor() as (context, _):
        page = context.new_page()
        page.goto("/findings")
        page.get_by_text("Filters", exact=True).click()
        page.get_by_label("Number of the asset").fill("gateway")
        page.keyboard.press("Enter")
        expect(page.locator("#error-asset")).to_have_text("Enter a number.")
        page.get_by_label("Number of the asset").fill("")
        page.keyboard.press("Enter")
        expect(page.locator("#error-asset")).to_have_text("")


def test_a_page_that_nobody_sees_or_that_is_in_use_is_left_alone(visitor: Callable[..., Any]) -> None:
    with visitor() as (context, _):
        page = context.new_page()
        asked: list[str] = []
        page.goto("/findings")
        page.wait_for_function("window.htmx !== undefined")
        page.on("request", lambda request: asked.append(request.url))
        page.evaluate("Object.defineProperty(document, 'hidden', {value: true, configurable: true})")
        page.evaluate(LOOK)
        page.evaluate("Object.defineProperty(document, 'hidden', {value: false, configurable: true})")
        page.locator("#live a").first.focus()
        page.evaluate(LOOK)
        assert asked == []
        page.evaluate("document.activeElement.blur()")
        with page.expect_request("**/findings"):
            page.evaluate(LOOK)


def test_what_was_opened_stays_open(visitor: Callable[..., Any]) -> None:
    with visitor() as (context, _):
        page = context.new_page()
        page.goto("/")
        page.locator("#events-numbers summary").click()
        page.evaluate("document.activeElement.blur()")
        page.evaluate("document.querySelector('#live').dataset.old = 'yes'")
        with page.expect_response(lambda answer: answer.url.endswith("/")):
            page.evaluate(LOOK)
        expect(page.locator("#live[data-old]")).to_have_count(0)
        expect(page.locator("#events-numbers")).to_have_attribute("open", "")


def test_who_is_signed_out_elsewhere_is_led_to_sign_in(visitor: Callable[..., Any]) -> None:
    with visitor() as (context, _):
        page = context.new_page()
        page.goto("/findings")
        page.wait_for_function("window.htmx !== undefined")
        context.clear_cookies()
        page.evaluate(LOOK)
        page.wait_for_url("**/login?next=/findings")


def test_everything_works_without_scripts(visitor: Callable[..., Any]) -> None:
    with visitor(java_script_enabled=False) as (context, watch):
        page = context.new_page()
        page.goto("/findings")
        page.get_by_text("Filters", exact=True).click()
        page.get_by_label("medium").check()
        page.get_by_role("button", name="Filter").click()
        page.wait_for_url("**/findings?*severity=medium*")
        page.locator("#live tbody a").first.click()
        page.wait_for_url("**/findings/*")
        page.get_by_label("State").select_option("acknowledged")
        page.get_by_label("Note").fill("Seen without scripts")
        page.get_by_role("button", name="Save").click()
        assert "Saved: the finding is acknowledged." in page.get_by_role("status").all_inner_texts()
        assert "Seen without scripts" in page.locator("#live").inner_text()
    assert watch.problems == [], "\n".join(watch.problems)


def test_a_target_that_may_not_be_scanned_is_refused_at_its_field(visitor: Callable[..., Any]) -> None:
    with visitor() as (context, _):
        page = context.new_page()
        page.goto("/scans")
        page.get_by_label("Targets").fill("192.0.2.1")
        page.get_by_role("button", name="Start").click()
        assert "192.0.2.1" in page.locator("#error-targets").inner_text()
        assert page.get_by_label("Targets").input_value() == "192.0.2.1"
        assert barriers(page, LEVELS) == []
