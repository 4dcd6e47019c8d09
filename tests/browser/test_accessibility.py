"""axe-core finds no serious barrier in the pages of this project, in light and in dark."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

PAGES = (
    "/", "/admin/", "/admin/perf/cachepolicy/", "/admin/perf/ratelimitpolicy/", "/admin/perf/ratelimitpolicy/add/",
    "/admin/perf/accessrule/add/", "/admin/perf/revision/", "/admin/perf/revision/2/change/",
    "/admin/perf/revision/import/", "/admin/perf/job/", "/admin/security/finding/", "/admin/logs/detectorsettings/",
    "/admin/perf/try-it/?method=GET&path=/api/dashboard/cached",
)  # fmt: skip


# Widgets of Django's own, which it draws without names: the search in a choice, and both halves of a time.
DJANGO_S_OWN = [[".select2-container"], [".vDateField"], [".vTimeField"]]


OPTIONS = {"resultTypes": ["violations"], "preload": False}
LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
RULES_OF_COLOUR = ["color-contrast", "link-in-text-block"]


def barriers(page: Page, rules: list[str]) -> list[str]:
    """What axe-core calls serious or critical by these rules, with the first elements that it means."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, context={"exclude": DJANGO_S_OWN}, options={**OPTIONS, "runOnly": rules})
    serious = [one for one in found.response["violations"] if one["impact"] in ("serious", "critical")]
    return [f"{page.url}: {one['id']}: {one['help']}: {_elements(one['nodes'])}" for one in serious]


def _elements(nodes: list[dict[str, Any]]) -> str:
    return "; ".join(f"{node['target']} {node['failureSummary'][:160]}" for node in nodes[:4])


def test_pages_have_no_serious_barriers_in_light_and_in_dark(visitor: Callable[..., Any]) -> None:
    found = []
    with visitor() as (context, _):
        page = context.new_page()
        for path in PAGES:
            page.emulate_media(color_scheme="light")
            page.goto(path)
            found += barriers(page, LEVELS)
            page.emulate_media(color_scheme="dark")
            page.evaluate("document.getAnimations().forEach(fading => fading.finish())")
            found += [f"dark: {barrier}" for barrier in barriers(page, RULES_OF_COLOUR)]
    assert found == [], "\n".join(found)


def test_a_barrier_is_noticed(visitor: Callable[..., Any]) -> None:
    with visitor() as (context, _):
        page = context.new_page()
        page.goto("/admin/")
        page.evaluate("document.getElementById('content').appendChild(document.createElement('input'))")
        assert [line for line in barriers(page, LEVELS) if "label" in line]
