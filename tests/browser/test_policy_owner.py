"""What the owner of a policy does: edit it, see beforehand what that would do, save, watch it hold, and undo it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.acceptance.site import Site
from tests.browser.pages import PolicyForm, Revisions, sign_in

pytestmark = pytest.mark.browser

CACHED = "/api/dashboard/cached"
SEVERAL = 6


def cache_status(site: Site) -> str:
    """What an answer over a new connection says, which any of the web processes may take."""
    with site.client("admin") as api:
        return api.get(CACHED).headers["Cache-Status"]


def seconds_left(status: str) -> int:
    found = re.search(r"ttl=(-?\d+)", status)
    assert found, status
    return int(found[1])


def test_the_next_request_obeys_an_edit_and_the_one_after_its_undoing(visitor: Callable[..., Any], site: Site) -> None:
    assert seconds_left(cache_status(site)) <= 60
    with visitor(storage_state=None) as (context, watch):
        page = context.new_page()
        sign_in(page, "admin", site.password)

        form = PolicyForm.of(page, "Cache policies", "dashboard")
        assert form.ttl == "60"
        form.edit(ttl=3000, reason="Nobody looks at night")

        preview = form.preview()
        assert "Nothing was saved" in preview.locator("#content-main").inner_text()
        preview.close()
        assert seconds_left(cache_status(site)) <= 60

        assert "was changed successfully" in form.save()
        for _ in range(SEVERAL):
            status = cache_status(site)
            assert "hit" in status
            assert 2000 < seconds_left(status) <= 3000, "the stored answer is judged by the new TTL"

        revisions = Revisions(page)
        revisions.open()
        assert "Nobody looks at night" in page.locator(".facts").inner_text()
        [[policy, *rest]] = revisions.differences()
        assert policy.startswith("dashboard")
        assert rest[-2:] == ["60", "3000"]

        revisions.open(1)
        assert "The policies are those of revision" in revisions.bring_back()
        for _ in range(SEVERAL):
            assert seconds_left(cache_status(site)) <= 60
        assert PolicyForm.of(page, "Cache policies", "dashboard").ttl == "60"
    assert watch.problems == []
