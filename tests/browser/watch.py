"""Takes note of what pages should not do: break the Content-Security-Policy, raise, fail to load, leave the site."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, ConsoleMessage, Dialog, Request, Response, WebError

LOCAL_SCHEMES = ("data:", "blob:", "about:")


class Watch:
    """What goes wrong in the pages of ``context``, whose site is at ``url``.

    Attributes:
        problems: One line each. Chromium reports a violation of the policy in its console.
    """

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.problems: list[str] = []
        self._url = url
        context.on("console", self._console)
        context.on("weberror", self._error)
        context.on("dialog", self._dialog)
        context.on("request", self._request)
        context.on("response", self._response)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            where = message.page.url if message.page else ""
            self.problems.append(f"{where}: console: {message.text} ({message.location.get('url', '')})")

    def _error(self, error: WebError) -> None:
        self.problems.append(f"{error.page.url if error.page else ''}: {error.error}")

    def _dialog(self, dialog: Dialog) -> None:
        self.problems.append(f"{dialog.page.url if dialog.page else ''}: dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request: Request) -> None:
        if not request.url.startswith((f"{self._url}/", *LOCAL_SCHEMES)):
            self.problems.append(f"asks another server: {request.url}")

    def _response(self, response: Response) -> None:
        if response.status >= 400:
            self.problems.append(f"{response.request.method} {response.url}: {response.status}")
