"""The machine's own Chromium, driven by Playwright: never downloaded, with an empty profile, cut off from its maker.

Playwright is imported inside: who only lists tests need not have it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MODULES = ("playwright", "axe_playwright_python", "PIL")
SWITCHES = (
    "--disable-gpu", "--disable-quic", "--disable-sync", "--disable-background-networking",
    "--disable-component-update", "--no-first-run",
)  # fmt: skip


def executable() -> str:
    """The browser's path: ``CHROMIUM`` if that is set, else the first there is; "" where there is none."""
    names = (os.environ["CHROMIUM"],) if os.environ.get("CHROMIUM") else NAMES
    return next((path for name in names if (path := shutil.which(name))), "")


def missing() -> str:
    """What has to be installed before a browser can be started; "" where everything is here."""
    if not executable():
        return "Chromium is not installed (Debian: apt-get install chromium), or name one: CHROMIUM=/path/to/chromium"
    if any(find_spec(module) is None for module in MODULES):
        return "what drives the browser is not installed; `make test-browser` installs it"
    return ""


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start it without a window; end it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # Root has no sandbox to put it into. Each start makes a profile of its own, and removes it.
        browser = playwright.chromium.launch(
            executable_path=executable(), args=list(SWITCHES), chromium_sandbox=os.geteuid() != 0
        )
        try:
            yield browser
        finally:
            browser.close()
