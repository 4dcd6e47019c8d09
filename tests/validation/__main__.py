"""`python -m tests.validation`: measures every objective, prints the table, writes docs/validation.md."""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from securenet.run.config import PROJECT_DIR
from tests.validation import (
    administration,
    caching,
    criteria,
    endpoints,
    headers,
    jobs,
    limiting,
    monitoring,
    resilience,
)
from tests.validation.objectives import Objective, exit_code, measure_all
from tests.validation.report import Run, line, page, terminal_table
from tests.validation.site import JOB_WORKERS, WEB_PROCESSES, MeasuredSite, measured_site

PAGE = PROJECT_DIR / "docs" / "validation.md"
AREAS = (caching, limiting, jobs, endpoints, headers, criteria, monitoring, administration, resilience)
OBJECTIVES: tuple[Objective[MeasuredSite], ...] = tuple(objective for area in AREAS for objective in area.OBJECTIVES)


def main(words: list[str]) -> int:
    """Measure the objectives whose names contain one of ``words``; all, and write the page, if none is given."""
    chosen = [each for each in OBJECTIVES if not words or any(word in each.name for word in words)]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="validate-") as folder, measured_site(Path(folder)) as site:
        print(f"SecureNet runs with {len(site.web_processes())} web processes; {len(chosen)} objectives …")
        outcomes = measure_all(chosen, site, lambda outcome: print(line(outcome), flush=True))
        store = str(site.shell(STORE_RELEASE)).strip()
    run = Run(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        seconds=time.monotonic() - began,
        store=store,
        web_processes=WEB_PROCESSES,
        job_workers=JOB_WORKERS,
    )
    print(f"\n{terminal_table(outcomes)}\nTook {run.seconds:.0f} s.")
    if not words:
        PAGE.write_text(page(outcomes, run))
    return exit_code(outcomes)


STORE_RELEASE = """
from django_redis import get_redis_connection
server = get_redis_connection("default").info("server")
print(f"Valkey {server['valkey_version']}" if "valkey_version" in server else f"Redis {server['redis_version']}")
"""

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
