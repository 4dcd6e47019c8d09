"""The admin's pages as somebody in front of the browser knows them: by what is written on links, fields and buttons."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page


def sign_in(page: Page, name: str, password: str) -> None:
    """Sign in to the admin."""
    page.goto("/admin/")
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/admin/")


class PolicyForm:
    """The form of one policy."""

    def __init__(self, page: Page) -> None:
        self.page = page

    @classmethod
    def of(cls, page: Page, kind: str, name: str) -> PolicyForm:
        """Open it from the front page of the admin, by list and name."""
        page.goto("/admin/")
        page.locator("#content-main").get_by_role("link", name=kind, exact=True).click()
        page.locator("#result_list").get_by_role("link", name=name, exact=True).click()
        return cls(page)

    @property
    def ttl(self) -> str:
        return self.page.locator("#id_ttl").input_value()

    def edit(self, *, ttl: int, reason: str) -> None:
        self.page.locator("#id_ttl").fill(str(ttl))
        self.page.get_by_label("Reason for this change").fill(reason)

    def preview(self) -> Page:
        """The preview, which opens in a tab of its own."""
        with self.page.expect_popup() as opened:
            self.page.get_by_role("button", name="Preview").first.click()
        opened.value.wait_for_load_state()
        return opened.value

    def save(self) -> str:
        """Save it; returns what the next page says about that."""
        self.page.get_by_role("button", name="Save", exact=True).first.click()
        return self.page.locator(".messagelist").inner_text()


class Revisions:
    """The list of revisions, the newest first."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def open(self, place: int = 0) -> None:
        """Open the newest, or one so many places before it."""
        self.page.goto("/admin/perf/revision/")
        self.page.locator("#result_list tbody tr").nth(place).get_by_role("link").first.click()

    def differences(self) -> list[list[str]]:
        """The rows of what the opened one changed: policy, field, before, after."""
        rows = self.page.locator("table.changes").first.locator("tbody tr").all()
        return [row.locator("td").all_inner_texts() for row in rows]

    def bring_back(self) -> str:
        """Bring the opened one back; returns what the next page says about that."""
        self.page.get_by_role("button", name="Bring this revision back").click()
        return self.page.locator(".messagelist").inner_text()
