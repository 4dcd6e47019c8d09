"""The admin as a browser uses it: forms are fetched, edited and sent back, with cookies and CSRF tokens."""

from __future__ import annotations

from html.parser import HTMLParser
from types import TracebackType
from typing import Any

import httpx


class AdminBrowser:
    """Somebody signed in to ``/admin/``."""

    def __init__(self, url: str, username: str, password: str, *, login: str = "/admin/login/?next=/admin/") -> None:
        self.http = httpx.Client(base_url=url, follow_redirects=True, timeout=20, headers={"Referer": url})
        self.send(login, username=username, password=password)

    def __enter__(self) -> AdminBrowser:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def send(self, path: str, **fields: Any) -> httpx.Response:
        """Open the form at ``path``, edit ``fields``, send it. False unticks a box, None leaves a field out."""
        page = self.http.get(path)
        assert page.status_code == 200, f"{path}: {page.status_code}"
        values: dict[str, Any] = {**_fields(page.text), **fields}
        data = {name: value for name, value in values.items() if value is not None and value is not False}
        answer = self.http.post(path, data=data)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
        assert 'class="errornote"' not in answer.text, _errors(answer.text)
        return answer

    def edit(self, model: str, pk: int, **fields: Any) -> None:
        """Edit a policy of perf."""
        self.send(f"/admin/perf/{model}/{pk}/change/", **fields)

    def add(self, model: str, **fields: Any) -> None:
        """Add a policy of perf."""
        self.send(f"/admin/perf/{model}/add/", **fields)

    def delete(self, model: str, pk: int) -> None:
        """Delete a policy of perf."""
        self.send(f"/admin/perf/{model}/{pk}/delete/", post="yes")


class _FormReader(HTMLParser):
    """Collects what a browser would send of the page's forms."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, Any] = {}
        self._select = self._textarea = ""
        self._multiple = False

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        attribute = dict(attributes)
        name = attribute.get("name") or ""
        match tag:
            case "input" if name and attribute.get("type") not in ("submit", "button", "image", "file"):
                self._input(name, attribute)
            case "select":
                self._select, self._multiple = name, "multiple" in attribute
            case "option" if self._select and "selected" in attribute:
                value = attribute.get("value") or ""
                if self._multiple:
                    self.values.setdefault(self._select, []).append(value)
                else:
                    self.values[self._select] = value
            case "textarea":
                self._textarea = name
                self.values[name] = ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._textarea = ""

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.values[self._textarea] += data.lstrip("\r\n")

    def _input(self, name: str, attribute: dict[str, str | None]) -> None:
        if attribute.get("type") in ("checkbox", "radio"):
            if "checked" not in attribute:
                return
            value = attribute.get("value") or "on"
            known = self.values.get(name)
            self.values[name] = value if known is None else [*(known if isinstance(known, list) else [known]), value]
        else:
            self.values[name] = attribute.get("value") or ""


def _fields(html: str) -> dict[str, Any]:
    reader = _FormReader()
    reader.feed(html)
    reader.values.pop("q", None)
    return reader.values


def _errors(html: str) -> str:
    at = html.find("errorlist")
    return html[at : at + 300]
