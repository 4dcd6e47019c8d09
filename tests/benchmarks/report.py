"""Writes docs/benchmarks.md: one section per benchmark, each with the date and the machine it was measured on.

A run replaces the sections it has measured and leaves the others, so a partial run destroys nothing. The file is its
own store: sections are found again by the comments that open them.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from django_redis import get_redis_connection

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
CHARTS = PAGE.with_suffix("")  # the folder of its pictures
# In this order; what is not named here is no section.
SECTIONS = (
    "warm-hit", "cache", "cache-cost", "cache-memory", "stampede", "speed", "memory", "admission", "policies",
    "scaling-processes", "scaling-clients", "scaling-entries", "scaling-bodies", "store-down", "preview", "jobs",
    "scan", "logs",
)  # fmt: skip
PACKAGES = {
    "Django": "django",
    "DRF": "djangorestframework",
    "django-redis": "django-redis",
    "redis-py": "redis",
    "hiredis": "hiredis",
    "django-ratelimit": "django-ratelimit",
    "limits": "limits",
    "drf-extensions": "drf-extensions",
    "cacheops": "django-cacheops",
    "RQ": "rq",
}

INTRODUCTION = """\
# Benchmarks

`make bench` measures SecureNet's limiter, cache and jobs (`perf`) beside what else a Django project could use, and its
scanner and log analysis, and writes this page. It takes about ten minutes; `make bench ARGS="-k speed"` measures one
section and leaves the others as they are.

All rows of a table are measured in one run: the same machine, the same view, the same payload, the same Redis or
Valkey server on a unix socket with append-only persistence. Rows take turns in short rounds, so that whatever else the
machine does happens to all of them. Figures are the median of the rounds. Ratios are made within each round; in
brackets is the middle half of the rounds. **The ratios are the result**: absolute figures depend on the machine.

Requests go through Django's WSGI handler in the process that measures, one after the other; only what happens to many
at once is measured with eight processes. There is no network and no web server in between, so what is compared is as
little diluted as it can be.

The limiters:

| row | what it is |
| --- | --- |
| DRF | `UserRateThrottle` of Django REST framework, on django-redis |
| django-ratelimit | its decorator on the method of the view, on django-redis |
| limits moving window, sliding counter | two strategies of `limits` on its `RedisStorage`, in a small DRF throttle |
| perf sliding_window, fixed_window, token_bucket | `PolicyThrottle` and one policy that counts by user |

perf counts statistics and writes `RateLimit`, `RateLimit-Policy`, `Server-Timing`, `Cache-Status` and `X-Request-ID`,
for which its rows have `PerformanceMiddleware`. The others do none of that and have no middleware. `limits` is only
asked whether a request passes; to say how long to wait, it would take further commands.
"""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its columns and rows, as text."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        lines = [self.columns, ["---"] * len(self.columns), *self.rows]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)


@dataclass(frozen=True, slots=True)
class Section:
    """A section of the page: its text, and when and on what it was measured."""

    text: str
    circumstances: str


def publish(name: str, title: str, *parts: str | Table) -> None:
    """Print a section and put it into docs/benchmarks.md, in the place of its last edition.

    Args:
        name: one of `SECTIONS`.
        title: its heading.
        parts: paragraphs and tables, in order.
    """
    if name not in SECTIONS:
        raise ValueError(f"{name!r} is no section of the page; add it to SECTIONS.")
    text = "\n".join([f"## {title}\n", *(f"{str(part).strip()}\n" for part in parts)])
    print(f"\n\n{text}")
    sections = _sections(PAGE.read_text()) if PAGE.exists() else {}
    sections[name] = Section(text, _circumstances())
    draft = PAGE.with_suffix(".new")
    draft.write_text(_page(sections))
    draft.replace(PAGE)


def _page(sections: dict[str, Section]) -> str:
    """The whole page. Circumstances are said once, or under each section where they are not all the same."""
    circumstances = {section.circumstances for section in sections.values()}
    parts = [INTRODUCTION]
    if len(circumstances) == 1:
        parts.append(f"{circumstances.pop()}\n")
    for name in SECTIONS:
        if section := sections.get(name):
            parts.append(f"<!-- {name}: {section.circumstances} -->\n{section.text}")
            if circumstances:
                parts.append(f"*{section.circumstances}*\n")
    return "\n".join(parts)


def _sections(page: str) -> dict[str, Section]:
    _, *rest = re.split(rf"^<!-- ({'|'.join(SECTIONS)}): (.*) -->\n", page, flags=re.MULTILINE)
    return {
        name: Section(text.replace(f"*{circumstances}*\n", "").strip() + "\n", circumstances)
        for name, circumstances, text in zip(rest[::3], rest[1::3], rest[2::3], strict=True)
    }


def _circumstances() -> str:
    machine = f"{_processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, {_server()}"
    return f"Measured on {datetime.now(UTC):%Y-%m-%d}: {machine}, {', '.join(_installed())}."


def _processor() -> str:
    """The processor's name, where the system tells it."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), flags=re.MULTILINE)
    except FileNotFoundError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def _server() -> str:
    info: dict[str, Any] = get_redis_connection("default").info("server")
    return f"Valkey {info['valkey_version']}" if "valkey_version" in info else f"Redis {info['redis_version']}"


def _installed() -> Iterable[str]:
    for label, package in PACKAGES.items():
        try:
            yield f"{label} {version(package)}"
        except PackageNotFoundError:
            continue
