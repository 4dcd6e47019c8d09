"""Browser tests: a SecureNet with generated data, and the machine's own Chromium; `make test-browser`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.site import Site
from tests.browser import sample
from tests.browser.chromium import chromium, missing
from tests.browser.pages import sign_in
from tests.browser.site import started_site
from tests.browser.watch import Watch

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

TIME_OUT = 20_000  # milliseconds; for a machine whose cores are busy


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, started once. Where it is missing the tests are skipped, but not in continuous integration."""
    if reason := missing():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(reason)
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two web processes, a worker, Redis and a database, with data to look at."""
    with started_site(tmp_path_factory.mktemp("site")) as site:
        sample.fill(site)
        yield site


@pytest.fixture(scope="session")
def session(browser: Browser, site: Site) -> Any:
    """The cookies of somebody who has signed in as admin."""
    with browser.new_context(base_url=site.url_a) as context:
        page = context.new_page()
        page.set_default_timeout(TIME_OUT)
        sign_in(page, "admin", site.password)
        return context.storage_state()


@pytest.fixture
def visitor(browser: Browser, site: Site, session: Any) -> Callable[..., Any]:
    """Opens a window in which the admin is signed in; gives its context and what goes wrong in it."""

    @contextmanager
    def opened(**options: Any) -> Iterator[tuple[BrowserContext, Watch]]:
        options = {"storage_state": session, **options}
        with browser.new_context(base_url=site.url_a, **options) as context:
            context.set_default_timeout(TIME_OUT)
            yield context, Watch(context, site.url_a)

    return opened
