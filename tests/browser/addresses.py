"""Every page of the site that links lead to, one of each kind."""

from __future__ import annotations

import re
from collections import deque
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import httpx

STARTS = ("/admin/", "/", "/api/docs")
# Downloads are no pages.
ENDINGS = ("/export/", ".json", "/jsi18n/")
# Django draws these for all models alike.
ALIKE = re.compile(r"/(history|delete)/$")
_PART = re.compile(r"/(?:\d+|[0-9a-f]{8}[0-9a-f-]{20,}|[0-9a-f]{32}[^/]*)(?=/)")


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "a" and (address := dict(attributes).get("href")):
            self.found.append(address)


def addresses(http: httpx.Client) -> list[str]:
    """Paths, found by following links as whoever ``http`` is signed in as; of pages about single things, one each."""
    waiting, kinds, found = deque(STARTS), set(), []
    while waiting:
        path = waiting.popleft()
        if (kind := _kind(path)) in kinds:
            continue
        kinds.add(kind)
        answer = http.get(path)
        if not answer.headers.get("Content-Type", "").startswith("text/html"):
            continue
        found.append(path)
        links = _Links()
        links.feed(answer.text)
        for link in links.found:
            address = urlsplit(urljoin(str(answer.url), link))
            if address.netloc == urlsplit(str(http.base_url)).netloc and _is_page(address.path):
                waiting.append(address.path)
    return found


def _kind(path: str) -> str:
    alike = ALIKE.search(path)
    return alike[1] if alike else _PART.sub("/*", path)


def _is_page(path: str) -> bool:
    return (path.startswith("/admin/") or path in STARTS) and not path.endswith(ENDINGS)
