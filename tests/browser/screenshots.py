"""Makes pictures of the pages of a site with generated data, light and dark: ``make screenshots``.

``python -m tests.browser.screenshots [folder] [--width 400] [--all]``
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from securenet.run.config import PROJECT_DIR
from tests.acceptance.browser import AdminBrowser
from tests.acceptance.site import Site
from tests.browser import sample
from tests.browser.addresses import addresses
from tests.browser.chromium import chromium, missing
from tests.browser.pages import PolicyForm, sign_in
from tests.browser.site import started_site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

FOLDER = PROJECT_DIR / "docs" / "screenshots"
HEIGHT = 800
LONG_FORM = 985
COLOURS = 256
LIVE_PAGE = "/admin/perf/live/"


def policy_form(page: Page) -> Page:
    """The form of a limit, edited."""
    PolicyForm.of(page, "Rate limit policies", "default")
    page.locator("#id_limit").fill("30")
    page.get_by_label("Reason for this change").fill("A client asks for more than its share")
    page.set_viewport_size({"width": page.viewport_size["width"], "height": LONG_FORM})  # as far as its buttons
    page.locator("fieldset").filter(has=page.locator("#id_limit")).evaluate("part => part.scrollIntoView()")
    return page


def preview(page: Page) -> Page:
    """What that edit would have done."""
    policy_form(page)
    return PolicyForm(page).preview()


def revision(page: Page) -> Page:
    """What an older revision changed, and what bringing it back would change."""
    page.goto("/admin/perf/revision/")
    page.locator("#result_list tbody tr").nth(1).get_by_role("link").first.click()
    return page


def at(path: str) -> Callable[[Page], Page]:
    """A page that only has to be opened."""

    def opened(page: Page) -> Page:
        page.goto(path)
        return page

    return opened


def first_of(path: str) -> Callable[[Page], Page]:
    """The page that the first row of a list leads to."""

    def opened(page: Page) -> Page:
        page.goto(path)
        page.locator("main tbody tr").first.get_by_role("link").first.click()
        return page

    return opened


PICTURES: dict[str, Callable[[Page], Page]] = {
    "policy-form": policy_form,
    "preview": preview,
    "revision": revision,
    "dashboard": at("/"),
    "policies": at("/admin/perf/ratelimitpolicy/"),
    "try-it": at("/admin/perf/try-it/?method=GET&path=%2Fapi%2Fdashboard%2Fcached&who=role&roles=soc_analyst"),
    "findings": at("/findings"),
    "finding": first_of("/findings"),
    "assets": at("/assets"),
    "scan": first_of("/scans"),
    "log-events": at("/admin/logs/logevent/"),
    "jobs": at("/admin/perf/job/"),
    "queues": at("/admin/django_rq/dashboard/"),
}


def main() -> int:
    arguments = argparse.ArgumentParser(description="Make pictures of SecureNet's pages.")
    arguments.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    arguments.add_argument("--width", type=int, default=1280)
    arguments.add_argument("--all", action="store_true", help="Every page that links lead to, in its full height.")
    options = arguments.parse_args()
    if reason := missing():
        print(f"No pictures: {reason}", file=sys.stderr)
        return 1
    options.folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="securenet-") as data,
        started_site(Path(data), limited=True) as site,
        chromium() as browser,
    ):
        session = signed_in(browser, site)
        prepare(site)
        pictures = every_page(site) if options.all else with_live_page(site)
        for colours in ("light", "dark"):
            size = {"width": options.width, "height": HEIGHT}
            look: Any = {"color_scheme": colours, "viewport": size, "storage_state": session}
            with browser.new_context(base_url=site.url_a, **look) as context:
                take(context, pictures, options.folder, colours, whole=options.all)
    return 0


def signed_in(browser: Browser, site: Site) -> Any:
    """The cookies of the admin."""
    with browser.new_context(base_url=site.url_a) as context:
        sign_in(context.new_page(), "admin", site.password)
        return context.storage_state()


def prepare(site: Site) -> None:
    """Data, edits and traffic to look at."""
    sample.fill(site)
    sample.edit_policies(site)
    sample.send_traffic(site)


def with_live_page(site: Site) -> dict[str, Callable[[Page], Page]]:
    """The pictures, with the live page among them where there is one."""
    with AdminBrowser(site.url_a, "admin", site.password) as admin:
        there = admin.http.get(LIVE_PAGE).status_code == 200
    return {**PICTURES, "live": at(LIVE_PAGE)} if there else PICTURES


def every_page(site: Site) -> dict[str, Callable[[Page], Page]]:
    """Every page that links lead to, under names made of their addresses."""
    with AdminBrowser(site.url_a, "admin", site.password) as admin:
        paths = addresses(admin.http)
    others = {path.strip("/").replace("/", "_") or "home": at(path) for path in paths}
    return {**others, **with_live_page(site)}


def take(
    context: BrowserContext, pictures: dict[str, Callable[[Page], Page]], folder: Path, colours: str, *, whole: bool
) -> None:
    """Open each page, and write its picture."""
    for name, opened in pictures.items():
        page = opened(context.new_page())
        page.wait_for_load_state("load")
        file = folder / f"{name}-{colours}.png"
        write(page.screenshot(full_page=whole, animations="disabled"), file)
        print(f"{file.name}: {file.stat().st_size / 1024:.0f} kB", flush=True)
        for each in context.pages:
            each.close()


def write(picture: bytes, file: Path) -> None:
    """Write a PNG with a palette: text and tables need few colours."""
    from PIL import Image

    with Image.open(io.BytesIO(picture)) as image:
        image.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(
            file, optimize=True
        )


if __name__ == "__main__":
    try:
        sys.exit(main())
    except httpx.HTTPError as error:
        sys.exit(f"The site for the pictures does not answer: {error}")
