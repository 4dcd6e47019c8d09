"""Acceptance tests: SecureNet as `make run` starts it, and a second web server process beside it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.browser import AdminBrowser
from tests.acceptance.site import Site, running_site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One SecureNet for the tests of this process: web server A, web server B, a worker, Redis, a database."""
    with running_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="session")
def browser(site: Site) -> Iterator[AdminBrowser]:
    """The admin's browser, signed in to web server A."""
    with AdminBrowser(site.url_a, "admin", site.password) as browser:
        yield browser
