"""django-rq's own pages do what they are there for, under a policy that forbids the scripts they bring along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.browser

FAILED = "/admin/django_rq/dashboard/queues/0/failed/"


def test_the_box_in_the_head_chooses_every_job_for_an_action(visitor: Callable[..., Any]) -> None:
    with visitor() as (context, watch):
        page = context.new_page()
        page.goto(FAILED)
        jobs = page.locator("input.action-select")
        assert jobs.count() > 0
        page.locator("#action-toggle").check()
        assert page.locator("input.action-select:checked").count() == jobs.count()
        page.locator("select[name=action]").select_option("delete")
        page.get_by_role("button", name="Go").click()
        assert page.get_by_role("button", name="Delete").count() == 1
    assert watch.problems == [], "\n".join(watch.problems)


def test_a_job_leads_to_its_results(visitor: Callable[..., Any]) -> None:
    with visitor() as (context, watch):
        page = context.new_page()
        page.goto(FAILED)
        page.locator("#result_list tbody a").first.click()
        page.get_by_role("link", name="View →").first.click()
        page.wait_for_url("**/results/**")
        assert "TypeError" in page.content()
    assert watch.problems == [], "\n".join(watch.problems)
